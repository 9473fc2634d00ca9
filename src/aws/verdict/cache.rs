//! Checks the cache itself: its region, status, port and engine.

use crate::aws::cache::{self, Cache, EndpointName, Form, SERVERLESS_PORTS};
use crate::aws::check::{Check, Code};
use crate::aws::documents::is_complete;
use crate::aws::network::Network;
use crate::aws::permission;

impl Network<'_> {
    pub(super) fn cache_checks(&self, endpoint: Option<&EndpointName>) -> Vec<Check> {
        let mut checks = Vec::new();
        let named = self.facts.endpoint.as_deref().and_then(cache::region_of);
        if let (Some(named), Some(own)) = (&named, &self.facts.region) {
            let check = if named == own {
                Check::allowed(
                    Code::RegionDifferent,
                    format!("the cache and this instance are both in {own}"),
                )
            } else {
                let text = format!("the name belongs to a cache in {named}, but this instance is in {own}");
                Check::denied(Code::RegionDifferent, text)
            };
            checks.push(check.about(Some(named)));
        }
        let Some(endpoint) = endpoint else {
            return checks;
        };
        let Some(cache) = self.cache else {
            checks.push(self.unknown_cache(endpoint));
            return checks;
        };
        checks.push(status_check(cache));
        if let (Some(ports), Some(port)) = (&cache.ports, self.facts.port) {
            let listed: Vec<_> = ports.iter().map(ToString::to_string).collect();
            let listed = listed.join(" and ");
            let check = if ports.contains(&port) || cache.is_serverless() && SERVERLESS_PORTS.contains(&port)
            {
                Check::allowed(Code::CachePort, format!("the cache listens on port {port}"))
            } else {
                let text = format!("the cache listens on port {listed}, not on {port}");
                Check::denied(Code::CachePort, text)
            };
            checks.push(check.about(Some(&cache.name)));
        }
        if cache
            .engine
            .as_deref()
            .is_some_and(|engine| engine.eq_ignore_ascii_case("memcached"))
        {
            let text = format!("{} is a Memcached cluster, not Redis or Valkey", cache.name);
            checks.push(Check::denied(Code::CacheEngine, text).about(Some(&cache.name)));
        }
        checks
    }

    fn unknown_cache(&self, endpoint: &EndpointName) -> Check {
        let name = endpoint.names.last();
        let (is_absent, needs) = match endpoint.form {
            Form::Nodes => (
                is_complete(&self.documents.replication_groups)
                    && is_complete(&self.documents.cache_clusters),
                permission::REPLICATION_GROUPS,
            ),
            Form::Serverless | Form::PublicServerless => (
                is_complete(&self.documents.serverless_caches),
                permission::SERVERLESS_CACHES,
            ),
        };
        let check = match name.filter(|_| is_absent) {
            Some(name) => {
                let text = format!(
                    "ElastiCache has no cache named {name} in this account and region: check the spelling, the account and the \
                     region"
                );
                Check::unknown(Code::CacheStatus, text)
            }
            None => {
                let text = "the AWS replies do not contain ElastiCache's description of the cache";
                Check::unknown(Code::CacheStatus, text).needs(&[needs])
            }
        };
        check.about(name)
    }
}

fn status_check(cache: &Cache) -> Check {
    const USABLE: [&str; 3] = ["available", "modifying", "snapshotting"];
    let name = &cache.name;
    let check = match cache.status.as_deref() {
        None => Check::unknown(
            Code::CacheStatus,
            format!("the reply of ElastiCache does not contain the status of {name}"),
        )
        .needs(&[permission::REPLICATION_GROUPS]),
        Some(status) if USABLE.iter().any(|usable| usable.eq_ignore_ascii_case(status)) => {
            Check::allowed(Code::CacheStatus, format!("{name} is {status}"))
        }
        Some(status) => {
            let text = format!("the status of {name} is {status}, so the cache does not answer");
            Check::denied(Code::CacheStatus, text).aws_code("BAD_STATE")
        }
    };
    check.about(Some(name))
}

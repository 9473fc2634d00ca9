//! Collects the facts about the connection that are known on this host.

use crate::aws::{self, Facts, Id};
use crate::deadline::Deadline;
use crate::ping::instance;
use crate::ping::observation::Observations;
use crate::ping::this_host;
use crate::redis_url::Target;

/// The time limit for requests to the instance metadata service.
const WITHIN: std::time::Duration = std::time::Duration::from_secs(2);

/// The facts about the connection that are known on this host.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) facts: Facts,
}

/// Collects the facts about the connection. Sends requests only to the instance metadata service, which has a
/// link-local address.
pub(crate) async fn facts(target: &Target, seen: &Observations) -> Observed {
    let target = seen.target(target);
    // In a cluster, check the first node that does not reply. Otherwise, check the address in the URL.
    let missing = seen.server.announced.iter().find(|dial| !dial.is_connected());
    let mut dials = missing.into_iter().chain(&seen.tcp.dials);
    let dialled = dials.find_map(|dial| dial.to.ip());
    let address = dialled.map(|dialled| dialled.ip());
    let from = address.and_then(this_host::source_for);
    let endpoint = target
        .host()
        .filter(|host| host.parse::<std::net::IpAddr>().is_err())
        .map(str::to_owned);
    let (region, source) = instance::observe_interface(from, Deadline::after(WITHIN))
        .await
        .unzip();
    let named = endpoint.as_deref().and_then(aws::region_of);
    Observed {
        facts: Facts {
            region: region.or(named),
            endpoint,
            address,
            port: dialled.map(|dialled| dialled.port()).or(target.port()),
            from,
            source,
            ephemeral: this_host::local_port_range().map(|(first, last)| vec![first, last]),
            asked_groups: None,
        },
    }
}

impl Observed {
    /// Adds the missing facts from the documents. If this host has no EC2 network interface, returns only the
    /// facts in the documents.
    pub(crate) fn completed_from(self, others: Option<&Facts>) -> Facts {
        let Some(others) = others.cloned() else {
            return self.facts;
        };
        if self.facts.source.is_none() {
            return others;
        }
        let asked_groups: Option<Vec<Id>> = others.asked_groups;
        Facts {
            address: self.facts.address.or(others.address),
            asked_groups,
            ..self.facts
        }
    }
}

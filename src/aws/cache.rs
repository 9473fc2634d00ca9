//! Finds ElastiCache's description of the cache that an endpoint belongs to.
//!
//! Source for the name formats: <https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Endpoints.html>.

use super::documents::{Documents, all, find};
use super::id::{Id, Name, Region};
use super::objects::{CacheCluster, CacheEndpoint};
use crate::redis_url::provider;

/// The ports of a serverless cache. The first port accepts all commands, and the second port accepts only
/// reads.
pub(crate) const SERVERLESS_PORTS: [u16; 2] = [6379, 6380];

/// The information in the host name of an ElastiCache endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointName {
    pub(crate) form: Form,
    /// The possible names of the cache: first the name in the host name, then this name without a suffix such
    /// as a node number. Both are possible, because the name of a cache can end in digits that look like a
    /// node number.
    pub(crate) names: Vec<Name>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A replication group, a single cluster, or one of their nodes.
    Nodes,
    Serverless,
    /// A serverless cache with an internet endpoint. Such a cache has no VPC and no security groups.
    PublicServerless,
}

impl EndpointName {
    /// Parses a host name. Returns `None` if the host is not an ElastiCache endpoint.
    pub(crate) fn parse(host: &str) -> Option<Self> {
        let hint = provider::endpoint_hint(host)?;
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let labels: Vec<&str> = host.split('.').collect();
        let cache_label = labels.iter().rposition(|label| *label == "cache")?;
        let own = &labels[..cache_label.checked_sub(1)?];
        let (form, names) = match own {
            [name, "serverless"] => (Form::Serverless, vec![without_random_part(name)]),
            [name, "public", "serverless"] => (Form::PublicServerless, vec![without_random_part(name)]),
            ["master" | "replica" | "clustercfg", id, ..] => (Form::Nodes, vec![*id]),
            [_, id, _] if hint.tls => (Form::Nodes, vec![*id]),
            [first, _, "ng", ..] => (
                Form::Nodes,
                vec![*first, first.strip_suffix("-ro").unwrap_or(first)],
            ),
            [first, ..] => (Form::Nodes, vec![*first, without_node(first)]),
            [] => return None,
        };
        let mut names: Vec<_> = names.into_iter().filter_map(Name::parse).collect();
        names.dedup();
        Some(Self { form, names })
    }
}

/// Returns the region in the host name of an ElastiCache or MemoryDB endpoint, or `None` for other host
/// names.
pub(crate) fn region_of(host: &str) -> Option<Region> {
    Region::parse(&provider::endpoint_hint(host)?.region?)
}

/// Removes the random part at the end: returns `NAME` for `NAME-x6`.
fn without_random_part(label: &str) -> &str {
    label.rsplit_once('-').map_or(label, |(name, _)| name)
}

/// Removes the numbers of the shard and the node: returns `ID` for `ID-001` and `ID-0001-001`.
fn without_node(label: &str) -> &str {
    let number = |label: &'_ str, digits: usize| -> Option<usize> {
        let (name, last) = label.rsplit_once('-')?;
        (last.len() == digits && last.bytes().all(|byte| byte.is_ascii_digit())).then_some(name.len())
    };
    let Some(end) = number(label, 3) else { return label };
    let label = &label[..end];
    number(label, 4).map_or(label, |end| &label[..end])
}

/// A cache as ElastiCache describes it. A field is `None` if its value is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cache {
    pub(crate) name: Name,
    pub(crate) kind: &'static str,
    pub(crate) status: Option<String>,
    pub(crate) engine: Option<String>,
    /// The ports of the endpoint in the URL. If the documents do not list that endpoint, these are the ports
    /// of all endpoints.
    pub(crate) ports: Option<Vec<u16>>,
    pub(crate) has_tls: Option<bool>,
    /// The TLS mode of the cache: `required` if clients must use TLS, or `preferred` if TLS is optional.
    pub(crate) tls_mode: Option<String>,
    pub(crate) has_token: Option<bool>,
    pub(crate) user_groups: Option<Vec<Name>>,
    pub(crate) is_cluster: Option<bool>,
    /// The role of the node in the URL: `primary` or `replica`.
    pub(crate) role: Option<String>,
    /// The endpoint that always resolves to the primary.
    pub(crate) primary_endpoint: Option<String>,
    pub(crate) groups: Option<Vec<Id>>,
    pub(crate) vpc: Option<Id>,
    pub(crate) is_public: bool,
}

impl Cache {
    /// Finds the cache with one of the names in `endpoint`, or returns `None` if the documents do not
    /// describe it.
    pub(crate) fn find(endpoint: &EndpointName, host: &str, documents: &Documents) -> Option<Self> {
        match endpoint.form {
            Form::Nodes => Self::replication_group(endpoint, host, documents)
                .or_else(|| Self::cluster(endpoint, host, documents)),
            Form::Serverless | Form::PublicServerless => Self::serverless(endpoint, documents),
        }
    }

    fn replication_group(endpoint: &EndpointName, host: &str, documents: &Documents) -> Option<Self> {
        let is_it = |name: &Option<Name>| name.as_ref().is_some_and(|name| is_among(&endpoint.names, name));
        let group = find(&documents.replication_groups, |group| is_it(&group.name))?;
        let name = group.name.clone()?;
        let members = || {
            all(&documents.cache_clusters).filter(|cluster| {
                cluster
                    .replication_group
                    .as_ref()
                    .is_some_and(|of| same(of, &name))
            })
        };
        let node_groups = group.node_groups.as_deref().unwrap_or_default();
        let nodes = node_groups
            .iter()
            .flat_map(|nodes| nodes.members.as_deref().unwrap_or_default());
        let node = nodes.clone().find(|node| is_host(node.endpoint.as_ref(), host));
        let endpoints: Vec<&CacheEndpoint> = node_groups
            .iter()
            .flat_map(|nodes| [nodes.primary.as_ref(), nodes.reader.as_ref()])
            .chain(nodes.map(|node| node.endpoint.as_ref()))
            .chain([group.configuration.as_ref()])
            .flatten()
            .collect();
        let subnet_group = members().find_map(|member| member.subnet_group.clone());
        let primary = node_groups
            .first()
            .and_then(|nodes| nodes.primary.as_ref()?.host.clone());
        Some(Self {
            kind: "replication-group",
            status: group.status.clone(),
            engine: group
                .engine
                .clone()
                .or_else(|| members().find_map(|member| member.engine.clone())),
            ports: ports(&endpoints, host),
            has_tls: group.has_tls,
            tls_mode: group.tls_mode.clone(),
            has_token: group.has_token,
            user_groups: group.user_groups.clone(),
            is_cluster: group.is_cluster,
            role: node.and_then(|node| node.role.clone()),
            primary_endpoint: primary,
            groups: members().find_map(CacheCluster::security_groups),
            vpc: subnet_group.and_then(|name| vpc_of(&name, documents)),
            is_public: false,
            name,
        })
    }

    fn cluster(endpoint: &EndpointName, host: &str, documents: &Documents) -> Option<Self> {
        let is_it = |name: &Option<Name>| name.as_ref().is_some_and(|name| is_among(&endpoint.names, name));
        let cluster = find(&documents.cache_clusters, |cluster| is_it(&cluster.name))?;
        let nodes = cluster.nodes.as_deref().unwrap_or_default();
        let endpoints: Vec<_> = nodes
            .iter()
            .map(|node| node.endpoint.as_ref())
            .chain([cluster.configuration.as_ref()])
            .flatten()
            .collect();
        Some(Self {
            name: cluster.name.clone()?,
            kind: "cluster",
            status: cluster.status.clone(),
            engine: cluster.engine.clone(),
            ports: ports(&endpoints, host),
            has_tls: cluster.has_tls,
            tls_mode: cluster.tls_mode.clone(),
            has_token: cluster.has_token,
            user_groups: None,
            is_cluster: None,
            role: None,
            primary_endpoint: None,
            groups: cluster.security_groups(),
            vpc: cluster
                .subnet_group
                .as_ref()
                .and_then(|name| vpc_of(name, documents)),
            is_public: false,
        })
    }

    fn serverless(endpoint: &EndpointName, documents: &Documents) -> Option<Self> {
        let is_it = |name: &Option<Name>| name.as_ref().is_some_and(|name| is_among(&endpoint.names, name));
        let cache = find(&documents.serverless_caches, |cache| is_it(&cache.name))?;
        let is_public = endpoint.form == Form::PublicServerless;
        let found = [&cache.endpoint, &cache.reader].map(|endpoint| endpoint.as_ref()?.port);
        let ports: Vec<u16> = found.into_iter().flatten().collect();
        let vpc = || {
            let mut subnets = cache.subnets.iter().flatten();
            subnets.find_map(|id| documents.subnet(id)?.vpc.clone())
        };
        Some(Self {
            name: cache.name.clone()?,
            kind: "serverless",
            status: cache.status.clone(),
            engine: cache.engine.clone(),
            ports: Some(if ports.is_empty() {
                SERVERLESS_PORTS.to_vec()
            } else {
                ports
            }),
            has_tls: Some(true),
            tls_mode: Some("required".to_owned()),
            has_token: None,
            user_groups: cache.user_group.clone().map(|group| vec![group]),
            is_cluster: Some(true),
            role: None,
            primary_endpoint: cache.endpoint.as_ref().and_then(|endpoint| endpoint.host.clone()),
            groups: cache.groups.clone(),
            vpc: if is_public { None } else { vpc() },
            is_public,
        })
    }

    pub(crate) fn is_serverless(&self) -> bool {
        self.kind == "serverless"
    }
}

impl CacheCluster {
    fn security_groups(&self) -> Option<Vec<Id>> {
        self.groups
            .as_ref()?
            .iter()
            .map(|group| group.group.clone())
            .collect()
    }
}

fn vpc_of(subnet_group: &str, documents: &Documents) -> Option<Id> {
    find(&documents.cache_subnet_groups, |group| {
        group.name.as_deref() == Some(subnet_group)
    })?
    .vpc
    .clone()
}

fn same(one: &Name, other: &Name) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}

fn is_among(names: &[Name], name: &Name) -> bool {
    names.iter().any(|other| same(other, name))
}

fn is_host(endpoint: Option<&CacheEndpoint>, host: &str) -> bool {
    let own = endpoint.and_then(|endpoint| endpoint.host.as_deref());
    own.is_some_and(|own| own.eq_ignore_ascii_case(host.trim_end_matches('.')))
}

/// Returns the ports of the endpoints with the host name `host` or, if there are none, the ports of all
/// endpoints.
fn ports(endpoints: &[&CacheEndpoint], host: &str) -> Option<Vec<u16>> {
    let of = |only: bool| -> Vec<u16> {
        let chosen = endpoints
            .iter()
            .filter(|endpoint| !only || is_host(Some(endpoint), host));
        let mut ports: Vec<_> = chosen.filter_map(|endpoint| endpoint.port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    };
    [of(true), of(false)].into_iter().find(|ports| !ports.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_endpoint_leads_to_its_cache() {
        for (host, form, name) in [
            ("master.shop.x1y2z3.euc1.cache.amazonaws.com", Form::Nodes, "shop"),
            (
                "replica.shop.x1y2z3.euc1.cache.amazonaws.com",
                Form::Nodes,
                "shop",
            ),
            (
                "clustercfg.shop.x1y2z3.euc1.cache.amazonaws.com",
                Form::Nodes,
                "shop",
            ),
            (
                "shop.x1y2z3.ng.0001.euc1.cache.amazonaws.com",
                Form::Nodes,
                "shop",
            ),
            (
                "shop-ro.x1y2z3.ng.0001.euc1.cache.amazonaws.com",
                Form::Nodes,
                "shop",
            ),
            (
                "shop.x1y2z3.clustercfg.euc1.cache.amazonaws.com",
                Form::Nodes,
                "shop",
            ),
            (
                "shop-001.x1y2z3.0001.euc1.cache.amazonaws.com",
                Form::Nodes,
                "shop",
            ),
            (
                "shop-0001-001.x1y2z3.0001.euc1.cache.amazonaws.com",
                Form::Nodes,
                "shop",
            ),
            (
                "shop-001.shop.x1y2z3.euc1.cache.amazonaws.com",
                Form::Nodes,
                "shop",
            ),
            (
                "shop-x1y2z3.serverless.euc1.cache.amazonaws.com",
                Form::Serverless,
                "shop",
            ),
            (
                "my-shop-x1y2z3.public.serverless.euc1.cache.amazonaws.com",
                Form::PublicServerless,
                "my-shop",
            ),
        ] {
            let found = EndpointName::parse(host).expect(host);
            assert_eq!(found.form, form, "{host}");
            assert!(
                found.names.iter().any(|found| found.as_str() == name),
                "{host}: {found:?}"
            );
            assert_eq!(region_of(host).unwrap().as_str(), "eu-central-1", "{host}");
        }
        for host in [
            "shop.example",
            "10.0.3.17",
            "",
            "x.amazonaws.com",
            "cache.amazonaws.com",
        ] {
            assert_eq!(EndpointName::parse(host), None, "{host}");
        }
    }
}

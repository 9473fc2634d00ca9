//! What a host name tells before a packet is sent: the endpoint grammar of Amazon ElastiCache and MemoryDB.
//!
//! Forms: <https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Endpoints.html>. A name only suggests.

/// What a name is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndpointKind {
    /// `NAME.ID.ng.0001.REGION.cache…` or `master.NAME…`: always the current primary.
    Primary,
    /// `NAME-ro.ID.ng.0001…` or `replica.NAME…`: spread over the replicas, read only.
    Reader,
    /// `NAME-001.ID.0001…` or, with TLS, `NAME-001.NAME.ID…`: one node, whatever its role.
    Node,
    /// `clustercfg…`: cluster mode, for clients of the cluster protocol.
    Configuration,
    /// `NAME-ID.serverless…`: TLS and the cluster protocol.
    Serverless,
    /// `NAME.ID.cfg…`: a Memcached cluster.
    Memcached,
    /// `….memorydb.…`: MemoryDB, always a cluster.
    MemoryDb,
}

/// What was read from a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointHint {
    /// What the name is the name of.
    pub kind: EndpointKind,
    /// Whether the form of the name is one that only endpoints with TLS have.
    pub tls: bool,
    /// The AWS region, where the name's code for it is known.
    pub region: Option<String>,
}

/// Reads a host name; `None` where it has no form of AWS's.
#[must_use]
pub(crate) fn endpoint_hint(host: &str) -> Option<EndpointHint> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let bare = host
        .strip_suffix(".amazonaws.com")
        .or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    if let Some((front, region)) = bare.split_once(".memorydb.") {
        let labels: Vec<&str> = front.split('.').collect();
        return Some(EndpointHint {
            kind: EndpointKind::MemoryDb,
            tls: !has_form_without_tls(&labels),
            region: Some(region.to_owned()),
        });
    }
    let labels: Vec<&str> = bare.strip_suffix(".cache").unwrap_or(bare).split('.').collect();
    if labels.contains(&"cache") || bare.ends_with(".cache") {
        let (kind, tls) = kind_of(&labels);
        return Some(EndpointHint {
            kind,
            tls,
            region: labels.iter().rev().find_map(|label| region(label)),
        });
    }
    None
}

fn kind_of(labels: &[&str]) -> (EndpointKind, bool) {
    let first = labels.first().copied().unwrap_or_default();
    let is_group = labels.contains(&"ng");
    match first {
        _ if labels.contains(&"serverless") => (EndpointKind::Serverless, true),
        _ if labels.contains(&"cfg") => (EndpointKind::Memcached, false),
        "clustercfg" => (EndpointKind::Configuration, true),
        _ if labels.contains(&"clustercfg") => (EndpointKind::Configuration, false),
        "master" => (EndpointKind::Primary, true),
        "replica" => (EndpointKind::Reader, true),
        _ if first.ends_with("-ro") && is_group => (EndpointKind::Reader, false),
        _ if is_group => (EndpointKind::Primary, false),
        // NODE.GROUP.ID.REGION has TLS, NODE.ID.0001.REGION has none.
        _ => (
            EndpointKind::Node,
            labels.len() == 4 && !has_form_without_tls(labels),
        ),
    }
}

/// Without TLS, what the name is of stands behind it (`NAME.ID.clustercfg`, `NAME.ID.0001`); with TLS, before it.
fn has_form_without_tls(labels: &[&str]) -> bool {
    let is_shard = |label: &&str| label.len() == 4 && label.bytes().all(|byte| byte.is_ascii_digit());
    labels
        .iter()
        .skip(1)
        .any(|label| *label == "clustercfg" || is_shard(label))
}

/// `use1` → `us-east-1`. The code is the first letters of the area, then of the direction, then the number.
fn region(code: &str) -> Option<String> {
    const AREAS: [(&str, &str); 12] = [
        ("usg", "us-gov"),
        ("us", "us"),
        ("eu", "eu"),
        ("ap", "ap"),
        ("sa", "sa"),
        ("ca", "ca"),
        ("me", "me"),
        ("af", "af"),
        ("cn", "cn"),
        ("il", "il"),
        ("mx", "mx"),
        ("uk", "uk"),
    ];
    const DIRECTIONS: [(&str, &str); 9] = [
        ("ne", "northeast"),
        ("nw", "northwest"),
        ("se", "southeast"),
        ("sw", "southwest"),
        ("n", "north"),
        ("e", "east"),
        ("s", "south"),
        ("w", "west"),
        ("c", "central"),
    ];
    // The one code that does not spell its region: Ningxia's, in NAME.ID.0001.cnw1.cache.amazonaws.com.cn.
    if code == "cnw1" {
        return Some("cn-northwest-1".to_owned());
    }
    let number = code.chars().last().filter(char::is_ascii_digit)?;
    let letters = code.strip_suffix(number)?;
    if code.contains('-') {
        return (code.matches('-').count() == 2).then(|| code.to_owned());
    }
    AREAS.iter().find_map(|(short, area)| {
        let rest = letters.strip_prefix(short)?;
        let (_, direction) = DIRECTIONS.iter().find(|(short, _)| *short == rest)?;
        Some(format!("{area}-{direction}-{number}"))
    })
}

impl EndpointKind {
    /// The word in `ping --json`.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Primary => "elasticache-primary",
            Self::Reader => "elasticache-reader",
            Self::Node => "elasticache-node",
            Self::Configuration => "elasticache-configuration",
            Self::Serverless => "elasticache-serverless",
            Self::Memcached => "elasticache-memcached",
            Self::MemoryDb => "memorydb",
        }
    }
}

impl EndpointHint {
    /// What the name suggests about a URL with it, a hint a line.
    #[must_use]
    pub(crate) fn hints(&self, tls: bool, port: Option<u16>) -> Vec<String> {
        let mut hints = self.mismatches(tls, port);
        match self.kind {
            EndpointKind::Configuration | EndpointKind::Serverless | EndpointKind::MemoryDb => {
                hints.push(
                    "the name suggests cluster mode: clients must speak the cluster protocol".to_owned(),
                );
            }
            EndpointKind::Reader => {
                hints.push("the name suggests the reader endpoint, which takes no writes".to_owned());
            }
            EndpointKind::Memcached | EndpointKind::Primary | EndpointKind::Node => {}
        }
        hints
    }

    /// Where the name suggests another URL than the one it stands in: worth saying before a packet is sent.
    #[must_use]
    pub(crate) fn mismatches(&self, tls: bool, port: Option<u16>) -> Vec<String> {
        let mut mismatches = Vec::new();
        if self.kind == EndpointKind::Memcached {
            mismatches.push("the name suggests Memcached, which is another service than Redis".to_owned());
        } else if self.tls && !tls {
            mismatches
                .push("the name suggests an endpoint with TLS: its URL begins with rediss://".to_owned());
        } else if tls && !self.tls {
            mismatches
                .push("the name suggests an endpoint without TLS: its URL begins with redis://".to_owned());
        }
        if let Some(port) = port.filter(|port| !matches!(port, 6379 | 6380)) {
            let usual = if self.kind == EndpointKind::Serverless {
                "6379, and 6380 for readers"
            } else {
                "6379"
            };
            let service = if port == MEMCACHED_PORT {
                "port 11211 is Memcached's".to_owned()
            } else {
                format!("port {port} is unusual for such an endpoint")
            };
            mismatches.push(format!("{service}: the usual one is {usual}"));
        }
        mismatches
    }
}

const MEMCACHED_PORT: u16 = 11211;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_endpoint_is_told_apart() {
        for (host, kind, tls, region) in [
            (
                "shop.x1y2z3.ng.0001.use1.cache.amazonaws.com",
                EndpointKind::Primary,
                false,
                "us-east-1",
            ),
            (
                "shop-ro.x1y2z3.ng.0001.euw1.cache.amazonaws.com",
                EndpointKind::Reader,
                false,
                "eu-west-1",
            ),
            (
                "shop.x1y2z3.0001.apne1.cache.amazonaws.com",
                EndpointKind::Node,
                false,
                "ap-northeast-1",
            ),
            (
                "shop-001.x1y2z3.0001.euc1.cache.amazonaws.com",
                EndpointKind::Node,
                false,
                "eu-central-1",
            ),
            (
                "shop.x1y2z3.clustercfg.use2.cache.amazonaws.com",
                EndpointKind::Configuration,
                false,
                "us-east-2",
            ),
            (
                "clustercfg.shop.x1y2z3.use2.cache.amazonaws.com",
                EndpointKind::Configuration,
                true,
                "us-east-2",
            ),
            (
                "master.shop.x1y2z3.usw2.cache.amazonaws.com",
                EndpointKind::Primary,
                true,
                "us-west-2",
            ),
            (
                "replica.shop.x1y2z3.usw2.cache.amazonaws.com",
                EndpointKind::Reader,
                true,
                "us-west-2",
            ),
            (
                "shop-x1y2z3.serverless.use1.cache.amazonaws.com",
                EndpointKind::Serverless,
                true,
                "us-east-1",
            ),
            (
                "shop.x1y2z3.cfg.use1.cache.amazonaws.com",
                EndpointKind::Memcached,
                false,
                "us-east-1",
            ),
            (
                "shop.x1y2z3.ng.0001.cnn1.cache.amazonaws.com.cn",
                EndpointKind::Primary,
                false,
                "cn-north-1",
            ),
            (
                "shop-001.shop.x1y2z3.euc1.cache.amazonaws.com",
                EndpointKind::Node,
                true,
                "eu-central-1",
            ),
            (
                "shop-0001-002.shop.x1y2z3.usgw1.cache.amazonaws.com",
                EndpointKind::Node,
                true,
                "us-gov-west-1",
            ),
            (
                "shop-0001-002.x1y2z3.0001.aps1.cache.amazonaws.com",
                EndpointKind::Node,
                false,
                "ap-south-1",
            ),
            (
                "master.shop.x1y2z3.cnw1.cache.amazonaws.com.cn",
                EndpointKind::Primary,
                true,
                "cn-northwest-1",
            ),
            (
                "clustercfg.shop.x1y2z3.memorydb.us-east-1.amazonaws.com",
                EndpointKind::MemoryDb,
                true,
                "us-east-1",
            ),
            (
                "shop.x1y2z3.clustercfg.memorydb.us-east-1.amazonaws.com",
                EndpointKind::MemoryDb,
                false,
                "us-east-1",
            ),
            (
                "shop-0001-001.x1y2z3.0001.memorydb.eu-west-1.amazonaws.com",
                EndpointKind::MemoryDb,
                false,
                "eu-west-1",
            ),
            (
                "shop-0001-001.shop.x1y2z3.memorydb.eu-west-1.amazonaws.com",
                EndpointKind::MemoryDb,
                true,
                "eu-west-1",
            ),
        ] {
            let hint = endpoint_hint(host).expect(host);
            assert_eq!(
                (hint.kind, hint.tls, hint.region.as_deref()),
                (kind, tls, Some(region)),
                "{host}"
            );
        }
        for host in [
            "cache.example",
            "10.0.0.1",
            "localhost",
            "ec2.amazonaws.com",
            "s3.us-east-1.amazonaws.com",
        ] {
            assert_eq!(endpoint_hint(host), None, "{host}");
        }
    }

    #[test]
    fn a_name_that_does_not_go_with_its_url_is_worth_a_hint() {
        let first = |name: &str, tls, port| {
            let hint = endpoint_hint(&format!("{name}.amazonaws.com")).unwrap();
            hint.mismatches(tls, Some(port)).into_iter().next()
        };
        let with_tls = "master.shop.x1y2z3.usw2.cache";
        let without = "shop.x1y2z3.ng.0001.usw2.cache";
        assert!(first(with_tls, false, 6379).unwrap().contains("rediss://"));
        assert!(first(without, true, 6379).unwrap().contains("redis://"));
        assert_eq!(first(with_tls, true, 6379), None);
        assert_eq!(first(without, false, 6379), None);
        assert!(first(without, false, 11211).unwrap().contains("Memcached"));
        assert!(
            first("shop.x1y2z3.cfg.usw2.cache", false, 6379)
                .unwrap()
                .contains("Memcached")
        );
    }
}

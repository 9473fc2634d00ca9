//! What a host name tells before a packet is sent: the endpoint grammar of Amazon ElastiCache and MemoryDB.
//!
//! Forms: <https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Endpoints.html>. A name only suggests.

use std::fmt::Write as _;

/// What a name is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `NAME.ID.ng.0001.REGION.cache…` or `master.NAME…`: always the current primary.
    Primary,
    /// `NAME-ro.ID.ng.0001…` or `replica.NAME…`: spread over the replicas, read only.
    Reader,
    /// `NAME.ID.0001…` or `NAME-001.…`: one node, whatever its role.
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
pub struct Hint {
    /// What the name is the name of.
    pub kind: Kind,
    /// Whether the form of the name is one that only endpoints with TLS have.
    pub tls: bool,
    /// The AWS region, where the name's code for it is known.
    pub region: Option<String>,
}

/// Reads a host name; `None` where it has no form of AWS's.
#[must_use]
pub fn read(host: &str) -> Option<Hint> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let bare = host
        .strip_suffix(".amazonaws.com")
        .or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    if let Some(front) = bare
        .strip_prefix("clustercfg.")
        .and_then(|rest| rest.split_once(".memorydb."))
    {
        return Some(Hint {
            kind: Kind::MemoryDb,
            tls: true,
            region: Some(front.1.to_owned()),
        });
    }
    if let Some((_, region)) = bare.split_once(".memorydb.") {
        return Some(Hint {
            kind: Kind::MemoryDb,
            tls: true,
            region: Some(region.to_owned()),
        });
    }
    let labels: Vec<&str> = bare.strip_suffix(".cache").unwrap_or(bare).split('.').collect();
    if labels.contains(&"cache") || bare.ends_with(".cache") {
        let (kind, tls) = kind_of(&labels);
        return Some(Hint {
            kind,
            tls,
            region: labels.iter().rev().find_map(|label| region(label)),
        });
    }
    None
}

fn kind_of(labels: &[&str]) -> (Kind, bool) {
    let first = labels.first().copied().unwrap_or_default();
    let is_group = labels.contains(&"ng");
    match first {
        _ if labels.contains(&"serverless") => (Kind::Serverless, true),
        _ if labels.contains(&"cfg") => (Kind::Memcached, false),
        // Without TLS the label comes after the name, with TLS before it.
        "clustercfg" => (Kind::Configuration, true),
        _ if labels.contains(&"clustercfg") => (Kind::Configuration, false),
        "master" => (Kind::Primary, true),
        "replica" => (Kind::Reader, true),
        _ if first.ends_with("-ro") && is_group => (Kind::Reader, false),
        _ if is_group => (Kind::Primary, false),
        _ => (Kind::Node, false),
    }
}

/// `use1` → `us-east-1`. The code is the first letters of the area, then of the direction, then the number.
fn region(code: &str) -> Option<String> {
    const AREAS: [(&str, &str); 13] = [
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
        ("as", "as"),
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

impl Kind {
    /// The word in `ping --json`.
    #[must_use]
    pub fn name(self) -> &'static str {
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

impl Hint {
    /// What the name suggests about a URL with it, a hint a line.
    #[must_use]
    pub fn hints(&self, tls: bool, port: Option<u16>) -> Vec<String> {
        let mut hints = Vec::new();
        let is_with_tls = self.tls;
        if is_with_tls && !tls {
            hints.push("the name suggests an endpoint with TLS: its URL begins with rediss://".to_owned());
        }
        match self.kind {
            Kind::Configuration | Kind::Serverless | Kind::MemoryDb => {
                hints.push(
                    "the name suggests cluster mode: clients must speak the cluster protocol".to_owned(),
                );
            }
            Kind::Memcached => {
                hints.push("the name suggests Memcached, which is another service than Redis".to_owned());
            }
            Kind::Reader => {
                hints.push("the name suggests the reader endpoint, which takes no writes".to_owned());
            }
            Kind::Primary | Kind::Node => {}
        }
        if let Some(port) = port.filter(|port| !matches!(port, 6379 | 6380)) {
            let mut words = format!("port {port} is unusual for such an endpoint");
            let usual = if self.kind == Kind::Serverless {
                "6379, and 6380 for readers"
            } else {
                "6379"
            };
            // Writing to a String cannot fail.
            let _ = write!(words, ": the usual one is {usual}");
            hints.push(words);
        }
        hints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_endpoint_is_told_apart() {
        for (host, kind, tls, region) in [
            (
                "shop.x1y2z3.ng.0001.use1.cache.amazonaws.com",
                Kind::Primary,
                false,
                "us-east-1",
            ),
            (
                "shop-ro.x1y2z3.ng.0001.euw1.cache.amazonaws.com",
                Kind::Reader,
                false,
                "eu-west-1",
            ),
            (
                "shop.x1y2z3.0001.apne1.cache.amazonaws.com",
                Kind::Node,
                false,
                "ap-northeast-1",
            ),
            (
                "shop-001.x1y2z3.0001.euc1.cache.amazonaws.com",
                Kind::Node,
                false,
                "eu-central-1",
            ),
            (
                "shop.x1y2z3.clustercfg.use2.cache.amazonaws.com",
                Kind::Configuration,
                false,
                "us-east-2",
            ),
            (
                "clustercfg.shop.x1y2z3.use2.cache.amazonaws.com",
                Kind::Configuration,
                true,
                "us-east-2",
            ),
            (
                "master.shop.x1y2z3.usw2.cache.amazonaws.com",
                Kind::Primary,
                true,
                "us-west-2",
            ),
            (
                "replica.shop.x1y2z3.usw2.cache.amazonaws.com",
                Kind::Reader,
                true,
                "us-west-2",
            ),
            (
                "shop-x1y2z3.serverless.use1.cache.amazonaws.com",
                Kind::Serverless,
                true,
                "us-east-1",
            ),
            (
                "shop.x1y2z3.cfg.use1.cache.amazonaws.com",
                Kind::Memcached,
                false,
                "us-east-1",
            ),
            (
                "shop.x1y2z3.ng.0001.cnn1.cache.amazonaws.com.cn",
                Kind::Primary,
                false,
                "cn-north-1",
            ),
            (
                "clustercfg.shop.x1y2z3.memorydb.us-east-1.amazonaws.com",
                Kind::MemoryDb,
                true,
                "us-east-1",
            ),
        ] {
            let hint = read(host).expect(host);
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
            assert_eq!(read(host), None, "{host}");
        }
    }

    #[test]
    fn a_name_with_tls_in_a_plain_url_is_worth_a_hint() {
        let hint = read("master.shop.x1y2z3.usw2.cache.amazonaws.com").unwrap();
        assert!(hint.hints(false, Some(6379))[0].contains("suggests"));
        assert!(hint.hints(true, Some(6379)).is_empty());
    }
}

//! Recognises endpoints of Amazon ElastiCache and MemoryDB from their host names alone.
//!
//! Source of the names' forms: <https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Endpoints.html>.

use EndpointKind::{Configuration, Memcached, MemoryDb, Node, Primary, Reader, Serverless};

/// The kind of endpoint to which a host name belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndpointKind {
    /// A name that always resolves to the current primary.
    Primary,
    /// A name that distributes connections over the replicas, which are read-only.
    Reader,
    /// A name that resolves to one node, which can be a primary or a replica.
    Node,
    /// The name of a cluster, which only cluster clients can use.
    Configuration,
    /// The name of a serverless cache, which always uses TLS and cluster mode.
    Serverless,
    Memcached,
    /// The name of a MemoryDB endpoint, which always uses cluster mode.
    MemoryDb,
}

/// Patterns of host names without their ending `.amazonaws.com`, each with the kind of endpoint and whether
/// it uses TLS. The first pattern that matches is used.
///
/// `*` matches one label, `**` matches one or more labels, `#` matches a four-digit shard number, and `R`
/// matches the region.
const PATTERNS: [(&str, EndpointKind, bool); 14] = [
    ("**.serverless.R.cache", Serverless, true),
    ("**.cfg.R.cache", Memcached, false),
    ("clustercfg.*.*.R.cache", Configuration, true),
    ("**.clustercfg.R.cache", Configuration, false),
    ("master.*.*.R.cache", Primary, true),
    ("replica.*.*.R.cache", Reader, true),
    ("*-ro.*.ng.#.R.cache", Reader, false),
    ("**.ng.#.R.cache", Primary, false),
    ("**.#.R.cache", Node, false),
    ("*.*.*.R.cache", Node, true),
    ("**.R.cache", Node, false),
    ("**.clustercfg.memorydb.R", MemoryDb, false),
    ("**.#.memorydb.R", MemoryDb, false),
    ("**.memorydb.R", MemoryDb, true),
];

/// What a host name suggests about an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointHint {
    pub kind: EndpointKind,
    /// Whether endpoints with this form of name use TLS.
    pub tls: bool,
    /// The AWS region, if the name contains a known region code.
    pub region: Option<String>,
}

/// Returns what a host name suggests about its endpoint. Returns `None` if it is not the name of an
/// ElastiCache or MemoryDB endpoint.
pub(crate) fn endpoint_hint(host: &str) -> Option<EndpointHint> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let name = host
        .strip_suffix(".amazonaws.com")
        .or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    PATTERNS.iter().find_map(|(pattern, kind, tls)| {
        let code = match_pattern(pattern, name)?;
        Some(EndpointHint {
            kind: *kind,
            tls: *tls,
            region: region(code),
        })
    })
}

/// Whether `host` is the name of a public endpoint of a serverless cache. Such an endpoint is reached over
/// the internet, and has neither a VPC nor security groups. It requires TLS 1.3, and a login with an IAM
/// token before any other command.
pub(crate) fn is_public_serverless(host: &str) -> bool {
    let is_serverless = endpoint_hint(host).is_some_and(|hint| hint.kind == Serverless);
    is_serverless && host.to_ascii_lowercase().contains(".public.serverless.")
}

/// Compares a pattern and a name label by label, starting at the end. Returns the label that matched `R`, or
/// `None` if the pattern does not match.
fn match_pattern<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    let mut labels = name.rsplit('.');
    let mut region = "";
    for wanted in pattern.rsplit('.') {
        if wanted == "**" {
            return labels.next().map(|_| region);
        }
        let label = labels.next()?;
        let matches = match wanted {
            "*" => true,
            "R" => {
                region = label;
                true
            }
            "#" => label.len() == 4 && label.bytes().all(|byte| byte.is_ascii_digit()),
            _ => match wanted.strip_prefix('*') {
                Some(suffix) => label.ends_with(suffix),
                None => label == wanted,
            },
        };
        if !matches {
            return None;
        }
    }
    labels.next().is_none().then_some(region)
}

/// Expands a region code, such as `use1` to `us-east-1`. Returns `None` for an unknown code. A code consists
/// of abbreviations of the area and the direction, followed by a number.
fn region(code: &str) -> Option<String> {
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
    // The code for Ningxia is the only irregular one.
    if code == "cnw1" {
        return Some("cn-northwest-1".to_owned());
    }
    let number = code.chars().last().filter(char::is_ascii_digit)?;
    let letters = code.strip_suffix(number)?;
    if code.contains('-') {
        return Some(code.to_owned());
    }
    let (area, rest) = match letters.strip_prefix("usg") {
        Some(rest) => ("us-gov", rest),
        None => letters.split_at_checked(2)?,
    };
    let (_, direction) = DIRECTIONS.iter().find(|(short, _)| *short == rest)?;
    Some(format!("{area}-{direction}-{number}"))
}

impl EndpointKind {
    /// Returns the value that `ping --json` prints.
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
    /// Returns hints about the endpoint, one per line. `tls` and `port` must be those of the URL.
    ///
    /// `tls` is `None` if the server has shown whether it speaks TLS.
    pub(crate) fn hints(&self, tls: Option<bool>, port: Option<u16>) -> Vec<String> {
        let mut hints = self.mismatches(tls, port);
        let hint = match self.kind {
            Configuration | Serverless | MemoryDb => {
                Some("the name suggests cluster mode: if so, clients must use the cluster protocol")
            }
            Reader => Some("the name suggests a reader endpoint, which rejects writes"),
            Memcached | Primary | Node => None,
        };
        hints.extend(hint.map(str::to_owned));
        hints
    }

    /// Describes the parts of the URL that do not match its host name. `tls` and `port` must be those of the
    /// URL. If `tls` is `None`, says nothing about TLS.
    pub(crate) fn mismatches(&self, tls: Option<bool>, port: Option<u16>) -> Vec<String> {
        let mut mismatches = Vec::new();
        if self.kind == Memcached {
            mismatches.push("the name suggests Memcached, which is not Redis".to_owned());
        } else if self.tls && tls == Some(false) {
            mismatches.push("the name suggests an endpoint with TLS: use rediss://".to_owned());
        } else if !self.tls && tls == Some(true) {
            mismatches.push("the name suggests an endpoint without TLS: use redis://".to_owned());
        }
        if let Some(port) = port.filter(|port| !matches!(port, 6379 | 6380)) {
            let is_serverless = self.kind == Serverless;
            let usual = if is_serverless {
                "6379, or 6380 for reads"
            } else {
                "6379"
            };
            let service = if port == MEMCACHED_PORT {
                "port 11211 is the Memcached port".to_owned()
            } else {
                format!("port {port} is unusual for such an endpoint")
            };
            mismatches.push(format!("{service}; the usual port is {usual}"));
        }
        mismatches
    }
}

const MEMCACHED_PORT: u16 = 11211;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_endpoints_are_recognised_by_their_name() {
        for (host, expected) in [
            ("shop-x1y2z3.public.serverless.euc1.cache.amazonaws.com", true),
            ("Shop-x1y2z3.PUBLIC.serverless.euc1.cache.amazonaws.com.", true),
            ("shop-x1y2z3.serverless.euc1.cache.amazonaws.com", false),
            ("public.shop.x1y2z3.euc1.cache.amazonaws.com", false),
            ("shop.public.serverless.example", false),
        ] {
            assert_eq!(is_public_serverless(host), expected, "{host}");
        }
    }

    #[test]
    fn every_form_of_endpoint_is_recognised() {
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
    fn a_url_that_does_not_match_its_host_name_gets_a_hint() {
        let first = |name: &str, tls, port| {
            let hint = endpoint_hint(&format!("{name}.amazonaws.com")).unwrap();
            hint.mismatches(Some(tls), Some(port)).into_iter().next()
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

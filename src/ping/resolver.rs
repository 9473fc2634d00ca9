//! The name servers and search domains of this system, as its own resolver reads them, and its table of hosts.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The system's name servers and search domains (`resolv.conf(5)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolvers {
    /// In the order of the file; glibc uses the first three.
    pub servers: Vec<SocketAddr>,
    /// Whether the file names none, or is missing: glibc then asks this very host.
    pub is_unconfigured: bool,
    search: Vec<String>,
    ndots: usize,
}

/// glibc's `MAXNS`.
const MOST_SERVERS: usize = 3;
const DNS_PORT: u16 = 53;

impl Resolvers {
    /// What `/etc/resolv.conf` says; without one, a name server on this host, as in glibc.
    #[must_use]
    pub(super) fn of_system() -> Self {
        Self::parse(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let mut found = Self {
            servers: Vec::new(),
            is_unconfigured: false,
            search: Vec::new(),
            ndots: 1,
        };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(read_address);
                    found
                        .servers
                        .extend(address.filter(|_| found.servers.len() < MOST_SERVERS));
                }
                Some("search" | "domain") => found.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let ndots = words.find_map(|word| word.strip_prefix("ndots:"));
                    found.ndots = ndots
                        .and_then(|number| number.parse().ok())
                        .unwrap_or(found.ndots);
                }
                _ => {}
            }
        }
        if found.servers.is_empty() {
            found.is_unconfigured = true;
            found
                .servers
                .push(SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT)));
        }
        found
    }

    /// The full names that the system would ask for, in its order.
    #[must_use]
    pub(super) fn candidates(&self, host: &str) -> Vec<String> {
        if host.ends_with('.') {
            return vec![host.to_owned()];
        }
        let plain = format!("{host}.");
        let mut names: Vec<String> = self
            .search
            .iter()
            .map(|domain| format!("{host}.{}.", domain.trim_matches('.')))
            .collect();
        if host.matches('.').count() >= self.ndots {
            names.insert(0, plain);
        } else {
            names.push(plain);
        }
        names
    }

    /// How many of the candidates, from the first on, may be the name that was meant. A full name is meant as it is,
    /// before the search domains are tried; a single word is meant in them, and not as a name of its own.
    #[must_use]
    pub(super) fn meant(&self, host: &str) -> usize {
        match host.matches('.').count() {
            dots if dots >= self.ndots => 1,
            0 => self.search.len().max(1),
            _ => self.search.len() + 1,
        }
    }
}

/// The address that `/etc/hosts` (`hosts(5)`) gives the name, where it names it.
#[must_use]
pub(super) fn in_hosts_file(host: &str) -> Option<IpAddr> {
    listed(&fs::read_to_string("/etc/hosts").ok()?, host)
}

fn listed(table: &str, host: &str) -> Option<IpAddr> {
    let host = host.trim_end_matches('.');
    table.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words
            .any(|name| name.eq_ignore_ascii_case(host))
            .then_some(address)
    })
}

fn read_address(word: &str) -> Option<SocketAddr> {
    if let Some((address, zone)) = word.split_once('%') {
        // A link-local server is reached by the number of its interface only; a name of one is not looked up.
        let scope = zone.parse().ok()?;
        return Some(SocketAddr::V6(std::net::SocketAddrV6::new(
            address.parse().ok()?,
            DNS_PORT,
            0,
            scope,
        )));
    }
    Some(SocketAddr::new(word.parse::<IpAddr>().ok()?, DNS_PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_tried_in_the_search_domains_first() {
        let resolvers =
            Resolvers::parse("nameserver 10.0.0.2\nsearch a.example b.example\noptions ndots:2\n");
        assert_eq!(resolvers.servers, ["10.0.0.2:53".parse().unwrap()]);
        assert_eq!(
            resolvers.candidates("cache"),
            ["cache.a.example.", "cache.b.example.", "cache."]
        );
        assert_eq!(resolvers.candidates("x.y.z")[0], "x.y.z.");
        assert_eq!(resolvers.meant("cache"), 2);
        assert_eq!(resolvers.meant("x.y"), 3);
        assert_eq!(resolvers.meant("x.y.z"), 1);
        assert_eq!(resolvers.candidates("cache."), ["cache."]);
    }

    #[test]
    fn without_a_resolv_conf_this_host_is_asked() {
        assert_eq!(
            Resolvers::parse("# nothing\n").servers,
            ["127.0.0.1:53".parse().unwrap()]
        );
        assert!(Resolvers::parse("").is_unconfigured);
        let link_local = Resolvers::parse("nameserver fe80::1%2\n");
        assert!(link_local.servers.len() == 1 && !link_local.is_unconfigured);
    }

    #[test]
    fn the_hosts_file_is_read_without_its_comments() {
        let table = "127.0.0.1 localhost\n# 10.0.0.1 Cache.example\n10.0.0.2 db cache.example # 10.0.0.3\n";
        assert_eq!(listed(table, "CACHE.example."), Some("10.0.0.2".parse().unwrap()));
        assert_eq!(listed(table, "other.example"), None);
    }

    mod any_text {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #[test]
            fn is_a_configuration(text in "((nameserver|search|domain|options|#)[ -~\t]{0,30}\n|.{0,20}\n){0,8}", host in "[a-z.%-]{0,20}") {
                let resolvers = Resolvers::parse(&text);
                prop_assert!((1..=MOST_SERVERS).contains(&resolvers.servers.len()));
                prop_assert!(!resolvers.candidates(&host).is_empty());
                prop_assert!(resolvers.meant(&host) > 0);
            }
        }
    }
}

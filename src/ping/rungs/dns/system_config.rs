//! Reads this system's DNS configuration: `/etc/resolv.conf`, `/etc/hosts` and `/etc/nsswitch.conf`.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

use resolv_conf::{Config, ScopedIp};

use crate::ping::observation::{FileLine, HostsEntry, SearchDomains};
use crate::ping::rungs::tcp::errno_text;
use crate::sanitize;

/// The system's name servers and search domains (`resolv.conf(5)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SystemConfig {
    /// The first three name servers in `/etc/resolv.conf`. glibc uses no more.
    pub servers: Vec<SocketAddr>,
    /// The number of further name servers in the file.
    pub ignored_servers: usize,
    /// Whether `/etc/resolv.conf` is missing or names no server. Like glibc, this program then queries a
    /// server on this host.
    pub is_unconfigured: bool,
    /// The setting of the search domains, if there is one.
    pub search_domains: Option<SearchDomains>,
    search: Vec<String>,
    ndots: usize,
}

/// The maximum number of name servers that glibc uses (`MAXNS`).
const MOST_SERVERS: usize = 3;
const DNS_PORT: u16 = 53;

impl SystemConfig {
    pub(super) fn read() -> Self {
        let text = fs::read_to_string("/etc/resolv.conf");
        let is_unreadable = text
            .as_ref()
            .is_err_and(|error| error.kind() != io::ErrorKind::NotFound);
        let mut config = Self::parse(&text.unwrap_or_default());
        config.is_unconfigured &= !is_unreadable;
        match std::env::var("LOCALDOMAIN") {
            // musl ignores this variable.
            Ok(domains) if !cfg!(target_env = "musl") => config.with_local_domain(&domains),
            _ => config,
        }
    }

    /// Replaces the search domains with those in the environment variable `LOCALDOMAIN`, separated by spaces.
    fn with_local_domain(mut self, domains: &str) -> Self {
        self.search = domains.split_whitespace().map(ToOwned::to_owned).collect();
        self.search_domains = Some(SearchDomains::Variable(
            sanitize::line(domains.trim()).into_owned(),
        ));
        self
    }

    fn parse(text: &str) -> Self {
        // Like glibc, ignore invalid lines.
        let (config, _) = Config::parse_with_errors(text.as_bytes());
        let mut servers: Vec<_> = config.nameservers.iter().filter_map(socket_address).collect();
        let ignored_servers = servers.len().saturating_sub(MOST_SERVERS);
        servers.truncate(MOST_SERVERS);
        let is_unconfigured = servers.is_empty();
        if is_unconfigured {
            servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT)));
        }
        // If several lines set search domains, the last one applies.
        let search_line = lines(text)
            .filter(|(_, line)| has_keyword(line, &["search", "domain"]))
            .last();
        Self {
            servers,
            ignored_servers,
            is_unconfigured,
            search_domains: search_line.map(|line| SearchDomains::Line(file_line(line))),
            search: config
                .get_last_search_or_domain()
                .map(ToString::to_string)
                .collect(),
            ndots: usize::try_from(config.ndots).unwrap_or(usize::MAX),
        }
    }

    /// Returns the fully qualified names for `host`, in the order in which the system's resolver tries them.
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

    /// Returns the number of names at the start of [`Self::candidates`] that the user may have meant.
    ///
    /// If the host name has at least `ndots` dots, this is only the name itself. If it is a single word,
    /// these are only the names with a search domain.
    pub(super) fn plausible_candidates(&self, host: &str) -> usize {
        match host.matches('.').count() {
            dots if dots >= self.ndots => 1,
            0 => self.search.len().max(1),
            _ => self.search.len() + 1,
        }
    }
}

fn socket_address(server: &ScopedIp) -> Option<SocketAddr> {
    match server {
        ScopedIp::V4(address) => Some((*address, DNS_PORT).into()),
        ScopedIp::V6(address, None) => Some((*address, DNS_PORT).into()),
        // The zone must be the number of an interface, not its name.
        ScopedIp::V6(address, Some(zone)) => {
            Some(SocketAddrV6::new(*address, DNS_PORT, 0, zone.parse().ok()?).into())
        }
    }
}

/// Returns the lines of a file, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

fn has_keyword(line: &str, keywords: &[&str]) -> bool {
    line.split_whitespace()
        .next()
        .is_some_and(|word| keywords.contains(&word))
}

fn file_line((number, line): (usize, &str)) -> FileLine {
    FileLine {
        number,
        text: sanitize::line(line.trim()).into_owned(),
    }
}

/// Returns the files with this system's DNS configuration that exist, but cannot be read.
pub(super) fn unreadable_files() -> Vec<(&'static str, String)> {
    let error = |path| match File::open(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Some((path, errno_text(&error))),
        _ => None,
    };
    ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"]
        .into_iter()
        .filter_map(error)
        .collect()
}

/// Returns the entry for `host` in `/etc/hosts` (`hosts(5)`), if there is one. If there are several, returns
/// the entry with the address `preferred`, or the first.
pub(super) fn in_hosts_file(host: &str, preferred: Option<IpAddr>) -> Option<HostsEntry> {
    let all = listed(&fs::read_to_string("/etc/hosts").ok()?, host);
    let is_preferred = |entry: &&HostsEntry| Some(entry.address) == preferred;
    all.iter().find(is_preferred).or(all.first()).cloned()
}

fn listed(table: &str, host: &str) -> Vec<HostsEntry> {
    let host = host.trim_end_matches('.');
    let entries = lines(table).filter_map(|(line, text)| {
        let mut words = text.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        let names: Vec<_> = words.collect();
        let is_listed = names.iter().any(|name| name.eq_ignore_ascii_case(host));
        is_listed.then_some(HostsEntry {
            line,
            address,
            is_shared: names.len() > 1,
        })
    });
    entries.collect()
}

/// Returns the `hosts:` line of `/etc/nsswitch.conf` (`nsswitch.conf(5)`), which lists the sources for host
/// names. Returns `None` if there is no such line.
pub(super) fn hosts_sources() -> Option<FileLine> {
    let text = fs::read_to_string("/etc/nsswitch.conf").ok()?;
    lines(&text)
        .find(|(_, line)| line.trim_start().starts_with("hosts:"))
        .map(file_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_tried_in_the_search_domains_first() {
        let config =
            SystemConfig::parse("nameserver 10.0.0.2\nsearch a.example b.example\noptions ndots:2\n");
        assert_eq!(config.servers, ["10.0.0.2:53".parse().unwrap()]);
        assert_eq!(
            config.candidates("cache"),
            ["cache.a.example.", "cache.b.example.", "cache."]
        );
        assert_eq!(config.candidates("x.y.z")[0], "x.y.z.");
        assert_eq!(config.plausible_candidates("cache"), 2);
        assert_eq!(config.plausible_candidates("x.y"), 3);
        assert_eq!(config.plausible_candidates("x.y.z"), 1);
        assert_eq!(config.candidates("cache."), ["cache."]);
    }

    #[test]
    fn the_variable_localdomain_replaces_the_search_domains() {
        let config = SystemConfig::parse("nameserver 10.0.0.2\nsearch a.example\n");
        let config = config.with_local_domain("b.example c.example");
        assert_eq!(
            config.candidates("cache"),
            ["cache.b.example.", "cache.c.example.", "cache."]
        );
        assert!(matches!(config.search_domains, Some(SearchDomains::Variable(_))));
    }

    #[test]
    fn without_a_resolv_conf_this_host_is_queried() {
        assert_eq!(
            SystemConfig::parse("# nothing\n").servers,
            ["127.0.0.1:53".parse().unwrap()]
        );
        assert!(SystemConfig::parse("").is_unconfigured);
        let four = SystemConfig::parse(&"nameserver 10.0.0.2\n".repeat(4));
        assert_eq!((four.servers.len(), four.ignored_servers), (3, 1));
        let link_local = SystemConfig::parse("nameserver fe80::1%2\n");
        assert!(link_local.servers.len() == 1 && !link_local.is_unconfigured);
    }

    #[test]
    fn the_hosts_file_is_read_without_its_comments() {
        let table = "127.0.0.1 localhost\n# 10.0.0.1 Cache.example\n10.0.0.2 db cache.example # 10.0.0.3\n";
        let entries = listed(table, "CACHE.example.");
        let [entry] = &entries[..] else {
            panic!("{entries:?}")
        };
        assert_eq!((entry.address, entry.line), ("10.0.0.2".parse().unwrap(), 3));
        assert!(entry.is_shared && !listed(table, "localhost")[0].is_shared);
        assert_eq!(listed(table, "other.example"), []);
    }

    mod any_text {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #[test]
            fn is_a_configuration(text in "((nameserver|search|domain|options|#)[ -~\t]{0,30}\n|.{0,20}\n){0,8}", host in "[a-z.%-]{0,20}") {
                let config = SystemConfig::parse(&text);
                prop_assert!((1..=MOST_SERVERS).contains(&config.servers.len()));
                prop_assert!(!config.candidates(&host).is_empty());
                prop_assert!(config.plausible_candidates(&host) > 0);
            }
        }
    }
}

//! Defines the observations about the lookup of the host name.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The result of a lookup by the system's resolver, which most applications use. After a failed or slow
/// lookup, `servers` also contains the answer of each name server.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    /// The addresses, in the order in which the system's resolver returned them.
    pub addresses: Vec<IpAddr>,
    /// The error message of the system's resolver, if the lookup failed.
    pub fault: Option<String>,
    /// Whether the system's resolver was too slow: either the deadline passed, or a name server answered this
    /// program first.
    pub system_timed_out: bool,
    /// The name servers' answers to this program's own queries.
    pub servers: Vec<NameServer>,
    /// Whether no name server is configured, so that only a name server on this host was queried.
    pub is_unconfigured: bool,
    /// The number of name servers in `/etc/resolv.conf` that the system's resolver ignores, because it uses only
    /// the first three.
    pub ignored_servers: usize,
    /// The canonical name, if the host name is an alias (CNAME).
    pub alias: Option<String>,
    /// The full name, if the resolver appended a search domain to the host name.
    pub completed: Option<CompletedName>,
    /// The host name's entry in `/etc/hosts`, which is read only if a check failed, or if an address of the
    /// host name does not work. If there are several entries, this is the first one. If only some addresses
    /// do not work, this is the entry with such an address.
    pub hosts_file: Option<HostsEntry>,
    /// The setting of the search domains, if there is one. Known only if the lookup failed.
    pub search: Option<SearchDomains>,
    /// The files with this system's DNS configuration that cannot be read, each with the error message. Known
    /// only if the lookup failed.
    pub unreadable: Vec<(&'static str, String)>,
    /// The `hosts:` line of `/etc/nsswitch.conf`, if the lookup failed.
    pub nsswitch: Option<FileLine>,
    /// The name of the resolver that this program uses, if most applications use a different one.
    pub other_resolver: Option<&'static str>,
    pub took: Duration,
}

impl Lookup {
    /// Returns the name to which the host name's CNAME points, if a name server says that this name does not exist.
    pub fn dangling_alias(&self) -> Option<&str> {
        self.servers.iter().find_map(|server| match &server.answer {
            NameAnswer::DanglingAlias(end) => Some(end.as_str()),
            _ => None,
        })
    }

    /// Returns the name to which the host name's CNAME points, if a name server says that this name has no address.
    pub fn empty_alias(&self) -> Option<&str> {
        self.servers.iter().find_map(|server| match &server.answer {
            NameAnswer::EmptyAlias(end) => Some(end.as_str()),
            _ => None,
        })
    }

    /// Whether this host has no route to any of its name servers.
    pub fn has_no_route(&self) -> bool {
        let is_one = |server: &NameServer| matches!(&server.answer, NameAnswer::Unreachable(error) if error.contains("network is unreachable"));
        !self.servers.is_empty() && self.servers.iter().all(is_one)
    }
}

/// The full host name that the resolver found with a search domain from `/etc/resolv.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedName {
    /// The full name, without a dot at the end.
    pub name: String,
    pub search: SearchDomains,
}

/// The setting of the search domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchDomains {
    /// A line of `/etc/resolv.conf`.
    Line(FileLine),
    /// The value of the environment variable `LOCALDOMAIN`, which replaces the line (`resolv.conf(5)`).
    Variable(String),
}

impl SearchDomains {
    /// Returns the setting as it was written.
    pub fn text(&self) -> &str {
        match self {
            Self::Line(line) => &line.text,
            Self::Variable(value) => value,
        }
    }
}

impl std::fmt::Display for SearchDomains {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(out, "line {} of /etc/resolv.conf", line.number),
            Self::Variable(_) => out.write_str("the environment variable LOCALDOMAIN"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLine {
    /// The number of the line in the file, counted from 1.
    pub number: usize,
    /// The text of the line in the file, made safe to print.
    pub text: String,
}

impl FileLine {
    /// Whether a line of `/etc/nsswitch.conf` lists this source, such as `dns`.
    pub fn sets_source(&self, source: &str) -> bool {
        let text = self.text.split('#').next().unwrap_or_default();
        text.split([' ', '\t', ':']).any(|word| word == source)
    }
}

/// An entry in `/etc/hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsEntry {
    /// The number of the line in the file, counted from 1.
    pub line: usize,
    pub address: IpAddr,
    /// Whether the line maps several names to the address.
    pub is_shared: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServer {
    pub address: SocketAddr,
    pub answer: NameAnswer,
    /// The record type (A or AAAA) that got no answer, if the other type got an answer.
    pub silent_about: Option<&'static str>,
    /// The time until the answer arrived or the wait ended.
    pub took: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameAnswer {
    Addresses(Vec<IpAddr>),
    /// The host name exists but has no address.
    NoAddress,
    /// The host name is an alias (CNAME), but the response contains no address. Contains the name to which
    /// the alias points.
    EmptyAlias(String),
    /// The host name does not exist (NXDOMAIN).
    NotFound,
    /// The host name is an alias (CNAME) for a name that does not exist. Contains the name that does not
    /// exist.
    DanglingAlias(String),
    /// The response code is an error other than NXDOMAIN, such as SERVFAIL or REFUSED.
    Refused(String),
    Timeout,
    /// The query could not be sent, or no server listens. Contains the error message.
    Unreachable(String),
    /// The response is too long for UDP, but the query over TCP failed (RFC 7766). Contains the reason.
    NoTcp(String),
    /// This host itself blocked the query. Contains the error message.
    Blocked(String),
    /// The server sent data that is not a DNS response to the query.
    Malformed,
}

impl NameAnswer {
    /// Whether the name server knows that there is no address.
    pub fn denies(&self) -> bool {
        matches!(
            self,
            Self::NoAddress | Self::EmptyAlias(_) | Self::NotFound | Self::DanglingAlias(_)
        )
    }
}

//! What the lookup of the host name found.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The result of the system's lookup, which applications use too, and, if it failed, the answer of each name server.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    /// The addresses found, in the order of the system's resolver.
    pub addresses: Vec<IpAddr>,
    /// The error message of the system's resolver.
    pub fault: Option<String>,
    /// Whether the system's resolver did not return before the deadline, or before a name server answered our own
    /// query.
    pub system_timed_out: bool,
    /// The answer of each name server to our own queries.
    pub servers: Vec<NameServer>,
    /// Whether no name server is configured, so that only one on this host was queried.
    pub is_unconfigured: bool,
    /// The name that has the addresses, if an alias (CNAME) leads from the host name to it.
    pub alias: Option<String>,
    /// The name that has the addresses, if a search domain completed the host name.
    pub completed: Option<CompletedName>,
    /// The name's entry in `/etc/hosts`, if the connection failed.
    pub hosts_file: Option<HostsEntry>,
    /// The `hosts:` line of `/etc/nsswitch.conf`, if the lookup failed.
    pub nsswitch: Option<FileLine>,
    pub took: Duration,
}

/// A host name that a search domain of `/etc/resolv.conf` completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedName {
    /// The full name, without a dot at its end.
    pub name: String,
    /// The line with the search domains.
    pub search: FileLine,
}

/// A line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLine {
    /// The number, counted from 1.
    pub number: usize,
    /// The line, made safe to print.
    pub text: String,
}

/// An entry of `/etc/hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsEntry {
    /// The number of the line, counted from 1.
    pub line: usize,
    pub address: IpAddr,
    /// Whether the line has other names too.
    pub is_shared: bool,
}

/// A name server and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServer {
    pub address: SocketAddr,
    pub answer: NameAnswer,
    /// The record type (A or AAAA) that got no answer, although the other did.
    pub silent_about: Option<&'static str>,
    /// The time until the answer or, without one, until we stopped waiting for it.
    pub took: Duration,
}

/// A name server's answer about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameAnswer {
    Addresses(Vec<IpAddr>),
    /// The name exists but has no address.
    NoAddress,
    /// NXDOMAIN.
    NotFound,
    /// The name is an alias (CNAME) of this name, which does not exist.
    DanglingAlias(String),
    /// Another response code, such as SERVFAIL or REFUSED.
    Refused(String),
    Timeout,
    /// The query could not be sent, or no server listens; the error message.
    Unreachable(String),
    /// This host itself blocked the query; its error message.
    Blocked(String),
    /// The data received is not a DNS response to the query.
    Malformed,
}

//! The connection attempts.

use std::net::SocketAddr;
use std::time::Duration;

use crate::os::Icmp;

/// The connection attempts to the target.
#[derive(Clone, Debug, Default)]
pub struct Connecting {
    /// The attempts, one per address.
    pub dials: Vec<Dial>,
    /// How long the attempts took together.
    pub took: Duration,
    /// The attempt to connect to the provider's port with TLS, if the URL has another port and no attempt succeeded.
    pub other_port: Option<Dial>,
    /// Retransmissions that this host's kernel could not send during the attempts.
    pub blocked_retransmissions: u64,
}

impl Connecting {
    /// The attempt that connected.
    pub fn connected(&self) -> Option<&Dial> {
        self.dials.iter().find(|dial| dial.is_connected())
    }

    /// How long the attempt took that connected.
    pub fn connect_time(&self) -> Option<Duration> {
        self.connected().map(|dial| dial.took)
    }

    /// The address that the connection uses; `None` for a unix socket.
    pub fn connected_address(&self) -> Option<SocketAddr> {
        self.connected()?.to.ip()
    }

    /// Whether the connection leads to this host itself.
    pub fn leads_to_this_host(&self) -> bool {
        let is_here = |dial: &Dial| dial.to.ip().is_none_or(|address| address.ip().is_loopback());
        self.connected().is_some_and(is_here)
    }

    /// How long connecting took, without the wait for other addresses: about one round trip.
    pub fn round_trip(&self) -> Duration {
        self.connected()
            .map_or(self.took, |dial| dial.took.min(self.took))
    }
}

/// One connection attempt.
#[derive(Clone, Debug)]
pub struct Dial {
    pub to: Endpoint,
    pub result: DialResult,
    pub took: Duration,
}

impl Dial {
    pub fn is_connected(&self) -> bool {
        self.result == DialResult::Connected
    }
}

/// The destination of a connection attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A unix socket's path, or a host name that could not be resolved; as text.
    Named(String),
}

impl Endpoint {
    /// The IP address and port, if it is one.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Named(_) => None,
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(out),
            Self::Named(name) => out.write_str(&crate::sanitize::line(name)),
        }
    }
}

/// How a connection attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialResult {
    /// Connected.
    Connected,
    /// RST or, for a unix socket, no listener.
    Refused,
    /// A firewall or a rule rejected it.
    Prohibited(ErrorSource),
    /// An ICMP error reports that the network or host is unreachable.
    Unreachable(ErrorSource),
    /// This host has no route for the address family.
    NoRoute,
    /// No ARP reply for an address in this host's network, so that no SYN was sent.
    NoNeighbour,
    Timeout {
        /// The number of SYNs sent, if the kernel reports it.
        syns: Option<u32>,
    },
    /// This process or this host has too many open files (EMFILE, ENFILE).
    TooManyFiles,
    /// This host has no free local port for the address (EADDRNOTAVAIL).
    NoLocalPort,
    /// Another error; the system's message.
    Other(String),
}

impl DialResult {
    /// The value in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Refused => "refused",
            Self::Prohibited(_) => "prohibited",
            Self::Unreachable(_) => "unreachable",
            Self::NoNeighbour => "no-neighbour",
            Self::NoRoute => "no-route",
            Self::Timeout { .. } => "timeout",
            Self::TooManyFiles => "too-many-files",
            Self::NoLocalPort => "no-local-port",
            Self::Other(_) => "error",
        }
    }
}

/// The source of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorSource {
    Icmp(Icmp),
    /// This host; its error message.
    ThisHost(String),
}

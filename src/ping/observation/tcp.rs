//! Defines the observations about the connection attempts.

use std::net::SocketAddr;
use std::time::Duration;

use crate::os::Icmp;

/// After this time, the kernel has sent a second SYN. The first retransmission is due after one second (RFC
/// 6298, 2).
const SECOND_SYN_SENT: Duration = Duration::from_millis(1900);

/// The connection attempts to the target.
#[derive(Clone, Debug, Default)]
pub struct Connecting {
    /// One connection attempt for each address.
    pub dials: Vec<Dial>,
    /// How long all attempts took together.
    pub took: Duration,
    /// The attempt to connect to the provider's TLS port. It is made if the URL has a different port, and all
    /// attempts with that port failed.
    pub other_port: Option<Dial>,
    /// The number of retransmissions that this host's kernel could not send during the attempts.
    pub blocked_retransmissions: u64,
}

impl Connecting {
    /// Returns the attempt that succeeded, if there is one.
    pub fn connected(&self) -> Option<&Dial> {
        self.dials.iter().find(|dial| dial.is_connected())
    }

    /// Returns how long the successful attempt took. Returns `None` if no attempt succeeded.
    pub fn connect_time(&self) -> Option<Duration> {
        self.connected().map(|dial| dial.took)
    }

    /// Returns the address of the connection. Returns `None` for a unix socket, or if no attempt succeeded.
    pub fn connected_address(&self) -> Option<SocketAddr> {
        self.connected()?.to.ip()
    }

    /// Returns an attempt that failed, although another address of the same host accepted a connection. An
    /// address without a route does not count, because this host may have only one address family.
    pub fn failed_beside_connection(&self) -> Option<&Dial> {
        self.connected()?;
        let is_failed = |dial: &&Dial| !matches!(dial.result, DialResult::Connected | DialResult::NoRoute);
        self.dials.iter().find(is_failed)
    }

    /// Whether the connection is to a loopback address or a unix socket.
    pub fn leads_to_this_host(&self) -> bool {
        let is_here = |dial: &Dial| dial.to.ip().is_none_or(|address| address.ip().is_loopback());
        self.connected().is_some_and(is_here)
    }

    /// Returns how long the successful attempt took, which is about one round trip. If no attempt succeeded,
    /// returns the time of all attempts.
    pub fn round_trip(&self) -> Duration {
        self.connected()
            .map_or(self.took, |dial| dial.took.min(self.took))
    }
}

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

    pub fn is_ipv6(&self) -> bool {
        self.to.ip().is_some_and(|address| address.is_ipv6())
    }

    /// Whether the SYN of an unanswered attempt has never left this host. The sign is that the kernel sent no
    /// second SYN: it does not retransmit a SYN that is still in its queue.
    pub fn never_left(&self) -> bool {
        self.result == DialResult::Timeout { syns: Some(1) } && self.took > SECOND_SYN_SENT
    }

    /// Whether the attempt failed because a link-local IPv6 address has no zone (RFC 4007, 11).
    pub fn lacks_zone(&self) -> bool {
        let is_unscoped = matches!(self.to.ip(), Some(SocketAddr::V6(address))
            if address.ip().is_unicast_link_local() && address.scope_id() == 0);
        self.result == DialResult::Discarded && is_unscoped
    }
}

/// The destination of a connection attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Ip(SocketAddr),
    /// The path of a unix socket, or a host name without an address.
    Named(String),
}

impl Endpoint {
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

/// The result of a connection attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialResult {
    Connected,
    /// An RST was received, or no process listens on the unix socket.
    Refused,
    /// The path does not belong to a unix socket. Contains a sentence about the file.
    NoSocket(&'static str),
    /// A firewall or a rule rejected the attempt.
    Prohibited(ErrorSource),
    /// An ICMP error reported that the network or host is unreachable.
    Unreachable(ErrorSource),
    /// This host has no route for the address family.
    NoRoute,
    /// There was no ARP reply for an address in this host's network, so no SYN was sent.
    NoNeighbour,
    Timeout {
        /// The number of SYNs that were sent, if the kernel reports it.
        syns: Option<u32>,
    },
    /// This process or this host has too many open files (EMFILE, ENFILE).
    TooManyFiles,
    /// This host has no free local port for the address (EADDRNOTAVAIL).
    NoLocalPort,
    /// A route or a rule of this host rejects packets to the address (EHOSTUNREACH, at once).
    RejectedByRoute,
    /// This host discards packets to the address (EINVAL), because of a blackhole route or a missing IPv6
    /// zone.
    Discarded,
    /// An error that no other variant describes. Contains the system's message.
    Other(String),
}

impl DialResult {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Refused | Self::NoSocket(_) => "refused",
            Self::Prohibited(_) => "prohibited",
            Self::Unreachable(_) | Self::RejectedByRoute => "unreachable",
            Self::NoNeighbour => "no-neighbour",
            Self::NoRoute => "no-route",
            Self::Timeout { .. } => "timeout",
            Self::TooManyFiles => "too-many-files",
            Self::NoLocalPort => "no-local-port",
            Self::Discarded | Self::Other(_) => "error",
        }
    }
}

/// The sender of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorSource {
    Icmp(Icmp),
    /// This host reported the error. Contains the error message.
    ThisHost(String),
}

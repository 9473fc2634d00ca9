//! What each rung saw: plain facts, without a judgement.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use redis::Value;

use super::response::Response;
use crate::os::{Icmp, PacketCounts};

/// Everything that one climb has seen; a rung that was not reached has left nothing.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// The look-up of the host name; none for an address or a socket.
    pub dns: Option<Lookup>,
    /// The connection attempts, one an address.
    pub dials: Vec<Dial>,
    /// How long it took until the first address was connected, or until all had failed.
    pub tcp_took: Duration,
    /// The TLS handshake, where the URL asks for one.
    pub tls: Option<Handshake>,
    /// What was answered to AUTH, where the URL has a password.
    pub login: Option<Response>,
    /// How long AUTH took.
    pub login_took: Duration,
    /// What was answered to PING.
    pub ping: Option<Response>,
    /// How long that took.
    pub ping_took: Duration,
    /// What was answered to another harmless command, where PING itself is refused.
    pub ping_substitute: Option<PingSubstitute>,
    /// What was answered to SELECT, where the URL names a database other than 0.
    pub select: Option<Response>,
    /// What the server says about itself.
    pub server: ServerInfo,
    /// Round trips, in the order they were measured.
    pub round_trips: Vec<Duration>,
    /// The rehearsal of the tutorial's commands, where it was asked for.
    pub write_test: Option<WriteTest>,
    /// The second connection that was made to tell look-alikes apart.
    pub experiment: Option<Experiment>,
    /// The node addresses that a cluster announces, each dialled.
    pub announced: Vec<Dial>,
    /// Where we stand, where that was looked at.
    pub this_host: Option<super::this_host::ThisHost>,
    /// What became of the packets of a connection on which an answer did not come in time.
    pub packets: Option<PacketCounts>,
    /// How a TLS handshake in small packets ended, on a connection of its own, while the first one was waited for.
    pub small_packet_handshake: Option<TlsResult>,
    /// Retransmissions that this host itself refused to send meanwhile.
    pub blocked_retransmissions: u64,
}

impl Observations {
    /// Whether a cluster announces nodes, and none of them can be dialled.
    #[must_use]
    pub fn reaches_no_announced_node(&self) -> bool {
        !self.announced.is_empty()
            && self
                .announced
                .iter()
                .all(|dial| dial.result != DialResult::Connected)
    }
}

/// A look-up as the application sees it, and each name server's own answer where that came to nothing.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    /// The addresses found, in the order of the system's resolver.
    pub addresses: Vec<IpAddr>,
    /// What the system's resolver said instead.
    pub fault: Option<String>,
    /// The system's resolver was still at it when the time was over, or when a name server had answered us.
    pub system_timed_out: bool,
    /// The answer of each name server to our own question.
    pub servers: Vec<NameServer>,
    /// Whether this host has no name server configured, so that only itself could be asked.
    pub is_unconfigured: bool,
    /// What `/etc/hosts` says of the name, where the addresses found did not serve.
    pub hosts_file: Option<IpAddr>,
    /// How long the look-up took.
    pub took: Duration,
}

/// One name server and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServer {
    /// Its address.
    pub address: SocketAddr,
    /// What it said.
    pub answer: NameAnswer,
}

/// What a name server says about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameAnswer {
    /// It has addresses.
    Addresses(Vec<IpAddr>),
    /// The name exists, and has no address.
    NoAddress,
    /// NXDOMAIN.
    NotFound,
    /// NXDOMAIN for the name that this one is an alias (CNAME) of.
    DanglingAlias(String),
    /// Another response code, such as SERVFAIL or REFUSED.
    Refused(String),
    /// Nothing came back.
    Timeout,
    /// The question could not be sent, or nobody listens there.
    Unreachable(String),
    /// What came back is no DNS answer to the question.
    Malformed,
}

/// One connection attempt.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Where to: `ADDRESS:PORT`, or the path of a socket.
    pub to: Endpoint,
    /// How it ended.
    pub result: DialResult,
    /// How long that took.
    pub took: Duration,
}

/// What was dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A unix socket's path, or a host name that could not be resolved; as text.
    Named(String),
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
    /// RST, or nobody behind the socket.
    Refused,
    /// A firewall or a rule said no.
    Prohibited(ErrorSource),
    /// The network said that there is no way.
    Unreachable(ErrorSource),
    /// This host has no route for that family at all.
    NoRoute,
    /// Nobody in this host's own network answers for the address, so that nothing could be sent.
    NoNeighbour,
    /// Nothing came back.
    Timeout {
        /// SYNs sent until then, where the kernel tells.
        syns: Option<u32>,
    },
    /// Something else, in the system's words.
    Other(String),
}

impl DialResult {
    /// The word in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Refused => "refused",
            Self::Prohibited(_) => "prohibited",
            Self::Unreachable(_) => "unreachable",
            Self::NoNeighbour => "no-neighbour",
            Self::NoRoute => "no-route",
            Self::Timeout { .. } => "timeout",
            Self::Other(_) => "error",
        }
    }
}

/// Who or what ended an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorSource {
    /// An ICMP error.
    Icmp(Icmp),
    /// This host itself: the errno's text.
    ThisHost(String),
}

/// A TLS handshake and what came of it.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// How it ended.
    pub result: TlsResult,
    /// The certificate that the server showed, whatever was made of it.
    pub certificate: Option<PeerCertificate>,
    /// The name that was expected in it.
    pub expected_name: String,
    /// Protocol version, such as `TLSv1.3`.
    pub version: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// What became of the packets, where the time was over first.
    pub packets: Option<PacketCounts>,
}

/// How a handshake ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsResult {
    /// A session.
    Established,
    /// The chain ends at no trusted root.
    Untrusted(String),
    /// The chain may end at a trusted root, and holds a certificate that is not fit for its purpose.
    InvalidCertificate(String),
    /// The certificate is for other names.
    OtherName,
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    NotValidYet,
    /// No version or cipher in common.
    NothingInCommon(String),
    /// The server wants a certificate of the client, or refuses the one given.
    ClientCertificate(String),
    /// Another alert, or a breach of the protocol.
    Refused(String),
    /// The server answered something that is no TLS.
    NotTls,
    /// The server closed (or reset) the connection.
    Closed,
    /// The deadline passed.
    TimedOut,
    /// The host's name, or `--tls-name`, can stand in no certificate.
    BadName(String),
    /// The options for TLS (`--ca`, `--cert`, `--key`) cannot be used.
    Unusable(String),
}

/// What a certificate says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The names that it is for.
    pub names: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    /// Whether it is signed by itself.
    pub is_self_signed: bool,
    /// Seconds from now until it begins to be valid; negative when that is past.
    pub begins_in: i64,
    /// Seconds from now until it ends; negative when that is past.
    pub ends_in: i64,
}

/// A command in PING's place.
#[derive(Clone, Debug, PartialEq)]
pub struct PingSubstitute {
    /// Its name.
    pub name: &'static str,
    /// What it was answered.
    pub response: Response,
}

impl PingSubstitute {
    /// Whether the server has served the command: a node of a cluster that names another one has, too.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.response.is_granted()
            || self
                .response
                .error()
                .is_some_and(|error| error.starts_with("MOVED"))
    }
}

/// What a second connection showed.
#[derive(Clone, Debug)]
pub enum Experiment {
    /// A plain PING to a port that was asked for TLS.
    PlainPing(Response),
    /// A TLS hello to a port that was asked for plain RESP.
    ClientHello {
        /// How the handshake ended, whoever signed the certificate.
        result: TlsResult,
        /// What a PING inside TLS was answered, where the handshake was done.
        inside: Option<Response>,
    },
    /// The second connection could not be made.
    NotConnected,
}

/// What the server says about itself; what it may not say is missing.
#[derive(Clone, Debug, Default)]
pub struct ServerInfo {
    /// The reply to ROLE.
    pub role: Option<Value>,
    /// INFO's fields.
    pub fields: std::collections::BTreeMap<String, String>,
    /// CLUSTER INFO's `cluster_state`, or the error in its place.
    pub cluster_state: Option<String>,
    /// A read's answer on a cluster node.
    pub cluster_read: Option<Response>,
    /// The primary that a Sentinel knows: `HOST:PORT`.
    pub sentinel_primary: Option<String>,
}

/// The rehearsal of the tutorial's commands.
#[derive(Clone, Debug)]
pub struct WriteTest {
    /// Each command's name, and what it was answered when queued.
    pub queued: Vec<(&'static str, Response)>,
    /// What EXEC was answered.
    pub executed: Response,
}

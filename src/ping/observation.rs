//! The facts that each rung observed, without interpretation.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use redis::Value;
use rustls::{AlertDescription, NamedGroup, ProtocolVersion};

use super::response::{Response, is_unknown_command, items, text};
use crate::os::{Icmp, PacketCounts};
use crate::redis_url::Target;
use crate::secret::Secret;

/// The observations of one climb. Fields of rungs that were not reached are empty.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// The lookup of the host name; `None` for an IP address or a unix socket.
    pub dns: Option<Lookup>,
    /// The connection attempts, one per address.
    pub dials: Vec<Dial>,
    /// How long the connection attempts took together.
    pub tcp_took: Duration,
    /// The TLS handshake, if the URL asks for TLS.
    pub tls: Option<Handshake>,
    /// What the server chooses if it is offered more, after a handshake without anything in common.
    pub wider_offer: Option<WiderOffer>,
    /// How far the server's clock is ahead of this host's in seconds, if the dates in the certificate are wrong.
    pub server_clock_ahead: Option<i64>,
    /// Whether the password was not sent, because `--insecure` accepted the certificate.
    pub is_password_withheld: bool,
    /// The response to AUTH, if the URL has a password.
    pub login: Option<Response>,
    /// The time until the response to AUTH.
    pub login_took: Duration,
    /// The response to PING.
    pub ping: Option<Response>,
    /// The time until the response to PING.
    pub ping_took: Duration,
    /// The response to SELECT, if the URL names a database other than 0.
    pub select: Option<Response>,
    /// The response to a harmless read: HGETALL of a key of ping's own.
    pub read: Option<Response>,
    /// The response to an ECHO of 4 kB.
    pub echo: Option<Echo>,
    /// A reply that arrived without a request, after an unexpected reply to AUTH or PING.
    pub surplus_reply: Option<Response>,
    /// The request after PONG that got no reply, because the connection ended or for no visible reason.
    pub stopped_at: Option<Exchange>,
    /// The time until the last response to the requests after PONG.
    pub requests_took: Duration,
    /// The same requests on a second connection, if one of them got no reply on the first.
    pub repeat: Option<Repeat>,
    /// Whether the server replies on a further connection if a PROXY protocol header comes first.
    pub expects_proxy_header: bool,
    /// The result of a second TLS handshake, with any certificate, if the first was closed or got no reply.
    pub second_handshake: Option<TlsResult>,
    /// Which packet sizes get through, if large packets are lost.
    pub packet_sizes: Option<PacketSizes>,
    /// What the server reports about itself.
    pub server: ServerInfo,
    /// Round trip times, in the order of measurement.
    pub round_trips: Vec<Duration>,
    /// The trials of `--idle` and `--hold`. The other observations are then those of a new connection.
    pub idle: Option<IdleTest>,
    /// The result of `--write-check`.
    pub write_test: Option<WriteTest>,
    /// The responses to each of the tutorial's commands, with arguments that change nothing, if the user may not run one.
    pub permissions: Vec<(&'static str, Response)>,
    /// The result of the experiment on a second connection, if there was one.
    pub experiment: Option<Experiment>,
    /// The connection attempts to the nodes that a cluster announces.
    pub announced: Vec<Dial>,
    /// The attempt to connect to the provider's port with TLS, if the URL has another port and no attempt succeeded.
    pub other_port: Option<Dial>,
    /// The limit of open files, if it was too low for this program to run the checks.
    pub open_file_limit: Option<u64>,
    /// How many packets of the connection had to be sent again, SYNs included.
    pub retransmissions: u32,
    /// This host's networks, if the connection failed.
    pub this_host: Option<super::this_host::ThisHost>,
    /// The packet counts of a connection on which a reply timed out.
    pub packets: Option<PacketCounts>,
    /// The result of a second TLS handshake, in small packets, that ran while the first one got no reply.
    pub small_packet_handshake: Option<TlsResult>,
    /// Retransmissions that this host's kernel could not send during the attempts.
    pub blocked_retransmissions: u64,
    /// What a Sentinel replied, if the URL names Sentinels.
    pub followed: Option<Followed>,
    /// The attempts to connect to the primary that a Sentinel reports, if the URL itself leads to the Sentinel.
    pub sentinel_primary_dials: Vec<Dial>,
}

/// What a Sentinel replied to the question for the primary.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The Sentinel that was asked: `HOST:PORT`.
    pub sentinel: String,
    /// The name of the primary in the URL.
    pub name: String,
    /// What the other observations are about: the primary or, if the Sentinel did not name one, the Sentinel.
    pub target: Target,
    /// The reply.
    pub answer: SentinelAnswer,
}

/// The reply of a Sentinel to the question for the primary.
#[derive(Clone, Debug)]
pub enum SentinelAnswer {
    /// The primary.
    Primary(NamedPrimary),
    /// An address that cannot be used.
    NoAddress(String),
    /// The Sentinel does not watch a primary with this name; the names of those that it watches.
    UnknownName(Vec<String>),
    /// Another response.
    Other(Response),
    /// The Sentinel could not be asked. The other observations show why.
    None,
}

/// A primary as a Sentinel names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPrimary {
    /// The name by which Sentinels know it.
    pub name: String,
    /// A host name or an address (IPv6 without brackets); checked.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for NamedPrimary {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') {
            write!(out, "[{host}]:{port}")
        } else {
            write!(out, "{host}:{port}")
        }
    }
}

/// Connections that were left idle and then used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdleTest {
    pub trials: Vec<IdleTrial>,
    /// Whether the server's run id was different afterwards.
    pub is_restarted: bool,
}

/// How much later the trials with TCP keepalive start.
pub(super) const STAGGER: Duration = Duration::from_millis(400);

/// One such connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleTrial {
    /// How long it was idle until it was used, or ended.
    pub idle: Duration,
    /// The interval of TCP keepalive, if it was on.
    pub keepalive: Option<Duration>,
    pub end: IdleEnd,
}

/// What happened to an idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleEnd {
    Survived,
    /// It was closed while it was idle.
    Closed,
    /// It was reset while it was idle.
    Reset,
    /// The PING after it got RST in reply.
    ResetOnUse,
    /// The PING after it got no reply.
    Silent,
}

impl IdleEnd {
    /// The value in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Survived => "survived",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::ResetOnUse => "reset-on-use",
            Self::Silent => "silent",
        }
    }
}

impl IdleTest {
    fn with(&self, keepalive: Option<Duration>) -> impl Iterator<Item = &IdleTrial> {
        self.trials
            .iter()
            .filter(move |trial| trial.keepalive == keepalive)
    }

    /// The shortest trial that a connection did not survive.
    pub fn shortest_lost(&self, keepalive: Option<Duration>) -> Option<&IdleTrial> {
        let lost = self
            .with(keepalive)
            .filter(|trial| trial.end != IdleEnd::Survived);
        lost.min_by_key(|trial| trial.idle)
    }

    /// The same, with or without keepalive.
    pub fn any_lost(&self) -> Option<&IdleTrial> {
        let lost = self.trials.iter().filter(|trial| trial.end != IdleEnd::Survived);
        lost.min_by_key(|trial| trial.idle)
    }

    /// The longest idle time that a connection survived.
    pub fn longest_survived(&self, keepalive: Option<Duration>) -> Option<Duration> {
        let survived = self
            .with(keepalive)
            .filter(|trial| trial.end == IdleEnd::Survived);
        survived.map(|trial| trial.idle).max()
    }
}

impl Observations {
    /// The address that the connection uses.
    pub fn connected_address(&self) -> Option<SocketAddr> {
        let connected = self
            .dials
            .iter()
            .find(|dial| dial.result == DialResult::Connected)?;
        match connected.to {
            Endpoint::Ip(address) => Some(address),
            Endpoint::Named(_) => None,
        }
    }

    /// The primary that a Sentinel of the URL named.
    pub fn primary(&self) -> Option<&NamedPrimary> {
        match &self.followed.as_ref()?.answer {
            SentinelAnswer::Primary(primary) => Some(primary),
            _ => None,
        }
    }

    /// The target that the observations are about: the primary that Sentinels named, or else the one that was given.
    pub fn target<'a>(&'a self, given: &'a Target) -> &'a Target {
        self.followed.as_ref().map_or(given, |followed| &followed.target)
    }

    /// Whether an ACL forbids a command that is needed here.
    pub fn is_refused_by_acl(&self) -> bool {
        let is_pinged = self.ping.as_ref().is_some_and(Response::is_pong) || self.serves_without_ping();
        let write_test = self.write_test.iter().flat_map(|test| &test.queued);
        let executed = self.write_test.iter().map(|test| &test.executed);
        let needed = write_test
            .map(|(_, response)| response)
            .chain(executed)
            .chain(&self.select);
        let unserved = self.ping.iter().chain(&self.read);
        needed
            .chain(unserved.filter(|_| !is_pinged))
            .any(Response::is_forbidden)
    }

    /// Whether the reply to PING is an error that says why Redis cannot serve now. Redis still answers INFO then.
    pub fn reports_its_state(&self) -> bool {
        let code = self.ping.as_ref().and_then(Response::error_code);
        matches!(code.as_deref(), Some("LOADING" | "MASTERDOWN" | "MISCONF"))
    }

    /// Whether the server refuses PING but runs the read or, for a user who may not read that key, the ECHO.
    pub fn serves_without_ping(&self) -> bool {
        if self.ping.as_ref().and_then(Response::error).is_none() {
            return false;
        }
        let read = self.read.as_ref();
        let code = read.and_then(Response::error_code);
        read.is_some_and(Response::is_granted)
            // A key of another type, and a key of another cluster node.
            || matches!(code.as_deref(), Some("WRONGTYPE" | "MOVED" | "ASK" | "TRYAGAIN"))
            || code.as_deref() == Some("NOPERM") && self.echo == Some(Echo::Same)
    }

    /// The command after PONG that got no reply. A proxy may discard the replies to those before it, if they are sent
    /// together, so the second connection decides.
    pub fn unanswered(&self) -> Option<&'static str> {
        let second = self.repeat.as_ref().and_then(Repeat::stopped_at);
        let last = second.filter(|exchange| exchange.command != "PING");
        self.stopped_at
            .as_ref()
            .map(|first| last.map_or(first.command, |last| last.command))
    }

    /// Whether a second connection got every reply, although the first one did not.
    pub fn second_connection_works(&self) -> bool {
        let repeat = self.repeat.as_ref();
        repeat.is_some_and(|repeat| repeat.has_answered("PING") && repeat.stopped_at().is_none())
    }

    /// Whether a second connection gets the replies that the first one did not get.
    pub fn fails_only_on_first_connection(&self) -> bool {
        let second_handshake = self.second_handshake.as_ref();
        second_handshake.is_some_and(TlsResult::is_tls)
            || self.second_connection_works() && self.write_test.is_none()
    }

    /// How long connecting took, without the wait for other addresses: about one round trip.
    pub fn round_trip_of_connecting(&self) -> Duration {
        self.connecting()
            .map_or(self.tcp_took, |took| took.min(self.tcp_took))
    }

    /// How long the attempt took that connected.
    pub fn connecting(&self) -> Option<Duration> {
        let connected = self
            .dials
            .iter()
            .find(|dial| dial.result == DialResult::Connected);
        connected.map(|dial| dial.took)
    }

    /// Whether the connection leads to this host itself.
    pub fn connects_to_this_host(&self) -> bool {
        self.dials.iter().any(|dial| {
            dial.result == DialResult::Connected
                && match &dial.to {
                    Endpoint::Ip(address) => address.ip().is_loopback(),
                    Endpoint::Named(_) => true,
                }
        })
    }

    /// Whether a cluster announces nodes but none of them can be reached.
    pub fn reaches_no_announced_node(&self) -> bool {
        !self.announced.is_empty()
            && self
                .announced
                .iter()
                .all(|dial| dial.result != DialResult::Connected)
    }
}

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

/// One connection attempt.
#[derive(Clone, Debug)]
pub struct Dial {
    pub to: Endpoint,
    pub result: DialResult,
    pub took: Duration,
}

/// The destination of a connection attempt.
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

/// A TLS handshake.
#[derive(Clone, Debug)]
pub struct Handshake {
    pub result: TlsResult,
    /// Why the server's certificate is rejected. With `--insecure`, the handshake is complete in spite of it.
    pub certificate_problem: Option<CertificateProblem>,
    /// The certificates that the server sent, its own first.
    pub chain: Vec<PeerCertificate>,
    /// Whether the names in the chain lead to a trusted CA.
    pub leads_to_trusted_ca: bool,
    /// The name that must be in the certificate.
    pub expected_name: String,
    /// The protocol version, such as `TLSv1_3`.
    pub version: Option<String>,
    pub took: Duration,
    /// The packet counts after a timeout.
    pub packets: Option<PacketCounts>,
    /// This host's clock, in seconds since 1970.
    pub clock: i64,
    pub trusted: TrustedCas,
    /// The certificate of `--cert`.
    pub client_certificate: Option<PeerCertificate>,
    /// If the server asked for a client certificate: the issuers that it accepts (none: it does not say).
    pub client_certificate_request: Option<Vec<String>>,
}

impl Handshake {
    /// The server's certificate.
    pub fn certificate(&self) -> Option<&PeerCertificate> {
        self.chain.first()
    }
}

/// How a handshake ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsResult {
    Established,
    /// This host rejected the certificate, for [`Handshake::certificate_problem`].
    CertificateRejected,
    /// The server ended the handshake with this alert.
    Alert(AlertDescription),
    /// The server chose something that was not offered.
    NothingInCommon,
    /// The server violates the protocol; the library's message.
    Misbehaved(String),
    /// The server sent something other than TLS.
    NotTls,
    /// The server closed or reset the connection.
    Closed,
    TimedOut,
    /// The host name or `--tls-name` cannot be in any certificate.
    BadName(String),
    /// The options for TLS (`--ca`, `--cert`, `--key`) cannot be used.
    Unusable(String),
}

/// Why a certificate is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateProblem {
    /// No trusted CA has signed it.
    UnknownIssuer,
    /// A trusted CA has the issuer's name, but its key does not verify the signature.
    WrongSignature,
    /// This host trusts no CA at all.
    NoTrustedCa,
    /// The server sent no certificate.
    Missing,
    /// It is for a different host name.
    OtherName,
    Expired,
    NotValidYet,
    /// Something in the chain that this program does not support, although other clients may.
    Unsupported(String),
    /// It is not valid for a server, whatever the client.
    Invalid(String),
}

/// The CAs that this host trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedCas {
    /// How many there are.
    pub count: usize,
    /// `SSL_CERT_FILE` or `SSL_CERT_DIR` with its value, which replaces the system's CAs.
    pub variable: Option<(&'static str, String)>,
    /// Why that file or folder cannot be read.
    pub fault: Option<String>,
}

/// What a certificate says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The names that it is valid for, from its subjectAltName.
    pub names: Vec<String>,
    /// The common names in its subject, which old clients also accept as names.
    pub common_names: Vec<String>,
    pub subject: String,
    pub issuer: String,
    /// Whether issuer and subject are the same.
    pub is_self_signed: bool,
    /// Seconds until it becomes valid; negative if it already is.
    pub begins_in: i64,
    /// Seconds until it expires; negative if it has.
    pub ends_in: i64,
    /// What this program does not support about it, such as `a key on the curve P-521`.
    pub unsupported: Option<String>,
    /// The certificate itself.
    pub der: Vec<u8>,
}

/// What a server chooses if a ClientHello offers more than this program supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WiderOffer {
    pub version: ProtocolVersion,
    /// Its name, such as `TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256`.
    pub cipher_suite: String,
    /// The group of the key exchange.
    pub group: Option<NamedGroup>,
    /// The server's certificate, if it could be read.
    pub certificate: Option<PeerCertificate>,
}

/// The response to an ECHO of a large unique value.
#[derive(Clone, Debug, PartialEq)]
pub enum Echo {
    /// The same value: 4 kB get through in both directions.
    Same,
    /// An error reply: large packets were not tried.
    Refused(String),
    /// The value came back in reply to this other command.
    InReplyTo(&'static str),
    /// A reply with another value.
    Other(Response),
}

/// A request and its response.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    pub command: &'static str,
    pub response: Response,
}

impl Exchange {
    /// Masks the password, unless the reply is the expected one: a server may repeat what it was sent.
    #[must_use]
    pub fn without(self, password: Option<&Secret>) -> Self {
        if self.response.is_granted() {
            return self;
        }
        Self {
            response: self.response.without(password),
            ..self
        }
    }

    /// Whether the response is a complete reply, which may be an error reply.
    pub fn is_answered(&self) -> bool {
        matches!(self.response, Response::Reply(_))
    }
}

/// The requests of the climb, repeated on a second connection one at a time, up to the first without a reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repeat {
    /// Empty if the second connection could not be made.
    pub exchanges: Vec<Exchange>,
}

impl Repeat {
    /// The response to a command, if the second connection got that far.
    pub fn response(&self, command: &str) -> Option<&Response> {
        let exchange = self.exchanges.iter().find(|exchange| exchange.command == command);
        exchange.map(|exchange| &exchange.response)
    }

    /// The request that got no reply on the second connection either.
    pub fn stopped_at(&self) -> Option<&Exchange> {
        self.exchanges.last().filter(|exchange| !exchange.is_answered())
    }

    /// Whether the second connection worked up to this command, and the command got a reply there.
    pub fn has_answered(&self, command: &str) -> bool {
        matches!(self.response(command), Some(Response::Reply(_)))
    }
}

/// Sizes of IP packets, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketSizes {
    /// The largest size that got through.
    pub passed: u16,
    /// The smallest size that was lost.
    pub lost: u16,
}

/// The result of an experiment on a second connection.
#[derive(Clone, Debug)]
pub enum Experiment {
    /// The response to a plain-text PING, sent if the URL asks for TLS.
    PlainPing(Response),
    /// A TLS handshake, tried if the URL does not ask for TLS.
    ClientHello {
        /// Its result; any certificate is accepted.
        result: TlsResult,
        /// The response to a PING inside TLS.
        inside: Option<Response>,
    },
    /// The second connection could not be made.
    NotConnected,
}

/// Hash slots of a cluster.
pub(crate) const SLOTS: u16 = 16384;

/// What the server reports about itself. Replies that an ACL forbids are missing.
#[derive(Clone, Debug, Default)]
pub struct ServerInfo {
    /// The reply to ROLE.
    pub role: Option<Value>,
    /// The response to HELLO.
    pub hello: Option<Response>,
    /// The error reply to INFO.
    pub info_error: Option<String>,
    /// The commands that got an error reply.
    pub refused: Vec<&'static str>,
    /// The fields of INFO.
    pub fields: std::collections::BTreeMap<String, String>,
    /// The response to MULTI, if the server lacks another command that Redis has.
    pub multi: Option<Response>,
    /// The fields of CLUSTER INFO.
    pub cluster: std::collections::BTreeMap<String, String>,
    /// Settings that CONFIG GET reports.
    pub settings: std::collections::BTreeMap<String, String>,
    /// The response to a read on a cluster node.
    pub cluster_read: Option<Response>,
    /// The first primary that a Sentinel reports.
    pub sentinel_primary: Option<NamedPrimary>,
}

impl ServerInfo {
    /// A field of INFO, by name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// A field of INFO, as a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }

    /// The commands among those that were sent which the server does not support, although Redis does.
    pub fn unsupported(&self) -> Vec<&'static str> {
        let role = self.role.clone().map(Response::Reply);
        let responses = [
            ("HELLO", self.hello.as_ref()),
            ("ROLE", role.as_ref()),
            ("MULTI", self.multi.as_ref()),
        ];
        let info = self.info_error.as_deref().is_some_and(is_unknown_command);
        let is_unknown = |response: Option<&Response>| response.is_some_and(Response::is_unknown_command);
        let others = responses
            .into_iter()
            .filter(|(_, response)| is_unknown(*response));
        info.then_some("INFO")
            .into_iter()
            .chain(others.map(|(name, _)| name))
            .collect()
    }

    /// Whether the server lacks one of these commands, and not only because it is old: HELLO came with Redis 6.
    pub fn may_be_limited(&self) -> bool {
        !self.is_before(6) && !self.unsupported().is_empty()
    }

    /// After how long the server itself closes idle connections; zero if it does not.
    pub fn idle_limit(&self) -> Option<Duration> {
        self.setting("timeout")?.parse().ok().map(Duration::from_secs)
    }

    /// A setting, by its name in CONFIG GET.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// Whether this is a Redis with a lower major version; `false` for other servers.
    pub fn is_before(&self, major: u64) -> bool {
        let version = self
            .field("redis_version")
            .and_then(|version| version.split('.').next());
        self.field("server_name").is_none()
            && version
                .and_then(|version| version.parse().ok())
                .is_some_and(|version: u64| version < major)
    }

    /// `cluster_state` in CLUSTER INFO: `ok` or `fail`.
    pub fn cluster_state(&self) -> Option<&str> {
        self.cluster.get("cluster_state").map(String::as_str)
    }

    /// The number of slots without a node, or whose node does not reply.
    pub fn failing_slots(&self) -> Option<u64> {
        let count = |name: &str| self.cluster.get(name)?.parse::<u64>().ok();
        let failing = count("cluster_slots_fail")?.saturating_add(count("cluster_slots_pfail")?);
        Some(
            u64::from(SLOTS)
                .saturating_sub(count("cluster_slots_assigned")?)
                .saturating_add(failing),
        )
    }

    /// `master`, `slave` or `sentinel`.
    pub fn role_name(&self) -> Option<String> {
        items(self.role.as_ref())
            .first()
            .and_then(text)
            .or_else(|| self.field("role").map(str::to_owned))
    }

    /// Whether this is a Sentinel.
    pub fn is_sentinel(&self) -> bool {
        self.field("redis_mode") == Some("sentinel") || self.role_name().as_deref() == Some("sentinel")
    }

    /// Whether this is a cluster node.
    pub fn is_cluster(&self) -> bool {
        let read = self.cluster_read.as_ref().and_then(Response::error);
        self.field("cluster_enabled") == Some("1")
            || self.field("redis_mode") == Some("cluster")
            || self.cluster_state().is_some()
            || read.is_some_and(|error| error.starts_with("MOVED") || error.starts_with("CLUSTERDOWN"))
    }

    /// Whether this is a replica.
    pub fn is_replica(&self) -> bool {
        self.role_name().as_deref() == Some("slave")
    }

    /// The host and port of a replica's primary, as the replica sees them.
    pub fn primary(&self) -> Option<(String, u16)> {
        if let [_, host, Value::Int(port), ..] = items(self.role.as_ref())
            && self.is_replica()
        {
            return Some((text(host)?, u16::try_from(*port).ok()?));
        }
        let port = self.field("master_port")?.parse().ok()?;
        Some((self.field("master_host")?.to_owned(), port))
    }

    /// Whether this is a replica that is not connected to its primary.
    pub fn has_lost_its_primary(&self) -> bool {
        let link = items(self.role.as_ref()).get(3).and_then(text);
        self.is_replica()
            && (self.field("master_link_status") == Some("down")
                || link.is_some_and(|link| {
                    matches!(link.as_str(), "connect" | "connecting" | "handshake" | "none")
                }))
    }
}

/// The responses to the tutorial's commands in one MULTI.
#[derive(Clone, Debug)]
pub struct WriteTest {
    /// Each command with its response, normally QUEUED.
    pub queued: Vec<(&'static str, Response)>,
    /// The response to EXEC.
    pub executed: Response,
}

impl WriteTest {
    /// Whether all commands were executed.
    pub fn has_passed(&self) -> bool {
        let is_error = |reply: &Value| matches!(reply, Value::ServerError(_));
        matches!(&self.executed, Response::Reply(Value::Array(replies)) if !replies.iter().any(is_error))
    }
}

//! What each rung and each experiment saw: plain facts, no judgement.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use redis::Value;

use crate::target::Target;

/// The rungs of the ladder, in the order of the climb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// The text of the URL.
    Url,
    /// From the name to addresses.
    Dns,
    /// From an address to a connection.
    Tcp,
    /// From a connection to a TLS session.
    Tls,
    /// Logging in.
    Auth,
    /// The first command that is answered, the database, and the round trips.
    Ping,
    /// What part the server plays, and whether it can serve.
    Role,
}

impl Rung {
    /// Every rung, from the bottom up.
    pub const ALL: [Self; 7] = [
        Self::Url,
        Self::Dns,
        Self::Tcp,
        Self::Tls,
        Self::Auth,
        Self::Ping,
        Self::Role,
    ];

    /// The word for it in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Ping => "ping",
            Self::Role => "role",
        }
    }
}

/// How a rung ended, as the ladder sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// The climb ended here.
    Failed,
    /// There was nothing to do, or it was never reached.
    Skipped,
}

/// One rung of one climb.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which.
    pub rung: Rung,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// What happened, in a few words; harmless for a terminal.
    pub detail: String,
}

/// Everything that one climb saw.
#[derive(Clone, Debug)]
pub struct Observations {
    /// Where it was to go.
    pub target: Target,
    /// The whole time-out.
    pub budget: Duration,
    /// From the start to the end of the climb.
    pub elapsed: Duration,
    /// Whether `--write-check` was asked for.
    pub write_check: bool,
    /// Whether `--ca` was given, and `--cert`.
    pub trust: TrustGiven,
    /// What the host name suggests before a packet is sent.
    pub endpoint: Option<EndpointHint>,
    /// Where this machine stands in relation to the addresses; looked up only when a dial gets no answer.
    pub place: Option<Place>,
    /// The rungs in order.
    pub steps: Vec<Step>,
    /// What the resolver said; `None` for a literal address or a unix socket.
    pub dns: Option<DnsSeen>,
    /// What the dials met.
    pub tcp: Option<TcpSeen>,
    /// What the TLS handshake met; `None` for a plain URL.
    pub tls: Option<TlsSeen>,
    /// The reply to AUTH; `None` where the URL has no password.
    pub auth: Option<AuthSeen>,
    /// The reply to the first command.
    pub ping: Option<PingSeen>,
    /// The reply to SELECT, where the URL names a database.
    pub select: Option<Heard>,
    /// What the server says of itself.
    pub role: Option<RoleSeen>,
    /// The rehearsal of the tutorial's commands.
    pub write: Option<WriteSeen>,
    /// A plain PING on a connection of its own.
    pub plain_ping: Option<Heard>,
    /// A TLS hello on a connection of its own.
    pub tls_hello: Option<HelloSeen>,
    /// Round trips, to the microsecond, in the order of the samples.
    pub round_trips: Vec<Duration>,
}

impl Observations {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(target: Target, budget: Duration) -> Self {
        Self {
            target,
            budget,
            elapsed: Duration::ZERO,
            write_check: false,
            trust: TrustGiven::default(),
            endpoint: None,
            place: None,
            steps: Vec::new(),
            dns: None,
            tcp: None,
            tls: None,
            auth: None,
            ping: None,
            select: None,
            role: None,
            write: None,
            plain_ping: None,
            tls_hello: None,
            round_trips: Vec::new(),
        }
    }
}

/// Which options of trust were given.
#[derive(Clone, Debug, Default)]
pub struct TrustGiven {
    /// `--ca`.
    pub ca: bool,
    /// `--cert` and `--key`.
    pub cert: bool,
    /// `--tls-name`.
    pub name: Option<String>,
}

/// What an endpoint's name suggests; hints, never facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointHint {
    /// The word for the report: `elasticache-primary`, `memorydb`, …
    pub form: &'static str,
    /// Whether it speaks TLS.
    pub tls: Option<bool>,
    /// Whether it speaks the cluster protocol.
    pub cluster: Option<bool>,
    /// The region's code, such as `us-east-1`.
    pub region: Option<String>,
    /// Further sentences, each beginning "the name suggests".
    pub words: Vec<String>,
}

/// Where this machine stands in relation to the target's addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The relation between the address and this machine's networks.
    pub network: Network,
    /// Sentences of evidence: local addresses, the route taken.
    pub words: Vec<String>,
    /// The EC2 instance that this is, if it is one.
    pub instance: Option<Instance>,
}

/// Whether an address lies in a network of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Not looked up, or not to be told (a public address).
    #[default]
    Unknown,
    /// A private address, and a local address or route lies in a matching network.
    Inside,
    /// A private address, and no local address or route lies in a matching network.
    Outside,
}

/// An EC2 instance as its metadata describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Its region, such as `us-east-1`.
    pub region: String,
    /// The ids of the security groups of the interface that the probe left by.
    pub security_groups: Vec<String>,
    /// The id of its VPC.
    pub vpc: Option<String>,
}

/// What the resolver said.
#[derive(Clone, Debug, Default)]
pub struct DnsSeen {
    /// The name that was asked for.
    pub name: String,
    /// What getaddrinfo said, as any application would see it.
    pub system: SystemAnswer,
    /// Explicit questions to each name server, asked when getaddrinfo failed or was silent.
    pub queries: Vec<Query>,
    /// The addresses in use.
    pub addresses: Vec<IpAddr>,
}

/// getaddrinfo's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SystemAnswer {
    /// None yet when the time was up.
    #[default]
    Silent,
    /// Addresses.
    Found,
    /// One of its error codes, and the system's words for it.
    Failed(i32, String),
}

/// One explicit question to one name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The name server.
    pub server: SocketAddr,
    /// The name as it was asked for (search domains change it).
    pub name: String,
    /// What came back.
    pub answer: DnsAnswer,
}

/// What a name server said to one question (A and AAAA together).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsAnswer {
    /// Addresses.
    Found(Vec<IpAddr>),
    /// The name does not exist.
    NameError,
    /// The name exists, without such records.
    NoRecords,
    /// SERVFAIL.
    ServerFailure,
    /// REFUSED.
    Refused,
    /// Another response code.
    Code(u16),
    /// Nothing.
    Silent,
    /// The question could not be put (no route, port unreachable).
    Unreachable(String),
}

/// What the dials met.
#[derive(Clone, Debug, Default)]
pub struct TcpSeen {
    /// One for each address, in the order of dialling.
    pub attempts: Vec<Attempt>,
    /// Which of them serves.
    pub serving: Option<usize>,
}

/// One dial.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// `address:port`, or a socket's path.
    pub address: String,
    /// The address, unless it is a unix socket.
    pub socket: Option<SocketAddr>,
    /// How it ended.
    pub end: Dial,
    /// How long it took.
    pub took: Duration,
}

/// How a dial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dial {
    /// Connected.
    Connected,
    /// Nothing came back.
    Silent {
        /// How many SYNs went out, where the kernel tells.
        syns: Option<u32>,
        /// Retransmissions that the kernel could not even send, where it tells: a local firewall ate them.
        unsent: u64,
    },
    /// An ICMP message came back.
    Icmp {
        /// Who sent it.
        from: Option<IpAddr>,
        /// Whether it is ICMPv6.
        v6: bool,
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
    },
    /// An RST came back (or nothing listens on the unix socket).
    Reset,
    /// The kernel itself said no, with this errno and no packet from outside.
    Local(i32, String),
}

/// What a peer said in answer to something.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The reply, where a whole one came.
    pub reply: Option<Value>,
    /// The beginning of whatever else came.
    pub bytes: Vec<u8>,
    /// How it ended.
    pub end: End,
    /// From sending to the end.
    pub took: Duration,
}

/// How listening ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With a whole reply.
    Replied,
    /// The time was up.
    Silent,
    /// The peer closed.
    Closed,
    /// The peer reset the connection.
    Reset,
    /// What came is no reply of Redis.
    NotResp,
    /// TLS said no while reading (TLS 1.3 tells of a missing client certificate with the first read).
    Tls(TlsFault),
    /// No second connection could be made.
    NotConnected(String),
    /// Something else broke.
    Broken(String),
}

/// What the TLS handshake met.
#[derive(Clone, Debug)]
pub struct TlsSeen {
    /// The session's version and cipher, or why there is none.
    pub session: Result<TlsSession, TlsFault>,
    /// The certificate that the server showed.
    pub certificate: Option<Certificate>,
    /// The name that the certificate had to be for.
    pub expected: String,
    /// Bytes that the server sent during the handshake, where the kernel tells.
    pub received: Option<u64>,
}

/// An established session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSession {
    /// Such as `TLS 1.3`.
    pub version: String,
    /// The cipher suite's name.
    pub cipher: String,
}

/// Why there is no TLS session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// The chain ends at no trusted root.
    Untrusted(String),
    /// Expired, or not valid yet (the certificate's dates tell which).
    Dates,
    /// For other names.
    OtherName,
    /// No version or cipher in common, in words.
    NothingInCommon(String),
    /// An alert of the server about the client's certificate, by name.
    ClientCertificate(String),
    /// Another alert of the server, by name.
    Alert(String),
    /// Bytes that are no TLS.
    NotTls,
    /// The handshake never ended.
    Stalled,
    /// The peer closed in the middle.
    Closed,
    /// The peer reset in the middle.
    Reset,
    /// The trust options cannot be used (a missing file, a key that does not fit).
    Options(String),
    /// Something else.
    Other(String),
}

/// What a certificate says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// The names that it is for.
    pub names: Vec<String>,
    /// The subject's common name.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Whether it signed itself.
    pub self_signed: bool,
    /// Certificates that the server sent.
    pub chain: usize,
    /// Seconds from now to the start of its validity; negative once begun.
    pub starts_in: i64,
    /// Seconds from now to the end of its validity; negative once over.
    pub ends_in: i64,
}

/// The reply to AUTH.
#[derive(Clone, Debug)]
pub struct AuthSeen {
    /// Whether a user name went with it.
    pub with_user: bool,
    /// The reply.
    pub heard: Heard,
}

/// The reply to the first command.
#[derive(Clone, Debug)]
pub struct PingSeen {
    /// The reply to PING.
    pub heard: Heard,
    /// Where PING is renamed or forbidden: another harmless command and its reply.
    pub instead: Vec<(&'static str, Heard)>,
}

/// What the server says of itself; any part may be forbidden.
#[derive(Clone, Debug, Default)]
pub struct RoleSeen {
    /// Lines `name:value` of INFO.
    pub info: Vec<(String, String)>,
    /// Fields of HELLO that are text.
    pub hello: Vec<(String, String)>,
    /// The reply to ROLE.
    pub role: Option<Value>,
    /// Lines of CLUSTER INFO.
    pub cluster_info: Vec<(String, String)>,
    /// The error in answer to a read on a cluster whose CLUSTER INFO is forbidden.
    pub cluster_read: Option<String>,
    /// The node addresses that the cluster announces, dialled.
    pub nodes: Vec<Attempt>,
    /// Primaries that a Sentinel knows: name and address.
    pub primaries: Vec<(String, String)>,
    /// Errors in answer to any of these questions.
    pub refusals: Vec<String>,
    /// The question that Sentinel or node answered last ended with this.
    pub end: Option<End>,
}

impl RoleSeen {
    /// A field of INFO.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<&str> {
        find(&self.info, name)
    }

    /// A field of HELLO.
    #[must_use]
    pub fn hello(&self, name: &str) -> Option<&str> {
        find(&self.hello, name)
    }

    /// A field of CLUSTER INFO.
    #[must_use]
    pub fn cluster_info(&self, name: &str) -> Option<&str> {
        find(&self.cluster_info, name)
    }
}

fn find<'a>(lines: &'a [(String, String)], name: &str) -> Option<&'a str> {
    lines
        .iter()
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.as_str())
}

/// The rehearsal: the reply to each command of the MULTI, and to EXEC.
#[derive(Clone, Debug, Default)]
pub struct WriteSeen {
    /// The error to each command that got one, in order; MULTI and EXEC included.
    pub errors: Vec<(String, String)>,
    /// Whether EXEC answered with a reply for each command.
    pub done: bool,
    /// How it ended where a reply is missing.
    pub end: Option<End>,
}

/// A TLS hello to a URL that is plain.
#[derive(Clone, Debug)]
pub struct HelloSeen {
    /// Whether the answer was TLS: a server hello or an alert.
    pub is_tls: bool,
    /// What the handshake came to.
    pub outcome: String,
    /// What a PING inside the session got.
    pub inside: Option<Heard>,
}

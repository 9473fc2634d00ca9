//! The parts of a random world. The first variant of each part is the healthy one.
//!
//! All variants have different names, so that a failing world can be printed as code; see
//! [`super::found_before`].

use proptest::prelude::*;
use proptest::sample::select;

use crate::ping::WriteCheck;

/// Declares an enum whose first variant is healthy, and a strategy that generates it and mostly returns the
/// first variant.
macro_rules! parts {
    ($($(#[$about:meta])+ $part:ident { $healthy:ident, $($(#[$note:meta])* $broken:ident,)+ })+) => {
        $(
            $(#[$about])+
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[allow(clippy::enum_variant_names, reason = "worlds print themselves without the names of the enums")]
            pub(super) enum $part { $healthy, $($(#[$note])* $broken,)+ }

            impl $part {
                pub(super) const HEALTHY: Self = Self::$healthy;

                /// Returns the strategy. `weight` is how many times as often the part is healthy as not.
                #[allow(dead_code, reason = "the scheme is chosen together with the port")]
                pub(super) fn any(weight: u32) -> impl Strategy<Value = Self> {
                    prop_oneof![
                        weight => Just(Self::$healthy),
                        1 => select(&[$(Self::$broken),+][..]),
                    ]
                }
            }
        )+
    };
}

parts! {
    /// The host in the URL. Lookups and connection attempts are simulated for all hosts except `Here`.
    Host {
        Here,
        Elsewhere,
        ByAddress,
        ElastiCache,
        Azure,
        Container,
    }

    /// How the name servers respond to the host name.
    Name {
        Resolves,
        NxDomain,
        DanglingAlias,
        NoRecords,
        ServFail,
        Nonsense,
        NameServerSilent,
        NameServerUnreachable,
        NameServersDisagree,
        /// One of two name servers does not respond.
        ResolvesSlowly,
        /// A search domain completes the name.
        ResolvesCompleted,
    }

    /// What happens to attempts to connect to the host's address.
    Path {
        Open,
        Closed,
        Dropped,
        DroppedAfterOneSyn,
        StuckInThisHost,
        FirewallRejects,
        ThisHostRejects,
        HostUnreachable,
        NoRoute,
        NoNeighbour,
        NoLocalPort,
        /// The path works, but the first SYN is lost.
        OpenLosesPackets,
        /// The path works, but each round trip takes long.
        OpenFarAway,
    }

    /// Where `ping` runs.
    From {
        Anywhere,
        InItsNetwork,
        OnEc2,
    }

    /// The scheme of the URL.
    Scheme {
        PlainUrl,
        TlsUrl,
    }

    /// The protocol that the port speaks.
    Port {
        PlainPort,
        TlsPort,
        /// The port speaks TLS, and its certificate expires soon.
        TlsExpiresSoon,
        /// The port speaks TLS, and does not reply to anything else.
        TlsIgnoresPlain,
        TlsUntrusted,
        TlsWrongName,
        TlsExpired,
        TlsNotYetValid,
        TlsExpiredWrongName,
        TlsUntrustedExpired,
        TlsWantsClientCertificate,
        TlsTooOld,
        TlsNeedsServerName,
        TlsSilent,
        TlsCloses,
        /// The server begins the handshake, but sends nothing more.
        TlsStallsMidway,
        TlsClosesMidway,
    }

    /// How connections are accepted.
    Door {
        Redis,
        ClosesAtOnce,
        ResetsAtOnce,
        NeverReplies,
        /// The server sends FIN at once, but still reads.
        HalfCloses,
        /// The server closes the connection without a reply, but only after a while.
        ClosesLate,
        /// The server closes all connections except the first.
        OneConnectionOnly,
        MaxClients,
        Protected,
        Allowlist,
        ExpectsProxyHeader,
        SendsProxyHeader,
        Http,
        /// The server reports a timeout without any request, as a load balancer does.
        HttpUnasked,
        Ssh,
        Smtp,
        /// The server sends its banner late.
        SmtpLate,
        Mysql,
        Memcached,
        EchoService,
        Binary,
    }

    /// The login in the URL, and whether the server accepts it.
    Login {
        NoLogin,
        Password,
        UserAndPassword,
        PasswordMissing,
        UserWithoutPassword,
        WrongPassword,
        WrongUser,
        PasswordNotNeeded,
        UserNotNeeded,
    }

    /// What the user is not allowed to do.
    Acl {
        AllAllowed,
        PingForbidden,
        ReadForbidden,
        OtherKeysOnly,
        InfoForbidden,
        EchoForbidden,
        TutorialOnly,
        WritesForbidden,
        HsetForbidden,
        HincrbyForbidden,
        ExpireForbidden,
        DelForbidden,
        MultiForbidden,
        ExecForbidden,
        SelectForbidden,
        AllForbidden,
    }

    /// The state of the server.
    State {
        Serving,
        Loading,
        Busy,
        Misconf,
        MasterDown,
        NoReplicas,
        OutOfMemory,
        /// Writes are paused by CLIENT PAUSE WRITE.
        WritesPaused,
        QuotaUsedUp,
        ReadsRefused,
    }

    /// Another program between `ping` and Redis.
    Proxy {
        Direct,
        /// The proxy replies to PING, and to everything else with an error.
        NoBackendError,
        NoBackendCloses,
        NoBackendSilent,
        NoBackendHttp,
        /// The proxy accepts the password and replies to PING, but has no password for Redis.
        NoBackendLogin,
        /// Like `NoBackendLogin`, but the proxy forwards PING.
        NoBackendLoginAtPing,
        /// A reply to an earlier request arrives first.
        LateReply,
        /// The reply to ECHO contains the value of another client.
        OtherReply,
    }

    /// The command at which the connection ends or no longer gets replies.
    CutAt {
        Nowhere,
        AtAuth,
        AtPing,
        AtSelect,
        AtRead,
        AtEcho,
        AtHello,
        AtRole,
        AtInfo,
    }

    /// How the connection fails.
    CutBy {
        Silence,
        Close,
        Reset,
        HalfReply,
    }

    /// The connections on which the failure happens.
    CutOn {
        EveryConnection,
        FirstConnection,
    }

    /// What the server does not support.
    Lacks {
        Nothing,
        LacksPing,
        LacksHello,
        LacksInfo,
        LacksInfoAndHello,
        LacksRead,
        LacksEcho,
        LacksConfig,
        LacksMulti,
        /// The server is Redis 5, which has neither HELLO nor users.
        IsRedis5,
    }

    /// The role of the server.
    Role {
        Primary,
        Replica,
        /// The replica has lost its primary, but serves stale data.
        StaleReplica,
        Sentinel,
        ClusterNode,
        ClusterDown,
        /// The cluster continues to work without some slots.
        ClusterWithHoles,
        /// One node of the cluster cannot be reached.
        ClusterNodeMissing,
        /// The nodes announce addresses that work only inside their own network.
        ClusterUnreachable,
    }

    /// The database in the URL.
    Db {
        DbZero,
        DbThree,
        DbTooHigh,
    }

    /// Facts for which there should be a warning.
    Extra {
        NothingElse,
        IdleLimit,
        NearlyAllClients,
        EvictsAllKeys,
        NearlyFull,
    }

    /// How fast the replies arrive.
    Speed {
        Fast,
        Slow,
        OneLate,
        /// The first reply on each connection takes longer than experiments wait.
        SlowStart,
        /// All replies together take about as long as the timeout.
        Crawling,
    }
}

/// A combination of servers, the network between them and this host, and the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct World {
    pub(super) host: Host,
    pub(super) name: Name,
    pub(super) path: Path,
    /// The path to a second address of the same name, if there is one.
    pub(super) second: Option<Path>,
    pub(super) third: Option<Path>,
    pub(super) from: From,
    pub(super) scheme: Scheme,
    pub(super) port: Port,
    pub(super) door: Door,
    pub(super) login: Login,
    pub(super) acl: Acl,
    pub(super) state: State,
    pub(super) proxy: Proxy,
    pub(super) cut_at: CutAt,
    pub(super) cut_by: CutBy,
    pub(super) cut_on: CutOn,
    pub(super) lacks: Lacks,
    pub(super) role: Role,
    pub(super) db: Db,
    pub(super) extra: Extra,
    pub(super) speed: Speed,
    pub(super) writes: WriteCheck,
}

impl World {
    /// A world in which nothing is wrong.
    pub(super) const HEALTHY: Self = Self {
        host: Host::HEALTHY,
        name: Name::HEALTHY,
        path: Path::HEALTHY,
        second: None,
        third: None,
        from: From::HEALTHY,
        scheme: Scheme::HEALTHY,
        port: Port::HEALTHY,
        door: Door::HEALTHY,
        login: Login::HEALTHY,
        acl: Acl::HEALTHY,
        state: State::HEALTHY,
        proxy: Proxy::HEALTHY,
        cut_at: CutAt::HEALTHY,
        cut_by: CutBy::HEALTHY,
        cut_on: CutOn::HEALTHY,
        lacks: Lacks::HEALTHY,
        role: Role::HEALTHY,
        db: Db::HEALTHY,
        extra: Extra::HEALTHY,
        speed: Speed::HEALTHY,
        writes: WriteCheck::Skip,
    };

    /// Generates any world. Most worlds have one or two faults.
    pub(super) fn any() -> impl Strategy<Value = Self> {
        const RARE: u32 = 11;
        let other_path = || prop_oneof![4 => Just(None), 1 => Path::any(1).prop_map(Some)];
        let way = (
            Host::any(1),
            Name::any(RARE / 2),
            Path::any(RARE / 2),
            (other_path(), other_path()),
            From::any(2),
        );
        let port = (any_port(), Door::any(RARE), any_login(), Db::any(6));
        let server = (
            Acl::any(RARE),
            State::any(RARE),
            Proxy::any(RARE + 4),
            Lacks::any(RARE),
            Role::any(6),
        );
        let cut = (CutAt::any(RARE), CutBy::any(1), CutOn::any(1));
        let rest = (Extra::any(8), Speed::any(14), prop::bool::weighted(0.3));
        (way, port, server, cut, rest).prop_map(|(way, port, server, cut, rest)| {
            let (host, name, path, (second, third), from) = way;
            let ((scheme, port), door, login, db) = port;
            let (acl, state, proxy, lacks, role) = server;
            let (cut_at, cut_by, cut_on) = cut;
            let (extra, speed, writes) = rest;
            let writes = if writes { WriteCheck::Run } else { WriteCheck::Skip };
            Self {
                host,
                name,
                path,
                second,
                third,
                from,
                scheme,
                port,
                door,
                login,
                acl,
                state,
                proxy,
                cut_at,
                cut_by,
                cut_on,
                lacks,
                role,
                db,
                extra,
                speed,
                writes,
            }
            .consistent()
        })
    }

    /// Removes combinations of parts that cannot exist.
    fn consistent(self) -> Self {
        let is_tls = self.port != Port::PlainPort;
        let has_name = !matches!(self.host, Host::Here | Host::ByAddress);
        Self {
            second: self.second.filter(|_| has_name),
            third: self.third.filter(|_| has_name),
            name: if !has_name { Name::HEALTHY } else { self.name },
            // On this host, loopback never loses or rejects packets.
            path: match self.path {
                Path::Open | Path::Closed => self.path,
                _ if self.host == Host::Here => Path::Open,
                path => path,
            },
            // A TLS server that has reached its limit of clients closes new connections without an error.
            door: match self.door {
                Door::MaxClients if is_tls => Door::ClosesAtOnce,
                door => door,
            },
            // A Sentinel has no data that it could load, save or copy.
            state: if self.role == Role::Sentinel {
                State::HEALTHY
            } else {
                self.state
            },
            // A Sentinel has no ECHO, and another program does not send replies of Redis.
            proxy: match self.proxy {
                Proxy::LateReply if self.is_other_program() => Proxy::Direct,
                Proxy::OtherReply if self.role == Role::Sentinel => Proxy::Direct,
                proxy => proxy,
            },
            acl: if self.lacks == Lacks::IsRedis5 {
                Acl::HEALTHY
            } else {
                self.acl
            },
            ..self
        }
    }

    /// Whether the host name has addresses.
    pub(super) fn resolves(&self) -> bool {
        matches!(
            self.name,
            Name::Resolves | Name::ResolvesSlowly | Name::ResolvesCompleted
        )
    }

    /// Returns the paths to all addresses.
    pub(super) fn paths(&self) -> impl Iterator<Item = Path> + Clone {
        [Some(self.path), self.second, self.third].into_iter().flatten()
    }

    /// Whether the connection uses an address whose packets get lost. The first address that works is used.
    pub(super) fn loses_packets(&self) -> bool {
        self.paths().find(|path| path.is_open()) == Some(Path::OpenLosesPackets)
    }

    /// Whether the URL contains a password.
    pub(super) fn has_password(&self) -> bool {
        !matches!(
            self.login,
            Login::NoLogin | Login::PasswordMissing | Login::UserWithoutPassword
        )
    }

    /// Whether the server requires a login.
    pub(super) fn requires_login(&self) -> bool {
        !matches!(
            self.login,
            Login::NoLogin | Login::PasswordNotNeeded | Login::UserNotNeeded
        )
    }

    pub(super) fn is_cluster(&self) -> bool {
        use Role::*;
        matches!(
            self.role,
            ClusterNode | ClusterDown | ClusterWithHoles | ClusterNodeMissing | ClusterUnreachable
        )
    }

    pub(super) fn is_replica(&self) -> bool {
        matches!(self.role, Role::Replica | Role::StaleReplica) || self.state == State::MasterDown
    }
}

impl Path {
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::OpenLosesPackets | Self::OpenFarAway)
    }
}

/// Generates a login, which the server usually accepts.
fn any_login() -> impl Strategy<Value = Login> {
    prop_oneof![
        2 => select(&[Login::NoLogin, Login::Password, Login::UserAndPassword][..]),
        1 => Login::any(0),
    ]
}

/// Generates a scheme and a port, which usually match.
fn any_port() -> impl Strategy<Value = (Scheme, Port)> {
    prop_oneof![
        20 => Just((Scheme::PlainUrl, Port::PlainPort)),
        4 => Just((Scheme::TlsUrl, Port::TlsPort)),
        1 => Just((Scheme::TlsUrl, Port::PlainPort)),
        1 => Port::any(0).prop_map(|port| (Scheme::PlainUrl, port)),
        3 => Port::any(0).prop_map(|port| (Scheme::TlsUrl, port)),
    ]
}

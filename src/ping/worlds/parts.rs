//! Defines the parts of a random world, such as its network and its server. The first variant of each part is
//! the healthy one.
//!
//! All variants have different names, so that a failing world can be printed as code; see
//! [`super::found_before`].

use proptest::prelude::*;
use proptest::sample::select;

/// Declares an enum with a healthy first variant, and a strategy that mostly generates this variant.
macro_rules! parts {
    ($($(#[$about:meta])+ $part:ident { $healthy:ident, $($(#[$note:meta])* $broken:ident,)+ })+) => {
        $(
            $(#[$about])+
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[allow(clippy::enum_variant_names, reason = "worlds print themselves without the names of the enums")]
            pub(super) enum $part { $healthy, $($(#[$note])* $broken,)+ }

            impl $part {
                pub(super) const HEALTHY: Self = Self::$healthy;

                /// Returns a strategy that generates, on average, `weight` healthy values for each faulty
                /// value.
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
    /// The host in the URL. Lookups and connection attempts are simulated, except for `Here`.
    Host {
        Here,
        Elsewhere,
        ByAddress,
        ElastiCache,
        Azure,
        Container,
    }

    /// The answer of the name servers about the host name.
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
        /// The resolver finds the host name only with a search domain.
        ResolvesCompleted,
    }

    /// The result of attempts to connect to the host's address.
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
        /// The connection works, but the first SYN is lost.
        OpenLosesPackets,
        /// The connection works, but each round trip takes a long time.
        OpenFarAway,
    }

    /// The place where `ping` runs.
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

    /// How the server accepts connections.
    Door {
        Redis,
        ClosesAtOnce,
        ResetsAtOnce,
        NeverReplies,
        /// The server immediately sends FIN, but still reads.
        HalfCloses,
        /// The server closes the connection without a reply, after some time.
        ClosesLate,
        /// The server closes all connections except the first.
        OneConnectionOnly,
        MaxClients,
        Protected,
        Allowlist,
        ExpectsProxyHeader,
        SendsProxyHeader,
        Http,
        /// The server sends an HTTP error about a timeout without any request, as a load balancer does.
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

    /// The permissions that the user lacks.
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

    /// The state of the server, such as loading its data.
    State {
        Serving,
        Loading,
        Busy,
        Misconf,
        MasterDown,
        NoReplicas,
        OutOfMemory,
        /// CLIENT PAUSE WRITE is in effect.
        WritesPaused,
        QuotaUsedUp,
        ReadsRefused,
    }

    /// A program between `ping` and Redis.
    Proxy {
        Direct,
        /// The proxy replies to PING, but rejects all other commands with an error.
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

    /// The command at which the connection fails.
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

    /// Which connections fail.
    CutOn {
        EveryConnection,
        FirstConnection,
    }

    /// The commands and features that the server does not support.
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

    /// Facts that require a warning.
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
        /// On each connection, the first reply arrives after the experiments have stopped waiting.
        SlowStart,
        /// All replies together take about as long as the timeout.
        Crawling,
    }
}

impl Path {
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::OpenLosesPackets | Self::OpenFarAway)
    }
}

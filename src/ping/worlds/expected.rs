//! Determines the right verdicts for a random world. Each broken part has one or more right causes. The
//! broken part in the lowest layer determines the verdict.

use super::parts::{
    Acl, CutAt, CutBy, CutOn, Db, Door, Extra, Host, Lacks, Login, Name, Path, Port, Proxy, Role, Scheme,
    Speed, State,
};
use super::world::World;
use crate::ping::WriteCheck;
use crate::ping::causes::Cause;

/// A broken part of a world, and the causes that `ping` may report for it.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) layer: Layer,
    /// The causes that are right, the usual cause first.
    pub(super) causes: Vec<Cause>,
    /// Whether observations can prove the cause.
    pub(super) is_provable: bool,
    /// Whether Redis may be usable despite the fault. If so, a verdict without a cause is also right.
    pub(super) may_be_ok: bool,
    /// Whether only the first connection has the fault. If so, `ping` may report the next fault instead.
    pub(super) is_momentary: bool,
}

/// The layers of faults. Faults in earlier layers take effect first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    Name,
    Path,
    Door,
    Tls,
    Greeting,
    Auth,
    Ping,
    Select,
    Read,
    Echo,
    About,
    Role,
    Write,
}

impl Layer {
    pub(super) const ALL: [Self; 13] = [
        Self::Name,
        Self::Path,
        Self::Door,
        Self::Tls,
        Self::Greeting,
        Self::Auth,
        Self::Ping,
        Self::Select,
        Self::Read,
        Self::Echo,
        Self::About,
        Self::Role,
        Self::Write,
    ];
}

impl Fault {
    fn new(layer: Layer, causes: &[Cause]) -> Self {
        Self {
            layer,
            causes: causes.to_vec(),
            is_provable: true,
            may_be_ok: false,
            is_momentary: false,
        }
    }

    fn likely(self) -> Self {
        Self {
            is_provable: false,
            ..self
        }
    }

    fn or_ok(self) -> Self {
        Self {
            may_be_ok: true,
            ..self
        }
    }
}

impl World {
    /// Returns all faults, lowest layer first.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> = [
            self.name_fault(),
            self.path_fault(),
            self.door_fault(),
            self.tls_fault(),
            self.greeting_fault(),
            self.login_fault(),
            self.cut_fault(),
            self.state_fault(),
            self.acl_fault(),
            self.proxy_fault(),
            self.lacks_fault(),
            self.db_fault(),
            self.role_fault(),
        ]
        .into_iter()
        .flatten()
        .collect();
        faults.sort_by_key(|fault| fault.layer);
        faults
    }

    fn name_fault(&self) -> Option<Fault> {
        let (cause, is_provable) = match self.name {
            Name::Resolves | Name::ResolvesSlowly | Name::ResolvesCompleted => return None,
            Name::NxDomain | Name::DanglingAlias => (Cause::DnsNotFound, true),
            Name::NoRecords => (Cause::DnsNoAddress, true),
            Name::ServFail | Name::Nonsense => (Cause::DnsServerFailure, true),
            Name::NameServerSilent | Name::NameServerUnreachable => (Cause::DnsTimeout, true),
            Name::NameServersDisagree => (Cause::DnsNotFound, false),
        };
        let fault = Fault::new(Layer::Name, &[cause]);
        Some(if is_provable { fault } else { fault.likely() })
    }

    /// Returns the fault of the network path. If all addresses fail, a rejection takes precedence over a
    /// missing reply.
    fn path_fault(&self) -> Option<Fault> {
        let faults = self.paths().map(|path| {
            Some(match path {
                Path::Open | Path::OpenLosesPackets | Path::OpenFarAway => return None,
                Path::NoLocalPort => (0, Cause::TcpNoLocalPort, true),
                Path::Closed => (1, Cause::TcpRefused, true),
                Path::FirewallRejects | Path::ThisHostRejects => (2, Cause::TcpProhibited, true),
                Path::HostUnreachable | Path::NoNeighbour => (3, Cause::TcpUnreachable, true),
                Path::StuckInThisHost => (3, Cause::TcpUnreachable, false),
                Path::Dropped => (4, Cause::TcpTimeout, true),
                Path::DroppedAfterOneSyn => (4, Cause::TcpTimeout, false),
                Path::NoRoute => (5, Cause::TcpUnreachable, true),
            })
        });
        let faults: Vec<(u8, Cause, bool)> = faults.collect::<Option<_>>()?;
        let first = faults.iter().map(|(rank, ..)| *rank).min()?;
        let counting = faults.iter().filter(|(rank, ..)| *rank == first);
        let (causes, provable): (Vec<Cause>, Vec<bool>) = counting
            .map(|(_, cause, is_provable)| (*cause, *is_provable))
            .unzip();
        let fault = Fault::new(Layer::Path, &causes);
        Some(if provable.contains(&true) {
            fault
        } else {
            fault.likely()
        })
    }

    fn door_fault(&self) -> Option<Fault> {
        let causes: &[Cause] = match self.door {
            Door::ClosesAtOnce | Door::ResetsAtOnce | Door::HalfCloses | Door::ClosesLate => {
                &[Cause::ProtoClosed]
            }
            // Experiments show nothing, because the server closes every connection but the first.
            Door::OneConnectionOnly if self.is_tls_mismatch() => &[
                Cause::ProtoClosed,
                Cause::TlsStalled,
                Cause::ServerSilent,
                Cause::TlsNotOffered,
            ],
            Door::NeverReplies => &[Cause::ServerSilent, Cause::TlsStalled],
            Door::ExpectsProxyHeader if self.is_silent_after_header() => {
                &[Cause::ProtoClosed, Cause::ProxyHeader]
            }
            Door::ExpectsProxyHeader => &[Cause::ProxyHeader],
            _ => return None,
        };
        Some(Fault::new(Layer::Door, causes))
    }

    /// Whether the port sends no reply even after a PROXY header.
    fn is_silent_after_header(&self) -> bool {
        let is_cut = match self.cut_at {
            CutAt::AtAuth => self.has_password(),
            CutAt::AtPing => !self.has_password() || self.login_fault().is_none(),
            _ => false,
        };
        let is_silent_port = matches!(
            self.port,
            Port::TlsSilent | Port::TlsCloses | Port::TlsStallsMidway | Port::TlsClosesMidway
        );
        self.is_tls_mismatch()
            || is_silent_port
            || is_cut && self.scheme == Scheme::PlainUrl && self.cut_on == CutOn::EveryConnection
    }

    fn is_tls_mismatch(&self) -> bool {
        (self.scheme == Scheme::TlsUrl) == (self.port == Port::PlainPort)
    }

    fn tls_fault(&self) -> Option<Fault> {
        let is_tls_url = self.scheme == Scheme::TlsUrl;
        let causes: &[Cause] = match self.port {
            Port::TlsSilent => &[Cause::ServerSilent, Cause::TlsStalled],
            Port::TlsCloses => &[Cause::ProtoClosed],
            // A ClientHello gets no reply either.
            Port::TlsStallsMidway | Port::TlsClosesMidway if !is_tls_url => {
                &[Cause::ProtoClosed, Cause::TlsRequired]
            }
            Port::TlsStallsMidway => &[Cause::TlsStalled],
            Port::TlsClosesMidway => &[Cause::ProtoClosed],
            Port::PlainPort if is_tls_url => return Some(self.tls_not_offered()),
            Port::PlainPort => return None,
            // The experiment finds the other program inside TLS.
            _ if !is_tls_url && self.is_other_program() => &[Cause::ProtoNotRedis, Cause::TlsRequired],
            _ if !is_tls_url => &[Cause::TlsRequired],
            Port::TlsPort | Port::TlsExpiresSoon | Port::TlsIgnoresPlain => return None,
            Port::TlsUntrusted => &[Cause::TlsUntrusted],
            Port::TlsWrongName | Port::TlsNeedsServerName => &[Cause::TlsNameMismatch],
            Port::TlsExpired | Port::TlsNotYetValid => &[Cause::TlsExpired],
            Port::TlsExpiredWrongName => &[Cause::TlsExpired, Cause::TlsNameMismatch],
            Port::TlsUntrustedExpired => &[Cause::TlsExpired, Cause::TlsUntrusted],
            Port::TlsWantsClientCertificate => &[Cause::TlsClientCert],
            Port::TlsTooOld => &[Cause::TlsVersion],
        };
        Some(Fault::new(Layer::Tls, causes))
    }

    /// Returns the fault of a port that does not speak TLS. The reply to a plain-text PING on a second
    /// connection determines the cause.
    fn tls_not_offered(&self) -> Fault {
        let fault = |causes| Fault::new(Layer::Tls, causes);
        if self.is_other_program() {
            return fault(&[Cause::ProtoNotRedis]);
        }
        if self.proxy == Proxy::LateReply {
            return fault(&[Cause::TlsNotOffered, Cause::ProtoUnexpected]);
        }
        if self.cut_at == CutAt::AtPing
            && !matches!(self.door, Door::MaxClients | Door::Protected | Door::Allowlist)
        {
            // A ClientHello that happens to contain a newline looks like a command to Redis, which rejects
            // it.
            let causes = match self.cut_by {
                CutBy::Silence | CutBy::HalfReply => {
                    &[Cause::ServerSilent, Cause::TlsStalled, Cause::ProtoNotRedis]
                }
                CutBy::Close | CutBy::Reset => &[Cause::ProtoClosed, Cause::TlsStalled, Cause::ProtoNotRedis],
            };
            // On further connections, PING may get a reply.
            return match self.cut_on {
                CutOn::EveryConnection => fault(causes),
                CutOn::FirstConnection => fault(&[Cause::TlsNotOffered]),
            };
        }
        fault(&[Cause::TlsNotOffered])
    }

    pub(super) fn is_other_program(&self) -> bool {
        use Door::*;
        matches!(
            self.door,
            Http | HttpUnasked | Ssh | Smtp | SmtpLate | Mysql | Memcached | EchoService | Binary
        )
    }

    fn greeting_fault(&self) -> Option<Fault> {
        let cause = match self.door {
            _ if self.is_other_program() => Cause::ProtoNotRedis,
            Door::MaxClients => Cause::ServerMaxClients,
            Door::Protected => Cause::ServerProtectedMode,
            Door::Allowlist => Cause::ServerRefused,
            Door::SendsProxyHeader => Cause::ProxyHeader,
            // The late reply looks like the reply to AUTH, and no other reply follows.
            _ if self.proxy == Proxy::LateReply && self.cut_at == CutAt::AtAuth && self.has_password() => {
                let causes = [Cause::ProtoUnexpected, self.cut_cause()];
                return Some(Fault::new(Layer::Greeting, &causes));
            }
            _ if self.proxy == Proxy::LateReply => Cause::ProtoUnexpected,
            _ => return None,
        };
        Some(Fault::new(Layer::Greeting, &[cause]))
    }

    fn login_fault(&self) -> Option<Fault> {
        let is_redis_5 = self.lacks == Lacks::IsRedis5;
        let is_other_login = matches!(self.proxy, Proxy::NoBackendLogin | Proxy::NoBackendLoginAtPing);
        let cause = match self.login {
            Login::UserAndPassword if is_redis_5 => Cause::AuthFailed,
            // The proxy needs no password, but Redis behind it does.
            Login::PasswordNotNeeded if is_other_login => {
                let causes = [Cause::ProxyNoBackend, Cause::AuthNotConfigured];
                return Some(Fault::new(Layer::Auth, &causes));
            }
            Login::NoLogin | Login::Password | Login::UserAndPassword => return None,
            Login::PasswordMissing | Login::UserWithoutPassword => Cause::AuthRequired,
            Login::WrongPassword | Login::WrongUser | Login::UserNotNeeded => Cause::AuthFailed,
            Login::PasswordNotNeeded => Cause::AuthNotConfigured,
        };
        let layer = match self.lacks {
            _ if self.has_password() => Layer::Auth,
            // Redis checks whether a command exists before it checks the login, so the next request shows the
            // login problem.
            Lacks::LacksPing => Layer::Select,
            _ => Layer::Ping,
        };
        Some(Fault::new(layer, &[cause]))
    }

    fn is_cut_silent(&self) -> bool {
        matches!(self.cut_by, CutBy::Silence | CutBy::HalfReply)
    }

    fn cut_cause(&self) -> Cause {
        if self.is_cut_silent() {
            Cause::ServerSilent
        } else {
            Cause::ProtoClosed
        }
    }

    fn cut_fault(&self) -> Option<Fault> {
        let cause = self.cut_cause();
        let is_momentary = self.cut_on == CutOn::FirstConnection;
        let (layer, fault) = match self.cut_at {
            CutAt::Nowhere => return None,
            CutAt::AtAuth if !self.has_password() => return None,
            CutAt::AtSelect if self.db == Db::DbZero => return None,
            CutAt::AtAuth => (Layer::Auth, Fault::new(Layer::Auth, &[cause])),
            CutAt::AtPing => (Layer::Ping, Fault::new(Layer::Ping, &[cause])),
            CutAt::AtSelect => (Layer::Select, Fault::new(Layer::Select, &[cause]).likely()),
            CutAt::AtRead => {
                let fault = Fault::new(Layer::Read, &[Cause::ProxyNoBackend, cause]);
                (Layer::Read, fault.likely())
            }
            CutAt::AtEcho if self.is_cut_silent() => {
                (Layer::Echo, Fault::new(Layer::Echo, &[cause]).likely())
            }
            CutAt::AtEcho => (Layer::Echo, Fault::new(Layer::Echo, &[cause]).likely().or_ok()),
            CutAt::AtHello | CutAt::AtRole | CutAt::AtInfo => {
                (Layer::About, Fault::new(Layer::About, &[cause]).likely().or_ok())
            }
        };
        let is_before_auth =
            self.cut_at == CutAt::AtPing && self.login_fault().is_some() && self.has_password();
        (!is_before_auth).then_some(Fault {
            layer,
            is_momentary,
            is_provable: fault.is_provable && !is_momentary,
            ..fault
        })
    }

    fn state_fault(&self) -> Option<Fault> {
        let is_pinged = self.lacks != Lacks::LacksPing
            && !matches!(
                self.acl,
                Acl::PingForbidden | Acl::TutorialOnly | Acl::AllForbidden
            );
        let every = if is_pinged { Layer::Ping } else { Layer::Read };
        let (layer, cause) = match self.state {
            State::Serving => return None,
            State::Misconf if !is_pinged && self.writes == WriteCheck::Skip => return None,
            State::Misconf if !is_pinged => (Layer::Write, Cause::ServerMisconf),
            State::Misconf => (every, Cause::ServerMisconf),
            State::Loading => (every, Cause::ServerLoading),
            State::Busy => (every, Cause::ServerBusy),
            State::MasterDown => (every, Cause::RoleMasterDown),
            State::QuotaUsedUp => (every, Cause::ServerRefused),
            // Redis checks the permissions first.
            State::ReadsRefused if matches!(self.acl, Acl::ReadForbidden | Acl::OtherKeysOnly) => {
                return None;
            }
            State::ReadsRefused => (Layer::Read, Cause::ServerRefused),
            State::NoReplicas | State::OutOfMemory | State::WritesPaused
                if self.writes == WriteCheck::Skip =>
            {
                return None;
            }
            State::WritesPaused => (Layer::Write, Cause::ServerSilent),
            State::NoReplicas => (Layer::Write, Cause::ServerNoReplicas),
            State::OutOfMemory => (Layer::Write, Cause::ServerOutOfMemory),
        };
        Some(Fault::new(layer, &[cause]))
    }

    fn acl_fault(&self) -> Option<Fault> {
        let has_database = self.db != Db::DbZero;
        let rehearses = self.writes == WriteCheck::Run;
        let layer = match self.acl {
            Acl::AllForbidden if self.role == Role::Sentinel => return None,
            Acl::AllForbidden if has_database => Layer::Select,
            // Redis may be usable even if the user has no permission for PING.
            Acl::AllForbidden => Layer::Read,
            Acl::SelectForbidden | Acl::TutorialOnly if has_database => Layer::Select,
            Acl::AllAllowed
            | Acl::PingForbidden
            | Acl::InfoForbidden
            | Acl::EchoForbidden
            | Acl::TutorialOnly
            | Acl::SelectForbidden => return None,
            _ if rehearses => Layer::Write,
            _ => return None,
        };
        Some(Fault::new(layer, &[Cause::AuthNoPermission]))
    }

    fn proxy_fault(&self) -> Option<Fault> {
        Some(match self.proxy {
            Proxy::Direct | Proxy::LateReply => return None,
            // The proxy rejects the requests after PING. If the first such request is cut, this is not visible.
            Proxy::NoBackendError
            | Proxy::NoBackendCloses
            | Proxy::NoBackendSilent
            | Proxy::NoBackendHttp
                if self.cut_at == CutAt::AtRead && self.db == Db::DbZero =>
            {
                Fault::new(Layer::Read, &[Cause::ProxyNoBackend, self.cut_cause()]).likely()
            }
            Proxy::NoBackendError => Fault::new(Layer::Select, &[Cause::ProxyNoBackend]),
            // Without a login, the proxy looks like the server.
            Proxy::NoBackendLogin if !self.has_password() => {
                Fault::new(Layer::Select, &[Cause::ProxyNoBackend, Cause::AuthRequired])
            }
            Proxy::NoBackendLoginAtPing if !self.has_password() => {
                Fault::new(Layer::Ping, &[Cause::AuthRequired])
            }
            Proxy::NoBackendLogin => Fault::new(Layer::Select, &[Cause::ProxyNoBackend]),
            Proxy::NoBackendLoginAtPing => Fault::new(Layer::Ping, &[Cause::ProxyNoBackend]),
            Proxy::NoBackendCloses => {
                Fault::new(Layer::Select, &[Cause::ProxyNoBackend, Cause::ProtoClosed]).likely()
            }
            Proxy::NoBackendHttp => {
                Fault::new(Layer::Select, &[Cause::ProxyNoBackend, Cause::ProtoUnexpected]).likely()
            }
            Proxy::NoBackendSilent => {
                Fault::new(Layer::Select, &[Cause::ProxyNoBackend, Cause::ServerSilent]).likely()
            }
            // The ECHO gets no reply at all.
            Proxy::OtherReply if self.cut_at == CutAt::AtEcho => return None,
            // If the connection works until the ECHO, all its replies are in doubt.
            Proxy::OtherReply if !matches!(self.cut_at, CutAt::AtSelect | CutAt::AtRead) => {
                Fault::new(Layer::Select, &[Cause::ProtoUnexpected])
            }
            Proxy::OtherReply => Fault::new(Layer::Echo, &[Cause::ProtoUnexpected]),
        })
    }

    fn lacks_fault(&self) -> Option<Fault> {
        let layer = match self.lacks {
            Lacks::LacksRead => Layer::Read,
            Lacks::LacksMulti if self.writes == WriteCheck::Run => Layer::Write,
            _ => return None,
        };
        Some(Fault::new(layer, &[Cause::ServerRefused]))
    }

    fn db_fault(&self) -> Option<Fault> {
        let is_refused = self.db == Db::DbTooHigh || self.db == Db::DbThree && self.is_cluster();
        // Redis checks the login first.
        let is_tried = self.role != Role::Sentinel && self.login_fault().is_none();
        (is_refused && is_tried).then(|| Fault::new(Layer::Select, &[Cause::DbIndex]))
    }

    fn role_fault(&self) -> Option<Fault> {
        let rehearses = self.writes == WriteCheck::Run;
        let (layer, cause) = match self.role {
            // Every connection ends before HELLO, whose reply would show the Sentinel.
            Role::Sentinel
                if self.cut_on == CutOn::EveryConnection
                    && matches!(self.cut_at, CutAt::AtRead | CutAt::AtEcho | CutAt::AtHello) =>
            {
                return Some(Fault::new(
                    Layer::Read,
                    &[Cause::RoleSentinel, Cause::ServerRefused],
                ));
            }
            Role::Sentinel => (Layer::Select, Cause::RoleSentinel),
            Role::ClusterDown => (Layer::Read, Cause::ClusterDown),
            _ if rehearses && self.is_replica() => (Layer::Write, Cause::RoleReplica),
            _ => return None,
        };
        Some(Fault::new(layer, &[cause]))
    }

    pub(super) fn deserves(&self, warning: Cause) -> bool {
        let is_cut = self.cut_at != CutAt::Nowhere || self.proxy != Proxy::Direct;
        let fails = |path: Path| !path.is_open() && path != Path::NoRoute;
        match warning {
            Cause::UrlSuspect => self.login == Login::UserWithoutPassword,
            Cause::DnsSlow => self.name == Name::ResolvesSlowly,
            Cause::DnsSearch => self.name == Name::ResolvesCompleted,
            Cause::DnsPartial => self.paths().count() > 1 && self.paths().any(fails),
            Cause::PathLoss => self.loses_packets(),
            Cause::TlsExpiresSoon => self.port == Port::TlsExpiresSoon,
            Cause::AuthPlaintext => {
                self.has_password() && self.scheme == Scheme::PlainUrl && self.host != Host::Here
            }
            Cause::ServerEviction => matches!(self.extra, Extra::EvictsAllKeys | Extra::NearlyFull),
            Cause::ServerTimeout => self.extra == Extra::IdleLimit,
            Cause::ServerNearMaxClients => self.extra == Extra::NearlyAllClients,
            Cause::ServerNoReplicas => self.state == State::NoReplicas,
            Cause::ServerOld => matches!(
                self.lacks,
                Lacks::LacksHello | Lacks::LacksInfoAndHello | Lacks::IsRedis5
            ),
            Cause::ProxyLimited => {
                is_cut
                    || matches!(
                        self.lacks,
                        Lacks::LacksInfo | Lacks::LacksHello | Lacks::LacksInfoAndHello | Lacks::LacksMulti
                    )
            }
            Cause::RoleReplica => self.is_replica(),
            Cause::RoleMasterDown => self.role == Role::StaleReplica || self.state == State::MasterDown,
            Cause::ClusterMode => self.is_cluster(),
            Cause::ClusterPartial => self.role == Role::ClusterWithHoles,
            Cause::ClusterUnreachableNodes => {
                matches!(self.role, Role::ClusterNodeMissing | Role::ClusterUnreachable)
            }
            Cause::LatencyHigh | Cause::LatencyJitter => self.speed != Speed::Fast,
            _ => false,
        }
    }
}

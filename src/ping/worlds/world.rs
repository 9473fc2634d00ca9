//! Generates random worlds. A world is a server, a network and a URL, some parts of which are broken.

use proptest::prelude::*;
use proptest::sample::select;

use super::parts::{
    Acl, CutAt, CutBy, CutOn, Db, Door, Extra, From, Host, Lacks, Login, Name, Path, Port, Proxy, Role,
    Scheme, Speed, State,
};
use crate::ping::WriteCheck;

/// The parts of a random world. Each part is healthy or broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct World {
    pub(super) host: Host,
    pub(super) name: Name,
    pub(super) path: Path,
    /// The path to the host name's second address, if there is one.
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
    /// A world in which nothing is broken.
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
            // A TLS server at its client limit closes new connections without an error.
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
            // A Sentinel has no ECHO, and another program does not send Redis replies.
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

    /// Whether packets get lost on the path to the first address that accepts connections.
    pub(super) fn loses_packets(&self) -> bool {
        self.paths().find(|path| path.is_open()) == Some(Path::OpenLosesPackets)
    }

    pub(super) fn has_password(&self) -> bool {
        !matches!(
            self.login,
            Login::NoLogin | Login::PasswordMissing | Login::UserWithoutPassword
        )
    }

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

/// Generates a login that the server usually accepts.
fn any_login() -> impl Strategy<Value = Login> {
    prop_oneof![
        2 => select(&[Login::NoLogin, Login::Password, Login::UserAndPassword][..]),
        1 => Login::any(0),
    ]
}

/// Generates a scheme and a port that usually match.
fn any_port() -> impl Strategy<Value = (Scheme, Port)> {
    prop_oneof![
        20 => Just((Scheme::PlainUrl, Port::PlainPort)),
        4 => Just((Scheme::TlsUrl, Port::TlsPort)),
        1 => Just((Scheme::TlsUrl, Port::PlainPort)),
        1 => Port::any(0).prop_map(|port| (Scheme::PlainUrl, port)),
        3 => Port::any(0).prop_map(|port| (Scheme::TlsUrl, port)),
    ]
}

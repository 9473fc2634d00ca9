//! Runs the checks in a random world. Lookups and connection attempts to other hosts are simulated, because
//! the scripted server cannot imitate them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::certificates::{self, Certificates};
use super::parts::{Db, From, Host, Login, Name, Path, Scheme};
use super::peer::Peer;
use super::world::World;
use super::{PASSWORD, USER};
use crate::deadline::Deadline;
use crate::os::Icmp;
use crate::ping::instance::Instance;
use crate::ping::observation::{
    CompletedName, Dial, DialResult, Endpoint, ErrorSource, FileLine, Lookup, NameAnswer, NameServer,
    Observations, SearchDomains,
};
use crate::ping::this_host::{LocalPorts, Nearness, ThisHost};
use crate::ping::{ClimbOptions, climb};
use crate::redis_url::{Address, Target, Trust};

/// Runs the checks against the scripted server, and returns the target and the observations.
pub(super) async fn observe(
    world: World,
    certificates: &Arc<Certificates>,
    timeout: Duration,
) -> (Target, Observations) {
    let peer = Peer::start(world, certificates.clone()).await;
    let here = match world.path {
        // No process listens on this port, which only root may use.
        Path::Closed if world.host == Host::Here => SocketAddr::new(peer.address.ip(), 1),
        _ => peer.address,
    };
    let target = target(world, here);
    let mut seen = Observations::default();
    let resolves = world.resolves();
    let is_open = world.paths().any(Path::is_open);
    if world.host == Host::Here || resolves && is_open {
        let mut local = target.clone();
        local.address = Address::Tcp {
            host: here.ip().to_string(),
            port: here.port(),
        };
        seen = climb_to(world, &local, certificates, timeout).await;
    }
    if world.host != Host::Here {
        make_up(world, &mut seen);
    }
    (target, seen)
}

async fn climb_to(
    world: World,
    target: &Target,
    certificates: &Certificates,
    timeout: Duration,
) -> Observations {
    let trust = Trust {
        ca: Some(certificates.ca().to_owned()),
        tls_name: Some(certificates::NAME.into()),
        ..Trust::default()
    };
    let options = ClimbOptions {
        write_check: world.writes,
        ..ClimbOptions::default()
    };
    let deadline = Deadline::after(timeout);
    climb(target, &trust, &options, deadline, &mut |_| {})
        .await
        .observations
}

fn target(world: World, here: SocketAddr) -> Target {
    let scheme = match world.scheme {
        Scheme::PlainUrl => "redis",
        Scheme::TlsUrl => "rediss",
    };
    let login = match world.login {
        Login::NoLogin | Login::PasswordMissing => String::new(),
        Login::Password | Login::PasswordNotNeeded => format!(":{PASSWORD}@"),
        Login::UserAndPassword | Login::UserNotNeeded => format!("{USER}:{PASSWORD}@"),
        Login::UserWithoutPassword => format!("{USER}@"),
        Login::WrongPassword => ":Plover-1@".into(),
        Login::WrongUser => format!("bob:{PASSWORD}@"),
    };
    let host = match world.host {
        Host::Here => here.to_string(),
        Host::Elsewhere => "cache.example:6379".into(),
        Host::ByAddress => "10.0.3.17:6379".into(),
        Host::ElastiCache => "shop.x1y2z3.0001.euc1.cache.amazonaws.com:6379".into(),
        Host::Azure => "shop.redis.cache.windows.net:6380".into(),
        Host::Container => "redis:6379".into(),
    };
    let db = match world.db {
        Db::DbZero => 0,
        Db::DbThree => 3,
        Db::DbTooHigh => 99,
    };
    Target::parse(&format!("{scheme}://{login}{host}/{db}")).unwrap()
}

/// Replaces the lookup and the connection attempts on loopback with simulated ones.
fn make_up(world: World, seen: &mut Observations) {
    let addresses: Vec<SocketAddr> = ["10.0.3.17:6379", "10.0.4.17:6379", "10.0.5.17:6379"]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    let attempts = addresses.iter().zip(world.paths());
    seen.dns = (world.host != Host::ByAddress).then(|| {
        let found = attempts.clone().map(|(address, _)| address.ip());
        lookup(world, found.collect())
    });
    let resolves = world.resolves();
    seen.tcp.dials = if resolves {
        attempts.map(|(address, path)| dial(*address, path)).collect()
    } else {
        Vec::new()
    };
    let is_connected = seen.tcp.connected().is_some();
    seen.tcp.took = seen
        .tcp
        .dials
        .iter()
        .map(|dial| dial.took)
        .max()
        .unwrap_or_default();
    if !is_connected {
        seen.this_host = this_host(world);
    }
    if resolves && world.loses_packets() {
        seen.retransmissions = 2;
    }
}

fn lookup(world: World, addresses: Vec<IpAddr>) -> Lookup {
    let found = NameAnswer::Addresses(addresses.clone());
    let server = |number: u8, answer: NameAnswer| NameServer {
        address: SocketAddr::from(([10, 0, 0, number], 53)),
        took: Duration::from_millis(if answer == NameAnswer::Timeout { 2000 } else { 2 }),
        answer,
        silent_about: None,
    };
    let answers = match world.name {
        Name::Resolves | Name::ResolvesCompleted => vec![],
        Name::NxDomain => vec![NameAnswer::NotFound],
        Name::DanglingAlias => vec![NameAnswer::DanglingAlias("old.example".into())],
        Name::NoRecords => vec![NameAnswer::NoAddress],
        Name::ServFail => vec![NameAnswer::Refused("SERVFAIL".into())],
        Name::Nonsense => vec![NameAnswer::Malformed],
        Name::NameServerSilent => vec![NameAnswer::Timeout, NameAnswer::Timeout],
        Name::NameServerUnreachable => vec![NameAnswer::Unreachable("connection refused".into())],
        Name::NameServersDisagree => vec![NameAnswer::NotFound, found],
        Name::ResolvesSlowly => vec![NameAnswer::Timeout, found],
    };
    let completed = CompletedName {
        name: "cache.example.corp.example".into(),
        search: SearchDomains::Line(FileLine {
            number: 2,
            text: "search corp.example".into(),
        }),
    };
    let resolves = world.resolves();
    Lookup {
        addresses: if resolves { addresses } else { vec![] },
        fault: (!resolves).then(|| "Temporary failure in name resolution".into()),
        servers: (2..)
            .zip(answers)
            .map(|(number, answer)| server(number, answer))
            .collect(),
        completed: (world.name == Name::ResolvesCompleted).then_some(completed),
        took: Duration::from_millis(match world.name {
            Name::ResolvesSlowly | Name::NameServerSilent => 2004,
            _ => 3,
        }),
        ..Lookup::default()
    }
}

fn dial(to: SocketAddr, path: Path) -> Dial {
    let icmp = |code| {
        ErrorSource::Icmp(Icmp {
            v6: false,
            kind: 3,
            code,
            from: Some([10, 0, 3, 1].into()),
        })
    };
    let (result, took) = match path {
        Path::Open => (DialResult::Connected, 2),
        Path::OpenLosesPackets => (DialResult::Connected, 1030),
        Path::OpenFarAway => (DialResult::Connected, 180),
        Path::Closed => (DialResult::Refused, 2),
        Path::Dropped => (DialResult::Timeout { syns: Some(3) }, 4900),
        Path::DroppedAfterOneSyn => (DialResult::Timeout { syns: Some(1) }, 900),
        Path::StuckInThisHost => (DialResult::Timeout { syns: Some(1) }, 4900),
        Path::FirewallRejects => (DialResult::Prohibited(icmp(13)), 2),
        Path::ThisHostRejects => {
            let error = ErrorSource::ThisHost("operation not permitted".into());
            (DialResult::Prohibited(error), 0)
        }
        Path::HostUnreachable => (DialResult::Unreachable(icmp(1)), 3000),
        Path::NoRoute => (DialResult::NoRoute, 0),
        Path::NoNeighbour => (DialResult::NoNeighbour, 3000),
        Path::NoLocalPort => (DialResult::NoLocalPort, 0),
    };
    Dial {
        to: Endpoint::Ip(to),
        result,
        took: Duration::from_millis(took),
    }
}

fn this_host(world: World) -> ThisHost {
    let instance = Instance {
        region: "eu-central-1".into(),
        groups: vec!["sg-0123".into()],
        vpc_ranges: vec!["10.0.0.0/16".into()],
        public_name: String::new(),
    };
    let has_no_port = world.paths().any(|path| path == Path::NoLocalPort);
    ThisHost {
        nearness: match world.from {
            From::Anywhere => Nearness::ForeignPrivate,
            From::InItsNetwork | From::OnEc2 => Nearness::SameNetwork,
        },
        instance: (world.from == From::OnEc2).then_some(instance),
        local_ports: has_no_port.then_some(LocalPorts {
            first: 40_000,
            last: 40_003,
            open: 1,
            time_wait: 3,
        }),
        ..ThisHost::default()
    }
}

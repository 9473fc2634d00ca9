//! Where we stand: decides the order of the fixes where nothing comes back.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use super::instance::{self, Instance};
use crate::deadline::Deadline;

/// This host, as seen from the address that it tried to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Where the target lies, seen from here.
    pub nearness: Nearness,
    /// Whether this process runs in a container, where `localhost` is the container.
    pub in_container: bool,
    /// The EC2 instance that this is, where it is one.
    pub instance: Option<Instance>,
    /// Who listens on the port, where the target is this very host and the system shows it.
    pub listener: Option<Listener>,
}

/// Whether a port of this host has a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Nobody listens there.
    Nobody,
    /// So many connections wait to be taken.
    Waiting(u32),
}

/// Where an address lies, seen from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nearness {
    /// This very host.
    Loopback,
    /// A private address in a network that this host is in, or has a route of its own to.
    SameNetwork,
    /// A private address that only the default route leads to.
    ForeignPrivate,
    /// A public address.
    Public,
    /// This system does not show its routes.
    #[default]
    Unknown,
}

/// Looks at this host's networks and, on EC2, at the instance's own description.
pub async fn observe(addresses: &[SocketAddr], deadline: Deadline) -> Place {
    let Some((address, port)) = addresses.first().map(|first| (first.ip(), first.port())) else {
        return Place::default();
    };
    let source = source_for(address);
    let instance = instance::observe(source, deadline).await;
    let in_vpc = instance.as_ref().is_some_and(|instance| instance.holds(address));
    let nearness = match nearness(address, source) {
        Nearness::Loopback => Nearness::Loopback,
        _ if in_vpc => Nearness::SameNetwork,
        seen => seen,
    };
    Place {
        nearness,
        in_container: in_container(),
        instance,
        listener: (nearness == Nearness::Loopback).then(|| listener(port)).flatten(),
    }
}

fn listener(port: u16) -> Option<Listener> {
    let tables: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect();
    let waiting = tables.iter().filter_map(|table| waiting(table, port)).max();
    (!tables.is_empty()).then(|| waiting.map_or(Listener::Nobody, Listener::Waiting))
}

/// How many connections wait for those who listen on the port (`proc_pid_net(5)`: a listener's receive queue).
fn waiting(table: &str, port: u16) -> Option<u32> {
    const LISTENS: &str = "0A";
    let ending = format!(":{port:04X}");
    let queue = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = fields.get(1)?.ends_with(&ending) && *fields.get(3)? == LISTENS;
        let (_, received) = fields.get(4)?.split_once(':')?;
        is_it.then(|| u32::from_str_radix(received, 16).ok()).flatten()
    };
    table.lines().skip(1).filter_map(queue).max()
}

/// The address that the kernel speaks from when it speaks to this one; nothing is sent to find out.
fn source_for(address: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((address, DISCARD_PORT)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Any port but 0 does.
const DISCARD_PORT: u16 = 9;

fn nearness(address: IpAddr, source: Option<IpAddr>) -> Nearness {
    // Whoever speaks to its own address speaks from it.
    if address.is_loopback() || address.is_unspecified() || source == Some(address) {
        return Nearness::Loopback;
    }
    let is_private = match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local() || is_shared(address),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    };
    if !is_private {
        return Nearness::Public;
    }
    let (path, networks): (_, fn(&str) -> Vec<Network>) = match address {
        IpAddr::V4(_) => ("/proc/net/route", networks_v4),
        IpAddr::V6(_) => ("/proc/net/ipv6_route", networks_v6),
    };
    match fs::read_to_string(path) {
        Ok(table) if networks(&table).iter().any(|network| network.holds(address)) => Nearness::SameNetwork,
        Ok(_) => Nearness::ForeignPrivate,
        Err(_) => Nearness::Unknown,
    }
}

/// 100.64.0.0/10, carriers' and some VPCs' own space (RFC 6598).
fn is_shared(address: Ipv4Addr) -> bool {
    matches!(address.octets(), [100, 64..128, ..])
}

/// A range of addresses, as `10.0.0.0/16` names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    base: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `BASE/BITS`.
    pub(super) fn parse(range: &str) -> Option<Self> {
        let (base, bits) = range.trim().split_once('/')?;
        let base: IpAddr = base.parse().ok()?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits| *bits <= most)?;
        Some(Self { base, bits })
    }

    /// Whether the address lies in it.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let differing = u32::from(base) ^ u32::from(address);
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let differing = u128::from(base) ^ u128::from(address);
                differing.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

/// A route that refuses (`RTF_REJECT` of `route.h`).
const REJECT: u32 = 0x0200;

/// The networks of the routing table (`proc_pid_net(5)`), without the default route and routes that refuse.
fn networks_v4(table: &str) -> Vec<Network> {
    let network = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
        let (base, flags, mask) = (number(1)?.swap_bytes(), number(3)?, number(7)?.swap_bytes());
        (mask != 0 && flags & REJECT == 0).then_some(Network {
            base: Ipv4Addr::from(base).into(),
            bits: mask.leading_ones(),
        })
    };
    table.lines().skip(1).filter_map(network).collect()
}

/// The same of `/proc/net/ipv6_route`: destination and its length in hexadecimals first, the flags ninth.
fn networks_v6(table: &str) -> Vec<Network> {
    let network = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let base = u128::from_str_radix(fields.first()?, 16).ok()?;
        let bits = u32::from_str_radix(fields.get(1)?, 16).ok()?;
        let flags = u32::from_str_radix(fields.get(8)?, 16).ok()?;
        (bits != 0 && flags & REJECT == 0).then_some(Network {
            base: Ipv6Addr::from(base).into(),
            bits,
        })
    };
    table.lines().filter_map(network).collect()
}

/// What Docker, Podman, Kubernetes, ECS and systemd-nspawn leave behind for those inside.
fn in_container() -> bool {
    const FILES: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];
    const VARIABLES: [&str; 3] = [
        "KUBERNETES_SERVICE_HOST",
        "ECS_CONTAINER_METADATA_URI_V4",
        "container",
    ];
    FILES.iter().any(|file| Path::new(file).exists())
        || VARIABLES.iter().any(|name| std::env::var_os(name).is_some())
        || fs::read_to_string("/proc/1/cgroup").is_ok_and(|groups| names_a_container(&groups))
}

fn names_a_container(groups: &str) -> bool {
    ["docker", "kubepods", "containerd", "libpod", "/lxc"]
        .iter()
        .any(|word| groups.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(networks: &[Network], address: &str) -> bool {
        let address = address.parse().unwrap();
        networks.iter().any(|network| network.holds(address))
    }

    #[test]
    fn a_default_route_makes_no_address_near() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0000000A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let networks = networks_v4(table);
        assert!(holds(&networks, "10.0.3.17"));
        assert!(!holds(&networks, "10.1.3.17"));
    }

    #[test]
    fn routes_of_ipv6_are_read_without_the_default_and_those_that_refuse() {
        let zero = "0".repeat(32);
        let route = |to: &str, bits: &str, flags: &str| {
            format!("{to} {bits} {zero} 00 {zero} 00000400 00000001 00000000 {flags}     eth0\n")
        };
        let table = [
            route("fd770001000000000000000000000000", "40", "00000001"),
            route(&zero, "00", "00450003"),
            route("fd770002000000000000000000000000", "40", "00200200"),
        ]
        .concat();
        let networks = networks_v6(&table);
        assert!(holds(&networks, "fd77:1::2"));
        assert!(!holds(&networks, "fd77:2::2"));
    }

    #[test]
    fn ranges_are_read_and_held_against_addresses() {
        let network = |range: &str| vec![Network::parse(range).unwrap()];
        assert!(holds(&network("172.31.0.0/16"), "172.31.9.9"));
        assert!(!holds(&network("172.31.0.0/16"), "172.30.9.9"));
        assert!(holds(&network("0.0.0.0/0"), "1.2.3.4"));
        assert!(holds(&network("2600:1f18::/32"), "2600:1f18:0:1::9"));
        assert!(!holds(&network("2600:1f18::/32"), "10.0.0.1"));
        assert_eq!(Network::parse("x/99"), None);
        assert_eq!(Network::parse("10.0.0.0/33"), None);
    }

    #[test]
    fn an_address_of_this_host_is_as_near_as_loopback() {
        let near =
            |address: &str, source: &str| nearness(address.parse().unwrap(), Some(source.parse().unwrap()));
        assert_eq!(near("127.0.0.1", "127.0.0.1"), Nearness::Loopback);
        assert_eq!(near("0.0.0.0", "127.0.0.1"), Nearness::Loopback);
        assert_eq!(near("10.0.3.17", "10.0.3.17"), Nearness::Loopback);
        assert_eq!(near("93.184.215.14", "10.0.3.17"), Nearness::Public);
        assert_eq!(
            source_for("127.0.0.1".parse().unwrap()),
            Some(IpAddr::V4(Ipv4Addr::LOCALHOST))
        );
    }

    #[test]
    fn the_connections_that_wait_for_a_listener_are_counted() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n\
            0: 0100007F:18EB 00000000:0000 0A 00000000:00000003 00:00000000\n\
            1: 0100007F:18EB 0100007F:C1D2 01 00000000:000000FF 00:00000000\n\
            2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000\n";
        assert_eq!(waiting(table, 6379), Some(3));
        assert_eq!(waiting(table, 22), Some(0));
        assert_eq!(waiting(table, 80), None);
    }

    #[test]
    fn control_groups_name_the_container_they_are_of() {
        assert!(names_a_container(
            "0::/kubepods.slice/kubepods-burstable.slice/x\n"
        ));
        assert!(names_a_container("12:pids:/docker/0123\n"));
        assert!(!names_a_container("0::/init.scope\n"));
    }
}

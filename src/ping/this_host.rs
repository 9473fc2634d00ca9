//! Where we stand: decides the order of the fixes where nothing comes back.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use super::instance::{self, Instance};
use super::network::{Network, networks_v4, networks_v6};
use crate::deadline::Deadline;

/// This host, as seen from the address that it tried to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThisHost {
    /// Where the target lies, seen from here.
    pub nearness: Nearness,
    /// Whether this process runs in a container, where `localhost` is the container.
    pub in_container: bool,
    /// The EC2 instance that this is, where it is one.
    pub instance: Option<Instance>,
    /// Who listens on the port, where the target is this very host and the system shows it.
    pub listener: Option<LocalListener>,
}

/// Whether a port of this host has a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalListener {
    /// Nobody listens there.
    Missing,
    /// So many connections wait to be taken.
    Backlog(u32),
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
pub(crate) async fn observe(addresses: &[SocketAddr], deadline: Deadline) -> ThisHost {
    let Some((address, port)) = addresses.first().map(|first| (first.ip(), first.port())) else {
        return ThisHost::default();
    };
    let source = source_for(address);
    let instance = instance::observe(source, deadline).await;
    let in_vpc = instance.as_ref().is_some_and(|instance| instance.holds(address));
    let nearness = match nearness(address, source) {
        Nearness::Loopback => Nearness::Loopback,
        _ if in_vpc => Nearness::SameNetwork,
        seen => seen,
    };
    ThisHost {
        nearness,
        in_container: in_container(),
        instance,
        listener: (nearness == Nearness::Loopback).then(|| listener(port)).flatten(),
    }
}

fn listener(port: u16) -> Option<LocalListener> {
    let tables: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect();
    let waiting = tables.iter().filter_map(|table| waiting(table, port)).max();
    (!tables.is_empty()).then(|| waiting.map_or(LocalListener::Missing, LocalListener::Backlog))
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

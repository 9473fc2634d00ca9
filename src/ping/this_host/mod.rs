//! Observes this host's networks, container and EC2 instance. After a timeout, these facts determine the
//! order of the fixes.

mod sockets;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use ipnet::IpNet;

use super::instance::{self, Instance};
use crate::deadline::Deadline;
use sockets::listeners;
pub(crate) use sockets::local_port_range;
pub(super) use sockets::local_ports;
pub(crate) use sockets::{LocalListener, LocalPorts, users_connected_to};

/// Facts about this host that affect whether it can reach the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThisHost {
    pub nearness: Nearness,
    /// The source address for connections to the target.
    pub source: Option<IpAddr>,
    /// The route to the target. Known only on Linux.
    pub route: Option<Route>,
    /// Whether the loopback interface is down, so that this host cannot connect to itself.
    pub is_loopback_down: bool,
    /// Whether this process runs in a container, where `localhost` is the container itself.
    pub in_container: bool,
    /// The EC2 instance that this host runs on, if any.
    pub instance: Option<Instance>,
    /// How local ports are used for connections to the target, if no port is free. Known only on Linux.
    pub local_ports: Option<LocalPorts>,
    /// The processes that listen on the target's port, if the target is this host. Known only on Linux.
    pub listeners: Option<Vec<LocalListener>>,
}

impl ThisHost {
    /// Returns the kind of an address that belongs to several hosts. TCP cannot connect to such an address.
    pub fn shared_address(&self, address: IpAddr) -> Option<&'static str> {
        // A network of two hosts has no broadcast address (RFC 3021).
        let is_broadcast = |route: &Route| {
            let IpNet::V4(to) = route.to else { return false };
            route.gateway.is_none() && to.prefix_len() < 31 && IpAddr::from(to.broadcast()) == address
        };
        match address {
            _ if address.is_multicast() => Some("multicast"),
            IpAddr::V4(v4) if v4.is_broadcast() => Some("broadcast"),
            _ if self.route.as_ref().is_some_and(is_broadcast) => Some("broadcast"),
            _ => None,
        }
    }
}

/// A route in the kernel's main routing table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub to: IpNet,
    pub interface: String,
    /// The address of the next router. `None` if the hosts of this network are reached directly.
    pub gateway: Option<IpAddr>,
    /// Whether the interface is up, but no cable, peer or program (such as a VPN client) is connected to it.
    pub has_no_carrier: bool,
}

/// Where an address is, seen from this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nearness {
    /// The address belongs to this host.
    Loopback,
    /// The address is private. This host is in its network, or has a specific route to it.
    SameNetwork,
    /// The address is private, but only the default route leads to it.
    ForeignPrivate,
    Public,
    /// The routing table of this system cannot be read.
    #[default]
    Unknown,
}

/// Observes this host's networks and, on EC2, the instance metadata.
pub(crate) async fn observe(addresses: &[SocketAddr], deadline: Deadline) -> ThisHost {
    let Some((address, port)) = addresses.first().map(|first| (first.ip(), first.port())) else {
        return ThisHost {
            in_container: in_container(),
            instance: instance::observe(None, deadline).await,
            ..ThisHost::default()
        };
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
        source,
        route: route_to(address),
        is_loopback_down: is_loopback_down(),
        in_container: in_container(),
        instance,
        listeners: (nearness == Nearness::Loopback)
            .then(|| listeners(port))
            .flatten(),
        local_ports: None,
    }
}

/// Returns facts about this host, including the processes that listen on the port of `address`. Returns
/// `None` if the address does not belong to this host.
pub(super) fn observe_listeners(address: SocketAddr) -> Option<ThisHost> {
    let nearness = nearness(address.ip(), source_for(address.ip()));
    (nearness == Nearness::Loopback).then(|| ThisHost {
        nearness,
        in_container: in_container(),
        listeners: listeners(address.port()),
        ..ThisHost::default()
    })
}

/// Returns the source address that the kernel would use for this destination, or `None` without a route.
/// Sends no packets.
pub(crate) fn source_for(address: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((address, DISCARD_PORT)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The destination port in [`source_for`]. No packet is sent, so any port except 0 is suitable.
const DISCARD_PORT: u16 = 9;

fn nearness(address: IpAddr, source: Option<IpAddr>) -> Nearness {
    // For one of this host's own addresses, source and destination are the same.
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
    let is_specific = |route: &Route| route.to.prefix_len() > 0 && route.to.contains(&address);
    match routes(address) {
        Some(routes) if routes.iter().any(is_specific) => Nearness::SameNetwork,
        Some(_) => Nearness::ForeignPrivate,
        None => Nearness::Unknown,
    }
}

/// Returns the most specific route to an address.
fn route_to(address: IpAddr) -> Option<Route> {
    let routes = routes(address)?.into_iter();
    let mut route = routes
        .filter(|route| route.to.contains(&address))
        .max_by_key(|route| route.to.prefix_len())?;
    // The file cannot be read if the interface is down.
    let carrier = fs::read_to_string(Path::new("/sys/class/net").join(&route.interface).join("carrier"));
    route.has_no_carrier = carrier.is_ok_and(|carrier| carrier.trim() == "0");
    Some(route)
}

/// Returns the routes for the family of an address, or `None` if this system's routes cannot be read.
fn routes(address: IpAddr) -> Option<Vec<Route>> {
    let (path, read): (_, fn(&str) -> Vec<Route>) = match address {
        IpAddr::V4(_) => ("/proc/net/route", routes_v4),
        IpAddr::V6(_) => ("/proc/net/ipv6_route", routes_v6),
    };
    Some(read(&fs::read_to_string(path).ok()?))
}

/// Whether the loopback interface is down. False if this is not known.
fn is_loopback_down() -> bool {
    fs::read_to_string("/sys/class/net/lo/flags").is_ok_and(|flags| lacks_up_flag(&flags))
}

/// Whether the flags of an interface, such as `0x9`, do not include `IFF_UP` (`netdevice(7)`).
fn lacks_up_flag(flags: &str) -> bool {
    let flags = flags.trim().strip_prefix("0x");
    flags
        .and_then(|flags| u32::from_str_radix(flags, 16).ok())
        .is_some_and(|flags| flags & 1 == 0)
}

/// Whether the address is in 100.64.0.0/10, for carrier-grade NAT and some VPCs (RFC 6598).
fn is_shared(address: Ipv4Addr) -> bool {
    matches!(address.octets(), [100, 64..128, ..])
}

/// The flag of a route that rejects packets (`RTF_REJECT` in `route.h`).
const REJECT: u32 = 0x0200;

/// Returns the routes in the routing table (`proc_pid_net(5)`), without those that reject packets.
fn routes_v4(table: &str) -> Vec<Route> {
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
        let address = |at: usize| Some(Ipv4Addr::from(number(at)?.swap_bytes()));
        let gateway = address(2)?;
        let route = Route {
            to: IpNet::with_netmask(address(1)?.into(), address(7)?.into()).ok()?,
            interface: (*fields.first()?).to_owned(),
            gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
            has_no_carrier: false,
        };
        (number(3)? & REJECT == 0).then_some(route)
    };
    table.lines().skip(1).filter_map(route).collect()
}

/// Like [`routes_v4`], but for `/proc/net/ipv6_route`. The fields are the destination and its prefix length,
/// the source and its prefix length, the gateway, three numbers, the flags, and the interface.
fn routes_v6(table: &str) -> Vec<Route> {
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let address = |at: usize| u128::from_str_radix(fields.get(at)?, 16).ok().map(Ipv6Addr::from);
        let length = u8::from_str_radix(fields.get(1)?, 16).ok()?;
        let flags = u32::from_str_radix(fields.get(8)?, 16).ok()?;
        let gateway = address(4)?;
        let route = Route {
            to: IpNet::new(address(0)?.into(), length).ok()?,
            interface: (*fields.get(9)?).to_owned(),
            gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
            has_no_carrier: false,
        };
        (flags & REJECT == 0).then_some(route)
    };
    table.lines().filter_map(route).collect()
}

/// Whether this host's ARP requests for the address got no reply, so that this host cannot send a SYN to the
/// address.
pub(super) fn is_arp_unanswered(address: IpAddr) -> bool {
    let table = fs::read_to_string("/proc/net/arp").unwrap_or_default();
    lists_as_unanswered(&table, address)
}

/// Whether the ARP table lists the address without a reply (flags 0). The columns are address, hardware type,
/// flags, hardware address, mask and device (`arp(7)`).
fn lists_as_unanswered(table: &str, address: IpAddr) -> bool {
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace();
        let is_it = fields.next().and_then(|field| field.parse().ok()) == Some(address);
        is_it && fields.nth(1) == Some("0x0")
    })
}

/// Returns the number of retransmissions that this host's kernel could not send so far, because a local
/// firewall or policy dropped them. Returns `None` if the kernel does not report the number.
pub(super) fn blocked_retransmissions() -> Option<u64> {
    let table = fs::read_to_string("/proc/net/netstat").ok()?;
    let mut rows = table.lines().filter(|row| row.starts_with("TcpExt:"));
    let (names, values) = (rows.next()?, rows.next()?);
    let at = names
        .split_whitespace()
        .position(|name| name == "TCPRetransFail")?;
    values.split_whitespace().nth(at)?.parse().ok()
}

/// Whether this process seems to run in a container of Docker, Podman, Kubernetes, ECS or systemd-nspawn.
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
    fn an_address_of_this_host_counts_as_loopback() {
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
    #[cfg(target_os = "linux")]
    fn the_process_that_listens_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let found = observe_listeners(address).unwrap().listeners.unwrap();
        assert!(found.len() == 1 && found[0].process.is_some(), "{found:?}");
    }

    #[test]
    fn control_groups_reveal_a_container() {
        assert!(names_a_container(
            "0::/kubepods.slice/kubepods-burstable.slice/x\n"
        ));
        assert!(names_a_container("12:pids:/docker/0123\n"));
        assert!(!names_a_container("0::/init.scope\n"));
    }

    #[test]
    fn tcp_cannot_connect_to_an_address_of_several_hosts() {
        let kind = |address: &str, to: &str| {
            let route = Some(Route {
                to: to.parse().unwrap(),
                interface: "eth0".into(),
                gateway: None,
                has_no_carrier: false,
            });
            let this_host = ThisHost {
                route,
                ..ThisHost::default()
            };
            this_host.shared_address(address.parse().unwrap())
        };
        assert_eq!(kind("10.0.3.255", "10.0.3.0/24"), Some("broadcast"));
        assert_eq!(kind("255.255.255.255", "0.0.0.0/0"), Some("broadcast"));
        assert_eq!(kind("224.0.0.7", "0.0.0.0/0"), Some("multicast"));
        assert_eq!(kind("ff02::1", "::/0"), Some("multicast"));
        assert_eq!(kind("10.0.3.255", "10.0.0.0/16"), None);
        assert_eq!(kind("10.0.3.17", "10.0.3.17/32"), None);
    }

    #[test]
    fn a_loopback_interface_without_the_flag_up_is_down() {
        assert!(lacks_up_flag("0x8\n"));
        assert!(!lacks_up_flag("0x9\n") && !lacks_up_flag(""));
    }

    /// Returns whether a route other than the default route leads to the address.
    fn holds(routes: &[Route], address: &str) -> bool {
        let address: IpAddr = address.parse().unwrap();
        let is_one = |route: &Route| route.to.prefix_len() > 0 && route.to.contains(&address);
        routes.iter().any(is_one)
    }

    #[test]
    fn a_default_route_does_not_put_an_address_in_this_network() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0000000A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let routes = routes_v4(table);
        assert!(holds(&routes, "10.0.3.17"));
        assert!(!holds(&routes, "10.1.3.17"));
        assert_eq!(routes[0].gateway, Some("10.0.0.1".parse().unwrap()));
        assert_eq!((routes[1].interface.as_str(), routes[1].gateway), ("eth0", None));
    }

    #[test]
    fn default_and_rejecting_ipv6_routes_are_ignored() {
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
        let routes = routes_v6(&table);
        assert!(holds(&routes, "fd77:1::2"));
        assert!(!holds(&routes, "fd77:2::2"));
        assert_eq!(routes[0].interface, "eth0");
    }

    #[test]
    fn a_neighbour_without_a_flag_is_unanswered() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
            10.0.3.1         0x1         0x2         02:00:00:00:00:01     *        eth0\n\
            10.0.3.17        0x1         0x0         00:00:00:00:00:00     *        eth0\n";
        let is_unanswered = |address: &str| lists_as_unanswered(table, address.parse().unwrap());
        assert!(is_unanswered("10.0.3.17"));
        assert!(!is_unanswered("10.0.3.1") && !is_unanswered("10.0.3.2"));
    }
}

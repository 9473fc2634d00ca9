//! Suggests fixes for addresses that packets cannot reach, and for connections that a firewall or a missing
//! permission prevents.

use std::path::Path;

use super::timeout::outside;
use super::{local_firewall, provider_check, route};
use crate::ping::causes::commands::{endpoint, shell_quoted};
use crate::ping::causes::dns;
use crate::ping::causes::fix::{Fixes, advise};
use crate::ping::causes::fix_context::FixContext;
use crate::ping::observation::{Dial, DialResult, ErrorSource};
use crate::ping::this_host::Route;
use crate::redis_url::Address;
use crate::redis_url::hosting::{KUBERNETES, Reach};

pub(in crate::ping::causes) fn unreachable(at: &FixContext) -> Fixes {
    if at.seen.is_loopback_down() {
        return advise("loopback", "start the loopback interface").command("sudo ip link set lo up");
    }
    if let Some(kind) = at.seen.shared_address() {
        let text = format!(
            "use the address of the server itself: {} is a {kind} address",
            at.numeric_host()
        );
        return advise("address", text);
    }
    if let Some(interface) = at.seen.interface_without_carrier() {
        return advise(
            "carrier",
            format!(
                "connect the cable of the interface {interface}, or start the program that the interface belongs to, \
                 such as a VPN client. The following command shows the state of the interface"
            ),
        )
        .command(format!("ip -d link show {}", shell_quoted(interface)))
        .and_all(route(
            at,
            "if another interface leads to the server, correct the route",
        ));
    }
    let mut dials = at.seen.tcp.dials.iter();
    let is_absent = dials.any(|dial| dial.result == DialResult::NoNeighbour);
    let neighbour = match at.seen.unanswered_route() {
        Some(route) => Some(unanswered(at, route)),
        None => is_absent.then(|| absent(at)),
    };
    let router = at.seen.tcp.dials.iter().find_map(|dial| match &dial.result {
        DialResult::Unreachable(ErrorSource::Icmp(icmp)) if !at.seen.is_from_this_host(*icmp) => icmp.from,
        _ => None,
    });
    let beyond = router.map(|router| {
        let text = format!(
            "check that the address is right and that the host is up. Then check the routes on {router}, which \
             reports that it cannot reach the host"
        );
        advise("host", text)
    });
    // If one of these fixes is about the host and its address, do not suggest checking the address again.
    let is_on_link = |route: &Route| route.gateway.is_none();
    let checks_host = is_absent || beyond.is_some() || at.seen.unanswered_route().is_some_and(is_on_link);
    let all = |is_one: fn(&Dial) -> bool| at.seen.tcp.dials.iter().all(is_one);
    let fixes = if all(Dial::lacks_zone) {
        advise(
            "zone",
            if at.target.zone().is_some() {
                "after the % in the address, write the interface of this host that leads to the server, or use \
                 another address of the server. The following command lists the interfaces of this host"
            } else {
                "add the interface to the address in the URL, as in [fe80::1%25eth0], or use another address of the \
                 host. The following command lists the interfaces of this host"
            },
        )
        .command("ip -br link")
    } else if all(|dial| dial.result == DialResult::RejectedByRoute) {
        advise(
            "route",
            "list the routes and rules of this host that reject packets, and find out which program has added the \
             one for this address",
        )
        .command("ip rule; ip -6 rule; ip route show table all type unreachable; ip -6 route show table all type unreachable")
    } else if all(|dial| dial.result == DialResult::Discarded) {
        advise(
            "route",
            "list the blackhole routes of this host, and find out which program has added the route to this address",
        )
        .command("ip route show table all type blackhole; ip -6 route show table all type blackhole")
    } else if all(|dial| dial.result == DialResult::NoRoute && dial.is_ipv6()) {
        advise(
            "address",
            "use an IPv4 address of the server, or give its name an A record: this host cannot reach the IPv6 address",
        )
        .and(
            "route",
            "or set up IPv6 on this host: check its addresses and routes, and whether IPv6 is disabled \
             (net.ipv6.conf.all.disable_ipv6)",
        )
        .command("ip -6 -br addr; ip -6 route; sysctl net.ipv6.conf.all.disable_ipv6")
    } else if all(|dial| dial.result == DialResult::NoRoute) {
        let command = if at.seen.tcp.dials.iter().any(Dial::is_ipv6) {
            "ip -br addr; ip rule; ip route; ip -6 rule; ip -6 route"
        } else {
            "ip -br addr; ip rule; ip route"
        };
        advise(
            "route",
            "check this host's addresses, routing rules (ip rule) and routes: an interface, a VPN or the default \
             route may be missing, or a rule may exclude the address",
        )
        .command(command)
    } else {
        let address = (!checks_host).then(|| {
            advise(
                "address",
                "check the address: the host may no longer exist, or its network may not be reachable from here",
            )
        });
        route(at, "check the route to the server").and_all(address)
    };
    let outside = outside(at).filter(|_| beyond.is_some());
    let (first, last) = if at.is_aws() {
        (outside, None)
    } else {
        (None, outside)
    };
    fixes
        .after(beyond)
        .and_all(last)
        .after(neighbour)
        .after(first)
        .after(provider_check(at).filter(|_| !at.is_aws()))
        .after(dns::search_domain(at))
}

fn absent(at: &FixContext) -> Fixes {
    advise(
        "host",
        "check that the host is up, and that its address is right: no host on this network answers for this address",
    )
    .command(format!("ip neigh show {}", at.numeric_host()))
}

/// Suggests fixes if no host at the other end of the route answers ARP or NDP.
fn unanswered(at: &FixContext, route: &Route) -> Fixes {
    let interface = &route.interface;
    match route.gateway {
        Some(gateway) => advise(
            "gateway",
            format!("check that the gateway {gateway} is up and on the same network as the interface {interface}"),
        )
        .command(format!("ip neigh show {gateway}")),
        None => absent(at).and(
            "subnet",
            format!(
                "if the server is in another network, the range of that network overlaps with the range of \
                 {interface} ({}), so packets to the server go to {interface}: give {interface} another range. By \
                 default, Docker chooses the ranges of its networks. To choose them yourself, set bip and \
                 default-address-pools in daemon.json",
                route.to
            ),
        ),
    }
}

/// Suggests what to check if Kubernetes rejects connections to a Service. Without a ready pod, a Service has
/// no endpoints, and the node rejects connections with the ICMP error "port unreachable"
/// (<https://kubernetes.io/docs/reference/networking/virtual-ips/>).
fn service_without_endpoints(at: &FixContext) -> Option<Fixes> {
    let hosting = at
        .hosting()
        .filter(|hosting| hosting.reach == Reach::Containers)?;
    let is_port_unreachable = |dial: &Dial| match dial.result {
        DialResult::Prohibited(ErrorSource::Icmp(icmp)) => {
            matches!((icmp.v6, icmp.kind, icmp.code), (false, 3, 3) | (true, 1, 4))
        }
        _ => false,
    };
    if !at.seen.tcp.dials.iter().any(is_port_unreachable) {
        return None;
    }
    let mut labels = at.host().split('.');
    let service = shell_quoted(labels.next()?);
    let namespace = labels.next().filter(|_| hosting.service == KUBERNETES);
    let namespace = namespace.map_or_else(String::new, |name| format!(" -n {}", shell_quoted(name)));
    Some(
        advise(
            "endpoints",
            "if the name belongs to a Kubernetes Service, check that the Service has endpoints: it has none if no \
             pod is ready, or if its selector matches no pod",
        )
        .command(format!("kubectl get{namespace} endpoints {service}")),
    )
}

pub(in crate::ping::causes) fn prohibited(at: &FixContext) -> Fixes {
    if at.socket().is_some() {
        return socket_permissions(at);
    }
    if is_blocked_here(at) {
        let firewall = local_firewall("look for the rule in this host's firewall that blocks the connection");
        let family = if at.address().is_some_and(|address| address.is_ipv6()) {
            " -6"
        } else {
            ""
        };
        let route = advise(
            "route",
            "look for a route or a rule (ip rule) that prohibits the connection",
        )
        .command(format!(
            "ip{family} rule; ip{family} route show table all type prohibit"
        ));
        // A prohibit route causes EACCES, and a firewall causes EPERM.
        let is_route = at.seen.tcp.dials.iter().any(|dial| {
            matches!(&dial.result, DialResult::Prohibited(ErrorSource::ThisHost(error))
                if error.to_lowercase().contains("permission denied"))
        });
        let fixes = if is_route {
            route.and_all(firewall)
        } else {
            firewall.and_all(route)
        };
        let mut dials = at.seen.tcp.dials.iter();
        let is_refused_by_kernel =
            dials.any(|dial| matches!(dial.result, DialResult::Prohibited(ErrorSource::ThisHost(_))));
        fixes.and_all(is_refused_by_kernel.then(|| {
            advise(
                "sandbox",
                "if no rule and no route blocks the connection, check whether SELinux, AppArmor, seccomp or the settings \
                 of the service deny it (systemd: RestrictAddressFamilies, IPAddressDeny)",
            )
        }))
    } else {
        let source = at.seen.this_host.source;
        let from = source.map_or_else(String::new, |source| format!(" from {source}"));
        let firewall = at.seen.tcp.dials.iter().find_map(|dial| match &dial.result {
            DialResult::Prohibited(ErrorSource::Icmp(icmp)) => icmp.from,
            _ => None,
        });
        let on = firewall.map_or_else(String::new, |firewall| format!(" ({firewall})"));
        let text = format!(
            "allow TCP{from} to {} on the router or firewall that rejects the connection{on}",
            endpoint(at.target)
        );
        advise("firewall", text).after(service_without_endpoints(at))
    }
}

/// Whether this host itself blocked the connection.
fn is_blocked_here(at: &FixContext) -> bool {
    let mut dials = at.seen.tcp.dials.iter();
    at.seen.tcp.blocked_retransmissions > 0
        || dials.any(|dial| match &dial.result {
            DialResult::Prohibited(ErrorSource::ThisHost(_)) => true,
            DialResult::Prohibited(ErrorSource::Icmp(icmp)) => at.seen.is_from_this_host(*icmp),
            _ => false,
        })
}

/// Suggests fixes for missing file permissions. A connection to a unix socket needs write permission for the
/// socket, and search permission for all directories in its path (`unix(7)`).
fn socket_permissions(at: &FixContext) -> Fixes {
    let path = match &at.target.address {
        Address::Unix(path) => path.as_path(),
        Address::Tcp { .. } => Path::new("/"),
    };
    let mut parts: Vec<_> = path
        .ancestors()
        .map(|part| shell_quoted(&part.to_string_lossy()))
        .collect();
    parts.reverse();
    advise(
        "socket",
        "check the user and the permissions: connecting needs write permission (w) for the socket, and search permission \
         (x) for each directory above it",
    )
    .command(format!("id; ls -ld {}", parts.join(" ")))
    .and(
        "permission",
        "grant the missing permission: set unixsocketperm to 770 in redis.conf, and add the application's user to \
         the group of the socket (usermod -aG GROUP USER). The new group takes effect at the next login of that \
         user",
    )
    .and(
        "sandbox",
        "if the permissions are right, check whether AppArmor, SELinux or the settings of the service deny access \
         (systemd: PrivateTmp, ProtectSystem)",
    )
}

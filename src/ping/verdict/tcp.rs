//! Determines the verdict on the connection attempts.

mod attempt;
mod limits;
mod listener;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::dns;
use super::finding::Finding;
use crate::ping::causes::Cause;
use crate::ping::conclusions::{FIRST_RETRANSMISSION, lost_packets};
use crate::ping::observation::{Dial, DialResult, Endpoint, ErrorSource, Observations};
use crate::ping::this_host::Nearness;
use crate::redis_url::Target;
use crate::redis_url::hosting::Hosting;
use crate::sanitize;
use limits::{few_ports, local_ports, open_files};
use listener::{local_listener, refusal};

pub(super) use attempt::describe;
pub(super) use limits::judge_open_files;
pub(super) use listener::describe_listener;

/// Returns the finding if all connection attempts failed. The attempt with the lowest [`rank`] determines the
/// cause.
pub(super) fn judge(target: &Target, seen: &Observations) -> Option<Finding> {
    if seen.tcp.connected().is_some() {
        return None;
    }
    let dial = seen.tcp.dials.iter().min_by_key(|dial| rank(dial))?;
    let untried = if target.tls || target.password.is_some() {
        "TLS, AUTH and PING were not tried"
    } else {
        "PING was not tried"
    };
    let why = if seen.idle.is_some() {
        "because no new connection could be made"
    } else {
        "because there is no connection"
    };
    Some(
        judge_dial(target, dial, seen)
            .facts(seen.tcp.dials.iter().map(describe))
            .facts(only_ipv6(target, seen))
            .facts(unreachable_network(seen, dial))
            .facts(unanswered_route(seen))
            .facts(way_out(seen, dial))
            .facts(short_address(target, &dial.to))
            .facts(misleading_name(target, seen, &dial.to))
            .facts(other_port(target, seen))
            .facts(local_listener(seen, dial))
            .facts(local_ports(seen, dial))
            .facts(open_files(seen))
            .fact(format!("{untried}, {why}")),
    )
}

/// Returns a note if the host name has only IPv6 addresses, but this host has no IPv6 route.
fn only_ipv6(target: &Target, seen: &Observations) -> Option<String> {
    let is_one = |dial: &Dial| dial.is_ipv6() && dial.result == DialResult::NoRoute;
    let host = target.host().filter(|_| seen.dns.is_some())?;
    seen.tcp
        .dials
        .iter()
        .all(is_one)
        .then(|| format!("{host} has only IPv6 addresses, and this host has no IPv6 route to them"))
}

/// Returns the rank of a failed attempt. If attempts fail in different ways, the one with the lowest rank is
/// reported: refused, prohibited, unreachable, timeout, then no route.
fn rank(dial: &Dial) -> u8 {
    match &dial.result {
        DialResult::Timeout { .. } if dial.never_left() => 3,
        DialResult::Connected | DialResult::TooManyFiles | DialResult::NoLocalPort => 0,
        DialResult::Refused | DialResult::NoSocket(_) => 1,
        DialResult::Prohibited(_) => 2,
        DialResult::Unreachable(_)
        | DialResult::NoNeighbour
        | DialResult::RejectedByRoute
        | DialResult::Discarded
        | DialResult::Other(_) => 3,
        DialResult::Timeout { .. } => 4,
        // Without a route for one address family, connections with the other family may still work.
        DialResult::NoRoute => 5,
    }
}

fn judge_dial(target: &Target, dial: &Dial, seen: &Observations) -> Finding {
    let to = &dial.to;
    let (cause, summary) = match &dial.result {
        DialResult::Refused => (Cause::TcpRefused, refusal(seen, to)),
        DialResult::NoSocket(found) => (
            Cause::TcpRefused,
            format!("there is no Redis socket at {to}: {found}"),
        ),
        DialResult::Prohibited(ErrorSource::ThisHost(_)) if matches!(to, Endpoint::Named(_)) => (
            Cause::TcpProhibited,
            format!("permission denied: this user is not allowed to use the socket {to}"),
        ),
        DialResult::Prohibited(ErrorSource::ThisHost(_)) => (
            Cause::TcpProhibited,
            format!("this host itself blocks the connection to {to}"),
        ),
        DialResult::Prohibited(ErrorSource::Icmp(icmp)) if seen.is_from_this_host(*icmp) => (
            Cause::TcpProhibited,
            format!("this host's own firewall rejects connections to {to}"),
        ),
        DialResult::Prohibited(ErrorSource::Icmp(_)) => (
            Cause::TcpProhibited,
            format!("a firewall rejects connections to {to}"),
        ),
        DialResult::Discarded if dial.lacks_zone() => (
            Cause::TcpUnreachable,
            match target.zone() {
                Some(zone) => format!("this host has no interface named {}", sanitize::line(zone)),
                None => format!("{to} is a link-local address, which needs the name of an interface"),
            },
        ),
        DialResult::Discarded => (
            Cause::TcpUnreachable,
            format!("this host discards packets to {to}, probably because of a blackhole route"),
        ),
        DialResult::RejectedByRoute => (
            Cause::TcpUnreachable,
            format!("a route or a rule of this host rejects packets to {to}"),
        ),
        DialResult::Unreachable(_) | DialResult::Other(_) => {
            (Cause::TcpUnreachable, format!("{to} is unreachable"))
        }
        DialResult::NoNeighbour => (
            Cause::TcpUnreachable,
            format!("no ARP/NDP reply for {to} on this network"),
        ),
        DialResult::TooManyFiles => (
            Cause::LocalOpenFiles,
            "this process cannot open any more files, so it cannot connect".into(),
        ),
        DialResult::NoLocalPort => (
            Cause::TcpNoLocalPort,
            format!(
                "this host has no free local port for a connection to {to}{}",
                few_ports(seen).unwrap_or_default()
            ),
        ),
        DialResult::NoRoute => (
            Cause::TcpUnreachable,
            match seen.shared_address() {
                _ if seen.is_loopback_down() => loopback_down(to),
                Some(kind) => format!("{to} is a {kind} address, to which TCP cannot connect"),
                None => format!("this host has no usable route to {to}"),
            },
        ),
        DialResult::Timeout { .. } if seen.is_loopback_down() => (Cause::TcpUnreachable, loopback_down(to)),
        DialResult::Timeout { .. } | DialResult::Connected => return judge_timeout(dial, seen),
    };
    Finding::proved(cause).summary(summary)
}

fn loopback_down(to: &Endpoint) -> String {
    format!(
        "the loopback interface (lo) is down, so this host cannot connect to {to}, which is this host itself"
    )
}

/// Describes the route if no host at its other end answers.
fn unanswered_route(seen: &Observations) -> Option<String> {
    let route = seen.unanswered_route()?;
    let interface = &route.interface;
    Some(match route.gateway {
        Some(gateway) => {
            format!("the route goes through the gateway {gateway} on the interface {interface}")
        }
        None => format!(
            "the route goes directly to the network on {interface} ({}), without a gateway",
            route.to
        ),
    })
}

/// Describes the interface and the source address of packets that got no reply, because they may not be the
/// intended ones, for example with a VPN.
fn way_out(seen: &Observations, dial: &Dial) -> Option<String> {
    let this_host = &seen.this_host;
    let (source, route) = this_host.source.zip(this_host.route.as_ref())?;
    let is_sent = matches!(dial.result, DialResult::Timeout { syns: Some(2..) })
        && seen.interface_without_carrier().is_none()
        && !is_blocked_here(seen);
    (is_sent && this_host.nearness != Nearness::Loopback).then(|| {
        format!(
            "the packets leave through the interface {}, with the source address {source}",
            route.interface
        )
    })
}

fn judge_timeout(dial: &Dial, seen: &Observations) -> Finding {
    let to = &dial.to;
    if is_blocked_here(seen) {
        let blocked = seen.tcp.blocked_retransmissions;
        Finding::likely(Cause::TcpProhibited)
            .summary(format!("this host's own firewall drops packets to {to}"))
            .fact(format!(
                "the kernel could not send {blocked} of the retransmitted SYN packets"
            ))
    } else if matches!(to, Endpoint::Named(_)) {
        Finding::proved(Cause::TcpTimeout).summary(format!(
            "the server at {to} does not accept connections, because its accept queue is full"
        ))
    } else if let Some(interface) = seen.interface_without_carrier() {
        Finding::likely(Cause::TcpUnreachable)
            .summary(format!(
                "packets to {to} do not leave this host, because the interface {interface} has no carrier"
            ))
            .fact(format!(
                "the route to this address leads through {interface}, and no cable, peer or program is connected to \
                 this interface"
            ))
    } else if dial.never_left() {
        Finding::likely(Cause::TcpUnreachable)
            .summary(format!("packets to {to} never leave this host"))
            .fact(
                "the kernel queued one SYN packet and retransmitted none, so the destination or its gateway does \
                 not answer ARP/NDP",
            )
    } else if is_single_syn(dial) {
        Finding::likely(Cause::TcpTimeout)
            .summary(format!("{to} did not reply before the timeout"))
            .fact("only one SYN packet was sent, which may have been lost; try a longer --timeout")
    } else {
        let elsewhere = seen.tcp.other_port.as_ref().filter(|other| other.is_connected());
        let elsewhere = elsewhere.and_then(|other| other.to.ip());
        Finding::proved(Cause::TcpTimeout).summary(match elsewhere {
            Some(other) => format!(
                "connections to {to} get no reply, but port {} of the same host accepts them",
                other.port()
            ),
            None => format!("connections to {to} get no reply at all"),
        })
    }
}

/// Returns a note if the address seems to be reachable only from certain networks.
fn unreachable_network(seen: &Observations, dial: &Dial) -> Option<String> {
    let Endpoint::Ip(address) = &dial.to else {
        return None;
    };
    let is_reachable = seen
        .tcp
        .other_port
        .as_ref()
        .is_some_and(|other| matches!(other.result, DialResult::Connected | DialResult::Refused));
    if is_reachable
        || matches!(
            dial.result,
            DialResult::Refused
                | DialResult::NoRoute
                | DialResult::RejectedByRoute
                | DialResult::Prohibited(_)
                | DialResult::NoLocalPort
                | DialResult::TooManyFiles
        )
    {
        // Either a host has replied, so the network can be reached, or no packet was sent.
        return None;
    }
    let is_foreign = seen.this_host.nearness == Nearness::ForeignPrivate;
    let ip = address.ip();
    match ip {
        // This is Docker's default bridge: https://docs.docker.com/engine/network/drivers/bridge/
        IpAddr::V4(v4) if is_foreign && v4.octets()[..2] == [172, 17] => Some(format!(
            "{ip} is in Docker's default network (172.17.0.0/16), which only the containers' own host can reach"
        )),
        _ if is_foreign => Some(format!(
            "{ip} is a private address, and this host reaches it only through the default route"
        )),
        _ => None,
    }
}

/// Returns notes about a host name that may have an unintended address. The reason can be a search domain, an
/// alias, or a resolver that blocks the name.
fn misleading_name(target: &Target, seen: &Observations, to: &Endpoint) -> Vec<String> {
    let (Some(host), Some(lookup)) = (target.host(), &seen.dns) else {
        return Vec::new();
    };
    let mut facts = Vec::new();
    if let Some((_, completed)) = dns::completed(target, seen) {
        facts.push(completed);
    }
    if let Some(alias) = &lookup.alias {
        facts.push(format!("{host} is an alias (CNAME) of {alias}"));
    }
    if let Endpoint::Ip(address) = to
        && address.ip().is_unspecified()
    {
        let address = address.ip();
        facts.push(format!(
            "the resolver returns {address} for {host}, perhaps because it blocks the name"
        ));
    } else if let Endpoint::Ip(address) = to
        && address.ip().is_loopback()
        && lookup.hosts_file.is_none()
        && !host.eq_ignore_ascii_case("localhost")
    {
        facts.push(format!("the resolver returns {} for {host}", address.ip()));
    } else if let Endpoint::Ip(SocketAddr::V6(address)) = to
        && let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.ip().segments()
    {
        // The last 32 bits are the IPv4 address (RFC 6052, 2.1).
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        facts.push(format!(
            "the resolver made {} from the IPv4 address {} (DNS64), so the connection needs a NAT64 gateway",
            address.ip(),
            Ipv4Addr::new(a, b, c, d)
        ));
    }
    facts
}

/// Returns a note if the host in the URL is an unusual form of an IPv4 address, such as 10.1 or 010.0.0.1.
fn short_address(target: &Target, to: &Endpoint) -> Option<String> {
    let host = target.host()?;
    let read = to.ip()?.ip();
    // inet_aton(3) reads decimal, octal and hexadecimal numbers.
    let is_number = |part: &str| match part.strip_prefix("0x") {
        Some(hex) => !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()),
    };
    let is_unusual = host.split('.').all(is_number) && host.parse::<Ipv4Addr>().is_err();
    (is_unusual && read.is_ipv4()).then(|| {
        format!(
            "{host} in the URL means {read}: if there are fewer than four numbers, the last one fills the remaining bytes, \
             and a leading 0 makes a number octal"
        )
    })
}

/// Describes whether the provider's TLS port accepts connections. Returns `None` if this port was not tried.
fn other_port(target: &Target, seen: &Observations) -> Option<String> {
    let service = Hosting::of(target.host()?)?.service;
    let dial = seen.tcp.other_port.as_ref()?;
    let result = if dial.is_connected() {
        "this port accepts TCP connections".to_owned()
    } else {
        format!("this port did not accept a connection either: {}", describe(dial))
    };
    Some(format!("{} is the TLS port of {service}; {result}", dial.to))
}

/// Returns a warning about lost packets on a connection that works.
pub(super) fn loss(seen: &Observations) -> Option<(Cause, String)> {
    let count = lost_packets(seen);
    let syns = "the first SYN got no reply and had to be sent again, so connecting took over 1 s";
    let is_syn = seen.tcp.round_trip() > FIRST_RETRANSMISSION;
    (count > 0).then(|| {
        let summary = match count {
            1 if is_syn => syns.to_owned(),
            1 => "1 packet got no acknowledgement in time and had to be sent again".to_owned(),
            _ => format!("{count} packets got no acknowledgement in time and had to be sent again"),
        };
        (Cause::PathLoss, summary)
    })
}

/// Whether this host blocked all retransmitted SYNs. The kernel counts blocked packets of all programs, so
/// its count may be higher than the number of SYNs.
fn is_blocked_here(seen: &Observations) -> bool {
    let retransmitted = seen.tcp.dials.iter().map(|dial| match dial.result {
        DialResult::Timeout { syns } => u64::from(syns.unwrap_or(2)).saturating_sub(1),
        _ => 0,
    });
    let retransmitted: u64 = retransmitted.sum();
    retransmitted > 0 && seen.tcp.blocked_retransmissions >= retransmitted
}

/// Whether the attempt timed out before the first SYN could be retransmitted.
fn is_single_syn(dial: &Dial) -> bool {
    matches!(dial.result, DialResult::Timeout { syns: Some(1) }) && !dial.never_left()
}

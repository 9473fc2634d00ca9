//! What to do where there is no connection: the order depends on where we stand.

use std::net::IpAddr;

use super::url::route;
use super::{Cause, Fix, FixContext};
use crate::ping::causes::context::quoted;
use crate::ping::this_host::{LocalListener, Nearness};
use crate::redis_url::DEFAULT_PORT;

/// The order depends on where we stand.
pub(super) fn unanswered(at: &FixContext) -> Vec<Fix> {
    let local = local_firewall("look for a rule of this host's own firewall that drops it");
    if let Some(path) = &at.socket {
        return vec![Fix::paste(
            "accept-queue",
            "the server's accept queue is full (Recv-Q over Send-Q): it is stuck, or takes no more clients",
            format!("ss -lx src {}", quoted(path)),
        )];
    }
    if at.this_host.nearness == Nearness::Loopback {
        let queue = Fix::paste(
            "accept-queue",
            "the server's accept queue may be full (Recv-Q at Send-Q): it is stuck, or takes no more clients",
            format!("ss -ltn 'sport = :{}'", at.port),
        );
        return match at.this_host.listener {
            Some(LocalListener::Missing) => vec![local],
            Some(LocalListener::Backlog(0)) => vec![local, queue],
            _ => vec![queue, local],
        };
    }
    let mut list: Vec<Fix> = slip(at).into_iter().collect();
    if at.this_host.nearness == Nearness::ForeignPrivate {
        list.push(Fix::say(
            "outside-vpc",
            "the address is private and no network of this host holds it: an ElastiCache is reachable from inside its \
             VPC only. Run this on an EC2 instance in that VPC (or through a VPN, a peering or a tunnel)",
        ));
    }
    list.push(security_group(at));
    list.push(Fix::say(
        "network-acl",
        format!(
            "the subnets' network ACLs must allow TCP {} in, and the ephemeral ports 1024-65535 back",
            at.port
        ),
    ));
    list.push(route(
        "see which way the packets take; peered VPCs need routes on both sides",
        at,
    ));
    list.push(local);
    list
}

fn local_firewall(text: &str) -> Fix {
    Fix::paste("local-firewall", text, "sudo nft list ruleset")
}

fn slip(at: &FixContext) -> Option<Fix> {
    at.is_slip_of_a_port().then(|| {
        Fix::paste(
            "port",
            format!(
                "port {} looks like a slip: Redis listens on {DEFAULT_PORT}",
                at.port
            ),
            at.ping(at.scheme(), DEFAULT_PORT),
        )
    })
}

fn check_the_port(at: &FixContext) -> String {
    format!(
        "check the port: nothing listens on {} (Redis: {DEFAULT_PORT})",
        at.port
    )
}

fn security_group(at: &FixContext) -> Fix {
    let port = at.port;
    let instance = at.this_host.instance.as_ref();
    let source = instance
        .and_then(|instance| instance.groups.first())
        .map_or("sg-OF-THIS-INSTANCE", String::as_str);
    let region = at
        .region
        .as_ref()
        .map_or_else(String::new, |region| format!(" --region {region}"));
    let group = group_of_the_cache(at, &region);
    Fix::paste(
        "security-group",
        format!(
            "the security group of the cache must let this instance in: an inbound Custom TCP rule for port {port} \
             whose source is the instance's security group"
        ),
        format!(
            "aws ec2 authorize-security-group-ingress{region} --group-id {group} --protocol tcp --port {port} \
             --source-group {source}"
        ),
    )
}

/// Only AWS knows it: the group of the network interface that has the address, whatever kind of cache that is.
///
/// Of two VPCs with the same addresses it may find the wrong one; there EC2 refuses the rule, whose groups do not meet.
fn group_of_the_cache(at: &FixContext, region: &str) -> String {
    let Some(address) = at.address else {
        return "sg-OF-THE-CACHE".to_owned();
    };
    let filter = match address {
        IpAddr::V4(_) if at.this_host.nearness == Nearness::Public => "association.public-ip",
        IpAddr::V4(_) => "addresses.private-ip-address",
        IpAddr::V6(_) => "ipv6-addresses.ipv6-address",
    };
    format!(
        "\"$(aws ec2 describe-network-interfaces{region} --filters Name={filter},Values={address} \
         --query 'NetworkInterfaces[0].Groups[0].GroupId' --output text)\""
    )
}

pub(super) fn refused(cause: Cause, at: &FixContext) -> Vec<Fix> {
    if let Some(path) = &at.socket {
        let look = Fix::paste(
            "socket",
            "look at the socket and its permissions",
            format!("ls -l {}", quoted(path)),
        );
        let start = Fix::say(
            "start",
            "start the server, and let its `unixsocket` name this path",
        );
        return if cause == Cause::TcpProhibited {
            vec![look]
        } else {
            vec![look, start]
        };
    }
    match cause {
        Cause::TcpRefused => {
            let mut list: Vec<Fix> = slip(at).into_iter().collect();
            // Looking and starting is for the host that refuses: only here it is this one.
            if at.this_host.nearness == Nearness::Loopback {
                list.push(Fix::paste("port", check_the_port(at), "ss -ltn"));
                list.push(Fix::paste(
                    "start",
                    "start Redis, if it should run there",
                    format!("redis-server --port {}", at.port),
                ));
            } else {
                list.push(Fix::say("port", check_the_port(at)));
                list.push(Fix::say(
                    "start",
                    "start Redis on that host, if it should run there",
                ));
            }
            if at.this_host.in_container && at.this_host.nearness == Nearness::Loopback {
                list.insert(
                    0,
                    Fix::say(
                        "container",
                        "in a container, localhost is the container itself: name the host",
                    ),
                );
            }
            list.push(Fix::say(
                "bind",
                "a Redis bound to 127.0.0.1 refuses others: see `bind` in its configuration",
            ));
            list
        }
        Cause::TcpUnreachable => vec![
            route("see which way the packets take", at),
            Fix::say(
                "address",
                "the address may belong to a host that is gone, or to a network without a route here",
            ),
        ],
        _ if at.is_own_word => vec![
            local_firewall("look for the rule of this host that forbids it"),
            route("look for a prohibiting route", at),
        ],
        _ => vec![
            Fix::say(
                "firewall",
                "ask whoever runs the firewall that answered to allow this connection",
            ),
            local_firewall("it may also be this host's own"),
        ],
    }
}

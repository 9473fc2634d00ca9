//! Suggests fixes for connection attempts without any reply.

use std::net::IpAddr;

use super::{container_network, listeners, local_firewall, port_typo, provider_check, provider_port, route};
use crate::ping::causes::commands::shell_quoted;
use crate::ping::causes::dns;
use crate::ping::causes::fix::{Fixes, advise};
use crate::ping::causes::fix_context::FixContext;
use crate::ping::conclusions::regions;
use crate::ping::observation::Dial;
use crate::ping::this_host::Nearness;
use crate::redis_url::hosting::KUBERNETES;
use crate::redis_url::provider;

pub(in crate::ping::causes) fn timeout(at: &FixContext) -> Fixes {
    if let Some(path) = at.socket() {
        return advise(
            "accept-queue",
            "check the server process: its accept queue is full (Recv-Q is higher than Send-Q), so the process is \
             stuck or accepts no more clients",
        )
        .command(format!("ss -lx src {path}"));
    }
    if at.seen.this_host.nearness == Nearness::Loopback {
        return timeout_on_this_host(at);
    }
    let fixes = if at.is_aws() {
        timeout_at_aws(at)
    } else {
        timeout_elsewhere(at)
    };
    fixes
        .after(port_typo(at))
        .after(provider_port(at))
        .after(dns::search_domain(at))
}

/// Suggests fixes for a server that is probably not on AWS.
fn timeout_elsewhere(at: &FixContext) -> Fixes {
    let port = at.port();
    if other_port_works(at) {
        // Only this port gets no reply, so the route and the host work.
        let text = format!(
            "if port {port} should work too, check that the port is enabled, and that no firewall drops \
             packets to it"
        );
        return advise("firewall", text).after(provider_check(at));
    }
    let text = format!(
        "check the firewalls on the server and on the path to it: a rule may be dropping packets to TCP port {port}"
    );
    let firewall = advise("firewall", text);
    let route = route(
        at,
        "check the routes on both hosts: the packets may arrive, but the replies may have no route back",
    );
    let local = local_firewall("look for a rule in this host's own firewall that drops the packets");
    if let Some(check) = provider_check(at) {
        // Users cannot change the firewall of a provider's host.
        return check.and_all(firewall).and_all(route).and_all(local);
    }
    if let Some(policy) = network_policy(at) {
        // The address of a Service answers only on its ports, so do not suggest `ping`.
        return policy
            .and_all(container_network(at))
            .and_all(route)
            .and_all(local);
    }
    advise(
        "host",
        "check that the address is right and that the host is up. If the following command gets replies, a \
         firewall or a full accept queue is dropping the packets. If not, the host is down, there is no route to \
         the host, or a firewall also drops ICMP",
    )
    .command(format!("ping -c 3 {}", at.numeric_host()))
    .and_all(
        at.possible_provider()
            .map(|provider| advise("provider", provider.check)),
    )
    .and_all(firewall)
    .and(
        "accept-queue",
        "on the server, check the accept queue: if it is full (Recv-Q is higher than Send-Q), the server process \
         is stuck, and the kernel drops new connections",
    )
    .command(format!("ss -ltn 'sport = :{port}'"))
    .and_all(outside(at))
    .and_all(container_network(at))
    .and_all(route)
    .and_all(local)
}

/// Suggests how to reach a private network to which only the default route leads.
pub(super) fn outside(at: &FixContext) -> Option<Fixes> {
    (at.seen.this_host.nearness == Nearness::ForeignPrivate).then(|| {
        if at.is_aws() {
            advise(
                "outside-vpc",
                "if this host is outside the VPC of the cache, run the client on an EC2 instance in that VPC, or \
                 connect through a VPN, VPC peering or a tunnel",
            )
        } else {
            advise(
                "outside-network",
                "if this host is not in the server's network, run the client inside that network, or connect through \
                 a VPN or a tunnel",
            )
        }
    })
}

/// Suggests what to check if a Kubernetes Service does not reply.
fn network_policy(at: &FixContext) -> Option<Fixes> {
    at.hosting().filter(|hosting| hosting.service == KUBERNETES)?;
    let namespace = at.host().split('.').nth(1).map(shell_quoted)?;
    Some(
        advise(
            "network-policy",
            format!(
                "check that the NetworkPolicies of the namespace {namespace} allow connections to the Redis pods, and \
                 that those of the client's namespace allow connections from the client"
            ),
        )
        .command(format!("kubectl describe networkpolicy -n {namespace}")),
    )
}

/// Whether the server's host accepts connections on the provider's TLS port.
fn other_port_works(at: &FixContext) -> bool {
    at.seen.tcp.other_port.as_ref().is_some_and(Dial::is_connected)
}

fn timeout_at_aws(at: &FixContext) -> Fixes {
    if let Some(other) = at.hosting().filter(|hosting| hosting.is_other_service) {
        return advise("provider", other.check).and_all(route(at, "check the route to the server"));
    }
    if at.target.host().is_some_and(provider::is_public_serverless) {
        let text = format!(
            "check that this host is allowed to connect to TCP port {} on the internet: a public endpoint of a \
             serverless cache has neither a VPC nor a security group",
            at.port()
        );
        return advise("firewall", text).and_all(route(at, "check the route to the server"));
    }
    security_group(at)
        .after(outside(at))
        .after(other_region(at))
        .and(
            "network-acl",
            format!(
                "in the network ACL of each subnet of the cache, allow inbound TCP port {}, and outbound replies to \
                 the ephemeral ports 1024-65535",
                at.port()
            ),
        )
        .and_all(route(
            at,
            "check the route to the server; with VPC peering, both VPCs need a route",
        ))
        .and_all(local_firewall(
            "look for a rule in this host's own firewall that drops the packets",
        ))
}

/// Suggests a rule in the security group of the cache. The command finds the security group through the
/// network interface that has the cache's address, which works for every kind of cache.
///
/// The command changes something only if it finds exactly one security group, because several VPCs can use
/// the same address, and an interface can have several groups. If this instance's security group is unknown,
/// the command only reads.
fn security_group(at: &FixContext) -> Fixes {
    let port = at.port();
    let region = at.region_option();
    let rule = format!(
        "type Custom TCP, port {port}, and as the source the security group of the application's instance"
    );
    let Some(address) = at.address() else {
        let text = format!("add an inbound rule to the security group of the cache: {rule}");
        return advise("security-group", text);
    };
    let filter = match address {
        IpAddr::V4(_) if at.seen.this_host.nearness == Nearness::Public => "association.public-ip",
        IpAddr::V4(_) => "addresses.private-ip-address",
        IpAddr::V6(_) => "ipv6-addresses.ipv6-address",
    };
    let interfaces = format!(
        "aws ec2 describe-network-interfaces{region} --filters Name={filter},Values={address} --query"
    );
    let look = format!(
        "{interfaces} 'NetworkInterfaces[].[VpcId,Description,Groups[].[GroupId,GroupName]]' --output json"
    );
    let Some(source) = at.instance().and_then(|instance| instance.groups.first()) else {
        let text = format!(
            "find the security group of the cache with the following command, which changes nothing. If it lists \
             several interfaces, choose the one whose VPC and description belong to the cache. Then add an \
             inbound rule to the security group of this interface: {rule}. If the \
             application runs outside the VPC, use an address range as the source"
        );
        return advise("security-group", text).command(look);
    };
    let source = shell_quoted(source);
    let text = format!(
        "add an inbound rule to the security group of the cache: type Custom TCP, port {port}, source {source} \
         (the security group of this instance). The following command adds the rule if it finds exactly one \
         security group for the address, and otherwise changes nothing"
    );
    advise("security-group", text)
    .command(format!(
        "(set -- $({interfaces} 'NetworkInterfaces[].Groups[].GroupId' --output text); if [ $# -eq 1 ]; then aws ec2 \
         authorize-security-group-ingress{region} --group-id \"$1\" --protocol tcp --port {port} --source-group {source}; \
         else echo \"nothing changed, security groups found: $*\" >&2; fi)"
    ))
    .and(
        "security-group",
        "if the command finds several security groups, list them with their VPCs and descriptions, and find the one \
         that belongs to the cache",
    )
    .command(look)
}

/// Suggests fixes if the cache is in a different region from this instance. The address of the cache may look
/// local, because the default VPCs of all regions have the same range.
fn other_region(at: &FixContext) -> Option<Fixes> {
    let (named, own) = regions(at.target, at.seen)?;
    let text = format!(
        "use a cache in {own}, the region of this instance, or run the client in {named}: the name belongs to a cache in \
         {named}"
    );
    Some(advise("region", text))
}

fn timeout_on_this_host(at: &FixContext) -> Fixes {
    let firewall = local_firewall("look for a rule in this host's own firewall that drops the packets");
    let queue = advise(
        "accept-queue",
        "check the accept queue: if it is full (Recv-Q is higher than Send-Q), the server is stuck or accepts no \
         more clients",
    )
    .command(format!("ss -ltn 'sport = :{}'", at.port()));
    let listeners = listeners(at);
    let waiting = listeners.map(|all| all.iter().map(|listener| listener.waiting).max());
    match waiting {
        Some(None) => firewall,
        Some(Some(0)) => firewall.and_all(queue),
        _ => queue.and_all(firewall),
    }
}

//! Fixes for connections that cannot be opened, or that the network interrupts. The order of the fixes
//! depends on where this host is.

use std::net::IpAddr;
use std::path::Path;

use super::commands::{endpoint, shell_quoted};
use super::fix::{FixContext, Fixes, advise};
use super::names;
use crate::ping::observation::{Dial, DialResult, ErrorSource, IdleEnd, IdleTest};
use crate::ping::this_host::{LocalListener, Nearness};
use crate::ping::verdict::{is_from_here, seconds};
use crate::redis_url::hosting::{Hosting, Reach};
use crate::redis_url::{Address, DEFAULT_PORT, provider};

pub(super) fn timeout(at: &FixContext) -> Fixes {
    if let Some(path) = at.socket() {
        return advise(
            "accept-queue",
            "check the server process: its accept queue is full (Recv-Q is above Send-Q), so the process is stuck or \
             accepts no more clients",
        )
        .command(format!("ss -lx src {path}"));
    }
    if at.nearness() == Nearness::Loopback {
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
        .after(names::hosts_file(at))
}

/// Fixes if this host has no free local port. Connections in TIME_WAIT occupy their ports for a minute.
pub(super) fn no_local_port(at: &FixContext) -> Fixes {
    /// The kernel's default range.
    const DEFAULT: (u16, u16) = (32_768, 60_999);
    let ports = at
        .seen
        .this_host
        .as_ref()
        .and_then(|this_host| this_host.local_ports);
    let range = ports.map_or(DEFAULT, |ports| (ports.first, ports.last));
    let is_narrow = range.1.saturating_sub(range.0) < DEFAULT.1 - DEFAULT.0;
    let waiting = ports.map_or(1, |ports| ports.time_wait);
    let wider = if is_narrow { DEFAULT } else { (15_000, 65_000) };
    let widen = advise(
        "port-range",
        format!(
            "allow the kernel to use more local ports, {} to {}. The change lasts until the next restart",
            wider.0, wider.1
        ),
    )
    .command(format!(
        "sudo sysctl -w net.ipv4.ip_local_port_range='{} {}'",
        wider.0, wider.1
    ));
    let pool = advise(
        "pool",
        "use connection pools in the applications: each new connection takes a port, which stays in use for a minute \
         after the connection is closed (TIME_WAIT)",
    );
    let look = advise("connections", "check which processes have opened the connections")
        .command(format!("sudo ss -tanp dst {}", at.numeric_host()));
    let lasting = advise(
        "port-range",
        "to make the change permanent, find the file that sets the range, and correct the range there. For a \
         container, correct it in the container's configuration (sysctls)",
    )
    .command("grep -rs ip_local_port_range /etc/sysctl.conf /etc/sysctl.d /run/sysctl.d /usr/lib/sysctl.d");
    let fixes = if is_narrow {
        widen.and_all(lasting).and_all((waiting > 0).then_some(pool))
    } else {
        pool.and_all(widen)
    };
    fixes.and_all(look)
}

/// Fixes for lost packets. The problem is on the path, not on the server.
pub(super) fn loss(at: &FixContext) -> Fixes {
    advise(
        "loss",
        "find out where packets are lost between this host and the server: on an overloaded link or firewall, a bad \
         cable, Wi-Fi or a VPN",
    )
    .command(format!("ping -c 20 -i 0.2 {}", at.numeric_host()))
    .and("counters", "check this host's interfaces for errors and drops")
    .command("ip -s link")
}

/// Returns the provider's TLS port, if the URL has another port.
fn provider_port(at: &FixContext) -> Option<Fixes> {
    let other = at.seen.tcp.other_port.as_ref()?;
    let port = other.to.ip()?.port();
    let service = at.hosting()?.service;
    Some(if other.is_connected() {
        advise(
            "port",
            format!("use TLS on port {port}, where {service} accepts connections: change redis:// to rediss:// and the port"),
        )
        .try_command(at.ping_to(|target| {
            target.tls = true;
            *target = target.of_primary(at.host(), port);
        }))
    } else {
        advise("port", format!("use TLS on port {port}, where {service} listens"))
    })
}

/// Fixes if there is no sign of AWS. Every explanation is then possible.
fn timeout_elsewhere(at: &FixContext) -> Fixes {
    let port = at.port();
    if other_port_works(at) {
        // The route and the host itself work, because only this port gets no reply.
        return advise(
            "firewall",
            format!("if port {port} should work too, check whether it is enabled, and whether a firewall drops packets to it"),
        )
        .after(provider_check(at));
    }
    let firewall = advise(
        "firewall",
        format!(
            "check the firewalls on the server, and those between it and this host, for a rule that drops packets to \
             TCP port {port}"
        ),
    );
    let route = route(
        at,
        "check the routes on both hosts: the packets may arrive, but the replies may have no route back",
    );
    let local = local_firewall("check for a rule in this host's own firewall that drops the packets");
    if let Some(check) = provider_check(at) {
        // Users do not manage a provider's hosts.
        return check.and_all(firewall).and_all(route).and_all(local);
    }
    let outside_network = (at.nearness() == Nearness::ForeignPrivate).then(|| {
        advise(
            "outside-network",
            "if this host is not in the server's network, run the client inside that network, or connect through a VPN \
             or a tunnel. The address is private, and this host's only route to it is the default route",
        )
    });
    advise(
        "host",
        "check that the address is right and that the host is up. If the system's `ping` command gets replies, a \
         firewall or a full accept queue is dropping the packets. If not, the host is down, there is no route to it, \
         or a firewall also drops ICMP",
    )
    .command(format!("ping -c 3 {}", at.numeric_host()))
    .and_all(
        at.possible_provider()
            .map(|provider| advise("provider", provider.check)),
    )
    .and_all(firewall)
    .and(
        "accept-queue",
        "on the server, check the accept queue: if it is full (Recv-Q is above Send-Q), the server process is stuck, \
         and the kernel drops new connections",
    )
    .command(format!("ss -ltn 'sport = :{port}'"))
    .and_all(outside_network)
    .and_all(container_network(at))
    .and_all(route)
    .and_all(local)
}

/// Whether the same host accepts connections on the provider's TLS port.
fn other_port_works(at: &FixContext) -> bool {
    at.seen.tcp.other_port.as_ref().is_some_and(Dial::is_connected)
}

/// Returns what to check at the provider that the host name reveals.
fn provider_check(at: &FixContext) -> Option<Fixes> {
    at.provider().map(|provider| advise("provider", provider.check))
}

/// Returns what to check if the name is that of a container and was resolved.
fn container_network(at: &FixContext) -> Option<Fixes> {
    at.hosting()
        .filter(|hosting| hosting.reach == Reach::Containers)
        .map(|_| {
            advise(
                "container-network",
                "if the server is running in a container, use the port on which it listens inside its container, not \
                 the published port. Also check that both containers are in the same network",
            )
        })
}

fn timeout_at_aws(at: &FixContext) -> Fixes {
    if at.target.host().is_some_and(provider::is_public_serverless) {
        let text = format!(
            "check that this host may open connections to the internet on TCP port {}: a public endpoint of a serverless cache \
             has neither a VPC nor a security group",
            at.port()
        );
        return advise("firewall", text).and_all(route(at, "check the route that packets take"));
    }
    let outside_vpc = (at.nearness() == Nearness::ForeignPrivate).then(|| {
        advise(
            "outside-vpc",
            "if this host is outside the VPC of the cache, run the client on an EC2 instance in that VPC, or connect \
             through a VPN, VPC peering or a tunnel: only public endpoints of serverless caches are reachable from elsewhere. \
             If this host is in \
             another subnet of that VPC, continue with the next step",
        )
    });
    security_group(at)
        .after(outside_vpc)
        .after(other_region(at))
        .and(
            "network-acl",
            format!(
                "in the network ACLs of the subnets, allow inbound TCP port {}, and outbound replies to the \
                 ephemeral ports 1024-65535",
                at.port()
            ),
        )
        .and_all(route(
            at,
            "check the route that packets take; peered VPCs need routes on both sides",
        ))
        .and_all(local_firewall(
            "check for a rule in this host's own firewall that drops the packets",
        ))
}

/// Fixes for a cache in another region. The default VPCs of all regions use the same range of addresses, so
/// the cache's address seems to be near.
fn other_region(at: &FixContext) -> Option<Fixes> {
    let (named, own) = at.regions()?;
    (named != own).then(|| {
        advise(
            "region",
            format!(
                "use a cache in {own}, the region of this instance, or run the client in {named}: the name belongs to \
                 a cache in {named}"
            ),
        )
    })
}

fn timeout_on_this_host(at: &FixContext) -> Fixes {
    let firewall = local_firewall("check for a rule in this host's own firewall that drops the packets");
    let queue = advise(
        "accept-queue",
        "check the accept queue: if it is full (Recv-Q equals Send-Q), the server is stuck or accepts no more clients",
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

pub(super) fn refused(at: &FixContext) -> Fixes {
    if let Some(path) = at.socket() {
        let fixes = socket(&path).and(
            "start",
            "start the server, with this path as `unixsocket` in its configuration",
        );
        return fixes.after(other_sockets(at));
    }
    let is_here = at.nearness() == Nearness::Loopback;
    let fixes = if is_here {
        refused_here(at)
    } else {
        refused_elsewhere(at)
            .and_all(container_network(at))
            // The refusal shows that the server's network can be reached.
            .after(provider_check(at).filter(|_| !at.hosting().is_some_and(Hosting::is_private)))
    };
    fixes
        .after(port_typo(at))
        .after(provider_port(at))
        .after(names::hosts_file(at))
}

/// Fixes for a server on this host. Commands show what is listening there. They do not start a server,
/// because a new, empty server could be started beside the real one.
fn refused_here(at: &FixContext) -> Fixes {
    let listeners = listeners(at).unwrap_or_default();
    let covers = |listener: &LocalListener| at.address().is_some_and(|address| listener.covers(address));
    let host = if at
        .seen
        .this_host
        .as_ref()
        .is_some_and(|this_host| this_host.in_container)
    {
        advise(
            "container",
            "if you are running this command in a container, localhost means the container itself: use the Redis \
             server's host name",
        )
    } else {
        advise(
            "host",
            "if Redis is running on another host, put that host's name in the URL: the address in the URL is this host \
             itself",
        )
    };
    let listener = if listeners.iter().any(covers) {
        Some(local_firewall(
            "try again, then check for a rule in this host's own firewall that rejects the connection",
        ))
    } else {
        listeners.first().map(|other| {
            advise(
                "bind",
                format!(
                    "use {} in the URL, or make the server listen on {} too (`bind` in the Redis configuration)",
                    other.address,
                    at.host()
                ),
            )
        })
    };
    host.and(
        "server",
        "check whether a Redis server is running on this host, and what state it is in",
    )
    .command("ps -o pid,stat,args -C redis-server,valkey-server")
    .and(
        "port",
        format!("list the ports that processes are listening on (Redis: {DEFAULT_PORT} by default)"),
    )
    .command("ss -ltnp")
    .after(listener)
}

fn refused_elsewhere(at: &FixContext) -> Fixes {
    let port = at.port();
    advise(
        "server",
        format!(
            "on the server, check which address and port Redis is listening on. If the address is 127.0.0.1, extend \
             `bind` in redis.conf. If the port is not {port}, correct the URL. If Redis is not listening at all, \
             start it"
        ),
    )
    .command("sudo ss -ltnp")
    .and("host", "check the host name and port in the URL")
    .and(
        "firewall",
        "check the firewalls on the server, and those between it and this host: a rule that rejects connections with \
         a TCP reset has the same effect as a closed port",
    )
}

/// Returns what to check on a tunnel or proxy on this host that accepts connections for a server elsewhere.
pub(super) fn forwarder(at: &FixContext) -> Option<Fixes> {
    let listener = at.listener()?;
    let (forwarder, process) = (listener.forwarder()?, listener.process.as_deref()?);
    Some(
        advise(
            "tunnel",
            format!(
                "check the process {process} on this host ({forwarder}), and the address that it forwards to: it accepts \
                 connections even if it cannot reach the server behind it"
            ),
        )
        .command(format!("ps -o pid,args -C {}", shell_quoted(process))),
    )
}

/// Suggests the port for clients, if the URL contains the port of the cluster bus.
pub(super) fn client_port(at: &FixContext) -> Option<Fixes> {
    let port = cluster_client_port(at.port())?;
    Some(
        advise(
            "port",
            format!(
                "use port {port}: port {} usually belongs to the cluster bus",
                at.port()
            ),
        )
        .try_command(at.ping_at(at.host(), port)),
    )
}

/// Returns a node's port for clients, if this is the usual port of its cluster bus. The port of the bus is
/// higher by 10,000 (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>).
pub(in crate::ping) fn cluster_client_port(bus: u16) -> Option<u16> {
    matches!(bus, 16379 | 16380 | 17000..=17005).then(|| bus - 10_000)
}

/// Fixes for an address that packets cannot reach.
pub(super) fn unreachable(at: &FixContext) -> Fixes {
    let mut dials = at.seen.tcp.dials.iter();
    let is_absent = dials.any(|dial| dial.result == DialResult::NoNeighbour);
    let neighbour = is_absent.then(|| {
        advise(
            "host",
            "check that the host is up, and that its address is right: no host on this network answers for this \
             address",
        )
        .command(format!("ip neigh show {}", at.numeric_host()))
    });
    let is_routeless = |dial: &Dial| dial.result == DialResult::NoRoute;
    let fixes = if at.seen.tcp.dials.iter().all(is_routeless) {
        advise(
            "route",
            "check this host's addresses and routes: an interface, a VPN or the default route is missing",
        )
        .command("ip -br addr; ip route")
    } else {
        route(at, "check the route that packets take").and(
            "address",
            "check the address: the host may no longer exist, or its network may not be reachable from here",
        )
    };
    let router = at.seen.tcp.dials.iter().find_map(|dial| match &dial.result {
        DialResult::Unreachable(ErrorSource::Icmp(icmp)) => icmp.from,
        _ => None,
    });
    let beyond = router.map(|router| {
        advise(
            "host",
            format!(
                "check that the address is right and the host is up, then check the routes on {router}, which reports \
                 that it cannot reach the host"
            ),
        )
    });
    fixes
        .after(beyond)
        .after(neighbour)
        .after(provider_check(at).filter(|_| !at.is_aws()))
        .after(names::hosts_file(at))
}

pub(super) fn prohibited(at: &FixContext) -> Fixes {
    if at.socket().is_some() {
        return socket_permissions(at);
    }
    if is_blocked_here(at) {
        let firewall = local_firewall("find the rule in this host's firewall that forbids the connection");
        let route = route(at, "check for a route that prohibits the connection");
        // A prohibit route causes EACCES, and a firewall causes EPERM.
        let is_route = at.seen.tcp.dials.iter().any(|dial| {
            matches!(&dial.result, DialResult::Prohibited(ErrorSource::ThisHost(error))
                if error.to_lowercase().contains("permission denied"))
        });
        if is_route {
            route.and_all(firewall)
        } else {
            firewall.and_all(route)
        }
    } else {
        let source = at.seen.this_host.as_ref().and_then(|this_host| this_host.source);
        let from = source.map_or_else(String::new, |source| format!(" from {source}"));
        let firewall = at.seen.tcp.dials.iter().find_map(|dial| match &dial.result {
            DialResult::Prohibited(ErrorSource::Icmp(icmp)) => icmp.from,
            _ => None,
        });
        let on = firewall.map_or_else(String::new, |firewall| format!("{firewall}, "));
        advise(
            "firewall",
            format!(
                "on {on}the router or firewall that rejects the connection, allow TCP{from} to {}",
                endpoint(at.target)
            ),
        )
    }
}

/// Returns a fix that shows the route to the server.
pub(super) fn route(at: &FixContext, text: &str) -> Fixes {
    advise("route", text).command(at.route())
}

/// Fixes for a path in the URL that is not the path of a socket. The server may use another path.
fn other_sockets(at: &FixContext) -> Option<Fixes> {
    let is_missing = |dial: &Dial| matches!(dial.result, DialResult::NoSocket(_));
    at.seen.tcp.dials.iter().any(is_missing).then(|| {
        advise(
            "url",
            "list the sockets that servers on this host listen on, and use the path of the Redis socket in the URL",
        )
        .command("sudo ss -xlp")
    })
}

fn socket(path: &str) -> Fixes {
    advise(
        "socket",
        "check whether the socket exists, and when it was created",
    )
    .command(format!("ls -l {path}"))
}

/// Fixes for missing permissions. To connect to a unix socket, a process needs write permission for the
/// socket, and search permission for every directory above it (`unix(7)`).
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
        "grant the missing permission: on the Redis host, set unixsocketperm to 770 in redis.conf, and add the \
         application's user to the socket's group (usermod -aG GROUP USER, which takes effect at that user's next \
         login)",
    )
    .and(
        "sandbox",
        "if the permissions are right, check whether AppArmor, SELinux or the settings of the service deny access \
         (systemd: PrivateTmp, ProtectSystem)",
    )
}

fn local_firewall(text: &str) -> Fixes {
    advise("local-firewall", text).command("sudo nft list ruleset")
}

fn port_typo(at: &FixContext) -> Option<Fixes> {
    is_port_typo(at).then(|| {
        advise(
            "port",
            format!(
                "check the port: {} looks like a typo; Redis uses {DEFAULT_PORT}",
                at.port()
            ),
        )
        .try_command(at.ping_at(at.host(), DEFAULT_PORT))
    })
}

/// Returns a fix that adds a rule to the security group of the cache. For every kind of cache, the network
/// interface with the cache's address shows this group.
///
/// Several VPCs may use the same addresses, and an interface may have several groups. The command therefore
/// changes something only if there is exactly one group. If the group of this instance is unknown, the
/// command only reads.
fn security_group(at: &FixContext) -> Fixes {
    let port = at.port();
    let region = at.region_option();
    let rule = format!(
        "Custom TCP, port {port}, with the security group of the application's instance as its source"
    );
    let Some(address) = at.address() else {
        return advise(
            "security-group",
            format!("add an inbound rule to the security group of the cache: {rule}"),
        );
    };
    let filter = match address {
        IpAddr::V4(_) if at.nearness() == Nearness::Public => "association.public-ip",
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
        return advise(
            "security-group",
            format!(
                "find the security group of the cache with the following command, which changes nothing. Several VPCs \
                 may use the address, so check the VPC and the description. Then add an inbound rule to that \
                 security group: {rule}. If the application runs outside the VPC, use an address range as the source"
            ),
        )
        .command(look);
    };
    let source = shell_quoted(source);
    advise(
        "security-group",
        format!(
            "add an inbound rule to the security group of the cache: Custom TCP, port {port}, with this instance's \
             security group {source} as its source. The following command adds the rule only if exactly one security \
             group belongs to the address"
        ),
    )
    .command(format!(
        "(set -- $({interfaces} 'NetworkInterfaces[].Groups[].GroupId' --output text); if [ $# -eq 1 ]; then aws ec2 \
         authorize-security-group-ingress{region} --group-id \"$1\" --protocol tcp --port {port} --source-group {source}; \
         else echo \"nothing changed, security groups found: $*\" >&2; fi)"
    ))
    .and(
        "security-group",
        "if that command finds several security groups, list them, and check which VPC and description belong to the \
         cache",
    )
    .command(look)
}

/// Fixes that make this host send and request smaller packets, but only on the route to the server. A smaller
/// MTU for the whole interface would affect all connections, and an MTU below 1280 disables IPv6.
pub(super) fn mtu(at: &FixContext) -> Fixes {
    let passed = at.seen.experiments.packet_sizes.map(|sizes| sizes.passed);
    let size = passed.unwrap_or(USUALLY_SMALL_ENOUGH);
    let text = match passed {
        Some(_) => format!("use packets of at most {size} bytes on the route to the server"),
        None => format!("large packets may be lost on the way: try packets of at most {size} bytes"),
    };
    let (to, route) = (at.numeric_host(), at.route());
    advise("mtu", text).command(format!(
        "sudo ip route replace {to} $({route} | grep -oE '(via|dev) [^ ]+') mtu {size}"
    ))
}

/// The smallest MTU that a link with IPv6 may have (RFC 8200, 5). Few tunnels have a smaller one.
const USUALLY_SMALL_ENOUGH: u16 = 1280;

/// Fixes for connections that are dropped while they are idle.
pub(super) fn dropped(at: &FixContext) -> Fixes {
    let test = at.seen.idle.clone().unwrap_or_default();
    let lost = test.shortest_lost(None).or_else(|| test.any_lost());
    let interval = lost.map_or_else(String::new, |lost| {
        format!(" every {}, which is below the limit", seconds(lost.idle / 2))
    });
    let ping = advise(
        "keepalive",
        format!(
            "configure the clients to send PING on idle connections{interval} (redis-py: health_check_interval; \
             node-redis: pingInterval), or to close idle connections sooner"
        ),
    );
    let Some(lost) = lost else {
        return ping;
    };
    let has_idle_limit = at.seen.server.idle_limit().is_some_and(|limit| !limit.is_zero());
    match lost.end {
        IdleEnd::Closed if has_idle_limit => ping
            .and("timeout", "or remove the server's limit: 0 means no limit")
            .redis_cli(at, "CONFIG SET timeout 0"),
        IdleEnd::Closed | IdleEnd::Reset => ping.and(
            "proxy",
            "or raise the idle timeout of the proxy or load balancer (HAProxy: timeout client and timeout server)",
        ),
        _ => {
            let tcp = if keepalive_helps(&test) {
                "or enable TCP keepalive in the clients, with an interval below the limit: in this test, keepalive \
                 kept connections alive"
            } else {
                "or enable TCP keepalive in the clients, with an interval below the limit"
            };
            ping.and("keepalive", tcp).and(
                "firewall",
                "or raise the idle timeout for TCP connections on the firewall or NAT gateway",
            )
        }
    }
}

/// Whether TCP keepalive kept the connections alive.
fn keepalive_helps(test: &IdleTest) -> bool {
    let period = test.trials.iter().find_map(|trial| trial.keepalive);
    period.is_some_and(|period| test.shortest_lost(Some(period)).is_none())
}

/// Whether this host itself blocked the connection.
fn is_blocked_here(at: &FixContext) -> bool {
    let mut dials = at.seen.tcp.dials.iter();
    at.seen.tcp.blocked_retransmissions > 0
        || dials.any(|dial| match &dial.result {
            DialResult::Prohibited(ErrorSource::ThisHost(_)) => true,
            DialResult::Prohibited(ErrorSource::Icmp(icmp)) => is_from_here(*icmp, at.seen),
            _ => false,
        })
}

/// Whether the port looks like a typo of 6379 or 6380, or is the port of Memcached.
fn is_port_typo(at: &FixContext) -> bool {
    let typos = [6378, 6739, 6397, 6381, 6389, 6369, 3679, 7369, 637, 11211];
    at.possible_provider().is_none() && typos.contains(&at.port())
}

/// Returns the processes on this host that are listening on the port.
fn listeners<'a>(at: &FixContext<'a>) -> Option<&'a [LocalListener]> {
    at.seen.this_host.as_ref()?.listeners.as_deref()
}

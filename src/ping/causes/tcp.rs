//! Suggests fixes for connections that cannot be opened, or that the network interrupts. The order of the
//! fixes depends on whether this host is near the server.

mod refused;
mod timeout;
mod unreachable;

use super::commands::shell_quoted;
use super::fix::{Fixes, advise};
use super::fix_context::FixContext;
use crate::ping::this_host::LocalListener;
use crate::redis_url::DEFAULT_PORT;
use crate::redis_url::hosting::Reach;

pub(super) use refused::refused;
pub(super) use timeout::timeout;
pub(super) use unreachable::{prohibited, unreachable};

/// Suggests fixes for a host without a free local port. Each connection in TIME_WAIT still occupies a port
/// for a minute.
pub(super) fn no_local_port(at: &FixContext) -> Fixes {
    /// The kernel's default range of local ports.
    const DEFAULT: (u16, u16) = (32_768, 60_999);
    let ports = at.seen.this_host.local_ports;
    let range = ports.map_or(DEFAULT, |ports| (ports.first, ports.last));
    let is_narrow = range.1.saturating_sub(range.0) < DEFAULT.1 - DEFAULT.0;
    let waiting = ports.map_or(1, |ports| ports.time_wait);
    let wider = if is_narrow { DEFAULT } else { (15_000, 65_000) };
    let text = format!(
        "allow the kernel to use more local ports, from {} to {}. The change lasts until the next restart of \
         this host",
        wider.0, wider.1
    );
    let widen = advise("port-range", text).command(format!(
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

/// Suggests fixes for packet loss on the path to the server.
pub(super) fn loss(at: &FixContext) -> Fixes {
    advise(
        "loss",
        "find out where packets are lost between this host and the server, for example on an overloaded link, a \
         bad cable, Wi-Fi or a VPN",
    )
    .command(format!("ping -c 20 -i 0.2 {}", at.numeric_host()))
    .and("counters", "check this host's interfaces for errors and drops")
    .command("ip -s link")
}

/// Suggests the provider's TLS port if the URL contains a different port.
fn provider_port(at: &FixContext) -> Option<Fixes> {
    let other = at.seen.tcp.other_port.as_ref()?;
    let port = other.to.ip()?.port();
    let service = at.hosting()?.service;
    Some(if other.is_connected() {
        let text =
            format!("use the TLS port of {service}: change the port to {port}, and redis:// to rediss://");
        advise("port", text).try_command(
            at,
            at.ping_to(|target| {
                target.tls = true;
                *target = target.of_primary(at.host(), port);
            }),
        )
    } else {
        advise("port", format!("use the TLS port of {service}, which is {port}"))
    })
}

/// Suggests what to check at the provider, if the host name belongs to a provider.
fn provider_check(at: &FixContext) -> Option<Fixes> {
    at.provider().map(|provider| advise("provider", provider.check))
}

/// Suggests what to check if the host name is the name of a container, and the lookup succeeded.
fn container_network(at: &FixContext) -> Option<Fixes> {
    at.hosting()
        .filter(|hosting| hosting.reach == Reach::Containers)
        .map(|_| {
            advise(
                "container-network",
                "if the server is running in a container, use the port inside the container, not the published \
                 port. Check that the client is in the network of this container",
            )
        })
}

/// Suggests what to check if a tunnel or proxy on this host forwards the connection to a different host.
pub(super) fn forwarder(at: &FixContext) -> Option<Fixes> {
    let listener = at.listener()?;
    let (forwarder, process) = (listener.forwarder()?, listener.process.as_deref()?);
    let text = format!(
        "check the process {process} on this host ({forwarder}), and the address to which it forwards \
         connections. The process accepts connections even if it cannot reach that address"
    );
    Some(advise("tunnel", text).command(format!("ps -o pid,args -C {}", shell_quoted(process))))
}

/// Suggests the client port if the URL contains the port of the cluster bus.
pub(super) fn client_port(at: &FixContext) -> Option<Fixes> {
    let port = cluster_client_port(at.port())?;
    let text = format!(
        "use port {port} for clients: port {} usually belongs to the cluster bus",
        at.port()
    );
    Some(advise("port", text).try_command(at, at.ping_at(at.host(), port)))
}

/// Returns the client port that belongs to the cluster bus port `bus`, which is 10,000 higher
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>). Returns `None` if `bus` is
/// not a usual bus port.
pub(in crate::ping) fn cluster_client_port(bus: u16) -> Option<u16> {
    matches!(bus, 16379 | 16380 | 17000..=17005).then(|| bus - 10_000)
}

/// Suggests a command that shows the route to the server.
pub(super) fn route(at: &FixContext, text: &str) -> Fixes {
    advise("route", text).command(at.route())
}

pub(super) fn local_firewall(text: &str) -> Fixes {
    advise("local-firewall", text).command("sudo nft list ruleset")
}

fn port_typo(at: &FixContext) -> Option<Fixes> {
    is_port_typo(at).then(|| {
        let text = format!(
            "check the port: if {} is a typo, change the port to {DEFAULT_PORT}, which Redis uses by default",
            at.port()
        );
        advise("port", text).try_command(at, at.ping_at(at.host(), DEFAULT_PORT))
    })
}

/// Suggests fixes that make packets to and from the server smaller. The fixes change a single route, because
/// a smaller MTU for the whole interface would affect all connections. An MTU below 1280 would disable IPv6.
pub(super) fn mtu(at: &FixContext) -> Fixes {
    let passed = at.seen.experiments.packet_sizes.map(|sizes| sizes.passed);
    let size = passed.unwrap_or(USUALLY_SMALL_ENOUGH);
    let text = match passed {
        Some(_) => format!("limit packets to {size} bytes on the route to the server"),
        None => format!("try packets of at most {size} bytes, because larger packets may be lost on the way"),
    };
    let (to, route) = (at.numeric_host(), at.route());
    advise("mtu", text)
        .command(format!(
            "sudo ip route replace {to} $({route} | grep -oE '(via|dev) [^ ]+') mtu {size}"
        ))
        .and(
            "mtu",
            "in all firewalls on the path, allow the ICMP message \"fragmentation needed\" (type 3, code 4)",
        )
}

/// The packet size to try if the size limit is unknown. This is the smallest MTU that IPv6 allows (RFC 8200,
/// 5), and nearly all tunnels support it.
const USUALLY_SMALL_ENOUGH: u16 = 1280;

/// Whether the port in the URL looks like a typo of 6379 or 6380, or is the port of Memcached.
fn is_port_typo(at: &FixContext) -> bool {
    let typos = [6378, 6739, 6397, 6381, 6389, 6369, 3679, 7369, 637, 11211];
    at.possible_provider().is_none() && typos.contains(&at.port())
}

/// Returns the processes on this host that listen on the port in the URL, or `None` if they are unknown.
fn listeners<'a>(at: &FixContext<'a>) -> Option<&'a [LocalListener]> {
    at.seen.this_host.listeners.as_deref()
}

//! Suggests fixes for connections that are refused.

use std::net::IpAddr;

use super::{container_network, listeners, local_firewall, port_typo, provider_check, provider_port};
use crate::ping::causes::commands::shell_quoted;
use crate::ping::causes::dns;
use crate::ping::causes::fix::{Fixes, advise};
use crate::ping::causes::fix_context::FixContext;
use crate::ping::observation::{Dial, DialResult};
use crate::ping::this_host::{LocalListener, Nearness};
use crate::redis_url::DEFAULT_PORT;
use crate::redis_url::hosting::Hosting;
use crate::redis_url::provider::{self, EndpointKind};

pub(in crate::ping::causes) fn refused(at: &FixContext) -> Fixes {
    if let Some(path) = at.socket() {
        let start = "set `unixsocket` to this path in the configuration of the server, and start the server";
        return match other_sockets(at) {
            Some(others) => others.and("start", format!("or {start}")),
            None => socket(&path).and("start", start),
        };
    }
    if at.seen.has_misleading_primary() {
        let text = format!(
            "on every Sentinel, replace {} with an address of the primary that clients can reach (`sentinel \
             monitor` in sentinel.conf)",
            at.host()
        );
        return advise("announce", text);
    }
    let is_here = at.seen.this_host.nearness == Nearness::Loopback;
    let fixes = if is_here {
        refused_here(at)
    } else {
        // A port other than the default port is usually the published port of a container.
        let network = container_network(at);
        let (first, last) = if at.port() == DEFAULT_PORT {
            (None, network)
        } else {
            (network, None)
        };
        refused_elsewhere(at)
            .and_all(last)
            .after(first)
            // The refusal shows that packets reach the server's network, so do not suggest how to reach a
            // private network.
            .after(provider_check(at).filter(|_| !at.hosting().is_some_and(Hosting::is_private)))
    };
    fixes
        .after(port_as_database(at))
        .after(port_typo(at))
        .after(provider_port(at))
        .after(dns::search_domain(at))
}

/// Suggests fixes if this host refuses a connection to itself. The commands only show which processes listen,
/// because a command that starts a server could start a second, empty server.
fn refused_here(at: &FixContext) -> Fixes {
    let listeners = listeners(at).unwrap_or_default();
    let covers = |listener: &LocalListener| at.address().is_some_and(|address| listener.covers(address));
    let is_other_name = at.seen.dns.is_some() && !at.host().eq_ignore_ascii_case("localhost");
    let host = if is_other_name {
        advise(
            "records",
            format!(
                "if Redis is running on another host, correct the DNS record of {}, which leads to this host itself, or \
                 allow the name in the DNS filter that blocks it",
                at.host()
            ),
        )
        .command(format!("getent ahosts {}", shell_quoted(at.host())))
    } else if at.seen.this_host.in_container {
        advise(
            "container",
            format!(
                "if this command is running in a container, {} is the container itself: use the host name of the Redis \
                 server",
                at.host()
            ),
        )
    } else {
        advise(
            "host",
            "if Redis is running on another host, use the name of that host in the URL: the URL contains an \
             address of this host itself",
        )
    };
    let listener = if listeners.iter().any(covers) {
        Some(local_firewall(
            "try again. If the connection is refused again, look for a rule in the firewall of this host that rejects it",
        ))
    } else {
        listeners.first().map(|other| {
            let text = format!(
                "use {} in the URL, or make the server listen on {} too (`bind` in the Redis configuration)",
                other.address,
                at.host()
            );
            advise("bind", text)
        })
    };
    host.and(
        "server",
        "check whether a Redis server is running on this host, and what its state is (column STAT)",
    )
    .command("ps -o pid,stat,args -C redis-server,valkey-server")
    .and(
        "port",
        format!("list the ports on which processes are listening (Redis uses {DEFAULT_PORT} by default)"),
    )
    .command("ss -ltnp")
    .after(listener)
}

fn refused_elsewhere(at: &FixContext) -> Fixes {
    let port = at.port();
    if let Some(primary) = at.seen.primary() {
        let text = format!(
            "check whether Redis is running on {primary}. If not, wait until the Sentinels have promoted a \
             replica, which takes at least down-after-milliseconds"
        );
        return advise("primary", text)
        .command(at.ping_with(at.given, "--wait 120 "))
        .and(
            "announce",
            "if Redis is running there, the Sentinel may report an address that cannot be reached from here: \
             configure an address that clients can reach (replica-announce-ip, sentinel announce-ip)",
        );
    }
    let host = advise("host", "check the host name and port in the URL");
    let firewall = advise(
        "firewall",
        "check the firewalls on the server, on the path to it and on this host: a firewall can also reject connections \
         with a TCP reset",
    );
    let endpoint = at.target.host().and_then(provider::endpoint_hint);
    if endpoint.is_some_and(|hint| hint.kind == EndpointKind::Memcached) {
        return advise(
            "endpoint",
            "use the endpoint of a Redis or Valkey cache: the name belongs to a Memcached cache",
        )
        .and_all(host);
    }
    if at
        .provider()
        .is_some_and(|provider| provider.is_aws || !provider.is_private())
    {
        // Users have no access to the host of a provider.
        return advise(
            "host",
            "check the host name and port in the URL: compare them with the endpoint in the provider's console",
        )
        .and_all(firewall);
    }
    let (what, missing) = match at.address() {
        _ if at.is_about_sentinel() => ("the Sentinel", "127.0.0.1"),
        Some(IpAddr::V6(_)) => ("Redis", "127.0.0.1, ::1 or 0.0.0.0 (all IPv4 addresses)"),
        _ => ("Redis", "127.0.0.1"),
    };
    let file = if at.is_about_sentinel() {
        "sentinel.conf"
    } else {
        "redis.conf"
    };
    advise(
        "server",
        format!(
            "on the server, check on which address and port {what} is listening. If the address is {missing}, add \
             the network address of the server to `bind` in {file}. If the port is not {port}, correct the \
             URL. If {what} is not listening at all, start it"
        ),
    )
    .command("sudo ss -ltnp")
    .and_all(host)
    .and_all(firewall)
}

/// Suggests writing the port after the host, if the database number in the URL is probably a port.
fn port_as_database(at: &FixContext) -> Option<Fixes> {
    let port = u16::try_from(at.target.db).ok().filter(|port| *port >= 1024)?;
    (at.port() == DEFAULT_PORT).then(|| {
        advise(
            "port",
            format!(
                "if {port} is the port, write it after the host and a colon: after the slash, it is a database number"
            ),
        )
    })
}

fn socket(path: &str) -> Fixes {
    advise(
        "socket",
        "check whether the socket exists, and when it was created",
    )
    .command(format!("ls -l {path}"))
}

/// Suggests how to find the right path if the path in the URL is not a socket.
fn other_sockets(at: &FixContext) -> Option<Fixes> {
    let is_missing = |dial: &Dial| matches!(dial.result, DialResult::NoSocket(_));
    at.seen.tcp.dials.iter().any(is_missing).then(|| {
        advise(
            "url",
            "list the sockets on which servers on this host are listening, and use the path of the Redis socket in \
             the URL",
        )
        .command("sudo ss -xlp")
    })
}

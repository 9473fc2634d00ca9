//! Suggests fixes for connections that are refused.

use super::{container_network, listeners, local_firewall, port_typo, provider_check, provider_port};
use crate::ping::causes::dns;
use crate::ping::causes::fix::{Fixes, advise};
use crate::ping::causes::fix_context::FixContext;
use crate::ping::observation::{Dial, DialResult};
use crate::ping::this_host::{LocalListener, Nearness};
use crate::redis_url::DEFAULT_PORT;
use crate::redis_url::hosting::Hosting;

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
        refused_elsewhere(at)
            .and_all(container_network(at))
            // The refusal shows that packets reach the server's network, so do not suggest how to reach a
            // private network.
            .after(provider_check(at).filter(|_| !at.hosting().is_some_and(Hosting::is_private)))
    };
    fixes
        .after(port_typo(at))
        .after(provider_port(at))
        .after(dns::search_domain(at))
}

/// Suggests fixes if this host refuses a connection to itself. The commands only show which processes listen,
/// because a command that starts a server could start a second, empty server.
fn refused_here(at: &FixContext) -> Fixes {
    let listeners = listeners(at).unwrap_or_default();
    let covers = |listener: &LocalListener| at.address().is_some_and(|address| listener.covers(address));
    let host = if at.seen.this_host.in_container {
        advise(
            "container",
            "if this command is running in a container, localhost is the container itself: use the host name of \
             the Redis server",
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
    let text = format!(
        "on the server, check on which address and port Redis is listening. If the address is 127.0.0.1, add \
         the network address of the server to `bind` in redis.conf. If the port is not {port}, correct the \
         URL. If Redis is not listening at all, start it"
    );
    advise("server", text)
    .command("sudo ss -ltnp")
    .and("host", "check the host name and port in the URL")
    .and(
        "firewall",
        "check the firewalls on the server and on the path to it: a firewall can also reject connections with a \
         TCP reset",
    )
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

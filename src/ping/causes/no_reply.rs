//! Suggests fixes for a port that accepts connections, but on which Redis does not reply.

use super::commands::shell_quoted;
use super::fix::{Fix, Fixes, advise};
use super::fix_context::FixContext;
use super::latency;
use super::tcp;
use crate::clock::seconds;
use crate::ping::conclusions::NoReply;
use crate::ping::observation::{Exchange, Experiment, TlsResult};
use crate::ping::response::Response;
use std::time::Duration;

pub(super) fn silent(at: &FixContext) -> Fixes {
    let fixes = if let Some(fixes) = before_the_server(at) {
        fixes
    } else if at.seen.holds_back_writes() {
        // FAILOVER and CLUSTER FAILOVER pause writes, as CLIENT PAUSE with WRITE does.
        let wait = "wait until a write gets a reply: Redis delays writes during a failover, and after CLIENT PAUSE \
                    with WRITE";
        let write = at.ping("--timeout 120 --write-check ");
        if at.seen.server.failover().is_some() {
            return advise(
                "failover",
                "if the failover does not end, abort it: perhaps it is waiting for a replica that is down",
            )
            .redis_cli(at, "FAILOVER ABORT")
            .and("paused-writes", format!("otherwise, {wait}"))
            .command(write)
            .and(
                "failover",
                "if writes still get no reply after the failover, find out whether a client has sent CLIENT PAUSE \
                 (CLIENT UNPAUSE ends the pause)",
            );
        }
        return advise("paused-writes", wait).command(write).and(
            "failover",
            "if writes still get no reply, find out whether a failover is running, or whether a client has sent \
             CLIENT PAUSE (CLIENT UNPAUSE ends the pause)",
        );
    } else {
        advise(
            "slow-command",
            "a slow command or CLIENT PAUSE may be blocking Redis (SLOWLOG GET 10 lists slow commands afterwards): wait \
             until Redis answers again",
        )
        .command(at.ping("--wait 120 "))
        .and_all(proxy(at))
        .after(stopped(at))
        .after(listener(at))
        .after(other_program(at))
    };
    fixes.after(tcp::client_port(at)).after(tcp::forwarder(at))
}

/// Suggests fixes for a TLS handshake without a complete reply.
pub(super) fn stalled(at: &FixContext) -> Fixes {
    let small = at.seen.tls.small_packet_handshake.as_ref().map(TlsResult::is_tls);
    let needs_small_packets = small == Some(true) && !at.seen.fails_only_on_first_connection();
    // If small packets get no reply either, the packet size is not the reason.
    let may_lose_large_packets = small != Some(false)
        && !matches!(
            at.seen.experiments.other_protocol,
            Some(Experiment::NotConnected(_))
        );
    let backend = advise(
        "proxy",
        "if there is a proxy on the path, check whether it can reach its backend",
    );
    let fixes = match before_the_server(at) {
        Some(fixes) if !needs_small_packets => fixes,
        _ if may_lose_large_packets => tcp::mtu(at).and_all(backend),
        _ => backend.and_all(stopped(at)).after(listener(at)),
    };
    fixes.after(tcp::forwarder(at))
}

/// Suggests fixes if the server may be working: the timeout may be too short, packets may be lost, or only
/// the first connection may have failed.
fn before_the_server(at: &FixContext) -> Option<Fixes> {
    match NoReply::of(at.seen) {
        NoReply::ShortTimeout(round_trip) => Some(longer_timeout(at, round_trip)),
        NoReply::LostPackets => {
            let text = "check the firewalls, NAT and routes between this host and the server: the TCP handshake \
                        works, but later packets are dropped";
            let route = tcp::route(at, "check the route to the server");
            let fixes = advise("firewall", text).and_all(route);
            Some(if at.seen.fails_only_on_first_connection() {
                other_servers().and_all(fixes)
            } else {
                fixes
            })
        }
        NoReply::Unsent => Some(
            tcp::local_firewall("look for a rule in this host's own firewall that drops the packets")
                .and("counters", "check this host's interfaces for errors and drops")
                .command("ip -s link"),
        ),
        NoReply::SilentServer => at
            .seen
            .fails_only_on_first_connection()
            .then(one_of_several_servers),
    }
}

/// Suggests a longer timeout for a distant server.
fn longer_timeout(at: &FixContext, round_trip: Duration) -> Fixes {
    /// The timeout must be long enough for this number of round trips. With TLS, a login and a cluster, the
    /// checks need about 12 round trips.
    const ENOUGH: u32 = 15;
    const AT_LEAST: f64 = 10.0;
    let timeout = round_trip
        .saturating_mul(ENOUGH)
        .as_secs_f64()
        .max(AT_LEAST)
        .ceil();
    let text = format!(
        "use a longer timeout: all checks together take about {ENOUGH} round trips of {} each",
        seconds(round_trip)
    );
    advise("timeout", text)
        .command(at.ping(&format!("--timeout {timeout} ")))
        .and_all(latency::distance(at))
}

pub(super) fn closed(at: &FixContext) -> Fixes {
    if at.seen.unanswered() == Some("SELECT") && !at.seen.second_connection_works() {
        return advise(
            "db",
            "use database 0, because many proxies support no other database",
        )
        .try_command(at, at.ping_to(|target| target.db = 0));
    }
    if at
        .seen
        .write_test
        .as_ref()
        .is_some_and(|test| test.closed_at().is_some())
    {
        let text = format!(
            "if a proxy is listening {}, check that its backend works, and that the proxy supports transactions \
             (MULTI). Twemproxy, for example, does not",
            place(at)
        );
        return advise("proxy", text)
        .and(
            "client",
            "if the proxy does not support transactions, avoid transactions in the application, or connect to \
             Redis directly",
        )
        .after(listener(at))
        .after(tcp::forwarder(at));
    }
    if at.seen.fails_only_on_first_connection() {
        return one_of_several_servers();
    }
    if at.seen.experiments.is_only_short_echo_answered {
        return advise(
            "size",
            "check the firewalls, proxies and intrusion prevention systems between this host and the server, and \
             the limits of the server: one of them ends connections that send or receive larger amounts of data",
        )
        .and_all(listener(at));
    }
    // Without TLS, Redis at maxclients sends an error before it closes the connection, so the cause would be
    // known. With TLS, Redis closes the connection before the handshake.
    let limit = (at.target.tls && !at.seen.is_tls_established()).then(|| {
        let text = format!(
            "if Redis is listening {}, check whether maxclients is reached. If it is, a Redis server with TLS \
             closes new connections without an error",
            place(at)
        );
        advise("maxclients", text)
    });
    let behind_tls = at.seen.is_tls_established().then(|| {
        advise(
            "backend-tls",
            "if a proxy ends the TLS connections (stunnel, nginx, HAProxy), check whether its backend expects TLS or \
             plain text. The proxy must connect to the backend in the way that the backend expects",
        )
    });
    let reset = matches!(
        at.seen.experiments.last_repeated(),
        Some(Exchange {
            response: Response::Reset(_),
            ..
        })
    );
    let firewall = reset.then(|| {
        advise(
            "firewall",
            "if the server's log shows no reason, check the firewalls on the path: some of them inspect the data, and \
             reset connections that they do not allow",
        )
    });
    proxy(at)
        .and_all(behind_tls)
        .and_all(limit)
        .and(
            "server",
            format!(
                "if Redis is listening {}, read the end of its log (`logfile` in redis.conf is the path of the log)",
                place(at)
            ),
        )
        .and(
            "port",
            format!(
                "if another program is listening {}, correct the {}",
                place(at),
                if is_forwarded(at) { "address" } else { "host and port in the URL" }
            ),
        )
        .and_all(firewall)
        .after(server_name(at))
        .after(listener(at))
        .after(other_program(at))
        .after(tcp::client_port(at))
        .after(tcp::forwarder(at))
}

/// Suggests what to check if the server ended a TLS handshake without an alert. Some proxies choose the
/// backend by the server name (SNI), and end the handshake in this way if they do not know the name.
fn server_name(at: &FixContext) -> Option<Fixes> {
    let tls = at.handshake()?;
    if tls.result != TlsResult::Closed {
        return None;
    }
    Some(if tls.expected_name.parse::<std::net::IpAddr>().is_ok() {
        advise(
            "tls-name",
            "if a proxy chooses the server by its name (SNI), use the host name in the URL instead of the address, or \
             pass the name with --tls-name",
        )
    } else {
        advise(
            "tls-name",
            format!(
                "if a proxy chooses the server by its name (SNI), check that the proxy knows the name {}",
                tls.expected_name
            ),
        )
    })
}

/// Suggests another port if the process on this host that listens on the port is not known as a Redis server
/// or a proxy.
fn other_program(at: &FixContext) -> Option<Fixes> {
    const SERVERS: [&str; 6] = [
        "redis-server",
        "redis-sentinel",
        "valkey-server",
        "keydb-server",
        "dragonfly",
        "sessiontut",
    ];
    let listener = at.listener().filter(|listener| listener.forwarder().is_none())?;
    let process = listener.process.as_deref()?;
    (!SERVERS.contains(&process)).then(|| {
        advise(
            "port",
            format!(
                "check what the process {} on this host does: this process is listening on the port. If it is not a \
                 Redis server, correct the host and port in the URL",
                shell_quoted(process)
            ),
        )
        .command(format!("ps -o pid,args -C {}", shell_quoted(process)))
    })
}

/// Suggests fixes for a proxy that accepts requests but cannot use the Redis server behind it.
pub(super) fn no_backend(at: &FixContext) -> Fixes {
    let backend = if at.reply_contains("noauth") && at.seen.is_logged_in() {
        "set the password of the backend in the configuration of the proxy, because the proxy does not log in to \
         the backend"
    } else if at.reply_contains("noauth") {
        "set the password of the backend in the configuration of the proxy, because the proxy does not log in to \
         the backend. If the proxy itself requires a password too, add that password to the client's URL"
    } else if at.reply_contains("invalid argument") {
        "find the address of the backend in the configuration of the proxy, and run redis-cli PING on the backend's \
         host: Redis may still be loading its data, require a password, or have reached maxclients. Twemproxy \
         replies with \"Invalid argument\" if it cannot use the backend's reply"
    } else {
        "find the address of the backend in the configuration of the proxy. Check that Redis is running at this \
         address, and that the proxy can connect to it"
    };
    let product = if at.reply_contains("upstream") {
        "check the log of the proxy for failed connections to the backend (the proxy is probably Envoy)"
    } else {
        "check the log of the proxy for failed connections to the backend"
    };
    let find = (at.provider().is_none() && at.listener().is_none()).then(|| {
        let (server, place) = match at.socket() {
            Some(_) => ("this host".to_owned(), "socket"),
            None => (at.numeric_host(), "port"),
        };
        let text = format!("on {server}, find out which proxy is listening on the {place}");
        advise("server", text).command(listener_command(at))
    });
    advise("backend", backend)
        .and("proxy", product)
        .after(find)
        .after(tcp::forwarder(at))
}

/// Suggests fixes for a port on which a program other than Redis listens.
pub(super) fn not_redis(at: &FixContext) -> Fixes {
    if at.socket().is_some() {
        return advise(
            "find",
            "on this host, find out which process is listening on the socket",
        )
        .command(listener_command(at))
        .and(
            "socket",
            "use the path of the Redis socket in the URL (`unixsocket` in redis.conf)",
        );
    }
    let correct = advise(
        "port",
        "correct the host or port in the URL or, if Redis runs in a container, the port mapping",
    );
    let find = (at.provider().is_none() && !is_listener_known(at)).then(|| {
        let text = format!(
            "on {}, find out which process is listening on port {}, and on which port Redis is listening. If \
             Redis runs in a container, `docker ps` shows the port mapping",
            at.numeric_host(),
            at.port()
        );
        advise("find", text).command("sudo ss -ltnp")
    });
    correct.after(find).after(tcp::forwarder(at))
}

/// Changes the fixes if a second connection works, because then probably only one of several servers has the
/// fault. Adds a fix for that server, and removes fixes that would adapt the application to the fault.
pub(in crate::ping) fn other_server_fixes(at: &FixContext, fixes: Vec<Fix>) -> Vec<Fix> {
    let Some(look) = at.seen.experiments.other_server() else {
        return fixes;
    };
    let first: Vec<Fix> = match at.seen.tcp.connected_address() {
        Some(first) if first != look.address => advise(
            "address",
            format!(
                "correct the server at {}, or remove this address from the DNS records of {}",
                first.ip(),
                shell_quoted(at.host())
            ),
        ),
        _ => other_servers(),
    }
    .into();
    let is_general = |fix: &Fix| !matches!(fix.kind, "tls-name" | "ca");
    first
        .into_iter()
        .chain(fixes.into_iter().filter(is_general))
        .collect()
}

/// Suggests checking each server, for a fault that occurred only on the first connection.
fn other_servers() -> Fixes {
    advise(
        "backend",
        "run `ping` again. If several servers share the address, for example behind a load balancer, check each of them",
    )
}

/// Suggests fixes for a connection without a reply, if the fault occurred only on the first connection.
fn one_of_several_servers() -> Fixes {
    other_servers().and(
        "server",
        "check whether a slow command, a failover or CLIENT PAUSE has blocked Redis for a moment",
    )
}

/// Suggests fixes for a proxy or load balancer in front of Redis.
fn proxy(at: &FixContext) -> Fixes {
    let whose = if at.provider().is_some() {
        "if there is a proxy or load balancer on the path".to_owned()
    } else {
        format!("if a proxy or load balancer is listening {}", place(at))
    };
    let note = if is_forwarded(at) {
        ""
    } else {
        ". A forwarded port (docker-proxy, kubectl port-forward, ssh -L) accepts connections even if the server \
         behind it is down"
    };
    let text = format!(
        "{whose}, check that its backend answers, and that the proxy has not reached its connection limit \
         (HAProxy: maxconn){note}"
    );
    advise("proxy", text)
    .and(
        "proxy-header",
        "if this proxy uses the PROXY protocol, check its settings. The proxy must not send the PROXY header to \
         Redis, which does not support it (HAProxy: remove send-proxy). If the proxy expects the header from its \
         clients (HAProxy: accept-proxy), it rejects clients that do not send the header",
    )
}

/// Whether a tunnel or proxy on this host forwards the connection. If so, the first fix is about the address
/// to which the tunnel or proxy forwards it.
fn is_forwarded(at: &FixContext) -> bool {
    tcp::forwarder(at).is_some()
}

/// Names the place at which the server or a proxy in front of it listens, for a sentence.
fn place(at: &FixContext) -> &'static str {
    if is_forwarded(at) {
        "at that address"
    } else {
        "on the port"
    }
}

/// Suggests how to find a stopped Redis process, unless a provider runs the server.
fn stopped(at: &FixContext) -> Option<Fixes> {
    at.provider().is_none().then(|| {
        advise(
            "server",
            "on the Redis host, check the state of the Redis process in the column STAT: T means stopped (kill \
             -CONT PID resumes the process), and D means waiting for the disk",
        )
        .command("ps -A -o pid,stat,args | grep -E '[r]edis|[v]alkey'")
    })
}

/// Suggests how to find the process that listens on the server's port. Returns `None` if the process is
/// already known, or if a provider runs the server.
fn listener(at: &FixContext) -> Option<Fixes> {
    (!is_listener_known(at) && at.provider().is_none()).then(|| {
        advise(
            "server",
            "on the server's host, check which process is listening on the port: Redis, a proxy, docker-proxy (for \
             a container), or another program",
        )
        .command(listener_command(at))
    })
}

/// Whether this run has found the process that listens on the server's port.
fn is_listener_known(at: &FixContext) -> bool {
    at.listener().is_some_and(|listener| listener.process.is_some())
}

/// Returns a command that shows which process listens on the server's port or unix socket.
fn listener_command(at: &FixContext) -> String {
    match at.socket() {
        Some(path) => format!("sudo ss -lxp src {path}"),
        None => format!("sudo ss -ltnp 'sport = :{}'", at.port()),
    }
}

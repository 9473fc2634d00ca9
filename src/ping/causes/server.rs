//! Fixes for servers that refuse requests.

use std::time::Duration;

use super::commands::READ_PASSWORD;
use super::fix::{FixContext, Fixes, advise};
use super::tcp;
use crate::ping::verdict::{SlowPart, median};
use crate::redis_client::refusal::Refusal;

pub(super) fn silent(at: &FixContext) -> Fixes {
    let packets = at.seen.packets_after_timeout();
    let fixes = if packets.is_some_and(|packets| packets.unacknowledged > 0) {
        let text = "check the firewalls, NAT and routes between this host and the server: the TCP handshake gets \
                    through, but later packets are dropped";
        advise("firewall", text).and_all(tcp::route(at, "check the route that packets take"))
    } else if at.seen.fails_only_on_first_connection() {
        one_of_several_servers()
    } else if at.seen.holds_back_writes() {
        // FAILOVER and CLUSTER FAILOVER also pause writes, as CLIENT PAUSE with WRITE does.
        return advise(
            "paused-writes",
            "a failover, or CLIENT PAUSE with WRITE, makes Redis hold back writes for a while: wait until a write gets a \
             reply",
        )
        .command(at.ping("--timeout 120 --write-check "))
        .and(
            "failover",
            "if writes are still held back, find out who started the failover or ran CLIENT PAUSE. CLIENT UNPAUSE \
             ends the pause",
        );
    } else {
        advise(
            "slow-command",
            "wait until Redis answers again, then list its slow commands with SLOWLOG GET 10: a slow command or \
             CLIENT PAUSE may be blocking Redis",
        )
        .command(at.ping("--wait 120 "))
        .and_all(proxy(at))
        .after(stopped(at))
        .after(listener(at))
    };
    fixes.after(tcp::client_port(at)).after(tcp::forwarder(at))
}

/// Fixes for a proxy that accepts requests but cannot use the Redis server behind it.
pub(super) fn no_backend(at: &FixContext) -> Fixes {
    let backend = if at.reply_contains("noauth") {
        "in the proxy's configuration, set the password of the Redis server behind it: the proxy accepts the \
         clients' password, but does not log in to that server"
    } else {
        "find the address of the backend in the proxy's configuration. On that host, check that Redis is running, \
         and that the proxy can reach its port"
    };
    let product = if at.reply_contains("upstream") {
        "check the proxy's log for failed connections to its backend (this reply is typical of Envoy)"
    } else {
        "check the proxy's log for failed connections to its backend"
    };
    let find = (at.provider().is_none() && at.listener().is_none()).then(|| {
        let host = at.numeric_host();
        advise(
            "server",
            format!("on {host}, find out which proxy is listening on the port"),
        )
        .command(listener_command(at))
    });
    advise("backend", backend)
        .and("proxy", product)
        .after(find)
        .after(tcp::forwarder(at))
}

pub(super) fn closed(at: &FixContext) -> Fixes {
    if at.seen.unanswered() == Some("SELECT") && !at.seen.second_connection_works() {
        return advise(
            "db",
            "use database 0, because many proxies support no other database",
        )
        .try_command(at.ping_to(|target| target.db = 0));
    }
    if at.seen.fails_only_on_first_connection() {
        return one_of_several_servers();
    }
    // Without TLS, Redis sends an error before it closes the connection.
    let limit = at.target.tls.then(|| {
        advise(
            "maxclients",
            "if Redis is listening on the port, check maxclients: at this limit, a Redis server with TLS closes new \
             connections without an error",
        )
    });
    proxy(at)
        .and_all(limit)
        .and(
            "server",
            "if Redis is listening on the port, read the end of its log (for its path, see logfile in redis.conf)",
        )
        .and(
            "port",
            "if another program is listening on the port, correct the host and port in the URL",
        )
        .after(listener(at))
        .after(tcp::client_port(at))
        .after(tcp::forwarder(at))
}

/// Returns a fix that shows which process listens on the port. Returns `None` if this run has already found
/// it, or if a provider runs the host.
fn listener(at: &FixContext) -> Option<Fixes> {
    let is_known = at.listener().is_some_and(|listener| listener.process.is_some());
    (!is_known && at.provider().is_none()).then(|| {
        advise(
            "server",
            "on the server's host, check which process is listening on the port: Redis itself, a proxy, a \
             container's forwarded port, or another program",
        )
        .command(listener_command(at))
    })
}

/// Returns a command that shows which process listens on the port or the socket.
fn listener_command(at: &FixContext) -> String {
    match at.socket() {
        Some(path) => format!("sudo ss -lxp src {path}"),
        None => format!("sudo ss -ltnp 'sport = :{}'", at.port()),
    }
}

/// Returns a fix that shows whether a Redis process is stopped. The process may be behind a proxy.
fn stopped(at: &FixContext) -> Option<Fixes> {
    at.provider().is_none().then(|| {
        advise(
            "server",
            "on the Redis host, check the state of the Redis process (STAT): T means that it is stopped (kill -CONT \
             PID resumes it), and D means that it is waiting for the disk",
        )
        .command("ps -A -o pid,stat,args | grep -E '[r]edis|[v]alkey'")
    })
}

/// Lists what to check on a proxy or load balancer in front of Redis.
fn proxy(at: &FixContext) -> Fixes {
    let whose = if at.provider().is_some() {
        "if there is a proxy or load balancer on the path"
    } else {
        "if a proxy or load balancer is listening on the port"
    };
    advise(
        "proxy",
        format!(
            "{whose}, check that its backend answers, and that its connection limit is not reached (HAProxy: \
             maxconn). A forwarded port (docker-proxy, kubectl port-forward, ssh -L) accepts connections even if no \
             process is listening at the other end"
        ),
    )
    .and(
        "proxy-header",
        "check whether that proxy uses the PROXY protocol. Redis does not accept a PROXY header, so the proxy must \
         not send one to Redis (HAProxy: remove send-proxy). If the proxy's own port expects the header (HAProxy: \
         accept-proxy), it rejects clients that do not send one",
    )
}

/// Fixes for a fault that affects only the first of two connections.
fn one_of_several_servers() -> Fixes {
    advise(
        "backend",
        "try again, and check each server behind the proxy or load balancer, because one of them may be faulty",
    )
    .and(
        "server",
        "check whether a slow command, a failover or CLIENT PAUSE blocked Redis for a moment",
    )
}

pub(super) fn refused(at: &FixContext) -> Fixes {
    let reply = at.reply.unwrap_or_default();
    let fixes = match Refusal::of(reply) {
        Refusal::Address(address) => {
            let whose = address.map_or_else(
                || "the public address of this host".into(),
                |address| format!("{address}, the address that the server sees,"),
            );
            advise("allowlist", format!("add {whose} to the server's allowlist"))
        }
        Refusal::Quota => advise(
            "quota",
            "check the usage and the limits of your plan in the provider's console. Then wait until the quota is \
             reset, or change the plan. Also find out which client uses up the quota: a client that retries in a \
             loop would soon use up a larger quota too",
        ),
        Refusal::Endpoint if !at.target.tls && (at.reply_contains("tls") || at.reply_contains("ssl")) => {
            advise("tls", "use TLS: change redis:// to rediss:// in the URL")
                .try_command(at.ping_to(|target| target.tls = true))
        }
        Refusal::Endpoint => advise(
            "endpoint",
            "copy the endpoint (host, port and scheme) from the provider's console again: the server does not accept \
             the one in the URL",
        ),
        Refusal::Command => advise(
            "command",
            "check whether rename-command disables this command on the server. If the server simply does not support \
             the command, use one that supports all commands that the application needs",
        ),
        Refusal::Other => advise(
            "operator",
            "look up the reply in the documentation of the server or its provider",
        ),
    };
    fixes.and_all(
        at.hosting()
            .filter(|hosting| !hosting.is_private())
            .map(|hosting| advise("provider", hosting.check)),
    )
}

pub(super) fn max_clients(at: &FixContext) -> Fixes {
    if at.provider().is_some() {
        return advise(
            "pool",
            "find the applications that have the most connections (see the provider's metrics), and use connection \
             pools in them",
        )
        .and("plan", "if the applications need all these connections, choose a larger plan or node");
    }
    // When the limit is reached, Redis also rejects redis-cli, even through a unix socket. Only the system
    // can then list the connections.
    let connections = match at.socket() {
        Some(path) => format!("ss -Hx src {path}"),
        None => format!(
            "ss -Htn state established 'sport = :{}' | awk '{{ sub(/:[0-9]+$/, \"\", $4); print $4 }}' | sort | uniq -c | \
             sort -rn",
            at.port()
        ),
    };
    advise(
        "connections",
        "on the Redis host, find the clients that have the most connections. If that host has no `ss`, read \
         /proc/net/tcp instead",
    )
    .command(connections)
    .and(
        "pool",
        "reduce the number of these connections: use connection pools in the clients, and set `timeout` in \
         redis.conf, so that Redis closes idle connections",
    )
    .and(
        "maxclients",
        "once Redis accepts connections again, raise maxclients and the limit of open files (ulimit -n)",
    )
}

pub(super) fn near_max_clients(at: &FixContext) -> Fixes {
    advise(
        "connections",
        "find the clients that have the most connections, and use connection pools in them",
    )
    .redis_cli(at, "CLIENT LIST")
    .and(
        "maxclients",
        "raise maxclients and the limit of open files (ulimit -n)",
    )
}

pub(super) fn protected_mode(at: &FixContext) -> Fixes {
    let tls = if at.target.tls { " --tls --insecure" } else { "" };
    let redis_cli = format!("redis-cli -p {}{tls}", at.port());
    advise(
        "look",
        "on the Redis host, where redis-cli still works, list the local clients: once you have set a password, these \
         clients need it too",
    )
    .command(format!("{redis_cli} CLIENT LIST"))
    .and(
        "password",
        "on the Redis host, set a password for the default user. This ends protected mode. The following command asks \
         for the new password",
    )
    .command(format!("({READ_PASSWORD}) | {redis_cli} -x CONFIG SET requirepass"))
    .and(
        "save",
        "save the password in the configuration file (CONFIG REWRITE, or requirepass in redis.conf), and add it to \
         the URL of each client. Do not turn protected mode off instead: every host that can reach the port could \
         then use Redis",
    )
}

pub(super) fn loading(at: &FixContext) -> Fixes {
    const USUALLY_ENOUGH: u64 = 120;
    let expected = at.seen.server.number("loading_eta_seconds").unwrap_or_default();
    let wait = expected.saturating_mul(2).max(USUALLY_ENOUGH);
    advise(
        "wait",
        "wait until Redis has loaded its data. Do not restart Redis, because loading would then start again",
    )
    .command(at.ping(&format!("--wait {wait} ")))
}

pub(super) fn busy(at: &FixContext) -> Fixes {
    let after_write = "if the reply is UNKILLABLE, the script has already written data, so wait until it ends. \
                       SHUTDOWN NOSAVE is the last resort, because all data since the last save is lost";
    if at.reply_contains("function kill") {
        advise(
            "script",
            "stop the function (Redis refuses this if the function has already written data)",
        )
        .redis_cli(at, "FUNCTION KILL")
        .and("wait", after_write)
    } else if at.reply_contains("module") {
        advise(
            "wait",
            "wait until the module's command ends; SLOWLOG GET 10 then shows that command",
        )
    } else {
        advise(
            "script",
            "stop the script (Redis refuses this if the script has already written data)",
        )
        .redis_cli(at, "SCRIPT KILL")
        .and("wait", after_write)
    }
}

pub(super) fn out_of_memory(at: &FixContext) -> Fixes {
    let look = advise(
        "look",
        "find out what uses the memory, and how much memory the host has (total_system_memory)",
    )
    .redis_cli(at, "INFO memory");
    let fixes = match more_memory(at) {
        Some(more) if is_in_memory(at, more) => raise_maxmemory(at, more).and_all(look),
        Some(more) => look.and_all(raise_maxmemory(at, more)),
        None => look.and("memory", "raise maxmemory, or use a larger server"),
    };
    fixes.and(
        "delete",
        "or delete data that is no longer needed, and set a TTL on keys that should expire, such as sessions",
    )
}

pub(super) fn misconf(at: &FixContext) -> Fixes {
    let disk = advise(
        "disk",
        "on the Redis host, check whether the disk has space left, and whether the data directory exists and is \
         writable",
    );
    let disk = if refuses_config(at) {
        disk
    } else {
        disk.command(format!(
            "dir=$({} | tail -n 1); df -h \"$dir\"; ls -ld \"$dir\"",
            at.redis_cli("CONFIG GET dir")
        ))
    };
    let is_known = at.seen.server.field("rdb_last_bgsave_status").is_some();
    let look = (!is_known).then(|| {
        advise(
            "look",
            "check which save failed (rdb_last_bgsave_status, aof_last_write_status)",
        )
        .redis_cli(at, "INFO persistence")
    });
    let is_append_only = at
        .seen
        .server
        .field("aof_last_write_status")
        .is_some_and(|status| status != "ok");
    let disk = if is_append_only {
        disk.and(
            "save",
            "then wait for a moment: once the disk works, Redis resumes writing the append-only file, and accepts \
             writes",
        )
    } else {
        disk.and(
            "save",
            "then save the data again: once a save succeeds, Redis accepts writes",
        )
        .redis_cli(at, "BGSAVE")
    };
    disk.after(look)
}

pub(super) fn no_replicas(at: &FixContext) -> Fixes {
    advise(
        "replicas",
        "check which replicas are connected and how far they lag behind",
    )
    .redis_cli(at, "INFO replication")
    .and(
        "replicas",
        "connect the missing replicas again, or lower min-replicas-to-write if fewer replicas are enough",
    )
}

pub(super) fn eviction(at: &FixContext) -> Fixes {
    let policy = at.seen.server.field("maxmemory_policy").unwrap_or_default();
    if policy.starts_with("allkeys-") {
        advise(
            "eviction",
            "for sessions, set maxmemory-policy to noeviction, and monitor the memory: when it is full, writes fail",
        )
    } else {
        out_of_memory(at)
    }
}

fn refuses_config(at: &FixContext) -> bool {
    let mut refused = at.seen.server.refused.iter();
    refused.any(|command| command.starts_with("CONFIG"))
}

/// Returns a new memory limit for Redis, in megabytes, of which a quarter is still free. Returns `None` if
/// the limit cannot be set.
fn more_memory(at: &FixContext) -> Option<u64> {
    const MEGABYTE: u64 = 1 << 20;
    let server = &at.seen.server;
    let used = server.number("used_memory")?.max(server.number("maxmemory")?);
    let can_be_set = at.provider().is_none() && !refuses_config(at);
    can_be_set.then(|| (used.saturating_mul(4) / 3).div_ceil(MEGABYTE))
}

/// Whether the host is certain to have this much memory, in megabytes, and the same amount for other
/// programs.
fn is_in_memory(at: &FixContext, megabytes: u64) -> bool {
    let total = at.seen.server.number("total_system_memory").unwrap_or_default();
    total >> 21 > megabytes
}

fn raise_maxmemory(at: &FixContext, megabytes: u64) -> Fixes {
    advise(
        "memory",
        format!(
            "if the host has enough free memory, raise maxmemory to {megabytes} MB, and change redis.conf too"
        ),
    )
    .redis_cli(at, &format!("CONFIG SET maxmemory {megabytes}mb"))
}

/// Fixes for a port on which another program is listening.
pub(super) fn not_redis(at: &FixContext) -> Fixes {
    let correct = advise(
        "port",
        "correct the host or port in the URL, or the port mapping, if it leads to the wrong service",
    );
    let find = at.provider().is_none().then(|| {
        advise(
            "find",
            format!(
                "on {}, find out which process is listening on port {}, and on which port Redis is listening (for a \
                 container, ss shows docker-proxy or no process at all; docker ps shows the port mapping)",
                at.numeric_host(),
                at.port()
            ),
        )
        .command("sudo ss -ltnp")
    });
    correct.after(find)
}

pub(super) fn old(_: &FixContext) -> Fixes {
    advise(
        "protocol",
        "configure the clients to use RESP2 (redis-py: protocol=2)",
    )
    .and(
        "server",
        "upgrade the server to a current version of Redis or Valkey, or check what the proxy supports",
    )
}

pub(super) fn idle_timeout(_: &FixContext) -> Fixes {
    advise(
        "keepalive",
        "configure the clients to check or replace idle connections before the server closes them (redis-py: \
         health_check_interval), and to retry once if a connection was closed",
    )
    .and(
        "timeout",
        "or raise `timeout` in the server's configuration; if it is 0, the server never closes idle connections",
    )
}

pub(super) fn slow(at: &FixContext) -> Fixes {
    let network = || {
        advise(
            "distance",
            at.with_aws_note(
                "shorten the network path: run the application in the same data centre or network as the server",
                " (on AWS: in the cache's region, preferably in its availability zone)",
            ),
        )
    };
    match SlowPart::of(at.seen) {
        SlowPart::Network => network(),
        SlowPart::Server => slow_commands(at),
        SlowPart::Loss => tcp::loss(at),
        SlowPart::Unknown => network().and_all(slow_commands(at)),
    }
}

pub(super) fn uneven(at: &FixContext) -> Fixes {
    let network = advise(
        "network",
        "check the network path for a busy link, a VPN or a wireless link, and compare the round trip times with \
         those of the system's `ping` command",
    );
    match SlowPart::of(at.seen) {
        SlowPart::Network => network,
        SlowPart::Loss => tcp::loss(at),
        // A single connection attempt does not show whether the delay of the network varies.
        SlowPart::Server | SlowPart::Unknown if is_distant(at) => advise(
            "network",
            "check whether the delay also varies in the network, for example because of a busy link, a VPN or a \
             wireless link",
        )
        .command(format!("ping -c 50 {}", at.numeric_host()))
        .and_all(slow_commands(at)),
        SlowPart::Server | SlowPart::Unknown => slow_commands(at).and_all(network),
    }
}

/// Whether the network causes most of the usual round trip time.
fn is_distant(at: &FixContext) -> bool {
    let usual = median(&at.seen.ping.round_trips);
    let connecting = at.seen.tcp.connect_time();
    usual >= DISTANT && connecting.is_some_and(|connecting| connecting > usual / 2)
}

/// Round trips within one data centre are faster than this.
const DISTANT: Duration = Duration::from_millis(1);

fn slow_commands(at: &FixContext) -> Fixes {
    advise(
        "slow-command",
        "list the slow commands, with the time that each took. If none is recent, look for another cause: a proxy that is \
         far from its backend, swapping, or too little CPU time",
    )
    .redis_cli(at, "SLOWLOG GET 10")
}

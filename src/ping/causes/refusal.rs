//! Suggests fixes for servers that refuse a client, or will soon refuse new clients.

use super::commands::READ_PASSWORD;
use super::fix::{Fixes, advise};
use super::fix_context::FixContext;
use super::role::database_0;
use crate::ping::observation::SentinelAnswer;
use crate::ping::response::Response;
use crate::redis_client::refusal::Refusal;
use crate::redis_url::SENTINEL_PORT;

pub(super) fn refused(at: &FixContext) -> Fixes {
    let followed = at.seen.followed.as_ref().map(|followed| &followed.answer);
    if let Some(SentinelAnswer::Other(response)) = followed
        && response.is_not_from_a_sentinel()
    {
        return advise(
            "url",
            "if this is the Redis server itself, use redis:// (with TLS: rediss://) in the URL, and remove the \
             name of the primary",
        )
        .try_command(at, at.ping_with(&at.given.of_primary(at.host(), at.port()), ""))
        .and(
            "url",
            "if the URL should lead to a Sentinel, correct the host and the port (usually 26379)",
        );
    }
    let select = at.seen.requests.select.as_ref().and_then(Response::error);
    if select.is_some() && select.as_deref() == at.reply {
        return database_0(at).and(
            "command",
            "if the application needs another database, check whether SELECT is renamed or disabled on the server \
             (rename-command in redis.conf)",
        );
    }
    let reply = at.reply.unwrap_or_default();
    let fixes = match Refusal::of(reply) {
        Refusal::Address(address) => {
            let whose = address.map_or_else(
                || "the public address of this host".into(),
                |address| format!("the address of this client, {address},"),
            );
            advise("allowlist", format!("add {whose} to the allowlist of the server"))
        }
        Refusal::Quota => advise(
            "quota",
            "check the usage and the limits of your plan in the provider's console. Wait until the quota is reset, \
             or choose a larger plan. Also find out which client sends most of the requests: it may be retrying in \
             a loop",
        ),
        Refusal::Endpoint if !at.target.tls && (at.reply_contains("tls") || at.reply_contains("ssl")) => {
            advise("tls", "use TLS: change redis:// to rediss:// in the URL")
                .try_command(at, at.ping_to(|target| target.tls = true))
        }
        Refusal::Endpoint => advise(
            "endpoint",
            "copy the endpoint (host, port and scheme) from the provider's console again: the server does not accept \
             the one in the URL",
        ),
        Refusal::Command => advise(
            "command",
            "check whether the command is renamed or disabled on the server (rename-command in redis.conf). If the \
             server does not support the command, use another server",
        ),
        Refusal::Other => advise(
            "operator",
            "look up the reply in the documentation of the server or its provider",
        ),
    };
    // Do not suggest a second time to copy the endpoint.
    let is_repeated = |check: &str| Refusal::of(reply) == Refusal::Endpoint && check.starts_with("copy ");
    fixes.and_all(
        at.hosting()
            .filter(|hosting| !hosting.is_private() && !is_repeated(hosting.check))
            .map(|hosting| advise("provider", hosting.check)),
    )
}

pub(super) fn max_clients(at: &FixContext) -> Fixes {
    if at.provider().is_some() {
        return advise(
            "pool",
            "in the provider's metrics, find the applications that have the most connections, and configure them \
             to use connection pools",
        )
        .and("plan", "if the applications need all these connections, choose a larger plan or node");
    }
    // At the client limit, Redis also rejects redis-cli, even through a unix socket. Only the operating
    // system can then list the connections.
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
        "on the Redis host, find the clients that have the most connections",
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
    let fixes = advise(
        "connections",
        "find the clients that have the most connections, and configure them to use connection pools",
    )
    .redis_cli(at, "CLIENT LIST");
    match at.provider() {
        Some(_) => fixes.and(
            "plan",
            "if the applications need all these connections, choose a larger plan or node",
        ),
        None => fixes.and(
            "maxclients",
            "or raise maxclients and the limit of open files (ulimit -n)",
        ),
    }
}

pub(super) fn protected_mode(at: &FixContext) -> Fixes {
    let tls = if at.target.tls { " --tls --insecure" } else { "" };
    let redis_cli = format!("redis-cli -p {}{tls}", at.port());
    let is_sentinel = at.is_about_sentinel() || at.port() == SENTINEL_PORT;
    let host = if is_sentinel {
        "the Sentinel's host"
    } else {
        "the Redis host"
    };
    let text = format!(
        "on {host}, list the clients that are connected. Once you have set a password, these clients need it too"
    );
    let look = advise("look", text).command(format!("{redis_cli} CLIENT LIST"));
    // A Sentinel does not support CONFIG.
    if is_sentinel {
        return look.and(
            "password",
            "set the same requirepass in the sentinel.conf of every Sentinel, restart the Sentinels, and add the \
             password to the Sentinel URL of each client (?sentinel_password=). Do not turn off protected mode \
             instead: every host that can reach the port could then change the Sentinel's configuration",
        );
    }
    look.and(
        "password",
        "on the Redis host, set a password for the default user. This ends protected mode. The following command asks \
         for the new password",
    )
    .command(format!("({READ_PASSWORD}) | {redis_cli} -x CONFIG SET requirepass"))
    .and(
        "save",
        "save the password in the configuration file (CONFIG REWRITE, or requirepass in redis.conf), and add it to \
         the URL of each client. Do not turn off protected mode instead: every host that can reach the port could \
         then use Redis",
    )
}

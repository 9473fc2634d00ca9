//! Suggests fixes for connections that are dropped while they are idle.

use super::fix::{Fixes, advise};
use super::fix_context::FixContext;
use crate::clock::seconds;
use crate::ping::observation::{IdleEnd, IdleTest};

pub(super) fn dropped(at: &FixContext) -> Fixes {
    let test = at.seen.idle.clone().unwrap_or_default();
    if test.is_restarted {
        return advise(
            "restart",
            "read the log of the server to find out why it was restarted (`logfile` in redis.conf is the path of \
             the log)",
        )
        .and(
            "client",
            "configure the clients to connect again and to retry once if a connection was closed (redis-py: \
             retry_on_error)",
        );
    }
    let lost = test.shortest_lost(None).or_else(|| test.any_lost());
    let interval = lost.map_or_else(String::new, |lost| format!(" every {}", seconds(lost.idle / 2)));
    let text = format!(
        "configure the clients to send PING on idle connections{interval} (redis-py: health_check_interval; \
         node-redis: pingInterval), or to close idle connections before the limit"
    );
    let ping = advise("keepalive", text);
    let Some(lost) = lost else {
        return ping;
    };
    let has_idle_limit = at.seen.server.idle_limit().is_some_and(|limit| !limit.is_zero());
    match lost.end {
        IdleEnd::Closed if has_idle_limit => ping
            .and("timeout", "or turn off the limit on the server (`timeout` 0)")
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

/// Suggests fixes for a server whose settings close idle connections.
pub(super) fn limited(_: &FixContext) -> Fixes {
    advise(
        "keepalive",
        "configure the clients to check or replace idle connections before the server closes them (redis-py: \
         health_check_interval), and to retry once if a connection was closed",
    )
    .and(
        "timeout",
        "or raise `timeout` in the configuration of the server (0 turns the limit off)",
    )
}

/// Whether no connection with TCP keepalive was lost. False if no connection used keepalive.
fn keepalive_helps(test: &IdleTest) -> bool {
    let period = test.trials.iter().find_map(|trial| trial.keepalive);
    period.is_some_and(|period| test.shortest_lost(Some(period)).is_none())
}

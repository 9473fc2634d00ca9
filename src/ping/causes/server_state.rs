//! Suggests fixes for a Redis server in a bad state, such as full memory or a failed save.

use super::fix::{Fixes, advise};
use super::fix_context::FixContext;

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
    if at.reply_contains("module") && !at.reply_contains("function kill") {
        return advise(
            "wait",
            "wait until the module's command ends; SLOWLOG GET 10 then shows that command",
        );
    }
    let (what, kill) = if at.reply_contains("function kill") {
        ("function", "FUNCTION KILL")
    } else {
        ("script", "SCRIPT KILL")
    };
    advise("script", format!("stop the {what}")).redis_cli(at, kill).and(
        "wait",
        format!(
            "if the reply is UNKILLABLE, the {what} has already written data: wait until it ends. As a last resort, \
             use SHUTDOWN NOSAVE, but then all changes since the last save are lost"
        ),
    )
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

pub(super) fn eviction(at: &FixContext) -> Fixes {
    let policy = at.seen.server.field("maxmemory_policy").unwrap_or_default();
    if policy.starts_with("allkeys-") {
        advise(
            "eviction",
            "for sessions, set maxmemory-policy to noeviction, and monitor the memory, because writes fail when \
             the memory is full",
        )
    } else {
        out_of_memory(at)
    }
}

/// Returns a new memory limit for Redis in megabytes: a third more than the present limit, or than the used
/// memory if that is higher. Returns `None` if these values are unknown, or if the user cannot set the limit.
fn more_memory(at: &FixContext) -> Option<u64> {
    const MEGABYTE: u64 = 1 << 20;
    let server = &at.seen.server;
    let used = server.number("used_memory")?.max(server.number("maxmemory")?);
    let can_be_set = at.provider().is_none() && !refuses_config(at);
    can_be_set.then(|| (used.saturating_mul(4) / 3).div_ceil(MEGABYTE))
}

/// Whether the Redis host has more than twice this many megabytes of memory.
fn is_in_memory(at: &FixContext, megabytes: u64) -> bool {
    let total = at.seen.server.number("total_system_memory").unwrap_or_default();
    total >> 21 > megabytes
}

fn raise_maxmemory(at: &FixContext, megabytes: u64) -> Fixes {
    let text = format!(
        "if the host has enough free memory, raise maxmemory to {megabytes} MB, and make the same change in \
         redis.conf"
    );
    advise("memory", text).redis_cli(at, &format!("CONFIG SET maxmemory {megabytes}mb"))
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
            "then wait a moment: once the disk works, Redis continues to write the append-only file, and accepts \
             writes again",
        )
    } else {
        disk.and(
            "save",
            "then save the data again: once a save has succeeded, Redis accepts writes again",
        )
        .redis_cli(at, "BGSAVE")
    };
    disk.after(look)
}

fn refuses_config(at: &FixContext) -> bool {
    let mut refused = at.seen.server.refused.iter();
    refused.any(|command| command.starts_with("CONFIG"))
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

pub(super) fn old(_: &FixContext) -> Fixes {
    advise(
        "protocol",
        "configure the clients to use RESP2 (redis-py: protocol=2)",
    )
    .and(
        "server",
        "or upgrade the server to a current version of Redis or Valkey. If there is a proxy in front of it, check \
         whether the proxy supports HELLO",
    )
}

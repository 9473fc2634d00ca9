//! Determines the verdict on error replies.

use super::finding::{Finding, either};
use super::other_protocol::QUOTED;
use crate::clock::age;
use crate::ping::causes::{Cause, ErrorReply};
use crate::ping::observation::{Observations, ServerInfo};
use crate::ping::permissions::{Access, Missing, NO_DATABASE};
use crate::redis_client::SLOTS;
use crate::sanitize;

pub(super) fn error_reply(error: &str, command: &str, seen: &Observations) -> Finding {
    match ErrorReply::of(error) {
        Some(reply) if reply.cause == Cause::AuthNoPermission => no_permission(command, error, seen),
        Some(reply) => Finding::proved(reply.cause)
            .summary(reply.summary())
            .replied(command, error)
            .facts(state_facts(reply.cause, &seen.server)),
        None => Finding::proved(Cause::ServerRefused)
            .summary(format!(
                "the server refuses {command}: \"{}\"",
                sanitize::excerpt(error.as_bytes(), 120)
            ))
            .replied(command, error),
    }
}

/// Returns the facts in INFO that concern `cause`.
pub(super) fn state_facts(cause: Cause, server: &ServerInfo) -> Vec<String> {
    let shown = |name: &str| Some(sanitize::excerpt(server.field(name)?.as_bytes(), QUOTED));
    if cause == Cause::ClusterDown {
        let missing = missing_slots(server);
        return (!missing.is_empty())
            .then(|| format!("CLUSTER INFO reports that {missing}"))
            .into_iter()
            .collect();
    }
    let percent = |part: u64, whole: u64| (whole > 0).then(|| part.saturating_mul(100) / whole);
    let fact = match cause {
        Cause::ServerLoading => shown("loading_loaded_perc").map(|percent| {
            // At the beginning of loading, the estimated time is wrong by orders of magnitude.
            let is_early = percent.parse().is_ok_and(|percent: f64| percent < 5.0);
            let left = server.number("loading_eta_seconds").filter(|_| !is_early);
            let left = left.map_or_else(String::new, |left| format!(", and that loading the rest takes about {left} \
                                                                     s"));
            format!("INFO reports that {percent} % of the data is loaded{left}")
        }),
        Cause::RoleMasterDown | Cause::RoleReplica => server.primary().map(|(host, port)| {
            let host = sanitize::excerpt(host.as_bytes(), QUOTED);
            let since = server.number("master_link_down_since_seconds");
            let since = match since.and_then(|since| i64::try_from(since).ok()) {
                None => String::new(),
                Some(..5) => "; the connection to the primary has just been lost".into(),
                Some(since) => format!("; the connection to the primary was lost {} ago", age(since)),
            };
            format!("its primary is {host}:{port}{since}")
        }),
        Cause::ServerMisconf => {
            let failed = |name: &str| server.field(name).is_some_and(|status| status != "ok");
            let names = ["rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status"];
            let names: Vec<&str> = names.into_iter().filter(|name| failed(name)).collect();
            (!names.is_empty()).then(|| format!("INFO reports that saving failed ({})", names.join(", ")))
        }
        Cause::ServerOutOfMemory => server
            .number("used_memory")
            .zip(server.number("maxmemory"))
            .and_then(|(used, most)| {
                let policy = shown("maxmemory_policy").unwrap_or_default();
                let percent = percent(used, most)?;
                Some(format!("INFO reports that {percent} % of maxmemory is used, and that maxmemory-policy is {policy}"))
            }),
        Cause::ServerNoReplicas => shown("min_slaves_good_slaves").map(|count| format!("according to INFO, the \
                                                                                        number of replicas in sync \
                                                                                        is {count}")),
        _ => None,
    };
    fact.into_iter().collect()
}

/// Describes the slots that no node serves. Returns an empty text if there are none, or if the server did not
/// report them.
pub(super) fn missing_slots(server: &ServerInfo) -> String {
    let part = |slots: Option<u64>, what: &str| {
        let slots = slots.filter(|slots| *slots > 0)?;
        Some(format!("{slots} of {SLOTS} slots {what}"))
    };
    if server.unassigned_slots() == Some(SLOTS.into()) {
        return "no slot is assigned to any node".to_owned();
    }
    let parts = [
        part(server.unassigned_slots(), "are assigned to no node"),
        part(
            server.unanswered_slots(),
            "are assigned to nodes that do not respond",
        ),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", and ")
}

/// Returns the finding about a command that the user has no permission to run.
pub(super) fn no_permission(command: &str, error: &str, seen: &Observations) -> Finding {
    let missing = Missing::of(seen);
    let finding = Finding::proved(Cause::AuthNoPermission).replied(command, error);
    let who = if seen.is_logged_in() {
        "the login works, but this user"
    } else {
        "the user"
    };
    if error.to_lowercase().contains(NO_DATABASE) {
        finding.summary(format!("{who} is not allowed to use the database in the URL"))
    } else if missing.keys == Access::Forbidden && missing.commands.is_empty() {
        finding
            .summary(format!(
                "{who} is not allowed to use keys that start with `sessiontut:`"
            ))
            .fact("the user's permissions for other keys were not checked")
    } else if missing.commands.is_empty() {
        finding.summary(format!("{who} is not allowed to run {command}"))
    } else {
        let commands = either(&missing.commands);
        finding
            .summary(format!("{who} is not allowed to run {commands}"))
            .facts(
                (missing.keys == Access::Forbidden)
                    .then_some("the user is also not allowed to use keys that start with `sessiontut:`"),
            )
    }
}

//! The verdict on what the server is, and on the rehearsal of the tutorial's commands.

use std::time::Duration;

use redis::Value;

use super::Blame;
use super::foreign::{not_redis_reply, quoted};
use super::ping::{no_permission, refused, unusable};
use super::words::{packets, seconds};
use crate::ping::causes::Cause;
use crate::ping::observation::{Observations, WriteTest};
use crate::ping::response::Response;
use crate::sanitize;

/// Round trips of which several may not fit into the time.
const SLOW: Duration = Duration::from_millis(100);

/// What the server is, and what the rehearsal showed.
pub(super) fn judge(seen: &Observations) -> Option<Blame> {
    let server = &seen.server;
    if let Some(blame) = not_a_role(server.role.as_ref()) {
        return Some(blame);
    }
    if server.is_sentinel() {
        let primary = server
            .sentinel_primary
            .as_ref()
            .map(|primary| format!("it watches the primary at {primary}"));
        return Some(
            Blame::proved(
                Cause::RoleSentinel,
                "a Sentinel answers there, which holds no data",
            )
            .because("ROLE and INFO say that it is a Sentinel")
            .because_all(primary),
        );
    }
    cluster(seen).or_else(|| rehearsal(seen.write_test.as_ref()?, seen))
}

/// ROLE is answered with a list or an error: whoever says something else only knows how to say PONG.
fn not_a_role(role: Option<&Value>) -> Option<Blame> {
    match role? {
        Value::Array(_) | Value::ServerError(_) | Value::Nil => None,
        other => {
            let blame = not_redis_reply(&Response::Reply(other.clone()), "ROLE");
            Some(blame.because("PING was answered with PONG, whatever that is worth there"))
        }
    }
}

fn cluster(seen: &Observations) -> Option<Blame> {
    let server = &seen.server;
    let state = server.cluster_state.as_deref().filter(|state| *state != "ok");
    let read = server
        .cluster_read
        .as_ref()
        .and_then(Response::error)
        .filter(|error| error.starts_with("CLUSTERDOWN"));
    if state.is_none() && read.is_none() {
        return None;
    }
    let facts = [
        state.map(|state| format!("CLUSTER INFO says cluster_state:{}", sanitize::line(state))),
        read.map(|error| quoted("GET", &error)),
    ];
    Some(
        Blame::proved(
            Cause::ClusterDown,
            "the node answers, and the cluster that it belongs to is down",
        )
        .because("PING was answered with PONG")
        .because_all(facts.into_iter().flatten()),
    )
}

/// The first refusal names the truth: EXEC's own error only repeats that there was one.
fn rehearsal(write_test: &WriteTest, seen: &Observations) -> Option<Blame> {
    let is_replica = seen.server.is_replica();
    let denied: Vec<&str> = write_test
        .queued
        .iter()
        .filter(|(_, heard)| heard.error().is_some_and(|error| error.starts_with("NOPERM")))
        .map(|(name, _)| *name)
        .collect();
    let first = write_test
        .queued
        .iter()
        .find_map(|(name, heard)| Some((*name, heard.error()?)));
    if let Some((name, error)) = first {
        return if denied.is_empty() {
            refused_write(name, &error, is_replica)
        } else {
            Some(no_permission(&denied, &error))
        };
    }
    if let Some(error) = write_test.executed.error() {
        return refused_write("EXEC", &error, is_replica);
    }
    match &write_test.executed {
        Response::Reply(Value::Array(replies)) => replies.iter().find_map(|reply| match reply {
            Value::ServerError(error) => {
                refused_write("EXEC", &crate::redis_client::error_text(error), is_replica)
            }
            _ => None,
        }),
        Response::Reply(_) => None,
        Response::Timeout(_) => Some(fell_silent(seen)),
        other => Some(unusable(other, "the rehearsal", &Observations::default())),
    }
}

fn refused_write(command: &str, error: &str, is_replica: bool) -> Option<Blame> {
    let error = error
        .strip_prefix("EXECABORT Transaction discarded because of: ")
        .unwrap_or(error);
    if error.starts_with("MOVED") || error.starts_with("ASK") {
        // A primary that sends elsewhere serves another slot, or none: clients of the cluster protocol follow it.
        return is_replica.then(|| {
            Blame::proved(
                Cause::RoleReplica,
                "this node of the cluster is a replica: it sends writes to its primary",
            )
            .because(quoted(command, error))
        });
    }
    if error.to_lowercase().contains("unknown command") {
        // ROLE and INFO have shown a Redis; what it does not know was taken from it.
        return Some(
            Blame::likely(
                Cause::AuthNoPermission,
                format!("the server does not serve {command}: it was renamed or switched off"),
            )
            .because(quoted(command, error)),
        );
    }
    Some(refused(error, command))
}

/// PING was answered, and what followed it was not.
fn fell_silent(seen: &Observations) -> Blame {
    Blame::likely(
        Cause::ServerSilent,
        "the server answers PING, and falls silent afterwards",
    )
    .because("the rehearsal of the tutorial's commands stayed without an answer")
    .because_all(super::median(&seen.round_trips).gt(&SLOW).then(|| {
        format!(
            "a round trip takes {}: try a longer --timeout",
            seconds(super::median(&seen.round_trips))
        )
    }))
    .because_all(seen.packets.map(packets))
}

//! Determines the verdict on the server's role and on the write test.

use std::time::Duration;

use redis::Value;

use super::error_reply::{error_reply, no_permission, state_facts};
use super::finding::{Finding, replied};
use super::no_reply::ended;
use super::other_protocol::unexpected_reply;
use super::reply::unusable;
use super::sentinel;
use super::service::{fell_silent, reply_to_ping};
use crate::clock::seconds;
use crate::ping::causes::Cause;
use crate::ping::conclusions::{describe_packets, median};
use crate::ping::observation::{Exchange, Observations, WriteTest};
use crate::ping::response::{ABORTED, Response};
use crate::sanitize;

/// If a round trip takes longer than this, the timeout may be too short for the write test.
const SLOW_ROUND_TRIP: Duration = Duration::from_millis(100);

pub(super) fn judge(seen: &Observations) -> Option<Finding> {
    not_a_role(seen)
        .or_else(|| sentinel::judge_plain(seen))
        .or_else(|| cluster(seen))
        .or_else(|| write_test(seen.write_test.as_ref()?, seen))
        .or_else(|| untested(seen))
}

/// Returns the finding about a connection that ended before the write test.
fn untested(seen: &Observations) -> Option<Finding> {
    let last = seen.requests.stopped_at.as_ref()?;
    seen.is_write_untested
        .then(|| fell_silent(last, seen).fact("writing was not tested, because the connection had ended"))
}

/// Returns the finding about a reply to ROLE that is neither a list nor an error. A Redis server never sends
/// such a reply.
fn not_a_role(seen: &Observations) -> Option<Finding> {
    match seen.server.role.as_ref()? {
        Value::Array(_) | Value::ServerError(_) | Value::Nil => None,
        other => Some(
            unexpected_reply(&Response::Reply(other.clone()), "ROLE")
                .fact("a Redis server does not reply to ROLE with such a value"),
        ),
    }
}

fn cluster(seen: &Observations) -> Option<Finding> {
    let server = &seen.server;
    let state = server.cluster_state().filter(|state| *state != "ok");
    let read = server
        .cluster_read
        .as_ref()
        .and_then(Response::error)
        .filter(|error| error.starts_with("CLUSTERDOWN"));
    if state.is_none() && read.is_none() {
        return None;
    }
    Some(
        Finding::proved(Cause::ClusterDown)
            .summary("the node answers, but its cluster is down")
            .fact(reply_to_ping(seen))
            .facts(state_facts(Cause::ClusterDown, server))
            .facts(state.map(|state| format!("CLUSTER INFO reports cluster_state:{}", sanitize::line(state))))
            .facts(read.map(|error| replied("GET", &error))),
    )
}

/// Returns the finding about a write test that failed. EXEC's error reply does not say which command was
/// rejected, so the finding is about the first command that got an error reply, preferably NOPERM.
fn write_test(test: &WriteTest, seen: &Observations) -> Option<Finding> {
    let errors: Vec<(&str, String)> = test
        .queued
        .iter()
        .filter_map(|(name, response)| Some((*name, response.error()?)))
        .collect();
    if let Some((name, error)) = errors.first() {
        return match errors.iter().find(|(_, error)| error.starts_with("NOPERM")) {
            Some((name, error)) => Some(no_permission(name, error, seen)),
            None => refused_write(name, error, seen),
        };
    }
    match &test.executed {
        Response::Reply(Value::Array(replies)) => replies
            .iter()
            .find_map(|reply| refused_write("EXEC", &Response::Reply(reply.clone()).error()?, seen)),
        Response::Reply(_) => refused_write("EXEC", &test.executed.error()?, seen),
        Response::Timeout(_) => Some(no_reply(seen)),
        other => Some(match test.closed_at() {
            Some(last) => closed(&last, seen),
            None => unusable(other, "the write test", &Observations::default()),
        }),
    }
}

/// Returns the finding about a connection that the server closed during the write test, after it replied to a
/// read request.
fn closed(last: &Exchange, seen: &Observations) -> Finding {
    Finding::proved(Cause::ProtoClosed)
        .summary(format!(
            "reads get replies, but the server closes the connection after {} in the write test",
            last.command
        ))
        .fact(format!("{}; {}", reply_to_ping(seen), ended(last)))
        .fact("the write test is a transaction (MULTI); other writes were not tested")
}

fn refused_write(command: &str, error: &str, seen: &Observations) -> Option<Finding> {
    let error = error.strip_prefix(ABORTED).unwrap_or(error);
    let finding = if error.starts_with("MOVED") || error.starts_with("ASK") {
        // A primary redirects a request if another node serves the slot. Cluster clients follow the
        // redirection.
        if !seen.server.is_replica() {
            return None;
        }
        Finding::proved(Cause::RoleReplica)
            .summary("this cluster node is a replica, which redirects writes to the primary")
    } else if error.starts_with("OOM")
        && seen.server.is_replica()
        && seen.server.field("slave_read_only") == Some("1")
    {
        // Redis checks the memory first. With enough memory, the reply would be READONLY.
        return Some(Finding::proved(Cause::RoleReplica).replied(command, error).fact(
            "INFO reports that the server is a read-only replica, so more memory would not allow writes",
        ));
    } else {
        return Some(error_reply(error, command, seen));
    };
    Some(finding.replied(command, error))
}

/// Returns the finding about a write test without a reply, on a connection that replied to PING.
fn no_reply(seen: &Observations) -> Finding {
    let round_trip = median(&seen.ping.round_trips);
    Finding::likely(Cause::ServerSilent)
        .summary("the server replies to reads, but a write gets no reply")
        .fact("a read got a reply, but the write test on the same connection got none")
        .facts(seen.server.failover().map(|state| {
            format!(
                "INFO reports that a failover is running ({})",
                sanitize::excerpt(state.as_bytes(), 40)
            )
        }))
        .facts(
            seen.second_connection_works()
                .then_some("reads still get replies on a second connection"),
        )
        .facts((round_trip > SLOW_ROUND_TRIP).then(|| {
            format!(
                "a round trip takes {}; try a longer --timeout",
                seconds(round_trip)
            )
        }))
        .facts(seen.packets.map(describe_packets))
}

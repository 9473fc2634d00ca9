//! The ping rung: PING or, if it is forbidden, another harmless command; then the round trip times.

use std::time::{Duration, Instant};

use redis::{Cmd, cmd};

use crate::deadline::Deadline;
use crate::ping::observation::PingSubstitute;
use crate::ping::response::{Response, ask};
use crate::ping::verdict::is_uneven;
use crate::redis_client::{ProbeConnection, Stream};
use crate::session::KEY_PREFIX;

/// Round trips that are always measured.
const ROUND_TRIPS: usize = 5;
/// Additional round trips if the first ones are uneven: a single slow one may be chance.
const MORE_ROUND_TRIPS: usize = 10;
/// How many round trips to leave time for: the role rung needs them for ROLE, INFO, the cluster's state and the write
/// check.
const RESERVED_ROUND_TRIPS: u32 = 8;

/// Sends PING and returns the response.
pub(crate) async fn observe(connection: &mut ProbeConnection<Stream>, deadline: Deadline) -> Response {
    ask(connection, &cmd("PING"), deadline).await
}

/// Whether an error reply means that an ACL forbids the command, or that the server does not have it.
///
/// Any other error is the server's real answer.
pub(crate) fn is_unavailable(error: &str) -> bool {
    // "unknown command", "unsupported command"
    error.starts_with("NOPERM") || (error.starts_with("ERR") && error.to_lowercase().contains("command"))
}

/// Tries other commands until one is available. Returns the last result, the command and its round trip.
pub(crate) async fn try_substitutes(
    connection: &mut ProbeConnection<Stream>,
    deadline: Deadline,
) -> (PingSubstitute, Cmd, Duration) {
    let echo = cmd("ECHO").arg("sessiontut").clone();
    let (substitute, round_trip) = try_substitute(connection, "ECHO", &echo, deadline).await;
    if !substitute
        .response
        .error()
        .is_some_and(|error| is_unavailable(&error))
    {
        return (substitute, echo, round_trip);
    }
    // The tutorial needs HGETALL, so even a user with few permissions may run it.
    let hgetall = cmd("HGETALL").arg(format!("{KEY_PREFIX}ping")).clone();
    let (substitute, round_trip) = try_substitute(connection, "HGETALL", &hgetall, deadline).await;
    (substitute, hgetall, round_trip)
}

async fn try_substitute(
    connection: &mut ProbeConnection<Stream>,
    name: &'static str,
    command: &Cmd,
    deadline: Deadline,
) -> (PingSubstitute, Duration) {
    let sent = Instant::now();
    let response = ask(connection, command, deadline).await;
    (PingSubstitute { name, response }, sent.elapsed())
}

/// Adds round trips of `command` to those already measured.
pub(crate) async fn measure(
    connection: &mut ProbeConnection<Stream>,
    command: &Cmd,
    round_trips: &mut Vec<Duration>,
    deadline: Deadline,
) {
    let mut wanted = ROUND_TRIPS;
    loop {
        if round_trips.len() >= wanted {
            if wanted > ROUND_TRIPS || !is_uneven(round_trips) {
                return;
            }
            wanted += MORE_ROUND_TRIPS;
        }
        // On a slow connection, the role rung is more useful than another measurement.
        let last = round_trips.last().copied().unwrap_or_default();
        if deadline.left() <= last.saturating_mul(RESERVED_ROUND_TRIPS) {
            return;
        }
        let sent = Instant::now();
        if !matches!(ask(connection, command, deadline).await, Response::Reply(_)) {
            return;
        }
        round_trips.push(sent.elapsed());
    }
}

//! Tests which of the tutorial's commands and keys an ACL user may use.

use redis::cmd;

use super::role::random_key;
use crate::deadline::Deadline;
use crate::ping::permissions::COMMANDS;
use crate::ping::response::{Response, receive};
use crate::redis_client::ProbeConnection;

/// Sends each of the tutorial's commands in a form that changes nothing, and returns the responses.
///
/// The arguments are invalid or name a key that does not exist. This is sufficient, because Redis checks
/// permissions first. MULTI and EXEC come last, because the transaction stays open if MULTI is allowed but
/// EXEC is not.
pub(crate) async fn observe(
    connection: &mut ProbeConnection,
    deadline: Deadline,
) -> Vec<(&'static str, Response)> {
    let key = random_key();
    let key = key.as_str();
    let commands = COMMANDS.map(|name| {
        let arguments: &[&str] = match name {
            "HSET" => &[key, "username", "ping", "no value"],
            "HINCRBY" => &[key, "visits", "no number"],
            "EXPIRE" => &[key, "no number"],
            "MULTI" | "EXEC" => &[],
            _ => &[key],
        };
        (name, cmd(name).arg(arguments).clone())
    });
    let lines: Vec<_> = commands.iter().map(|(_, command)| command.clone()).collect();
    if connection.send(&lines, deadline).await.is_err() {
        return Vec::new();
    }
    let mut responses = Vec::new();
    for (name, _) in commands {
        let response = receive(connection, deadline).await;
        let is_last = !matches!(response, Response::Reply(_));
        responses.push((name, response));
        if is_last {
            break;
        }
    }
    responses
}

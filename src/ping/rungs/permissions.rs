//! Which of the tutorial's commands and keys an ACL user may use.

use redis::cmd;

use super::role::random_key;
use crate::deadline::Deadline;
use crate::ping::response::{Response, receive};
use crate::redis_client::{ProbeConnection, Stream};

/// Sends each of the tutorial's commands in a form that changes nothing, and returns the responses.
///
/// Redis checks the permissions before the arguments, so invalid arguments are enough. MULTI and EXEC come last,
/// because a transaction may stay open if only one of them is allowed.
pub(crate) async fn observe(
    connection: &mut ProbeConnection<Stream>,
    deadline: Deadline,
) -> Vec<(&'static str, Response)> {
    let key = random_key();
    let commands = [
        (
            "HSET",
            cmd("HSET")
                .arg(&key)
                .arg("username")
                .arg("ping")
                .arg("no value")
                .clone(),
        ),
        (
            "HINCRBY",
            cmd("HINCRBY").arg(&key).arg("visits").arg("no number").clone(),
        ),
        ("HGETALL", cmd("HGETALL").arg(&key).clone()),
        ("EXPIRE", cmd("EXPIRE").arg(&key).arg("no number").clone()),
        ("DEL", cmd("DEL").arg(&key).clone()),
        ("MULTI", cmd("MULTI")),
        ("EXEC", cmd("EXEC")),
    ];
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

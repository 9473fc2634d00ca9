//! The auth rung: sends AUTH directly, because client libraries do not show the server's reply.

use redis::cmd;

use crate::deadline::Deadline;
use crate::ping::response::{Response, ask};
use crate::redis_client::{ProbeConnection, Stream};
use crate::secret::Secret;

/// Logs in. Without a user name, AUTH has only one argument.
pub(crate) async fn observe(
    connection: &mut ProbeConnection<Stream>,
    user: Option<&str>,
    password: &Secret,
    deadline: Deadline,
) -> Response {
    let mut command = cmd("AUTH");
    if let Some(user) = user {
        command.arg(user);
    }
    command.arg(password.reveal());
    ask(connection, &command, deadline).await
}

//! The auth rung: AUTH in our own RESP, since client libraries hide what it was answered.

use redis::{Cmd, cmd};

use crate::deadline::Deadline;
use crate::ping::response::Response;
use crate::redis_client::{Connection, Limits, ReadError, Stream};
use crate::redis_url::Target;

/// Logs in with the URL's credentials; `None` where it has no password.
pub(crate) async fn observe(
    connection: &mut Connection<Stream>,
    target: &Target,
    deadline: Deadline,
) -> Option<Response> {
    let password = target.password.as_ref()?;
    let mut command = cmd("AUTH");
    if let Some(user) = &target.user {
        command.arg(user);
    }
    command.arg(password.reveal());
    Some(ask(connection, &command, deadline).await)
}

/// Sends one command and waits for what comes back, whatever it is.
pub(crate) async fn ask(connection: &mut Connection<Stream>, command: &Cmd, deadline: Deadline) -> Response {
    let sent = connection.send(std::slice::from_ref(command), deadline).await;
    let heard = listen(connection, deadline).await;
    match (sent, heard) {
        // A server that refuses at once may have closed before we wrote: what it said is still there to read.
        (Err(ReadError::Io(_)), Response::Timeout(received)) => Response::Closed(received),
        (_, heard) => heard,
    }
}

/// Waits for a reply, or for whatever comes in its place.
pub(crate) async fn listen(connection: &mut Connection<Stream>, deadline: Deadline) -> Response {
    let fault = match connection.reply(Limits::REPLY, deadline).await {
        Ok(value) => return Response::Reply(value),
        Err(fault) => fault,
    };
    let received = connection.received().to_vec();
    match fault {
        ReadError::TimedOut => Response::Timeout(received),
        ReadError::Closed => Response::Closed(received),
        ReadError::Malformed(_) => Response::NotResp(received),
        ReadError::Io(error) => match super::tls::alert_in(&error) {
            Some(alert) => Response::Alert(alert),
            None if error.kind() == std::io::ErrorKind::UnexpectedEof => Response::Closed(received),
            None => Response::Reset(received),
        },
    }
}

//! Sends commands on the connection of `ping`, and classifies the responses.

use std::io;

use redis::{Cmd, Value};
use rustls::AlertDescription;

use crate::deadline::Deadline;
use crate::redis_client::{ProbeConnection, ReadError, error_text};

/// The response to a command. The bytes in a variant are an incomplete reply, or data that is not RESP.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// A complete reply, possibly an error reply.
    Reply(Value),
    /// No complete reply arrived before the deadline.
    Timeout(Vec<u8>),
    /// The peer closed the connection before a complete reply arrived.
    Closed(Vec<u8>),
    /// The peer reset the connection before a complete reply arrived.
    Reset(Vec<u8>),
    NotResp(Vec<u8>),
    /// The peer sent a TLS alert.
    Alert(AlertDescription),
}

/// Sends one command, and waits for the response.
pub(super) async fn ask(connection: &mut ProbeConnection, command: &Cmd, deadline: Deadline) -> Response {
    let sent = connection.send(std::slice::from_ref(command), deadline).await;
    let response = receive(connection, deadline).await;
    match (sent, response) {
        // Some servers send an error and close the connection before the first request. The error can still
        // be read.
        (Err(ReadError::Io(_)), Response::Timeout(received)) => Response::Closed(received),
        (_, response) => response,
    }
}

/// Waits for a reply without sending anything.
pub(super) async fn receive(connection: &mut ProbeConnection, deadline: Deadline) -> Response {
    let error = match connection.reply(deadline).await {
        Ok(value) => return Response::Reply(value),
        Err(error) => error,
    };
    let received = connection.received().to_vec();
    match error {
        ReadError::TimedOut => Response::Timeout(received),
        ReadError::Closed => Response::Closed(received),
        ReadError::Malformed(_) => Response::NotResp(received),
        ReadError::Io(error) => match alert_in(&error) {
            Some(alert) => Response::Alert(alert),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Response::Closed(received),
            None => Response::Reset(received),
        },
    }
}

impl Response {
    /// Returns the text of an error reply, or `None` for any other response.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Reply(Value::ServerError(error)) => Some(error_text(error)),
            _ => None,
        }
    }

    /// Returns the first word of an error reply, such as `NOAUTH`. Returns `None` for any other response.
    pub fn error_code(&self) -> Option<String> {
        let error = self.error()?;
        error.split(' ').next().map(str::to_owned)
    }

    /// Returns an error reply to a read request, if it means that the server cannot read any data. Errors
    /// about a single key do not count: no permission for the key, a value of a different type, or a
    /// different cluster node.
    pub fn refusal(&self) -> Option<String> {
        const RUNS_READS: [&str; 5] = ["NOPERM", "WRONGTYPE", "MOVED", "ASK", "TRYAGAIN"];
        let code = self.error_code()?;
        self.error().filter(|_| !RUNS_READS.contains(&code.as_str()))
    }

    /// Whether the response means that an ACL forbids the command or its key.
    pub fn is_forbidden(&self) -> bool {
        let error = self.error().unwrap_or_default();
        error
            .strip_prefix(ABORTED)
            .unwrap_or(&error)
            .starts_with("NOPERM")
    }

    /// Whether the response means that the server does not support the command, or has disabled it.
    pub fn is_unknown_command(&self) -> bool {
        self.error().is_some_and(|error| is_unknown_command(&error))
    }

    /// Whether this reply to SENTINEL shows that the server is not a Sentinel.
    pub(super) fn is_not_from_a_sentinel(&self) -> bool {
        self.error()
            .is_some_and(|error| error.to_lowercase().contains("unknown command"))
    }

    /// Whether this is a reply other than an error.
    pub fn is_granted(&self) -> bool {
        matches!(self, Self::Reply(value) if !matches!(value, Value::ServerError(_)))
    }

    /// Whether this is `OK`, the only reply to a successful AUTH.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Reply(Value::Okay))
    }

    /// Whether this is `OK` with more text, as in the greeting of a POP3 server (RFC 1939, 4). Redis never
    /// sends such a reply.
    pub(super) fn is_greeting(&self) -> bool {
        matches!(self, Self::Reply(Value::SimpleString(text)) if text.starts_with("OK "))
    }

    /// Whether this may be a TLS server's response to plain text.
    pub(super) fn may_be_tls(&self) -> bool {
        match self {
            Self::Closed(_) | Self::Reset(_) => true,
            Self::NotResp(bytes) => bytes.first() == Some(&TLS_ALERT),
            _ => false,
        }
    }

    pub fn is_pong(&self) -> bool {
        match self {
            Self::Reply(Value::SimpleString(text)) => text == "PONG",
            Self::Reply(Value::BulkString(bytes)) => bytes == b"PONG",
            _ => false,
        }
    }
}

/// Whether an error reply means that the server does not support the command.
pub(super) fn is_unknown_command(error: &str) -> bool {
    let lower = error.to_lowercase();
    !error.starts_with("NOPERM") && (lower.contains("command") || lower.contains("not supported"))
}

/// Whether Redis replied that it does not know the command PROXY. Redis parses a PROXY header as a command.
pub(super) fn rejects_proxy_header(error: &str) -> bool {
    let error = error.to_lowercase();
    error.contains("unknown command") && ["'proxy'", "`proxy`"].iter().any(|name| error.contains(name))
}

/// The text before the reason in an error reply to EXEC.
pub(super) const ABORTED: &str = "EXECABORT Transaction discarded because of: ";

/// The content type of a TLS alert (RFC 8446, B.1).
const TLS_ALERT: u8 = 0x15;

/// Whether the bytes begin like a TLS alert or handshake record (RFC 8446, 5.1).
pub(super) fn looks_like_tls(received: &[u8]) -> bool {
    matches!(received, [0x15 | 0x16, 0x03, ..])
}

/// Returns the TLS alert in an I/O error, if there is one. In TLS 1.3, a server may reject a client after the
/// handshake, so the client receives the alert when it reads.
pub(crate) fn alert_in(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

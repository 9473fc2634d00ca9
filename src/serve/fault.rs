//! Why a request could not be served by Redis, in the words of `sessiontut ping`.

use std::borrow::Cow;
use std::time::Duration;

use redis::{ErrorKind, RedisError};

use crate::ping::Verdict;
use crate::ping::causes::{Cause, Fix, FixContext};
use crate::redis_client::error_replies::ErrorReply;
use crate::redis_client::{REPLY_TOO_LARGE, error_text};

/// Redis could not do what the request needs.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// The code of the cause, as in `ping`.
    pub code: Cow<'static, str>,
    /// What is wrong, in a sentence without a full stop.
    pub summary: String,
    /// Evidence, one fact per line.
    pub evidence: Vec<String>,
    /// What to do about it.
    pub fixes: Vec<Fix>,
}

/// Whether the next request needs a new connection after an error on this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reconnect {
    /// No: Redis refused only the command.
    No,
    /// Yes: the connection is broken, or leads to a server that is not usable (any more).
    Yes,
}

impl Fault {
    /// No reply came.
    pub(super) fn no_answer(after: Duration) -> Self {
        let summary = format!(
            "no reply from Redis within {} ms: it is stopped, blocked or very slow",
            after.as_millis()
        );
        Self::new(Cause::ServerSilent, summary, &FixContext::default())
    }

    /// The server is shutting down.
    pub(super) fn interrupted() -> Self {
        let summary = "connecting to Redis was interrupted".to_owned();
        Self::new(Cause::ServerSilent, summary, &FixContext::default())
    }

    /// What the checks found.
    #[must_use]
    pub(crate) fn of_verdict(verdict: &Verdict) -> Self {
        let Some(finding) = &verdict.finding else {
            return Self::interrupted();
        };
        Self {
            code: Cow::Borrowed(finding.cause.code()),
            summary: finding.summary.clone(),
            evidence: finding.evidence.clone(),
            fixes: finding.fixes.clone(),
        }
    }

    /// What an error means, and whether the next request needs a new connection.
    pub(crate) fn of_error(error: &RedisError, context: &FixContext) -> (Self, Reconnect) {
        let replies = error_replies(error);
        if let Some(first) = replies.first() {
            return Self::of_replies(first, &replies, context);
        }
        let (cause, summary) = match error.kind() {
            _ if error.is_connection_refusal() => {
                (Cause::TcpRefused, "nothing listens at the address of Redis")
            }
            _ if error.is_timeout() => (Cause::ServerSilent, "no reply from Redis before the timeout"),
            ErrorKind::Parse => (
                Cause::ProtoNotRedis,
                "the server does not speak the Redis protocol",
            ),
            // Such as a transaction that was not executed: EXEC returned nil.
            ErrorKind::UnexpectedReturnType => {
                let fault = Self::unexpected("Redis returned an unexpected reply", error.to_string());
                return (fault, Reconnect::No);
            }
            _ => (
                Cause::ProtoClosed,
                "Redis closed the connection before it replied; the command may have been executed, so it is not repeated",
            ),
        };
        let mut fault = Self::new(cause, summary.to_owned(), context);
        fault.evidence.push(error.to_string());
        (fault, Reconnect::Yes)
    }

    /// A refused command of a transaction says more than the error reply to EXEC.
    fn of_replies(first: &str, replies: &[String], context: &FixContext) -> (Self, Reconnect) {
        if first.starts_with(REPLY_TOO_LARGE) {
            let summary = "the session in Redis is larger than 1 MB, so it was not loaded";
            let evidence = "the reply was discarded as it arrived".to_owned();
            return (Self::unexpected(summary, evidence), Reconnect::No);
        }
        let evidence = format!("Redis replied: {first}");
        match replies.iter().find_map(|reply| ErrorReply::of(reply)) {
            Some(reply) => {
                let mut fault = Self::new(reply.cause, reply.summary().to_owned(), context);
                fault.evidence.push(evidence);
                let reconnect = if reply.reconnect {
                    Reconnect::Yes
                } else {
                    Reconnect::No
                };
                (fault, reconnect)
            }
            None => {
                let fault = Self::unexpected("Redis refused a command of the session", evidence);
                (fault, Reconnect::No)
            }
        }
    }

    /// An error that `ping` has no cause for.
    fn unexpected(summary: &str, evidence: String) -> Self {
        Self {
            code: Cow::Borrowed("proto.unexpected"),
            summary: summary.to_owned(),
            evidence: vec![evidence],
            fixes: Vec::new(),
        }
    }

    fn new(cause: Cause, summary: String, context: &FixContext) -> Self {
        Self {
            code: Cow::Borrowed(cause.code()),
            summary,
            evidence: Vec::new(),
            fixes: cause.fixes(context),
        }
    }
}

/// The texts of the error replies within an error; for a transaction, those of its commands.
fn error_replies(error: &RedisError) -> Vec<String> {
    let replies = error.clone().into_server_errors();
    replies
        .iter()
        .flat_map(|replies| replies.iter())
        .map(|(_, reply)| error_text(reply))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::{Value, parse_redis_value};

    fn fault(reply: &str) -> (Fault, Reconnect) {
        let Value::ServerError(error) = parse_redis_value(reply.as_bytes()).unwrap() else {
            panic!("{reply} is no error");
        };
        Fault::of_error(&error.into(), &FixContext::default())
    }

    #[test]
    fn what_redis_refuses_has_pings_code() {
        for (reply, code, reconnect) in [
            (
                "-READONLY You can't write against a read only replica.\r\n",
                "role.replica",
                Reconnect::Yes,
            ),
            (
                "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
                "server.out_of_memory",
                Reconnect::No,
            ),
            (
                "-LOADING Redis is loading the dataset in memory\r\n",
                "server.loading",
                Reconnect::No,
            ),
            (
                "-CLUSTERDOWN Hash slot not served\r\n",
                "cluster.down",
                Reconnect::No,
            ),
            (
                "-NOAUTH Authentication required.\r\n",
                "auth.required",
                Reconnect::Yes,
            ),
            (
                "-MISCONF Redis is configured to save RDB snapshots\r\n",
                "server.misconf",
                Reconnect::No,
            ),
            (
                "-WRONGTYPE Operation against a key\r\n",
                "proto.unexpected",
                Reconnect::No,
            ),
        ] {
            let (fault, found) = fault(reply);
            assert_eq!((&*fault.code, found), (code, reconnect), "{reply}");
            assert!(!fault.evidence[0].contains('\r'), "{:?}", fault.evidence);
        }
    }
}

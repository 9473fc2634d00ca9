//! Describes why Redis could not run a command, using the causes of `ping`.

use std::time::Duration;

use redis::{ErrorKind, RedisError};

use super::refusal::Refusal;
use super::{REPLY_TOO_LARGE, error_replies};
use crate::exit::Exit;
use crate::ping::Verdict;
use crate::ping::causes::{Cause, ErrorReply, Fix, FixContext};
use crate::sanitize;

/// The code of a fault for which there is no better cause of `ping`.
const UNEXPECTED: &str = "proto.unexpected";

/// The reason why Redis could not run a command.
#[derive(Clone, Debug)]
pub struct RedisFault {
    /// The code of the cause. `proto.unexpected` if there is no better cause of `ping`.
    pub code: &'static str,
    /// The exit status that `ping` would return for this cause.
    pub exit: Exit,
    /// The problem, in one sentence without a full stop.
    pub summary: String,
    /// Evidence, one fact per line.
    pub evidence: Vec<String>,
    /// The suggested fixes, the most promising first.
    pub fixes: Vec<Fix>,
    /// Whether the next command needs a new connection, because the current connection or server is unusable.
    pub reconnect: bool,
}

impl RedisFault {
    /// Returns the fault for a reply that did not arrive within the time `after`.
    pub(crate) fn no_answer(after: Duration) -> Self {
        let summary = format!(
            "no reply from Redis within {} ms, so Redis is stopped, blocked or very slow",
            after.as_millis()
        );
        Self::new(Cause::ServerSilent, summary, None, &FixContext::unknown())
    }

    /// Returns the fault for a command that was interrupted because this program is shutting down.
    pub(crate) fn interrupted() -> Self {
        let summary = "connecting to Redis was interrupted";
        Self::new(Cause::ServerSilent, summary, None, &FixContext::unknown())
    }

    pub(crate) fn of_verdict(verdict: &Verdict) -> Self {
        let Some(finding) = &verdict.finding else {
            return Self::interrupted();
        };
        Self {
            code: finding.cause.code(),
            exit: finding.cause.exit(),
            summary: finding.summary.clone(),
            evidence: finding.evidence.clone(),
            fixes: finding.fixes.clone(),
            reconnect: true,
        }
    }

    /// Returns the fault for `error`, with the fixes that apply in `context`.
    pub(crate) fn of_error(error: &RedisError, context: &FixContext) -> Self {
        let replies = error_replies(error);
        if let Some(first) = replies.first() {
            return Self::of_replies(first, &replies, context);
        }
        let (cause, summary) = match error.kind() {
            _ if error.is_connection_refusal() => {
                (Cause::TcpRefused, "no process is listening on the Redis address")
            }
            _ if error.is_timeout() => (Cause::ServerSilent, "no reply from Redis before the timeout"),
            ErrorKind::Parse => (
                Cause::ProtoNotRedis,
                "the server does not speak the Redis protocol",
            ),
            // For example, EXEC returned nil because the transaction was not executed.
            ErrorKind::UnexpectedReturnType => {
                return Self::unexpected("Redis returned an unexpected reply", error.to_string());
            }
            _ => (
                Cause::ProtoClosed,
                "Redis closed the connection without a reply; the command may have been executed, so it is not repeated",
            ),
        };
        Self::new(cause, summary, Some(error.to_string()), context)
    }

    /// Returns the fault for the error replies to a request. Prefers a reply with a known cause, because
    /// EXEC's error is less specific than the error of the rejected command.
    fn of_replies(first: &str, replies: &[String], context: &FixContext) -> Self {
        if first.starts_with(REPLY_TOO_LARGE) {
            let summary = "the session in Redis is larger than 1 MB, so it was not loaded";
            let evidence = "the reply was discarded as it arrived".to_owned();
            return Self::unexpected(summary, evidence);
        }
        let evidence = |reply: &str| format!("Redis replied: {}", sanitize::line(reply));
        let known = replies
            .iter()
            .find_map(|reply| Some((reply, ErrorReply::of(reply)?)));
        let refusal = replies.iter().find(|reply| Refusal::of(reply) != Refusal::Other);
        let (reply, cause, summary, reconnect) = match (known, refusal) {
            (Some((reply, row)), _) if row.cause == Cause::AuthNoPermission => {
                (reply, row.cause, forbidden(reply), row.reconnect)
            }
            (Some((reply, row)), _) => (reply, row.cause, row.summary().to_owned(), row.reconnect),
            (None, Some(reply)) if Refusal::of(reply) == Refusal::Command => {
                return Self::unsupported(command_in(reply).as_deref(), evidence(reply), context);
            }
            (None, Some(reply)) => {
                let meaning = Cause::ServerRefused.meaning();
                (reply, Cause::ServerRefused, meaning.to_owned(), true)
            }
            (None, None) => {
                return Self::unexpected("Redis refused a command that the session needs", evidence(first));
            }
        };
        let context = context.with_reply(Some(reply));
        Self {
            reconnect,
            ..Self::new(cause, summary, Some(evidence(reply)), &context)
        }
    }

    /// Returns the fault for a command that the server does not support.
    fn unsupported(command: Option<&str>, evidence: String, context: &FixContext) -> Self {
        let command = command.unwrap_or("a command");
        let text = format!(
            "enable {command} on the server (remove its rename-command line), or use a server that supports {command}"
        );
        let summary = format!(
            "Redis does not support {command}, which sessions need; the command was renamed or disabled"
        );
        Self {
            reconnect: false,
            fixes: vec![Fix::new("command", text)],
            ..Self::new(Cause::ServerRefused, summary, Some(evidence), context)
        }
    }

    /// Returns the fault for a command that sessions need but the server does not have.
    pub(crate) fn missing_command(name: &str, context: &FixContext) -> Self {
        let evidence = format!("COMMAND INFO does not list {name}");
        Self::unsupported(Some(name), evidence, context)
    }

    /// If the code of the fault is `proto.unexpected`, adds `key` to the evidence and suggests deleting it,
    /// because another program might have changed it.
    pub(crate) fn about(mut self, key: &str) -> Self {
        if self.code == UNEXPECTED {
            self.evidence.push(format!("the key is {}", sanitize::line(key)));
            let text = "if another program has changed this key, delete the key";
            self.fixes.push(Fix::new("key", text));
        }
        self
    }

    /// Returns the fault for an error for which there is no better cause of `ping` than `proto.unexpected`.
    fn unexpected(summary: &str, evidence: String) -> Self {
        Self {
            code: UNEXPECTED,
            exit: Exit::No,
            summary: summary.to_owned(),
            evidence: vec![evidence],
            fixes: Vec::new(),
            reconnect: false,
        }
    }

    fn new(cause: Cause, summary: impl Into<String>, evidence: Option<String>, context: &FixContext) -> Self {
        Self {
            code: cause.code(),
            exit: cause.exit(),
            summary: summary.into(),
            evidence: evidence.into_iter().collect(),
            fixes: cause.fixes(context),
            reconnect: true,
        }
    }
}

/// Describes which permission is missing, according to an error reply.
fn forbidden(reply: &str) -> String {
    match command_in(reply) {
        Some(command) => format!("the user is not allowed to run {command}"),
        None => Cause::AuthNoPermission.meaning().to_owned(),
    }
}

/// Returns the name of the command that an error reply quotes, as in `unknown command 'MULTI'`. Returns
/// `None` if the reply does not quote a command.
fn command_in(reply: &str) -> Option<String> {
    // Redis versions before 7 use backticks.
    let name = reply.split(['\'', '`']).nth(1)?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_name.then(|| name.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::{Value, parse_redis_value};

    fn fault(reply: &str) -> RedisFault {
        let Value::ServerError(error) = parse_redis_value(reply.as_bytes()).unwrap() else {
            panic!("{reply} is not an error");
        };
        RedisFault::of_error(&error.into(), &FixContext::unknown())
    }

    #[test]
    fn a_refused_command_has_pings_code() {
        for (reply, code, reconnect) in [
            (
                "-READONLY You can't write against a read only replica.\r\n",
                "role.replica",
                true,
            ),
            (
                "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
                "server.out_of_memory",
                false,
            ),
            (
                "-LOADING Redis is loading the dataset in memory\r\n",
                "server.loading",
                false,
            ),
            ("-CLUSTERDOWN Hash slot not served\r\n", "cluster.down", false),
            ("-NOAUTH Authentication required.\r\n", "auth.required", true),
            (
                "-MISCONF Redis is configured to save RDB snapshots\r\n",
                "server.misconf",
                false,
            ),
            ("-ERR unknown command 'MULTI'\r\n", "server.refused", false),
            (
                "-ERR max daily request limit exceeded\r\n",
                "server.refused",
                true,
            ),
            ("-ERR hash value is not an integer\r\n", "proto.unexpected", false),
            (
                "-WRONGTYPE Operation against a key\r\n",
                "proto.unexpected",
                false,
            ),
        ] {
            let fault = fault(reply);
            assert_eq!((fault.code, fault.reconnect), (code, reconnect), "{reply}");
            assert!(!fault.evidence[0].contains('\r'), "{:?}", fault.evidence);
        }
    }

    #[test]
    fn a_command_that_is_missing_or_forbidden_is_named_in_cause_and_fix() {
        for reply in [
            "-ERR unknown command 'EXPIRE', with args beginning with: 'sessiontut:x' '10' \r\n",
            "-ERR unknown command `EXPIRE`, with args beginning with: \r\n",
            "-NOPERM this user has no permissions to run the 'expire' command or its subcommand\r\n",
            "-NOPERM User ada has no permissions to run the 'expire' command\r\n",
        ] {
            let fault = fault(reply);
            assert!(fault.summary.contains("EXPIRE"), "{}", fault.summary);
            let fix = &fault.fixes[0];
            let fix = format!("{} {:?}", fix.text, fix.command).to_uppercase();
            assert!(fix.contains("EXPIRE"), "{fix}");
        }
        assert_eq!(command_in("ERR unknown command '\x1b[31m'"), None);
    }
}

//! What stands between a request and Redis, in the words that `sessiontut ping` would use.

use std::borrow::Cow;
use std::time::Duration;

use redis::{ErrorKind, RedisError};

use crate::ping::Verdict;
use crate::ping::causes::{Cause, Fix, FixContext};

/// Redis could not do what the request needs.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// The cause's code in ping's catalogue.
    pub code: Cow<'static, str>,
    /// What is wrong, in a sentence without its full stop.
    pub summary: String,
    /// What was seen, a fact a line.
    pub evidence: Vec<String>,
    /// What to do about it.
    pub fixes: Vec<Fix>,
}

/// What to do with a connection after an error on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// It is well: Redis said no to the command, not to us.
    Keep,
    /// It is broken, or leads to a server that is no use to us (any more): the next request opens another.
    Replace,
}

/// Redis's error codes (the first word of an error reply) and what they mean for a page that has to write.
const REFUSALS: &[(&str, Cause, &str, Connection)] = &[
    (
        "READONLY",
        Cause::RoleReplica,
        "this Redis is a read-only replica (after a failover the old primary is one), and the session must be written",
        Connection::Replace,
    ),
    (
        "OOM",
        Cause::ServerOutOfMemory,
        "Redis is out of memory and refuses to write",
        Connection::Keep,
    ),
    (
        "MISCONF",
        Cause::ServerMisconf,
        "Redis has stopped writes because it cannot save its data to disk",
        Connection::Keep,
    ),
    (
        "NOREPLICAS",
        Cause::ServerNoReplicas,
        "Redis has too few replicas in reach and refuses to write",
        Connection::Keep,
    ),
    (
        "LOADING",
        Cause::ServerLoading,
        "Redis is loading its data set and does not serve yet",
        Connection::Keep,
    ),
    (
        "BUSY",
        Cause::ServerBusy,
        "Redis is busy running a script and serves nobody else",
        Connection::Keep,
    ),
    (
        "MASTERDOWN",
        Cause::RoleMasterDown,
        "this Redis is a replica that has lost its primary",
        Connection::Replace,
    ),
    (
        "CLUSTERDOWN",
        Cause::ClusterDown,
        "the Redis cluster is down: some of its slots have no node that serves them",
        Connection::Keep,
    ),
    (
        "TRYAGAIN",
        Cause::ClusterDown,
        "the Redis cluster is moving this session to another node just now",
        Connection::Keep,
    ),
    (
        "ASK",
        Cause::ClusterDown,
        "the Redis cluster is moving this session to another node just now",
        Connection::Keep,
    ),
    (
        "MOVED",
        Cause::ClusterDown,
        "the Redis cluster is moving this session to another node just now",
        Connection::Keep,
    ),
    (
        "NOAUTH",
        Cause::AuthRequired,
        "Redis wants a password now",
        Connection::Replace,
    ),
    (
        "WRONGPASS",
        Cause::AuthFailed,
        "Redis does not accept the user name and password",
        Connection::Replace,
    ),
    (
        "NOPERM",
        Cause::AuthNoPermission,
        "this Redis user may not run a command that the session needs",
        Connection::Replace,
    ),
];

impl Fault {
    /// Redis, or something before it, kept silent.
    pub(super) fn no_answer(after: Duration) -> Self {
        let summary = format!(
            "no answer from Redis within {} ms: it is stopped, stuck or very slow",
            after.as_millis()
        );
        Self::new(Cause::ServerSilent, summary, &FixContext::default())
    }

    /// The server is on its way down.
    pub(super) fn interrupted() -> Self {
        let summary = "connecting to Redis was interrupted".to_owned();
        Self::new(Cause::ServerSilent, summary, &FixContext::default())
    }

    /// What a climb found in the way, in its own words.
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

    /// What an error of the client or of the Redis `at` that place stands for, and what becomes of the connection.
    pub(crate) fn of_error(error: &RedisError, at: &FixContext) -> (Self, Connection) {
        let replies = Replies::of(error);
        if let Some((code, text)) = replies.0.first() {
            let reply = format!("Redis replied: {code} {text}");
            let refusal = REFUSALS
                .iter()
                .find(|(refusal, ..)| replies.0.iter().any(|(code, _)| code == refusal));
            let (mut fault, connection) = match refusal {
                Some((_, cause, summary, connection)) => {
                    (Self::new(*cause, (*summary).to_owned(), at), *connection)
                }
                None => (Self::unexpected(), Connection::Keep),
            };
            fault.evidence.push(reply);
            return (fault, connection);
        }
        let (cause, summary) = match error {
            _ if error.is_connection_refusal() => (Cause::TcpRefused, "nothing listens at Redis's address"),
            _ if error.is_timeout() => (Cause::ServerSilent, "no answer from Redis in time"),
            _ if error.kind() == ErrorKind::Parse => (
                Cause::ProtoNotRedis,
                "what answers there does not speak Redis's protocol",
            ),
            _ => (
                Cause::ProtoClosed,
                "Redis closed the connection before it answered; the command may have been executed, so it is not repeated",
            ),
        };
        let mut fault = Self::new(cause, summary.to_owned(), at);
        fault.evidence.push(error.to_string());
        (fault, Connection::Replace)
    }

    /// A refusal that `ping` has no name for: it asks nothing that could be refused like that.
    fn unexpected() -> Self {
        Self {
            code: Cow::Borrowed("proto.unexpected"),
            summary: "Redis refused a command of the session".to_owned(),
            evidence: Vec::new(),
            fixes: Vec::new(),
        }
    }

    fn new(cause: Cause, summary: String, at: &FixContext) -> Self {
        Self {
            code: Cow::Borrowed(cause.code()),
            summary,
            evidence: Vec::new(),
            fixes: cause.fixes(at),
        }
    }
}

/// The error replies within an error, code and text; of a transaction, those of its commands.
struct Replies(Vec<(String, String)>);

impl Replies {
    fn of(error: &RedisError) -> Self {
        if let Some(errors) = error.clone().into_server_errors() {
            let replies = errors.iter().map(|(_, error)| {
                let text = error.details().unwrap_or_default().to_owned();
                (error.code().to_owned(), text)
            });
            return Self(replies.collect());
        }
        let reply = error
            .code()
            .map(|code| (code.to_owned(), error.detail().unwrap_or_default().to_owned()));
        Self(reply.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::{Value, parse_redis_value};

    fn fault(reply: &str) -> (Fault, Connection) {
        let Value::ServerError(error) = parse_redis_value(reply.as_bytes()).unwrap() else {
            panic!("{reply} is no error");
        };
        Fault::of_error(&error.into(), &FixContext::default())
    }

    #[test]
    fn what_redis_refuses_has_pings_code() {
        for (reply, code, connection) in [
            (
                "-READONLY You can't write against a read only replica.\r\n",
                "role.replica",
                Connection::Replace,
            ),
            (
                "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
                "server.out_of_memory",
                Connection::Keep,
            ),
            (
                "-LOADING Redis is loading the dataset in memory\r\n",
                "server.loading",
                Connection::Keep,
            ),
            (
                "-CLUSTERDOWN Hash slot not served\r\n",
                "cluster.down",
                Connection::Keep,
            ),
            (
                "-NOAUTH Authentication required.\r\n",
                "auth.required",
                Connection::Replace,
            ),
            (
                "-MISCONF Redis is configured to save RDB snapshots\r\n",
                "server.misconf",
                Connection::Keep,
            ),
            (
                "-WRONGTYPE Operation against a key\r\n",
                "proto.unexpected",
                Connection::Keep,
            ),
        ] {
            let (fault, found) = fault(reply);
            assert_eq!((&*fault.code, found), (code, connection), "{reply}");
            assert!(!fault.evidence[0].contains('\r'), "{:?}", fault.evidence);
        }
    }
}

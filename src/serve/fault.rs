//! What stands between a request and Redis, in the words that `sessiontut ping` would use.

use std::borrow::Cow;
use std::time::Duration;

use redis::{ErrorKind, RedisError};

/// Redis could not do what the request needs.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The cause's code in ping's catalogue.
    pub code: Cow<'static, str>,
    /// What is wrong, in a sentence without its full stop.
    pub summary: String,
    /// What was seen, a fact a line.
    pub evidence: Vec<String>,
    /// What to do about it.
    pub fixes: Vec<String>,
}

impl Fault {
    /// Redis, or something before it, kept silent.
    pub(super) fn no_answer(after: Duration) -> Self {
        Self::plain(
            "server.silent",
            format!("no answer from Redis within {} ms", after.as_millis()),
        )
    }

    /// The server is on its way down.
    pub(super) fn interrupted() -> Self {
        Self::plain("server.silent", "connecting to Redis was interrupted".into())
    }

    /// What an error of the client or of Redis itself stands for.
    pub(super) fn of_error(error: &RedisError) -> Self {
        Self::plain("server.silent", error.to_string())
    }

    /// Whether the connection is no use after this error: it is broken, or leads to the wrong server.
    pub(super) fn retires_the_connection(error: &RedisError) -> bool {
        error.is_unrecoverable_error() || matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse)
    }

    pub(super) fn plain(code: &'static str, summary: String) -> Self {
        Self {
            code: code.into(),
            summary,
            evidence: Vec::new(),
            fixes: Vec::new(),
        }
    }
}

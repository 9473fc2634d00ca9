//! What came back to a question, a reply or not, and the same with the password masked.

use redis::Value;

use crate::secret::{MASK, Secret};

/// What came back to a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// A complete reply.
    Reply(Value),
    /// No complete reply before the deadline.
    Timeout(Vec<u8>),
    /// The peer closed the connection first.
    Closed(Vec<u8>),
    /// The peer reset the connection first.
    Reset(Vec<u8>),
    /// Something that is no RESP.
    NotResp(Vec<u8>),
    /// A TLS alert instead of a reply.
    Alert(String),
}

impl Response {
    /// The error reply's text, where that is what came.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Reply(Value::ServerError(error)) => Some(crate::redis_client::error_text(error)),
            _ => None,
        }
    }

    /// The same without the password, which some servers repeat in what they say of a command they do not know.
    #[must_use]
    pub fn without(&self, password: Option<&Secret>) -> Self {
        let Some(password) = password else {
            return self.clone();
        };
        let masked = |said: &[u8]| masked(said, password);
        match self {
            Self::Reply(value) => Self::Reply(reply_without(value, password)),
            Self::Timeout(said) => Self::Timeout(masked(said)),
            Self::Closed(said) => Self::Closed(masked(said)),
            Self::Reset(said) => Self::Reset(masked(said)),
            Self::NotResp(said) => Self::NotResp(masked(said)),
            Self::Alert(_) => self.clone(),
        }
    }

    /// Whether a reply came that is no error.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        matches!(self, Self::Reply(value) if !matches!(value, Value::ServerError(_)))
    }

    /// Whether it is `OK`, which is all that a log-in is answered when it succeeds.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Reply(Value::Okay))
    }

    /// Whether it is `PONG`.
    #[must_use]
    pub fn is_pong(&self) -> bool {
        match self {
            Self::Reply(Value::SimpleString(text)) => text == "PONG",
            Self::Reply(Value::BulkString(bytes)) => bytes == b"PONG",
            _ => false,
        }
    }
}

fn masked(said: &[u8], password: &Secret) -> Vec<u8> {
    let text = String::from_utf8_lossy(said);
    if text.contains(password.reveal()) {
        text.replace(password.reveal(), MASK).into_bytes()
    } else {
        said.to_vec()
    }
}

fn reply_without(reply: &Value, password: &Secret) -> Value {
    match reply {
        Value::SimpleString(text) => Value::SimpleString(text.replace(password.reveal(), MASK)),
        Value::BulkString(bytes) => Value::BulkString(masked(bytes, password)),
        Value::Array(items) => Value::Array(items.iter().map(|item| reply_without(item, password)).collect()),
        Value::ServerError(error) => {
            let text = crate::redis_client::error_text(error).replace(password.reveal(), MASK);
            // An error of several lines keeps its first.
            redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap_or(Value::Nil)
        }
        other => other.clone(),
    }
}

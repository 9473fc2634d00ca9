//! Masks the password in responses, because some servers repeat the arguments of an unknown command.

use redis::Value;

use super::causes::ErrorReply;
use super::observation::Exchange;
use super::response::Response;
use crate::redis_client::error_text;
use crate::secret::Secret;

impl Exchange {
    /// Masks the password in the response, because a reply may repeat the request. Leaves an expected reply
    /// unchanged.
    #[must_use]
    pub fn without(self, password: Option<&Secret>) -> Self {
        if self.response.is_granted() {
            return self;
        }
        Self {
            response: self.response.without(password),
            ..self
        }
    }
}

impl Response {
    /// Masks the password in the response.
    pub fn without(&self, password: Option<&Secret>) -> Self {
        let Some(password) = password else {
            return self.clone();
        };
        match self {
            Self::Reply(value) => Self::Reply(reply_without(value, password)),
            Self::Timeout(bytes) => Self::Timeout(masked(bytes, password)),
            Self::Closed(bytes) => Self::Closed(masked(bytes, password)),
            Self::Reset(bytes) => Self::Reset(masked(bytes, password)),
            Self::NotResp(bytes) => Self::NotResp(masked(bytes, password)),
            Self::Alert(_) => self.clone(),
        }
    }
}

fn masked(bytes: &[u8], password: &Secret) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    if password.is_shown_in(&text) {
        password.masked_in(&text).into_bytes()
    } else {
        bytes.to_vec()
    }
}

/// Masks the password in an error reply. Leaves the error code at the start unchanged.
pub(super) fn error_without(error: &str, password: &Secret) -> String {
    let code = error.split(' ').next().unwrap_or_default();
    let kept = if ErrorReply::is_code(code) { code } else { "" };
    format!("{kept}{}", password.masked_in(&error[kept.len()..]))
}

fn reply_without(reply: &Value, password: &Secret) -> Value {
    match reply {
        Value::SimpleString(text) => Value::SimpleString(password.masked_in(text)),
        Value::BulkString(bytes) => Value::BulkString(masked(bytes, password)),
        Value::Array(items) => Value::Array(items.iter().map(|item| reply_without(item, password)).collect()),
        Value::ServerError(error) => {
            let text = error_without(&error_text(error), password);
            // An error reply is one line.
            redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap_or(Value::Nil)
        }
        other => other.clone(),
    }
}

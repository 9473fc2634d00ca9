//! Reads values and error texts from replies.

use redis::{RedisError, ServerError, Value};

/// Returns the items of an array reply. Any other reply counts as an empty array.
pub(crate) fn items(reply: Option<&Value>) -> &[Value] {
    match reply {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}

/// Returns the text of a string reply, or `None` for any other reply.
pub(crate) fn text(reply: &Value) -> Option<String> {
    match reply {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

/// Returns the text of an error reply without the leading `-`.
pub(crate) fn error_text(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

/// Returns the texts of all error replies in an error. The error of a failed transaction can contain several.
pub(crate) fn error_replies(error: &RedisError) -> Vec<String> {
    let replies = error.clone().into_server_errors().unwrap_or_default();
    replies.iter().map(|(_, reply)| error_text(reply)).collect()
}

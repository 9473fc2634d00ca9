//! Commands and replies as redis-cli prints them, made harmless for a terminal.

use redis::{ServerError, Value};

use crate::sanitize;

/// A command line that redis-cli would accept: `HSET sessiontut:user:ada name "Ada L."`.
#[must_use]
pub(crate) fn command_line<A: AsRef<[u8]>>(arguments: &[A]) -> String {
    let words: Vec<String> = arguments.iter().map(|argument| word(argument.as_ref())).collect();
    words.join(" ")
}

/// A reply as redis-cli prints it to a terminal, a line each: `(integer) 1`, `"ada"`, `1) "a"`.
#[must_use]
pub(crate) fn reply_lines(reply: &Value) -> Vec<String> {
    match reply {
        Value::Nil => vec!["(nil)".into()],
        Value::Int(number) => vec![format!("(integer) {number}")],
        Value::BulkString(bytes) => vec![quoted(bytes)],
        Value::SimpleString(text) => vec![sanitize::line(text).into_owned()],
        Value::Okay => vec!["OK".into()],
        Value::Double(number) => vec![format!("(double) {number}")],
        Value::Boolean(truth) => vec![format!("({truth})")],
        Value::VerbatimString { text, .. } => vec![quoted(text.as_bytes())],
        Value::BigNumber(digits) => vec![format!("(big number) {}", String::from_utf8_lossy(digits))],
        Value::ServerError(error) => vec![format!("(error) {}", sanitize::line(&error_text(error)))],
        Value::Array(items) | Value::Set(items) | Value::Push { data: items, .. } => numbered(items),
        Value::Map(pairs) => numbered(
            &pairs
                .iter()
                .flat_map(|(key, value)| [key.clone(), value.clone()])
                .collect::<Vec<_>>(),
        ),
        Value::Attribute { data, .. } => reply_lines(data),
        _ => vec!["(a reply of an unknown kind)".into()],
    }
}

/// The text of an error reply as it came over the wire, without the leading `-`.
#[must_use]
pub(crate) fn error_text(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

fn numbered(items: &[Value]) -> Vec<String> {
    if items.is_empty() {
        return vec!["(empty array)".into()];
    }
    let width = items.len().to_string().len();
    let mut lines = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let mark = format!("{:>width$}) ", index + 1);
        for (row, text) in reply_lines(item).into_iter().enumerate() {
            let lead = if row == 0 {
                mark.clone()
            } else {
                " ".repeat(mark.len())
            };
            lines.push(lead + &text);
        }
    }
    lines
}

fn word(argument: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    match std::str::from_utf8(argument) {
        Ok(text) if !text.is_empty() && argument.iter().all(is_plain) => text.to_owned(),
        _ => quoted(argument),
    }
}

/// Text as redis-cli and MONITOR quote it (`sdscatrepr`): bytes outside printable ASCII become `\xNN`.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for &byte in bytes {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_look_as_in_redis_cli() {
        let nested = Value::Array(vec![
            Value::BulkString(b"a\"b".to_vec()),
            Value::Array(vec![Value::Int(1), Value::Nil]),
            Value::Array(vec![]),
        ]);
        assert_eq!(
            reply_lines(&nested),
            [
                r#"1) "a\"b""#,
                "2) 1) (integer) 1",
                "   2) (nil)",
                "3) (empty array)"
            ]
        );
        assert_eq!(
            reply_lines(&Value::BulkString("é\x1b".into())),
            [r#""\xc3\xa9\x1b""#]
        );
        assert_eq!(
            reply_lines(&Value::SimpleString("PO\x1bNG".into())),
            ["PO\\x1bNG"]
        );
    }

    #[test]
    fn errors_keep_the_words_of_the_server() {
        let reply = redis::parse_redis_value(b"-WRONGTYPE Operation against a key\r\n").unwrap();
        assert_eq!(reply_lines(&reply), ["(error) WRONGTYPE Operation against a key"]);
        let reply = redis::parse_redis_value(b"-LOADING Redis is loading\r\n").unwrap();
        assert_eq!(reply_lines(&reply), ["(error) LOADING Redis is loading"]);
    }

    #[test]
    fn a_command_can_be_pasted_into_redis_cli() {
        assert_eq!(
            command_line(&["HSET", "sessiontut:user:ada", "name", "Ada L.", ""]),
            r#"HSET sessiontut:user:ada name "Ada L." """#
        );
    }
}

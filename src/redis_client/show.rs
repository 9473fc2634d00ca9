//! Formats commands and replies as redis-cli does, with control characters made visible.

use std::fmt::{self, Write};

use redis::Value;

use super::reply::error_text;
use crate::sanitize;

/// Formats a reply as redis-cli does on a terminal, one item per line: `(integer) 1`, `"ada"`, `1) "a"`.
pub(crate) fn reply_lines(reply: &Value) -> Vec<String> {
    let mut text = String::new();
    let _ = write_reply(&mut text, reply);
    text.lines().map(str::to_owned).collect()
}

/// Quotes text as Redis does (`sdscatrepr`). Bytes that are not printable ASCII become escape sequences, such
/// as `\n` or `\x1b`.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    let _ = write_quoted(&mut text, bytes);
    text
}

/// The initial size of a [`Clipped`] buffer in bytes, which is enough for most commands and replies.
const USUAL_SIZE: usize = 200;

/// Returns the text that `write` writes. If the text is longer than `bytes` bytes, cuts it off and adds an
/// ellipsis.
pub(crate) fn clipped(bytes: usize, write: impl FnOnce(&mut Clipped) -> fmt::Result) -> String {
    let mut clipped = Clipped {
        text: String::with_capacity(bytes.min(USUAL_SIZE)),
        room: bytes,
    };
    if write(&mut clipped).is_err() {
        clipped.text.push('…');
    }
    clipped.text
}

/// A buffer for a limited number of bytes. Writing more bytes returns an error, which stops the writer early.
#[derive(Debug)]
pub(crate) struct Clipped {
    text: String,
    room: usize,
}

impl Write for Clipped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut fits = text.len().min(self.room);
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        self.text.push_str(&text[..fits]);
        self.room -= fits;
        if fits < text.len() {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

/// Writes a command in a form that can be pasted into redis-cli, such as `HSET sessiontut:user:ada name "Ada
/// L."`.
pub(crate) fn write_command<'a>(out: &mut impl Write, words: impl Iterator<Item = &'a [u8]>) -> fmt::Result {
    for (index, word) in words.enumerate() {
        if index > 0 {
            out.write_char(' ')?;
        }
        let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
        match std::str::from_utf8(word) {
            Ok(text) if !text.is_empty() && word.iter().all(is_plain) => out.write_str(text)?,
            _ => write_quoted(out, word)?,
        }
    }
    Ok(())
}

/// Writes a reply in the same format as [`reply_lines`].
pub(crate) fn write_reply(out: &mut impl Write, reply: &Value) -> fmt::Result {
    write_indented(out, reply, 0)
}

fn write_indented(out: &mut impl Write, reply: &Value, indent: usize) -> fmt::Result {
    match reply {
        Value::Nil => out.write_str("(nil)"),
        Value::Int(number) => write!(out, "(integer) {number}"),
        Value::BulkString(bytes) => write_quoted(out, bytes),
        Value::SimpleString(text) => out.write_str(&sanitize::line(text)),
        Value::Okay => out.write_str("OK"),
        Value::Double(number) => write!(out, "(double) {number}"),
        Value::Boolean(truth) => write!(out, "({truth})"),
        Value::VerbatimString { text, .. } => write_quoted(out, text.as_bytes()),
        Value::BigNumber(digits) => {
            let digits = String::from_utf8_lossy(digits);
            write!(out, "(big number) {}", sanitize::line(&digits))
        }
        Value::ServerError(error) => write!(out, "(error) {}", sanitize::line(&error_text(error))),
        Value::Array(items) | Value::Set(items) | Value::Push { data: items, .. } => {
            write_numbered(out, items.iter(), items.len(), indent)
        }
        Value::Map(pairs) => {
            let items = pairs.iter().flat_map(|(key, value)| [key, value]);
            write_numbered(out, items, 2 * pairs.len(), indent)
        }
        Value::Attribute { data, .. } => write_indented(out, data, indent),
        _ => out.write_str("(a reply of an unknown kind)"),
    }
}

fn write_numbered<'a>(
    out: &mut impl Write,
    items: impl Iterator<Item = &'a Value>,
    count: usize,
    indent: usize,
) -> fmt::Result {
    if count == 0 {
        return out.write_str("(empty array)");
    }
    let width = count.ilog10() as usize + 1;
    let next_line = ["\n", &" ".repeat(indent)].concat();
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.write_str(&next_line)?;
        }
        write!(out, "{:>width$}) ", index + 1)?;
        write_indented(out, item, indent + width + 2)?;
    }
    Ok(())
}

fn write_quoted(out: &mut impl Write, bytes: &[u8]) -> fmt::Result {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    out.write_char('"')?;
    // Most bytes need no escape, so consecutive ones are written together.
    for part in bytes.chunk_by(|one, next| is_plain(one) && is_plain(next)) {
        match part {
            b"\"" => out.write_str("\\\"")?,
            b"\\" => out.write_str("\\\\")?,
            b"\n" => out.write_str("\\n")?,
            b"\r" => out.write_str("\\r")?,
            b"\t" => out.write_str("\\t")?,
            b"\x07" => out.write_str("\\a")?,
            b"\x08" => out.write_str("\\b")?,
            [byte] if !is_plain(byte) => write!(out, "\\x{byte:02x}")?,
            plain => out.write_str(str::from_utf8(plain).unwrap_or_default())?,
        }
    }
    out.write_char('"')
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
        assert_eq!(
            reply_lines(&Value::BigNumber(b"1\r2\x1b[1A".to_vec())),
            ["(big number) 1\\r2\\x1b[1A"]
        );
    }

    #[test]
    fn error_replies_are_shown_unchanged() {
        let reply = redis::parse_redis_value(b"-WRONGTYPE Operation against a key\r\n").unwrap();
        assert_eq!(reply_lines(&reply), ["(error) WRONGTYPE Operation against a key"]);
        let reply = redis::parse_redis_value(b"-LOADING Redis is loading\r\n").unwrap();
        assert_eq!(reply_lines(&reply), ["(error) LOADING Redis is loading"]);
    }

    #[test]
    fn a_command_can_be_pasted_into_redis_cli() {
        let words = ["HSET", "sessiontut:user:ada", "name", "Ada L.", ""].map(str::as_bytes);
        assert_eq!(
            clipped(100, |text| write_command(text, words.into_iter())),
            r#"HSET sessiontut:user:ada name "Ada L." """#
        );
    }
}

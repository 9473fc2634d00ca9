//! Replies and commands as redis-cli prints them, written straight from the bytes that went over the wire.
//!
//! For the page that shows every command; [`super::show`] does the same for values that were parsed.

use std::io::{self, Write};

use super::raw::{Replies, Reply};

impl<'a> Reply<'a> {
    /// Writes the reply as redis-cli prints it, as [`super::reply_lines`] does for a [`redis::Value`]: in UTF-8.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(self, out: &mut impl Write) -> io::Result<()> {
        self.write_indented(out, 0, &mut Replies::new(&[], 0))
    }

    /// `behind` are the replies that follow: what was read of an array need not be read again to find them.
    fn write_indented(self, out: &mut impl Write, indent: usize, behind: &mut Replies<'a>) -> io::Result<()> {
        match self {
            Self::Nil => out.write_all(b"(nil)"),
            Self::Integer(value) => {
                out.write_all(b"(integer) ")?;
                write_number(out, value)
            }
            Self::Bulk(bytes) => write_quoted(out, bytes),
            Self::Simple(bytes) => write_plain(out, bytes),
            Self::Error(bytes) => {
                out.write_all(b"(error) ")?;
                write_plain(out, bytes)
            }
            Self::Unknown => out.write_all(b"(a reply of an unknown kind)"),
            Self::Array(items) if items.count_left() == 0 => out.write_all(b"(empty array)"),
            Self::Array(mut items) => {
                let width = items.count_left().ilog10() as usize + 1;
                let mut index = 0;
                while let Some(item) = items.next() {
                    write_label(out, index, indent, width)?;
                    item.write_indented(out, indent + width + 2, &mut items)?;
                    index += 1;
                }
                behind.go_on_behind(items);
                Ok(())
            }
        }
    }
}

/// Without the machinery of `write!`, which costs more than all the rest of a reply.
fn write_number(out: &mut impl Write, number: i64) -> io::Result<()> {
    let mut digits = [b'0'; 20];
    let mut rest = number.unsigned_abs();
    let mut first = digits.len() - 1;
    digits[first] += (rest % 10) as u8;
    while rest > 9 {
        rest /= 10;
        first -= 1;
        digits[first] += (rest % 10) as u8;
    }
    if number < 0 {
        out.write_all(b"-")?;
    }
    out.write_all(&digits[first..])
}

/// `1) ` before an element of an array; all but the first stand on a line of their own.
fn write_label(out: &mut impl Write, index: usize, indent: usize, width: usize) -> io::Result<()> {
    // In one piece, for as deep as people look.
    let mut label = [b' '; 64];
    let end = 1 + indent + width + 2;
    if end > label.len() {
        if index > 0 {
            write!(out, "\n{:indent$}", "")?;
        }
        return write!(out, "{:>width$}) ", index + 1);
    }
    label[0] = b'\n';
    label[end - 2] = b')';
    let mut number = index + 1;
    let mut at = end - 2;
    while number > 0 {
        at -= 1;
        label[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    let start = if index == 0 { 1 + indent } else { 0 };
    out.write_all(&label[start..end])
}

/// Writes the words of a command as redis-cli would accept them, as [`super::command_line`] does.
pub(super) fn write_command<'a>(
    out: &mut impl Write,
    words: impl Iterator<Item = &'a [u8]>,
) -> io::Result<()> {
    for (index, word) in words.enumerate() {
        if index > 0 {
            out.write_all(b" ")?;
        }
        let is_bare = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
        if !word.is_empty() && all(word, is_bare) {
            out.write_all(word)?;
        } else {
            write_quoted(out, word)?;
        }
    }
    Ok(())
}

/// Whether each byte is so. The whole is looked at without an early end: most are, and this way several bytes are looked
/// at at a time.
fn all(bytes: &[u8], is_so: impl Fn(&u8) -> bool) -> bool {
    bytes.iter().fold(true, |so_far, byte| so_far & is_so(byte))
}

/// Text that the server wrote itself; what could steer a terminal is made visible as everywhere.
fn write_plain(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    if all(bytes, |byte| matches!(byte, b' '..=b'~')) {
        out.write_all(bytes)
    } else {
        out.write_all(crate::sanitize::line(&String::from_utf8_lossy(bytes)).as_bytes())
    }
}

/// Redis's own quoting (`sdscatrepr`).
fn write_quoted(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') & (*byte != b'"') & (*byte != b'\\');
    out.write_all(b"\"")?;
    if all(bytes, is_plain) {
        out.write_all(bytes)?;
        return out.write_all(b"\"");
    }
    let mut rest = bytes;
    loop {
        let plain = rest.iter().position(|byte| !is_plain(byte)).unwrap_or(rest.len());
        let (text, odd) = rest.split_at(plain);
        out.write_all(text)?;
        let Some((&byte, after)) = odd.split_first() else {
            break;
        };
        match byte {
            b'"' => out.write_all(b"\\\"")?,
            b'\\' => out.write_all(b"\\\\")?,
            b'\n' => out.write_all(b"\\n")?,
            b'\r' => out.write_all(b"\\r")?,
            b'\t' => out.write_all(b"\\t")?,
            0x07 => out.write_all(b"\\a")?,
            0x08 => out.write_all(b"\\b")?,
            _ => write!(out, "\\x{byte:02x}")?,
        }
        rest = after;
    }
    out.write_all(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis_client::command_line;

    #[test]
    fn a_command_looks_the_same_too() {
        let words: [&[u8]; 4] = [b"HSET", b"sessiontut:user:ada", b"Ada L.", b""];
        let mut written = Vec::new();
        write_command(&mut written, words.into_iter()).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), command_line(&words));
    }
}

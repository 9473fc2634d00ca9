//! Replies read in place, from the bytes that came over the wire: nothing is copied, nothing recurses without bound.
//!
//! For the one path that is hot, and for what `ping` reads. Everywhere else a reply is a [`redis::Value`].

use std::io::{self, Write};

use redis::Value;

/// One reply, or an element of one; borrowed from the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `+OK`.
    Simple(&'a [u8]),
    /// `-ERR …`, without the minus.
    Error(&'a [u8]),
    /// `:1`.
    Integer(i64),
    /// `$3 ada`.
    Bulk(&'a [u8]),
    /// `$-1` or `*-1`.
    Nil,
    /// `*2 …`.
    Array(Replies<'a>),
    /// A type of RESP3, which is not spoken on this path.
    Unknown,
}

/// Several replies in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replies<'a> {
    bytes: &'a [u8],
    left: usize,
    /// Elements of the array that was returned last: they come before the next reply, and may never be needed.
    unread: usize,
}

impl<'a> Replies<'a> {
    /// The first `count` replies in `bytes`, fewer where the bytes end early.
    #[must_use]
    pub fn new(bytes: &'a [u8], count: usize) -> Self {
        Self {
            bytes,
            left: count,
            unread: 0,
        }
    }

    /// How many there are, if the bytes are complete.
    #[must_use]
    pub fn count_left(&self) -> usize {
        self.left
    }

    /// Goes on where the elements of the array that was returned last end, if all of them were read.
    fn go_on_behind(&mut self, elements: Self) {
        if elements.left == 0 {
            self.bytes = elements.bytes;
            self.unread = elements.unread;
        }
    }

    /// How many bytes have not been looked at.
    pub(super) fn unread_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Field and value, field and value: how a hash comes in RESP2.
    pub fn pairs(self) -> impl Iterator<Item = (Reply<'a>, Reply<'a>)> {
        let mut rest = self;
        std::iter::from_fn(move || Some((rest.next()?, rest.next()?)))
    }
}

impl<'a> Iterator for Replies<'a> {
    type Item = Reply<'a>;

    fn next(&mut self) -> Option<Reply<'a>> {
        self.left = self.left.checked_sub(1)?;
        let bytes = if self.unread == 0 {
            self.bytes
        } else {
            skip(self.bytes, self.unread)?
        };
        self.unread = 0;
        let (&kind, bytes) = bytes.split_first()?;
        let (reply, rest) = match kind {
            b'+' | b'-' => {
                let (text, rest) = line(bytes)?;
                let reply = if kind == b'+' {
                    Reply::Simple(text)
                } else {
                    Reply::Error(text)
                };
                (reply, rest)
            }
            b':' => {
                let (value, rest) = number(bytes)?;
                (value.map_or(Reply::Unknown, Reply::Integer), rest)
            }
            b'$' => {
                let (length, rest) = number(bytes)?;
                match usize::try_from(length?) {
                    Ok(length) => (Reply::Bulk(rest.get(..length)?), rest.get(length + 2..)?),
                    Err(_) => (Reply::Nil, rest),
                }
            }
            b'*' => {
                let (count, rest) = number(bytes)?;
                match usize::try_from(count?) {
                    Ok(count) => {
                        self.unread = count;
                        (Reply::Array(Replies::new(rest, count)), rest)
                    }
                    Err(_) => (Reply::Nil, rest),
                }
            }
            _ => (Reply::Unknown, line(bytes)?.1),
        };
        self.bytes = rest;
        Some(reply)
    }
}

impl<'a> Reply<'a> {
    /// The bytes of a string of either kind.
    #[must_use]
    pub fn text(self) -> Option<&'a [u8]> {
        match self {
            Self::Simple(bytes) | Self::Bulk(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The same as a value of its own; none for an error, and for what only RESP3 has. Of whole replies alone: recursion
    /// and length are bounded by [`mod@super::measure`].
    pub(super) fn to_value(self) -> Option<Value> {
        Some(match self {
            Self::Simple(b"OK") => Value::Okay,
            Self::Simple(text) => Value::SimpleString(std::str::from_utf8(text).ok()?.to_owned()),
            Self::Integer(number) => Value::Int(number),
            Self::Bulk(bytes) => Value::BulkString(bytes.to_vec()),
            Self::Nil => Value::Nil,
            Self::Array(items) => Value::Array(items.map(Self::to_value).collect::<Option<_>>()?),
            Self::Error(_) | Self::Unknown => return None,
        })
    }

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
            Self::Array(items) if items.left == 0 => out.write_all(b"(empty array)"),
            Self::Array(mut items) => {
                let width = items.left.ilog10() as usize + 1;
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

/// The first line, and what follows.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\r')?;
    Some((&bytes[..end], bytes.get(end + 2..)?))
}

/// The number that the first line is, if it is one, and what follows.
#[inline(always)]
fn number(bytes: &[u8]) -> Option<(Option<i64>, &[u8])> {
    if let Some((value, length)) = short_number(bytes) {
        return Some((Some(value), &bytes[length..]));
    }
    let (header, rest) = line(bytes)?;
    Some((long_number(header), rest))
}

/// A number of a few digits, as nearly all of them are, and the length of its line.
#[inline(always)]
pub(super) fn short_number(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        match byte {
            b'0'..=b'9' => value = 10 * value + i64::from(byte - b'0'),
            b'\r' if at > 0 && bytes.get(at + 1) == Some(&b'\n') => return Some((value, at + 2)),
            _ => break,
        }
    }
    None
}

fn long_number(header: &[u8]) -> Option<i64> {
    let (sign, digits) = match header.strip_prefix(b"-") {
        Some(digits) => (-1, digits),
        None => (1, header),
    };
    let value = digits.iter().try_fold(0_i64, |value, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(i64::from(digit))
    })?;
    (!digits.is_empty()).then_some(sign * value)
}

/// What follows `count` replies, however deep they go.
fn skip(mut bytes: &[u8], count: usize) -> Option<&[u8]> {
    let mut missing = count;
    while missing > 0 {
        missing -= 1;
        let (&kind, rest) = bytes.split_first()?;
        bytes = match kind {
            b'$' | b'*' => {
                let (number, rest) = number(rest)?;
                match (kind, usize::try_from(number.unwrap_or(0))) {
                    (b'$', Ok(length)) => rest.get(length + 2..)?,
                    (_, Ok(children)) => {
                        missing = missing.checked_add(children)?;
                        rest
                    }
                    (_, Err(_)) => rest,
                }
            }
            _ => line(rest)?.1,
        };
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{command_line, reply_lines};

    #[test]
    fn a_reply_read_in_place_looks_like_a_parsed_one() {
        for bytes in [
            &b"+OK\r\n"[..],
            b"+PO\x1bNG\r\n",
            b"-ERR no \x1b[31m\r\n",
            b":-12\r\n",
            b"*-1\r\n",
            b"$-1\r\n",
            b"*0\r\n",
            b"$0\r\n\r\n",
            b"$9\r\na\"b\\\n\r\t\x07\xff\r\n",
            b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n*0\r\n",
            b"*11\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n*1\r\n*2\r\n:1\r\n:2\r\n:11\r\n",
        ] {
            reads_alike(bytes);
        }
        // Deeper than anyone looks.
        let deep = b"*2\r\n:1\r\n".repeat(30);
        reads_alike(&[&deep[..], b"*0\r\n"].concat());
    }

    fn reads_alike(bytes: &[u8]) {
        let reply = Replies::new(bytes, 1).next().unwrap();
        let mut written = Vec::new();
        reply.write(&mut written).unwrap();
        let written = String::from_utf8(written).unwrap();
        let parsed = redis::parse_redis_value(bytes).unwrap();
        assert_eq!(written, reply_lines(&parsed).join("\n"));
        if !matches!(parsed, Value::ServerError(_)) {
            assert_eq!(reply.to_value(), Some(parsed));
        }
    }

    #[test]
    fn what_a_value_cannot_be_read_from_in_place_is_left_to_the_parser() {
        for bytes in [
            &b"-ERR no\r\n"[..],
            b"*2\r\n:1\r\n-ERR no\r\n",
            b"%0\r\n",
            b"+\xff\r\n",
        ] {
            assert_eq!(
                Replies::new(bytes, 1).next().and_then(Reply::to_value),
                None,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_command_looks_the_same_too() {
        let words: [&[u8]; 4] = [b"HSET", b"sessiontut:user:ada", b"Ada L.", b""];
        let mut written = Vec::new();
        write_command(&mut written, words.into_iter()).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), command_line(&words));
    }

    #[test]
    fn bytes_that_end_early_are_fewer_replies_and_no_panic() {
        let bytes = b"*2\r\n$3\r\nfoo\r\n*1\r\n:1\r\n+OK\r\n$-1\r\n";
        assert_eq!(Replies::new(bytes, 3).count(), 3);
        for cut in 0..bytes.len() {
            let mut written = Vec::new();
            for reply in Replies::new(&bytes[..cut], 3) {
                reply.write(&mut written).unwrap();
            }
        }
    }
}

//! Replies read in place, from the bytes that came over the wire: nothing is copied, nothing recurses without bound.
//!
//! For the one path that is hot, and for what `ping` reads. Everywhere else a reply is a [`redis::Value`].

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
    pub(super) fn go_on_behind(&mut self, elements: Self) {
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
    use crate::redis_client::reply_lines;

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

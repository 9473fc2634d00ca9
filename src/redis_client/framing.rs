//! Finds the end of a RESP reply. Uses no recursion, and does not trust announced lengths.
//!
//! The parser of the `redis` crate does not limit the length of a reply, and allows up to 100 levels of
//! nesting. This module therefore checks lower limits before the parser receives the bytes. Specification:
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

/// The limits for one reply.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The maximum length of a whole reply, in bytes.
    pub bytes: usize,
    /// The maximum nesting depth of arrays. Must be below 100, the limit of the recursive parser in the
    /// `redis` crate.
    pub depth: usize,
}

impl Limits {
    /// The limits for the replies of a Redis server: 1 MB.
    pub const REPLY: Self = Self {
        bytes: 1024 * 1024,
        depth: 16,
    };
}

/// The reason why the received bytes are not an acceptable reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes are not RESP. Contains the position of the first invalid element.
    #[error("not RESP at byte {0}")]
    NotResp(usize),
    /// The reply is longer than the limit, or announces a length above the limit.
    #[error("a reply longer than the limit")]
    TooLong,
    /// The arrays are nested more deeply than the limit.
    #[error("a reply nested deeper than the limit")]
    TooDeep,
}

/// Returns the length of the first reply in `bytes`, or `None` if that reply is incomplete.
///
/// # Errors
///
/// Returns `Malformed` if the bytes cannot be the start of a reply within the limits.
pub fn measure(bytes: &[u8], limits: Limits) -> Result<Option<usize>, Malformed> {
    Measure::new(limits).length(bytes)
}

/// Measures a reply that arrives in pieces. Reads each complete element only once.
#[derive(Debug)]
pub(super) struct Measure {
    limits: Limits,
    /// The number of missing elements at each open level of nesting.
    open: Vec<u64>,
    /// The position at which the next element starts.
    at: usize,
}

impl Measure {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            open: vec![1],
            at: 0,
        }
    }

    /// Prepares for measuring the next reply.
    pub(super) fn restart(&mut self) {
        self.open.clear();
        self.open.push(1);
        self.at = 0;
    }

    /// Returns the length of the reply that starts at the first byte of `bytes`, or `None` if the reply is
    /// incomplete.
    pub(super) fn length(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        while let Some(missing) = self.open.last_mut() {
            if *missing == 0 {
                self.open.pop();
                continue;
            }
            let Some(header) = header_at(bytes, self.at)? else {
                return self.incomplete(bytes);
            };
            let end = match header.then {
                Then::Nothing => header.end,
                Then::Text(length) if length > self.limits.bytes as u64 => return Err(Malformed::TooLong),
                Then::Text(length) => match text_end(bytes, header.end, length as usize)? {
                    Some(end) => end,
                    None => return self.incomplete(bytes),
                },
                Then::Elements(_) => header.end,
            };
            *missing -= 1;
            self.at = end;
            if let Then::Elements(count @ 1..) = header.then {
                self.open.push(count);
                // The shortest element has three bytes, so more elements than this would exceed the limit.
                if count > (self.limits.bytes / 3) as u64 {
                    return Err(Malformed::TooLong);
                }
                if self.open.len() > self.limits.depth + 1 {
                    return Err(Malformed::TooDeep);
                }
            }
        }
        if self.at > self.limits.bytes {
            Err(Malformed::TooLong)
        } else {
            Ok(Some(self.at))
        }
    }

    fn incomplete(&self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        if bytes.len() >= self.limits.bytes {
            Err(Malformed::TooLong)
        } else {
            Ok(None)
        }
    }

    /// Returns the number of measured bytes, and the part of the reply that has not been measured.
    pub(super) fn rest(&self) -> (usize, Rest) {
        let elements = self
            .open
            .iter()
            .fold(0, |sum: u64, level| sum.saturating_add(*level));
        (self.at, Rest { elements, text: 0 })
    }
}

/// The remaining part of a reply that is being discarded.
#[derive(Debug)]
pub(super) struct Rest {
    elements: u64,
    /// The number of remaining bytes of an incomplete string, including the line end.
    text: u64,
}

impl Rest {
    /// Returns how many of `bytes` belong to the reply that is being discarded, and whether these bytes
    /// complete it.
    pub(super) fn skip(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        let mut at = 0;
        loop {
            let text = self.text.min((bytes.len() - at) as u64);
            self.text -= text;
            at += text as usize;
            if self.text == 0 && self.elements == 0 {
                return Ok((at, true));
            }
            let Some(header) = header_at(bytes, at)? else {
                return if bytes.len() - at > LONGEST_LINE {
                    Err(Malformed::TooLong)
                } else {
                    Ok((at, false))
                };
            };
            at = header.end;
            self.elements -= 1;
            match header.then {
                Then::Nothing => {}
                Then::Text(length) => self.text = length.saturating_add(2),
                Then::Elements(count) => self.elements = self.elements.saturating_add(count),
            }
        }
    }
}

/// The maximum length in bytes of a line in a reply that is being discarded.
const LONGEST_LINE: usize = 64 * 1024;

/// The line at the start of an element.
struct Header {
    /// The position at which the header line ends.
    end: usize,
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    Nothing,
    /// A string of this many bytes, followed by a line end.
    Text(u64),
    Elements(u64),
}

fn header_at(bytes: &[u8], at: usize) -> Result<Option<Header>, Malformed> {
    let Some(&kind) = bytes.get(at) else {
        return Ok(None);
    };
    if !b"+-:$*_#,(!=%~>|".contains(&kind) {
        return Err(Malformed::NotResp(at));
    }
    let line = &bytes[at + 1..];
    let length = line.windows(2).position(|pair| pair == b"\r\n");
    let line = &line[..length.unwrap_or(line.len())];
    if !may_begin(kind, line) {
        return Err(Malformed::NotResp(at));
    }
    if length.is_none() {
        return Ok(None);
    }
    let number = || number(line, at);
    // In RESP2, a negative length means null.
    let count = || number().map(|number| u64::try_from(number).unwrap_or(0));
    let then = match kind {
        b'$' | b'!' | b'=' => match u64::try_from(number()?) {
            Ok(length) => Then::Text(length),
            Err(_) => Then::Nothing,
        },
        b'*' | b'~' | b'>' => Then::Elements(count()?),
        b'%' => Then::Elements(count()?.saturating_mul(2)),
        // An attribute is followed by the reply to which it belongs.
        b'|' => Then::Elements(count()?.saturating_mul(2).saturating_add(1)),
        b':' => number().map(|_| Then::Nothing)?,
        _ => Then::Nothing,
    };
    let end = at + 1 + line.len() + 2;
    Ok(Some(Header { end, then }))
}

/// Whether `part` can follow the byte `kind` in a header. This is checked because the messages of other
/// protocols can start with the same byte.
fn may_begin(kind: u8, part: &[u8]) -> bool {
    match kind {
        b'+' | b'-' => !part.contains(&0),
        b'_' => part.iter().all(|byte| *byte == b'\r'),
        _ => part.iter().all(|byte| byte.is_ascii_graphic() || *byte == b'\r'),
    }
}

/// Returns the position after a string of `length` bytes and its line end, or `None` if they are incomplete.
fn text_end(bytes: &[u8], start: usize, length: usize) -> Result<Option<usize>, Malformed> {
    let tail = start + length;
    match bytes.get(tail..tail + 2) {
        Some(b"\r\n") => Ok(Some(tail + 2)),
        Some(_) => Err(Malformed::NotResp(tail)),
        None => Ok(None),
    }
}

fn number(line: &[u8], at: usize) -> Result<i64, Malformed> {
    let text = std::str::from_utf8(line).map_err(|_| Malformed::NotResp(at))?;
    text.parse().map_err(|_| Malformed::NotResp(at))
}

/// Reads arbitrary bytes as consecutive replies. [`crate::untrusted`] uses this function.
pub(crate) fn read_replies(mut bytes: &[u8]) {
    while let Ok(Some(length @ 1..)) = measure(bytes, Limits::REPLY) {
        if let Ok(value) = redis::parse_redis_value(&bytes[..length]) {
            let _ = super::show::reply_lines(&value);
        }
        bytes = &bytes[length..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_reply_is_measured_and_an_incomplete_one_is_not() {
        for reply in [
            &b"+PONG\r\n"[..],
            b"-ERR no\r\n",
            b":-12\r\n",
            b"$5\r\nhe\r\no\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"*0\r\n",
            b"*2\r\n$3\r\nfoo\r\n*1\r\n:1\r\n",
            b"%1\r\n+key\r\n~2\r\n:1\r\n:2\r\n",
            b"|1\r\n+ttl\r\n:3\r\n+OK\r\n",
            b"_\r\n",
            b"=7\r\ntxt:foo\r\n",
        ] {
            let mut stream = reply.to_vec();
            stream.extend_from_slice(b"+NEXT");
            assert_eq!(
                measure(&stream, Limits::REPLY),
                Ok(Some(reply.len())),
                "{reply:?}"
            );
            for cut in 0..reply.len() {
                assert_eq!(
                    measure(&reply[..cut], Limits::REPLY),
                    Ok(None),
                    "{:?}",
                    &reply[..cut]
                );
            }
        }
    }

    #[test]
    fn other_protocols_are_recognised_at_their_first_byte() {
        assert_eq!(
            measure(b"HTTP/1.1 400", Limits::REPLY),
            Err(Malformed::NotResp(0))
        );
        assert_eq!(measure(b"$3\r\nfooXX", Limits::REPLY), Err(Malformed::NotResp(7)));
        assert_eq!(measure(b"*x\r\n", Limits::REPLY), Err(Malformed::NotResp(0)));
        // This is the greeting of a MySQL server. Its first byte is its length: 95, 36 or 43.
        for length in [b'_', b'$', b'+'] {
            let greeting = [length, 0, 0, 0, 10, b'8', b'.', b'0'];
            assert_eq!(measure(&greeting, Limits::REPLY), Err(Malformed::NotResp(0)));
        }
    }

    #[test]
    fn a_reply_over_the_limits_is_refused_before_it_has_arrived() {
        assert_eq!(measure(b"$536870912\r\n", Limits::REPLY), Err(Malformed::TooLong));
        assert_eq!(measure(b"*1000000\r\n", Limits::REPLY), Err(Malformed::TooLong));
        assert_eq!(
            measure(&b"*1\r\n".repeat(100_000), Limits::REPLY),
            Err(Malformed::TooDeep)
        );
        assert_eq!(
            measure(&vec![b'+'; 2 << 20], Limits::REPLY),
            Err(Malformed::TooLong)
        );
    }
}

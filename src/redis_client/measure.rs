//! How long the next reply is, found without recursion and without believing any announced length.

use super::raw::short_number;

/// What one reply may cost at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the whole reply.
    pub bytes: usize,
    /// Arrays within arrays; the parser behind recurses, so this must stay under its own 100.
    pub depth: usize,
}

impl Limits {
    /// For one answer of a server that is not trusted yet: 64 kB.
    pub const REPLY: Self = Self {
        bytes: 64 * 1024,
        depth: 16,
    };
    /// For the answer to one request of a server that we have logged in to: 1 MB.
    pub const EXCHANGE: Self = Self {
        bytes: 1024 * 1024,
        depth: 16,
    };
    /// For a cluster's topology: 1 MB.
    pub const TOPOLOGY: Self = Self {
        bytes: 1024 * 1024,
        depth: 16,
    };
}

/// Why bytes are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes are not RESP.
    #[error("not RESP at byte {0}")]
    NotResp(usize),
    /// The reply is, or says that it will be, longer than the limit.
    #[error("a reply longer than the limit")]
    TooLong,
    /// Arrays nested deeper than the limit.
    #[error("a reply nested deeper than the limit")]
    TooDeep,
}

/// The length in bytes of the first reply in `bytes`; `None` while it is incomplete.
///
/// # Errors
/// [`Malformed`] as soon as no continuation could make a reply within the limits of it.
pub fn measure(bytes: &[u8], limits: Limits) -> Result<Option<usize>, Malformed> {
    let mut gauge = Gauge::new(limits);
    gauge.begin(1);
    gauge.measure(bytes)
}

/// Measures one reply, or several in a row, as they come in: what was measured is not looked at again.
#[derive(Debug)]
pub(super) struct Gauge {
    limits: Limits,
    /// Replies still to come on each level that is open.
    open: Vec<u64>,
    at: usize,
}

impl Gauge {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            open: Vec::with_capacity(limits.depth + 1),
            at: 0,
        }
    }

    /// Starts with the first byte of the next `replies` replies.
    pub(super) fn begin(&mut self, replies: u64) {
        self.open.clear();
        self.open.push(replies);
        self.at = 0;
    }

    /// The length of the replies since [`Gauge::begin`]; `None` while they are incomplete.
    pub(super) fn measure(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let limits = self.limits;
        while let Some(missing) = self.open.last_mut() {
            if *missing == 0 {
                self.open.pop();
                continue;
            }
            let Some(element) = element_at(bytes, self.at, limits)? else {
                return incomplete(bytes, limits);
            };
            *missing -= 1;
            self.at = element.end;
            if element.children > 0 {
                if self.open.len() > limits.depth {
                    return Err(Malformed::TooDeep);
                }
                // The shortest reply takes three bytes: more children than that can never fit.
                if element.children > (limits.bytes / 3) as u64 {
                    return Err(Malformed::TooLong);
                }
                self.open.push(element.children);
            }
        }
        if self.at > limits.bytes {
            Err(Malformed::TooLong)
        } else {
            Ok(Some(self.at))
        }
    }
}

fn incomplete(bytes: &[u8], limits: Limits) -> Result<Option<usize>, Malformed> {
    if bytes.len() >= limits.bytes {
        Err(Malformed::TooLong)
    } else {
        Ok(None)
    }
}

struct Element {
    end: usize,
    children: u64,
}

fn element_at(bytes: &[u8], at: usize, limits: Limits) -> Result<Option<Element>, Malformed> {
    let Some(&kind) = bytes.get(at) else {
        return Ok(None);
    };
    // What nearly all elements of nearly all replies are.
    if let (b':' | b'$' | b'*', Some((number, length))) = (kind, short_number(&bytes[at + 1..])) {
        let end = at + 1 + length;
        let element = match kind {
            b':' => Element { end, children: 0 },
            b'$' => Element {
                end: blob_end(bytes, number, end, limits)?,
                children: 0,
            },
            _ => Element {
                end,
                children: number.unsigned_abs(),
            },
        };
        return Ok((element.end <= bytes.len()).then_some(element));
    }
    if !b"+-:$*_#,(!=%~>|".contains(&kind) {
        return Err(Malformed::NotResp(at));
    }
    let length = bytes[at + 1..].windows(2).position(|pair| pair == b"\r\n");
    let end = length.map_or(bytes.len(), |length| at + 1 + length);
    if !may_begin(kind, &bytes[at + 1..end]) {
        return Err(Malformed::NotResp(at));
    }
    let Some(length) = length else {
        return Ok(None);
    };
    let header = &bytes[at + 1..at + 1 + length];
    let end = at + 1 + length + 2;
    let element = match kind {
        b'$' | b'!' | b'=' => Element {
            end: blob_end(bytes, count_signed(header, at)?, end, limits)?,
            children: 0,
        },
        b'*' | b'~' | b'>' => Element {
            end,
            children: count(header, at)?,
        },
        b'%' => Element {
            end,
            children: count(header, at)?.saturating_mul(2),
        },
        // An attribute is followed by the reply that it describes.
        b'|' => Element {
            end,
            children: count(header, at)?.saturating_mul(2).saturating_add(1),
        },
        b':' => {
            count_signed(header, at)?;
            Element { end, children: 0 }
        }
        _ => Element { end, children: 0 },
    };
    Ok((element.end <= bytes.len()).then_some(element))
}

/// Whether a header of that kind can begin with these bytes: other protocols wait for us behind such a byte.
fn may_begin(kind: u8, part: &[u8]) -> bool {
    match kind {
        b'+' | b'-' => !part.contains(&0),
        b'_' => part.iter().all(|byte| *byte == b'\r'),
        _ => part.iter().all(|byte| byte.is_ascii_graphic() || *byte == b'\r'),
    }
}

/// Where a string ends that is so long and begins at `start`.
fn blob_end(bytes: &[u8], length: i64, start: usize, limits: Limits) -> Result<usize, Malformed> {
    if length < 0 {
        return Ok(start);
    }
    let length = usize::try_from(length).map_err(|_| Malformed::TooLong)?;
    if length > limits.bytes {
        return Err(Malformed::TooLong);
    }
    let tail = start + length;
    match bytes.get(tail..tail + 2) {
        Some(b"\r\n") | None => Ok(tail + 2),
        Some(_) => Err(Malformed::NotResp(tail)),
    }
}

/// A number of children; the null of RESP2 (`*-1`) has none.
fn count(header: &[u8], at: usize) -> Result<u64, Malformed> {
    Ok(u64::try_from(count_signed(header, at)?).unwrap_or(0))
}

fn count_signed(header: &[u8], at: usize) -> Result<i64, Malformed> {
    let text = std::str::from_utf8(header).map_err(|_| Malformed::NotResp(at))?;
    text.parse().map_err(|_| Malformed::NotResp(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_reply_is_measured_and_a_part_of_it_is_not() {
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
    fn other_protocols_are_told_apart_at_their_first_byte() {
        assert_eq!(
            measure(b"HTTP/1.1 400", Limits::REPLY),
            Err(Malformed::NotResp(0))
        );
        assert_eq!(measure(b"$3\r\nfooXX", Limits::REPLY), Err(Malformed::NotResp(7)));
        assert_eq!(measure(b"*x\r\n", Limits::REPLY), Err(Malformed::NotResp(0)));
        // A greeting of MySQL's, whose first byte is its length: 95, 36 or 43.
        for length in [b'_', b'$', b'+'] {
            let greeting = [length, 0, 0, 0, 10, b'8', b'.', b'0'];
            assert_eq!(measure(&greeting, Limits::REPLY), Err(Malformed::NotResp(0)));
        }
    }

    #[test]
    fn what_cannot_fit_is_refused_before_it_arrives() {
        assert_eq!(measure(b"$536870912\r\n", Limits::REPLY), Err(Malformed::TooLong));
        assert_eq!(measure(b"*1000000\r\n", Limits::REPLY), Err(Malformed::TooLong));
        assert_eq!(
            measure(&b"*1\r\n".repeat(100_000), Limits::REPLY),
            Err(Malformed::TooDeep)
        );
        assert_eq!(measure(&[b'+'; 70_000], Limits::REPLY), Err(Malformed::TooLong));
    }
}

//! Reads inline and multibulk requests. The limits and error texts are those of Redis 7.0 (`networking.c`).

use super::words::{Words, integer, memory_of_word, split};

/// The maximum length in bytes of an inline request, or of a header line in a multibulk request.
const LINE_LIMIT: usize = 64 * 1024;
/// The maximum number of words in a request from a client that is not logged in.
const UNAUTHENTICATED_WORDS: i64 = 10;
/// The maximum length in bytes of a word from a client that is not logged in.
const UNAUTHENTICATED_BYTES: i64 = 16 * 1024;
/// The maximum capacity in bytes that a buffer for requests or replies keeps after its content has been
/// processed.
pub(super) const KEPT_BUFFER: usize = 32 * 1024;

#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLimits {
    /// The maximum memory that a multibulk request may use, in bytes.
    pub(crate) bytes: usize,
    pub(crate) is_authenticated: bool,
}

/// A protocol error, after which the connection must be closed. Contains the text that follows `Protocol
/// error:` in the error reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProtocolError(pub(super) String);

/// Extracts requests from the received bytes.
#[derive(Debug, Default)]
pub(crate) struct RequestReader {
    received: Vec<u8>,
    at: usize,
    /// The multibulk request that has arrived only in part, if any.
    open: Option<Multibulk>,
}

#[derive(Debug)]
struct Multibulk {
    /// The number of words that have not arrived yet. Zero or negative if the header announces no words.
    missing: i64,
    words: Words,
    /// The announced length of the next word, or `None` if it has not been announced yet.
    length: Option<usize>,
    cost: usize,
}

impl RequestReader {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// Returns the memory that the received bytes and the words of an incomplete request use, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.received.len() + self.open.as_ref().map_or(0, |open| open.cost)
    }

    /// Whether at least a part of the next request has arrived.
    pub(super) fn is_inside_request(&self) -> bool {
        self.open.is_some() || self.at < self.received.len()
    }

    /// Removes and returns the next request, or returns `None` if it is incomplete. The caller must ignore
    /// requests without words. Returns [`ProtocolError`] if the bytes are not a valid request within the
    /// limits. The caller must then close the connection.
    pub(crate) fn next(&mut self, limits: RequestLimits) -> Result<Option<Words>, ProtocolError> {
        let next = self.read_next(limits)?;
        if next.is_none() {
            self.received.drain(..std::mem::take(&mut self.at));
            self.received.shrink_to(KEPT_BUFFER);
        }
        Ok(next)
    }

    fn read_next(&mut self, limits: RequestLimits) -> Result<Option<Words>, ProtocolError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => match self.received.get(self.at) {
                None => return Ok(None),
                Some(b'*') => match self.header("too big mbulk count string")? {
                    None => return Ok(None),
                    Some(line) => {
                        let announced = Multibulk::announced(line, limits)?;
                        self.at += line.len() + 2;
                        announced
                    }
                },
                Some(_) => return self.inline(),
            },
        };
        if self.read_words(&mut open, limits)? {
            return Ok(Some(open.words));
        }
        self.open = Some(open);
        Ok(None)
    }

    /// Reads the words that have arrived so far. Returns whether the request is complete.
    fn read_words(&mut self, open: &mut Multibulk, limits: RequestLimits) -> Result<bool, ProtocolError> {
        while open.missing > 0 {
            let length = match open.length {
                Some(length) => length,
                None => match self.word_length(open, limits)? {
                    Some(length) => length,
                    None => return Ok(false),
                },
            };
            open.length = Some(length);
            // As in Redis, the two bytes after the word are not checked.
            if self.received.len() - self.at < length + 2 {
                return Ok(false);
            }
            open.words.push(self.received[self.at..self.at + length].to_vec());
            self.at += length + 2;
            open.cost += memory_of_word(length);
            open.missing -= 1;
            open.length = None;
        }
        Ok(true)
    }

    fn word_length(
        &mut self,
        open: &Multibulk,
        limits: RequestLimits,
    ) -> Result<Option<usize>, ProtocolError> {
        let Some(line) = self.header("too big bulk count string")? else {
            return Ok(None);
        };
        if line.first() != Some(&b'$') {
            let found = char::from(line.first().copied().unwrap_or(b'\r'));
            return Err(protocol_error(format!("expected '$', got '{found}'")));
        }
        let invalid = || protocol_error("invalid bulk length");
        let length = integer(&line[1..])
            .filter(|length| *length >= 0)
            .ok_or_else(invalid)?;
        if !limits.is_authenticated && length > UNAUTHENTICATED_BYTES {
            return Err(protocol_error("unauthenticated bulk length"));
        }
        let length = usize::try_from(length).map_err(|_| invalid())?;
        self.at += line.len() + 2;
        // A word that is too long is rejected as soon as its length arrives.
        if memory_of_word(length).saturating_add(open.cost) > limits.bytes {
            return Err(invalid());
        }
        Ok(Some(length))
    }

    /// Returns the next header line without its line end, or `None` if it is incomplete.
    fn header(&self, too_long: &str) -> Result<Option<&[u8]>, ProtocolError> {
        let rest = &self.received[self.at..];
        let end = rest.iter().take(LINE_LIMIT + 1).position(|byte| *byte == b'\r');
        match end {
            None if rest.len() > LINE_LIMIT => Err(protocol_error(too_long)),
            Some(end) if end + 1 < rest.len() => Ok(Some(&rest[..end])),
            _ => Ok(None),
        }
    }

    fn inline(&mut self) -> Result<Option<Words>, ProtocolError> {
        let rest = &self.received[self.at..];
        let Some(end) = rest.iter().take(LINE_LIMIT + 1).position(|byte| *byte == b'\n') else {
            return if rest.len() > LINE_LIMIT {
                Err(protocol_error("too big inline request"))
            } else {
                Ok(None)
            };
        };
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        let words = split(line).ok_or_else(|| protocol_error("unbalanced quotes in request"))?;
        self.at += end + 1;
        Ok(Some(words))
    }
}

impl Multibulk {
    fn announced(line: &[u8], limits: RequestLimits) -> Result<Self, ProtocolError> {
        let count = integer(&line[1..])
            .filter(|count| *count <= i64::from(i32::MAX))
            .ok_or_else(|| protocol_error("invalid multibulk length"))?;
        if !limits.is_authenticated && count > UNAUTHENTICATED_WORDS {
            return Err(protocol_error("unauthenticated multibulk length"));
        }
        Ok(Self {
            missing: count,
            // The list grows as words arrive, not when they are announced.
            words: Words::new(),
            length: None,
            cost: 0,
        })
    }
}

fn protocol_error(text: impl Into<String>) -> ProtocolError {
    ProtocolError(text.into())
}

/// Reads arbitrary bytes as requests, once with the limits before login and once with those after login.
/// [`crate::untrusted`] uses this function.
pub(crate) fn read_requests(bytes: &[u8]) {
    for is_authenticated in [false, true] {
        let limits = RequestLimits {
            bytes: 1 << 20,
            is_authenticated,
        };
        let mut reader = RequestReader::default();
        for part in bytes.chunks(7) {
            reader.feed(part);
            while let Ok(Some(_)) = reader.next(limits) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHENTICATED: RequestLimits = RequestLimits {
        bytes: 1 << 20,
        is_authenticated: true,
    };
    const UNAUTHENTICATED: RequestLimits = RequestLimits {
        bytes: 1 << 20,
        is_authenticated: false,
    };

    fn requests(pieces: &[&[u8]], limits: RequestLimits) -> Result<Vec<Words>, ProtocolError> {
        let mut reader = RequestReader::default();
        let mut found = Vec::new();
        for piece in pieces {
            reader.feed(piece);
            while let Some(words) = reader.next(limits)? {
                found.push(words);
            }
        }
        Ok(found)
    }

    #[test]
    fn a_request_split_at_any_byte_is_the_same_request() {
        let sent = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\nPING 'a b' \"c\\x41\\n\"\r\n*0\r\n*1\r\n$4\r\nQUIT\r\n";
        let whole = requests(&[sent], AUTHENTICATED).unwrap();
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[1], [&b"PING"[..], b"a b", b"cA\n"]);
        for cut in 0..sent.len() {
            let (head, tail) = sent.split_at(cut);
            assert_eq!(
                requests(&[head, tail], AUTHENTICATED).unwrap(),
                whole,
                "cut at {cut}"
            );
        }
        let single: Vec<&[u8]> = sent.chunks(1).collect();
        assert_eq!(requests(&single, AUTHENTICATED).unwrap(), whole);
    }

    #[test]
    fn protocol_errors_have_the_texts_of_redis() {
        let long = [b'x'; LINE_LIMIT + 2];
        let long_count = [&b"*"[..], &[b'1'; LINE_LIMIT + 2]].concat();
        for (sent, limits, said) in [
            (&b"*x\r\n"[..], AUTHENTICATED, "invalid multibulk length"),
            (b"*2147483648\r\n", AUTHENTICATED, "invalid multibulk length"),
            (b"*11\r\n", UNAUTHENTICATED, "unauthenticated multibulk length"),
            (
                b"*1\r\n$16385\r\n",
                UNAUTHENTICATED,
                "unauthenticated bulk length",
            ),
            (b"*1\r\n$-1\r\n", AUTHENTICATED, "invalid bulk length"),
            (b"*1\r\n$01\r\n", AUTHENTICATED, "invalid bulk length"),
            (b"*1\r\n$536870912\r\n", AUTHENTICATED, "invalid bulk length"),
            (b"*1\r\n*1\r\n", AUTHENTICATED, "expected '$', got '*'"),
            (b"GET \"k\r\n", AUTHENTICATED, "unbalanced quotes in request"),
            (b"GET \"k\"x\r\n", AUTHENTICATED, "unbalanced quotes in request"),
            (&long, AUTHENTICATED, "too big inline request"),
            (&long_count, AUTHENTICATED, "too big mbulk count string"),
        ] {
            assert_eq!(requests(&[sent], limits), Err(protocol_error(said)));
        }
    }

    #[test]
    fn announcing_two_billion_words_needs_no_memory() {
        let mut reader = RequestReader::default();
        reader.feed(b"*2147483647\r\n$1\r\na\r\n");
        assert_eq!(reader.next(AUTHENTICATED), Ok(None));
        assert!(reader.open.is_some_and(|open| open.words.capacity() < 100));
    }

    #[test]
    fn many_small_words_are_limited_too() {
        let mut reader = RequestReader::default();
        reader.feed(b"*2147483647\r\n");
        let refused = (0..100_000).find_map(|_| {
            reader.feed(b"$0\r\n\r\n");
            reader.next(AUTHENTICATED).err()
        });
        assert_eq!(refused, Some(protocol_error("invalid bulk length")));
    }
}

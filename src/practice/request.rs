//! Reads requests, inline and multibulk, with Redis's own limits and words (`networking.c` of Redis 7.0).

/// A command name and its arguments.
pub(super) type Words = Vec<Vec<u8>>;

/// Bytes of an inline request, and of any header line.
const LINE_LIMIT: usize = 64 * 1024;
/// Redis lets who has not logged in yet send this many words …
const STRANGERS_WORDS: i64 = 10;
/// … of this many bytes each.
const STRANGERS_BYTES: i64 = 16 * 1024;
/// What a word costs in memory beside its bytes.
const WORD_COST: usize = 48;

/// What may be sent, and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes that one request may hold in memory.
    pub(super) bytes: usize,
    /// Whether the sender has yet to log in.
    pub(super) stranger: bool,
}

/// What stands at the start of the bytes received.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A whole request; one without words is to be ignored.
    Request(Words),
    /// More bytes are needed.
    Partial,
}

/// The end of a connection: the text that follows `-ERR Protocol error: `.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation(pub(super) String);

/// Bytes received and not yet answered.
#[derive(Debug, Default)]
pub(super) struct Reader {
    received: Vec<u8>,
    at: usize,
    /// The multibulk request that is being read.
    open: Option<Multibulk>,
}

#[derive(Debug)]
struct Multibulk {
    missing: i64,
    words: Words,
    /// The announced length of the word that comes next.
    length: Option<usize>,
    cost: usize,
}

impl Reader {
    /// Takes in bytes from the network.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.received.drain(..self.at);
            self.at = 0;
        }
        self.received.extend_from_slice(bytes);
    }

    /// Whether a request has begun and is not complete.
    pub(super) fn is_inside_request(&self) -> bool {
        self.open.is_some() || self.at < self.received.len()
    }

    /// Takes the next request out of what was received.
    ///
    /// # Errors
    /// [`Violation`] in Redis's words; the connection cannot go on after it.
    pub(super) fn next(&mut self, bounds: Bounds) -> Result<Parsed, Violation> {
        if self.open.is_none() {
            match self.received.get(self.at) {
                None => return Ok(Parsed::Partial),
                Some(b'*') => match self.header("too big mbulk count string")? {
                    None => return Ok(Parsed::Partial),
                    Some(line) => self.open = Multibulk::announced(&line, bounds)?,
                },
                Some(_) => return self.inline(),
            }
            if self.open.is_none() {
                return Ok(Parsed::Request(Words::new()));
            }
        }
        self.words(bounds)
    }

    fn words(&mut self, bounds: Bounds) -> Result<Parsed, Violation> {
        let Some(mut open) = self.open.take() else {
            return Ok(Parsed::Partial);
        };
        while open.missing > 0 {
            let length = match open.length {
                Some(length) => length,
                None => match self.word_length(&open, bounds)? {
                    Some(length) => length,
                    None => {
                        self.open = Some(open);
                        return Ok(Parsed::Partial);
                    }
                },
            };
            open.length = Some(length);
            // As in Redis, the two bytes after a word are taken for the end of its line unseen.
            if self.received.len() - self.at < length + 2 {
                self.open = Some(open);
                return Ok(Parsed::Partial);
            }
            open.words.push(self.received[self.at..self.at + length].to_vec());
            self.at += length + 2;
            open.cost += length + WORD_COST;
            open.missing -= 1;
            open.length = None;
        }
        Ok(Parsed::Request(open.words))
    }

    fn word_length(&mut self, open: &Multibulk, bounds: Bounds) -> Result<Option<usize>, Violation> {
        let Some(line) = self.header("too big bulk count string")? else {
            return Ok(None);
        };
        if line.first() != Some(&b'$') {
            let found = char::from(line.first().copied().unwrap_or(b'\r'));
            return Err(violation(format!("expected '$', got '{found}'")));
        }
        let invalid = || violation("invalid bulk length");
        let length = integer(&line[1..])
            .filter(|length| *length >= 0)
            .ok_or_else(invalid)?;
        if bounds.stranger && length > STRANGERS_BYTES {
            return Err(violation("unauthenticated bulk length"));
        }
        let length = usize::try_from(length).map_err(|_| invalid())?;
        // An announcement is refused before a byte of it is kept.
        if length.saturating_add(open.cost + WORD_COST) > bounds.bytes {
            return Err(invalid());
        }
        Ok(Some(length))
    }

    /// The line that begins here, up to its carriage return, which the byte after it must have followed.
    fn header(&mut self, too_long: &str) -> Result<Option<Vec<u8>>, Violation> {
        let rest = &self.received[self.at..];
        let end = rest.iter().take(LINE_LIMIT + 1).position(|byte| *byte == b'\r');
        match end {
            None if rest.len() > LINE_LIMIT => Err(violation(too_long)),
            Some(end) if end + 1 < rest.len() => {
                let line = rest[..end].to_vec();
                self.at += end + 2;
                Ok(Some(line))
            }
            _ => Ok(None),
        }
    }

    fn inline(&mut self) -> Result<Parsed, Violation> {
        let rest = &self.received[self.at..];
        let Some(end) = rest.iter().take(LINE_LIMIT + 1).position(|byte| *byte == b'\n') else {
            return if rest.len() > LINE_LIMIT {
                Err(violation("too big inline request"))
            } else {
                Ok(Parsed::Partial)
            };
        };
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        let words = split(line).ok_or_else(|| violation("unbalanced quotes in request"))?;
        self.at += end + 1;
        Ok(Parsed::Request(words))
    }
}

impl Multibulk {
    /// None where the header announces no words at all.
    fn announced(line: &[u8], bounds: Bounds) -> Result<Option<Self>, Violation> {
        let count = integer(&line[1..])
            .filter(|count| *count <= i64::from(i32::MAX))
            .ok_or_else(|| violation("invalid multibulk length"))?;
        if bounds.stranger && count > STRANGERS_WORDS {
            return Err(violation("unauthenticated multibulk length"));
        }
        let open = Self {
            missing: count,
            // Room is made as words arrive, never because they were announced.
            words: Words::new(),
            length: None,
            cost: 0,
        };
        Ok((count > 0).then_some(open))
    }
}

fn violation(text: impl Into<String>) -> Violation {
    Violation(text.into())
}

/// A decimal number in the one way of writing it that Redis accepts (`string2ll`): no sign `+`, no leading zeros.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == text).then_some(number)
}

/// Splits a line into words by the rules of `sdssplitargs`; none where quotes do not match.
fn split(line: &[u8]) -> Option<Words> {
    let mut words = Words::new();
    let mut bytes = line.iter().copied().peekable();
    loop {
        while bytes.next_if(|byte| is_space(*byte)).is_some() {}
        if matches!(bytes.peek(), None | Some(0)) {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some(byte) = bytes.next_if(|byte| !is_space(*byte) && *byte != 0) {
            match byte {
                b'"' | b'\'' => {
                    quoted(byte, &mut bytes, &mut word)?;
                    // A closing quote must end its word.
                    if bytes.peek().is_some_and(|next| !is_space(*next)) {
                        return None;
                    }
                    break;
                }
                _ => word.push(byte),
            }
        }
        words.push(word);
    }
}

type Bytes<'a> = std::iter::Peekable<std::iter::Copied<std::slice::Iter<'a, u8>>>;

fn quoted(quote: u8, bytes: &mut Bytes<'_>, word: &mut Vec<u8>) -> Option<()> {
    loop {
        match bytes.next()? {
            byte if byte == quote => return Some(()),
            b'\\' if quote == b'\'' => {
                word.push(bytes.next_if_eq(&b'\'').unwrap_or(b'\\'));
            }
            b'\\' => word.push(escaped(bytes)?),
            byte => word.push(byte),
        }
    }
}

fn escaped(bytes: &mut Bytes<'_>) -> Option<u8> {
    Some(match bytes.next()? {
        b'x' => {
            let mut ahead = bytes.clone();
            let digits = (ahead.next().and_then(hex), ahead.next().and_then(hex));
            let (Some(high), Some(low)) = digits else {
                return Some(b'x');
            };
            *bytes = ahead;
            high * 16 + low
        }
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Bounds = Bounds {
        bytes: 1 << 20,
        stranger: false,
    };
    const STRANGER: Bounds = Bounds {
        bytes: 1 << 20,
        stranger: true,
    };

    fn requests(pieces: &[&[u8]], bounds: Bounds) -> Result<Vec<Words>, Violation> {
        let mut reader = Reader::default();
        let mut found = Vec::new();
        for piece in pieces {
            reader.feed(piece);
            while let Parsed::Request(words) = reader.next(bounds)? {
                found.push(words);
            }
        }
        Ok(found)
    }

    #[test]
    fn a_request_split_at_any_byte_is_the_same_request() {
        let sent = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\nPING 'a b' \"c\\x41\\n\"\r\n*0\r\n*1\r\n$4\r\nQUIT\r\n";
        let whole = requests(&[sent], KNOWN).unwrap();
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[1], [&b"PING"[..], b"a b", b"cA\n"]);
        for cut in 0..sent.len() {
            let (head, tail) = sent.split_at(cut);
            assert_eq!(requests(&[head, tail], KNOWN).unwrap(), whole, "cut at {cut}");
        }
        let single: Vec<&[u8]> = sent.chunks(1).collect();
        assert_eq!(requests(&single, KNOWN).unwrap(), whole);
    }

    #[test]
    fn violations_are_told_in_redis_own_words() {
        let long = [b'x'; LINE_LIMIT + 2];
        let long_count = [&b"*"[..], &[b'1'; LINE_LIMIT + 2]].concat();
        for (sent, bounds, said) in [
            (&b"*x\r\n"[..], KNOWN, "invalid multibulk length"),
            (b"*2147483648\r\n", KNOWN, "invalid multibulk length"),
            (b"*11\r\n", STRANGER, "unauthenticated multibulk length"),
            (b"*1\r\n$16385\r\n", STRANGER, "unauthenticated bulk length"),
            (b"*1\r\n$-1\r\n", KNOWN, "invalid bulk length"),
            (b"*1\r\n$01\r\n", KNOWN, "invalid bulk length"),
            (b"*1\r\n$536870912\r\n", KNOWN, "invalid bulk length"),
            (b"*1\r\n*1\r\n", KNOWN, "expected '$', got '*'"),
            (b"GET \"k\r\n", KNOWN, "unbalanced quotes in request"),
            (b"GET \"k\"x\r\n", KNOWN, "unbalanced quotes in request"),
            (&long, KNOWN, "too big inline request"),
            (&long_count, KNOWN, "too big mbulk count string"),
        ] {
            assert_eq!(requests(&[sent], bounds), Err(violation(said)));
        }
    }

    #[test]
    fn two_thousand_million_announced_words_cost_nothing() {
        let mut reader = Reader::default();
        reader.feed(b"*2147483647\r\n$1\r\na\r\n");
        assert_eq!(reader.next(KNOWN), Ok(Parsed::Partial));
        assert!(reader.open.is_some_and(|open| open.words.capacity() < 100));
    }

    #[test]
    fn many_small_words_are_bounded_too() {
        let mut reader = Reader::default();
        reader.feed(b"*2147483647\r\n");
        let refused = (0..100_000).find_map(|_| {
            reader.feed(b"$0\r\n\r\n");
            reader.next(KNOWN).err()
        });
        assert_eq!(refused, Some(violation("invalid bulk length")));
    }
}

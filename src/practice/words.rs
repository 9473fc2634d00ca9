//! Splits a line into words, and parses integers.

use super::value::allocated;

/// A command name and its arguments.
pub(crate) type Words = Vec<Vec<u8>>;

/// The memory in bytes that a word uses in a list of words, excluding its contents. The list grows by
/// doubling, so each entry counts twice.
const WORD_COST: usize = 2 * size_of::<Vec<u8>>();

/// Returns the memory in bytes that a word of `length` bytes uses.
pub(super) fn memory_of_word(length: usize) -> usize {
    WORD_COST.saturating_add(allocated(length))
}

/// Parses an integer as Redis's `string2ll` does. Returns `None` for other text, and for an integer with a
/// plus sign or leading zeros.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let is_canonical = matches!(text, [b'0'] | [b'1'..=b'9', ..] | [b'-', b'1'..=b'9', ..]);
    let number = std::str::from_utf8(text).ok().filter(|_| is_canonical)?;
    number.parse().ok()
}

/// Splits a line into words as Redis and redis-cli do (`sdssplitargs`). Words can be quoted, and double
/// quotes can contain escape sequences. Returns `None` if a quote is not closed, or if a word continues after
/// its closing quote.
pub(crate) fn split(line: &[u8]) -> Option<Words> {
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
                    // A word must end at its closing quote.
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

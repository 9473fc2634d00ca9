//! Parses arguments that several commands share, and matches glob patterns.

use crate::practice::command::{CommandError, Invocation, NOT_AN_INTEGER, SYNTAX};
use crate::practice::words::integer;

/// Whether a word is this option. Case is ignored.
pub(super) fn is(word: &[u8], option: &str) -> bool {
    word.eq_ignore_ascii_case(option.as_bytes())
}

pub(super) fn lower(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_lowercase()
}

/// Returns the start of a word, for an error reply.
pub(super) fn shown(word: &[u8]) -> String {
    shown_up_to(word, 128)
}

/// Returns at most `most` bytes of a word, and only those before the first zero byte. This imitates C's
/// `%.*s`.
pub(super) fn shown_up_to(word: &[u8], most: usize) -> String {
    let end = word.iter().position(|byte| *byte == 0).unwrap_or(word.len());
    String::from_utf8_lossy(&word[..end.min(most)]).into_owned()
}

pub(super) fn out_of_range(least: i64, most: i64) -> CommandError {
    format!("ERR value is out of range, value must between {least} and {most}").into()
}

/// Parses a number for INCRBYFLOAT. Accepts infinity, because [`float_text`] rejects an infinite sum.
pub(super) fn float(word: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(word).ok()?;
    let number: f64 = text.parse().ok()?;
    let is_spelled_out = text.contains(['i', 'I']);
    (number.is_finite() || (number.is_infinite() && is_spelled_out)).then_some(number)
}

/// Formats a sum as INCRBYFLOAT does, with at most 15 significant digits.
///
/// # Errors
///
/// Fails if the sum is infinite.
pub(super) fn float_text(sum: f64) -> Result<String, CommandError> {
    if !sum.is_finite() {
        return Err("ERR increment would produce NaN or Infinity".into());
    }
    let rounded = format!("{sum:.14e}").parse().unwrap_or(sum);
    // Integers are not rounded, and negative zero becomes zero.
    let exact = if sum.fract() == 0.0 { sum } else { rounded };
    Ok((exact + 0.0).to_string())
}

/// The arguments of SCAN, HSCAN and SSCAN: `cursor [MATCH pattern] [COUNT count] [TYPE type]`.
pub(super) struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    pub(super) count: usize,
    pub(super) type_name: Option<&'a [u8]>,
}

pub(super) fn cursor(word: &[u8]) -> Result<u64, CommandError> {
    let text = std::str::from_utf8(word).unwrap_or_default();
    // Accept a minus sign and wrap around, as C's `strtoul` does.
    let number: Option<u64> = match text.strip_prefix('-') {
        Some(rest) => rest.parse().ok().map(u64::wrapping_neg),
        None => text.parse().ok(),
    };
    number.ok_or_else(|| "ERR invalid cursor".into())
}

impl<'a> ScanOptions<'a> {
    /// Parses the options after the cursor.
    pub(super) fn read(options: &'a [Vec<u8>], allows_type: bool) -> Result<Self, CommandError> {
        let mut scan = Self {
            pattern: None,
            count: 10,
            type_name: None,
        };
        for pair in options.chunks(2) {
            let [option, value] = pair else {
                return Err(SYNTAX);
            };
            if is(option, "count") {
                let count = integer(value).ok_or(NOT_AN_INTEGER)?;
                let count = usize::try_from(count).ok().filter(|count| *count >= 1);
                scan.count = count.ok_or(SYNTAX)?;
            } else if is(option, "match") {
                scan.pattern = Some(value);
            } else if is(option, "type") && allows_type {
                scan.type_name = Some(value);
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(scan)
    }

    pub(super) fn accepts(&self, call: &Invocation<'_>, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| call.matches(pattern, name))
    }
}

/// Whether `text` matches a glob pattern. The syntax is that of Redis's `stringmatchlen`: `*`, `?`, `[a-z]`,
/// `[^a]`, and a backslash that escapes the next character.
///
/// The time is at most proportional to the product of both lengths, because the function backtracks only to
/// the last star. Regularly calls `gives_up`, and returns false if `gives_up` returns true.
pub(in crate::practice) fn matches(pattern: &[u8], text: &[u8], gives_up: impl Fn() -> bool) -> bool {
    let (mut at, mut pos) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut steps = 0;
    while pos < text.len() {
        if steps > STEPS_PER_LOOK {
            if gives_up() {
                return false;
            }
            steps = 0;
        }
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, pos));
            at += 1;
            continue;
        }
        let (length, is_match) = one(&pattern[at..], text[pos]);
        steps += 1 + length;
        if is_match {
            at += length;
            pos += 1;
            continue;
        }
        let Some((after, from)) = star else {
            return false;
        };
        star = Some((after, from + 1));
        (at, pos) = (after, from + 1);
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How many bytes to compare between two calls of `gives_up`.
const STEPS_PER_LOOK: usize = 1 << 16;

/// Matches one byte against the first element of the pattern. Returns the length of this element in bytes,
/// and whether the byte matched.
fn one(pattern: &[u8], byte: u8) -> (usize, bool) {
    match pattern {
        [] => (0, false),
        [b'?', ..] => (1, true),
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', literal, ..] => (2, *literal == byte),
        [literal, ..] => (1, *literal == byte),
    }
}

/// Like [`one`], but for a character class. `pattern` starts after the opening bracket.
fn class(pattern: &[u8], byte: u8) -> (usize, bool) {
    let is_negated = pattern.first() == Some(&b'^');
    let mut at = usize::from(is_negated);
    let mut is_in = false;
    loop {
        match &pattern[at..] {
            // If there is no closing bracket, the class ends with the pattern.
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', literal, ..] => {
                is_in |= *literal == byte;
                at += 2;
            }
            [low, b'-', high, ..] => {
                let (low, high) = (*low.min(high), *low.max(high));
                is_in |= (low..=high).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                is_in |= *literal == byte;
                at += 1;
            }
        }
    }
    (1 + at, is_in != is_negated)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn sums_are_rounded_and_finite() {
        for (one, two, sum) in [
            ("0.1", "0.2", Some("0.3")),
            ("10.50", "0.1", Some("10.6")),
            ("5.0e3", "2.0e2", Some("5200")),
            ("-1", "1", Some("0")),
            ("-0.5", "0.25", Some("-0.25")),
            ("-0", "-0", Some("0")),
            ("1e308", "1e308", None),
            ("inf", "1", None),
        ] {
            let sum_of = float(one.as_bytes()).unwrap() + float(two.as_bytes()).unwrap();
            assert_eq!(float_text(sum_of).ok().as_deref(), sum, "{one} + {two}");
        }
        for text in ["", " 1", "1 ", "a", "nan", ".", "1e5000", "e1"] {
            assert_eq!(float(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("h?llo", "hello", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[a-b]llo", "hbllo", true),
            ("h\\*llo", "h*llo", true),
            ("h\\*llo", "hello", false),
            ("sessiontut:*:x", "sessiontut:a:b:x", true),
            ("a", "", false),
            ("", "a", false),
            ("*a*b*c", "xxaxxbxxc", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes(), || false),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer_than_another() {
        let pattern = b"a*".repeat(2000);
        let mut text = b"a".repeat(10_000);
        text.push(b'b');
        assert!(!matches(&[&pattern[..], b"c"].concat(), &text, || false));
    }

    #[test]
    fn a_pattern_that_takes_too_long_is_given_up() {
        let text = b"a".repeat(1 << 20);
        for pattern in [
            [&b"*"[..], &b"a".repeat(1 << 19), b"b"].concat(),
            [&b"*["[..], &b"b".repeat(1 << 20)].concat(),
        ] {
            let asked = Cell::new(0);
            let gives_up = || asked.replace(asked.get() + 1) == 3;
            assert!(!matches(&pattern, &text, gives_up));
            assert_eq!(asked.get(), 4);
        }
    }
}

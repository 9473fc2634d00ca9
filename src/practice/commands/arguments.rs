//! Words that several commands read in the same way.

use super::{NOT_AN_INTEGER, Refusal, SYNTAX};
use crate::practice::request::integer;

/// A word that must be a whole number.
pub(super) fn number(word: &[u8]) -> Result<i64, Refusal> {
    integer(word).ok_or(NOT_AN_INTEGER)
}

/// The error for a number that is none of these.
pub(super) fn out_of_range(least: i64, most: i64) -> Refusal {
    Refusal::new(format!(
        "ERR value is out of range, value must between {least} and {most}"
    ))
}

/// Whether a word is this option, in whatever case.
pub(super) fn is(word: &[u8], option: &str) -> bool {
    word.eq_ignore_ascii_case(option.as_bytes())
}

/// What SCAN, HSCAN and SSCAN have in common: `[MATCH pattern] [COUNT count] [TYPE type]`.
pub(super) struct Scan<'a> {
    pub(super) cursor: u64,
    pub(super) pattern: Option<&'a [u8]>,
    pub(super) count: usize,
    pub(super) kind: Option<&'a [u8]>,
}

/// Whether TYPE may be among the options.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinds {
    Any,
    Chosen,
}

/// A cursor as SCAN hands it out.
pub(super) fn cursor(word: &[u8]) -> Result<u64, Refusal> {
    let text = std::str::from_utf8(word).unwrap_or_default();
    // As C reads unsigned numbers: a minus counts down from the largest.
    let number: Option<u64> = match text.strip_prefix('-') {
        Some(rest) => rest.parse().ok().map(u64::wrapping_neg),
        None => text.parse().ok(),
    };
    number.ok_or(Refusal::new("ERR invalid cursor"))
}

/// The options after a cursor.
pub(super) fn scan(cursor: u64, options: &[Vec<u8>], kinds: Kinds) -> Result<Scan<'_>, Refusal> {
    let mut scan = Scan {
        cursor,
        pattern: None,
        count: 10,
        kind: None,
    };
    for pair in options.chunks(2) {
        let [option, value] = pair else {
            return Err(SYNTAX);
        };
        if is(option, "count") {
            let count = number(value)?;
            scan.count = usize::try_from(count)
                .ok()
                .filter(|count| *count >= 1)
                .ok_or(SYNTAX)?;
        } else if is(option, "match") {
            scan.pattern = Some(value);
        } else if is(option, "type") && kinds == Kinds::Chosen {
            scan.kind = Some(value);
        } else {
            return Err(SYNTAX);
        }
    }
    Ok(scan)
}

//! Parses arguments that more than one command accepts.

use crate::practice::command::{CommandError, Invocation, NOT_AN_INTEGER, SYNTAX};
use crate::practice::words::integer;

/// Whether `word` is `option`, ignoring case.
pub(super) fn is(word: &[u8], option: &str) -> bool {
    word.eq_ignore_ascii_case(option.as_bytes())
}

pub(super) fn lower(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_lowercase()
}

/// Returns the start of `word` as text, for an error reply.
pub(super) fn shown(word: &[u8]) -> String {
    shown_up_to(word, 128)
}

/// Returns the first `most` bytes of `word`, but only those before the first zero byte, as `%.*s` in C does.
pub(super) fn shown_up_to(word: &[u8], most: usize) -> String {
    let end = word.iter().position(|byte| *byte == 0).unwrap_or(word.len());
    String::from_utf8_lossy(&word[..end.min(most)]).into_owned()
}

pub(super) fn out_of_range(least: i64, most: i64) -> CommandError {
    format!("ERR value is out of range, value must between {least} and {most}").into()
}

/// Parses a number for INCRBYFLOAT. Accepts infinity, because [`float_text`] rejects an infinite sum. Returns
/// `None` if `word` is not a valid number.
pub(super) fn float(word: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(word).ok()?;
    let number: f64 = text.parse().ok()?;
    let is_spelled_out = text.contains(['i', 'I']);
    (number.is_finite() || (number.is_infinite() && is_spelled_out)).then_some(number)
}

/// Formats a sum as INCRBYFLOAT does. Rounds a sum that is not an integer to 15 significant digits. Fails if
/// the sum is infinite or not a number.
pub(super) fn float_text(sum: f64) -> Result<String, CommandError> {
    if !sum.is_finite() {
        return Err("ERR increment would produce NaN or Infinity".into());
    }
    let rounded = format!("{sum:.14e}").parse().unwrap_or(sum);
    // Integers are not rounded, and negative zero becomes zero.
    let exact = if sum.fract() == 0.0 { sum } else { rounded };
    Ok((exact + 0.0).to_string())
}

/// The options of SCAN, HSCAN and SSCAN: `[MATCH pattern] [COUNT count] [TYPE type]`. Only SCAN accepts TYPE.
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
    /// Parses the options that follow the cursor of SCAN, HSCAN or SSCAN.
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

#[cfg(test)]
mod tests {
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
}

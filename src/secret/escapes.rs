//! Decodes escape sequences in URLs, strings, e-mails and HTML.

use std::ops::Range;

use super::decoded::{Decoded, from_bytes};

/// The characters that start escape sequences.
pub(super) const SIGNS: [char; 4] = ['%', '\\', '=', '&'];

/// Decodes the escape sequences that start with `sign`. Examples are `%41`, `=41`, `&#65;`, `\x41`, `\101`,
/// `\u0041`, `\u{41}` and `\n`.
pub(super) fn unescaped(layer: &[Decoded], sign: char) -> Vec<Decoded> {
    let mut decoded = Vec::with_capacity(layer.len());
    let mut bytes: Vec<(u8, Range<usize>)> = Vec::new();
    let mut rest = layer;
    while let Some((one, place)) = rest.first() {
        let escape = (*one == sign).then(|| escape(rest)).flatten();
        let (unit, length) = escape.unwrap_or((Unit::Char(*one), 1));
        let place = place.start..rest[length - 1].1.end;
        match unit {
            Unit::Byte(byte) => bytes.push((byte, place)),
            Unit::Char(one) => {
                decoded.extend(from_bytes(bytes.drain(..)));
                decoded.push((one, place));
            }
        }
        rest = &rest[length..];
    }
    decoded.extend(from_bytes(bytes.into_iter()));
    decoded
}

enum Unit {
    Byte(u8),
    Char(char),
}

/// Returns the meaning of the escape sequence at the start of the text, and its length in characters. Returns
/// `None` if the text does not start with an escape sequence.
fn escape(layer: &[Decoded]) -> Option<(Unit, usize)> {
    let number = |digits: Range<usize>| {
        let digits: String = layer.get(digits)?.iter().map(|(one, _)| one).collect();
        u32::from_str_radix(&digits, 16).ok()
    };
    let byte = |digits: Range<usize>| u8::try_from(number(digits)?).ok().map(Unit::Byte);
    let one = |digits: Range<usize>| char::from_u32(number(digits)?).map(Unit::Char);
    match (layer.first()?.0, layer.get(1)?.0) {
        ('%' | '=', _) => Some((byte(1..3)?, 3)),
        ('&', _) => {
            let end = layer
                .iter()
                .take(LONGEST_ESCAPE)
                .position(|(one, _)| *one == ';')?;
            let name: String = layer[1..end].iter().map(|(one, _)| one).collect();
            Some((Unit::Char(html_entity(&name)?), end + 1))
        }
        ('\\', 'x') => Some((byte(2..4)?, 4)),
        ('\\', 'u') if layer.get(2)?.0 == '{' => {
            let end = layer
                .iter()
                .take(LONGEST_ESCAPE)
                .position(|(one, _)| *one == '}')?;
            Some((one(3..end)?, end + 1))
        }
        ('\\', 'u') => Some((one(2..6)?, 6)),
        ('\\', '0'..='3') => {
            let digits: String = layer.get(1..4)?.iter().map(|(one, _)| one).collect();
            Some((Unit::Byte(u8::from_str_radix(&digits, 8).ok()?), 4))
        }
        ('\\', 'n') => Some((Unit::Char('\n'), 2)),
        ('\\', 'r') => Some((Unit::Char('\r'), 2)),
        ('\\', 'a') => Some((Unit::Char('\x07'), 2)),
        ('\\', 'b') => Some((Unit::Char('\x08'), 2)),
        ('\\', 'f') => Some((Unit::Char('\x0c'), 2)),
        ('\\', 't') => Some((Unit::Char('\t'), 2)),
        ('\\', literal @ ('"' | '\\' | '/' | '\'')) => Some((Unit::Char(literal), 2)),
        _ => None,
    }
}

/// Returns the character for the HTML reference `&NAME;`, or `None` if the name is unknown.
pub(crate) fn html_entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(number.ok()?)
        }
    }
}

/// The maximum length of an escape sequence in characters, as in `\u{10ffff}` and `&#x10ffff;`.
const LONGEST_ESCAPE: usize = 10;

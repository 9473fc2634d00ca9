//! Decodes text from every encoding that a server might use for a secret.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::decoded::{Decoded, from_bytes};
use super::escapes::{SIGNS, unescaped};

/// The number of base64 characters that encode three bytes.
const BASE64_GROUP: usize = 4;

/// Accepts base64 text that is cut off in the middle. The padding of such text can be missing, and its last
/// bits are not always zero.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// The minimum number of characters of a sequence that is decoded. Shorter sequences are probably not encoded
/// text.
const SHORTEST_RUN: usize = 4;

/// The possible separators between the bytes of a text in hexadecimal.
const SEPARATORS: [&str; 7] = ["", ":", " ", "-", ", ", " 0x", ", 0x"];

/// Decodes the text `layer`, or parts of it, in every possible way.
pub(super) fn decodings(layer: &[Decoded]) -> Vec<Vec<Decoded>> {
    let mut decodings = Vec::new();
    for sign in SIGNS {
        if layer.iter().any(|(one, _)| *one == sign) {
            let decoded = unescaped(layer, sign);
            decodings.extend((decoded.len() < layer.len()).then_some(decoded));
        }
    }
    for run in runs(layer, |one| one.is_ascii_alphanumeric() || "+/-_".contains(one)) {
        for skipped in 0..BASE64_GROUP.min(run.len()) {
            decodings.extend(from_base64(&run[skipped..]));
        }
    }
    for separator in SEPARATORS {
        from_hex(layer, separator, &mut decodings);
    }
    decodings
}

/// Returns all sequences of at least [`SHORTEST_RUN`] characters for which `is_one` is true.
fn runs(layer: &[Decoded], is_one: impl Fn(char) -> bool) -> impl Iterator<Item = &[Decoded]> {
    let parts = layer.split(move |(one, _)| !is_one(*one));
    parts.filter(|part| part.len() >= SHORTEST_RUN)
}

/// Decodes both alphabets of base64 (RFC 4648, 4 and 5). Returns `None` if `run` is not base64.
fn from_base64(run: &[Decoded]) -> Option<Vec<Decoded>> {
    let standard = |(one, _): &Decoded| match one {
        '-' => '+',
        '_' => '/',
        other => *other,
    };
    let text: String = run.iter().map(standard).collect();
    // A single character after the last complete group does not encode a whole byte, so it is omitted.
    let length = text.len() - usize::from(text.len() % BASE64_GROUP == 1);
    let bytes = GeneralPurpose::new(&alphabet::STANDARD, LENIENT)
        .decode(&text[..length])
        .ok()?;
    // Byte n is encoded by bits 8n to 8n + 7, and each character encodes six bits.
    let place = |at: usize| run[at * 8 / 6].1.start..run[((at * 8 + 7) / 6).min(run.len() - 1)].1.end;
    let places = bytes.iter().enumerate().map(|(at, byte)| (*byte, place(at)));
    Some(from_bytes(places))
}

/// Finds sequences of hexadecimal bytes that are separated by `separator`. Adds their decodings to
/// `decodings`.
fn from_hex(layer: &[Decoded], separator: &str, decodings: &mut Vec<Vec<Decoded>>) {
    let byte = |at: usize| {
        let digit = |at: usize| {
            layer
                .get(at)?
                .0
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        Some((
            digit(at)? * 16 + digit(at + 1)?,
            layer[at].1.start..layer[at + 1].1.end,
        ))
    };
    let is_separator = |at: usize| {
        let mut characters = layer[at..].iter().map(|(one, _)| *one);
        separator.chars().all(|one| characters.next() == Some(one))
    };
    let row = |mut at: usize| {
        let mut row = Vec::new();
        while let Some(next) = byte(at) {
            row.push(next);
            at += 2;
            if !is_separator(at) {
                break;
            }
            at += separator.len();
        }
        (row, at)
    };
    let mut at = 0;
    while at < layer.len() {
        let (bytes, end) = row(at);
        if bytes.len() * 2 < SHORTEST_RUN {
            at += 1;
            continue;
        }
        decodings.push(from_bytes(bytes.into_iter()));
        if separator.is_empty() {
            // The sequence might start with the second half of a byte.
            decodings.push(from_bytes(row(at + 1).0.into_iter()));
        }
        at = end;
    }
}

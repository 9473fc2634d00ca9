//! Represents decoded text, with the position of each character in the original text.

use std::ops::Range;

/// A character, and the bytes of the original text that encode it.
pub(super) type Decoded = (char, Range<usize>);

/// Decodes UTF-8. A byte that is not part of a valid character becomes U+FFFD.
pub(super) fn from_bytes(bytes: impl Iterator<Item = (u8, Range<usize>)>) -> Vec<Decoded> {
    let (bytes, places): (Vec<u8>, Vec<Range<usize>>) = bytes.unzip();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for one in chunk.valid().chars() {
            let end = at + one.len_utf8();
            decoded.push((one, places[at].start..places[end - 1].end));
            at = end;
        }
        for _ in chunk.invalid() {
            decoded.push((char::REPLACEMENT_CHARACTER, places[at].clone()));
            at += 1;
        }
    }
    decoded
}

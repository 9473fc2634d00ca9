//! Finds parts of secrets in text, even if they are encoded.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use super::MASK;
use super::decoded::Decoded;
use super::decodings::decodings;

/// The minimum number of consecutive characters of a secret that are masked if they occur in a text.
pub(super) const TELLING: usize = 6;

type Part = [char; TELLING];

/// The maximum number of times that a text is decoded. For example, a text can be percent-encoded, then
/// quoted by Redis, and then put into a JSON string.
const MOST_LAYERS: usize = 3;

/// The length in bytes above which a text is decoded only once, because each additional decoding multiplies
/// the time.
const LONG_TEXT: usize = 4 * 1024;

/// The parts of secrets that must not be shown. Case is ignored for secrets with at least [`TELLING`]
/// characters, because servers might repeat a command in another case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    parts: HashSet<Part>,
    /// Secrets with fewer than [`TELLING`] characters.
    short: Vec<Vec<char>>,
}

/// A place in a text that contains a part of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The position of the part in the text, as a range of bytes.
    pub place: Range<usize>,
    /// Whether the secret has fewer than [`TELLING`] characters. Such a secret can occur in the text by
    /// chance.
    pub is_short: bool,
}

impl Filter {
    pub(crate) fn add(&mut self, secret: &str) {
        let secret: Vec<char> = secret.chars().collect();
        if (1..TELLING).contains(&secret.len()) && !self.short.contains(&secret) {
            self.short.push(secret);
        } else {
            let parts = secret.windows(TELLING);
            self.parts.extend(
                parts
                    .filter_map(|part| Part::try_from(part).ok())
                    .map(|part| part.map(|one| one.to_ascii_lowercase())),
            );
        }
    }

    pub(super) fn len(&self) -> usize {
        self.parts.len() + self.short.len()
    }

    /// Masks every part of a secret in `text`, except where `keeps` returns true.
    pub(crate) fn mask<'t>(&self, text: &'t str, keeps: impl Fn(&Found) -> bool) -> Cow<'t, str> {
        let mut masked = String::new();
        let mut rest = 0;
        for found in self.find(text) {
            if !keeps(&found) {
                masked.push_str(&text[rest..found.place.start]);
                masked.push_str(MASK);
                rest = found.place.end;
            }
        }
        if rest == 0 {
            return Cow::Borrowed(text);
        }
        masked.push_str(&text[rest..]);
        Cow::Owned(masked)
    }

    /// Returns all places in `text` that contain a part of a secret, in order and without overlaps.
    pub(crate) fn find(&self, text: &str) -> Vec<Found> {
        if self.parts.is_empty() && self.short.is_empty() {
            return Vec::new();
        }
        let layer: Vec<Decoded> = text
            .char_indices()
            .map(|(at, one)| (one, at..at + one.len_utf8()))
            .collect();
        let layers = if text.len() <= LONG_TEXT { MOST_LAYERS } else { 1 };
        let mut found = Vec::new();
        self.find_in_layers(&layer, layers, &mut found);
        merged(found)
    }

    /// Searches text that can be encoded up to `depth` times. Decodes each encoding separately, because a
    /// secret can itself look like encoded text.
    fn find_in_layers(&self, layer: &[Decoded], depth: usize, found: &mut Vec<Found>) {
        self.find_in(layer, found);
        if depth > 0 {
            for decoded in decodings(layer) {
                self.find_in_layers(&decoded, depth - 1, found);
            }
        }
    }

    fn find_in(&self, layer: &[Decoded], found: &mut Vec<Found>) {
        let place = |part: &[Decoded]| part[0].1.start..part[part.len() - 1].1.end;
        for part in layer.windows(TELLING) {
            let characters: Part = std::array::from_fn(|at| part[at].0.to_ascii_lowercase());
            if self.parts.contains(&characters) {
                found.push(Found {
                    place: place(part),
                    is_short: false,
                });
            }
        }
        for short in &self.short {
            let is_it = |part: &&[Decoded]| part.iter().map(|(one, _)| one).eq(short);
            found.extend(layer.windows(short.len()).filter(is_it).map(|part| Found {
                place: place(part),
                is_short: true,
            }));
        }
    }
}

/// Joins places that overlap or are adjacent.
fn merged(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|found| found.place.start);
    let mut merged: Vec<Found> = Vec::with_capacity(found.len());
    for next in found {
        match merged.last_mut() {
            Some(last) if next.place.start <= last.place.end => {
                last.place.end = last.place.end.max(next.place.end);
                last.is_short &= next.is_short;
            }
            _ => merged.push(next),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use base64::Engine as _;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    fn masked(secret: &str, text: &str) -> String {
        let mut filter = Filter::default();
        filter.add(secret);
        filter.mask(text, |_| false).into_owned()
    }

    #[test]
    fn parts_are_masked_in_every_encoding() {
        for text in [
            "Plover-4417",
            "over-4417",
            "Plover%2D4417",
            "%50%6c%6f%76%65%72",
            "%2550lover-4417",
            r"\x50lover-4417",
            "\\u0050lover-4417",
            r"\\u0050lover-4417",
            "UGxvdmVyLTQ0MTc=",
            "VUdsb3ZlckxUUTBNVGM6UGxvdmVyLTQ0MTc",
            "506c6f7665722d34343137",
            "506C6F7665722D34343137",
            "50:6c:6f:76:65:72:2d",
            "00000000  50 6c 6f 76 65 72 2d 34  |",
            "0x50, 0x6c, 0x6f, 0x76, 0x65, 0x72",
            "=50=6C=6F=76=65=72=2D",
            r"\120\154\157\166\145\162",
            "&#80;&#108;&#x6f;&#X76;er&#45;4417",
            "PLOVER-4417 plover-4417",
            // These are encoded twice: in base64, and then in base64, in hexadecimal or with percent signs.
            "VUd4dmRtVnlMVFEwTVRjPQ==",
            "55477876646d56794c5451304d54633d",
            "UGxvdmVy%4c%54%51%30MTc%3D",
        ] {
            assert_ne!(masked("Plover-4417", text), text, "{text}");
        }
        assert_eq!(masked("Plover-4417", "a 'Plover-4417' b"), "a '***' b");
        assert_eq!(masked("Plover-4417", "Plove -4417"), "Plove -4417");
        assert_eq!(masked("pass", "a pass, b"), "a ***, b");
        assert_eq!(masked("pä\"s", r#"{"a":"p\u00e4\"s"}"#), r#"{"a":"***"}"#);
    }

    /// Returns every encoding of a part of a secret, with other text before and after it.
    fn encodings(before: &str, part: &str, after: &str) -> Vec<String> {
        let whole = format!("{before}{part}{after}");
        let percent: String = part.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let escaped: String = part.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
        let units: String = part
            .chars()
            .map(|one| format!("\\u{{{:x}}}", u32::from(one)))
            .collect();
        vec![
            percent,
            escaped,
            units,
            serde_json::to_string(&whole).unwrap(),
            serde_json::to_string(&serde_json::to_string(&whole).unwrap()).unwrap(),
            BASE64_STANDARD.encode(&whole),
            BASE64_URL_SAFE_NO_PAD.encode(&whole),
            whole.bytes().map(|byte| format!("{byte:02x}")).collect(),
            whole.bytes().map(|byte| format!("{byte:02X}")).collect(),
            whole,
        ]
    }

    #[test]
    fn hostile_text_takes_a_limited_time() {
        let mut filter = Filter::default();
        filter.add("Plover-4417");
        for text in [
            r"%25&#37;=25\x25",
            "%25255c&#38;#92;x5c",
            "41414141 ",
            "QUFB",
            "41:41:",
        ] {
            for length in [LONG_TEXT, 32 * LONG_TEXT] {
                let began = Instant::now();
                filter.find(&text.repeat(length / text.len()));
                // The limit is generous, because the test might be an unoptimised build on a busy machine.
                assert!(began.elapsed().as_secs() < 10, "{text} {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_part_of_a_secret_gets_past(
            secret in "[ -~]{6,40}|[ -~äß€😀]{6,20}",
            from in 0_usize..30,
            before in "[ -~]{0,9}",
            after in "[ -~]{0,9}",
        ) {
            let characters: Vec<char> = secret.chars().collect();
            let from = from.min(characters.len() - TELLING);
            let part: String = characters[from..from + TELLING].iter().collect();
            let mut filter = Filter::default();
            filter.add(&secret);
            for text in encodings(&before, &part, &after) {
                let shown = filter.mask(&text, |_| false);
                prop_assert!(shown.contains(MASK), "{text}");
                prop_assert!(!shown.contains(&part), "{text}: {shown}");
            }
        }

        #[test]
        fn any_text_is_masked_without_a_panic(secret in ".{0,12}", text in ".{0,60}") {
            masked(&secret, &text);
        }

        #[test]
        fn other_text_is_unchanged(text in "[a-z0-9%\\\\=+/ ]{0,60}") {
            prop_assert_eq!(masked("PLOVER-4417-PLOVER", &text), text);
        }
    }
}

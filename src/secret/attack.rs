//! Attacks the filter that masks secrets, for the fuzz target.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::MASK;
use super::filter::{Filter, TELLING};

/// The maximum number of characters of a secret that the attack tries to reveal.
const LONGEST_TRIED: usize = 24;

/// Tries to get a part of a secret past the filter. The first half of the bytes is the secret, and the second
/// half is the text around it. Returns true if the attack fails.
pub(crate) fn fails(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).replace(MASK, "");
    let half = text.char_indices().nth(text.chars().count() / 2);
    let (secret, around) = text.split_at(half.map_or(0, |(at, _)| at));
    let mut filter = Filter::default();
    filter.add(secret);
    let secret: Vec<char> = secret.chars().take(LONGEST_TRIED).collect();
    // If the secret contained an asterisk, a mask could look like a part of the secret.
    if secret.len() < TELLING || secret.contains(&'*') {
        return true;
    }
    let is_masked = |part: &[char]| {
        let part: String = part.iter().collect();
        let whole = format!("{part}{around}");
        let encoded = |encode: fn(u8) -> String| part.bytes().map(encode).collect::<String>();
        let texts = [
            encoded(|byte| format!("%{byte:02X}")),
            encoded(|byte| format!("\\x{byte:02x}")),
            encoded(|byte| format!("{byte:02x}")),
            BASE64_STANDARD.encode(&whole),
            serde_json::Value::from(whole.as_str()).to_string(),
            whole,
        ];
        texts.iter().all(|text| {
            let masked = filter.mask(text, |_| false);
            masked != *text && !masked.contains(&part)
        })
    };
    secret.windows(TELLING).all(is_masked)
}

//! Forged cookie values, and user names in cookie values.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Returns a cookie's value with one character changed. The last characters stay the same, because an app may
/// ignore changes to padding.
pub(crate) fn changed(value: &str) -> String {
    let at = value
        .char_indices()
        .map(|(at, _)| at)
        .nth(value.chars().count() / 3)
        .unwrap_or(0);
    let mut other = value.to_owned();
    if let Some(old) = value[at..].chars().next() {
        let new = if old == 'A' { "B" } else { "A" };
        other.replace_range(at..at + old.len_utf8(), new);
    }
    other
}

/// Returns the first half of a cookie's value.
pub(crate) fn truncated(value: &str) -> String {
    value.chars().take(value.chars().count() / 2).collect()
}

/// Whether a cookie's value contains the user name as plain text, percent-encoded, in base64 or in hexadecimal.
pub(crate) fn reveals(value: &str, name: &str) -> bool {
    with_other_name(value, name, name).is_some()
}

/// Returns a cookie's value in which `name` is replaced by `other`, with the same encoding. Returns `None` if
/// [`reveals`] does not find `name`. Both names must have the same length, because the value may contain the
/// length.
pub(crate) fn with_other_name(value: &str, name: &str, other: &str) -> Option<String> {
    let plain = percent_decode_str(value).decode_utf8_lossy();
    let forged = match plain.contains(name) {
        true => plain.replace(name, other),
        false => {
            let is_digit = |letter: char| letter.is_ascii_alphanumeric() || "+/-_".contains(letter);
            let mut encoded = plain.split(|letter| !is_digit(letter));
            let (part, forged) = encoded.find_map(|part| Some((part, replaced_in(part, name, other)?)))?;
            plain.replacen(part, &forged, 1)
        }
    };
    Some(match plain == value {
        true => forged,
        false => utf8_percent_encode(&forged, NON_ALPHANUMERIC).to_string(),
    })
}

/// Replaces a name in base64 or hexadecimal digits. Returns `None` if the digits do not contain the name.
fn replaced_in(digits: &str, name: &str, other: &str) -> Option<String> {
    let replaced = |bytes: &[u8]| {
        let mut windows = bytes.windows(name.len());
        let at = windows.position(|window| window == name.as_bytes())?;
        Some([&bytes[..at], other.as_bytes(), &bytes[at + name.len()..]].concat())
    };
    let codecs = [&URL_SAFE_NO_PAD, &STANDARD_NO_PAD].into_iter();
    codecs
        .filter_map(|codec| Some(codec.encode(replaced(&codec.decode(digits).ok()?)?)))
        .next()
        .or_else(|| {
            let bytes = replaced(&from_hexadecimal(digits)?)?;
            Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        })
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    Some(
        digits?
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_and_replaced_in_any_encoding() {
        for (value, forged) in [
            ("ada", "eve"),
            ("x%61da", "xeve"),
            (
                "j%3A%7B%22user%22%3A%22ada%22%7D",
                "j%3A%7B%22user%22%3A%22eve%22%7D",
            ),
            ("eyJ1c2VyIjoiYWRhIn0.sig", "eyJ1c2VyIjoiZXZlIn0.sig"),
            ("eyJ1c2VyIjoiYWRhIn0=", "eyJ1c2VyIjoiZXZlIn0="),
            (
                "!sig?gASVFQAAAAAAAAB9lIwIdXNlcm5hbWWUjANhZGGUcy4=",
                "!sig?gASVFQAAAAAAAAB9lIwIdXNlcm5hbWWUjANldmWUcy4=",
            ),
            ("616461", "657665"),
        ] {
            assert!(reveals(value, "ada"), "{value}");
            assert_eq!(with_other_name(value, "ada", "eve").as_deref(), Some(forged));
        }
        let random = "4GZ4VGr6pVn-KbTYQ-jzN1oCkXZ9FQ4b9bbLlW2q0Aw";
        assert!(!reveals(random, "ada"));
    }

    #[test]
    fn values_with_characters_of_several_bytes_can_be_forged() {
        assert_eq!(truncated("éé日本"), "éé");
        assert_eq!(changed("é日本"), "éA本");
    }
}

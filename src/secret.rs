//! Text that must never be shown: passwords, session tokens, signing keys.

use std::fmt;

/// The text that `Debug` and `Display` show instead of the secret.
pub const MASK: &str = "***";

/// This many consecutive characters of a secret must not be shown.
const TELLING: usize = 6;

/// A string that can be read only with [`Secret::reveal`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether the text contains six consecutive characters of the secret, or all of a shorter one.
    #[must_use]
    pub fn is_shown_in(&self, text: &str) -> bool {
        let secret: Vec<char> = self.0.chars().collect();
        let size = secret.len().min(TELLING);
        size > 0
            && secret
                .windows(size)
                .any(|part| text.contains(&part.iter().collect::<String>()))
    }

    /// Returns the text with every such part of the secret masked: servers may repeat only a part of it.
    #[must_use]
    pub fn masked_in(&self, text: &str) -> String {
        if !self.is_shown_in(text) {
            return text.to_owned();
        }
        let size = self.0.chars().count().min(TELLING);
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            // The longest part of the secret with which the rest begins.
            let ends = rest.char_indices().map(|(at, one)| at + one.len_utf8());
            let part = ends.take_while(|end| self.0.contains(&rest[..*end]));
            let (length, end) = part.fold((0, 0), |(length, _), end| (length + 1, end));
            if length >= size {
                masked.push_str(MASK);
                rest = &rest[end..];
            } else {
                masked.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        masked
    }

    /// Returns the text. Use it only to send the secret to a server, never for display.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_secret_are_masked() {
        let secret = Secret::new("Plover-4417");
        for (text, masked) in [
            (
                "ERR unknown command 'AUTH' 'Plover-4417'",
                "ERR unknown command 'AUTH' '***'",
            ),
            ("'Plover-4'", "'***'"),
            ("over-4417 Plove", "*** Plove"),
            ("nothing", "nothing"),
            ("", ""),
        ] {
            assert_eq!(secret.masked_in(text), masked);
            assert_eq!(secret.is_shown_in(text), masked != text);
        }
        assert_eq!(Secret::new("é1").masked_in("xé1x"), "x***x");
        assert_eq!(Secret::new("").masked_in("text"), "text");
    }

    #[test]
    fn neither_debug_nor_display_shows_a_secret() {
        let secret = Secret::new("Plover-4417");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "*** *** Some(***)"
        );
    }
}

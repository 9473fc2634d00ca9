//! Protects text that must never be shown: passwords, session tokens and signing keys.

pub(crate) mod attack;
mod decoded;
mod decodings;
mod escapes;
mod filter;

use std::borrow::Cow;
use std::fmt;
use std::sync::{LazyLock, PoisonError, RwLock};

pub(crate) use escapes::html_entity;
pub(crate) use filter::{Filter, Found};

/// The text that `Debug` and `Display` show instead of a [`Secret`].
pub const MASK: &str = "***";

/// The secrets that are known in this run of the program. They are masked in all output.
static KNOWN: LazyLock<RwLock<Filter>> = LazyLock::new(RwLock::default);

/// The maximum number of stored parts of secrets. A normal run has a few passwords, but tests of the URL
/// parser create millions.
const MOST_KNOWN: usize = 100_000;

/// Masks the secrets of this run in `text`, except where `keeps` returns true.
pub(crate) fn mask(text: &str, keeps: impl Fn(&Found) -> bool) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    known.mask(text, keeps)
}

/// Whether a Redis setting might contain a password. `setting` is a name such as `requirepass`, or a pattern.
pub(crate) fn may_be_password_setting(setting: &[u8]) -> bool {
    let name = String::from_utf8_lossy(setting).to_ascii_lowercase();
    name.contains("pass") || name.contains("auth") || name.contains(['*', '?', '[', '\\'])
}

/// A string that can be read only with [`Secret::reveal`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Creates a secret from this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether the text contains the secret or six consecutive characters of it. Parts in percent-encoding,
    /// base64, hexadecimal or JSON are found as well.
    #[must_use]
    pub fn is_shown_in(&self, text: &str) -> bool {
        !self.filter().find(text).is_empty()
    }

    /// Returns the text with all parts of the secret masked. Like [`Self::is_shown_in`], finds parts of the
    /// secret and decodes encodings.
    #[must_use]
    pub fn masked_in(&self, text: &str) -> String {
        self.filter().mask(text, |_| false).into_owned()
    }

    fn filter(&self) -> Filter {
        let mut filter = Filter::default();
        filter.add(&self.0);
        filter
    }

    /// Masks this secret in everything that the program writes from now on.
    pub(crate) fn mask_everywhere(&self) {
        let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() + self.0.len() < MOST_KNOWN {
            secret_parts(&self.0).into_iter().for_each(|part| known.add(part));
        }
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

/// Returns the parts of a password that must not be shown. This is the whole password, except for an IAM token
/// of AWS: its signature and keys are secret, but a report may name the user, the cache and the region.
fn secret_parts(password: &str) -> Vec<&str> {
    let parts: Vec<&str> = match password.split_once("/?Action=connect&") {
        Some((_, query)) => query
            .split('&')
            .filter_map(|parameter| match parameter.split_once('=')? {
                ("X-Amz-Signature" | "X-Amz-Security-Token", value) => Some(value),
                // The value begins with the key.
                ("X-Amz-Credential", value) => value.split(['%', '/']).next(),
                _ => None,
            })
            .filter(|value| !value.is_empty())
            .collect(),
        None => Vec::new(),
    };
    let has_signature = password.contains("&X-Amz-Signature=") && !parts.is_empty();
    if has_signature { parts } else { vec![password] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_keys_and_the_signature_of_an_iam_token_are_secret() {
        let token = "shop/?Action=connect&User=ada&X-Amz-Credential=AKIAEXAMPLE%2F20250101%2Feu-west-1&\
                     X-Amz-Security-Token=IQoJb3Jp&X-Amz-Signature=5ca1ab1e";
        assert_eq!(secret_parts(token), ["AKIAEXAMPLE", "IQoJb3Jp", "5ca1ab1e"]);
        for password in ["Plover-4417", "shop/?Action=connect&User=ada", ""] {
            assert_eq!(secret_parts(password), [password]);
        }
    }

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

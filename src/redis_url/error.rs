//! Errors for URLs that cannot be used. No message contains any part of the password.

use super::suggestion::suggest;

/// The reason why a text is not a usable URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UrlError {
    /// The kind of error.
    pub kind: UrlErrorKind,
    /// What is wrong, and where.
    pub message: String,
    /// The URL that the user probably meant, with the password masked.
    pub suggestion: Option<String>,
}

/// The three `url.*` causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlErrorKind {
    /// The host, port or database is missing or unusable.
    Invalid,
    /// The scheme is not one of [`super::SCHEMES`].
    Scheme,
    /// The user or password contains a character that must be percent-encoded.
    Encoding,
}

impl UrlError {
    pub(super) fn without_suggestion(self) -> Self {
        Self {
            suggestion: None,
            ..self
        }
    }
}

pub(super) fn invalid(text: &str, message: &str) -> UrlError {
    UrlError {
        kind: UrlErrorKind::Invalid,
        message: message.to_owned(),
        suggestion: suggest(text),
    }
}

/// Word processors replace hyphens with dashes and add invisible characters, but host names are ASCII.
pub(super) fn invalid_host_character(text: &str, character: char) -> UrlError {
    let message = if character.is_alphanumeric() {
        format!("{character} is not allowed in a host name: write an international name as xn--…")
    } else {
        let code = u32::from(character);
        format!(
            "the host name contains U+{code:04X}, which only looks like a valid character: retype the name"
        )
    };
    invalid(text, &message)
}

pub(super) fn unencoded(text: &str, character: char) -> UrlError {
    let message = match character {
        '%' => "a % in the user name or password does not start an escape: write it as %25".to_owned(),
        _ => format!(
            "a {character} in the user name or password must be percent-encoded: write it as %{:02X}",
            u32::from(character)
        ),
    };
    UrlError {
        kind: UrlErrorKind::Encoding,
        message,
        suggestion: suggest(text),
    }
}

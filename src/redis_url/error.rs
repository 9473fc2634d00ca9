//! Defines the errors for URLs that cannot be used.
//!
//! The messages must not show any part of a password. They therefore repeat only single characters of the
//! URL, and the names of variables and placeholders.

/// The reason why a text is not a usable URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UrlError {
    /// The kind of error.
    pub kind: UrlErrorKind,
    /// A description of the problem, which names the affected part of the URL.
    pub message: String,
    /// The URL that the user probably meant, with the password masked. `None` if it is unknown.
    pub suggestion: Option<String>,
    /// Whether environment variables were read instead of a URL. The message then names them.
    pub is_about_variables: bool,
    /// Advice for the user if no URL can be suggested, for example where to find the right URL.
    pub advice: Option<String>,
    /// A command that the user can run to follow `advice`, if there is one.
    pub command: Option<String>,
}

/// The kind of a URL error. Each kind corresponds to one `url.*` cause of `ping`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlErrorKind {
    /// The text is not a URL, or a part such as the host or port is missing or unusable.
    Invalid,
    /// The scheme is in neither [`super::SCHEMES`] nor [`super::SENTINEL_SCHEMES`].
    Scheme,
    /// The user or password contains a character that must be percent-encoded.
    Encoding,
}

impl UrlError {
    pub(super) fn with_advice(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..self
        }
    }
}

pub(super) fn invalid(message: impl Into<String>) -> UrlError {
    error(UrlErrorKind::Invalid, message)
}

pub(super) fn error(kind: UrlErrorKind, message: impl Into<String>) -> UrlError {
    UrlError {
        kind,
        message: message.into(),
        suggestion: None,
        is_about_variables: false,
        advice: None,
        command: None,
    }
}

/// Returns the name of an invisible character, and its percent-encoded form. Returns `None` for a visible
/// character.
pub(crate) fn invisible(character: char) -> Option<(&'static str, &'static str)> {
    Some(match character {
        '\n' => ("newline", "%0A"),
        '\r' => ("carriage return", "%0D"),
        '\t' => ("tab", "%09"),
        ' ' => ("space", "%20"),
        '\u{a0}' => ("no-break space", "%C2%A0"),
        '\u{feff}' => ("byte order mark (an invisible character, U+FEFF)", "%EF%BB%BF"),
        '\u{200b}' => ("zero-width space", "%E2%80%8B"),
        other if other.is_whitespace() => ("blank", "a percent escape"),
        _ => return None,
    })
}

/// Returns the error for a character that is not allowed in a host name. Such characters can come from word
/// processors, which replace hyphens with dashes.
pub(super) fn invalid_host_character(character: char) -> UrlError {
    if character.is_alphanumeric() {
        invalid(format!(
            "the character {character} is not allowed in a host name: write an international name as xn--…"
        ))
    } else {
        let code = u32::from(character);
        invalid(format!(
            "the host name contains the character U+{code:04X}, which only looks like a valid character: type the \
             name again"
        ))
    }
}

/// Returns the error for percent escapes that are not UTF-8. Old programs encode letters such as ä as Latin-1.
pub(super) fn not_utf8() -> UrlError {
    error(
        UrlErrorKind::Encoding,
        "the percent escapes in the user name or password are not valid UTF-8 (perhaps they are Latin-1): encode the \
         user name and the password again, as UTF-8",
    )
}

pub(super) fn unencoded(character: char) -> UrlError {
    let message = match character {
        '%' => "a % in the user name or password is not part of a percent escape: write it as %25".to_owned(),
        ' ' => "a space in the user name or password must be percent-encoded: write it as %20".to_owned(),
        other if other.is_control() => format!(
            "a control character in the user name or password must be percent-encoded: write it as %{:02X}, or remove it",
            u32::from(other)
        ),
        _ => format!(
            "a {character} in the user name or password must be percent-encoded: write it as %{:02X}",
            u32::from(character)
        ),
    };
    error(UrlErrorKind::Encoding, message)
}

//! What is wrong with a URL, in words that hold no piece of its password.

use super::slips::suggest;
use super::{UrlError, UrlErrorKind};

pub(super) fn bad_host(text: &str) -> UrlError {
    invalid(text, "the host is neither a name nor an address")
}

/// Word processors make dashes of hyphens and leave characters that nobody sees; resolvers want ASCII.
pub(super) fn foreign_to_hosts(text: &str, odd: char) -> UrlError {
    let code = u32::from(odd);
    let message = if odd.is_alphanumeric() {
        format!("{odd} cannot stand in the name of a host: write an international name as xn--…")
    } else {
        format!(
            "a character that only looks right stands in the name of the host (U+{code:04X}): type the name by hand"
        )
    };
    invalid(text, &message)
}

pub(super) fn invalid(text: &str, message: &str) -> UrlError {
    UrlError {
        kind: UrlErrorKind::Invalid,
        message: message.to_owned(),
        suggestion: suggest(text),
    }
}

pub(super) fn must_be_encoded(text: &str, culprit: char) -> UrlError {
    let message = match culprit {
        '%' => "a % in the user name or password starts no escape: write it as %25".to_owned(),
        _ => format!(
            "a {culprit} in the user name or password must be percent-encoded: write it as %{:02X}",
            u32::from(culprit)
        ),
    };
    UrlError {
        kind: UrlErrorKind::Encoding,
        message,
        suggestion: suggest(text),
    }
}

//! Rejects quotes, blanks and other text that a shell or a file has added to a URL.

use crate::redis_url::UrlError;
use crate::redis_url::error::{invalid, invisible, unencoded};

/// Removes blanks, byte order marks and zero-width spaces around a text.
pub(in crate::redis_url) fn trim(text: &str) -> &str {
    text.trim_matches(|one: char| one.is_whitespace() || matches!(one, '\u{feff}' | '\u{200b}'))
}

/// Returns an error if the URL is empty, is in quotes, or contains blanks or control characters.
pub(super) fn check(text: &str) -> Result<(), UrlError> {
    let trimmed = trim(text);
    if trimmed.is_empty() {
        return Err(invalid(
            "the URL is empty; check that the variable for the URL is set",
        ));
    }
    if trimmed.starts_with(['"', '\'', '`', '\u{201c}', '<']) {
        return Err(invalid(
            "the URL is in quotes, which must not be part of the value",
        ));
    }
    if trimmed.len() < text.len() {
        return Err(invalid(blanks_around(text)));
    }
    let is_blank = |character: &char| character.is_whitespace() || character.is_control();
    let Some(blank) = text.chars().find(is_blank) else {
        return Ok(());
    };
    let (before, after) = text.split_once(blank).unwrap_or_default();
    if before.contains("://") && after.contains('@') {
        return Err(unencoded(blank));
    }
    let name = invisible(blank).map_or_else(
        || format!("control character (U+{:04X})", u32::from(blank)),
        |(name, _)| name.to_owned(),
    );
    Err(invalid(format!("the URL contains a {name}")))
}

/// Describes the blanks before and after the URL in `text`.
fn blanks_around(text: &str) -> String {
    let name = |character: Option<char>| character.and_then(invisible).map(|(name, _)| name);
    let source = |name: &str| match name {
        "newline" => ", which echo adds",
        "carriage return" => ", as in a text file from Windows",
        _ => "",
    };
    match (name(text.chars().next()), name(text.chars().last())) {
        // Lines in a Windows file end with a carriage return and a newline.
        (None, Some(_)) if text.ends_with("\r\n") => {
            "the URL ends in a carriage return and a newline, as in a text file from Windows".to_owned()
        }
        (None, Some(last)) => format!("the URL ends in a {last}{}", source(last)),
        (Some(first), None) => format!("the URL begins with a {first}"),
        (Some(first), Some(last)) => format!("the URL begins with a {first}, and ends in a {last}"),
        (None, None) => "there is a blank before or after the URL".to_owned(),
    }
}

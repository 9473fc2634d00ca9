//! Recognises variables, templates and placeholders that were not replaced by their values.

use super::super::error::invalid;
use super::super::{UrlError, UrlErrorKind};

/// Returns an error if the whole text, the user, the password or the host is a variable or a placeholder.
///
/// Only whole parts count, because a password may contain any of these characters.
pub(in crate::redis_url) fn not_filled_in(text: &str) -> Option<UrlError> {
    let text = text.trim();
    let bare = text.trim_matches(['"', '\'']);
    if is_variable(bare) || is_template(bare) {
        return Some(UrlError {
            advice: Some(
                "set the variable, and use double quotes or none around it: single quotes keep the shell from \
                 replacing it",
            ),
            ..invalid("the URL is a variable or a template that was not replaced by its value")
        });
    }
    let (_, rest) = text.split_once("://")?;
    let (login, place) = match rest.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, rest),
    };
    let (user, password) = login
        .map(|login| login.split_once(':').unwrap_or(("", login)))
        .unwrap_or_default();
    let place = super::super::parse::end_of_authority(place);
    let host = host_of(place);
    if let Some(name) = variable_name(host) {
        let of = name.map_or_else(String::new, |name| format!(" ({name})"));
        return Some(UrlError {
            advice: Some(
                "set the variable, and let the shell or the template replace it before this command runs",
            ),
            ..invalid(format!(
                "the host is a variable that was not replaced by its value{of}"
            ))
        });
    }
    if is_placeholder(host) || is_host_placeholder(host) {
        return Some(UrlError {
            advice: Some(
                "replace the placeholder with the host name that your provider or administrator gives for it",
            ),
            ..invalid(
                "the host is a placeholder that was not filled in: replace it with the endpoint of your Redis",
            )
        });
    }
    if [user, password]
        .into_iter()
        .any(|part| variable_name(part).is_some())
    {
        return Some(UrlError {
            advice: Some(
                "set the variable before this command runs; if the text is your password itself, percent-encode it \
                 ($ is %24, { is %7B, } is %7D)",
            ),
            ..invalid("the user name or the password is a variable that was not replaced by its value")
        });
    }
    let is_masked = password.len() >= 3
        && password
            .chars()
            .all(|one| matches!(one, '*' | '\u{2022}' | '\u{2026}'));
    if is_masked {
        return Some(UrlError {
            advice: Some(
                "copy the password itself from where it is stored, and percent-encode it in the URL",
            ),
            ..invalid(
                "the password is only a row of asterisks, which hides the real one: it was not filled in",
            )
        });
    }
    [user, password].into_iter().any(is_placeholder).then(|| UrlError {
        kind: UrlErrorKind::Invalid,
        advice: Some(
            "replace the placeholder, including its brackets; if it is your password itself, percent-encode it \
             (< is %3C, > is %3E, [ is %5B, ] is %5D)",
        ),
        ..invalid("the user name or the password is a placeholder that was not filled in")
    })
}

/// The host in `HOST:PORT`, even if a template in it contains a colon.
fn host_of(place: &str) -> &str {
    if place.starts_with(['$', '{', '<', '%', '#']) {
        let end = place.rfind(['}', '>', ')', '%']).map_or(0, |at| at + 1);
        if end > 1 {
            return &place[..end];
        }
    }
    place.split(':').next().unwrap_or_default()
}

/// Returns whether this is a variable, and its name if it can be shown.
#[allow(clippy::option_option)]
fn variable_name(text: &str) -> Option<Option<&str>> {
    if is_template(text) {
        return Some(None);
    }
    if !is_variable(text) {
        return None;
    }
    let name = text.trim_matches(['$', '{', '}', '(', ')', '%']);
    let is_shown = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    Some(Some(name).filter(|_| is_shown))
}

/// `$NAME`, `${NAME}`, `${NAME:-default}`, `$(NAME)`, `%NAME%`, `$env:NAME`.
fn is_variable(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    // Without braces, it may be a password that begins with a dollar sign.
    let is_upper =
        |name: &str| is_name(name) && name.len() > 2 && !name.contains(|c: char| c.is_ascii_lowercase());
    if let Some(inside) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        let name = inside.split([':', '-', '?', '.']).next().unwrap_or_default();
        return is_name(name);
    }
    if let Some(inside) = text.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')')) {
        return !inside.is_empty();
    }
    if let Some(inside) = text.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')) {
        return is_upper(inside);
    }
    if let Some(name) = text.strip_prefix("$env:") {
        return is_name(name);
    }
    text.strip_prefix('$').is_some_and(is_upper)
}

/// `{{ name }}`, `${{ name }}`, `<%= name %>`, `#{name}`, `@Microsoft.KeyVault(…)`.
fn is_template(text: &str) -> bool {
    [
        ("{{", "}}"),
        ("${{", "}}"),
        ("<%", "%>"),
        ("#{", "}"),
        ("@Microsoft.KeyVault(", ")"),
    ]
    .iter()
    .any(|(start, end)| {
        text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
    })
}

/// `<password>`, `[password]`, `{password}`, `YOUR_PASSWORD`, `PASSWORD`.
fn is_placeholder(text: &str) -> bool {
    let is_words = |words: &str| {
        words.len() >= 2
            && words
                .chars()
                .all(|one| one.is_ascii_alphabetic() || matches!(one, ' ' | '-' | '_' | '.'))
    };
    let brackets = [('<', '>'), ('[', ']'), ('{', '}')];
    let is_bracketed = brackets.iter().any(|(open, close)| {
        text.strip_prefix(*open)
            .and_then(|rest| rest.strip_suffix(*close))
            .is_some_and(is_words)
    });
    let lower = text.to_ascii_lowercase().replace(['_', ' '], "-");
    is_bracketed
        || matches!(text, "PASSWORD" | "USERNAME" | "USER")
        || (lower.starts_with("your-") && is_words(text))
}

/// Placeholders that instructions use for the reader's own endpoint.
fn is_host_placeholder(host: &str) -> bool {
    let dashed = host.to_ascii_lowercase().replace('_', "-");
    matches!(host, "HOST" | "HOSTNAME" | "ENDPOINT" | "ADDRESS")
        || (host.starts_with('<') && host.contains('>'))
        || host.contains(".xxxxxx.")
        || dashed.contains("your-")
        || dashed == "primary-endpoint"
}

//! Recognises variables, templates and placeholders that were not replaced by their values.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::super::UrlError;
use super::super::error::invalid;
use super::super::parse::end_of_authority;

/// `$NAME`, `${NAME}`, `${NAME:-default}`, `$(NAME)`, `%NAME%`, `$env:NAME`. Without braces, small letters may be part of a
/// password that begins with a dollar sign.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?:\$\{([A-Za-z_]\w*)(?:[:?.-].*)?\}|\$\((.+)\)|%([A-Z_][A-Z0-9_]{2,})%|\$env:([A-Za-z_]\w*)|\$([A-Z_][A-Z0-9_]{2,}))$",
    )
});
/// `{{ name }}`, `${{ name }}`, `<%= name %>`, `#{name}`, `@Microsoft.KeyVault(…)`.
static TEMPLATE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?s)^(?:\$?\{\{.*\}\}|<%.*%>|#\{.*\}|@Microsoft\.KeyVault\(.*\))$"));
/// `<password>`, `[password]`, `{password}`, `YOUR_PASSWORD`, `PASSWORD`.
static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?:<[A-Za-z ._-]{2,}>|\[[A-Za-z ._-]{2,}\]|\{[A-Za-z ._-]{2,}\}|PASSWORD|USERNAME|USER|(?i:your)[ _-][A-Za-z ._-]*)$",
    )
});
/// Placeholders that instructions use for the reader's own endpoint.
static HOST_PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"^(?:HOST|HOSTNAME|ENDPOINT|ADDRESS|<.*>.*|(?i:primary[_-]endpoint))$|\.xxxxxx\.|(?i:your)[_-]")
});
/// What hides a password where it is shown.
static ASTERISKS: LazyLock<Regex> = LazyLock::new(|| regex(r"^[*\u{2022}\u{2026}]{3,}$"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("this constant is a valid regex")
}

/// Returns an error if the whole text, the user, the password or the host is a variable or a placeholder.
///
/// Only whole parts count, because a password may contain any of these characters.
pub(in crate::redis_url) fn not_filled_in(text: &str) -> Option<UrlError> {
    let error = |message: String, advice| {
        Some(UrlError {
            advice: Some(advice),
            ..invalid(message)
        })
    };
    let is_variable = |text: &str| VARIABLE.is_match(text) || TEMPLATE.is_match(text);
    let text = text.trim();
    if is_variable(text.trim_matches(['"', '\''])) {
        return error(
            "the URL is a variable or a template that was not replaced by its value".into(),
            "set the variable, and use double quotes or none around it: single quotes keep the shell from replacing it",
        );
    }
    let (_, rest) = text.split_once("://")?;
    let (login, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (user, password) = login.split_once(':').unwrap_or(("", login));
    let host = host_of(end_of_authority(place));
    if is_variable(host) {
        let of = name_of(host).map_or_else(String::new, |name| format!(" ({name})"));
        return error(
            format!("the host is a variable that was not replaced by its value{of}"),
            "set the variable, and let the shell or the template replace it before this command runs",
        );
    }
    if PLACEHOLDER.is_match(host) || HOST_PLACEHOLDER.is_match(host) {
        return error(
            "the host is a placeholder that was not filled in: replace it with the endpoint of your Redis"
                .into(),
            "replace the placeholder with the host name that your provider or administrator gives for it",
        );
    }
    if [user, password].into_iter().any(is_variable) {
        return error(
            "the user name or the password is a variable that was not replaced by its value".into(),
            "set the variable before this command runs; if the text is your password itself, percent-encode it ($ is \
             %24, { is %7B, } is %7D)",
        );
    }
    if ASTERISKS.is_match(password) {
        return error(
            "the password is only a row of asterisks, which hides the real one: it was not filled in".into(),
            "copy the password itself from where it is stored, and percent-encode it in the URL",
        );
    }
    if [user, password]
        .into_iter()
        .any(|part| PLACEHOLDER.is_match(part))
    {
        return error(
            "the user name or the password is a placeholder that was not filled in".into(),
            "replace the placeholder, including its brackets; if it is your password itself, percent-encode it (< is \
             %3C, > is %3E, [ is %5B, ] is %5D)",
        );
    }
    None
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

/// The name of a variable, unless it may be anything else.
fn name_of(variable: &str) -> Option<&str> {
    let found = VARIABLE.captures(variable)?;
    let name = found.iter().skip(1).flatten().next()?.as_str();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_plain.then_some(name)
}

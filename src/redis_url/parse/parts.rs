//! Splits a URL into its parts, and decodes them.

use percent_encoding::percent_decode_str;

use crate::redis_url::error::{invalid, not_utf8, unencoded};
use crate::redis_url::{UrlError, UrlWarning};
use crate::secret::Secret;

/// The parts of `[login@]authority[/path][?query][#fragment]`, before decoding.
pub(super) struct Parts<'a> {
    pub(super) login: Option<&'a str>,
    pub(super) authority: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) fragment: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn split(rest: &'a str) -> Result<Self, UrlError> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (front, tail) = rest.split_at(end);
        if tail.contains('@') && !(may_be_host_and_port(front) && is_query_with_at_sign(tail)) {
            // The character at which the text was split is an unencoded part of the password.
            return Err(unencoded(tail.chars().next().unwrap_or('/')));
        }
        let (login, authority) = match front.rsplit_once('@') {
            Some((login, authority)) => (Some(login), authority),
            None => (None, front),
        };
        let (tail, fragment) = tail.split_once('#').unwrap_or((tail, ""));
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        Ok(Self {
            login,
            authority,
            path,
            query,
            fragment,
        })
    }
}

/// Returns the part of `rest` before the path, the query or the fragment.
pub(in crate::redis_url) fn end_of_authority(rest: &str) -> &str {
    let start = if rest.starts_with("#{") { 2 } else { 0 };
    let end = rest[start..].find(['/', '?', '#']);
    end.map_or(rest, |end| &rest[..start + end])
}

/// Whether `front` might be `HOST` or `HOST:PORT`, rather than `:password` or `user:password`.
fn may_be_host_and_port(front: &str) -> bool {
    let place = front.rsplit_once('@').map_or(front, |(_, place)| place);
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !place.ends_with(']') => (host, port),
        _ => (place, ""),
    };
    !host.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the @ in `tail` belongs to the value of an option, as in `/0?email=a@b`, rather than to the login.
pub(in crate::redis_url) fn is_query_with_at_sign(tail: &str) -> bool {
    tail.split_once('?').is_some_and(|(path, query)| {
        path.trim_matches('/').chars().all(|c| c.is_ascii_digit())
            && query.contains('=')
            && query.find('=') < query.find('@')
    })
}

pub(super) fn parse_login(login: Option<&str>) -> Result<(Option<String>, Option<Secret>), UrlError> {
    let login = login.unwrap_or_default();
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (user, password) = (decode(user)?, decode(password)?);
    let user = (!user.is_empty()).then_some(user);
    let password = (!password.is_empty()).then(|| Secret::new(password));
    Ok((user, password))
}

pub(super) fn warnings(
    parts: &Parts<'_>,
    user: Option<&str>,
    password: Option<&Secret>,
    understood: &[&str],
) -> Vec<UrlWarning> {
    let mut warnings = Vec::new();
    if parts.login.is_some_and(|login| login.contains('@')) {
        warnings.push(UrlWarning::AtSignInPassword);
    }
    // Show only text that looks like an option name. Other text might be part of a password that contains a
    // ?.
    let is_option_name = |name: &str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        !name.is_empty() && name.chars().all(is_allowed)
    };
    let options: Vec<String> = url::form_urlencoded::parse(parts.query.as_bytes())
        .map(|(name, _)| name.into_owned())
        .filter(|name| is_option_name(name))
        .collect();
    if !options.iter().all(|name| understood.contains(&name.as_str())) {
        warnings.push(UrlWarning::IgnoredOptions(options));
    }
    match password {
        None if user.is_some() => warnings.push(UrlWarning::UserWithoutPassword),
        // An IAM token contains percent-encoding even after it has been decoded, so it causes no warning.
        Some(password)
            if escapes(password.reveal()) > 0 && !password.reveal().contains("?Action=connect") =>
        {
            warnings.push(UrlWarning::EncodedTwice);
        }
        _ => {}
    }
    warnings
}

pub(super) fn parse_db(path: &str) -> Result<u64, UrlError> {
    match path.trim_matches('/') {
        "" => Ok(0),
        db => db
            .parse()
            .map_err(|_| invalid("the part after the last slash must be a database number, such as /0")),
    }
}

/// Decodes percent-encoding. Returns an error if a % is not the start of an escape sequence, or if the result
/// is not UTF-8.
pub(super) fn decode(part: &str) -> Result<String, UrlError> {
    if part.matches('%').count() != escapes(part) {
        return Err(unencoded('%'));
    }
    let decoded = percent_decode_str(part).decode_utf8();
    Ok(decoded.map_err(|_| not_utf8())?.into_owned())
}

/// Returns how many % characters are followed by two hexadecimal digits.
fn escapes(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_escape = |at: usize| {
        let digits = bytes.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    text.match_indices('%').filter(|(at, _)| is_escape(*at)).count()
}

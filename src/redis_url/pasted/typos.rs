//! Reads a URL with typos. Keeps the parts that are certain, and does not guess the missing parts.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;

use super::super::SCHEMES;
use super::super::error::invalid;
use super::super::intended::IntendedUrl;
use super::super::parse::{is_host, is_query_with_at_sign, port_after_dot};
use super::{Meaning, is_full_host, schemes};
use crate::secret::Secret;

/// The maximum number of digits in a database number. A longer number is treated as a typo.
const MOST_DIGITS: usize = 9;

/// Reads a text that is probably a URL with typos. Returns `None` if the text might be something else.
pub(super) fn read(text: &str) -> Option<Meaning> {
    if let Some(url) = socket(text) {
        return Some(url.into());
    }
    let (tls, rest, has_scheme) = split_scheme(text);
    if !has_scheme && (rest.contains(char::is_whitespace) || (rest.contains('=') && !rest.contains('@'))) {
        return None;
    }
    if let Some(meaning) = cut_off(rest) {
        return Some(meaning);
    }
    // Without a scheme, WORD:DIGITS@… is ambiguous: it can start with a host and a port, or with a login.
    let second = rest.split([':', '@']).nth(1).unwrap_or_default();
    let is_number = !second.is_empty() && second.bytes().all(|byte| byte.is_ascii_digit());
    if !has_scheme && rest.contains('@') && is_number {
        return None;
    }
    let mut meant = place(rest, tls)?;
    if !has_scheme {
        // Without a scheme, a single word might be anything, even a password.
        let host = meant.hosts.first().map_or("", |(host, _)| host);
        let is_certain = is_full_host(host) || rest.contains(':') || host.parse::<Ipv6Addr>().is_ok();
        if !is_certain {
            return None;
        }
        meant = meant.with_tls_if_needed();
    }
    Some(meant.into())
}

/// Recognises a URL that ends within the login, such as `redis://user:password`. A possible cause is a comma
/// or a # in the password.
fn cut_off(rest: &str) -> Option<Meaning> {
    let (before, after) = rest.split_once(':')?;
    let is_port_like = after.bytes().all(|byte| byte.is_ascii_digit());
    let is_cut = !rest.contains(['@', '/', '?', '[', ',']) && !is_port_like;
    (is_cut && !is_full_host(before) && !after.contains(':')).then(|| {
        let error = invalid(
            "the URL is incomplete: there is no host after the login, or the port is not a number (perhaps a comma or a # \
             in the password has cut the URL off)",
        );
        Meaning::new(error, None)
    })
}

/// Recognises `/run/redis.sock`, `unix:/run/redis.sock` and `redis:///run/redis.sock`.
pub(super) fn socket(text: &str) -> Option<IntendedUrl> {
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    let path = rest.trim_start_matches('/');
    let is_one = scheme.ends_with("unix") || path.ends_with(".sock");
    let is_path = match rest.len() - path.len() {
        // Two slashes are followed by a host.
        0 | 2 => false,
        // unix:/// is correct, so something else must be wrong.
        slashes => slashes == 1 || !scheme.ends_with("unix"),
    };
    // A single word after unix: might be part of a login.
    let is_certain = path.contains('/') || path.ends_with(".sock");
    (is_one && is_path && is_certain && !path.contains([':', '@'])).then(|| IntendedUrl {
        socket: Some(format!("/{path}")),
        ..IntendedUrl::default()
    })
}

/// Splits off the scheme. Returns whether the scheme requires TLS, the rest of the text, and whether the text
/// contains `://`.
fn split_scheme(text: &str) -> (bool, &str, bool) {
    if let Some((scheme, rest)) = text.split_once("://") {
        // In redis:///HOST, there is one slash too many.
        return (schemes::says_tls(scheme), rest.trim_start_matches('/'), true);
    }
    // Accept redis:/HOST, redis:HOST, redis//HOST, redis;//HOST and redis:\\HOST. In redis:6379, redis is the
    // host.
    const SEPARATORS: [char; 4] = [':', '/', ';', '\\'];
    let end = text.find(SEPARATORS).unwrap_or(text.len());
    let (scheme, rest) = text.split_at(end);
    let place = rest.trim_start_matches(SEPARATORS);
    let is_port = place.starts_with(|first: char| first.is_ascii_digit())
        && place.chars().all(|c| c.is_ascii_digit() || c == '/');
    if SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) && !place.is_empty() && !is_port {
        return (schemes::says_tls(scheme), place, false);
    }
    (false, text.trim_start_matches('/'), false)
}

/// Reads `user:password` or `password`.
pub(super) fn login(login: &str) -> IntendedUrl {
    let (user, password) = login.split_once(':').unwrap_or(("", login));
    // If the user name contains one of these characters, the whole text might be a password that contains a
    // colon.
    let is_certain = !user.contains(['/', '?', '#', '%', ' ', ',', '"', '\'', '@']);
    let (user, password) = if is_certain { (user, password) } else { ("", login) };
    IntendedUrl {
        user: (!user.is_empty()).then(|| user.to_owned()),
        password: (!password.is_empty()).then(|| secret(password)),
        ..IntendedUrl::default()
    }
}

/// Splits `[login@]place`.
fn split_login(rest: &str) -> (IntendedUrl, &str) {
    match rest.rsplit_once('@') {
        Some((before, place)) => (login(before), place),
        None => (IntendedUrl::default(), rest),
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(percent_decode_str(text).decode_utf8_lossy())
}

/// Reads `[login@]host[:port][/db][?options]`. Returns `None` if the host is uncertain.
pub(super) fn place(rest: &str, tls: bool) -> Option<IntendedUrl> {
    let (rest, query) = split_query(rest)?;
    let (mut url, place) = split_login(rest);
    // HOST:PORT@… and HOST:PORT:…@… are ambiguous.
    if url.user.as_deref().is_some_and(is_full_host) {
        return None;
    }
    let place = to_typed_characters(place);
    let (host, port, path) = split_host(&place)?;
    let path_only = path.trim_start_matches('/');
    let db: String = path_only.chars().take_while(char::is_ascii_digit).collect();
    // A single word might be a part of a login that was cut off, or whose password contains an @ and a slash.
    let is_number = path.bytes().all(|byte| byte.is_ascii_digit() || byte == b'/');
    let is_alone = url.password.is_none() && port.is_none() && path.is_empty();
    let is_certain = is_full_host(&host) || host.parse::<Ipv6Addr>().is_ok() || (is_number && !is_alone);
    if host.is_empty() || !is_certain {
        return None;
    }
    url.tls |= tls;
    url.hosts = vec![(host, port)];
    url.db = db.parse().ok().filter(|_| db.len() <= MOST_DIGITS);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        add_option(&mut url, &name, &value);
    }
    Some(url)
}

/// Reads `[login@]host[:port][,host…]/NAME[/db]`. Returns `None` if the name or a host is uncertain.
pub(super) fn sentinels(rest: &str, tls: bool) -> Option<IntendedUrl> {
    let (rest, _) = split_query(rest)?;
    let (mut url, place) = split_login(rest);
    let place = to_typed_characters(place);
    let (hosts, path) = place.split_once('/')?;
    let (name, db) = path.split_once('/').unwrap_or((path, ""));
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    url.tls |= tls;
    url.primary = is_name.then(|| name.to_owned());
    url.db = db.parse().ok();
    url.hosts = hosts
        .split(',')
        .map(|one| split_host(one).map(|(host, port, _)| (host, port)))
        .collect::<Option<_>>()?;
    url.primary.is_some().then_some(url)
}

/// Splits off `?name=value…`. A value can contain an @. Returns `None` if the ? might be a part of a
/// password.
fn split_query(rest: &str) -> Option<(&str, &str)> {
    let Some((front, query)) = rest.split_once('?') else {
        return Some((rest, ""));
    };
    let path = front.find('/').unwrap_or(front.len());
    if !query.contains('@') || is_query_with_at_sign(&rest[path..]) {
        return Some((front, query));
    }
    let host = front[..path].split(':').next().unwrap_or_default();
    let is_option = query.find('=') < query.find('@') && query.contains('=');
    (!is_full_host(host) && !is_option).then_some((rest, ""))
}

/// Adds the value of a query option to `url`. The names are those that PHP's session handler, Predis, Lettuce
/// and other clients use.
pub(super) fn add_option(url: &mut IntendedUrl, name: &str, value: &str) {
    let value = value.trim();
    if value.is_empty() {
        return;
    }
    match name.to_ascii_lowercase().as_str() {
        // In auth[]=user&auth[]=password, the user comes first.
        "auth[]" if url.password.is_some() && url.user.is_none() => {
            url.user = url.password.take().map(|user| user.reveal().to_owned());
            url.password = Some(Secret::new(value));
        }
        "auth" | "auth[]" | "auth[pass]" | "password" | "pass" if url.password.is_none() => {
            url.password = Some(Secret::new(value));
        }
        "user" | "username" | "auth[user]" if url.user.is_none() => url.user = Some(value.to_owned()),
        "db" | "database" => url.db = url.db.or(value.parse().ok()),
        "ssl" | "tls" => url.tls |= super::settings::is_true(value),
        _ => {}
    }
}

/// Replaces dashes with hyphens, and the wide characters of East Asian input methods with ASCII. Removes
/// invisible characters, and spaces next to a dot, colon or slash.
pub(super) fn to_typed_characters(place: &str) -> String {
    let mut typed = String::with_capacity(place.len());
    let mut spaces = false;
    for character in place.trim().chars() {
        match character {
            '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{ad}' | '\u{feff}' => {}
            space if space.is_whitespace() => spaces = true,
            other => {
                let is_separator = |one: char| matches!(one, '.' | ':' | '/');
                if spaces && !is_separator(other) && !typed.ends_with(is_separator) {
                    typed.push(' ');
                }
                spaces = false;
                typed.push(match other {
                    '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
                    '\u{3002}' | '\u{ff61}' => '.',
                    // The wide forms of ASCII characters are in the same order.
                    wide @ '\u{ff01}'..='\u{ff5e}' => {
                        char::from_u32(u32::from(wide) - 0xff01 + u32::from('!')).unwrap_or(wide)
                    }
                    other => other,
                });
            }
        }
    }
    typed
}

/// Returns the host (an IPv6 address without brackets), the port, and the path after them. Returns `None` if
/// the host is uncertain.
fn split_host(place: &str) -> Option<(String, Option<u16>, &str)> {
    let end = place.find(['/', '?', '#']).unwrap_or(place.len());
    let (authority, path) = place.split_at(end);
    // If all parts between commas are hosts, use the first. Otherwise, the comma might be a typo for a dot,
    // as in `cache,example:6379`.
    if let Some((first, others)) = authority.split_once([',', ';']) {
        let has_port_or_dot = first.contains([':', '.']);
        let are_hosts = has_port_or_dot && others.split([',', ';']).all(|other| split_host(other).is_some());
        return split_host(first)
            .filter(|_| are_hosts)
            .map(|(host, port, _)| (host, port, path));
    }
    if let Some((address, port)) = ipv6_with_port(authority) {
        return Some((address, Some(port), path));
    }
    // Ignore brackets around a host that is not an IPv6 address.
    if let Some((inside, after)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        && is_full_host(inside)
        && inside.parse::<Ipv6Addr>().is_err()
    {
        let without_brackets = format!("{inside}{after}");
        let (host, port, _) = split_host(&without_brackets)?;
        return Some((host, port, path));
    }
    let bare = authority.trim_matches(['[', ']']);
    if bare.parse::<Ipv6Addr>().is_ok() {
        return Some((bare.to_owned(), None, path));
    }
    if let Some((host, port)) = port_after_dot(authority) {
        return Some((host.to_owned(), Some(port), path));
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    // In HOST:PORT:PORT, the first port is used. Any other text after the port might be a password.
    let digits: Vec<&str> = port.split(':').collect();
    let is_certain = digits.len() == 1
        || (is_full_host(host) || digits.windows(2).all(|two| two[0] == two[1]))
            && digits.iter().all(|port| port.parse::<u16>().is_ok());
    let port = digits[0].parse().ok().filter(|port| *port != 0);
    (is_host(host) && is_certain).then(|| (host.to_owned(), port, path))
}

/// Splits an IPv6 address without brackets from its port. The last group of `fd00::1:6379` is treated as a
/// port, because it looks like a Redis port. Returns `None` if there is no port.
fn ipv6_with_port(authority: &str) -> Option<(String, u16)> {
    let (address, port) = authority.rsplit_once(':')?;
    let is_closed = address.ends_with(']');
    let looks_like_a_port = port.len() == 5 || port.starts_with("63") || port.starts_with("700");
    let address = address.trim_matches(['[', ']']);
    address.parse::<Ipv6Addr>().ok()?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (is_closed || looks_like_a_port).then(|| (address.to_owned(), port))
}

//! Suggests the URL that the user probably meant, for common typos.

use std::net::Ipv6Addr;

use super::{DEFAULT_PORT, SCHEMES};
use crate::secret::MASK;

/// The most digits of a database number.
const MOST_DIGITS: usize = 9;

/// Rebuilds a URL from unusable text, without the password.
///
/// Everything between `://` and the last `@` may be secret, even if the password seems to end earlier.
pub(super) fn suggest(text: &str) -> Option<String> {
    let bare = text
        .trim()
        .trim_matches(['"', '\'', '`', '<', '>', '\u{201c}', '\u{201d}']);
    if bare.is_empty() {
        return None;
    }
    if let Some(socket) = suggest_socket(bare) {
        return Some(socket);
    }
    let (scheme, rest) = split_scheme(bare);
    let (login, place) = match rest.rsplit_once('@') {
        Some((login, place)) => (masked_login(login), place),
        None => (String::new(), rest),
    };
    let place = to_typed_characters(place);
    let (host, tail) = split_host(&place)?;
    (!host.is_empty()).then(|| format!("{scheme}://{login}{host}{tail}"))
}

/// Recognises `/run/redis.sock`, `unix:/run/redis.sock` and `redis:///run/redis.sock`.
fn suggest_socket(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    let path = rest.trim_start_matches('/');
    let is_one = scheme.ends_with("unix") || path.ends_with(".sock");
    let is_path = match rest.len() - path.len() {
        // After two slashes comes a host, not a path.
        0 | 2 => false,
        // `unix:///` is correct, so the typo must be elsewhere.
        slashes => slashes == 1 || !scheme.ends_with("unix"),
    };
    (is_one && is_path && !path.is_empty() && !path.contains(['@', '?', '#']))
        .then(|| format!("unix:///{path}"))
}

/// Replaces all dashes with hyphens, and removes invisible characters.
fn to_typed_characters(place: &str) -> String {
    place
        .chars()
        .filter(|character| {
            !matches!(
                character,
                '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{ad}' | '\u{feff}'
            )
        })
        .map(|character| match character {
            '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            other => other,
        })
        .collect()
}

fn split_scheme(text: &str) -> (&'static str, &str) {
    let Some((scheme, rest)) = text.split_once("://") else {
        return split_incomplete_scheme(text);
    };
    // `export REDIS_URL=` or another scheme may come first.
    let scheme = scheme.rsplit([' ', '=']).next().unwrap_or(scheme);
    let is_doubled = rest
        .split_once("://")
        .is_some_and(|(inner, _)| inner.chars().all(|c| c.is_ascii_alphabetic()));
    if is_doubled {
        return split_scheme(rest);
    }
    (meant_scheme(scheme), rest)
}

/// Recognises `redis:/HOST`, `redis:HOST` and `redis//HOST`, but not `redis:6379`, which is a host and its port.
fn split_incomplete_scheme(text: &str) -> (&'static str, &str) {
    let end = text.find([':', '/']).unwrap_or(text.len());
    let (scheme, rest) = text.split_at(end);
    let place = rest.trim_start_matches([':', '/']);
    let is_port = place.starts_with(|first: char| first.is_ascii_digit())
        && place.chars().all(|c| c.is_ascii_digit() || c == '/');
    if SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) && !place.is_empty() && !is_port {
        return (meant_scheme(scheme), place);
    }
    ("redis", text.trim_start_matches('/'))
}

fn meant_scheme(scheme: &str) -> &'static str {
    let lower = scheme.to_ascii_lowercase();
    if let Some(known) = SCHEMES.iter().find(|known| **known == lower) {
        return known;
    }
    let says_tls = lower
        .split(['+', '-', '.'])
        .any(|word| matches!(word, "rediss" | "valkeys" | "tls" | "ssl"));
    // redsis and reddiss are typos of rediss.
    let is_typo = lower.starts_with('r') && lower.ends_with('s') && lower.len() > 5;
    if says_tls || is_typo { "rediss" } else { "redis" }
}

fn masked_login(login: &str) -> String {
    match login.split_once(':') {
        Some((user, _)) if is_plain_user(user) => format!("{user}:{MASK}@"),
        _ => format!(":{MASK}@"),
    }
}

/// Whether a user name can be shown. If it contains unusual characters, it may be part of a password.
fn is_plain_user(user: &str) -> bool {
    user.chars()
        .all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.'))
}

/// Returns the host (an IPv6 address in brackets), and a valid `:PORT/DB`.
fn split_host(place: &str) -> Option<(String, String)> {
    let end = place.find(['/', '?', '#']).unwrap_or(place.len());
    let (authority, path) = place.split_at(end);
    let db: String = path
        .trim_start_matches('/')
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    // Use the first of several hosts.
    let authority = authority.split(',').next().unwrap_or_default();
    if let Some((address, port)) = ipv6_with_port(authority) {
        return Some((format!("[{address}]"), tail(port, &db)));
    }
    let bare = authority.trim_matches(['[', ']']);
    if bare.parse::<Ipv6Addr>().is_ok() {
        return Some((format!("[{bare}]"), tail(DEFAULT_PORT, &db)));
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let is_host = host
        .chars()
        .all(|character| character.is_alphanumeric() || matches!(character, '-' | '.' | '_'));
    let port = port
        .parse()
        .ok()
        .filter(|port| *port != 0)
        .unwrap_or(DEFAULT_PORT);
    is_host.then(|| (host.to_owned(), tail(port, &db)))
}

/// `fd00::1:6379` is a valid address, but if its last group looks like a Redis port, treat it as one.
fn ipv6_with_port(authority: &str) -> Option<(String, u16)> {
    let (address, port) = authority.rsplit_once(':')?;
    let is_closed = address.ends_with(']');
    let looks_like_a_port = port.len() == 5 || port.starts_with("63") || port.starts_with("700");
    let address = address.trim_matches(['[', ']']);
    address.parse::<Ipv6Addr>().ok()?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (is_closed || looks_like_a_port).then(|| (address.to_owned(), port))
}

fn tail(port: u16, db: &str) -> String {
    // A number with too many digits is also a typo.
    let db = if db.is_empty() || db.len() > MOST_DIGITS {
        "0"
    } else {
        db
    };
    format!(":{port}/{db}")
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn common_typos_get_the_url_that_was_meant() {
        for (typed, meant) in [
            ("cache.example", "redis://cache.example:6379/0"),
            ("cache.example:6380", "redis://cache.example:6380/0"),
            ("\"redis://cache.example:6379\"", "redis://cache.example:6379/0"),
            ("redis//cache.example", "redis://cache.example:6379/0"),
            ("redis:/cache.example:6380", "redis://cache.example:6380/0"),
            ("rediss:cache.example", "rediss://cache.example:6379/0"),
            ("redis:6379", "redis://redis:6379/0"),
            ("/run/redis.sock", "unix:///run/redis.sock"),
            ("unix:/run/redis", "unix:///run/redis"),
            ("redis:///run/redis.sock", "unix:///run/redis.sock"),
            ("tcp://cache.sock", "redis://cache.sock:6379/0"),
            (
                "REDIS_URL=redis://cache.example/2",
                "redis://cache.example:6379/2",
            ),
            (
                "export REDIS_URL=rediss://cache.example",
                "rediss://cache.example:6379/0",
            ),
            (
                "redis://http://cache.example:6379",
                "redis://cache.example:6379/0",
            ),
            ("redis+ssl://cache.example", "rediss://cache.example:6379/0"),
            ("redis+sentinel://10.0.0.1:26379", "redis://10.0.0.1:26379/0"),
            ("redis://10.0.0.1:6379,10.0.0.2:6379", "redis://10.0.0.1:6379/0"),
            ("redis://fd00::1:6380", "redis://[fd00::1]:6380/0"),
            ("redis://fd00::1:ab", "redis://[fd00::1:ab]:6379/0"),
            (
                "redis://[fd00::1]:1/99999999999999999999",
                "redis://[fd00::1]:1/0",
            ),
            (
                "redsi://:Plover-4417@cache.example",
                "redis://:***@cache.example:6379/0",
            ),
            ("http://cache.example:6379/2", "redis://cache.example:6379/2"),
            ("https://cache.example:6379", "redis://cache.example:6379/0"),
            ("redis://fd00::1", "redis://[fd00::1]:6379/0"),
            ("redis://10.0.0.1:99999/0", "redis://10.0.0.1:6379/0"),
            (
                "redis://bob:Plover/4417-Q@10.0.0.1:6379/0",
                "redis://bob:***@10.0.0.1:6379/0",
            ),
            ("redis://:Plover#4417-Q@10.0.0.1", "redis://:***@10.0.0.1:6379/0"),
        ] {
            assert_eq!(suggest(typed).as_deref(), Some(meant), "{typed}");
        }
    }

    #[test]
    fn an_invalid_socket_url_gets_no_suggestion() {
        for typed in ["unix://", "unix:///", "unix:///run/redis.sock?db=x"] {
            assert_eq!(suggest(typed), None, "{typed}");
        }
    }

    #[test]
    fn no_part_of_a_password_is_shown_as_a_user() {
        let shown = suggest("redis://Plo#ver:4417@host").unwrap();
        assert!(!shown.contains("Plo"), "{shown}");
    }
}

//! URL slips that people really make, each answered with the URL that was probably meant.

use super::{DEFAULT_PORT, SCHEMES};

/// What stands where the password was.
const MASK: &str = "***";

/// Rebuilds what was probably meant from text that is no usable URL; the password never shows.
///
/// Whatever stands between `://` and the last `@` may hold a secret, wherever it seems to end.
pub(super) fn probably_meant(text: &str) -> Option<String> {
    let bare = text
        .trim()
        .trim_matches(['"', '\'', '`', '<', '>', '\u{201c}', '\u{201d}']);
    if bare.is_empty() {
        return None;
    }
    let (scheme, rest) = split_scheme(bare);
    let (login, place) = match rest.rsplit_once('@') {
        Some((login, place)) => (masked_login(login), place),
        None => (String::new(), rest),
    };
    let place = typed(place);
    let (host, tail) = split_host(&place)?;
    (!host.is_empty()).then(|| format!("{scheme}://{login}{host}{tail}"))
}

/// The place as somebody would type it: hyphens for all dashes, nothing that cannot be seen.
fn typed(place: &str) -> String {
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

fn split_scheme(text: &str) -> (&str, &str) {
    let Some((scheme, rest)) = text.split_once("://") else {
        return ("redis", text.trim_start_matches('/'));
    };
    let lower = scheme.to_ascii_lowercase();
    let known = SCHEMES.iter().find(|known| **known == lower);
    let meant = known
        .copied()
        .unwrap_or(if lower.ends_with('s') && lower != "redis" && lower.len() > 5 {
            "rediss"
        } else {
            "redis"
        });
    (meant, rest)
}

fn masked_login(login: &str) -> String {
    match login.split_once(':') {
        Some((user, _)) if is_plain_user(user) => format!("{user}:{MASK}@"),
        _ => format!(":{MASK}@"),
    }
}

/// A user name that can be shown: nothing in it hints that it is a piece of a password.
fn is_plain_user(user: &str) -> bool {
    user.chars()
        .all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.'))
}

/// The host, in brackets where it is an IPv6 address, and a port and database that can be used.
fn split_host(place: &str) -> Option<(String, String)> {
    let end = place.find(['/', '?', '#']).unwrap_or(place.len());
    let (authority, path) = place.split_at(end);
    let db: String = path
        .trim_start_matches('/')
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let bare = authority.trim_matches(['[', ']']);
    if bare.parse::<std::net::Ipv6Addr>().is_ok() {
        return Some((format!("[{bare}]"), tail(DEFAULT_PORT, &db)));
    }
    if let Some((address, port)) = ipv6_with_port(authority) {
        return Some((format!("[{address}]"), tail(port, &db)));
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

/// `fd00::1:6379` is an address by itself; only with a port of four or five digits is it taken for both.
fn ipv6_with_port(authority: &str) -> Option<(String, u16)> {
    let (address, port) = authority.rsplit_once(':')?;
    let address = address.trim_matches(['[', ']']);
    address.parse::<std::net::Ipv6Addr>().ok()?;
    Some((address.to_owned(), port.parse().ok()?))
}

fn tail(port: u16, db: &str) -> String {
    format!(":{port}/{}", if db.is_empty() { "0" } else { db })
}

#[cfg(test)]
mod tests {
    use super::probably_meant;

    #[test]
    fn common_slips_are_answered_with_the_url_that_was_meant() {
        for (typed, meant) in [
            ("cache.example", "redis://cache.example:6379/0"),
            ("cache.example:6380", "redis://cache.example:6380/0"),
            ("\"redis://cache.example:6379\"", "redis://cache.example:6379/0"),
            ("redis//cache.example", "redis://redis:6379/0"),
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
            assert_eq!(probably_meant(typed).as_deref(), Some(meant), "{typed}");
        }
    }

    #[test]
    fn no_piece_of_a_password_is_taken_for_a_user() {
        let shown = probably_meant("redis://Plo#ver:4417@host").unwrap();
        assert!(!shown.contains("Plo"), "{shown}");
    }
}

//! From the text of a URL to a [`Target`], or to what is wrong with it.

use std::path::PathBuf;

use super::faults::{invalid, must_be_encoded};
use super::parts::{Parts, decoded};
use super::slips::suggest;
use super::{Address, Origin, SCHEMES, Target, UrlError, UrlErrorKind, UrlWarning};

/// Longest path of a unix socket (`unix(7)`: 108 bytes with the zero at its end; 104 elsewhere).
const LONGEST_SOCKET: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

pub(super) fn parse(text: &str) -> Result<Target, UrlError> {
    refuse_wrapping(text)?;
    let (scheme, rest) = scheme_of(text)?;
    if matches!(scheme.as_str(), "unix" | "redis+unix") {
        return unix_target(text, rest);
    }
    let parts = Parts::of(text, rest)?;
    let (user, password) = parts.login(text)?;
    let mut warnings = parts.warnings();
    if user.is_some() && password.is_none() {
        warnings.push(UrlWarning::UserWithoutPassword);
    }
    if password
        .as_ref()
        .is_some_and(|password| is_encoded_twice(password.reveal()))
    {
        warnings.push(UrlWarning::EncodedTwice);
    }
    Ok(Target {
        address: parts.address(text)?,
        tls: matches!(scheme.as_str(), "rediss" | "valkeys"),
        user,
        password,
        db: parts.db(text)?,
        origin: Origin::Given,
        warnings,
    })
}

fn refuse_wrapping(text: &str) -> Result<(), UrlError> {
    if text.trim().is_empty() {
        let message =
            "the URL is empty; expected redis://HOST:6379/0 (is the variable that it comes from set?)";
        return Err(UrlError {
            suggestion: None,
            ..invalid(text, message)
        });
    }
    if text.trim().starts_with(['"', '\'', '`', '\u{201c}', '<']) {
        return Err(invalid(
            text,
            "there are quotes around the URL: they belong to the shell, not into the value",
        ));
    }
    if text.contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Err(invalid(
            text,
            "there is a blank or a control character in the URL",
        ));
    }
    Ok(())
}

fn scheme_of(text: &str) -> Result<(String, &str), UrlError> {
    let Some((scheme, rest)) = text.split_once("://") else {
        let known = SCHEMES.iter().any(|known| text.starts_with(&format!("{known}:")));
        return Err(if known {
            invalid(
                text,
                "after the scheme come a colon and two slashes, as in redis://HOST:6379/0",
            )
        } else {
            invalid(
                text,
                "the URL has no scheme: it begins with redis:// or rediss://",
            )
        });
    };
    let lower = scheme.to_ascii_lowercase();
    if SCHEMES.contains(&lower.as_str()) {
        return Ok((lower, rest));
    }
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !is_scheme {
        return Err(invalid(
            text,
            "the URL has no scheme: it begins with redis:// or rediss://",
        ));
    }
    Err(UrlError {
        kind: UrlErrorKind::Scheme,
        message: format!(
            "the scheme is {}://, which is not Redis's: redis:// is plain, rediss:// is TLS, unix:// is a socket",
            crate::sanitize::excerpt(scheme.as_bytes(), 20)
        ),
        suggestion: suggest(text),
    })
}

/// `unix://[login@]/path/to/socket[?db=N]`: here, and only here, clients agree on `db`.
fn unix_target(text: &str, rest: &str) -> Result<Target, UrlError> {
    // Only a path that begins at once may hold an @ itself; elsewhere a login ends there.
    let (login, place) = match rest.rsplit_once('@') {
        Some((login, place)) if !rest.starts_with('/') => (Some(login), place),
        _ => (None, rest),
    };
    if let Some(culprit) = login.and_then(|login| login.chars().find(|one| matches!(one, '/' | '?' | '#'))) {
        return Err(must_be_encoded(text, culprit));
    }
    let (path, query) = place.split_once('?').unwrap_or((place, ""));
    let path = decoded(text, path)?;
    if path.len() > LONGEST_SOCKET {
        let message =
            format!("the path of a socket has at most {LONGEST_SOCKET} bytes, and this one has more");
        return Err(UrlError {
            suggestion: None,
            ..invalid(text, &message)
        });
    }
    if path.trim_matches('/').is_empty() {
        let message =
            "the URL names no socket: after unix:// comes its path, as in unix:///run/redis/redis.sock";
        return Err(UrlError {
            suggestion: None,
            ..invalid(text, message)
        });
    }
    let parts = Parts {
        login,
        authority: "",
        path: "",
        query,
    };
    let (user, password) = parts.login(text)?;
    let db = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "db");
    let db = db.map_or(Ok(0), |(_, value)| {
        value
            .parse()
            .map_err(|_| invalid(text, "db must be the number of a database, as in ?db=0"))
    })?;
    let mut warnings = parts.warnings();
    warnings.retain(
        |warning| !matches!(warning, UrlWarning::IgnoredOptions(names) if names.iter().all(|name| name == "db")),
    );
    let address = Address::Unix(PathBuf::from(path));
    Ok(Target {
        address,
        tls: false,
        user,
        password,
        db,
        origin: Origin::Given,
        warnings,
    })
}

fn is_encoded_twice(password: &str) -> bool {
    let bytes = password.as_bytes();
    password.match_indices('%').any(|(at, _)| {
        bytes
            .get(at + 1..at + 3)
            .is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> UrlErrorKind {
        parse(text).expect_err(text).kind
    }

    #[test]
    fn every_form_of_url_is_read() {
        for (text, shown) in [
            ("redis://h", "redis://h:6379/0"),
            ("rediss://h:6380/2", "rediss://h:6380/2"),
            ("valkeys://h", "rediss://h:6379/0"),
            ("REDIS://h/", "redis://h:6379/0"),
            ("redis://:p@h", "redis://:***@h:6379/0"),
            ("redis://ada:p%40q@h", "redis://ada:***@h:6379/0"),
            ("redis://secret@h", "redis://***@h:6379/0"),
            ("redis://[fd00::1]:7000/1", "redis://[fd00::1]:7000/1"),
            ("redis://10.0.0.1", "redis://10.0.0.1:6379/0"),
            ("unix:///run/redis.sock", "unix:///run/redis.sock"),
            ("unix://:p@/run/redis.sock?db=3", "unix://:***@/run/redis.sock"),
        ] {
            assert_eq!(
                parse(text).map(|target| target.to_string()),
                Ok(shown.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn passwords_are_decoded_and_the_last_at_sign_ends_them() {
        let target = parse("redis://ada:p%23q@r@h").unwrap();
        assert_eq!(target.password.unwrap().reveal(), "p#q@r");
        assert_eq!(target.warnings, [UrlWarning::AtSignInPassword]);
    }

    #[test]
    fn what_is_unusable_is_told_apart() {
        for text in [
            "",
            "  ",
            "\"redis://h\"",
            "redis://",
            "redis://:6379",
            "redis://h:0",
            "redis://h:99999",
            "redis://h:x",
            "redis://h/x",
            "redis://fd00::1",
            "redis://[fd00::1",
            "redis://[x]:1",
            "redis://your-endpoint:6379",
            "redis://HOST:6379/0",
            "redis://PRIMARY_ENDPOINT:6379",
            "redis://NAME.xxxxxx.ng.0001.use1.cache.amazonaws.com:6379/0",
            "redis://${REDIS_HOST}:6379",
            "redis://$HOST",
            "redis://%HOST%:6379",
            "redis://h1:6379,h2:6379",
            "h:6379",
            "redis:h",
            "redis://a b",
            "redis://h..h",
            "redis://-h",
            "unix://",
            "redis://h/-1",
        ] {
            assert_eq!(kind(text), UrlErrorKind::Invalid, "{text}");
        }
        for text in ["http://h", "redsi://h", "redis+tls://h", "tcp://h:6379"] {
            assert_eq!(kind(text), UrlErrorKind::Scheme, "{text}");
        }
        for text in [
            "redis://:a#b@h",
            "redis://u:a/b@h",
            "redis://:a?b@h",
            "redis://:a?b=c@h",
            "redis://:a/1?b=c@h",
            "redis://u:a?b=c@h",
            "redis://:a%zz@h",
            "redis://:a%@h",
        ] {
            assert_eq!(kind(text), UrlErrorKind::Encoding, "{text}");
        }
    }

    #[test]
    fn what_a_word_processor_made_of_a_host_is_named_and_mended() {
        let fault = parse("redis://:Plover-4417@my\u{2013}cache.example\u{200b}:6379").unwrap_err();
        assert!(fault.message.contains("U+2013"), "{}", fault.message);
        assert_eq!(fault.suggestion.unwrap(), "redis://:***@my-cache.example:6379/0");
        let fault = parse("redis://bücher.example").unwrap_err();
        assert!(fault.message.contains("xn--"), "{}", fault.message);
    }

    #[test]
    fn a_port_that_stands_there_twice_is_not_taken_for_ipv6() {
        let message = |text: &str| parse(text).unwrap_err().message;
        for text in ["redis://cache.example:6379:6379", "redis://10.0.0.1:6379:6380"] {
            assert!(message(text).contains("more than one colon"), "{}", message(text));
        }
        assert!(message("redis://fd00::1:6379").contains("brackets"));
    }

    #[test]
    fn no_fault_shows_a_piece_of_the_password() {
        for text in [
            "redis://:Plover#4417@h",
            "redis://bob:Plover/4417@h",
            "redsi://:Plover-4417@h",
            "redis://:Plover?4417@h",
            "redis://bob:Plover%zz4417@h",
            "unix://:Plover/4417@/run/redis.sock",
            "redis://:Plover-4417@h:port",
            "'redis://:Plover-4417@h'",
            "bob:Plover@4417@h",
        ] {
            let fault = parse(text).expect_err(text);
            let shown = format!("{fault} {fault:?}");
            assert!(!shown.contains("Plover") && !shown.contains("4417"), "{shown}");
        }
    }

    #[test]
    fn options_that_clients_ignore_are_noticed() {
        let target = parse("redis://h/0?db=3&socket_timeout=5").unwrap();
        assert_eq!(
            target.warnings,
            [UrlWarning::IgnoredOptions(vec![
                "db".into(),
                "socket_timeout".into()
            ])]
        );
        assert_eq!(
            parse("redis://Plover-4417@h").unwrap().warnings,
            [UrlWarning::UserWithoutPassword]
        );
        assert_eq!(
            parse("redis://:a%2525@h").unwrap().warnings,
            [UrlWarning::EncodedTwice]
        );
        assert!(parse("redis://:a%25@h").unwrap().warnings.is_empty());
    }
}

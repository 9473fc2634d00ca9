//! Parses the text of a URL into a [`Target`].

mod address;
mod parts;
mod sentinel;
mod socket;
mod surroundings;

use self::address::parse_address;
use self::parts::{Parts, parse_db, parse_login, warnings};
use self::sentinel::parse_sentinel;
use self::socket::parse_unix;
use super::error::{error, invalid};
use super::{SCHEMES, SENTINEL_SCHEMES, Target, UrlError, UrlErrorKind};

pub(crate) use address::is_host;
pub(super) use address::port_after_dot;
pub(super) use parts::{end_of_authority, is_query_with_at_sign};
pub(super) use surroundings::trim;

/// Parses a URL. If it is invalid, the error does not suggest another URL.
pub(super) fn strict(text: &str) -> Result<Target, UrlError> {
    surroundings::check(text)?;
    let (scheme, rest) = split_scheme(text)?;
    if matches!(scheme.as_str(), "unix" | "redis+unix") {
        return parse_unix(rest);
    }
    let parts = Parts::split(rest)?;
    if SENTINEL_SCHEMES.contains(&scheme.as_str()) {
        return parse_sentinel(&parts, scheme.starts_with("rediss"));
    }
    let (user, password) = parse_login(parts.login)?;
    let warnings = warnings(&parts, user.as_deref(), password.as_ref(), &[]);
    let address = parse_address(parts.authority)?;
    Ok(Target {
        tls: matches!(scheme.as_str(), "rediss" | "valkeys"),
        user,
        password,
        db: parse_db(parts.path)?,
        warnings,
        ..Target::new(address)
    })
}

/// Returns the scheme in lower case, and the text after `://`.
fn split_scheme(text: &str) -> Result<(String, &str), UrlError> {
    let no_scheme = || invalid("the URL has no scheme: start it with redis:// or rediss://");
    let Some((scheme, rest)) = text.split_once("://") else {
        let is_known = SCHEMES.iter().any(|known| text.starts_with(&format!("{known}:")));
        return Err(if is_known {
            invalid("after the scheme, :// is missing, as in redis://HOST:6379/0")
        } else {
            no_scheme()
        });
    };
    let lower = scheme.to_ascii_lowercase();
    if SCHEMES.contains(&lower.as_str()) || SENTINEL_SCHEMES.contains(&lower.as_str()) {
        return Ok((lower, rest));
    }
    let is_scheme_character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        || !scheme.chars().all(is_scheme_character)
    {
        return Err(no_scheme());
    }
    // The message does not repeat the scheme, because the scheme might be part of a password.
    Err(error(
        UrlErrorKind::Scheme,
        "this is not a Redis scheme: use redis:// (plain), rediss:// (TLS) or unix:// (socket)",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis_url::UrlWarning;
    use crate::redis_url::pasted::parse_or_suggest as parse;

    fn kind(text: &str) -> UrlErrorKind {
        parse(text).expect_err(text).kind
    }

    #[test]
    fn every_form_of_url_is_parsed() {
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
            ("redis+sentinel://h/shop", "redis+sentinel://h:26379/shop/0"),
            (
                "redis-sentinel://u:p@h,i:7/shop/2",
                "redis+sentinel://u:***@h:26379,i:7/shop/2",
            ),
            (
                "rediss+sentinel://h/3?sentinelMasterId=shop",
                "rediss+sentinel://h:26379/shop/3",
            ),
        ] {
            assert_eq!(
                parse(text).map(|target| target.to_string()),
                Ok(shown.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn passwords_are_decoded_and_end_at_the_last_at_sign() {
        let target = parse("redis://ada:p%23q@r@h").unwrap();
        assert_eq!(target.password.unwrap().reveal(), "p#q@r");
        assert_eq!(target.warnings, [UrlWarning::AtSignInPassword]);
    }

    #[test]
    fn unusable_urls_get_the_right_kind_of_error() {
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
            " redis://h",
            "redis+sentinel://h",
            "redis:h",
            "redis://a b",
            "redis://a\u{7}b",
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
            "redis://:a%E4@h",
        ] {
            assert_eq!(kind(text), UrlErrorKind::Encoding, "{text}");
        }
    }

    #[test]
    fn a_percent_escape_in_latin_1_is_not_mistaken_for_an_unencoded_percent_sign() {
        let error = parse("redis://:a%E4b@h").unwrap_err();
        assert!(error.message.contains("UTF-8") && !error.message.contains("%25"));
    }

    #[test]
    fn typographic_characters_in_a_host_are_named_and_replaced() {
        let error = parse("redis://:Plover-4417@my\u{2013}cache.example\u{200b}:6379").unwrap_err();
        assert!(error.message.contains("U+2013"), "{}", error.message);
        assert_eq!(error.suggestion.unwrap(), "redis://:***@my-cache.example:6379/0");
        let error = parse("redis://bücher.example").unwrap_err();
        assert!(error.message.contains("xn--"), "{}", error.message);
    }

    #[test]
    fn a_repeated_port_is_not_mistaken_for_ipv6() {
        let message = |text: &str| parse(text).unwrap_err().message;
        for text in ["redis://cache.example:6379:6379", "redis://10.0.0.1:6379:6380"] {
            assert!(message(text).contains("more than one colon"), "{}", message(text));
        }
        assert!(message("redis://fd00::1:6379").contains("brackets"));
    }

    #[test]
    fn no_error_shows_part_of_the_password() {
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
            let error = parse(text).expect_err(text);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("Plover") && !shown.contains("4417"), "{shown}");
        }
    }

    #[test]
    fn options_that_clients_ignore_cause_a_warning() {
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

use super::*;
use proptest::prelude::*;

fn fault(url: &str) -> UrlFault {
    parse(url).expect_err(url)
}

#[test]
fn good_urls_are_read_as_written() {
    for (url, shown) in [
        ("redis://cache.example", "redis://cache.example:6379/0"),
        ("REDIS://cache.example:6380/3", "redis://cache.example:6380/3"),
        ("valkeys://cache.example", "rediss://cache.example:6379/0"),
        ("redis://:pw@h", "redis://:***@h:6379/0"),
        ("redis://bob:pw@h/", "redis://bob:***@h:6379/0"),
        ("redis://[::1]:7000/1", "redis://[::1]:7000/1"),
        ("redis://[fe80::1%25eth0]", "redis://[fe80::1%eth0]:6379/0"),
        ("redis://[fe80::1%eth0]", "redis://[fe80::1%eth0]:6379/0"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("redis+unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2"),
        ("unix://:pw@/run/redis.sock", "unix://:***@/run/redis.sock"),
        (
            "redis://h/99999999999999999999999",
            "redis://h:6379/18446744073709551615",
        ),
        ("redis://redis_1.internal.", "redis://redis_1.internal.:6379/0"),
    ] {
        assert_eq!(parse(url).expect(url).to_string(), shown);
    }
}

#[test]
fn a_slip_is_answered_with_the_url_that_was_probably_meant() {
    use UrlFaultKind::{Encoding, Invalid, Scheme};
    for (url, kind, meant) in [
        ("", Invalid, Some("redis://127.0.0.1:6379/0")),
        ("cache.example", Invalid, Some("redis://cache.example:6379/0")),
        (
            "cache.example:6380",
            Invalid,
            Some("redis://cache.example:6380/0"),
        ),
        ("localhost:6379/2", Invalid, Some("redis://localhost:6379/2")),
        ("redis:6379", Invalid, Some("redis://redis:6379/0")),
        (
            "redis:cache.example:6379",
            Invalid,
            Some("redis://cache.example:6379/0"),
        ),
        (
            "redis:/cache.example",
            Invalid,
            Some("redis://cache.example:6379/0"),
        ),
        ("/run/redis.sock", Invalid, Some("unix:///run/redis.sock")),
        ("unix:/run/redis.sock", Invalid, Some("unix:///run/redis.sock")),
        ("unix://run/redis.sock", Invalid, Some("unix:///run/redis.sock")),
        ("\"redis://h:6379\"", Invalid, Some("redis://h:6379/0")),
        ("'redis://:pw@h:6379'", Invalid, Some("redis://:***@h:6379/0")),
        ("\u{201c}redis://h\u{201d}", Invalid, Some("redis://h:6379/0")),
        ("REDIS_URL=redis://h", Invalid, Some("redis://h:6379/0")),
        ("redis://h:sixthousand/0", Invalid, Some("redis://h:6379/0")),
        ("redis://h:99999/3", Invalid, Some("redis://h:6379/3")),
        ("redis://h:0", Invalid, Some("redis://h:6379/0")),
        ("redis://h:6379/abc", Invalid, Some("redis://h:6379/0")),
        ("redis://h:6379/-1", Invalid, Some("redis://h:6379/0")),
        ("redis://:6380", Invalid, Some("redis://127.0.0.1:6380/0")),
        (
            "redis://fd77::9:6379/0",
            Invalid,
            Some("redis://[fd77::9]:6379/0"),
        ),
        ("redis://fd77::9/0", Invalid, Some("redis://[fd77::9]:6379/0")),
        ("redis://::1", Invalid, Some("redis://[::1]:6379/0")),
        ("redis://10.0.0.300", Invalid, None),
        ("redis://a..b", Invalid, None),
        ("http://h:6379/0", Scheme, Some("redis://h:6379/0")),
        ("https://h:6379/0", Scheme, Some("rediss://h:6379/0")),
        ("redsi://:pw@h:6379/0", Scheme, Some("redis://:***@h:6379/0")),
        ("redis://:a#b@h:6379/0", Encoding, Some("redis://:***@h:6379/0")),
        (
            "redis://bob:a/b@h:6379/0",
            Encoding,
            Some("redis://***:***@h:6379/0"),
        ),
        (
            "redis://bob:1/b@h:6379/0",
            Encoding,
            Some("redis://***:***@h:6379/0"),
        ),
        (
            "redis://bob:a?b@h:6379/0",
            Encoding,
            Some("redis://***:***@h:6379/0"),
        ),
        (
            "redis://bob:p@a/b@h:6379/0",
            Encoding,
            Some("redis://***:***@h:6379/0"),
        ),
        (
            "redis://bob:a%zz@h:6379/0",
            Encoding,
            Some("redis://***:***@h:6379/0"),
        ),
        (
            "redis://bob:a%@h:6379/0",
            Encoding,
            Some("redis://***:***@h:6379/0"),
        ),
        (
            "redis://bob:a b@h:6379/0",
            Encoding,
            Some("redis://***:***@h:6379/0"),
        ),
        ("rediss://:%ff@h", Encoding, Some("rediss://:***@h:6379/0")),
    ] {
        let fault = fault(url);
        assert_eq!(
            (fault.kind, fault.suggestion.as_deref()),
            (kind, meant),
            "{url}: {}",
            fault.message
        );
    }
}

#[test]
fn the_tutorials_placeholder_is_known() {
    for url in [
        "redis://your-endpoint:6379",
        "redis://<endpoint>:6379",
        "redis://$HOST:6379",
        "redis://{host}",
    ] {
        let fault = fault(url);
        assert_eq!(fault.kind, UrlFaultKind::Invalid);
        assert!(fault.message.contains("placeholder"), "{url}: {}", fault.message);
    }
}

#[test]
fn what_works_and_is_not_meant_is_noted() {
    for (url, slips) in [
        ("redis://secret@h", vec![Slip::OnlyUser]),
        ("redis://:p@ss@h", vec![Slip::AtInPassword]),
        ("redis://:p%2540ss@h", vec![Slip::EncodedTwice]),
        ("redis://h?db=3", vec![Slip::Parameter("db".into())]),
        (
            "redis://h/0?ssl_cert_reqs=none&socket_timeout=5",
            vec![
                Slip::Parameter("ssl_cert_reqs".into()),
                Slip::Parameter("socket_timeout".into()),
            ],
        ),
    ] {
        assert_eq!(parse(url).expect(url).slips, slips, "{url}");
    }
}

#[test]
fn a_user_name_alone_may_be_the_password_and_is_masked() {
    assert_eq!(
        parse("redis://Plover-4417@h").expect("a URL").to_string(),
        "redis://***@h:6379/0"
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_part_of_a_password_is_ever_shown(
        password in "[a-z/#?%:@&= ]{0,6}Qq7Zz[a-z/#?%:@&=]{0,6}",
        lead in prop::sample::select(vec!["redis://:", "redis://bob:", "rediss://", "http://x:", "\"redis://:", "unix://:", "bob:"]),
    ) {
        let url = format!("{lead}{password}@cache.example:6379/0");
        let shown = match parse(&url) {
            Ok(target) => format!("{target} {target:?}"),
            Err(fault) => format!("{fault:?}"),
        };
        prop_assert!(!shown.contains("Qq7Zz") || parse(&url).is_ok_and(|target| target.user.is_some()), "{}", shown);
    }
}

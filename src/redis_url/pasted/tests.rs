//! Checks that URL forms from the documentation of providers, clients and platforms are understood.

use super::super::UrlErrorKind;
use super::parse_or_suggest as parse;
use crate::secret::Secret;

const PASSWORD: &str = "Plover-4417";

fn suggestion(text: &str) -> Option<String> {
    match parse(text) {
        Ok(target) => Some(target.to_string()),
        Err(error) => error.suggestion,
    }
}

#[test]
fn typos_get_the_url_that_was_meant() {
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
            "redis://http://cache.example:6379",
            "redis://cache.example:6379/0",
        ),
        ("redis+ssl://cache.example", "rediss://cache.example:6379/0"),
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
        ("redsis://cache.example", "rediss://cache.example:6379/0"),
        ("http://cache.example:6379/2", "redis://cache.example:6379/2"),
        // https means TLS, so the suggestion must use TLS as well.
        ("https://cache.example:6379", "rediss://cache.example:6379/0"),
        ("redis://fd00::1", "redis://[fd00::1]:6379/0"),
        ("redis://10.0.0.1:99999/0", "redis://10.0.0.1:6379/0"),
        (
            "redis://bob:Plover/4417-Q@10.0.0.1:6379/0",
            "redis://bob:***@10.0.0.1:6379/0",
        ),
        ("redis://:Plover#4417-Q@10.0.0.1", "redis://:***@10.0.0.1:6379/0"),
        ("redis://:Plover 4417@10.0.0.1", "redis://:***@10.0.0.1:6379/0"),
        (
            "redis://cache.example:6379:6379/0",
            "redis://cache.example:6379/0",
        ),
        ("redis://cache .example:6379/0", "redis://cache.example:6379/0"),
        (
            "bob:Plover-4417@cache.example:6379/2",
            "redis://bob:***@cache.example:6379/2",
        ),
        (
            "redis+sentinel://:Plover#4417@s1:26379,s2:port/shop/2",
            "redis+sentinel://:***@s1:26379,s2:26379/shop/2",
        ),
        (
            "redis://bob:Plover-4417:cache.example:6379",
            "redis://bob:***@cache.example:6379/0",
        ),
        (
            "cache.example:6379:Plover-4417",
            "redis://:***@cache.example:6379/0",
        ),
        ("redis://10.0.0.1:6379/sessions", "redis://10.0.0.1:6379/0"),
        ("redis:///cache.example:6379", "redis://cache.example:6379/0"),
        ("redis;//cache.example:6379", "redis://cache.example:6379/0"),
        ("rediss:\\\\cache.example:6379", "rediss://cache.example:6379/0"),
        ("redis://[10.0.0.1]:6380/2", "redis://10.0.0.1:6380/2"),
        ("redis://[cache-2.example]", "redis://cache-2.example:6379/0"),
        (
            "redis://cache\u{3002}example:6379",
            "redis://cache.example:6379/0",
        ),
        (
            "redis://cache.example\u{ff1a}6380",
            "redis://cache.example:6380/0",
        ),
        (
            "\u{feff}redis://cache.example:6380/1",
            "redis://cache.example:6380/1",
        ),
        ("redis://cache.example.6380/1", "redis://cache.example:6380/1"),
        (
            "redis://:Plover-4417@10.0.0.1.6380",
            "redis://:***@10.0.0.1:6380/0",
        ),
        (
            "cmVkaXM6Ly9jYWNoZS5leGFtcGxlOjYzNzkvMA==",
            "redis://cache.example:6379/0",
        ),
        (
            "cmVkaXNzOi8vOlBsb3Zlci00NDE3QGNhY2hlLmV4YW1wbGUK",
            "rediss://:***@cache.example:6379/0",
        ),
    ] {
        assert_eq!(suggestion(typed).as_deref(), Some(meant), "{typed}");
    }
}

/// Returns the forms in `documented_forms.txt`, each with the URL that it means.
fn documented_forms() -> Vec<(String, &'static str)> {
    let (mut forms, mut lines) = (Vec::new(), Vec::new());
    for line in include_str!("documented_forms.txt").lines() {
        match line.strip_prefix("=> ") {
            Some(meant) => forms.push((std::mem::take(&mut lines).join("\n"), meant)),
            None if line.is_empty() || line.starts_with("# ") => {}
            None => lines.push(line),
        }
    }
    forms
}

#[test]
fn forms_from_documentation_keep_login_tls_port_and_database() {
    for (pasted, meant) in documented_forms() {
        assert_eq!(suggestion(&pasted).as_deref(), Some(meant), "{pasted}");
    }
}

#[test]
fn a_text_without_a_redis_server_gets_no_url() {
    for (text, kind) in [
        ("$REDIS_URL", UrlErrorKind::Invalid),
        ("${REDIS_URL}", UrlErrorKind::Invalid),
        ("{{ redis_url }}", UrlErrorKind::Invalid),
        ("%REDIS_URL%", UrlErrorKind::Invalid),
        ("redis://${REDIS_HOST}:6379/0", UrlErrorKind::Invalid),
        ("redis://{{ .Values.redis.host }}:6379/0", UrlErrorKind::Invalid),
        ("redis://:<password>@cache.example", UrlErrorKind::Invalid),
        ("redis://:[password]@cache.example", UrlErrorKind::Invalid),
        (
            "redis://default:********@cache.example:12345",
            UrlErrorKind::Invalid,
        ),
        (
            "redis://default:${{Redis.REDIS_PASSWORD}}@cache.example:12345",
            UrlErrorKind::Invalid,
        ),
        ("redis://:$REDIS_PASSWORD@cache.example", UrlErrorKind::Invalid),
        ("redis://your-endpoint:6379", UrlErrorKind::Invalid),
        ("redis://username:plover", UrlErrorKind::Invalid),
        ("redis://:6379", UrlErrorKind::Invalid),
        ("Plover-4417", UrlErrorKind::Invalid),
        ("redis://cache.example:6379/${REDIS_DB}", UrlErrorKind::Invalid),
        ("redis://cache.example:6379/$REDIS_DB", UrlErrorKind::Invalid),
        ("redis://cache.example:${REDIS_PORT}/0", UrlErrorKind::Invalid),
        ("redis://cache.example:%REDIS_PORT%", UrlErrorKind::Invalid),
        ("redis+sentinel://cache.example/{{ name }}", UrlErrorKind::Invalid),
        ("redis://undefined:6379", UrlErrorKind::Invalid),
        ("redis://:Plover-4417@None:6379/0", UrlErrorKind::Invalid),
        ("redis://cache.example:undefined/0", UrlErrorKind::Invalid),
        ("redis://cache.example:6379/None", UrlErrorKind::Invalid),
        ("redis://10.0.0.256:6379", UrlErrorKind::Invalid),
        ("redis://10.0.0.25.6:6379", UrlErrorKind::Invalid),
        ("redis://cache,example:6379", UrlErrorKind::Invalid),
        ("/run/secrets/redis_url", UrlErrorKind::Invalid),
        ("vault:secret/data/shop#REDIS_URL", UrlErrorKind::Scheme),
        ("op://shop/redis/url", UrlErrorKind::Scheme),
        (
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/redis-AbCdEf",
            UrlErrorKind::Invalid,
        ),
        ("redis://:Plover-4417cache.example:6379/0", UrlErrorKind::Invalid),
        (
            "redis://bob:Plover-4417cache.example:6379/0",
            UrlErrorKind::Invalid,
        ),
        ("redis-cli -a Plover-4417", UrlErrorKind::Invalid),
        ("redis+sentinel://10.0.0.1:26379", UrlErrorKind::Invalid),
        (
            "redis_master/s1.example:26379,s2.example:26379/0",
            UrlErrorKind::Invalid,
        ),
        ("REDIS_PROVIDER=REDISCLOUD_URL", UrlErrorKind::Invalid),
        (
            "sentinel://:Plover-4417@s1:26379;sentinel://:Plover-4417@s2:26379",
            UrlErrorKind::Invalid,
        ),
        (
            "arn:aws:elasticache:us-east-1:123456789012:replicationgroup:shop",
            UrlErrorKind::Invalid,
        ),
        ("mongodb://cache.example:27017", UrlErrorKind::Scheme),
        (
            "amqps://bob:Plover-4417@cache.example/vhost",
            UrlErrorKind::Scheme,
        ),
        (
            "https://console.aws.amazon.com/elasticache/home?region=eu-west-1#/redis/my",
            UrlErrorKind::Scheme,
        ),
        (
            "https://portal.azure.com/#@shop/resource/redis",
            UrlErrorKind::Scheme,
        ),
        ("https://redis.io/docs/latest", UrlErrorKind::Scheme),
        ("plover4417://cache.example", UrlErrorKind::Scheme),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!((error.kind, error.suggestion), (kind, None), "{text}");
    }
}

#[test]
fn unusual_names_of_hosts_are_accepted() {
    for text in [
        "redis://redis.1:6379",
        "redis://node.0",
        "redis://10.0.1",
        "redis://cache.example.6379:6380",
        "redis://vault:6379/0",
        "redis://none-of-these",
        "redis://null.example/0",
        "redis://h/0?x=${NAME}",
    ] {
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
    // These are hosts, not references to secrets.
    assert_eq!(suggestion("vault:6379").as_deref(), Some("redis://vault:6379/0"));
}

#[test]
fn a_sentinel_without_a_name_gets_a_command_that_lists_the_names() {
    let error = parse("rediss+sentinel://:Plover-4417@s1.example,s2.example").unwrap_err();
    let command = "redis-cli -h s1.example -p 26379 --tls SENTINEL MASTERS";
    assert_eq!(error.command.as_deref(), Some(command));
}

#[test]
fn a_password_that_looks_like_a_template_is_used() {
    for text in [
        "redis://:Pl<o>ver@h",
        "redis://:Plo$ver@h",
        "redis://:$ecret@h",
        "redis://:Pl{o}ver@h",
        "redis://:**@h",
    ] {
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
}

#[test]
fn no_error_and_no_suggestion_shows_a_part_of_the_password() {
    for text in [
        "redis://:Plover-4417@h:port",
        "'redis://:Plover-4417@h'",
        "redis://bob:Plover%zz-4417@h",
        "unix://:Plover-4417/x@/run/redis.sock",
        "cache.example:6380,password=Plover-4417@Plover-4417,ssl=True",
        "redis-cli -h cache.example -a 'Plover-4417@Plover-4417'",
        "redis-cli -h cache.example -p 6379 --pass Plover-4417://Plover-4417",
        "redis-cli -h Plover-4417 -h cache.example",
        "redis://cache.example:6379,password=Plover-4417/@Plover-4417",
        "cache.example:6379:Plover-4417@Plover-4417",
        "redis://Plover-4417#x:y@h",
        "Plover-4417://cache.example",
        "Plover-4417",
    ] {
        let error = parse(text).expect_err(text);
        let shown = format!("{error} {error:?}");
        assert!(!Secret::new(PASSWORD).is_shown_in(&shown), "{text}: {shown}");
    }
}

/// Changes documented forms at random, and checks that the parser does not panic. Checks that suggestions do
/// not show a part of the password, lose TLS, or contain a host that is not in the text. `PROPTEST_CASES`
/// sets the number of changed texts.
mod mutations {
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use proptest::test_runner::{Config, TestCaseError};

    use super::super::{IntendedUrl, parse_or_suggest as parse};
    use crate::secret::Secret;

    const PASSWORD: &str = "Kx7pQw9zRt2v";
    #[derive(Clone, Debug)]
    enum Change {
        Insert(Index, char),
        Delete(Index),
        Replace(Index, char),
        Swap(Index),
        Repeat(Index, Index),
        CutOff(Index),
    }

    impl Change {
        fn apply(&self, text: &mut Vec<char>) {
            if text.is_empty() {
                return;
            }
            let length = text.len();
            match self {
                Self::Insert(at, character) => text.insert(at.index(length + 1), *character),
                Self::Delete(at) => drop(text.remove(at.index(length))),
                Self::Replace(at, character) => text[at.index(length)] = *character,
                Self::Swap(at) => {
                    let at = at.index(length);
                    text.swap(at, (at + 1) % length);
                }
                Self::Repeat(from, to) => {
                    let (from, to) = (from.index(length), to.index(length));
                    let part = text[from.min(to)..from.max(to)].to_vec();
                    text.splice(to..to, part);
                }
                Self::CutOff(at) => text.truncate(at.index(length)),
            }
        }
    }

    fn change() -> impl Strategy<Value = Change> {
        let character = || {
            prop_oneof![
                select(
                    ":/@?#,;=%[]{}<>$&'\"` \n\t-_.+\\|*\u{200b}\u{2013}é0123456789"
                        .chars()
                        .collect::<Vec<_>>()
                ),
                any::<char>(),
            ]
        };
        prop_oneof![
            (any::<Index>(), character()).prop_map(|(at, one)| Change::Insert(at, one)),
            any::<Index>().prop_map(Change::Delete),
            (any::<Index>(), character()).prop_map(|(at, one)| Change::Replace(at, one)),
            any::<Index>().prop_map(Change::Swap),
            (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Repeat(from, to)),
            any::<Index>().prop_map(Change::CutOff),
        ]
    }

    /// Whether `text` contains a complete scheme or option that requires TLS.
    fn asks_for_tls(text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        let scheme = lower.split_once("://").map_or("", |(scheme, _)| scheme);
        matches!(
            scheme,
            "rediss" | "valkeys" | "https" | "tls" | "redis+ssl" | "rediss-sentinel"
        ) || text.contains("redis-cli --tls ")
    }

    fn check(text: &str) -> Result<(), TestCaseError> {
        let (shown, suggestion) = match parse(text) {
            // A valid URL gets no suggestion. Its host is shown, even if a change moved a part of the
            // password into it.
            Ok(_) => return Ok(()),
            Err(error) => {
                let shown = format!("{} {}", error.message, error.advice.clone().unwrap_or_default());
                (shown, error.suggestion)
            }
        };
        prop_assert!(!Secret::new(PASSWORD).is_shown_in(&shown), "the message: {shown}");
        let Some(suggestion) = suggestion else {
            return Ok(());
        };
        let Ok(target) = parse(&suggestion.replace("***", "x")) else {
            prop_assert!(false, "the suggestion cannot be used: {suggestion}");
            return Ok(());
        };
        let meant = IntendedUrl::from(&target);
        // If the inner URL is valid, its host is the right one.
        let inner = text.rfind("redis").map_or("", |at| &text[at..]);
        // A change can move the password into the same word as the host. A shell joins a line that ends with
        // a backslash and the next line, and removes quotes and other backslashes.
        let typed = super::super::typos::to_typed_characters(text)
            .replace("\\\n", "")
            .replace(['\\', '"', '\''], "");
        let mut words = typed.split([':', '/', '?', '#', ',', '@', '=', ' ', ';', '"', '\'']);
        let is_one_word = words.any(|word| {
            meant
                .hosts
                .iter()
                .any(|(host, _)| host == word && !PASSWORD.contains(word))
        });
        // In a URL, the word after @ or :// is the host, even if a change made that word a part of the
        // password.
        let is_in_host_place = meant.hosts.iter().any(|(host, _)| {
            ["@", "://"]
                .iter()
                .any(|before| typed.contains(&format!("{before}{host}")))
        });
        prop_assert!(
            is_one_word
                || is_in_host_place
                || parse(inner).is_ok()
                || !Secret::new(PASSWORD).is_shown_in(&suggestion),
            "shows the password: {suggestion}"
        );
        prop_assert!(
            meant.tls || !asks_for_tls(text) || meant.socket.is_some(),
            "loses TLS: {suggestion}"
        );
        for (host, _) in &meant.hosts {
            let decoded = percent_encoding::percent_decode_str(&typed).decode_utf8_lossy();
            let is_typed = [&*typed, &*decoded]
                .iter()
                .any(|typed| typed.to_lowercase().contains(&host.to_lowercase()));
            prop_assert!(is_typed, "invents a host: {suggestion}");
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

        #[test]
        fn of_documented_forms_are_safe(
            form in select(super::documented_forms()),
            changes in prop::collection::vec(change(), 0..4),
        ) {
            let text = form.0.replace(super::PASSWORD, PASSWORD);
            let mut text: Vec<char> = text.chars().collect();
            changes.iter().for_each(|change| change.apply(&mut text));
            check(&text.into_iter().collect::<String>())?;
        }
    }
}

//! Forms from the documentation of providers, clients and platforms, and the URLs that they mean.

use super::super::UrlErrorKind;
use super::super::parse::parse;
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
        // https means TLS, which must not be lost.
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
    ] {
        assert_eq!(suggestion(typed).as_deref(), Some(meant), "{typed}");
    }
}

#[test]
fn forms_from_documentation_keep_login_tls_port_and_database() {
    for (pasted, meant) in [
        // Amazon ElastiCache and MemoryDB: endpoints alone
        (
            "master.shop.x1y2z3.use1.cache.amazonaws.com:6379",
            "rediss://master.shop.x1y2z3.use1.cache.amazonaws.com:6379/0",
        ),
        (
            "shop.x1y2z3.ng.0001.use1.cache.amazonaws.com:6379",
            "redis://shop.x1y2z3.ng.0001.use1.cache.amazonaws.com:6379/0",
        ),
        (
            "redis-cli -h master.shop.x1y2z3.use1.cache.amazonaws.com --tls -a Plover-4417 -p 6379",
            "rediss://:***@master.shop.x1y2z3.use1.cache.amazonaws.com:6379/0",
        ),
        // Azure
        (
            "shop.redis.cache.windows.net:6380,password=Plover-4417=,ssl=True,abortConnect=False",
            "rediss://:***@shop.redis.cache.windows.net:6380/0",
        ),
        (
            "shop.westeurope.redis.azure.net:10000,password=Plover-4417,ssl=True,abortConnect=False",
            "rediss://:***@shop.westeurope.redis.azure.net:10000/0",
        ),
        (
            "REDIS_CONNECTION=\"shop.redis.cache.windows.net:6380,password=Plover-4417,ssl=True\"",
            "rediss://:***@shop.redis.cache.windows.net:6380/0",
        ),
        // StackExchange.Redis
        (
            "redis0:6380,redis1:6380,allowAdmin=true,user=bob,password=Plover-4417,defaultDatabase=3",
            "redis://bob:***@redis0:6380/3",
        ),
        (
            "sentinel0:26379,sentinel1:26379,serviceName=shop,password=Plover-4417,ssl=true",
            "rediss+sentinel://:***@sentinel0:26379,sentinel1:26379/shop/0",
        ),
        // Redis Cloud
        (
            "redis-cli -u redis://default:Plover-4417@redis-123.c1.us-east-1-2.ec2.redns.redis-cloud.com:12345",
            "redis://default:***@redis-123.c1.us-east-1-2.ec2.redns.redis-cloud.com:12345/0",
        ),
        // Upstash
        (
            "redis-cli --tls -u redis://default:Plover-4417@eu1-shop-123.upstash.io:6379",
            "rediss://default:***@eu1-shop-123.upstash.io:6379/0",
        ),
        (
            "UPSTASH_REDIS_REST_URL=\"https://eu1-shop-123.upstash.io\"",
            "rediss://eu1-shop-123.upstash.io:6379/0",
        ),
        // Heroku
        (
            "REDIS_URL: rediss://:Plover-4417@ec2-1-2-3-4.compute-1.amazonaws.com:9070",
            "rediss://:***@ec2-1-2-3-4.compute-1.amazonaws.com:9070/0",
        ),
        // Render
        (
            "REDISCLI_AUTH=Plover-4417 redis-cli --user red-d48g -h oregon-keyvalue.render.com -p 6379 --tls",
            "rediss://red-d48g:***@oregon-keyvalue.render.com:6379/0",
        ),
        // Railway
        (
            "REDIS_PUBLIC_URL=\"redis://default:Plover-4417@gondola.proxy.rlwy.net:12345\"",
            "redis://default:***@gondola.proxy.rlwy.net:12345/0",
        ),
        // DigitalOcean
        (
            "username = default\npassword = Plover-4417\nhost = shop.k.db.ondigitalocean.com\nport = 25061",
            "rediss://default:***@shop.k.db.ondigitalocean.com:25061/0",
        ),
        (
            "redli --tls -h shop.k.db.ondigitalocean.com -a Plover-4417 -p 25061",
            "rediss://:***@shop.k.db.ondigitalocean.com:25061/0",
        ),
        // Aiven, Scaleway, IBM Cloud
        (
            "redis-cli -u 'rediss://default:Plover-4417@shop.aivencloud.com:12345'",
            "rediss://default:***@shop.aivencloud.com:12345/0",
        ),
        (
            "redli --uri rediss://admin:Plover-4417@1a.databases.appdomain.cloud:31234/0 --certfile ca.pem",
            "rediss://admin:***@1a.databases.appdomain.cloud:31234/0",
        ),
        // Spring
        (
            "spring.data.redis.host=cache.example\nspring.data.redis.port=6380\nspring.data.redis.username=bob\nspring.data.redis.password=Plover-4417\nspring.data.redis.ssl.enabled=true\nspring.data.redis.database=2",
            "rediss://bob:***@cache.example:6380/2",
        ),
        ("spring.redis.host=cache.example", "redis://cache.example:6379/0"),
        (
            "--spring.data.redis.url=rediss://bob:Plover-4417@cache.example:6380",
            "rediss://bob:***@cache.example:6380/0",
        ),
        (
            "spring.data.redis.sentinel.master=shop\nspring.data.redis.sentinel.nodes=s1:26379,s2:26379\nspring.data.redis.password=Plover-4417",
            "redis+sentinel://:***@s1:26379,s2:26379/shop/0",
        ),
        (
            "SPRING_DATA_REDIS_HOST=cache.example SPRING_DATA_REDIS_PASSWORD=Plover-4417",
            "redis://:***@cache.example:6379/0",
        ),
        (
            "spring:\n  data:\n    redis:\n      host: cache.example\n      port: 6380\n      password: Plover-4417\n      ssl:\n        enabled: true",
            "rediss://:***@cache.example:6380/0",
        ),
        // Laravel, PHP, Predis
        (
            "REDIS_HOST=cache.example\nREDIS_PASSWORD=Plover-4417\nREDIS_PORT=6379",
            "redis://:***@cache.example:6379/0",
        ),
        (
            "REDIS_HOST=tls://cache.example REDIS_PORT=6380",
            "rediss://cache.example:6380/0",
        ),
        (
            "tcp://cache.example:6379?auth=Plover-4417",
            "redis://:***@cache.example:6379/0",
        ),
        (
            "tls://cache.example:6379?auth[]=bob&auth[]=Plover-4417&database=2",
            "rediss://bob:***@cache.example:6379/2",
        ),
        (
            "tcp://cache.example:6379?password=Plover@4417",
            "redis://:***@cache.example:6379/0",
        ),
        // Celery, Lettuce, Asynq
        ("redis+socket:///run/redis.sock", "unix:///run/redis.sock"),
        (
            "redis-sentinel://:Plover-4417@s1,s2:26380/0#shop",
            "redis+sentinel://:***@s1:26379,s2:26380/shop/0",
        ),
        (
            "rediss-sentinel://s1/2?sentinelMasterId=shop",
            "rediss+sentinel://s1:26379/shop/2",
        ),
        (
            "redis+sentinel://s1:26379,s2:26379/shop/2",
            "redis+sentinel://s1:26379,s2:26379/shop/2",
        ),
        // Docker and Kubernetes
        ("tcp://10.96.0.10:6379", "redis://10.96.0.10:6379/0"),
        ("REDIS_PORT=tcp://10.96.0.10:6379", "redis://10.96.0.10:6379/0"),
        ("redis://redis:tcp://10.96.0.10:6379", "redis://redis:6379/0"),
        (
            "redis://:Plover-4417@redis:tcp://10.96.0.10:6379",
            "redis://:***@redis:6379/0",
        ),
        (
            "docker run -e REDIS_URL=redis://:Plover-4417@redis:6379 redis-cli",
            "redis://:***@redis:6379/0",
        ),
        (
            "docker exec -it shop redis-cli -h redis -a Plover-4417",
            "redis://:***@redis:6379/0",
        ),
        (
            "redis.shop.svc.cluster.local:6379",
            "redis://redis.shop.svc.cluster.local:6379/0",
        ),
        // redis-cli
        (
            "redis-cli -h 10.0.0.1 -p 6380 --user bob --pass Plover-4417 -n 2 --tls --cacert ca.pem",
            "rediss://bob:***@10.0.0.1:6380/2",
        ),
        (
            "-h 10.0.0.1 -p 6380 -a Plover-4417",
            "redis://:***@10.0.0.1:6380/0",
        ),
        ("redis-cli -s /run/redis.sock -n 3", "unix:///run/redis.sock?db=3"),
        (
            "valkey-cli -u valkeys://bob:Plover-4417@cache.example -n 2",
            "rediss://bob:***@cache.example:6379/2",
        ),
        (
            "sessiontut ping 'redis://:Plover-4417@cache.example'",
            "redis://:***@cache.example:6379/0",
        ),
        (
            "REDIS_URL=redis://:Plover-4417@cache.example redis-cli",
            "redis://:***@cache.example:6379/0",
        ),
        // A URL in a URL, and in an assignment
        (
            "redis://redis://:Plover-4417@10.0.0.1:6379:6379",
            "redis://:***@10.0.0.1:6379/0",
        ),
        (
            "rediss://:Plover-4417@redis://10.0.0.1:6379",
            "rediss://:***@10.0.0.1:6379/0",
        ),
        ("jdbc:redis://cache.example:6379", "redis://cache.example:6379/0"),
        (
            "REDIS_URL=redis://cache.example/2",
            "redis://cache.example:6379/2",
        ),
        (
            "export REDIS_URL=rediss://cache.example",
            "rediss://cache.example:6379/0",
        ),
        (
            "REDIS_URL='rediss://bob:Plover-4417@cache.example/2'",
            "rediss://bob:***@cache.example:6379/2",
        ),
        (
            "redis://cache.example:6379,password=Plover-4417,ssl=true",
            "rediss://:***@cache.example:6379/0",
        ),
    ] {
        assert_eq!(suggestion(pasted).as_deref(), Some(meant), "{pasted}");
    }
}

#[test]
fn a_text_that_names_no_redis_gets_no_url() {
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
        ("redis://:Plover-4417cache.example:6379/0", UrlErrorKind::Invalid),
        (
            "redis://bob:Plover-4417cache.example:6379/0",
            UrlErrorKind::Invalid,
        ),
        ("redis-cli -a Plover-4417", UrlErrorKind::Invalid),
        ("redis+sentinel://10.0.0.1:26379", UrlErrorKind::Invalid),
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

/// Whatever is changed in a documented form: no panic, and no suggestion that shows a part of the password, loses TLS, or
/// names a host that the text does not contain. `PROPTEST_CASES` sets how many changes are tried.
mod mutations {
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use proptest::test_runner::{Config, TestCaseError};

    use super::super::super::parse::parse;
    use super::super::super::pasted::IntendedUrl;
    use crate::secret::Secret;

    const PASSWORD: &str = "Kx7pQw9zRt2v";
    const HOST: &str = "cache.example";

    const FORMS: [&str; 34] = [
        "redis://:PASS@HOST:6379/0",
        "rediss://bob:PASS@HOST:6380/2",
        "valkeys://bob:PASS@HOST",
        "redis+sentinel://:PASS@HOST:26379,s2.example:26379/shop/1",
        "rediss-sentinel://bob:PASS@HOST/0?sentinel_password=PASS#shop",
        "HOST:6380,password=PASS,ssl=True,abortConnect=False",
        "HOST:6380,s2.example:6380,user=bob,password=PASS,defaultDatabase=2",
        "redis-cli --tls -h HOST -p 6380 --user bob --pass PASS -n 2",
        "redis-cli -h HOST -p 6379 -a PASS",
        "redis-cli --tls -u redis://default:PASS@HOST:6379",
        "REDISCLI_AUTH=PASS redis-cli --user bob -h HOST -p 6379 --tls",
        "export REDIS_URL=\"rediss://:PASS@HOST:6379/0\"",
        "REDIS_URL: redis://h:PASS@HOST:9070",
        "docker run -e REDIS_URL=redis://:PASS@HOST:6379 shop redis-cli",
        "spring.data.redis.host=HOST\nspring.data.redis.port=6380\nspring.data.redis.password=PASS\nspring.data.redis.ssl.enabled=true",
        "SPRING_DATA_REDIS_HOST=HOST SPRING_DATA_REDIS_PASSWORD=PASS",
        "spring.data.redis.sentinel.master=shop\nspring.data.redis.sentinel.nodes=HOST:26379\nspring.data.redis.password=PASS",
        "username = default\npassword = PASS\nhost = HOST\nport = 25061",
        "REDIS_HOST=HOST\nREDIS_PASSWORD=PASS\nREDIS_PORT=6379",
        "REDIS_HOST=tls://HOST REDIS_PORT=6380 REDIS_PASSWORD=PASS",
        "tcp://HOST:6379?auth=PASS",
        "tls://HOST:6379?auth[]=bob&auth[]=PASS&database=2",
        "redis://HOST:6379?password=PASS",
        "redis://redis://:PASS@HOST:6379:6379",
        "redis://:PASS@redis:tcp://10.96.0.10:6379",
        "jdbc:redis://:PASS@HOST:6379",
        "https://bob:PASS@HOST:6379",
        "http://bob:PASS@HOST:6379",
        "redis+ssl://bob:PASS@HOST:6379",
        "bob:PASS@HOST:6379/2",
        "redis://bob:PASS:HOST:6379",
        "HOST:6379:PASS",
        "amqps://bob:PASS@HOST/vhost",
        "unix://:PASS@/run/HOST.sock?db=2",
    ];

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

    /// Whether the text asks for TLS in words that are still complete.
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
            // What the standard says is the host is the host, even if a part of the password got there.
            Ok(_) => return Ok(()),
            Err(error) => {
                let shown = format!("{} {}", error.message, error.advice.unwrap_or_default());
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
        // The URL inside may be valid; then its host is the host.
        let inner = text.rfind("redis").map_or("", |at| &text[at..]);
        // A change may put the password into the same word as the host.
        // A shell removes quotes and backslashes.
        let typed = super::super::typos::to_typed_characters(text).replace(['\\', '"', '\''], "");
        let mut words = typed.split([':', '/', '?', '#', ',', '@', '=', ' ', ';', '"', '\'']);
        let is_one_word = words.any(|word| {
            meant
                .hosts
                .iter()
                .any(|(host, _)| host == word && !PASSWORD.contains(word))
        });
        // In a URL, the word after @ or :// is the host, also if a change made a part of the password that word.
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
            form in select(FORMS.to_vec()),
            changes in prop::collection::vec(change(), 0..4),
        ) {
            let text = form.replace("PASS", PASSWORD).replace("HOST", HOST);
            let mut text: Vec<char> = text.chars().collect();
            changes.iter().for_each(|change| change.apply(&mut text));
            check(&text.into_iter().collect::<String>())?;
        }
    }
}

//! Tests that no input from outside causes a panic, or puts terminal control characters or a secret into the
//! output.
//!
//! `PROPTEST_CASES` sets the number of inputs per property. For properties with a server, a quarter of this
//! number is used.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use sessiontut::deadline::Deadline;
use sessiontut::is_valid_lesson;
use sessiontut::ping::{self, ClimbOptions, Observations, Verdict, WriteCheck};
use sessiontut::redis_url::{Target, Trust, UrlError};
use sessiontut::sanitize;
use sessiontut::untrusted::{Limits, json, markdown, measure, steps, text};

const SECRET: &str = "Plover4417";

/// Returns the usual settings, with the number of inputs divided by `part`. Failing inputs are not saved to a
/// file, but printed. Add them to the table of test cases in the module that failed.
fn config(part: u32) -> Config {
    let usual = Config::default();
    Config {
        cases: usual.cases.div_ceil(part),
        failure_persistence: None,
        ..usual
    }
}

/// Whether the text contains terminal control characters, or characters that change the direction of text.
fn controls_terminal(text: &str) -> bool {
    let is_layout = |character| character == '\n';
    text.chars().any(|character| {
        !is_layout(character) && sanitize::line(&character.to_string()).len() > character.len_utf8()
    })
}

fn is_harmless(shown: &str) -> Result<(), TestCaseError> {
    prop_assert!(
        !controls_terminal(shown),
        "controls_terminal a terminal: {shown:?}"
    );
    prop_assert!(!shown.contains(SECRET), "shows the secret: {shown}");
    Ok(())
}

/// Generates malicious or unusual text.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        select(vec![
            "\x1b[2J",
            "\x1b]0;title\x07",
            "\u{9b}31m",
            "\u{202e}",
            "\u{2066}",
            "\r",
            "\n",
            "\t",
            "\0",
            "\u{7f}",
            "%1b",
            "%00",
            "%0d%0a",
            "%",
            "%25",
            "&#27;[2J",
            "&#x9b;",
            "&NewLine;",
            "\u{feff}",
            "ünï",
            "漢字",
            "\u{301}",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,8}",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

// --- URLs -------------------------------------------------------------------------------------------------------

/// Generates malformed URLs of the kinds that people and scripts produce. Everything before the last `@` may
/// be secret.
fn url() -> impl Strategy<Value = String> {
    let scheme = prop_oneof![
        select(vec![
            "redis://",
            "rediss://",
            "valkey://",
            "valkeys://",
            "unix://",
            "redis+unix://",
            "redsi://",
            "http://",
            "",
            "redis:",
            "redis//",
            "'redis://",
            "REDIS://",
        ])
        .prop_map(str::to_owned),
        hostile(),
    ];
    let login = prop_oneof![
        Just(format!(":{SECRET}@")),
        (hostile(), hostile(), hostile()).prop_map(|(user, before, after)| {
            format!("{}:{before}{SECRET}{after}@", user.replace(':', ""))
        }),
        Just(String::new()),
    ];
    let host = prop_oneof![
        select(vec![
            "h",
            "localhost",
            "10.0.0.1",
            "[::1]",
            "::1",
            "[fe80::1%2]",
            "[::1",
            "",
            "your-endpoint",
            "x.abc123.ng.0001.use1.cache.amazonaws.com",
        ])
        .prop_map(str::to_owned),
        hostile().prop_map(|text| text.replace('@', "")),
    ];
    let tail = prop_oneof![
        select(vec![
            "",
            ":6379",
            ":6739/0",
            ":0",
            ":99999",
            "/3",
            "/-1",
            "?db=3",
            "/0?ssl_cert_reqs=none",
            "'"
        ])
        .prop_map(str::to_owned),
        hostile().prop_map(|text| text.replace('@', "")),
    ];
    (scheme, login, host, tail)
        .prop_map(|(scheme, login, host, tail)| format!("{scheme}{login}{host}{tail}"))
        // What follows unix:/// is a path, which may contain an @ but no user name or password.
        .prop_filter("the path of a socket", |url| {
            !url.to_lowercase().contains("unix:///")
        })
}

/// Returns everything that one `ping` prints, for people and for scripts.
fn everything_shown(target: &Target, seen: &Observations, verdict: &Verdict) -> Vec<String> {
    let mut shown: Vec<String> = steps(target, seen, verdict)
        .iter()
        .map(|step| words(&text::rung(step)))
        .collect();
    shown.push(words(&text::headline(target, seen, verdict)));
    shown.extend(text::details(verdict).iter().map(words));
    let report = json::render(target, seen, verdict, Duration::ZERO);
    shown.extend(strings_in(&report));
    shown.push(format!("{target} {target:?} {verdict:?}"));
    shown
}

fn words(line: &text::ReportLine) -> String {
    match line {
        text::ReportLine::Words { lead, text, .. } => format!("{lead}{text}"),
        text::ReportLine::Whole(line) => line.clone(),
    }
}

/// Returns the strings in a report, as a script would print them.
fn strings_in(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Array(items) => items.iter().flat_map(strings_in).collect(),
        serde_json::Value::Object(fields) => fields.values().flat_map(strings_in).collect(),
        _ => Vec::new(),
    }
}

fn everything_shown_of_url_error(fault: &UrlError) -> Vec<String> {
    let verdict = ping::judge_url(fault);
    let mut shown = vec![
        fault.message.clone(),
        fault.suggestion.clone().unwrap_or_default(),
        format!("{fault:?}"),
    ];
    shown.extend(text::details(&verdict).iter().map(words));
    shown.extend(strings_in(&json::render_url(fault, &verdict, Duration::ZERO)));
    shown
}

proptest! {
    #![proptest_config(config(1))]

    #[test]
    fn any_text_is_a_url_or_is_rejected_in_one_harmless_line(url in url()) {
        let shown = match Target::parse(&url) {
            Ok(target) => {
                let seen = Observations::default();
                let verdict = ping::judge(&target, &seen);
                everything_shown(&target, &seen, &verdict)
            }
            Err(fault) => {
                prop_assert!(!fault.message.is_empty() && !fault.message.contains('\n'), "{fault:?}");
                everything_shown_of_url_error(&fault)
            }
        };
        for line in shown {
            is_harmless(&line)?;
        }
    }

    #[test]
    fn any_text_is_parsed_as_a_url_without_a_panic(text in ".*") {
        if let Err(fault) = Target::parse(&text) {
            prop_assert!(!controls_terminal(&fault.message), "{fault:?}");
        }
    }
}

// --- Servers ----------------------------------------------------------------------------------------------------

/// A server that sends the same bytes on every connection, whatever it receives, and then closes the
/// connection.
struct Babbler {
    address: SocketAddr,
    script: Arc<Mutex<Vec<u8>>>,
}

impl Babbler {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Vec::new()));
        let says = script.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let script = says.lock().unwrap().clone();
                // Each connection has its own thread, because some experiments of `ping` use a second
                // connection. Errors are ignored, because the client may disconnect early.
                thread::spawn(move || {
                    let _ = stream.write_all(&script);
                    let _ = stream.shutdown(Shutdown::Write);
                    // All input is read, because unread bytes would cause a reset, and the client would lose
                    // what was sent.
                    let _ = stream.read_to_end(&mut Vec::new());
                });
            }
        });
        Self { address, script }
    }

    /// Runs `ping` with all options against a server that sends these bytes. Returns the verdict and the
    /// output.
    fn climb(&self, script: Vec<u8>) -> (Verdict, Vec<String>) {
        *self.script.lock().unwrap() = script;
        let target = Target::parse(&format!("redis://:{SECRET}@{}/1", self.address)).unwrap();
        let options = ClimbOptions {
            write_check: WriteCheck::Run,
            ..ClimbOptions::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let deadline = Deadline::after(Duration::from_secs(2));
        let climb = runtime.block_on(ping::climb(
            &target,
            &Trust::default(),
            &options,
            deadline,
            &mut |_| {},
        ));
        let verdict = ping::judge(&target, &climb.observations);
        let shown = everything_shown(&target, &climb.observations, &verdict);
        (verdict, shown)
    }
}

/// Generates valid and malformed replies.
fn reply() -> impl Strategy<Value = Vec<u8>> {
    let bulk = |text: String| {
        [
            format!("${}\r\n", text.len()).as_bytes(),
            text.as_bytes(),
            b"\r\n",
        ]
        .concat()
    };
    let names = select(vec![
        "redis_version",
        "valkey_version",
        "server_name",
        "redis_mode",
        "role",
        "cluster_enabled",
        "cluster_state",
        "maxmemory_policy",
        "maxmemory",
        "used_memory",
        "loading",
        "master_link_status",
        "master_failover_state",
        "maxclients",
        "connected_clients",
        "min_slaves_good_slaves",
        "sentinel_masters",
    ]);
    let info = proptest::collection::vec((names, hostile()), 0..6).prop_map(move |fields| {
        let lines: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}:{value}\r\n"))
            .collect();
        bulk(lines.concat())
    });
    let codes = select(vec![
        "ERR",
        "NOAUTH",
        "WRONGPASS",
        "NOPERM",
        "LOADING",
        "MOVED",
        "CLUSTERDOWN",
        "READONLY",
        "OOM",
        "MISCONF",
        "DENIED",
    ]);
    prop_oneof![
        Just(b"+OK\r\n".to_vec()),
        Just(b"+PONG\r\n".to_vec()),
        Just(b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n".to_vec()),
        info,
        hostile().prop_map(|text| format!("+{text}\r\n").into_bytes()),
        (codes, hostile()).prop_map(|(code, text)| format!("-{code} {text}\r\n").into_bytes()),
        hostile().prop_map(bulk),
        hostile().prop_map(move |text| [b"*2\r\n", bulk(text.clone()).as_slice(), &bulk(text)].concat()),
        hostile().prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..40),
        "[+:$*%~#,(!=>|_-][0-9-]{0,20}(\r\n)?".prop_map(String::into_bytes),
        select(vec![
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            b"SSH-2.0-\x1b[2J\r\n",
            b"\x15\x03\x01\x00\x02\x02\x28"
        ])
        .prop_map(<[u8]>::to_vec),
    ]
}

/// Returns replies that repeat the password.
fn echoes() -> Vec<String> {
    vec![
        format!("-ERR unknown command 'AUTH', with args beginning with: '{SECRET}'\r\n"),
        format!("-ERR unknown command 'PROXY', with args beginning with: '{SECRET}'\r\n"),
        format!("-WRONGPASS invalid username-password pair: {SECRET}\r\n"),
        format!("-NOAUTH Authentication required, not {SECRET}\r\n"),
        format!("+you said {SECRET}\r\n"),
        format!("500 unrecognized command: {SECRET}\r\n"),
        format!("*2\r\n$4\r\nAUTH\r\n$10\r\n{SECRET}\r\n"),
    ]
}

/// The text that precedes a reply that repeats the password: replies to AUTH, PING and SELECT, or an error of
/// another kind of server.
const BEFORE_THE_ECHO: [&str; 5] = [
    "",
    "+OK\r\n",
    "+OK\r\n+PONG\r\n",
    "+OK\r\n+PONG\r\n+OK\r\n",
    "-ERR unknown command '*2'\r\n",
];

/// Generates the replies of a server that repeats the password, either at once or after other replies.
fn echo() -> impl Strategy<Value = Vec<u8>> {
    (select(&BEFORE_THE_ECHO[..]), select(echoes()), hostile())
        .prop_map(|(first, echo, more)| format!("{first}{echo}{more}").into_bytes())
}

/// Generates everything that a server sends. This often begins with valid replies.
fn script() -> impl Strategy<Value = Vec<u8>> {
    let pongs = "+PONG\r\n".repeat(4);
    let polite = select(vec![
        String::new(),
        "+OK\r\n".into(),
        format!("+OK\r\n+PONG\r\n+OK\r\n{pongs}"),
    ]);
    let replies = (polite, proptest::collection::vec(reply(), 0..12))
        .prop_map(|(polite, replies)| [polite.as_bytes(), &replies.concat()].concat());
    prop_oneof![3 => replies, 1 => echo()]
}

#[test]
fn a_repeated_password_is_masked_in_every_place_of_the_replies() {
    let server = Babbler::start();
    for before in BEFORE_THE_ECHO {
        for echo in echoes() {
            let (_, shown) = server.climb(format!("{before}{echo}").into_bytes());
            let leak = shown.iter().find(|line| line.contains(SECRET));
            assert_eq!(leak, None, "{before:?} {echo:?}");
        }
    }
}

#[test]
fn the_report_is_harmless_whatever_the_server_sends() {
    let server = Babbler::start();
    let mut runner = TestRunner::new(config(4));
    runner
        .run(&script(), |script| {
            let (_, shown) = server.climb(script);
            shown.iter().try_for_each(|line| is_harmless(line))
        })
        .unwrap();
}

proptest! {
    #![proptest_config(config(1))]

    #[test]
    fn the_length_of_a_reply_does_not_depend_on_how_it_is_split(bytes in script(), cut in any::<prop::sample::Index>()) {
        let limits = Limits { bytes: 256, depth: 3 };
        let whole = measure(&bytes, limits);
        if let Ok(Some(length)) = whole {
            prop_assert!(length <= bytes.len() && length <= limits.bytes);
            // Additional bytes must be ignored, and if bytes are missing, the reply must be reported as
            // incomplete.
            prop_assert_eq!(measure(&bytes[..length], limits), whole);
            let part = cut.index(length);
            prop_assert_eq!(measure(&bytes[..part], limits), Ok(None));
        }
    }
}

// --- Lessons ----------------------------------------------------------------------------------------------------

fn lesson() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        select(vec![
            "# T",
            "## S",
            "> P",
            "```redis",
            "```quiz",
            "```sh run",
            "```python from=a#b",
            "```",
            "> PING",
            "PONG",
            "- [x] a",
            ": why",
            "| a | b |",
            "|---|---|",
            "* a",
            "1. b",
            "    code",
            "<details>",
            "</details>",
            "[a](b \"c\")",
            "**a *b** c*",
            "![a](b)",
            "<b>",
            "&amp;",
            "",
        ])
        .prop_map(str::to_owned),
        hostile(),
        hostile().prop_map(|text| format!("`{text}` **{text}** [{text}](<{text}>)")),
        hostile().prop_map(|text| format!("# {text}")),
        hostile().prop_map(|text| format!("```{text}")),
        hostile().prop_map(|text| format!("| {text} | {text} |")),
    ];
    proptest::collection::vec(line, 0..30).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(config(1))]

    #[test]
    fn an_untrusted_lesson_is_displayed_without_harm(source in lesson(), width in 0_usize..100) {
        // Turn off the program's own colours, because they would hide colours that the lesson contains.
        colored::control::set_override(false);
        for line in markdown::lines(&source, width) {
            // Tabs in code are kept.
            prop_assert!(!controls_terminal(&line.replace('\t', " ")) && !line.contains('\n'), "{line:?}");
        }
        for line in markdown::wrapped(&source, width) {
            prop_assert!(!controls_terminal(&line), "{line:?}");
        }
        // Errors are expected. Only a panic fails the test.
        let _ = is_valid_lesson("01-t.md", &source);
    }
}

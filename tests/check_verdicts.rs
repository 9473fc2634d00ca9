//! Tests the verdicts of `sessiontut check` on apps that are correct but unusual, and on apps that use
//! session libraries.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use support::check::{do_all, failed, grade, grade_with, node_app, python_app, text, with_result};
use support::ports::free_port;
use support::process::required;
use support::{RedisServer, tools};

/// A peculiarity in `tests/unusual_apps/app.py`, the options that `check` needs, the checks that cannot be
/// judged, and the advice that `check` gives.
type Peculiarity = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

#[rustfmt::skip]
const PECULIARITIES: &[Peculiarity] = &[
    ("301", &[], &[], &[]),
    ("302", &[], &[], &[]),
    ("CSRF", &[], &[], &[]),
    ("HTTP/1.0", &[], &[], &[]),
    ("IPv6 only", &[], &[], &[]),
    ("JSON", &["--logged-in", "\"user\"", "--visits", r#""visits":\s*(\d+)"#], &[], &[]),
    // In this app, the number on the page is not the reply to a command. If the connection breaks while a key
    // is watched, redis-py reports a WatchError, so the app counts the visit again.
    (
        "JSON value",
        &[],
        &["number-is-hincrbys-reply"],
        &["visit-is-one-round-trip", "lost-reply-is-not-repeated"],
    ),
    ("Lua", &[], &[], &[]),
    ("RESP3", &[], &[], &[]),
    ("always secure", &[], &[], &[]),
    ("busy once", &[], &[], &[]),
    ("chunked", &[], &[], &[]),
    ("compression", &[], &[], &[]),
    ("cookie name", &[], &[], &[]),
    ("counter for all", &[], &[], &[]),
    ("ends the old session later", &[], &[], &[]),
    ("hexadecimal", &[], &[], &[]),
    ("keep-alive off", &[], &[], &[]),
    ("language in a cookie", &[], &[], &[]),
    ("lazy session", &[], &[], &[]),
    ("logout by script", &[], &[], &[]),
    ("no GET of the logout", &[], &[], &[]),
    ("one thread", &[], &[], &[]),
    ("quoted cookie", &[], &[], &[]),
    ("rate limit", &[], &[], &[]),
    ("redirects to the login", &[], &[], &[]),
    ("retries", &[], &[], &["lost-reply-is-not-repeated"]),
    ("rotates at each request", &[], &[], &[]),
    ("signature in a second cookie", &[], &[], &[]),
    ("signed id", &[], &[], &[]),
    ("slow start", &[], &[], &[]),
    ("small pool", &[], &[], &[]),
    ("sub-path", &[], &[], &[]),
    ("tombstone", &[], &[], &[]),
    ("two keys", &[], &[], &[]),
];

#[test]
fn right_apps_pass_however_unusual_they_are() {
    let redis = RedisServer::start();
    do_all(PECULIARITIES, |(peculiarity, options, unknown, advice)| {
        let url = format!("http://127.0.0.1:{}/shop", free_port());
        let at_sub_path = ["--url", &url];
        let options = match *peculiarity {
            "sub-path" => &at_sub_path[..],
            _ => options,
        };
        let app = python_app("tests/unusual_apps/app.py", &[peculiarity]);
        let report = grade_with(options, &app, 4, 2, &redis.url());
        let found = [
            failed(&report, "must"),
            with_result(&report, "not-judged", "must"),
            failed(&report, "advice"),
        ];
        let expected = [&[], *unknown, *advice].map(|ids| ids.iter().copied().collect::<BTreeSet<_>>());
        match found == expected {
            true => Ok(()),
            false => Err(format!("{peculiarity}: {found:?} instead of {expected:?}")),
        }
    });
}

/// Koa's signed cookies consist of two cookies. If the value is the user name, a forged value can be equal to the
/// value of the user.
#[test]
fn a_name_with_its_signature_in_a_second_cookie_passes_stage_1() {
    let redis = RedisServer::start();
    let app = python_app(
        "tests/unusual_apps/app.py",
        &["signature in a second cookie", "name in the cookie"],
    );
    let report = grade(&app, 1, 2, &redis.url());
    assert_eq!(failed(&report, "must"), BTreeSet::new(), "{report:#}");
}

/// The checks that an app with a session library fails, and the advice that `check` gives.
type Faults = (&'static [&'static str], &'static [&'static str]);

#[test]
fn the_faults_of_session_libraries_are_named() {
    let redis = RedisServer::start();
    let express = node_app("tests/session_libraries/connect-redis", "connect-redis");
    let express = vec![
        text(&required("node", "nodejs")),
        text(&express.path().join("app.js")),
    ];
    let libraries: [(&str, Vec<String>, Faults); 4] = [
        // This library saves the session with SET, even if the session was deleted in the meantime.
        (
            "Flask-Session",
            python_app("tests/session_libraries/flask_session_app.py", &[]),
            (
                &["held-request-revives-nothing"],
                &["key-is-not-the-token", "unavailable-is-503"],
            ),
        ),
        // This library checks that the session exists and then saves it, but not in a single step. If Redis
        // does not reply, the library uses an empty session. It opens one connection per thread, and
        // runserver starts one thread per request.
        (
            "Django",
            python_app("tests/session_libraries/django_app.py", &[]),
            (
                &["held-request-revives-nothing"],
                &[
                    "connections-are-reused",
                    "unavailable-is-503",
                    "value-is-not-a-pickle",
                ],
            ),
        ),
        (
            "connect-redis",
            express,
            (
                &["held-request-revives-nothing"],
                &["key-is-not-the-token", "logout-deletes-the-cookie"],
            ),
        ),
        // This library saves the session with SET XX, which does not create a key.
        (
            "tower-sessions",
            vec![text(&tools::tower_sessions_app())],
            (&[], &["key-is-not-the-token"]),
        ),
    ];
    do_all(libraries, |(library, app, (must, advice))| {
        let report = grade_with(&["--only-stage"], &app, 4, 2, &redis.url());
        let found = [failed(&report, "must"), failed(&report, "advice")];
        let expected = [must, advice].map(|ids| ids.iter().copied().collect::<BTreeSet<_>>());
        match found == expected && with_result(&report, "not-judged", "must").is_empty() {
            true => Ok(()),
            false => Err(format!(
                "{library}: {found:?} instead of {expected:?}: {report:#}"
            )),
        }
    });
}

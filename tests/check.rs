//! Tests that `sessiontut check` passes correct apps, and finds each mistake in wrong ones.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use regex_lite::Regex;
use serde_json::Value;
use support::check::{
    arguments, do_all, failed, grade, grade_with, in_project, node_app, python_app, results, text,
};
use support::golden::assert_golden;
use support::ports::free_port;
use support::process::{Process, required};
use support::program::SESSIONTUT;
use support::wait::wait_for;
use support::{App, Authority, Cluster, Home, RedisServer, Stunnel, tools};

/// A mistake in `tests/wrong_apps/app.py`, its stage, the check that must fail, and further checks that fail
/// as a consequence.
type Mistake = (&'static str, u8, &'static str, &'static [&'static str]);

#[rustfmt::skip]
const MISTAKES: &[Mistake] = &[
    ("name unescaped", 1, "name-is-shown-escaped", &[]),
    ("unsigned cookie", 1, "bad-cookies-are-ignored", &[]),
    ("unsigned JSON cookie", 1, "bad-cookies-are-ignored", &[]),
    ("optional signature", 1, "bad-cookies-are-ignored", &[]),
    ("bad cookie is an error", 1, "bad-cookies-are-ignored", &[]),
    ("not HttpOnly", 1, "cookie-is-httponly", &[]),
    ("logout does nothing", 1, "logout-logs-out", &[]),
    ("logout redirects with 307", 1, "logout-logs-out", &[]),
    ("no logout", 1, "routes-answer", &["logout-logs-out"]),
    ("login leads elsewhere", 1, "login-leads-home", &[]),
    ("login does not redirect home", 1, "login-leads-home", &[]),
    ("redirect with 307", 1, "login-leads-home", &[]),
    ("visit fails", 4, "login-leads-home", &["name-is-shown-escaped", "bad-cookies-are-ignored"]),
    ("cookie for the login only", 1, "login-leads-home", &[]),
    ("login never answers", 1, "login-leads-home", &[]),
    ("second cookie is trusted", 1, "bad-cookies-are-ignored", &[]),
    ("second login is ignored", 1, "second-login-changes-the-name", &[]),
    ("starts at 0", 2, "visits-count-up", &["number-is-hincrbys-reply"]),
    ("in memory", 2, "restarted-app-continues", &["number-is-hincrbys-reply"]),
    ("one key for all", 2, "two-names-two-counters", &["visits-count-up"]),
    ("get-add-set", 2, "simultaneous-visits-all-count", &["number-is-hincrbys-reply"]),
    ("GET and SET", 2, "simultaneous-visits-all-count", &["number-is-hincrbys-reply"]),
    ("counts twice", 2, "visits-count-up",
        &["two-names-two-counters", "simultaneous-visits-all-count", "restarted-app-continues"]),
    ("count in the cookie", 2, "visits-count-up",
        &["number-is-hincrbys-reply", "simultaneous-visits-all-count"]),
    ("reads the number again", 2, "number-is-hincrbys-reply", &[]),
    ("no TTL", 3, "keys-have-a-ttl",
        &["no-moment-without-a-ttl", "visits-refresh-the-ttl", "cut-visit-leaves-a-ttl", "count-restarts-after-the-ttl"]),
    ("EXPIRE first", 3, "keys-have-a-ttl",
        &["no-moment-without-a-ttl", "cut-visit-leaves-a-ttl"]),
    ("two commands", 3, "cut-visit-leaves-a-ttl", &["no-moment-without-a-ttl"]),
    ("pipeline without MULTI", 3, "no-moment-without-a-ttl", &["cut-visit-leaves-a-ttl"]),
    ("EXPIRE first in MULTI", 3, "no-moment-without-a-ttl",
        &["keys-have-a-ttl", "cut-visit-leaves-a-ttl"]),
    ("another key without a TTL", 3, "keys-have-a-ttl",
        &["no-moment-without-a-ttl", "cut-visit-leaves-a-ttl"]),
    ("TTL only at login", 3, "visits-refresh-the-ttl", &[]),
    ("TTL in milliseconds", 3, "visits-count-up",
        &["number-is-hincrbys-reply", "restarted-app-continues", "simultaneous-visits-all-count", "two-names-two-counters"]),
    ("TTL only on the first visit", 3, "visits-refresh-the-ttl", &[]),
    ("token is the name", 4, "cookie-reveals-nothing", &["bad-cookies-are-ignored"]),
    ("token is a digest of the name", 4, "cookie-reveals-nothing", &[]),
    ("token is the time", 4, "cookie-reveals-nothing", &[]),
    ("token in the URL", 4, "login-leads-home", &[]),
    ("second cookie with the name", 4, "cookie-reveals-nothing", &[]),
    ("token is a counter", 4, "cookie-reveals-nothing", &[]),
    ("short token", 4, "cookie-reveals-nothing", &[]),
    ("token is adopted", 4, "brought-token-is-not-adopted", &["login-changes-the-token"]),
    ("no rotation", 4, "login-changes-the-token", &[]),
    ("old session stays", 4, "login-changes-the-token", &[]),
    ("logout only deletes the cookie", 4, "logout-ends-the-session", &[]),
    ("logout deletes another key", 4, "logout-ends-the-session", &[]),
    ("looks before it counts", 4, "held-request-revives-nothing", &[]),
    ("load and save", 4, "held-request-revives-nothing",
        &["simultaneous-visits-all-count", "number-is-hincrbys-reply"]),
    ("made-up token leaves a key", 4, "made-up-token-leaves-no-key", &["held-request-revives-nothing"]),
    ("session for everyone", 4, "visit-without-cookie-creates-no-key", &[]),
    ("TTL forgotten at a visit", 4, "any-access-refreshes-the-ttl",
        &["visits-refresh-the-ttl", "active-visitor-stays-logged-in"]),
    ("TTL forgotten at login", 4, "keys-have-a-ttl",
        &["no-moment-without-a-ttl", "cut-visit-leaves-a-ttl", "cut-login-leaves-nothing"]),
    ("login in two commands", 4, "cut-login-leaves-nothing", &["no-moment-without-a-ttl"]),
    ("cookie is not renewed", 4, "active-visitor-stays-logged-in", &[]),
    ("login ignores errors", 4, "login-waits-for-redis", &["cut-login-leaves-nothing"]),
    ("no timeout", 4, "answers-while-redis-is-silent", &[]),
    ("long timeout", 4, "answers-while-redis-is-silent", &[]),
    ("crash without Redis", 4, "recovers-without-a-restart", &["answers-while-redis-is-silent"]),
    ("no decode_responses", 4, "name-is-shown-escaped", &["second-login-changes-the-name", "visits-count-up"]),
];

/// Like the table above, for `tests/wrong_apps/app.js`, which is always at stage 4.
const MISTAKES_IN_NODE: &[Mistake] = &[
    (
        "no error listener",
        4,
        "recovers-without-a-restart",
        &["answers-while-redis-is-silent"],
    ),
    ("no reconnect", 4, "recovers-without-a-restart", &[]),
    (
        "login does not wait",
        4,
        "login-waits-for-redis",
        &["cut-login-leaves-nothing"],
    ),
    ("no timeout", 4, "answers-while-redis-is-silent", &[]),
];

/// Mistakes for which `check` gives only advice, with the ID of that advice.
const ADVICE: &[(&str, u8, &str)] = &[
    ("no SameSite", 1, "cookie-has-samesite"),
    ("SameSite=None", 1, "cookie-has-samesite"),
    ("page is stored", 1, "pages-are-not-stored"),
    ("no prefix", 2, "keys-have-a-prefix"),
    ("retries", 4, "lost-reply-is-not-repeated"),
    ("key is the token", 4, "key-is-not-the-token"),
    ("logout by link", 4, "logout-needs-a-post"),
    ("logout by prefetch", 4, "prefetch-does-not-log-out"),
    ("cookie stays", 4, "logout-deletes-the-cookie"),
    ("500", 4, "unavailable-is-503"),
    ("looks up nothing", 4, "visit-without-cookie-sends-nothing"),
    ("client per request", 4, "connections-are-reused"),
    ("KEYS", 4, "no-commands-over-all-keys"),
    ("SCAN", 4, "no-commands-over-all-keys"),
    ("pickle", 4, "value-is-not-a-pickle"),
    ("prints tokens", 4, "output-contains-no-token"),
];

#[test]
fn each_mistake_fails_its_own_check() {
    let redis = RedisServer::start();
    do_all(MISTAKES, |(mistake, stage, check, further)| {
        let report = grade(&wrong_app(*stage, mistake), *stage, 2, &redis.url());
        let failed = failed(&report, "must");
        let is_right = failed.contains(check) && failed.iter().all(|id| id == check || further.contains(id));
        match is_right {
            true => Ok(()),
            false => Err(format!("{mistake}: {check} must fail, and {failed:?} failed")),
        }
    });
}

/// Many client libraries return bytes instead of text, so the page does not show the name that Redis has
/// returned. The reason then names the setting to change. If the name is missing for another reason, this
/// advice must not appear.
#[test]
fn bytes_instead_of_text_are_the_reason_only_if_redis_returned_the_name() {
    let redis = RedisServer::start();
    for (mistake, is_named) in [("no decode_responses", true), ("name unescaped", false)] {
        let report = grade(&wrong_app(4, mistake), 4, 2, &redis.url());
        let check = results(&report)
            .find(|check| check["id"] == "name-is-shown-escaped")
            .unwrap();
        assert_eq!(check["result"], "fails", "{report:#}");
        let why = check["why"].as_str().unwrap();
        assert_eq!(why.contains("decode_responses"), is_named, "{mistake}: {why}");
    }
}

#[test]
fn each_mistake_in_node_fails_its_own_check() {
    let redis = RedisServer::start();
    let folder = node_app("tests/wrong_apps", "express");
    let app = |mistake: &str| {
        let file = text(&folder.path().join("app.js"));
        vec![text(&required("node", "nodejs")), file, mistake.to_owned()]
    };
    let nothing = grade(&app(""), 4, 2, &redis.url());
    for kind in ["must", "advice"] {
        assert_eq!(failed(&nothing, kind), BTreeSet::new(), "{nothing:#}");
    }
    do_all(MISTAKES_IN_NODE, |(mistake, stage, check, further)| {
        let report = grade(&app(mistake), *stage, 2, &redis.url());
        let failed = failed(&report, "must");
        match failed.contains(check) && failed.iter().all(|id| id == check || further.contains(id)) {
            true => Ok(()),
            false => Err(format!("{mistake}: {check} must fail, and {failed:?} failed")),
        }
    });
}

#[test]
fn each_flaw_leads_to_advice() {
    let redis = RedisServer::start();
    do_all(ADVICE, |(flaw, stage, check)| {
        let report = grade(&wrong_app(*stage, flaw), *stage, 2, &redis.url());
        let (must, advice) = (failed(&report, "must"), failed(&report, "advice"));
        match must.is_empty() && advice.contains(check) {
            true => Ok(()),
            false => Err(format!(
                "{flaw}: {check} is advice, and {must:?} and {advice:?} failed"
            )),
        }
    });
}

#[test]
fn the_app_without_mistakes_passes_everything() {
    let redis = RedisServer::start();
    for stage in 1..=4 {
        let report = grade(&wrong_app(stage, ""), stage, 2, &redis.url());
        for kind in ["must", "advice"] {
            assert_eq!(failed(&report, kind), BTreeSet::new(), "{report}");
        }
    }
}

#[test]
fn the_examples_and_our_own_app_pass() {
    let redis = RedisServer::start();
    let express = node_app("examples/express", "express");
    let mut jobs = Vec::new();
    for stage in 1..=4 {
        let commands = [
            python_app(&format!("examples/flask/stage{stage}.py"), &[]),
            vec![
                text(&required("node", "nodejs")),
                text(&express.path().join(format!("stage{stage}.js"))),
            ],
            vec![text(&tools::axum_example(stage))],
            vec![text(&tools::go_example(stage))],
            vec![
                "sh".into(),
                "-c".into(),
                format!(
                    "PHP_CLI_SERVER_WORKERS=8 exec php -S 127.0.0.1:$PORT {}",
                    text(&in_project(&format!("examples/php/stage{stage}.php")))
                ),
            ],
            vec![
                text(&required("ruby", "ruby")),
                text(&in_project(&format!("examples/sinatra/stage{stage}.rb"))),
            ],
            vec![
                "sh".into(),
                "-c".into(),
                format!("exec {SESSIONTUT} serve --stage {stage} --listen 127.0.0.1:$PORT"),
            ],
        ];
        jobs.extend(commands.map(|command| (stage, command)));
    }
    do_all(jobs, |(stage, command)| {
        let report = grade(&command, stage, 10, &redis.url());
        match failed(&report, "must").is_empty() {
            true => Ok(()),
            false => Err(format!("{command:?}: {report:#}")),
        }
    });
}

#[test]
fn the_keys_of_another_program_are_not_judged() {
    let redis = RedisServer::start();
    let _other = App::start(&redis.url(), &[]);
    let app = format!("exec {SESSIONTUT} serve --ttl 2 --listen 127.0.0.1:$PORT");
    let app = ["sh".to_owned(), "-c".to_owned(), app];
    let report = grade_with(&["--only-stage"], &app, 4, 2, &redis.url());
    assert_eq!(failed(&report, "must"), BTreeSet::new(), "{report:#}");
}

#[test]
fn ctrl_c_leaves_no_process_no_proxy_and_no_key() {
    let (home, redis, port) = (Home::new(), RedisServer::start(), free_port());
    let running = home
        .sessiontut(arguments(4, 2, port, &[], &wrong_app(4, "")))
        .redis(&redis.url())
        .start();
    wait_for("a session", || (!redis.keys().is_empty()).then_some(()));
    running.interrupt();
    running.finish().expect(130);
    assert_eq!(redis.keys(), [""; 0]);
    assert!(
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(),
        "the app still runs"
    );
}

#[test]
fn an_app_that_does_not_start_is_reported_with_its_output() {
    let command = ["sh", "-c", "echo no module named flask; exit 3"].map(str::to_owned);
    let (home, redis) = (Home::new(), RedisServer::start());
    let finished = home
        .sessiontut(arguments(4, 2, free_port(), &[], &command))
        .redis(&redis.url())
        .run()
        .expect(1);
    assert!(
        finished.stderr.contains("no module named flask"),
        "{}",
        finished.stderr
    );
}

/// Returns a program that accepts connections, but does not respond.
fn silent_app() -> Vec<String> {
    let script = "import os, socket, time\n\
                  listener = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\n\
                  time.sleep(600)";
    vec![text(&tools::python()), "-c".into(), script.into()]
}

#[test]
fn an_app_that_never_responds_is_not_visited_for_each_check() {
    let (home, redis) = (Home::new(), RedisServer::start());
    let started = Instant::now();
    let finished = home
        .sessiontut(arguments(4, 2, free_port(), &[], &silent_app()))
        .redis(&redis.url())
        .run()
        .expect(1);
    let report = finished.json();
    assert!(failed(&report, "must").contains("routes-answer"), "{report:#}");
    assert!(started.elapsed() < Duration::from_secs(40));
    assert_eq!(report["furthest"], 0);
    // A wait of more than a second is shown.
    assert!(finished.stderr.contains("GET /"), "{}", finished.stderr);
}

#[test]
fn a_crash_is_reported_with_its_status_and_output() {
    let redis = RedisServer::start();
    let report = grade(&wrong_app(4, "crash without Redis"), 4, 2, &redis.url());
    let id = "recovers-without-a-restart";
    let check = results(&report).find(|check| check["id"] == id).unwrap();
    assert!(
        check["got"].as_str().unwrap().contains("exit status: 3"),
        "{check:#}"
    );
    let output = check["exchange"]["output"].as_array().unwrap();
    assert!(output.iter().any(|line| line == "Redis is gone"), "{check:#}");
}

#[test]
fn a_crash_of_an_app_that_the_user_has_started_is_a_failure() {
    let (home, redis, port) = (Home::new(), RedisServer::start(), free_port());
    let url = format!("http://127.0.0.1:{port}");
    let options = ["check", "--json", "--ttl", "2", "--url", &url];
    let running = home.sessiontut(options).redis(&redis.url()).start();
    let proxy = wait_for("the line to export", || {
        let stderr = running.stderr();
        let (_, rest) = stderr.split_once("export REDIS_URL=")?;
        Some(rest.split(' ').next()?.to_owned())
    });
    let mut app = Command::new(tools::python());
    app.args(&wrong_app(4, "crash without Redis")[1..])
        .env("REDIS_URL", proxy)
        .env("SECRET_KEY", "x")
        .env("PORT", port.to_string());
    // The app crashes when `check` makes Redis unavailable, so the test need not stop it.
    let mut app = app.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let report = running.finish().expect(1).json();
    app.wait().unwrap();
    assert_eq!(failed(&report, "must").len(), 1, "{report:#}");
}

#[test]
fn a_start_command_that_needs_a_shell_or_an_interpreter_is_corrected() {
    let (home, redis) = (Home::new(), RedisServer::start());
    let script = home.path().join("app.py");
    fs::write(&script, "").unwrap();
    let script = text(&script);
    for (command, correction) in [
        (
            &["cd fl && python app.py"][..],
            "-- sh -c 'cd fl && python app.py'",
        ),
        (&["cd", "fl"], "-- sh -c 'cd fl && python app.py'"),
        (
            &["cd", "~/fl && python app.py"],
            "-- sh -c 'cd ~/fl && python app.py'",
        ),
        (&["cd", "my app"], "-- sh -c 'cd \"my app\" && python app.py'"),
        (
            &["DEBUG=1", "python", "app.py"],
            "-- sh -c 'DEBUG=1 python app.py'",
        ),
        (&[&script, "--debug"], "python"),
        (&["no-such-program"], ""),
    ] {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let finished = home
            .sessiontut(arguments(1, 2, free_port(), &[], &command))
            .redis(&redis.url())
            .run()
            .expect(1);
        let has_correction = finished.stderr.contains(" `-- ");
        assert_eq!(has_correction, !correction.is_empty(), "{}", finished.stderr);
        assert!(
            finished.stderr.replace('\n', " ").contains(correction),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn a_port_in_use_is_reported_before_the_app_starts() {
    let (home, redis) = (Home::new(), RedisServer::start());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let marker = home.path().join("started");
    let command = ["touch".to_owned(), text(&marker)];
    home.sessiontut(arguments(4, 2, port, &[], &command))
        .redis(&redis.url())
        .run()
        .expect(1);
    assert!(!marker.exists());
}

#[test]
fn the_last_output_of_an_app_that_does_not_start_is_shown_line_by_line() {
    let (home, redis) = (Home::new(), RedisServer::start());
    let script = "echo first line >&2; echo last line >&2; exit 1";
    let command = ["sh", "-c", script].map(str::to_owned);
    let finished = home
        .sessiontut(arguments(4, 2, free_port(), &[], &command))
        .redis(&redis.url())
        .run()
        .expect(1);
    let lines: Vec<&str> = finished.stderr.lines().map(str::trim).collect();
    assert!(
        lines.contains(&"first line") && lines.contains(&"last line"),
        "{}",
        finished.stderr
    );
}

#[test]
fn without_redis_the_exit_status_is_that_of_ping() {
    let home = Home::new();
    let arguments = arguments(4, 2, free_port(), &[], &wrong_app(4, ""));
    home.sessiontut(arguments)
        .redis("redis://127.0.0.1:1")
        .run()
        .expect(4);
}

#[test]
fn a_black_box_is_judged_by_http_alone() {
    let (home, redis) = (Home::new(), RedisServer::start());
    let arguments = arguments(4, 2, free_port(), &["--black-box"], &wrong_app(4, ""));
    let report = home
        .sessiontut(arguments)
        .redis(&redis.url())
        .run()
        .expect(0)
        .json();
    let result = |id: &str| results(&report).find(|check| check["id"] == id).unwrap()["result"].clone();
    assert_eq!(result("held-request-revives-nothing"), "not-judged");
    assert_eq!(result("logout-ends-the-session"), "holds");
}

#[test]
fn an_app_that_already_runs_uses_the_proxy_when_it_is_told_to() {
    let (home, redis, port) = (Home::new(), RedisServer::start(), free_port());
    let url = format!("http://127.0.0.1:{port}");
    let options = ["check", "--json", "--stage", "2", "--url", &url];
    let mut running = home.sessiontut(options).redis(&redis.url()).start();
    let line = wait_for("the line to export", || {
        let stderr = running.stderr();
        Some(
            stderr
                .lines()
                .find(|line| line.contains("export REDIS_URL="))?
                .to_owned(),
        )
    });
    let proxy = line
        .split("REDIS_URL=")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    let mut app = Command::new(tools::python());
    app.args(&wrong_app(2, "")[1..])
        .env("REDIS_URL", proxy)
        .env("SECRET_KEY", "x")
        .env("PORT", port.to_string());
    let log = home.path().join("log");
    let _app = Process::start(app, &log, || running.has_ended()).unwrap();
    let report = running.finish().expect(0).json();
    let restarted = results(&report)
        .find(|check| check["id"] == "restarted-app-continues")
        .unwrap();
    assert_eq!(restarted["result"], "not-judged");
}

#[test]
fn junit_contains_every_check_without_secrets() {
    let home = Home::new();
    // The password is a text that the app's pages contain, so it also appears in the report unless it is
    // masked.
    let redis = RedisServer::with().line("requirepass \"Logged in as\"").start();
    let url = redis.url().replace("redis://", "redis://:Logged%20in%20as@");
    let file = home.path().join("junit.xml");
    let other = home.path().join("other");
    fs::write(&other, "kept").unwrap();
    std::os::unix::fs::symlink(&other, &file).unwrap();
    let arguments = arguments(
        1,
        2,
        free_port(),
        &["--junit", "junit.xml"],
        &wrong_app(1, "second login is ignored"),
    );
    let report = home.sessiontut(arguments).redis(&url).run().expect(1).json();
    let xml = fs::read_to_string(&file).unwrap();
    assert_eq!(xml.matches("<testcase ").count(), results(&report).count());
    assert_eq!(xml.matches("<failure").count(), 1);
    assert!(!xml.contains("Logged in as"), "{xml}");
    assert_eq!(fs::read_to_string(&other).unwrap(), "kept");
    assert_eq!(
        file.symlink_metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_the_app_starts() {
    let home = Home::new();
    let marker = home.path().join("started");
    let command = ["touch".to_owned(), text(&marker)];
    let more = ["--black-box", "--junit", "missing/junit.xml"];
    home.sessiontut(arguments(4, 2, free_port(), &more, &command))
        .run()
        .expect(2);
    assert!(!marker.exists());
}

#[test]
fn the_password_in_the_url_of_the_app_is_not_shown() {
    let home = Home::new();
    let port = free_port();
    let url = |scheme: &str| format!("{scheme}://bob:Plover-4417@127.0.0.1:{port}");
    for wrong in [url("ftp"), "http://bob:Plover-4417@".to_owned()] {
        let finished = home.sessiontut(["check", "--url", &wrong]).run().expect(2);
        assert!(!finished.output().contains("Plover"), "{}", finished.output());
    }
    let running = home
        .sessiontut(["check", "--black-box", "--url", &url("http")])
        .start();
    wait_for("the wait for the app", || {
        running.stderr().contains(&port.to_string()).then_some(())
    });
    running.interrupt();
    let finished = running.finish().expect(130);
    assert!(!finished.output().contains("Plover"), "{}", finished.output());
}

#[test]
fn other_users_cannot_use_the_proxy() {
    /// The ID of the user `nobody`.
    const OTHER: u32 = 65534;
    let (home, port) = (Home::new(), free_port());
    let redis = RedisServer::with().password("Plover-4417").start();
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("not tested, because only root can run a program as another user");
        return;
    }
    let url = format!("http://127.0.0.1:{port}");
    let running = home
        .sessiontut(["check", "--url", &url])
        .redis(&redis.url())
        .start();
    let proxy = wait_for("the line to export", || {
        let stderr = running.stderr();
        let (_, rest) = stderr.split_once("REDIS_URL=redis://")?;
        Some(rest.split_whitespace().next()?.to_owned())
    });
    let (host, proxy_port) = proxy.split_once(':').unwrap();
    let reply_to = |user: u32| {
        let script = "import socket, sys\n\
                      proxy = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n\
                      proxy.sendall(b'SET stranger 1\\r\\n')\n\
                      print(proxy.recv(100))";
        let mut client = Command::new("python3");
        client.args(["-c", script, host, proxy_port]).uid(user);
        let output = client.output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let refused = reply_to(OTHER);
    assert!(refused.contains("NOPERM"), "{refused}");
    assert_eq!(redis.keys(), [""; 0]);
    assert!(reply_to(0).contains("+OK"));
    running.interrupt();
    running.finish().expect(130);
}

#[test]
fn an_app_that_sends_too_much_to_redis_is_reported() {
    let script = "import os, socket, time\n\
                  listener = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\n\
                  host, port = os.environ['REDIS_URL'].split('//')[1].split(':')\n\
                  redis = socket.create_connection((host, int(port)))\n\
                  for _ in range(200):\n    \
                      redis.sendall(b'*3\\r\\n$3\\r\\nSET\\r\\n$1\\r\\nk\\r\\n$1000000\\r\\n' + 1000000 * b'a' + b'\\r\\n')\n    \
                      redis.recv(100)\n\
                  time.sleep(600)";
    let app = [text(&tools::python()), "-c".into(), script.into()];
    let redis = RedisServer::start();
    let started = Instant::now();
    let report = grade(&app, 4, 2, &redis.url());
    assert!(failed(&report, "must").contains("routes-answer"), "{report:#}");
    assert!(started.elapsed() < Duration::from_secs(40));
    let first = results(&report).next().unwrap();
    assert!(first["got"].as_str().unwrap().contains("MB"), "{first:#}");
}

#[test]
fn a_page_of_many_megabytes_does_not_stop_the_run() {
    let script = "import http.server, os\n\
                  class Pages(http.server.BaseHTTPRequestHandler):\n    \
                      def do_GET(self):\n        \
                          self.send_response(200)\n        \
                          self.end_headers()\n        \
                          self.wfile.write(b'<form>' + b'<input name=a value=b>' * 180000)\n    \
                      do_POST = do_GET\n\
                  http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), Pages).serve_forever()";
    let app = [text(&tools::python()), "-c".into(), script.into()];
    let home = Home::new();
    let started = Instant::now();
    let report = home
        .sessiontut(arguments(1, 2, free_port(), &["--black-box"], &app))
        .run()
        .expect(1)
        .json();
    assert!(failed(&report, "must").contains("routes-answer"), "{report:#}");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn the_file_with_the_output_of_an_app_does_not_fill_the_disk() {
    const MB: u64 = 1024 * 1024;
    let script = "import time\n\
                  for _ in range(40):\n    \
                      print(('x' * 1023 + '\\n') * 1024, end='', flush=True)\n    \
                      time.sleep(0.01)\n\
                  time.sleep(1)\n\
                  exit('the last line \\x1b[31min red')";
    let app = [text(&tools::python()), "-c".into(), script.into()];
    let home = Home::new();
    let finished = home
        .sessiontut(arguments(4, 2, free_port(), &["--black-box"], &app))
        .run()
        .expect(1);
    let size = fs::read_dir(home.state())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .max();
    assert!(size.is_some_and(|size| size < 30 * MB), "{size:?}");
    assert!(finished.stderr.contains("the last line"), "{}", finished.stderr);
    assert!(!finished.stderr.contains('\x1b'), "{}", finished.stderr);
}

#[test]
fn a_change_of_a_file_grades_again() {
    let (home, redis) = (Home::new(), RedisServer::start());
    let folder = home.path().join("app");
    fs::create_dir(&folder).unwrap();
    let more = ["--watch", folder.to_str().unwrap()];
    let running = home
        .sessiontut(arguments(1, 2, free_port(), &more, &wrong_app(1, "")))
        .redis(&redis.url())
        .start();
    let reports = |count| {
        wait_for("a report", || {
            (running.stdout().lines().count() >= count).then_some(())
        });
    };
    reports(1);
    fs::write(folder.join("app.py"), "changed").unwrap();
    reports(2);
    running.interrupt();
    running.finish().expect(130);
}

#[test]
fn another_ttl_is_noted_and_the_waits_are_not_judged() {
    let redis = RedisServer::start();
    let app = [vec!["env".into(), "TTL=2".into()], wrong_app(4, "")].concat();
    let report = grade(&app, 4, 10, &redis.url());
    let waits = [
        "count-restarts-after-the-ttl",
        "active-visitor-stays-logged-in",
        "session-ends-after-the-ttl",
    ];
    for check in results(&report).filter(|check| waits.contains(&check["id"].as_str().unwrap())) {
        assert_eq!(check["result"], "not-judged", "{check:#}");
    }
}

/// Returns the result of the check with this ID.
fn result_of<'a>(report: &'a Value, id: &str) -> &'a Value {
    results(report).find(|check| check["id"] == id).unwrap()
}

fn wrong_app(stage: u8, mistake: &str) -> Vec<String> {
    python_app("tests/wrong_apps/app.py", &[&stage.to_string(), mistake])
}

/// Whether there is a process, other than `check` itself, whose command line contains this word.
fn has_process_with(word: &str) -> bool {
    let commands = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let command = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        Some(command.replace('\0', " "))
    });
    commands
        .filter(|command| !command.contains("sessiontut check"))
        .any(|command| command.contains(word))
}

/// Returns a start command that runs the app as the child of a shell, and a word in the app's command line.
fn wrapped_app(redis: &RedisServer) -> (Vec<String>, String) {
    let word = format!("none-{}", redis.port());
    let app = wrong_app(4, &word).join("' '");
    (vec!["sh".into(), "-c".into(), format!("'{app}' & wait")], word)
}

#[test]
fn a_signal_at_any_moment_leaves_no_process_and_no_key() {
    /// The length of a run of `check` in seconds.
    const RUN: f64 = 14.0;
    const MOMENTS: u32 = 16;
    do_all(0..MOMENTS, |number| {
        let (home, redis, port) = (Home::new(), RedisServer::start(), free_port());
        let (command, word) = wrapped_app(&redis);
        let chance = f64::from(RandomState::new().hash_one(number) as u32) / f64::from(u32::MAX);
        let moment = (f64::from(number) + chance) / f64::from(MOMENTS) * RUN;
        let mut running = home
            .sessiontut(arguments(4, 2, port, &[], &command))
            .redis(&redis.url())
            .start();
        thread::sleep(Duration::from_secs_f64(moment));
        if running.has_ended() {
            return Ok(());
        }
        match number % 2 {
            0 => running.interrupt(),
            _ => running.terminate(),
        }
        let finished = running.finish();
        let keys = redis.keys();
        let has_port = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        // The run may have finished just before the signal arrived.
        let is_right = matches!(finished.code(), Some(130 | 0)) && keys.is_empty() && !has_port;
        let files: Vec<_> = fs::read_dir(home.state())
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        let has_log = files
            .iter()
            .any(|file| file.file_name().to_string_lossy().ends_with(".log"));
        match is_right && !has_process_with(&word) && !has_log {
            true => Ok(()),
            false => Err(format!(
                "after {moment:.1} s: {:?}, keys {keys:?}, port in use: {has_port}, output file: {has_log}",
                finished.code()
            )),
        }
    });
}

#[test]
fn the_app_ends_even_if_check_is_killed() {
    let (home, redis) = (Home::new(), RedisServer::start());
    let (command, word) = wrapped_app(&redis);
    let mut running = home
        .sessiontut(arguments(4, 2, free_port(), &[], &command))
        .redis(&redis.url())
        .start();
    wait_for("a session", || (!redis.keys().is_empty()).then_some(()));
    assert!(has_process_with(&word));
    running.kill();
    wait_for("the app to end", || (!has_process_with(&word)).then_some(()));
}

#[test]
fn a_login_and_tls_of_the_real_redis_are_hidden_from_the_app() {
    let authority = Authority::new();
    let certificate = authority.issue(&["127.0.0.1"]);
    let redis = RedisServer::with()
        .tls(&certificate)
        .line("user app on >app-password ~* &* +@all")
        .start();
    let url = redis.url().replace("rediss://", "rediss://app:app-password@");
    let ca = text(&authority.ca());
    let report = grade_with(&["--ca", &ca], &wrong_app(4, ""), 4, 2, &url);
    assert_eq!(failed(&report, "must"), BTreeSet::new(), "{report:#}");
    assert_eq!(redis.keys(), [""; 0]);
}

#[test]
fn a_cluster_is_refused_before_the_app_starts() {
    let (home, cluster) = (Home::new(), Cluster::start());
    let marker = home.path().join("started");
    let command = ["touch".to_owned(), text(&marker)];
    home.sessiontut(arguments(4, 2, free_port(), &[], &command))
        .redis(&cluster.url())
        .run()
        .expect(2);
    assert!(!marker.exists());
}

#[test]
fn the_maximum_lifetime_is_judged_if_it_is_known() {
    let redis = RedisServer::start();
    let limited = python_app("tests/unusual_apps/app.py", &["maximum lifetime"]);
    do_all([(limited, true), (wrong_app(4, ""), false)], |(app, holds)| {
        let report = grade_with(&["--max-age", "10s"], &app, 4, 2, &redis.url());
        let result = &result_of(&report, "session-has-a-maximum-lifetime")["result"];
        match result == if holds { "holds" } else { "fails" } && failed(&report, "must").is_empty() {
            true => Ok(()),
            false => Err(format!("{app:?}: {result}, {:?}", failed(&report, "must"))),
        }
    });
}

/// An error such as 503 does not show that the session has ended. A single error may be due to a busy computer.
#[test]
fn an_error_during_a_wait_is_not_a_logout() {
    let redis = RedisServer::start();
    let cases = [
        ("one error later", "holds", "holds"),
        ("errors later", "fails", "not-judged"),
    ];
    do_all(cases, |(peculiarity, active, lifetime)| {
        let app = python_app("tests/unusual_apps/app.py", &["maximum lifetime", peculiarity]);
        let report = grade_with(&["--max-age", "10s"], &app, 4, 2, &redis.url());
        let visits = result_of(&report, "active-visitor-stays-logged-in");
        let age = result_of(&report, "session-has-a-maximum-lifetime");
        let is_named = active == "holds" || visits["got"].as_str().is_some_and(|got| got.contains("503"));
        match visits["result"] == active && age["result"] == lifetime && is_named {
            true => Ok(()),
            false => Err(format!("{peculiarity}: {visits:#} {age:#}")),
        }
    });
}

/// A report lists the commands in the order in which they reached Redis, up to the end of the check.
#[test]
fn delayed_commands_are_listed_in_the_order_in_which_they_reached_redis() {
    let redis = RedisServer::start();
    let cases = [
        (
            "made-up token leaves a key",
            &["DEL", "MULTI*", "HINCRBY*", "EXPIRE*", "HGETALL*", "EXEC*"][..],
        ),
        (
            "load and save",
            // The second HGETALL begins a visit with a copy of the cookie.
            &[
                "HGETALL*", "DEL", "MULTI", "HSET", "EXPIRE", "EXEC", "HGETALL", "MULTI", "HSET", "EXPIRE",
                "EXEC",
            ],
        ),
    ];
    do_all(cases, |(mistake, expected)| {
        let report = grade_with(&["--only-stage"], &wrong_app(4, mistake), 4, 2, &redis.url());
        let result = result_of(&report, "held-request-revives-nothing");
        let lines = result["exchange"]["redis"].as_array().unwrap().iter();
        let lines = lines.map(|line| line.as_str().unwrap());
        let found: Vec<String> = lines
            .map(|line| {
                let (_, command) = line.split_once(" ms ").unwrap_or_default();
                let name = command.split(' ').next().unwrap_or_default();
                let mark = if line.contains("`check` delayed") { "*" } else { "" };
                format!("{name}{mark}")
            })
            .collect();
        match found == expected {
            true => Ok(()),
            false => Err(format!("{mistake}: {result:#}")),
        }
    });
}

#[test]
fn an_app_behind_https_is_judged_if_its_certificate_is_trusted() {
    let (home, port) = (Home::new(), free_port());
    let mut app = Command::new(tools::python());
    app.args(&wrong_app(1, "")[1..])
        .env("SECRET_KEY", "x")
        .env("PORT", port.to_string());
    let is_ready = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    let _app = Process::start(app, &home.path().join("log"), is_ready).unwrap();
    let authority = Authority::new();
    let tls = Stunnel::in_front_of(port, &authority.issue(&["127.0.0.1"]));
    let url = format!("https://127.0.0.1:{}", tls.port());
    let options = ["check", "--json", "--black-box", "--stage", "1", "--url", &url];
    let ca = text(&authority.ca());
    let trusted = home
        .sessiontut(options)
        .args(["--ca", &ca])
        .run()
        .expect(0)
        .json();
    assert_eq!(failed(&trusted, "advice"), BTreeSet::from(["cookie-is-secure"]));
    let untrusted = home.sessiontut(options).run().expect(1).json();
    assert!(failed(&untrusted, "must").contains("routes-answer"));
}

/// Replaces the values that differ between runs.
fn masked(report: &str) -> String {
    let masks = [
        (r"\d+\.\d ms", "N ms"),
        (r"[a-z]+-[0-9a-f]{6}-\d\d", "ada-RUN-NN"),
        (r"session=[A-Za-z0-9._-]+", "session=TOKEN"),
        (r"session:[0-9a-f]{29,64}", "session:DIGEST"),
        (r"[^ \x22]*/check-\d+\.log", "FILE"),
        (r#""elapsed_ms": \d+"#, r#""elapsed_ms": N"#),
        (r#"time="[0-9.]+""#, r#"time="N""#),
    ];
    let mut text = report.to_owned();
    for (pattern, mask) in masks {
        text = Regex::new(pattern).unwrap().replace_all(&text, mask).into_owned();
    }
    text
}

#[test]
fn wording_of_a_report() {
    let (home, redis) = (Home::new(), RedisServer::start());
    let app = wrong_app(4, "logout only deletes the cookie");
    let mut words = arguments(4, 2, free_port(), &[], &app);
    words.retain(|word| word != "--json");
    let finished = home.sessiontut(words).redis(&redis.url()).run().expect(1);
    assert_golden("check/report.txt", &masked(&finished.stdout));
}

/// Different mistakes make a login fail, so the reasons must also differ.
#[test]
fn wording_of_reasons_for_a_login_that_seems_to_fail() {
    let redis = RedisServer::start();
    let mistakes = [
        (1, "other words"),
        (1, "redirect with 307"),
        (1, "login does not redirect home"),
        (2, "other Redis"),
        (4, "undecoded session is deleted"),
        (4, "visit fails"),
    ];
    let reasons = Mutex::new(BTreeMap::new());
    do_all(mistakes, |(stage, mistake)| {
        let report = grade(&wrong_app(stage, mistake), stage, 2, &redis.url());
        let found = results(&report).find(|result| result["result"] == "fails");
        let found = found.ok_or_else(|| format!("{mistake}: no check failed"))?;
        let lines =
            ["id", "expected", "got", "why"].map(|name| format!("{name}: {}", found[name].as_str().unwrap()));
        reasons.lock().unwrap().insert(mistake, lines.join("\n"));
        Ok(())
    });
    let reasons = reasons.into_inner().unwrap();
    let parts = reasons
        .iter()
        .map(|(mistake, lines)| format!("{mistake}\n{lines}\n"));
    let text = parts.collect::<Vec<_>>().join("\n");
    assert_golden("check/reasons.txt", &masked(&text));
}

#[test]
fn wording_of_reports_for_programs() {
    let (home, redis) = (Home::new(), RedisServer::start());
    let options = ["--only-stage", "--junit", "junit.xml"];
    let words = arguments(3, 2, free_port(), &options, &wrong_app(3, "two commands"));
    let finished = home.sessiontut(words).redis(&redis.url()).run().expect(1);
    assert_golden("check/report.json", &masked(&finished.stdout));
    let xml = fs::read_to_string(home.path().join("junit.xml")).unwrap();
    assert_golden("check/junit.xml", &masked(&xml));
}

#[test]
fn wording_of_the_sample_in_the_readme() {
    let golden = fs::read_to_string(in_project("tests/golden/check/report.txt")).unwrap();
    let readme = fs::read_to_string(in_project("README.md")).unwrap();
    let (_, sample) = readme
        .split_once("$ sessiontut check --stage 4 -- python app.py\n")
        .unwrap();
    let (sample, _) = sample.split_once("```").unwrap();
    // A line of dots in the golden file stands for any number of lines.
    let mut lines = golden.lines();
    for line in sample.lines().filter(|line| *line != "...") {
        assert!(
            lines.any(|found| found == line),
            "not in the golden file, or not in this order: {line}"
        );
    }
}

//! Tests the exit statuses that scripts rely on, each with a real server. `ping` reports the cause, and the
//! other commands exit with the corresponding status.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use serde_json::json;
use support::ports::free_port;
use support::{Certificate, Finished, Home, RedisServer};

const TIMEOUT: Duration = Duration::from_secs(3);
/// How long a command may take in addition to its timeout.
const GRACE: Duration = Duration::from_secs(1);

fn ping(arguments: &[&str]) -> Finished {
    let timeout = TIMEOUT.as_secs().to_string();
    Home::new()
        .sessiontut(["ping", "--json", "--timeout", &timeout])
        .args(arguments)
        .run()
}

#[track_caller]
fn fails_with(url: &str, cause: &str, code: i32) -> Finished {
    let finished = ping(&[url]).expect(code);
    let answer = finished.json();
    assert_eq!(answer["cause"], cause, "{answer:#}");
    assert_eq!(answer["ok"], false);
    assert!(
        finished.took <= TIMEOUT + GRACE,
        "{cause} took {:?}",
        finished.took
    );
    for fix in answer["fixes"].as_array().unwrap() {
        assert!(fix["kind"].is_string() && fix["text"].is_string(), "{fix}");
    }
    assert!(
        !answer["evidence"].as_array().unwrap().is_empty(),
        "{cause} has no evidence"
    );
    finished
}

#[test]
fn a_healthy_server_is_0_with_its_version_role_and_round_trip_times() {
    let server = RedisServer::start();
    let answer = ping(&[&server.url()]).expect(0).json();
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["cause"], serde_json::Value::Null);
    assert_eq!(answer["server"]["role"], "master");
    assert_eq!(answer["server"]["flavor"], "redis");
    assert_eq!(answer["warnings"], json!([]));
    assert!(answer["rtt_ms"]["min"].as_f64().unwrap() > 0.0);
    let redis::Value::BulkString(info) = server.ask(&["INFO", "server"]) else {
        panic!("INFO did not return text")
    };
    let version = answer["server"]["version"].as_str().unwrap();
    assert!(String::from_utf8_lossy(&info).contains(&format!("redis_version:{version}\r\n")));
}

#[test]
fn the_practice_redis_causes_no_warning() {
    let finished = Home::new().sessiontut(["ping", "--json"]).run().expect(0);
    assert_eq!(finished.json()["warnings"], json!([]));
}

#[test]
fn an_invalid_url_is_2() {
    fails_with("http://127.0.0.1:6379", "url.scheme", 2);
    fails_with("redis://127.0.0.1:port", "url.invalid", 2);
}

#[test]
fn an_unreadable_tls_file_is_2_and_one_line() {
    let home = Home::new();
    let (missing, empty) = (home.path().join("no-such-file"), home.path().join("empty"));
    std::fs::write(&empty, "").unwrap();
    let certificate = Certificate::for_loopback();
    let authority = certificate.authority();
    let good = authority.to_str().unwrap();
    for path in [&missing, &empty, &home.path().to_path_buf()] {
        let path = path.to_str().unwrap();
        for (option, options) in [
            ("--ca", vec!["--ca", path]),
            (
                "--cert",
                vec!["--cert", path, "--key", certificate.key().to_str().unwrap()],
            ),
            ("--key", vec!["--cert", good, "--key", path]),
        ] {
            let finished = home
                .sessiontut(["ping", "--json", "rediss://127.0.0.1:1"])
                .args(&options)
                .run()
                .expect(2);
            assert_eq!(finished.json()["cause"], "usage", "{options:?}");
            assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
            let beginning = format!("sessiontut: {option} {path}: ");
            assert!(finished.stderr.starts_with(&beginning), "{}", finished.stderr);
        }
    }
}

#[test]
fn an_invalid_option_is_2_and_the_error_says_what_is_valid() {
    let seconds = "1 to 4294967295";
    let span = "such as 8h";
    let address = "127.0.0.1:5000";
    for (words, expected) in [
        ("serve --ttl -1", seconds),
        ("serve --ttl=-1", seconds),
        ("serve --ttl 0", seconds),
        ("serve --ttl 99999999999", seconds),
        ("serve --ttl 1.5", seconds),
        ("serve --ttl x", seconds),
        ("serve --max-age -1", span),
        ("serve --max-age 0s", span),
        ("serve --max-age 0", span),
        ("serve --max-age x", span),
        ("serve --max-age 8w", span),
        ("serve --max-age 99999999999d", span),
        ("check --max-age 0", span),
        ("check --max-age 301", "at most 5m"),
        ("check --max-age 28800", "at most 5m"),
        ("check --max-age 8h", "at most 5m"),
        ("serve --step 5", "1 to 4"),
        ("serve --listen x", address),
        ("serve --listen :5000", address),
        ("serve --host a/b", "app.example.com"),
        ("serve --cookie-name a,b", "1 to 64"),
        ("serve --cookie-name a=b", "1 to 64"),
        ("serve --cookie-name é", "1 to 64"),
        ("serve --cookie-name __Host-x", "--secure-cookies"),
        ("serve --cookie-name __secure-x", "--secure-cookies"),
        ("serve --cookie-name __Http-x", "--secure-cookies"),
        ("expire --ttl 0", "1 to 86400"),
        ("expire --ttl -1", "1 to 86400"),
        ("visits --times 0", "1 to 100000"),
        ("visits --times -1", "1 to 100000"),
        ("ping --count -1", "1 to 100000"),
        ("ping --timeout -1", "up to 86400"),
        ("ping --interval 0", "up to 86400"),
    ] {
        let finished = Home::new().run(words.split(' ')).expect(2);
        assert_eq!(finished.stdout, "", "{words}");
        assert!(finished.stderr.contains(expected), "{words}: {}", finished.stderr);
        let lines: Vec<&str> = finished.stderr.lines().filter(|line| !line.is_empty()).collect();
        let rest = lines
            .get(1)
            .is_none_or(|line| line.starts_with("For more information"));
        assert!(lines.len() <= 2 && rest, "{words}: {}", finished.stderr);
    }
}

#[test]
fn a_name_that_does_not_exist_is_3() {
    // The exact cause depends on this host's resolver, but RFC 6761 guarantees that the name does not exist.
    let finished = ping(&["redis://no-such-name.invalid:6379"]).expect(3);
    assert!(finished.json()["cause"].as_str().unwrap().starts_with("dns."));
}

#[test]
fn a_closed_port_is_4() {
    fails_with(&format!("redis://127.0.0.1:{}", free_port()), "tcp.refused", 4);
}

#[test]
fn tls_on_one_side_only_is_5() {
    let certificate = Certificate::for_loopback();
    let tls = RedisServer::with().tls(&certificate).start();
    fails_with(&format!("redis://127.0.0.1:{}", tls.port()), "tls.required", 5);
    let plain = RedisServer::start();
    fails_with(
        &format!("rediss://127.0.0.1:{}", plain.port()),
        "tls.not_offered",
        5,
    );
}

#[test]
fn an_untrusted_certificate_is_5_unless_its_ca_is_passed() {
    let certificate = Certificate::for_loopback();
    let server = RedisServer::with().tls(&certificate).start();
    fails_with(&server.url(), "tls.untrusted", 5);
    let ca = certificate.authority();
    ping(&[&server.url(), "--ca", ca.to_str().unwrap()]).expect(0);
}

#[test]
fn a_password_that_is_missing_or_wrong_is_6() {
    let server = RedisServer::with().password("open-sesame").start();
    fails_with(
        &format!("redis://127.0.0.1:{}", server.port()),
        "auth.required",
        6,
    );
    fails_with(
        &format!("redis://:sesame@127.0.0.1:{}", server.port()),
        "auth.failed",
        6,
    );
    ping(&[&server.url()]).expect(0);
}

#[test]
fn an_http_server_is_7() {
    let port = http_server();
    let answer = fails_with(&format!("redis://127.0.0.1:{port}"), "proto.not_redis", 7).json();
    assert!(answer["summary"].as_str().unwrap().contains("HTTP"), "{answer:#}");
}

#[test]
fn a_paused_server_is_7() {
    let server = RedisServer::start();
    server.pause();
    fails_with(&server.url(), "server.silent", 7);
    server.resume();
    ping(&[&server.url()]).expect(0);
}

#[test]
fn a_server_at_maxclients_is_7() {
    let server = RedisServer::with().line("maxclients 1").start();
    let _occupant = server.connection();
    fails_with(&server.url(), "server.max_clients", 7);
}

/// Starts an HTTP server that responds to every request with 400. Returns its port.
fn http_server() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // The thread ends together with the process of the test.
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut request = [0; 1024];
                // A client that disconnects without sending a request gets no response.
                if matches!(stream.read(&mut request), Ok(1..)) {
                    let _ = stream.write_all(
                        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    );
                }
            });
        }
    });
    port
}

#[test]
fn a_wrong_command_line_is_2_and_an_object_with_json() {
    for arguments in [
        &["-6", "redis://127.0.0.1"][..],
        &["-4", "redis://[::1]"],
        &["--no-such-option"],
        &["redis://127.0.0.1", "redis://:Plover-4417@127.0.0.1"],
    ] {
        let finished = ping(arguments).expect(2);
        let answer = finished.json();
        assert_eq!((&answer["schema"], &answer["ok"]), (&json!(1), &json!(false)));
        assert_eq!(answer["cause"], "usage", "{answer}");
        assert!(!finished.output().contains("Plover"), "{finished:?}");
    }
}

#[test]
fn without_a_url_only_ping_uses_the_host_variables() {
    let server = RedisServer::with().password("Plover-4417").start();
    let port = server.port().to_string();
    let run = |words: &[&str]| {
        Home::new()
            .sessiontut(words)
            .env("REDIS_HOST", "127.0.0.1")
            .env("REDIS_PORT", &port)
            .env("REDIS_PASSWORD", "Plover-4417")
            .run()
    };
    let finished = run(&["ping", "--json"]).expect(0);
    assert_eq!(finished.json()["target"]["port"], server.port());
    assert!(finished.stderr.contains("REDIS_HOST"), "{finished:?}");
    let finished = run(&["login", "ada"]).expect(0);
    assert!(finished.stderr.contains("--redis"), "{finished:?}");
    assert!(!finished.output().contains("Plover"), "{finished:?}");
}

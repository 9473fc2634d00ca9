//! Tests that passwords never appear in the output, in files that users may share, or in process titles.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use support::ports::free_port;
use support::{Certificate, Home, RedisServer, wait};

const PASSWORD: &str = "Tr0ub4dor-and-3";

#[track_caller]
fn keeps_the_password(home: &Home, url: &str, arguments: &[&str]) {
    let finished = home.sessiontut(arguments).redis(url).run();
    assert!(
        !finished.output().contains(PASSWORD),
        "{arguments:?} on {url}: {finished:?}"
    );
    let with_argument = home.sessiontut(arguments).args(["--redis", url]).run();
    assert!(
        !with_argument.output().contains(PASSWORD),
        "{arguments:?} --redis {url}: {with_argument:?}"
    );
}

#[test]
fn whatever_goes_wrong_the_password_is_not_shown() {
    let home = Home::new();
    let server = RedisServer::with().password("another-one").start();
    let open = RedisServer::start();
    let tls = RedisServer::with().tls(&Certificate::for_loopback()).start();
    let urls = [
        format!("redis://:{PASSWORD}@127.0.0.1:{}", free_port()),
        format!("redis://:{PASSWORD}@127.0.0.1:{}", server.port()),
        format!("redis://ada:{PASSWORD}@127.0.0.1:{}", server.port()),
        format!("redis://:{PASSWORD}@127.0.0.1:{}", open.port()),
        format!("redis://:{PASSWORD}@127.0.0.1:{}", tls.port()),
        format!("rediss://:{PASSWORD}@127.0.0.1:{}", open.port()),
        format!("redis://:{PASSWORD}#@127.0.0.1:{}", open.port()),
        format!("redis://:{PASSWORD}/@127.0.0.1:{}", open.port()),
        format!("redis://:{PASSWORD}%@127.0.0.1:{}", open.port()),
        format!("redis://{PASSWORD}@127.0.0.1:{}", server.port()),
        format!(":{PASSWORD}@127.0.0.1:{}", server.port()),
        format!("http://:{PASSWORD}@127.0.0.1:{}", server.port()),
        format!("'redis://:{PASSWORD}@127.0.0.1:{}'", server.port()),
        format!("redis://:{PASSWORD}@no-such-name.invalid"),
    ];
    for url in &urls {
        for arguments in [
            &["ping", "--timeout", "2"][..],
            &["ping", "--timeout", "2", "--json"],
            &["learn", "--yes"],
        ] {
            keeps_the_password(&home, url, arguments);
        }
    }
}

#[test]
fn a_password_of_the_environment_works_and_is_not_shown() {
    let home = Home::new();
    let server = RedisServer::with().password(PASSWORD).start();
    let url = format!("redis://127.0.0.1:{}", server.port());
    let run = |password: &str| {
        home.sessiontut(["ping"])
            .redis(&url)
            .env("REDISCLI_AUTH", password)
            .run()
    };
    assert!(!run(PASSWORD).expect(0).output().contains(PASSWORD));
    let wrong = format!("{PASSWORD}x");
    assert!(!run(&wrong).expect(6).output().contains(&wrong));
}

#[test]
fn a_password_of_the_environment_is_in_no_title_of_a_process() {
    let home = Home::new();
    let server = RedisServer::with().password(PASSWORD).start();
    let url = server.url();
    server.pause();
    let mut running = home.sessiontut(["ping", "--timeout", "2"]).redis(&url).start();
    wait::wait_for("ping to give up", || {
        for title in titles_of_family(running.pid()) {
            assert!(!title.contains(PASSWORD), "{title}");
        }
        running.has_ended().then_some(())
    });
    server.resume();
    running.finish();
}

/// Returns the command lines of a process and its children.
fn titles_of_family(pid: u32) -> Vec<String> {
    let mut titles = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else {
            continue;
        };
        let is_ours = [format!("\nPid:\t{pid}\n"), format!("\nPPid:\t{pid}\n")];
        if is_ours.iter().any(|line| status.contains(line)) {
            titles.push(fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default());
        }
    }
    titles
}

/// Starts a server that replies to every request with an error that contains this text. Returns its port.
fn server_that_says(text: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let reply = format!("-ERR unknown command {text}\r\n");
            thread::spawn(move || {
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|length| length > 0) {
                    if stream.write_all(reply.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn no_encoding_of_a_part_of_the_password_is_shown_whatever_the_server_says() {
    let part = &PASSWORD[2..12];
    let percent: String = part.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let hex: String = part.bytes().map(|byte| format!("{byte:02x}")).collect();
    let units: String = part.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let base64 = BASE64_STANDARD.encode(format!("ada:{part}"));
    let (first, second) = PASSWORD.split_at(7);
    for said in [
        PASSWORD.to_owned(),
        part.to_owned(),
        format!("{first} {second}"),
        percent,
        hex,
        units,
        base64,
    ] {
        let port = server_that_says(said.clone());
        let home = Home::new();
        let report = home.path().join("report.json");
        let report_path = report.to_str().unwrap();
        for arguments in [
            &["ping", "--timeout", "1", "--report", report_path][..],
            &["ping", "--timeout", "1", "--json"],
            &["ping", "--timeout", "1", "--count", "2"],
            &["login", "ada"],
            &["learn", "--yes", "2"],
        ] {
            let url = format!("redis://ada:{PASSWORD}@127.0.0.1:{port}");
            let finished = home.sessiontut(arguments).redis(&url).run();
            let report = fs::read_to_string(&report).unwrap_or_default();
            let shown = format!("{}{report}", finished.output());
            for piece in said.split(' ') {
                assert!(!shown.contains(piece), "{arguments:?}: {said}: {shown}");
            }
        }
    }
}

#[test]
fn a_password_that_is_a_word_of_this_program_hides_no_code_and_no_name() {
    let home = Home::new();
    for password in ["refused", "tcp.refused", "certainty", "summary", "connect"] {
        let url = format!("redis://:{password}@127.0.0.1:{}", free_port());
        let json = home
            .sessiontut(["ping", "--json"])
            .redis(&url)
            .run()
            .expect(4)
            .json();
        assert_eq!(json["cause"], "tcp.refused", "{json}");
        assert!(
            json["certainty"].is_string() && json["summary"].is_string(),
            "{json}"
        );
        let text = home.sessiontut(["ping"]).redis(&url).run().expect(4);
        assert!(text.stdout.contains("tcp.refused"), "{}", text.stdout);
    }
}

#[test]
fn the_url_of_a_practice_redis_contains_its_password() {
    let home = Home::new();
    let program = home.sessiontut(["practice", "--no-save", "--password", PASSWORD]);
    let mut practice = program.redis(&format!("redis://:{PASSWORD}@127.0.0.1:1")).start();
    let url = practice.first_line();
    home.sessiontut(["ping"]).redis(&url).run().expect(0);
}

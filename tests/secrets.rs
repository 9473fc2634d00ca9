//! Passwords never appear in output, in files that users may share, or in process titles.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

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

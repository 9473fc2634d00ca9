//! The modes of `ping` that last: `--watch`, `--count`, `--wait`, `--hold`; and what `--quiet` and `--report` leave.

// Clippy knows tests by their attribute, and some of these functions stand beside them.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{self, File};
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::thread;

use serde_json::Value;
use support::ports::free_port;
use support::{Home, RedisServer, Running};

const SECRET: &str = "Plover-4417";

fn start(arguments: &[&str]) -> Running {
    Home::new().sessiontut(["ping"]).args(arguments).start()
}

fn objects(output: &str) -> Vec<Value> {
    let whole = output.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_watch_tells_when_redis_falls_and_when_it_rises_again() {
    let mut server = RedisServer::start();
    let mut watch = start(&["--watch", "--interval", "0.05", "--timeout", "2", &server.url()]);
    watch.wait_for_stdout("ok: Redis answers");
    watch.wait_for_stdout("[ok]    3");
    server.kill();
    let fallen = watch.wait_for_stdout("it no longer answers");
    assert!(!fallen.contains("answers again"));
    watch.wait_for_stdout("tcp.refused: ");
    server.restart();
    watch.wait_for_stdout("it answers again");
    watch.interrupt();
    let finished = watch.finish().expect(130);
    let summary: Vec<&str> = finished.stdout.lines().rev().take(2).collect();
    assert!(
        summary[1].contains("answered") && summary[1].contains("1 outage"),
        "{}",
        finished.stdout
    );
    assert!(
        summary[0].starts_with("round trip: min ") && summary[0].contains("p99"),
        "{}",
        finished.stdout
    );
}

#[test]
fn a_connection_that_is_lost_while_redis_stands_is_told_apart_from_an_outage() {
    let server = RedisServer::start();
    let mut watch = start(&["--watch", "--interval", "0.05", &server.url()]);
    watch.wait_for_stdout("[ok]    2");
    server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    watch.wait_for_stdout("the connection was lost; a new one works");
    watch.interrupt();
    assert!(!watch.finish().expect(130).stdout.contains("outage"));
}

#[test]
fn a_watch_names_a_silence_and_goes_on_when_it_ends() {
    let server = RedisServer::start();
    let mut watch = start(&["--watch", "--interval", "0.05", "--timeout", "1", &server.url()]);
    watch.wait_for_stdout("[ok]    2");
    server.pause();
    watch.wait_for_stdout("server.silent");
    server.resume();
    watch.wait_for_stdout("it answers again");
    watch.interrupt();
    assert!(watch.finish().expect(130).stdout.contains("1 outage"));
}

#[test]
fn a_watch_in_json_is_an_object_a_line_and_nothing_else() {
    let mut server = RedisServer::start();
    let mut watch = start(&[
        "--watch",
        "--json",
        "--interval",
        "0.05",
        "--timeout",
        "2",
        &server.url(),
    ]);
    watch.wait_for_stdout("\"probe\":3");
    server.kill();
    watch.wait_for_stdout("tcp.refused");
    watch.interrupt();
    let lines = objects(&watch.finish().expect(130).stdout);
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(
            (&line["schema"], &line["probe"]),
            (&1.into(), &(index + 1).into()),
            "{line}"
        );
        assert_eq!(line["ok"] == true, line["cause"].is_null(), "{line}");
    }
    assert_eq!(lines[1]["rtt_ms"]["samples"], 1);
    assert_eq!(lines.last().unwrap()["cause"], "tcp.refused");
}

#[test]
fn a_watch_of_a_redis_that_is_not_there_yet_goes_on() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let mut watch = start(&["--watch", "--quiet", "--interval", "0.05", &url]);
    watch.wait_for_stdout("tcp.refused: ");
    watch.interrupt();
    let finished = watch.finish().expect(130);
    assert_eq!(
        finished.stdout.matches("tcp.refused: ").count(),
        1,
        "{}",
        finished.stdout
    );
    assert!(finished.stdout.contains(" 0 answered"), "{}", finished.stdout);
}

#[test]
fn a_count_is_one_object_with_as_many_samples() {
    let server = RedisServer::start();
    let arguments = [
        "ping",
        "--json",
        "--count",
        "12",
        "--interval",
        "0.01",
        &server.url(),
    ];
    let answer = Home::new().run(arguments).expect(0).json();
    assert_eq!(answer["rtt_ms"]["samples"], 12);
    let text = Home::new()
        .run(["ping", "--count", "3", "--interval", "0.01", &server.url()])
        .expect(0);
    assert_eq!(
        text.stdout
            .lines()
            .filter(|line| line.starts_with("ping "))
            .count(),
        3
    );
}

#[test]
fn a_wait_ends_well_as_soon_as_redis_answers() {
    let mut server = RedisServer::start();
    server.kill();
    let mut waiting = start(&[
        "--wait",
        "60",
        "--interval",
        "0.05",
        "--timeout",
        "1",
        &server.url(),
    ]);
    waiting.wait_for_stderr("tcp.refused: trying again");
    server.restart();
    let finished = waiting.finish().expect(0);
    assert!(
        finished.stderr.contains("it answers after"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stdout.contains("ok: Redis answers"),
        "{}",
        finished.stdout
    );
}

#[test]
fn a_wait_in_vain_ends_with_the_cause() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let finished = Home::new()
        .run(["ping", "--json", "--wait", "0.3", "--interval", "0.1", &url])
        .expect(4);
    assert_eq!(finished.json()["cause"], "tcp.refused");
}

#[test]
fn a_connection_that_is_dropped_while_idle_is_found_by_holding_it() {
    let server = RedisServer::with().line("timeout 1").start();
    let finished = Home::new().run(["ping", "--hold", "4", &server.url()]).expect(7);
    assert!(finished.stdout.contains("proto.closed"), "{}", finished.stdout);
    assert!(finished.stderr.contains("idle time"), "{}", finished.stderr);
}

#[test]
fn a_connection_that_outlives_the_idle_time_is_fine() {
    let server = RedisServer::start();
    Home::new()
        .run(["ping", "--hold", "0.5", &server.url()])
        .expect(0);
}

#[test]
fn a_hold_that_is_interrupted_ends_at_once() {
    let server = RedisServer::start();
    let mut holding = start(&["--hold", "400", &server.url()]);
    holding.wait_for_stderr("staying idle");
    holding.interrupt();
    holding.finish().expect(130);
}

#[test]
fn a_report_holds_everything_but_the_secret() {
    let server = RedisServer::with().password(SECRET).start();
    let home = Home::new();
    let path = home.path().join("report.json");
    let url = server.url();
    assert!(url.contains(SECRET));
    home.run(["ping", "--report", path.to_str().unwrap(), &url])
        .expect(0);
    let text = fs::read_to_string(path).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert!(report["ok"] == true && !report["steps"].as_array().unwrap().is_empty());
    assert!(!text.contains(SECRET));
}

#[test]
fn a_report_that_cannot_be_written_says_so_after_the_verdict_and_is_no_success() {
    let server = RedisServer::start();
    let home = Home::new();
    let finished = home
        .run(["ping", "--report", "/nowhere/at/all.json", &server.url()])
        .expect(1);
    assert!(
        finished.stdout.contains("ok: Redis answers"),
        "{}",
        finished.stdout
    );
    assert!(
        finished.stderr.contains("/nowhere/at/all.json"),
        "{}",
        finished.stderr
    );
    // A cause keeps the exit status that scripts wait for.
    home.run(["ping", "--report", "/nowhere/at/all.json", "localhost:6379"])
        .expect(2);
}

#[test]
fn a_url_that_cannot_be_used_is_reported_too() {
    let home = Home::new();
    let path = home.path().join("report.json");
    home.run(["ping", "--report", path.to_str().unwrap(), "localhost:6379"])
        .expect(2);
    let report: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(report["cause"], "url.invalid");
}

#[test]
fn a_report_goes_through_a_link_and_into_a_pipe_and_replaces_neither() {
    let server = RedisServer::start();
    let home = Home::new();
    let pipe = home.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let link = home.path().join("link");
    std::os::unix::fs::symlink(&pipe, &link).unwrap();
    // Open for both, neither end waits for the other; a report fits into the pipe.
    let mut ends = File::options().read(true).write(true).open(&pipe).unwrap();
    home.run(["ping", "--report", link.to_str().unwrap(), &server.url()])
        .expect(0);
    assert!(link.is_symlink() && !pipe.is_file());
    let mut text = [0; 64 * 1024];
    let length = ends.read(&mut text).unwrap();
    let report: Value = serde_json::from_slice(&text[..length]).unwrap();
    assert_eq!(report["ok"], true);
}

#[test]
fn a_quiet_success_is_one_line() {
    let server = RedisServer::start();
    let finished = Home::new().run(["ping", "--quiet", &server.url()]).expect(0);
    assert_eq!(finished.stdout.lines().count(), 1, "{}", finished.stdout);
}

#[test]
fn modes_that_exclude_each_other_are_wrong_usage() {
    for pair in [
        ["--watch", "--count=2"],
        ["--watch", "--wait=2"],
        ["--watch", "--hold=2"],
        ["--watch", "--report=x"],
        ["--count=2", "--hold=2"],
        ["--wait=2", "--hold=2"],
        ["--json", "--quiet"],
        ["-4", "-6"],
    ] {
        Home::new()
            .run([&["ping"][..], &pair, &["redis://127.0.0.1:1"]].concat())
            .expect(2);
    }
}

#[test]
fn a_watch_ends_when_nobody_reads_any_more() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    // Accepts and closes: each probe ends at once, and has something to say.
    thread::spawn(move || listener.incoming().for_each(drop));
    let home = Home::new();
    let binary = env!("CARGO_BIN_EXE_sessiontut");
    let script = format!("'{binary}' ping --watch --json --interval 0.01 '{url}' | head -n 1");
    let mut shell = std::process::Command::new("sh")
        .args(["-c", &script])
        .envs(home.environment())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    support::wait::wait_for("the end of the watch", || shell.try_wait().unwrap());
}

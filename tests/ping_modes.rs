//! Tests the modes of `ping`: `--watch`, `--count`, `--wait`, `--hold`, `--quiet` and `--report`.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{self, File};
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::thread;

use serde_json::Value;
use support::ports::free_port;
use support::process::Process;
use support::{Certificate, Home, RedisServer, Running};

const SECRET: &str = "Plover-4417";

fn start(arguments: &[&str]) -> Running {
    Home::new().sessiontut(["ping"]).args(arguments).start()
}

fn watch_in_json(server: &RedisServer) -> Running {
    let url = server.url();
    start(&["--watch", "--json", "--interval", "0.05", "--timeout", "2", &url])
}

fn objects(output: &str) -> Vec<Value> {
    let whole = output.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits until a probe has succeeded after the last line that contains `failure`.
fn wait_for_success_after(watch: &Running, failure: &str) {
    support::wait::wait_for("a probe that succeeds again", || {
        let output = watch.stdout();
        let (_, later) = output.rsplit_once(failure)?;
        later.contains(" [ok] ").then_some(())
    });
}

#[test]
fn a_watch_shows_when_redis_goes_down_and_comes_back() {
    let mut server = RedisServer::start();
    let mut watch = start(&["--watch", "--interval", "0.05", "--timeout", "2", &server.url()]);
    watch.wait_for_stdout("[ok]    3");
    server.kill();
    watch.wait_for_stdout("tcp.refused: ");
    server.restart();
    wait_for_success_after(&watch, "tcp.refused: ");
    watch.interrupt();
    let finished = watch.finish().expect(130);
    let summary: Vec<&str> = finished.stdout.lines().rev().take(3).collect();
    assert!(
        summary[2].contains("1 outage") && summary[1].contains(" s") && summary[0].contains("p99"),
        "{}",
        finished.stdout
    );
}

#[test]
fn a_lost_connection_is_not_an_outage_if_redis_is_up() {
    let server = RedisServer::start();
    let mut watch = start(&["--watch", "--interval", "0.05", &server.url()]);
    watch.wait_for_stdout("[ok]    2");
    server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    watch.wait_for_stdout("the connection was lost");
    watch.interrupt();
    let stdout = watch.finish().expect(130).stdout;
    assert!(
        !stdout.contains("outage") && stdout.contains("1 lost connection"),
        "{stdout}"
    );
}

#[test]
fn a_watch_reports_a_server_that_stops_replying_and_continues() {
    let server = RedisServer::start();
    let mut watch = start(&["--watch", "--interval", "0.05", "--timeout", "1", &server.url()]);
    watch.wait_for_stdout("[ok]    2");
    server.pause();
    watch.wait_for_stdout("server.silent");
    server.resume();
    wait_for_success_after(&watch, "server.silent");
    watch.interrupt();
    assert!(watch.finish().expect(130).stdout.contains("1 outage"));
}

#[test]
fn a_watch_in_json_is_one_object_per_line_and_nothing_else() {
    let mut server = RedisServer::start();
    let mut watch = watch_in_json(&server);
    watch.wait_for_stdout("\"probe\":3");
    server.kill();
    watch.wait_for_stdout("tcp.refused");
    watch.interrupt();
    let mut lines = objects(&watch.finish().expect(130).stdout);
    let last = lines.pop().unwrap();
    let totals = &last["totals"];
    assert_eq!(
        (&last["schema"], &totals["probes"]),
        (&1.into(), &lines.len().into()),
        "{last}"
    );
    assert_eq!(
        (&last["ok"], &last["cause"]),
        (&false.into(), &"tcp.refused".into()),
        "{last}"
    );
    assert_eq!(
        (&totals["outages"], &totals["last_outages"][0]["over"]),
        (&1.into(), &false.into()),
        "{last}"
    );
    assert!(totals["rtt_ms"]["p99"].is_number(), "{last}");
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(
            (&line["schema"], &line["probe"]),
            (&1.into(), &(index + 1).into()),
            "{line}"
        );
        assert_eq!(line["ok"] == true, line["cause"].is_null(), "{line}");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    }
    assert_eq!(
        (&lines[0]["change"], &lines[1]["change"]),
        (&"first".into(), &Value::Null)
    );
    assert_eq!(lines[1]["rtt_ms"]["samples"], 1);
    assert_eq!(lines.last().unwrap()["cause"], "tcp.refused");
}

#[test]
fn a_failover_on_an_open_connection_is_an_event_and_so_is_a_restart() {
    let mut server = RedisServer::start();
    let mut watch = watch_in_json(&server);
    watch.wait_for_stdout("\"probe\":2");
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    watch.wait_for_stdout("\"to\":\"slave\"");
    server.restart();
    watch.wait_for_stdout("\"run-id\"");
    watch.interrupt();
    let lines = objects(&watch.finish().expect(130).stdout);
    let (_, probes) = lines.split_last().unwrap();
    let events: Vec<&str> = probes
        .iter()
        .flat_map(|line| line["events"].as_array().unwrap())
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(events[0], "role", "{events:?}");
    assert!(events.contains(&"run-id"), "{events:?}");
}

#[test]
fn a_watch_that_is_terminated_writes_its_summary_and_its_report() {
    let mut server = RedisServer::start();
    let home = Home::new();
    let path = home.path().join("report.json");
    let report_option = format!("--report={}", path.display());
    let mut watch = home
        .sessiontut([
            "ping",
            "--watch",
            "--interval",
            "0.05",
            &report_option,
            &server.url(),
        ])
        .start();
    watch.wait_for_stdout("[ok]    2");
    server.kill();
    watch.wait_for_stdout("tcp.refused: ");
    watch.terminate();
    let finished = watch.finish().expect(130);
    assert!(finished.stdout.contains("p99"), "{}", finished.stdout);
    let report: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(report["cause"], "tcp.refused", "{report:#}");
    assert_eq!(report["totals"]["outages"], 1, "{report:#}");
    let causes: Vec<_> = report["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["cause"])
        .collect();
    assert_eq!(causes, [&Value::Null, &"tcp.refused".into()], "{report:#}");
}

#[test]
fn a_watch_under_nohup_continues_when_the_terminal_is_closed() {
    let server = RedisServer::start();
    let home = Home::new();
    let log = home.path().join("log");
    let has_probe = |number: usize| {
        let output = fs::read_to_string(&log).unwrap_or_default();
        output.contains(&format!("[ok] {number:>4}"))
    };
    let mut command = Command::new("nohup");
    command
        .args([
            support::program::SESSIONTUT,
            "ping",
            "--watch",
            "--interval",
            "0.05",
            &server.url(),
        ])
        .envs(home.environment());
    let watch = Process::start(command, &log, || has_probe(2)).unwrap();
    watch.signal("HUP");
    let seen = fs::read_to_string(&log).unwrap().matches("[ok]").count();
    support::wait::wait_for("more probes", || has_probe(seen + 3).then_some(()));
}

#[test]
fn a_wait_and_a_watch_accept_the_certificate_that_insecure_accepts() {
    let server = RedisServer::with().tls(&Certificate::for_loopback()).start();
    let (home, url) = (Home::new(), server.url());
    let waited = home
        .run(["ping", "--json", "--insecure", "--wait", "60", &url])
        .expect(0)
        .json();
    assert_eq!(waited["warnings"][0]["code"], "tls.untrusted", "{waited:#}");
    let counted = home
        .run([
            "ping",
            "--json",
            "--insecure",
            "--count",
            "3",
            "--interval",
            "0.01",
            &url,
        ])
        .expect(5)
        .json();
    assert_eq!(
        (&counted["cause"], &counted["rtt_ms"]["samples"]),
        (&"tls.untrusted".into(), &3.into())
    );
    let mut watch = start(&["--watch", "--insecure", "--interval", "0.05", &url]);
    watch.wait_for_stdout("[ok]    3");
    watch.interrupt();
    let finished = watch.finish().expect(130);
    assert!(finished.stdout.contains("tls.untrusted"), "{}", finished.stdout);
}

#[test]
fn a_watch_continues_while_redis_is_not_up_yet() {
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
fn a_count_is_one_object_with_that_many_samples() {
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
fn a_wait_succeeds_as_soon_as_redis_answers() {
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
    waiting.wait_for_stderr("tcp.refused: ");
    server.restart();
    let finished = waiting.finish().expect(0);
    // Only the cause and then the time are printed, however many attempts fail.
    assert_eq!(finished.stderr.lines().count(), 2, "{}", finished.stderr);
    assert!(finished.stdout.starts_with("ok: "), "{}", finished.stdout);
}

#[test]
fn a_wait_that_times_out_ends_with_the_cause() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let finished = Home::new()
        .run(["ping", "--json", "--wait", "0.3", "--interval", "0.1", &url])
        .expect(4);
    assert_eq!(finished.json()["cause"], "tcp.refused");
}

#[test]
fn holding_a_connection_finds_that_it_is_dropped_while_idle() {
    let server = RedisServer::with().line("timeout 1").start();
    let finished = Home::new().run(["ping", "--hold", "4", &server.url()]).expect(4);
    assert!(finished.stdout.contains("path.idle"), "{}", finished.stdout);
    assert_eq!(finished.stderr.lines().count(), 2, "{}", finished.stderr);
}

#[test]
fn a_search_for_the_idle_limit_measures_that_of_the_server() {
    let server = RedisServer::with().line("timeout 1").start();
    let found = Home::new()
        .run(["ping", "--json", "--idle", "4", &server.url()])
        .expect(4)
        .json();
    assert_eq!(found["cause"], "path.idle", "{found:#}");
    let idle = &found["idle"];
    assert_eq!(
        (&idle["end"], &idle["keepalive"]["end"]),
        (&"closed".into(), &"closed".into())
    );
    // Redis checks for idle clients about once a second.
    let lost = idle["lost_s"].as_f64().unwrap();
    assert!((0.9..4.0).contains(&lost), "{found:#}");
}

#[test]
fn a_search_without_a_limit_reports_how_long_connections_survived() {
    let server = RedisServer::start();
    let fine = Home::new()
        .run(["ping", "--json", "--idle", "1", &server.url()])
        .expect(0)
        .json();
    assert_eq!(fine["idle"]["survived_s"], 1.0, "{fine:#}");
    assert!(fine["idle"]["lost_s"].is_null(), "{fine:#}");
}

#[test]
fn a_connection_that_outlives_the_idle_time_is_fine() {
    let server = RedisServer::start();
    Home::new()
        .run(["ping", "--hold", "0.5", &server.url()])
        .expect(0);
}

#[test]
fn a_count_whose_connection_is_dropped_says_that_a_new_one_works() {
    let server = RedisServer::with().line("timeout 1").start();
    let finished = Home::new()
        .run(["ping", "--json", "--count", "2", "--interval", "4", &server.url()])
        .expect(4);
    let report = finished.json();
    assert_eq!(report["cause"], "path.idle", "{report:#}");
    assert_eq!(report["rtt_ms"]["samples"], 1, "{report:#}");
}

#[test]
fn a_hold_that_is_interrupted_ends_at_once() {
    let server = RedisServer::start();
    let mut holding = start(&["--hold", "400", &server.url()]);
    holding.wait_for_stderr(" s\n");
    holding.interrupt();
    holding.finish().expect(130);
}

#[test]
fn a_report_contains_everything_except_the_password() {
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
    assert_eq!(report["attempts"].as_array().unwrap().len(), 1);
    let ticket = &report["ticket"];
    assert_eq!(ticket["tool"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(ticket["timestamp"].as_str().unwrap().ends_with('Z'), "{ticket:#}");
    assert!(ticket["host"]["os"].is_string(), "{ticket:#}");
    assert_eq!(ticket["routes"][0]["to"], "127.0.0.1", "{ticket:#}");
    assert!(!text.contains(SECRET));
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_after_the_verdict() {
    let server = RedisServer::start();
    let home = Home::new();
    let finished = home
        .run(["ping", "--report", "/nowhere/at/all.json", &server.url()])
        .expect(1);
    assert!(finished.stdout.contains("\nok: "), "{}", finished.stdout);
    assert!(
        finished.stderr.contains("/nowhere/at/all.json"),
        "{}",
        finished.stderr
    );
    // If `ping` also finds a cause, the exit status is that of the cause.
    home.run(["ping", "--report", "/nowhere/at/all.json", "localhost:6379"])
        .expect(2);
}

#[test]
fn a_report_on_a_run_that_is_interrupted_contains_what_was_observed() {
    let server = RedisServer::start();
    let home = Home::new();
    let path = home.path().join("report.json");
    let mut holding = home
        .sessiontut([
            "ping",
            "--hold",
            "400",
            "--report",
            path.to_str().unwrap(),
            &server.url(),
        ])
        .start();
    holding.wait_for_stderr(" s\n");
    holding.interrupt();
    holding.finish().expect(130);
    let report: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(
        (&report["interrupted"], &report["ok"]),
        (&true.into(), &false.into())
    );
    assert_eq!(report["server"]["role"], "master", "{report:#}");
}

#[test]
fn a_count_that_is_interrupted_ends_with_its_percentiles() {
    let server = RedisServer::start();
    let mut counting = start(&["--count", "1000", "--interval", "0.05", &server.url()]);
    counting.wait_for_stdout("ping 3: ");
    counting.interrupt();
    let finished = counting.finish().expect(130);
    let last = finished.stdout.lines().last().unwrap();
    assert!(
        last.contains("p50") && last.contains("p99"),
        "{}",
        finished.stdout
    );
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let server = RedisServer::start();
    let home = Home::new();
    let status = Command::new(env!("CARGO_BIN_EXE_sessiontut"))
        .args(["ping", "--json", &server.url()])
        .envs(home.environment())
        .stdout(File::options().write(true).open("/dev/full").unwrap())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
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
fn a_report_is_written_through_a_link_into_a_pipe_and_replaces_neither() {
    let server = RedisServer::start();
    let home = Home::new();
    let pipe = home.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let link = home.path().join("link");
    std::os::unix::fs::symlink(&pipe, &link).unwrap();
    // Opening a pipe for both reading and writing does not block. A report fits into the pipe's buffer.
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
fn with_quiet_a_success_is_one_line() {
    let server = RedisServer::start();
    let finished = Home::new().run(["ping", "--quiet", &server.url()]).expect(0);
    assert_eq!(finished.stdout.lines().count(), 1, "{}", finished.stdout);
}

#[test]
fn conflicting_modes_are_a_usage_error() {
    for pair in [
        ["--watch", "--count=2"],
        ["--watch", "--wait=2"],
        ["--watch", "--hold=2"],
        ["--count=2", "--hold=2"],
        ["--wait=2", "--hold=2"],
        ["--idle=2", "--hold=2"],
        ["--watch", "--idle=2"],
        ["--json", "--quiet"],
        ["-4", "-6"],
    ] {
        Home::new()
            .run([&["ping"][..], &pair, &["redis://127.0.0.1:1"]].concat())
            .expect(2);
    }
}

#[test]
fn a_watch_ends_when_the_reader_goes_away() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    // Each connection is closed, so that each probe ends at once and prints a line.
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

//! Tests the practice Redis that all commands of a user share: which process runs it, how other processes
//! connect or take over, and which data is kept.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use support::{Home, Running, wait};

const DATA: &str = "practice.data";
const ADDRESS: &str = "practice.json";

fn log_in(home: &Home) {
    home.run(["login", "ada"]).expect(0);
}

fn visits(home: &Home) -> String {
    home.run(["visits"]).expect(0).stdout
}

/// Starts `practice`. Returns the process and its URL.
fn practice(home: &Home, arguments: &[&str]) -> (Running, String) {
    let mut running = home.sessiontut([&["practice"], arguments].concat()).start();
    let url = running.first_line();
    (running, url)
}

fn ask(url: &str, words: &[&str]) -> redis::Value {
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    redis::cmd(words[0])
        .arg(&words[1..])
        .query(&mut connection)
        .unwrap()
}

/// Starts the app. This command runs until it is stopped, and meanwhile also runs the practice Redis.
fn serve(home: &Home) -> Running {
    let mut running = home.sessiontut(["serve", "--listen", "127.0.0.1:0"]).start();
    running.wait_for_stdout("http://127.0.0.1:");
    running
}

fn address(home: &Home) -> serde_json::Value {
    address_if_there(home).unwrap()
}

/// Returns the contents of the address file, or `None` if the file is missing. It is missing while one
/// process takes over from another.
fn address_if_there(home: &Home) -> Option<serde_json::Value> {
    let text = fs::read(home.state().join(ADDRESS)).ok()?;
    Some(serde_json::from_slice(&text).unwrap())
}

#[test]
fn a_session_lasts_from_one_command_to_the_next_without_a_redis() {
    let home = Home::new();
    log_in(&home);
    assert!(visits(&home).contains("Visits: 1"));
    assert!(visits(&home).contains("Visits: 2"));
}

#[test]
fn only_the_owner_can_read_the_saved_data() {
    let home = Home::new();
    log_in(&home);
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.state()), 0o700);
    for file in fs::read_dir(home.state()).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(path.clone()), 0o600, "{}", path.display());
    }
}

#[test]
fn commands_that_run_at_the_same_time_share_one_redis() {
    let home = Home::new();
    log_in(&home);
    let running: Vec<Running> = (0..8).map(|_| home.sessiontut(["visits"]).start()).collect();
    for command in running {
        command.finish().expect(0);
    }
    assert!(visits(&home).contains("Visits: 9"));
}

#[test]
fn a_damaged_file_is_renamed_and_reported_in_one_line() {
    for damage in [
        &b""[..],
        b"\x00\xff\x00",
        b"sessiontut practice data 1 0000\n*1\r\n",
        b"{}",
    ] {
        let home = Home::new();
        log_in(&home);
        fs::write(home.state().join(DATA), damage).unwrap();
        let finished = home.run(["visits"]).expect(1);
        let lines = finished
            .stderr
            .lines()
            .filter(|line| line.contains("damaged"))
            .count();
        assert_eq!(lines, 1, "{}", finished.stderr);
        let aside = fs::read_dir(home.state())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let aside: Vec<PathBuf> = aside
            .filter(|path| path.to_string_lossy().contains("damaged-"))
            .collect();
        assert_eq!(aside.len(), 1);
        assert_eq!(fs::read(&aside[0]).unwrap(), damage);
        log_in(&home);
        assert!(visits(&home).contains("Visits: 1"));
    }
}

#[test]
fn a_truncated_file_counts_as_damaged() {
    let home = Home::new();
    log_in(&home);
    let whole = fs::read(home.state().join(DATA)).unwrap();
    fs::write(home.state().join(DATA), &whole[..whole.len() - 10]).unwrap();
    assert!(home.run(["visits"]).stderr.contains("damaged"));
}

#[test]
fn without_a_state_folder_the_practice_redis_works_and_warns_that_nothing_is_saved() {
    let home = Home::new();
    let nowhere = home.path().join("file");
    fs::write(&nowhere, "").unwrap();
    for (name, value) in [
        ("XDG_STATE_HOME", nowhere.to_str().unwrap()),
        ("XDG_STATE_HOME", "/proc/none"),
    ] {
        let finished = home.sessiontut(["ping"]).env(name, value).run().expect(0);
        let lines = finished
            .stderr
            .lines()
            .filter(|line| line.contains("memory only"))
            .count();
        assert_eq!(lines, 1, "{}", finished.stderr);
    }
    let finished = home
        .sessiontut(["ping"])
        .env("HOME", "")
        .env("XDG_STATE_HOME", "")
        .run()
        .expect(0);
    assert!(finished.stderr.contains("memory only"), "{}", finished.stderr);
}

#[test]
fn an_address_file_with_the_port_of_another_server_is_ignored() {
    let home = Home::new();
    log_in(&home);
    // Another server is listening on the port in the file, and accepts any password.
    let other = Home::new();
    let (_stranger, url) = practice(&other, &["--no-save"]);
    let port: u16 = url
        .trim_end_matches("/0")
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let forged = format!(
        r#"{{"port":{port},"password":"x","run_id":"{}"}}"#,
        "0".repeat(40)
    );
    fs::write(home.state().join(ADDRESS), forged).unwrap();
    assert!(visits(&home).contains("Visits: 1"));
    assert_eq!(ask(&url, &["DBSIZE"]), redis::Value::Int(0));
}

#[test]
fn a_killed_process_loses_no_more_than_a_second() {
    let home = Home::new();
    let (mut running, url) = practice(&home, &[]);
    ask(&url, &["SET", "k", "v"]);
    let file = home.state().join("practice-alone.data");
    wait::wait_for("the change to be saved", || {
        fs::read(&file)
            .is_ok_and(|bytes| bytes.windows(3).any(|part| part == b"SET"))
            .then_some(())
    });
    running.kill();
    let (_running, url) = practice(&home, &[]);
    assert_eq!(ask(&url, &["GET", "k"]), redis::Value::BulkString(b"v".to_vec()));
}

#[test]
fn keys_expire_while_no_process_serves() {
    let home = Home::new();
    let (running, url) = practice(&home, &[]);
    ask(&url, &["SET", "short", "v", "PX", "1"]);
    ask(&url, &["SET", "long", "v", "PXAT", "4102444800123"]);
    ask(&url, &["HSET", "hash", "b", "1", "a", "2"]);
    ask(&url, &["SADD", "set", "3", "1"]);
    running.terminate();
    running.finish().expect(0);
    let (_running, url) = practice(&home, &[]);
    assert_eq!(ask(&url, &["DBSIZE"]), redis::Value::Int(3));
    assert_eq!(
        ask(&url, &["PEXPIRETIME", "long"]),
        redis::Value::Int(4_102_444_800_123)
    );
    let words = |words: &[&str]| {
        redis::Value::Array(
            words
                .iter()
                .map(|word| redis::Value::BulkString(word.as_bytes().to_vec()))
                .collect(),
        )
    };
    assert_eq!(ask(&url, &["HGETALL", "hash"]), words(&["b", "1", "a", "2"]));
    assert_eq!(ask(&url, &["SMEMBERS", "set"]), words(&["1", "3"]));
}

#[test]
fn practice_ends_cleanly_on_both_signals_and_saves_nothing_on_request() {
    let home = Home::new();
    for arguments in [&["--no-save"][..], &["--no-save", "--password", "p@ss/word"]] {
        let (running, url) = practice(&home, arguments);
        ask(&url, &["SET", "k", "v"]);
        running.interrupt();
        let finished = running.finish().expect(0);
        assert_eq!(finished.stdout.lines().count(), 1);
        let (running, url) = practice(&home, arguments);
        assert_eq!(ask(&url, &["DBSIZE"]), redis::Value::Int(0));
        running.terminate();
        running.finish().expect(0);
    }
    assert!(!home.state().exists());
}

#[test]
fn practice_needs_a_password_unless_told_otherwise() {
    let home = Home::new();
    let reply_without_login = |url: &str| {
        let address = url.trim_end_matches("/0").trim_start_matches("redis://");
        let address = address.rsplit('@').next().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(b"PING\r\n").unwrap();
        let mut reply = [0; 7];
        stream.read_exact(&mut reply).unwrap();
        String::from_utf8_lossy(&reply).into_owned()
    };
    let (_running, url) = practice(&home, &["--no-save"]);
    assert_eq!(reply_without_login(&url), "-NOAUTH");
    assert_eq!(ask(&url, &["DBSIZE"]), redis::Value::Int(0));
    let (_open, url) = practice(&home, &["--no-save", "--no-password"]);
    assert_eq!(reply_without_login(&url), "+PONG\r\n");
    home.run(["practice", "--no-save", "--password", ""]).expect(2);
}

#[test]
fn a_state_folder_with_pipes_instead_of_files_blocks_no_command() {
    for file in ["practice.lock", "practice.data", "practice.json"] {
        let home = Home::new();
        log_in(&home);
        let path = home.state().join(file);
        let _ = fs::remove_file(&path);
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        home.run(["login", "ada"]).expect(0);
    }
}

#[test]
fn practice_refuses_addresses_that_are_in_use_or_not_loopback() {
    let home = Home::new();
    let (_running, url) = practice(&home, &["--no-save"]);
    let taken = url.trim_end_matches("/0").rsplit('@').next().unwrap();
    for listen in [taken, "0.0.0.0:0", "192.0.2.1:0", "nonsense", "127.0.0.1:99999"] {
        let finished = home.run(["practice", "--no-save", "--listen", listen]).expect(2);
        assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
        assert!(finished.stdout.is_empty());
    }
}

#[test]
fn a_second_practice_starts_without_the_data_of_the_first_and_reports_it() {
    let home = Home::new();
    let (_first, _) = practice(&home, &[]);
    let (mut second, _) = practice(&home, &[]);
    second.wait_for_stderr("memory only");
}

/// Whether a server with this run ID replies on the port in the address file.
fn answers(home: &Home) -> bool {
    let address = address(home);
    let port = u16::try_from(address["port"].as_u64().unwrap()).unwrap();
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let question = format!(
        "AUTH {}\r\nINFO server\r\nQUIT\r\n",
        address["password"].as_str().unwrap()
    );
    let mut said = String::new();
    stream.write_all(question.as_bytes()).is_ok()
        && stream.read_to_string(&mut said).is_ok()
        && said.contains(address["run_id"].as_str().unwrap())
}

#[test]
fn another_process_takes_over_on_the_same_port_when_the_server_ends() {
    let home = Home::new();
    log_in(&home);
    let first = serve(&home);
    let before = address(&home);
    let second = serve(&home);
    first.interrupt();
    first.finish();
    wait::wait_for("the second process to take over", || {
        let now = address_if_there(&home)?;
        (now != before && answers(&home)).then_some(())
    });
    let after = address(&home);
    assert_eq!(after["port"], before["port"]);
    assert_eq!(after["password"], before["password"]);
    assert!(visits(&home).contains("Visits: 1"));
    drop(second);
}

#[test]
fn another_process_takes_over_when_the_server_is_killed() {
    let home = Home::new();
    log_in(&home);
    let mut first = serve(&home);
    let before = address(&home);
    let _second = serve(&home);
    first.kill();
    wait::wait_for("the second process to take over", || {
        let now = address_if_there(&home)?;
        (now != before && answers(&home)).then_some(())
    });
    assert!(visits(&home).contains("Visits: 1"));
}

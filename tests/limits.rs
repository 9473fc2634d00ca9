//! Tests `ping` when the system provides too few files, too little memory or no threads, or forbids system
//! calls. It must print one clear line, and must never panic or be ended by a signal.
#![cfg(target_os = "linux")]
// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::{Command, Output};
use std::thread;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use serde_json::Value;
use support::{Authority, Home, RedisServer};

/// Runs `ping` after a shell command that sets a limit.
fn ping_with(limit: &str, arguments: &[&str]) -> Output {
    Command::new("sh")
        .args(["-c", &format!("{limit} && exec \"$0\" ping --timeout 3 \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_sessiontut"))
        .args(arguments)
        .output()
        .unwrap()
}

/// Returns a filter that makes a system call fail with this error if its arguments meet these conditions.
fn failing(call: i64, errno: i32, conditions: Vec<SeccompRule>) -> BpfProgram {
    let refusal = SeccompAction::Errno(errno.unsigned_abs());
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let rules = [(call, conditions)].into();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, architecture).unwrap();
    filter.try_into().unwrap()
}

/// Runs `ping` while these system calls fail.
fn ping_with_failing(calls: &[BpfProgram], url: &str) -> Output {
    let mut ping = Command::new(env!("CARGO_BIN_EXE_sessiontut"));
    ping.args(["ping", "--json", "--timeout", "3", url]);
    // A filter applies to one thread, and to the processes that this thread starts.
    let run = || {
        for call in calls {
            seccompiler::apply_filter(call).unwrap();
        }
        ping.output().unwrap()
    };
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// Returns the only line on standard error, if there is no other output.
fn only_line(output: &Output) -> Option<&str> {
    let text = std::str::from_utf8(&output.stderr).unwrap();
    let is_one_line = text.ends_with('\n') && text.lines().count() == 1;
    (is_one_line && output.stdout.is_empty()).then_some(text)
}

#[track_caller]
fn answer(output: &Output) -> Value {
    assert!(output.stderr.is_empty(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_low_limit_of_open_files_is_named() {
    let redis = RedisServer::start();
    for limit in 4..=30 {
        let output = ping_with(&format!("ulimit -n {limit}"), &[&redis.url(), "--json"]);
        let answer = answer(&output);
        let is_named = answer["cause"] == "local.open_files" && output.status.code() == Some(4);
        assert!(is_named || answer["ok"] == true, "{limit}: {answer:#}");
        assert!(is_named || limit > 9, "{limit}: {answer:#}");
    }
}

#[test]
fn too_little_memory_is_named() {
    let authority = Authority::new();
    let redis = RedisServer::with().tls(&authority.issue(&["localhost"])).start();
    let url = format!("rediss://localhost:{}", redis.port());
    let ca = authority.ca().display().to_string();
    let is_named = |output: &Output| {
        output.status.code() == Some(1) && only_line(output).is_some_and(|line| line.contains("ulimit -v"))
    };
    let ping = |kilobytes: usize| ping_with(&format!("ulimit -v {kilobytes}"), &[&url, "--ca", &ca]);
    let limits = (15_000..120_000)
        .step_by(1000)
        .chain((150_000..=400_000).step_by(50_000));
    // Below a certain limit, the system cannot even load the program and its libraries.
    let mut tried = limits
        .map(|limit| (limit, ping(limit)))
        .skip_while(|(_, output)| !is_named(output));
    assert!(tried.next().is_some());
    let mut works = false;
    for (limit, output) in tried {
        works |= output.status.code() == Some(0);
        assert!(is_named(&output) != works, "{limit}: {output:?}");
    }
    assert!(works);
}

#[test]
fn a_name_is_looked_up_even_if_no_thread_can_be_started() {
    let redis = RedisServer::start();
    let url = format!("redis://localhost:{}", redis.port());
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let starts_thread =
        SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), thread);
    let calls = [
        failing(
            libc::SYS_clone,
            libc::EAGAIN,
            vec![SeccompRule::new(vec![starts_thread.unwrap()]).unwrap()],
        ),
        // Without clone3, the C library uses clone.
        failing(libc::SYS_clone3, libc::ENOSYS, vec![]),
    ];
    // `localhost` is in /etc/hosts.
    let answer = answer(&ping_with_failing(&calls, &url));
    assert_eq!(answer["ok"], true, "{answer:#}");
}

#[test]
fn forbidden_sockets_are_this_hosts_fault() {
    let redis = RedisServer::start();
    for call in [libc::SYS_socket, libc::SYS_connect] {
        let output = ping_with_failing(&[failing(call, libc::EPERM, vec![])], &redis.url());
        let answer = answer(&output);
        assert_eq!(answer["cause"], "tcp.prohibited", "{answer:#}");
        assert_eq!(output.status.code(), Some(4));
        let evidence = answer["evidence"].to_string();
        assert!(!evidence.contains("RST"), "no packet was sent: {evidence}");
    }
}

#[test]
fn what_the_program_needs_from_the_system_is_named() {
    let redis = RedisServer::start();
    for (call, name) in [
        (libc::SYS_socketpair, "socket pairs"),
        (libc::SYS_epoll_create1, "epoll"),
        (libc::SYS_eventfd2, "eventfd"),
    ] {
        let output = ping_with_failing(&[failing(call, libc::EPERM, vec![])], &redis.url());
        let line = only_line(&output).unwrap_or_default();
        assert!(line.contains(name), "{output:?}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_after_the_verdict() {
    let redis = RedisServer::start();
    for file in ["/dev/full", "/nowhere/report.json"] {
        let finished = Home::new()
            .run(["ping", &redis.url(), "--report", file])
            .expect(1);
        assert!(finished.stdout.contains("ok:"), "{finished:?}");
        assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
        assert!(finished.stderr.contains(file), "{finished:?}");
    }
}

//! Runs `sessiontut check` on apps, four at a time, and reads its report.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use super::ports::free_port;
use super::program::Home;
use super::tools;

/// The number of apps that [`do_all`] grades at the same time.
const AT_ONCE: usize = 4;
/// The maximum number of apps that are graded at the same time, in all tests of a file together. If there
/// were more, an app might not answer 50 simultaneous visits in time on a small computer.
const MOST_AT_ONCE: usize = 7;
static GRADED_NOW: Mutex<usize> = Mutex::new(0);
static GRADED: Condvar = Condvar::new();

/// Returns the command that starts a Python app. `file` is relative to the project's folder.
pub fn python_app(file: &str, arguments: &[&str]) -> Vec<String> {
    let mut command = vec![text(&tools::python()), "-B".to_owned(), text(&in_project(file))];
    command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    command
}

/// Copies a Node app to a folder that contains its packages, because Node looks for them beside the file that
/// imports them.
pub fn node_app(folder: &str, packages: &str) -> TempDir {
    let copy = TempDir::new().unwrap();
    for file in fs::read_dir(in_project(folder)).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    symlink(tools::node_modules(packages), copy.path().join("node_modules")).unwrap();
    copy
}

/// Returns the absolute path of a file in the project's folder.
pub fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns a path as text.
pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Returns the arguments of `check` for the app that `command` starts.
pub fn arguments(stage: u8, ttl: u32, port: u16, more: &[&str], command: &[String]) -> Vec<String> {
    let url = format!("http://127.0.0.1:{port}");
    let (stage, ttl) = (stage.to_string(), ttl.to_string());
    let mut options = vec!["check", "--json", "--stage", &stage, "--ttl", &ttl];
    if !more.contains(&"--url") {
        options.extend(["--url", &url]);
    }
    let all = options
        .iter()
        .chain(more)
        .chain(&["--"])
        .map(|word| (*word).to_owned());
    all.chain(command.iter().cloned()).collect()
}

/// Grades the app that `command` starts. Returns the JSON report.
pub fn grade(command: &[String], stage: u8, ttl: u32, redis: &str) -> Value {
    grade_with(&[], command, stage, ttl, redis)
}

/// Like [`grade`], with additional options.
pub fn grade_with(options: &[&str], command: &[String], stage: u8, ttl: u32, redis: &str) -> Value {
    let home = Home::new();
    let turn = Turn::wait();
    let arguments = arguments(stage, ttl, free_port(), options, command);
    let finished = home
        .sessiontut(arguments)
        .redis(redis)
        .env("TTL", ttl.to_string())
        .run();
    drop(turn);
    assert!(matches!(finished.code(), Some(0 | 1)), "{}", finished.output());
    let report = finished.json();
    assert_eq!(report["ok"], finished.code() == Some(0));
    report
}

/// The permission to grade an app now. Only [`MOST_AT_ONCE`] permissions exist at the same time.
struct Turn;

impl Turn {
    fn wait() -> Self {
        let now = GRADED_NOW.lock().unwrap();
        let mut now = GRADED.wait_while(now, |now| *now == MOST_AT_ONCE).unwrap();
        *now += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *GRADED_NOW.lock().unwrap() -= 1;
        GRADED.notify_one();
    }
}

/// Runs `work` for all jobs, four at a time. If any jobs fail, fails the test with all their messages.
pub fn do_all<J: Send>(jobs: impl IntoIterator<Item = J>, work: impl Fn(J) -> Result<(), String> + Sync) {
    let jobs: Mutex<Vec<J>> = Mutex::new(jobs.into_iter().collect());
    let complaints = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(job) = jobs.lock().unwrap().pop() else {
                        return;
                    };
                    if let Err(complaint) = work(job) {
                        complaints.lock().unwrap().push(complaint);
                    }
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Returns the results of all checks.
pub fn results(report: &Value) -> impl Iterator<Item = &Value> {
    report["checks"].as_array().unwrap().iter()
}

/// Returns the IDs of the checks of this kind that have this result.
pub fn with_result<'a>(report: &'a Value, result: &str, kind: &str) -> BTreeSet<&'a str> {
    results(report)
        .filter(|check| check["result"] == result && check["kind"] == kind)
        .map(|check| check["id"].as_str().unwrap())
        .collect()
}

/// Returns the IDs of the checks of this kind that failed.
pub fn failed<'a>(report: &'a Value, kind: &str) -> BTreeSet<&'a str> {
    with_result(report, "fails", kind)
}

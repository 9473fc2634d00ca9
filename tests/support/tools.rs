//! Finds the tools that `scripts/test` installs for the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::required;

/// Returns the path of Python in the tests' virtual environment, which contains redis-py and the packages of
/// the Flask example.
pub fn python() -> PathBuf {
    installed("venv/bin/python")
}

/// Returns the `node_modules` folder with the packages of `examples/EXAMPLE/package.json`.
pub fn node_modules(example: &str) -> PathBuf {
    installed(&format!("{example}/node_modules"))
}

/// Returns the path of the axum example's program for a stage.
pub fn axum_example(stage: u8) -> PathBuf {
    installed(&format!("axum/debug/stage{stage}"))
}

/// Returns the path of the Go example's program for a stage.
pub fn go_example(stage: u8) -> PathBuf {
    installed(&format!("go/stage{stage}"))
}

/// Returns the command that compiles a Go file, as `scripts/test` compiles the Go example.
pub fn go_build(source: &Path, program: &Path) -> Command {
    let mut command = Command::new(required("go", "golang-go"));
    command
        .args(["build", "-o"])
        .args([program, source])
        .env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode")
        .env("GOCACHE", installed("go/cache"));
    command
}

/// Returns the path of the program in `tests/session_libraries/tower/`, which uses tower-sessions.
pub fn tower_sessions_app() -> PathBuf {
    installed("tower-sessions/debug/tower")
}

/// Returns the path of valkey-server, or `None` if it is not available on this platform.
pub fn valkey_server() -> Option<PathBuf> {
    let path = folder().join("valkey-server");
    path.exists().then_some(path)
}

fn installed(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(
        path.exists(),
        "{} is not there: run scripts/test once, which installs it",
        path.display()
    );
    path
}

fn folder() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target
        .expect("cargo's folder for tests lies in its target folder")
        .join("test-tools")
}

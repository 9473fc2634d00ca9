//! Runs the same test scenario with `sessiontut serve` and with the examples in every framework, on a real
//! Redis.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::drive::drive;
use support::ports::free_port;
use support::process::{Process, port_in, required};
use support::{App, RedisServer, tools};
use tempfile::TempDir;

const STAGES: [u8; 4] = [1, 2, 3, 4];

#[test]
fn the_flask_app_passes_the_drive() {
    let program = |stage: u8| {
        let mut command = Command::new(tools::python());
        command
            .args(["-B", &format!("stage{stage}.py")])
            .current_dir(example("flask"));
        command
    };
    passes(&program);
}

#[test]
fn the_express_app_passes_the_drive() {
    // Node looks for packages beside the file that imports them.
    let folder = TempDir::new().unwrap();
    for file in fs::read_dir(example("express")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    symlink(tools::node_modules("express"), folder.path().join("node_modules")).unwrap();
    let node = required("node", "nodejs");
    let program = |stage: u8| {
        let mut command = Command::new(&node);
        command.arg(format!("stage{stage}.js")).current_dir(folder.path());
        command
    };
    passes(&program);
}

#[test]
fn the_axum_app_passes_the_drive() {
    passes(&|stage| Command::new(tools::axum_example(stage)));
}

#[test]
fn the_go_app_passes_the_drive() {
    passes(&|stage| Command::new(tools::go_example(stage)));
}

#[test]
fn the_sinatra_app_passes_the_drive() {
    let ruby = required("ruby", "ruby");
    passes(&|stage| {
        let mut command = Command::new(&ruby);
        command
            .arg(format!("stage{stage}.rb"))
            .current_dir(example("sinatra"));
        command
    });
}

#[test]
fn the_php_app_passes_the_drive() {
    let php = required("php", "php-cli");
    passes(&|stage| {
        let mut command = Command::new(&php);
        let address = format!("127.0.0.1:{}", free_port());
        command
            .args(["-S", &address, &format!("stage{stage}.php")])
            .current_dir(example("php"));
        command
    });
}

#[test]
fn our_own_app_passes_the_drive() {
    for stage in STAGES {
        let mut redis = RedisServer::start();
        let app = App::start(&redis.url(), &["--stage", &stage.to_string()]);
        drive(stage, app.port, &mut redis);
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn passes(program: &dyn Fn(u8) -> Command) {
    for stage in STAGES {
        let mut redis = RedisServer::start();
        let mut command = program(stage);
        command
            .env("PORT", "0")
            .env("SECRET_KEY", "a key for the tests")
            .env("REDIS_URL", redis.url())
            .env_remove("HOST");
        let scratch = TempDir::new().unwrap();
        let log = scratch.path().join("log");
        let _running = Process::start(command, &log, || port_in(&log).is_some()).unwrap();
        let port = port_in(&log).unwrap();
        drive(stage, port, &mut redis);
    }
}

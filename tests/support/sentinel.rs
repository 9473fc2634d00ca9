//! Runs a real Sentinel that monitors a redis-server.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use tempfile::TempDir;

use super::ports::free_port;
use super::process::{Process, required};
use super::redis_server::RedisServer;

/// A running Sentinel that monitors a primary with the name `primary`.
#[derive(Debug)]
pub struct Sentinel {
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl Sentinel {
    /// Starts a Sentinel that monitors `server`, and waits until it is listening.
    pub fn watching(server: &RedisServer) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let conf = folder.path().join("sentinel.conf");
        let watched = format!("sentinel monitor primary 127.0.0.1 {} 1", server.port());
        let place = folder.path().display();
        fs::write(
            &conf,
            format!("port {port}\nbind 127.0.0.1\ndir {place}\n{watched}\n"),
        )
        .unwrap();
        let mut command = Command::new(required("redis-sentinel", "redis-sentinel"));
        command.arg(&conf);
        let log = folder.path().join("sentinel.log");
        let ready = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        let process =
            Process::start(command, &log, ready).unwrap_or_else(|log| panic!("redis-sentinel: {log}"));
        Self {
            _process: process,
            port,
            _folder: folder,
        }
    }

    /// Returns the URL of the Sentinel.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

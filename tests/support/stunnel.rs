//! stunnel in front of a plain port: a TLS server that Redis knows nothing of.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use tempfile::TempDir;

use super::ports::free_port;
use super::process::{Process, required};
use super::tls::Certificate;

/// A running stunnel.
#[derive(Debug)]
pub struct Stunnel {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl Stunnel {
    /// Speaks TLS with `certificate`, and passes on to `backend_port` of loopback.
    pub fn in_front_of(backend_port: u16, certificate: &Certificate) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let (cert, key) = (certificate.cert(), certificate.key());
        let service = format!(
            "foreground = yes\npid =\n[redis]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{backend_port}\n\
             cert = {}\nkey = {}\n",
            cert.display(),
            key.display()
        );
        fs::write(folder.path().join("stunnel.conf"), service).unwrap();
        Self {
            process: spawn(&folder, port),
            port,
            folder,
        }
    }

    /// Kills it; its port refuses from now on, until [`Self::restart`].
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port.
    pub fn restart(&mut self) {
        self.kill();
        self.process = spawn(&self.folder, self.port);
    }

    /// Stops it in its tracks: its port accepts and nothing passes, until [`Self::resume`].
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets it go on after [`Self::pause`].
    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    /// The TCP port that speaks TLS.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL that leads through it.
    pub fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}/0", self.port)
    }
}

fn spawn(folder: &TempDir, port: u16) -> Process {
    let mut command = Command::new(required("stunnel", "stunnel4"));
    command.arg(folder.path().join("stunnel.conf"));
    let log = folder.path().join("stunnel.log");
    let ready = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    Process::start(command, &log, ready).unwrap_or_else(|log| panic!("stunnel: {log}"))
}

//! Runs stunnel, which is an independent TLS server, in front of a port that does not use TLS.

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
    /// Starts stunnel with `certificate`. It forwards connections to `backend_port` on loopback.
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

    /// Kills stunnel. Its port refuses connections until [`Self::restart`].
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Stops stunnel if it is running, and starts it again on the same port.
    pub fn restart(&mut self) {
        self.kill();
        self.process = spawn(&self.folder, self.port);
    }

    /// Pauses stunnel with SIGSTOP. Its port accepts connections, but nothing is forwarded until
    /// [`Self::resume`].
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Resumes stunnel after [`Self::pause`].
    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    /// Returns the TLS port of stunnel.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of the TLS port.
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

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
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl Stunnel {
    /// Speaks TLS with `certificate`, and passes on to `backend_port` of loopback.
    pub fn in_front_of(backend_port: u16, certificate: &Certificate) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let conf = folder.path().join("stunnel.conf");
        let (cert, key) = (certificate.cert(), certificate.key());
        let service = format!(
            "foreground = yes\npid =\n[redis]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{backend_port}\n\
             cert = {}\nkey = {}\n",
            cert.display(),
            key.display()
        );
        fs::write(&conf, service).unwrap();
        let mut command = Command::new(required("stunnel", "stunnel4"));
        command.arg(&conf);
        let log = folder.path().join("stunnel.log");
        let ready = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        let process = Process::start(command, &log, ready).unwrap_or_else(|log| panic!("stunnel: {log}"));
        Self {
            _process: process,
            port,
            _folder: folder,
        }
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

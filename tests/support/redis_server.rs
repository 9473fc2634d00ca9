//! A real redis-server on a free port of loopback, alone in a folder that goes with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use redis::{Client, Connection, Value};
use tempfile::TempDir;

use super::monitor::Monitor;
use super::ports::free_port;
use super::process::{Process, required};
use super::tls::Certificate;

/// The user that the tests themselves log in as, whatever the default user may do.
const OPERATOR: &str = "operator";
const OPERATOR_PASSWORD: &str = "operator-password";

/// Ports to try before giving up: each may be taken between its choice and its use.
const ATTEMPTS: usize = 5;

/// What a [`RedisServer`] is to be like.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    program: Option<PathBuf>,
    password: Option<String>,
    certificate: Option<Certificate>,
    lines: Vec<String>,
}

impl Settings {
    /// Another server program, such as Valkey's.
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = Some(path.into());
        self
    }

    /// `requirepass`: the default user's password, which [`RedisServer::url`] then holds.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.line(&format!("requirepass {password}"))
    }

    /// The port speaks TLS with this certificate, and trusts clients of the same authority without asking for one.
    pub fn tls(mut self, certificate: &Certificate) -> Self {
        self.certificate = Some(certificate.clone());
        self
    }

    /// One line of redis.conf: a directive, or an ACL user (`user ada on >secret ~sessiontut:* +@all`).
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Starts it; ready when this returns.
    pub fn start(self) -> RedisServer {
        let folder = TempDir::new().unwrap();
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let port = free_port();
            match self.spawn(folder.path(), port) {
                Ok(process) => {
                    return RedisServer {
                        process,
                        port,
                        settings: self,
                        folder,
                    };
                }
                Err(log) => said = log,
            }
        }
        panic!("redis-server does not start: {said}");
    }

    fn spawn(&self, folder: &Path, port: u16) -> Result<Process, String> {
        let conf = folder.join("redis.conf");
        fs::write(&conf, self.configuration(folder, port)).unwrap();
        let program = self.program.clone();
        let mut command = Command::new(program.unwrap_or_else(|| required("redis-server", "redis-server")));
        command.arg(&conf).current_dir(folder);
        Process::start(command, &folder.join("redis.log"), || answers(folder))
    }

    fn configuration(&self, folder: &Path, port: u16) -> String {
        let folder_name = folder.display();
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            "save \"\"".to_owned(),
            "loglevel notice".to_owned(),
            "enable-debug-command local".to_owned(),
            format!("dir {folder_name}"),
            format!("unixsocket {}", socket(folder).display()),
            format!("user {OPERATOR} on >{OPERATOR_PASSWORD} ~* &* +@all"),
        ];
        match &self.certificate {
            None => lines.push(format!("port {port}")),
            Some(certificate) => lines.extend([
                "port 0".to_owned(),
                format!("tls-port {port}"),
                format!("tls-cert-file {}", certificate.cert().display()),
                format!("tls-key-file {}", certificate.key().display()),
                format!("tls-ca-cert-file {}", certificate.authority().display()),
                "tls-auth-clients optional".to_owned(),
            ]),
        }
        lines.extend(self.lines.iter().cloned());
        lines.join("\n") + "\n"
    }
}

/// A running redis-server.
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    port: u16,
    settings: Settings,
    folder: TempDir,
}

impl RedisServer {
    /// A plain one, without a password.
    pub fn start() -> Self {
        Settings::default().start()
    }

    /// One with settings of its own.
    pub fn with() -> Settings {
        Settings::default()
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL that leads to it, with the password where it has one.
    pub fn url(&self) -> String {
        let scheme = if self.settings.certificate.is_some() {
            "rediss"
        } else {
            "redis"
        };
        let login = self
            .settings
            .password
            .as_ref()
            .map_or(String::new(), |password| format!(":{password}@"));
        format!("{scheme}://{login}127.0.0.1:{}/0", self.port)
    }

    /// The path of its unix socket, which works whatever the port speaks.
    pub fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }

    /// A connection as the operator, over the unix socket.
    pub fn connection(&self) -> Connection {
        connect(self.folder.path()).unwrap()
    }

    /// The reply to one command, asked as the operator; an error reply fails the test.
    #[track_caller]
    pub fn ask(&self, words: &[&str]) -> Value {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command
            .query(&mut self.connection())
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// The names of all keys of database 0, sorted.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut self.connection()).unwrap();
        keys.sort();
        keys
    }

    /// The fields of a hash, sorted.
    pub fn hash(&self, key: &str) -> Vec<(String, String)> {
        let mut fields: Vec<(String, String)> = redis::cmd("HGETALL")
            .arg(key)
            .query(&mut self.connection())
            .unwrap();
        fields.sort();
        fields
    }

    /// What is left of a key's life in milliseconds, as PTTL says it: -1 without a TTL, -2 without a key.
    pub fn pttl(&self, key: &str) -> i64 {
        redis::cmd("PTTL").arg(key).query(&mut self.connection()).unwrap()
    }

    /// Listens to every command that it is sent from now on.
    pub fn monitor(&self) -> Monitor {
        Monitor::start(self)
    }

    /// Stops it in its tracks: connections stay open and nothing answers, until [`Self::resume`].
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets it go on after [`Self::pause`].
    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    /// Kills it; its port refuses from now on, until [`Self::restart`].
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port and folder, with what it had saved.
    pub fn restart(&mut self) {
        self.kill();
        let _ = fs::remove_file(self.socket());
        self.process = self
            .settings
            .spawn(self.folder.path(), self.port)
            .unwrap_or_else(|log| panic!("redis-server does not start again on port {}: {log}", self.port));
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}

fn connect(folder: &Path) -> redis::RedisResult<Connection> {
    let url = format!(
        "unix://{}?user={OPERATOR}&pass={OPERATOR_PASSWORD}",
        socket(folder).display()
    );
    Client::open(url)?.get_connection()
}

fn answers(folder: &Path) -> bool {
    connect(folder).is_ok_and(|mut connection| redis::cmd("PING").query::<Value>(&mut connection).is_ok())
}

//! Runs a real redis-server on a free loopback port, in a temporary folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use redis::{Client, Connection, Value};
use tempfile::TempDir;

use super::monitor::Monitor;
use super::ports::free_port;
use super::process::{Process, required};
use super::tls::Certificate;
use super::wait::wait_for;

/// The Redis user that runs the commands of the tests. Its permissions do not depend on those of the default
/// user.
const OPERATOR: &str = "operator";
const OPERATOR_PASSWORD: &str = "operator-password";

/// The maximum number of ports to try, because another process might start using a port before the server
/// does.
const ATTEMPTS: usize = 5;

/// The settings for a new [`RedisServer`].
#[derive(Clone, Debug, Default)]
pub struct Settings {
    program: Option<PathBuf>,
    password: Option<String>,
    certificate: Option<Certificate>,
    lines: Vec<String>,
}

impl Settings {
    /// Uses the server program at `path`, such as Valkey.
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = Some(path.into());
        self
    }

    /// Sets the default user's password (`requirepass`). [`RedisServer::url`] then contains it.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.line(&format!("requirepass {password}"))
    }

    /// Uses TLS with this certificate. Client certificates from the same CA are accepted, but not required.
    pub fn tls(mut self, certificate: &Certificate) -> Self {
        self.certificate = Some(certificate.clone());
        self
    }

    /// Adds a line to redis.conf, for example an ACL user (`user ada on >secret ~sessiontut:* +@all`).
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Writes each change to the disk before the reply is sent, so that nothing is lost when the server is killed.
    pub fn durable(self) -> Self {
        self.line("appendonly yes").line("appendfsync always")
    }

    /// Starts the server, and waits until it is ready.
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
        panic!("redis-server did not start: {said}");
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

/// A running redis-server. It is killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    port: u16,
    settings: Settings,
    folder: TempDir,
}

impl RedisServer {
    /// Starts a server with default settings and no password.
    pub fn start() -> Self {
        Settings::default().start()
    }

    /// Returns the default settings of a server, which can be changed before the server is started.
    pub fn with() -> Settings {
        Settings::default()
    }

    /// Returns the server's TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the server's URL, with the password if there is one.
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

    /// Returns the path of the server's unix socket, which never uses TLS.
    pub fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }

    /// Connects over the unix socket, as the user [`OPERATOR`].
    pub fn connection(&self) -> Connection {
        connect(self.folder.path()).unwrap()
    }

    /// Sends a command as the user [`OPERATOR`], and returns the reply. An error reply fails the test.
    #[track_caller]
    pub fn ask(&self, words: &[&str]) -> Value {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command
            .query(&mut self.connection())
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Returns the names of all keys in database 0, sorted.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut self.connection()).unwrap();
        keys.sort();
        keys
    }

    /// Returns the keys of all sessions of stage 4, sorted.
    pub fn sessions(&self) -> Vec<String> {
        let mut keys = self.keys();
        keys.retain(|key| key.starts_with("sessiontut:session:"));
        keys
    }

    /// Returns the fields of a hash, sorted.
    pub fn hash(&self, key: &str) -> Vec<(String, String)> {
        let mut fields: Vec<(String, String)> = redis::cmd("HGETALL")
            .arg(key)
            .query(&mut self.connection())
            .unwrap();
        fields.sort();
        fields
    }

    /// Returns the key's TTL in milliseconds, as PTTL does: -1 if it has no TTL, -2 if the key does not
    /// exist.
    pub fn pttl(&self, key: &str) -> i64 {
        redis::cmd("PTTL").arg(key).query(&mut self.connection()).unwrap()
    }

    /// Makes the server save its data, and waits until this has ended with `outcome` (`ok` or `err`).
    pub fn save(&self, outcome: &str) {
        self.ask(&["BGSAVE"]);
        wait_for("the save to end", || {
            let reply = self.ask(&["INFO", "persistence"]);
            let info = redis::from_redis_value::<String>(reply).unwrap();
            let is_over = info.contains("rdb_bgsave_in_progress:0");
            (is_over && info.contains(&format!("rdb_last_bgsave_status:{outcome}"))).then_some(())
        });
    }

    /// Records every command that the server receives from now on.
    pub fn monitor(&self) -> Monitor {
        Monitor::start(self)
    }

    /// Pauses the server with SIGSTOP. Connections stay open, but get no replies until [`Self::resume`].
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Resumes the server after [`Self::pause`].
    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    /// Kills the server. Its port refuses connections until [`Self::restart`].
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the server again on the same port, with the data that it has saved.
    pub fn restart(&mut self) {
        self.kill();
        let _ = fs::remove_file(self.socket());
        self.process = self
            .settings
            .spawn(self.folder.path(), self.port)
            .unwrap_or_else(|log| panic!("redis-server does not start again on port {}: {log}", self.port));
    }

    /// Returns the ID of the server's process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns the server's log so far.
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

//! Starts the learner's app in its own process group, waits until the app's port accepts connections, and
//! stops the whole group.

mod output;

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::progress::Progress;
use crate::deadline::Deadline;
use crate::random;
use output::Output;

/// The maximum time without output while the app starts.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The maximum time for the start of an app that keeps printing. Some start commands compile the app, so this
/// limit is long.
const READY_WITHIN_AT_MOST: Duration = Duration::from_secs(300);
/// How long the app may take to exit after SIGTERM.
const END_WITHIN: Duration = Duration::from_secs(5);
/// The pause between two checks of the app's port or process.
const POLL: Duration = Duration::from_millis(25);
const CONNECT_WITHIN: Duration = Duration::from_millis(500);

#[derive(Clone, Debug)]
pub(crate) struct StartCommand {
    /// The program to start, followed by its arguments.
    pub(crate) words: Vec<String>,
    pub(crate) address: SocketAddr,
    /// The value of `REDIS_URL` for the app, or `None` to leave the app's environment unchanged.
    pub(crate) redis_url: Option<String>,
    /// The file to which the app's output is appended.
    pub(crate) output: PathBuf,
    secret_key: String,
}

/// Why the app is not running.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    #[error(
        "port {0} is already in use; stop the program that uses it, or choose another port with --url or the variable PORT"
    )]
    PortInUse(u16),
    #[error("cannot start {program}: {error}{}", advice(.error, .words))]
    Start {
        program: String,
        words: Vec<String>,
        error: io::Error,
    },
    #[error("{ended} before it listened on port {port}; the output of the app is in {output}")]
    Ended { ended: Ended, port: u16, output: String },
    #[error(
        "the app did not listen on port {port} within {seconds} s; make the app listen on the port in the variable \
         PORT, or pass the address of the app with --url (the output of the app is in {output})"
    )]
    NotReady {
        port: u16,
        seconds: u64,
        output: String,
        tail: Vec<String>,
    },
}

impl AppError {
    pub(crate) fn tail(&self) -> &[String] {
        match self {
            Self::Ended { ended, .. } => &ended.tail,
            Self::NotReady { tail, .. } => tail,
            Self::PortInUse(_) | Self::Start { .. } => &[],
        }
    }
}

/// The exit status and the last output lines of an app that exited by itself.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    status: ExitStatus,
    pub(crate) tail: Vec<String>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.status.success() { "ended" } else { "crashed" };
        write!(f, "the app {what} ({})", self.status)
    }
}

/// A running app. Dropping this value kills the app's process group.
#[derive(Debug)]
pub(crate) struct App {
    /// The start command, with the address on which the app actually listens.
    command: StartCommand,
    /// The loopback address of the other IP version, where the app might listen instead. `None` if that
    /// address is in use, or if the app is not on a loopback address.
    other: Option<SocketAddr>,
    pub(crate) output: Output,
    child: Option<Child>,
    guard: Option<Guard>,
}

/// A helper shell that stops the app if this program is killed. Dropping this value ends the shell, but not
/// the app.
#[derive(Debug)]
struct Guard(Child);

/// Returns advice if a start command contains a common mistake, such as shell syntax. Otherwise, returns an
/// empty string.
fn advice(error: &io::Error, words: &[String]) -> String {
    let program = words.first().map_or("", String::as_str);
    let quoted = |line: &str| format!("'{}'", line.replace('\'', r"'\''"));
    let needs_shell = program == "cd"
        || program.contains([' ', '=', '$', '~', ';', '&', '|'])
        || words
            .iter()
            .any(|word| ["&&", "||", ";", "|"].contains(&word.as_str()));
    match error.kind() {
        io::ErrorKind::NotFound if needs_shell => {
            // A word with a space is a part of the shell command, or a path.
            let is_shell = |word: &str| word.contains(['&', ';', '|']);
            let shown = words
                .iter()
                .map(|word| match word.contains(' ') && words.len() > 1 {
                    true if !is_shell(word) => format!("\"{word}\""),
                    _ => word.clone(),
                });
            let mut line = shown.collect::<Vec<_>>().join(" ");
            if words.len() == 2 && program == "cd" && !is_shell(&words[1]) {
                line.push_str(" && python app.py");
            }
            format!("; for a shell command, use `-- sh -c {}`", quoted(&line))
        }
        io::ErrorKind::PermissionDenied if PathBuf::from(program).is_file() => {
            let extension = program.rsplit('.').next().unwrap_or_default();
            let interpreter = match extension {
                "py" => "python",
                "js" | "mjs" | "cjs" => "node",
                "rb" => "ruby",
                "php" => "php",
                "sh" => "sh",
                _ => return "; the file is not executable (`chmod +x` makes it so)".to_owned(),
            };
            format!(
                "; the file is not executable: use `-- {interpreter} {}`",
                words.join(" ")
            )
        }
        _ => String::new(),
    }
}

impl StartCommand {
    pub(crate) fn new(
        words: Vec<String>,
        address: SocketAddr,
        redis_url: Option<String>,
        output: PathBuf,
    ) -> Self {
        Self {
            words,
            address,
            redis_url,
            output,
            // A restarted app gets the same key, so its signed cookies stay valid.
            secret_key: random::hexadecimal::<32>(),
        }
    }

    fn spawn(&self) -> Result<Child, AppError> {
        let failed = |error| AppError::Start {
            program: self.words.join(" "),
            words: self.words.clone(),
            error,
        };
        let output = File::options()
            .append(true)
            .create(true)
            .open(&self.output)
            .map_err(failed)?;
        let port = self.address.port().to_string();
        let mut command = Command::new(&self.words[0]);
        command
            .args(&self.words[1..])
            .env("SECRET_KEY", &self.secret_key)
            .env("PORT", &port)
            .env("FLASK_RUN_PORT", &port)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output);
        if let Some(url) = &self.redis_url {
            command.env("REDIS_URL", url);
        }
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().map_err(failed)
    }
}

impl App {
    /// Starts the app, and waits until its port accepts connections.
    pub(crate) async fn start(command: StartCommand, progress: &Progress) -> Result<Self, AppError> {
        if answers(command.address) {
            return Err(AppError::PortInUse(command.address.port()));
        }
        let other = other_loopback(command.address).filter(|other| !answers(*other));
        let mut app = Self {
            output: Output::limited(&command.output),
            command,
            other,
            child: None,
            guard: None,
        };
        app.run(progress).await?;
        Ok(app)
    }

    /// Starts a second instance of the app on a free port.
    pub(crate) async fn start_another(&self, progress: &Progress) -> Result<Self, AppError> {
        let mut command = self.command.clone();
        if let Ok(port) = TcpListener::bind((command.address.ip(), 0)).and_then(|free| free.local_addr()) {
            command.address = port;
        }
        Self::start(command, progress).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.command.address
    }

    /// Kills the app to simulate a crash, then starts the app again.
    pub(crate) async fn restart_after_kill(&mut self, progress: &Progress) -> Result<(), AppError> {
        self.kill();
        // If the start command is a shell or a tool such as npm, the app might exit a little later than the
        // command.
        let deadline = Deadline::after(END_WITHIN);
        while answers(self.command.address) && !deadline.is_over() {
            tokio::time::sleep(POLL).await;
        }
        self.run(progress).await
    }

    async fn run(&mut self, progress: &Progress) -> Result<(), AppError> {
        self.child = Some(self.command.spawn()?);
        self.guard = self.child.as_ref().and_then(Guard::of);
        let port = self.command.address.port();
        let whole = Deadline::after(READY_WITHIN_AT_MOST);
        let silent = Cell::new(Deadline::after(READY_WITHIN));
        let left = || silent.get().left().min(whole.left());
        let what = format!("waiting until the app listens on port {port}; giving up");
        progress
            .during(&what, left, self.until_ready(whole, &silent))
            .await
    }

    /// Waits until the app listens. `whole` limits the total wait. `silent` limits the time without output,
    /// so this limit starts again whenever the app prints.
    async fn until_ready(&mut self, whole: Deadline, silent: &Cell<Deadline>) -> Result<(), AppError> {
        let started = Instant::now();
        let port = self.command.address.port();
        let output = self.command.output.display().to_string();
        let mut printed = self.output.length();
        loop {
            if answers(self.command.address) {
                return Ok(());
            }
            if let Some(other) = self.other.filter(|other| answers(*other)) {
                self.command.address = other;
                return Ok(());
            }
            if let Some(ended) = self.ended() {
                return Err(AppError::Ended { ended, port, output });
            }
            let now = self.output.length();
            if now != printed {
                printed = now;
                silent.set(Deadline::after(READY_WITHIN));
            }
            if silent.get().is_over() || whole.is_over() {
                return Err(AppError::NotReady {
                    port,
                    seconds: started.elapsed().as_secs(),
                    output,
                    tail: self.output.last_lines(),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns how the app exited, or `None` if the app has not exited by itself.
    pub(crate) fn ended(&mut self) -> Option<Ended> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        let tail = self.output.last_lines();
        Some(Ended { status, tail })
    }

    /// Sends SIGTERM to the app's process group. Kills the remaining processes of the group once the app has
    /// exited, or after 5 s.
    pub(crate) async fn stop(&mut self, progress: &Progress) {
        if let Some(child) = &mut self.child {
            signal_group(child, GroupSignal::Terminate);
            let deadline = Deadline::after(END_WITHIN);
            let end = async {
                while matches!(child.try_wait(), Ok(None)) && !deadline.is_over() {
                    tokio::time::sleep(POLL).await;
                }
            };
            let what = "waiting until the app ends; killing it";
            progress.during(what, || deadline.left(), end).await;
        }
        // This also kills child processes that ignored SIGTERM.
        self.kill();
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal_group(&mut child, GroupSignal::Kill);
            let _ = child.wait();
            // A child process may keep the port open for a moment.
            let deadline = Deadline::after(END_WITHIN);
            while answers(self.command.address) && !deadline.is_over() {
                std::thread::sleep(POLL);
            }
        }
        self.guard = None;
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Guard {
    /// Starts a shell that stops the app if the shell's input ends without a line. The input ends when this
    /// program is killed. Returns `None` if the shell cannot be started.
    fn of(app: &Child) -> Option<Self> {
        const SCRIPT: &str = r#"
            read -r _ && exit
            kill -s TERM -- "-$0"
            for _ in 1 2 3 4 5; do kill -s 0 -- "-$0" || exit; sleep 1; done
            kill -s KILL -- "-$0"
        "#;
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT, &app.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Start the guard in its own process group. Otherwise, Ctrl-C in the terminal would stop the guard before
        // the app.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        match cfg!(unix) {
            true => command.spawn().ok().map(Self),
            false => None,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut input) = self.0.stdin.take() {
            // Writing fails only if the shell has already ended.
            let _ = input.write_all(b"\n");
        }
        let _ = self.0.wait();
    }
}

/// Returns `::1` for `127.0.0.1` and `127.0.0.1` for `::1`, with the same port, because an app on `localhost`
/// may use either address. Returns `None` for all other addresses.
pub(crate) fn other_loopback(address: SocketAddr) -> Option<SocketAddr> {
    let other: IpAddr = match address.ip() {
        IpAddr::V4(Ipv4Addr::LOCALHOST) => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Ipv4Addr::LOCALHOST.into(),
        _ => return None,
    };
    Some(SocketAddr::new(other, address.port()))
}

/// Whether a connection to this address succeeds.
pub(crate) fn answers(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, CONNECT_WITHIN).is_ok()
}

#[derive(Clone, Copy)]
enum GroupSignal {
    Terminate,
    Kill,
}

#[cfg(unix)]
fn signal_group(child: &mut Child, signal: GroupSignal) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let signal = match signal {
        GroupSignal::Terminate => Signal::TERM,
        GroupSignal::Kill => Signal::KILL,
    };
    // The process group may already have ended.
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

#[cfg(not(unix))]
fn signal_group(child: &mut Child, _: GroupSignal) {
    let _ = child.kill();
}

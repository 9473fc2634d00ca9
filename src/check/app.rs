//! The learner's app: starts it in its own process group, waits until its port answers, and stops the whole group.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::random;

/// How long the app may take to listen. Some start commands compile the app first.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long the app may take to exit after SIGTERM.
const END_WITHIN: Duration = Duration::from_secs(5);
/// How often the port or the process is polled.
const POLL: Duration = Duration::from_millis(25);
/// Time limit for one connection attempt.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// The maximum number of bytes of the app's output that are read when the run ends.
const MOST_OUTPUT: u64 = 8 * 1024 * 1024;

/// How to start the app.
#[derive(Clone, Debug)]
pub(crate) struct StartCommand {
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
    /// The address that the app must listen on.
    pub(crate) address: SocketAddr,
    /// The URL of the proxy, or `None` if the app keeps its own `REDIS_URL`.
    pub(crate) redis_url: Option<String>,
    /// The file that receives the app's output. Each start of the app appends to it.
    pub(crate) output: PathBuf,
    secret_key: String,
}

/// The reason why the app is not running.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    #[error(
        "port {0} is already in use; stop the program that uses it, or choose another port with --url or the variable PORT"
    )]
    PortInUse(u16),
    #[error("cannot start {program}: {error}")]
    Start { program: String, error: io::Error },
    #[error("the app ended before its port {port} answered; its output is in {output}")]
    Ended {
        port: u16,
        output: String,
        /// The last lines of the app's output.
        tail: Vec<String>,
    },
    #[error("port {port} did not answer within {} s; the app must listen on the port in PORT (its output is in {output})", READY_WITHIN.as_secs())]
    NotReady { port: u16, output: String },
}

/// A running app. Dropping it kills the process group.
#[derive(Debug)]
pub(crate) struct App {
    command: StartCommand,
    child: Option<Child>,
    guard: Option<Guard>,
}

/// A process that stops the app if this program is killed, and therefore cannot stop the app itself. When the
/// guard is dropped, only this process ends.
#[derive(Debug)]
struct Guard(Child);

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
            // The key is kept across restarts, so that signed cookies stay valid.
            secret_key: random::hexadecimal::<32>(),
        }
    }

    fn spawn(&self) -> Result<Child, AppError> {
        let failed = |error| AppError::Start {
            program: self.words.join(" "),
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
    /// Starts the app, and waits until its port answers.
    ///
    /// # Errors
    /// [`AppError`] if the port is in use, or if the app does not start.
    pub(crate) async fn start(command: StartCommand) -> Result<Self, AppError> {
        if answers(command.address) {
            return Err(AppError::PortInUse(command.address.port()));
        }
        let mut app = Self {
            command,
            child: None,
            guard: None,
        };
        app.run().await?;
        Ok(app)
    }

    /// Starts a second instance of the same app, on another port.
    ///
    /// # Errors
    /// [`AppError`] if the second instance does not start.
    pub(crate) async fn start_another(&self) -> Result<Self, AppError> {
        let mut command = self.command.clone();
        if let Ok(port) = TcpListener::bind((command.address.ip(), 0)).and_then(|free| free.local_addr()) {
            command.address = port;
        }
        Self::start(command).await
    }

    /// The address that the app listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.command.address
    }

    /// Kills the app as a crash would, and starts it again.
    pub(crate) async fn restart_after_kill(&mut self) -> Result<(), AppError> {
        self.kill();
        // If the start command is a shell or a tool such as npm, the app itself may exit a little later.
        let deadline = Deadline::after(END_WITHIN);
        while answers(self.command.address) && !deadline.is_over() {
            tokio::time::sleep(POLL).await;
        }
        self.run().await
    }

    async fn run(&mut self) -> Result<(), AppError> {
        let child = self.child.insert(self.command.spawn()?);
        self.guard = Guard::of(child);
        let deadline = Deadline::after(READY_WITHIN);
        let port = self.command.address.port();
        let output = self.command.output.display().to_string();
        while !answers(self.command.address) {
            if matches!(child.try_wait(), Ok(Some(_))) {
                let tail = self.output_tail();
                return Err(AppError::Ended { port, output, tail });
            }
            if deadline.is_over() {
                return Err(AppError::NotReady { port, output });
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// The file that contains the app's output.
    pub(crate) fn output_file(&self) -> &PathBuf {
        &self.command.output
    }

    /// Returns the app's output, up to a maximum number of bytes.
    pub(crate) fn output(&self) -> String {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        if let Ok(file) = File::open(&self.command.output) {
            let _ = file.take(MOST_OUTPUT).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn output_tail(&self) -> Vec<String> {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        let last = &lines[lines.len().saturating_sub(10)..];
        last.iter().map(|line| (*line).to_owned()).collect()
    }

    /// Whether the app has exited without being stopped by this program.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Asks the process group to exit, and kills it after 5 s.
    pub(crate) async fn stop(&mut self) {
        if let Some(child) = &mut self.child {
            signal_group(child, GroupSignal::Terminate);
            let deadline = Deadline::after(END_WITHIN);
            while matches!(child.try_wait(), Ok(None)) && !deadline.is_over() {
                tokio::time::sleep(POLL).await;
            }
        }
        // This also kills child processes of the app that have ignored the signal.
        self.kill();
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal_group(&mut child, GroupSignal::Kill);
            let _ = child.wait();
            // A child of the app may still be listening on the port for a moment.
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
    /// Starts a shell that waits for a line of input. If this program ends without sending one, the system
    /// closes the shell's input, and the shell then stops the app. If no shell can be started, there is no
    /// guard.
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
        // Ctrl-C in the terminal must not stop the guard before the app.
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

/// Whether a program is listening on this address.
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
    // The group may have ended already.
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

#[cfg(not(unix))]
fn signal_group(child: &mut Child, _: GroupSignal) {
    let _ = child.kill();
}

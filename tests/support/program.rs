//! Runs the program under test with a separate home folder.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::signal;
use super::wait;

/// Time limit for one run of the program. When it is reached, the program is killed and the test fails.
const HARD_LIMIT: Duration = Duration::from_secs(120);

/// The path of the program under test.
pub const SESSIONTUT: &str = env!("CARGO_BIN_EXE_sessiontut");

/// A temporary home folder with a state folder. It contains no secrets, and no settings for Redis or a cloud.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// Creates an empty home folder.
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    /// Returns the path of the home folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the path of the program's state folder.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state/sessiontut")
    }

    /// Returns the environment variables for this home folder. Except for `PATH`, they do not depend on the
    /// environment of the test.
    pub fn environment(&self) -> Vec<(String, String)> {
        let home = self.folder.path().display();
        let path = std::env::var("PATH").unwrap_or_default();
        [
            ("PATH", path),
            ("HOME", home.to_string()),
            ("XDG_STATE_HOME", format!("{home}/state")),
            ("XDG_CONFIG_HOME", format!("{home}/config")),
            ("LANG", "C.UTF-8".to_owned()),
            ("TERM", "xterm-256color".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Prepares a run with these arguments, for example `home.sessiontut(["ping", "--json"])`.
    pub fn sessiontut<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Program {
        let mut command = Command::new(SESSIONTUT);
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment())
            .current_dir(self.path());
        Program {
            command,
            input: None,
            limit: HARD_LIMIT,
        }
    }

    /// Runs the program until it exits.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Finished {
        self.sessiontut(arguments).run()
    }
}

/// The program with its arguments and environment, before it is started.
#[derive(Debug)]
pub struct Program {
    command: Command,
    input: Option<Vec<u8>>,
    limit: Duration,
}

impl Program {
    /// Sets `REDIS_URL`.
    pub fn redis(self, url: &str) -> Self {
        self.env("REDIS_URL", url)
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets the standard input. By default, it is empty.
    pub fn input(mut self, text: &str) -> Self {
        self.input = Some(text.as_bytes().to_vec());
        self
    }

    /// Sets the time limit of the run. By default, it is two minutes.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the program until it exits.
    #[track_caller]
    pub fn run(self) -> Finished {
        self.start().finish()
    }

    /// Starts the program.
    #[track_caller]
    pub fn start(mut self) -> Running {
        let words = format!("{:?}", self.command);
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{words}: {error}"));
        let mut input = child.stdin.take().unwrap();
        if let Some(text) = self.input {
            // The program might have closed its standard input without reading it.
            let _ = input.write_all(&text);
        }
        drop(input);
        let (stdout, stdout_reader) = collect(child.stdout.take().unwrap());
        let (stderr, stderr_reader) = collect(child.stderr.take().unwrap());
        Running {
            child,
            words,
            started: Instant::now(),
            limit: self.limit,
            stdout,
            stderr,
            readers: vec![stdout_reader, stderr_reader],
        }
    }
}

type Collected = Arc<Mutex<Vec<u8>>>;

/// Reads `source` to its end in a separate thread, so that the program is never blocked by a full pipe.
fn collect(mut source: impl Read + Send + 'static) -> (Collected, JoinHandle<()>) {
    let collected = Collected::default();
    let into = Arc::clone(&collected);
    let reader = thread::spawn(move || {
        let mut chunk = [0; 8192];
        while let Ok(count @ 1..) = source.read(&mut chunk) {
            into.lock().unwrap().extend_from_slice(&chunk[..count]);
        }
    });
    (collected, reader)
}

/// A running program under test. It is killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    words: String,
    started: Instant,
    limit: Duration,
    stdout: Collected,
    stderr: Collected,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Returns the ID of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the program has exited.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Returns the contents of standard output so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// Returns the contents of standard error so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Waits until standard output contains `wanted`, and returns everything written to it so far.
    #[track_caller]
    pub fn wait_for_stdout(&mut self, wanted: &str) -> String {
        self.wait_until(wanted, Self::stdout)
    }

    /// Waits until standard error contains `wanted`, and returns everything written to it so far.
    #[track_caller]
    pub fn wait_for_stderr(&mut self, wanted: &str) -> String {
        self.wait_until(wanted, Self::stderr)
    }

    /// Waits for the first complete line of standard output, and returns it without its newline.
    #[track_caller]
    pub fn first_line(&mut self) -> String {
        let output = self.wait_for_stdout("\n");
        output.lines().next().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn wait_until(&mut self, wanted: &str, output: fn(&Self) -> String) -> String {
        let seen = wait::within(wait::PATIENCE, || {
            let ended = self.has_ended();
            let seen = output(self);
            (seen.contains(wanted) || ended).then_some(seen)
        });
        match seen {
            Some(seen) if seen.contains(wanted) => seen,
            // Check once more, because the last output might have arrived just before the program exited.
            _ if output(self).contains(wanted) => output(self),
            _ => panic!(
                "{}: timed out waiting for {wanted:?}\nstdout: {}\nstderr: {}",
                self.words,
                self.stdout(),
                self.stderr()
            ),
        }
    }

    /// Sends SIGINT, like Ctrl-C.
    pub fn interrupt(&self) {
        signal(self.pid(), "INT");
    }

    /// Sends SIGTERM, like a service manager.
    pub fn terminate(&self) {
        signal(self.pid(), "TERM");
    }

    /// Kills the program with SIGKILL, and waits until it has exited.
    pub fn kill(&mut self) {
        // The program might already have exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until the program exits. At the time limit, kills it and fails the test.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        let left = self.limit.saturating_sub(self.started.elapsed());
        let Some(status) = wait::within(left, || self.child.try_wait().unwrap()) else {
            panic!(
                "{}: still running after {} s\nstdout: {}\nstderr: {}",
                self.words,
                self.limit.as_secs(),
                self.stdout(),
                self.stderr()
            );
        };
        let took = self.started.elapsed();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        Finished {
            words: self.words.clone(),
            status,
            stdout: self.stdout(),
            stderr: self.stderr(),
            took,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn text(collected: &Collected) -> String {
    String::from_utf8_lossy(&collected.lock().unwrap()).into_owned()
}

/// The result of a run of the program under test.
#[derive(Debug)]
pub struct Finished {
    words: String,
    status: ExitStatus,
    /// The program's standard output.
    pub stdout: String,
    /// The program's standard error.
    pub stderr: String,
    /// How long the run took.
    pub took: Duration,
}

impl Finished {
    /// Returns the exit status, or `None` if a signal ended the program.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// If the exit status is not `code`, fails the test and shows all output.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            Some(code),
            "{}\nstdout: {}\nstderr: {}",
            self.words,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Parses standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "{}: standard output is not JSON ({error})\nstdout: {}\nstderr: {}",
                self.words, self.stdout, self.stderr
            )
        })
    }

    /// Returns standard output and standard error together.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

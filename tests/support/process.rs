//! Runs a third-party server as a child process, which is killed when dropped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::wait;

/// A running child process whose output goes to a log file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in `log`, and waits until `ready` returns true. If the process exits
    /// first, returns its output as an error.
    pub fn start(mut command: Command, log: &Path, mut ready: impl FnMut() -> bool) -> Result<Self, String> {
        let output = File::create(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut process = Self {
            child,
            name: command.get_program().to_string_lossy().into_owned(),
            log: log.to_path_buf(),
        };
        let what = format!("{} to be ready", process.name);
        wait::wait_for(&what, || {
            if process.has_ended() {
                return Some(Err(process.log()));
            }
            ready().then_some(Ok(()))
        })?;
        Ok(process)
    }

    /// Returns the ID of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the output of the process so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether the process has exited.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills the process with SIGKILL, and waits until it has exited.
    pub fn kill(&mut self) {
        // The process might already have exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Pauses the process with SIGSTOP. Waits until all threads of the process have stopped, because the
    /// signal might be delivered only after `kill` has returned.
    pub fn pause(&self) {
        self.signal("STOP");
        wait::wait_for("all its threads to stop", || {
            let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).ok()?;
            let mut stats = tasks
                .flatten()
                .map(|task| fs::read_to_string(task.path().join("stat")));
            let is_stopped = |stat: &str| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T"));
            stats
                .all(|stat| stat.is_ok_and(|stat| is_stopped(&stat)))
                .then_some(())
        });
    }

    /// Sends a signal, such as `STOP`, `CONT` or `TERM`.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends the signal `name` (`INT`, `TERM`, `STOP` …) to a process that this test started.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success(), "kill -{name} {pid}: {status}");
}

/// Returns the path of a program that a test requires. If the program is missing, fails and names the package
/// to install.
pub fn required(program: &str, debian_package: &str) -> PathBuf {
    on_path(program).unwrap_or_else(|| {
        panic!("{program} is not installed: apt-get install {debian_package} (scripts/test installs all that is needed)")
    })
}

/// Returns the path of a program, or `None` if it is not installed.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        // Debian installs some servers in /usr/sbin, which is often missing from PATH.
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// Returns the port of the address that an app has printed to `log`, or `None` if it has not printed one yet.
pub fn port_in(log: &Path) -> Option<u16> {
    let output = fs::read_to_string(log).ok()?;
    let (_, rest) = output.split_once("http://127.0.0.1:")?;
    let end = rest.find(|sign: char| !sign.is_ascii_digit())?;
    rest[..end].parse().ok()
}

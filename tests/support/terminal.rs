//! Runs a real terminal (tmux on a private socket), so that tests can type and read what a person would see.

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::process::required;
use super::program::{Home, SESSIONTUT};
use super::wait;

/// The configuration of tmux. It keeps the screen after the program has exited, and turns off features that
/// would interfere with tests.
const CONFIGURATION: &str = "\
set -g remain-on-exit on
set -g remain-on-exit-format ''
set -g status off
set -g escape-time 0
set -g default-terminal tmux-256color
set -g history-limit 5000
";

/// A terminal that runs one program. Dropping it closes the terminal, which sends SIGHUP to the program.
#[derive(Debug)]
pub struct Terminal {
    folder: TempDir,
}

impl Terminal {
    /// Opens an 80×24 terminal that runs the program under test with these arguments.
    pub fn start(home: &Home, arguments: &[&str]) -> Self {
        Self::sized(home, arguments, 80, 24, &[])
    }

    /// Opens a terminal of this size that runs the program under test, with additional environment variables.
    pub fn sized(
        home: &Home,
        arguments: &[&str],
        columns: u16,
        rows: u16,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut words = vec![SESSIONTUT];
        words.extend(arguments);
        Self::run(home, &words, columns, rows, variables)
    }

    /// Opens a terminal with a shell whose prompt is `$ ` and whose PATH contains `sessiontut`.
    pub fn shell(home: &Home, columns: u16, rows: u16, variables: &[(&str, &str)]) -> Self {
        let bin = home.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        // Creating the link fails if another shell with the same home folder has already created it.
        let _ = std::os::unix::fs::symlink(SESSIONTUT, bin.join("sessiontut"));
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let mut all = vec![("PATH", path.as_str()), ("PS1", "$ "), ("ENV", "")];
        all.extend(variables);
        let terminal = Self::run(home, &["/bin/sh", "-i"], columns, rows, &all);
        terminal.wait_for("$");
        terminal
    }

    /// Opens a terminal that runs the command `words`.
    pub fn run(home: &Home, words: &[&str], columns: u16, rows: u16, variables: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("tmux.conf"), CONFIGURATION).unwrap();
        let terminal = Self { folder };
        let mut command = terminal.tmux();
        command
            .env_clear()
            .envs(home.environment())
            .envs(variables.iter().copied())
            .current_dir(home.path());
        command.arg("-f").arg(terminal.folder.path().join("tmux.conf"));
        command.args([
            "new-session",
            "-d",
            "-x",
            &columns.to_string(),
            "-y",
            &rows.to_string(),
        ]);
        // tmux runs a command without a shell only if it has several words, and `env` ensures this.
        command.args(["--", "env"]).args(words);
        succeed(&command.output().unwrap());
        terminal
    }

    fn tmux(&self) -> Command {
        let mut command = Command::new(required("tmux", "tmux"));
        command.arg("-S").arg(self.folder.path().join("tmux.sock"));
        command
    }

    fn ask(&self, words: &[&str]) -> String {
        succeed(&self.tmux().args(words).output().unwrap())
    }

    /// Sends key presses to the program. Their names are those of tmux, such as `Enter`, `C-c`, `Up`,
    /// `Escape` or `n`.
    pub fn keys(&self, names: &[&str]) {
        self.ask(&[&["send-keys", "--"], names].concat());
    }

    /// Types text.
    pub fn text(&self, text: &str) {
        self.ask(&["send-keys", "-l", "--", text]);
    }

    /// Types a line, and presses Enter.
    pub fn line(&self, text: &str) {
        self.text(text);
        self.keys(&["Enter"]);
    }

    /// Pastes text. If the program has enabled bracketed paste, the text is marked as a paste.
    pub fn paste(&self, text: &str) {
        self.ask(&["set-buffer", "--", text]);
        self.ask(&["paste-buffer", "-p"]);
    }

    /// Pastes text in the same way as a terminal that does not mark pastes.
    pub fn paste_unmarked(&self, text: &str) {
        self.ask(&["set-buffer", "--", text]);
        self.ask(&["paste-buffer"]);
    }

    /// Sends a signal to the program in the foreground. Returns the ID of its process.
    pub fn signal(&self, signal: &str) -> u32 {
        let process = self.foreground();
        kill(signal, process);
        process
    }

    /// Kills tmux, so that the terminal disappears. Returns the process ID of the program in the foreground.
    pub fn disappear(&self) -> u32 {
        let process = self.foreground();
        kill(
            "KILL",
            self.ask(&["display-message", "-p", "#{pid}"])
                .trim()
                .parse()
                .unwrap(),
        );
        process
    }

    /// Returns the process ID of the program in the foreground (`tpgid` in proc_pid_stat(5)).
    fn foreground(&self) -> u32 {
        let first = self.ask(&["display-message", "-p", "#{pane_pid}"]);
        let stat = fs::read_to_string(format!("/proc/{}/stat", first.trim())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(5).unwrap().parse().unwrap()
    }

    /// Returns the text on the screen without trailing blanks.
    pub fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"])
    }

    /// Returns the text on the screen and the lines that have scrolled off it. Lines that the terminal has
    /// wrapped are joined.
    pub fn history(&self) -> String {
        self.ask(&["capture-pane", "-p", "-J", "-S", "-"])
    }

    /// Returns the lines that the terminal has wrapped, because they were too long.
    pub fn broken_lines(&self) -> Vec<String> {
        let columns = self.ask(&["display-message", "-p", "#{pane_width}"]);
        let columns: usize = columns.trim().parse().unwrap();
        let history = self.history();
        let lines = history.lines().map(str::trim_end);
        lines
            .filter(|line| line.chars().count() > columns)
            .map(str::to_owned)
            .collect()
    }

    /// Returns the text on the screen with the escape sequences for its colours.
    pub fn coloured_screen(&self) -> String {
        self.ask(&["capture-pane", "-p", "-e"])
    }

    /// Waits until the screen contains `wanted`, and returns the screen.
    #[track_caller]
    pub fn wait_for(&self, wanted: &str) -> String {
        self.wait_until(&format!("{wanted:?}"), |screen| screen.contains(wanted))
    }

    /// Waits until `wanted` returns true for the screen, and returns the screen. After a timeout, fails and
    /// shows the screen.
    #[track_caller]
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut screen = String::new();
        let found = wait::within(wait::PATIENCE, || {
            screen = self.screen();
            wanted(&screen).then_some(())
        });
        assert!(
            found.is_some(),
            "timed out waiting for {what} on this screen:\n{screen}"
        );
        screen
    }

    /// Waits until the program exits, and returns its exit status.
    #[track_caller]
    pub fn exit_status(&self) -> i32 {
        let ended = wait::within(wait::PATIENCE, || {
            let state = self.ask(&["display-message", "-p", "#{pane_dead} #{pane_dead_status}"]);
            let (dead, status) = state.trim_end_matches('\n').split_once(' ')?;
            if dead == "1" && status.is_empty() {
                // tmux 3.3 can miss the exit of a child process while it handles the exit of another one. If
                // tmux runs another child process, it checks again.
                self.ask(&["run-shell", "true"]);
            }
            (!status.is_empty()).then(|| status.to_owned())
        });
        match ended {
            Some(status) => status.parse().unwrap(),
            None => panic!(
                "the program still runs, or a signal ended it; the screen:\n{}",
                self.screen()
            ),
        }
    }

    /// Resizes the window.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.ask(&[
            "resize-window",
            "-x",
            &columns.to_string(),
            "-y",
            &rows.to_string(),
        ]);
    }

    /// Whether the terminal is in its normal state: echo on, line mode, cursor visible.
    pub fn is_sane(&self) -> bool {
        let tty = self.ask(&["display-message", "-p", "#{pane_tty}"]);
        let settings = Command::new("stty")
            .args(["-a", "-F", tty.trim()])
            .output()
            .unwrap();
        let settings = String::from_utf8_lossy(&settings.stdout).into_owned();
        let words: Vec<&str> = settings
            .split_whitespace()
            .map(|word| word.trim_end_matches(';'))
            .collect();
        let cursor = self.ask(&["display-message", "-p", "#{cursor_flag}#{alternate_on}"]);
        words.contains(&"icanon") && words.contains(&"echo") && cursor.trim() == "10"
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // If no window was left, tmux has already exited.
        let _ = self.tmux().arg("kill-server").output();
    }
}

/// Sends a signal to a process.
pub fn kill(signal: &str, process: u32) {
    let status = Command::new("kill")
        .args([format!("-{signal}"), process.to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[track_caller]
fn succeed(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tmux: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

//! Changes the modes of the terminal, and restores them afterwards.

use std::io;

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal;
#[cfg(unix)]
use rustix::process::{Signal, kill_current_process_group};
#[cfg(unix)]
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};

/// The terminal's raw mode with bracketed paste. Ctrl-C and Ctrl-Z arrive as keys, and pasted text arrives as
/// a single event.
pub(super) struct RawMode;

impl RawMode {
    pub(super) fn enable() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let mode = Self;
        execute!(io::stdout(), EnableBracketedPaste)?;
        Ok(mode)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // If the terminal has been closed, nothing can be restored.
        let _ = execute!(io::stdout(), DisableBracketedPaste);
        let _ = terminal::disable_raw_mode();
    }
}

/// The terminal's modes before the echo was turned off. Dropping this value restores these modes.
#[derive(Debug)]
pub(crate) struct WithoutEcho(#[cfg(unix)] Termios);

impl WithoutEcho {
    /// Turns off the echo of typed text. Returns `None` if standard input is not a terminal. Other modes stay
    /// the same, so Ctrl-C still sends a signal.
    pub(crate) fn start() -> Option<Self> {
        #[cfg(unix)]
        return set_echo(false).map(Self);
        #[cfg(not(unix))]
        None
    }
}

#[cfg(unix)]
impl Drop for WithoutEcho {
    fn drop(&mut self) {
        // If the terminal has been closed, nothing can be restored.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// Turns the echo on or off, and returns the previous modes. Uses termios, because crossterm cannot change
/// only the echo.
#[cfg(unix)]
fn set_echo(on: bool) -> Option<Termios> {
    let modes = tcgetattr(io::stdin()).ok()?;
    let mut changed = modes.clone();
    changed.local_modes.set(LocalModes::ECHO, on);
    tcsetattr(io::stdin(), OptionalActions::Drain, &changed).ok()?;
    Some(modes)
}

/// Discards typed text that has not been read.
pub(crate) fn discard_typed() {
    // If standard input is not a terminal, there is no typed text.
    #[cfg(unix)]
    let _ = tcflush(io::stdin(), QueueSelector::IFlush);
}

/// Suspends the program like Ctrl-Z, and returns when the program resumes. Meanwhile, the echo is on for the
/// shell.
#[cfg(unix)]
pub(super) fn suspend() {
    let _modes = set_echo(true).map(WithoutEcho);
    // If suspending fails, the program simply continues.
    let _ = kill_current_process_group(Signal::TSTP);
}

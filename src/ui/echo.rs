//! Terminal modes that crossterm does not offer: hidden input, discarded type-ahead, and suspension by Ctrl-Z.

#[cfg(unix)]
pub(crate) use unix::{TerminalModes, discard_typed, suspend};

#[cfg(unix)]
mod unix {
    use std::io;

    use rustix::process::{Signal, kill_current_process_group};
    use rustix::termios::{
        LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr,
    };

    /// The terminal's modes before they were changed; restored on drop.
    #[derive(Debug)]
    pub(crate) struct TerminalModes(Termios);

    impl TerminalModes {
        /// The current modes; `None` if standard input is not a terminal.
        fn save() -> Option<Self> {
            tcgetattr(io::stdin()).ok().map(Self)
        }

        /// Stops the echo of typed text. Everything else stays as it is: Ctrl-C sends a signal.
        pub(crate) fn without_echo() -> Option<Self> {
            let saved = Self::save()?;
            let mut modes = saved.0.clone();
            modes.local_modes.remove(LocalModes::ECHO);
            tcsetattr(io::stdin(), OptionalActions::Drain, &modes).ok()?;
            Some(saved)
        }
    }

    impl Drop for TerminalModes {
        fn drop(&mut self) {
            // Nothing can be restored on a terminal that has been closed.
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
        }
    }

    /// Discards what was typed but not read.
    pub(crate) fn discard_typed() {
        // If standard input is not a terminal, nothing was typed.
        let _ = tcflush(io::stdin(), QueueSelector::IFlush);
    }

    /// Stops the program as Ctrl-Z does, and returns when it continues. Meanwhile the shell finds echo on.
    pub(crate) fn suspend() {
        let modes = TerminalModes::save();
        if let Some(TerminalModes(modes)) = &modes {
            let mut with_echo = modes.clone();
            with_echo.local_modes.insert(LocalModes::ECHO);
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &with_echo);
        }
        // If that fails, the program continues.
        let _ = kill_current_process_group(Signal::TSTP);
    }
}

#[cfg(not(unix))]
pub(crate) use other::{TerminalModes, discard_typed, suspend};

#[cfg(not(unix))]
mod other {
    #[derive(Debug)]
    pub(crate) struct TerminalModes;

    impl TerminalModes {
        pub(crate) fn without_echo() -> Option<Self> {
            None
        }
    }

    pub(crate) fn discard_typed() {}

    pub(crate) fn suspend() {}
}

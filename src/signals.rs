//! The system's wish that the program end, heard from the moment that one begins to listen.

use std::io;

/// What the system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C: SIGINT.
    Interrupt,
    /// SIGTERM, or SIGHUP when the terminal is closed; never on Windows.
    End,
}

/// Hears them; until it is dropped, they do nothing else.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Signals([tokio::signal::unix::Signal; 3]);

#[cfg(unix)]
impl Signals {
    /// Begins to listen; within a runtime.
    ///
    /// # Errors
    /// The system's, where no handler can be installed.
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Signal {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => Signal::Interrupt,
            _ = terminate.recv() => Signal::End,
            _ = hangup.recv() => Signal::End,
        }
    }
}

/// Hears Ctrl-C; until it is dropped, that does nothing else.
#[cfg(windows)]
#[derive(Debug)]
pub struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    /// Begins to listen; within a runtime.
    ///
    /// # Errors
    /// The system's, where no handler can be installed.
    pub fn listen() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Signal {
        // A stream that has ended will never bring one.
        match self.0.recv().await {
            Some(()) => Signal::Interrupt,
            None => std::future::pending().await,
        }
    }
}

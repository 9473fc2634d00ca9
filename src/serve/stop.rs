//! The word that the server is to stop: from the system's signals to everything that runs.

use std::io;

use tokio::sync::watch;

/// Says it, once.
#[derive(Debug)]
pub(super) struct StopSwitch(watch::Sender<bool>);

/// Hears it.
#[derive(Clone, Debug)]
pub(super) struct Stop(watch::Receiver<bool>);

/// A switch and its first listener.
pub(super) fn stop() -> (StopSwitch, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopSwitch(sender), Stop(receiver))
}

impl StopSwitch {
    /// Tells everyone.
    pub(super) fn stop(self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits for the word; a switch that is gone counts as well.
    pub(super) async fn requested(&mut self) {
        let _ = self.0.wait_for(|&stop| stop).await;
    }
}

/// SIGINT and SIGTERM (on Windows Ctrl-C), heard from the moment that this is made.
#[cfg(unix)]
pub(super) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next of them.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C, heard from the moment that this is made.
#[cfg(windows)]
pub(super) struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        self.0.recv().await;
    }
}

//! Ctrl-C and its kin, noticed by every wait of a lesson, so that a lesson always ends by tidying up.

use std::io;
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::watch;

use crate::deadline::Deadline;

/// Tells whether the learner, or the system, wants this process to end.
#[derive(Clone, Debug)]
pub struct Stop {
    asked: watch::Receiver<bool>,
}

/// The lesson is to end now: Ctrl-C, or the terminal went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

impl Stop {
    /// Catches SIGINT, SIGTERM and SIGHUP from now on, for the rest of the process's life.
    ///
    /// A read from the terminal that is under way ends with `Interrupted`, as the kernel's poll does.
    ///
    /// # Errors
    /// The system gives no thread or no descriptor.
    pub fn on_signals() -> io::Result<Self> {
        let (ask, asked) = watch::channel(false);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = runtime.block_on(async { Signals::new() })?;
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || runtime.block_on(watch_for(signals, &ask)))?;
        Ok(Self { asked })
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// The end, if it was asked for.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.is_asked() { Err(Interrupted) } else { Ok(()) }
    }

    /// Resolves when the end is asked for.
    pub async fn asked(&self) {
        let mut asked = self.asked.clone();
        if asked.wait_for(|asked| *asked).await.is_err() {
            // The thread of the signals lives as long as the process: without it, nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }

    /// Sleeps for `span`, less if the end is asked for.
    ///
    /// # Errors
    /// [`Interrupted`] when it was.
    pub async fn sleep(&self, span: Duration) -> Result<(), Interrupted> {
        tokio::select! {
            () = Deadline::after(span).sleep(span) => Ok(()),
            () = self.asked() => Err(Interrupted),
        }
    }
}

async fn watch_for(mut signals: Signals, ask: &watch::Sender<bool>) {
    loop {
        signals.next().await;
        ask.send_replace(true);
    }
}

#[cfg(unix)]
struct Signals([tokio::signal::unix::Signal; 3]);

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

//! Ctrl-C and its kin, noticed by every wait of a lesson, so that a lesson always ends by tidying up.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::watch;

use crate::deadline::Deadline;
use crate::signals::{Signal, Signals};

/// Tells whether the learner, or the system, wants this process to end.
#[derive(Clone, Debug)]
pub struct Stop {
    ask: Arc<watch::Sender<Wish>>,
}

/// What the system, or the learner, wants of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    GoOn,
    /// Ctrl-C: whatever is in front of the learner.
    Stop,
    /// The whole process.
    End,
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
        let ask = Arc::new(watch::Sender::new(Wish::GoOn));
        let wishes = Arc::clone(&ask);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = runtime.block_on(async { Signals::listen() })?;
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || runtime.block_on(watch_for(signals, &wishes)))?;
        Ok(Self { ask })
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        *self.ask.borrow() != Wish::GoOn
    }

    /// The end, if it was asked for.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.is_asked() { Err(Interrupted) } else { Ok(()) }
    }

    /// Forgets a Ctrl-C that was meant for a command within the lesson, which it has ended.
    pub fn forgive(&self) {
        self.ask.send_if_modified(|wish| {
            let was_for_the_command = *wish == Wish::Stop;
            if was_for_the_command {
                *wish = Wish::GoOn;
            }
            was_for_the_command
        });
    }

    /// Resolves when the end is asked for.
    pub async fn asked(&self) {
        // It cannot fail: the sender is in our own hand.
        let _ = self.ask.subscribe().wait_for(|wish| *wish != Wish::GoOn).await;
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

async fn watch_for(mut signals: Signals, ask: &watch::Sender<Wish>) {
    loop {
        let wish = match signals.next().await {
            Signal::Interrupt => Wish::Stop,
            Signal::End => Wish::End,
        };
        ask.send_modify(|asked| {
            if *asked != Wish::End {
                *asked = wish;
            }
        });
    }
}

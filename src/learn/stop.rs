//! Ctrl-C and its kin, noticed by every wait of a lesson, so that a lesson always ends by tidying up.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::watch;

use crate::deadline::Deadline;
use crate::os::{self, Awaited, Source};
use crate::signals::{Signal, Signals};

/// Tells whether the learner, or the system, wants this process to end.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    ask: Arc<watch::Sender<Wish>>,
    bell: Arc<Bell>,
}

/// A pipe that can be read once a wish was heard: it ends a wait for a key, however late the wait began.
#[derive(Debug)]
struct Bell {
    hear: PipeReader,
    ring: PipeWriter,
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
pub(crate) struct Interrupted;

impl Stop {
    /// Catches SIGINT, SIGTERM and SIGHUP from now on, for the rest of the process's life.
    ///
    /// # Errors
    /// The system gives no thread or no descriptor.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let stop = Self::by_nobody()?;
        let told = stop.clone();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = runtime.block_on(async { Signals::listen() })?;
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || runtime.block_on(watch_for(signals, &told)))?;
        Ok(stop)
    }

    /// Hears no signal: they do what they do by themselves.
    ///
    /// # Errors
    /// The system gives no descriptor.
    pub(crate) fn by_nobody() -> io::Result<Self> {
        let (hear, ring) = io::pipe()?;
        Ok(Self {
            ask: Arc::new(watch::Sender::new(Wish::GoOn)),
            bell: Arc::new(Bell { hear, ring }),
        })
    }

    /// Waits until `input` has a key to be read.
    ///
    /// # Errors
    /// [`Interrupted`] when the end is asked for, whether before the wait or within it.
    pub(crate) fn await_key(&self, input: &impl Source) -> Result<(), Interrupted> {
        loop {
            self.check()?;
            match os::await_key(input, &self.bell.hear) {
                Ok(Awaited::Key) => return self.check(),
                // It may have rung for a wish that was forgiven since: then it is quiet from now on.
                Ok(Awaited::Wake) => {
                    let _ = (&self.bell.hear).read(&mut [0]);
                }
                Err(_) => return Err(Interrupted),
            }
        }
    }

    fn hear(&self, wish: Wish) {
        self.ask.send_modify(|asked| {
            if *asked != Wish::End {
                *asked = wish;
            }
        });
        // It cannot be full: nobody presses Ctrl-C that often.
        let _ = (&self.bell.ring).write(&[0]);
    }

    /// Whether the end was asked for.
    #[must_use]
    pub(crate) fn is_asked(&self) -> bool {
        *self.ask.borrow() != Wish::GoOn
    }

    /// The end, if it was asked for.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        if self.is_asked() { Err(Interrupted) } else { Ok(()) }
    }

    /// Forgets a Ctrl-C that was meant for a command within the lesson, which it has ended.
    pub(crate) fn ignore_interrupt(&self) {
        self.ask.send_if_modified(|wish| {
            let was_for_the_command = *wish == Wish::Stop;
            if was_for_the_command {
                *wish = Wish::GoOn;
            }
            was_for_the_command
        });
    }

    /// Resolves when the end is asked for.
    pub(crate) async fn asked(&self) {
        // It cannot fail: the sender is in our own hand.
        let _ = self.ask.subscribe().wait_for(|wish| *wish != Wish::GoOn).await;
    }

    /// Sleeps for `span`, less if the end is asked for.
    ///
    /// # Errors
    /// [`Interrupted`] when it was.
    pub(crate) async fn sleep(&self, span: Duration) -> Result<(), Interrupted> {
        tokio::select! {
            () = Deadline::after(span).sleep(span) => Ok(()),
            () = self.asked() => Err(Interrupted),
        }
    }
}

async fn watch_for(mut signals: Signals, stop: &Stop) {
    loop {
        stop.hear(match signals.next().await {
            Signal::Interrupt => Wish::Stop,
            Signal::End => Wish::End,
        });
    }
}

#[cfg(all(test, target_os = "linux", not(portable)))]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Waits for a key that nobody presses.
    fn wait_in_vain(stop: &Stop) -> mpsc::Receiver<Result<(), Interrupted>> {
        let (end, ended) = mpsc::channel();
        let stop = stop.clone();
        thread::spawn(move || {
            let wait = io::pipe().map(|(keys, _nobody)| stop.await_key(&keys));
            // Who does not wait for the end any more has failed already.
            let _ = end.send(wait.unwrap_or(Ok(())));
        });
        ended
    }

    #[track_caller]
    fn is_interrupted(wait: &mpsc::Receiver<Result<(), Interrupted>>) {
        assert_eq!(wait.recv_timeout(Duration::from_secs(30)), Ok(Err(Interrupted)));
    }

    #[test]
    fn a_signal_ends_a_wait_for_a_key_whether_it_comes_before_or_within() {
        let before = Stop::by_nobody().unwrap();
        before.hear(Wish::Stop);
        is_interrupted(&wait_in_vain(&before));

        let within = Stop::by_nobody().unwrap();
        let wait = wait_in_vain(&within);
        within.hear(Wish::Stop);
        is_interrupted(&wait);
    }

    #[test]
    fn a_signal_that_was_forgiven_takes_no_key_away_and_the_next_one_is_heard() {
        let stop = Stop::by_nobody().unwrap();
        stop.hear(Wish::Stop);
        stop.ignore_interrupt();
        let (keys, mut learner) = io::pipe().unwrap();
        learner.write_all(b"k").unwrap();
        assert_eq!(stop.await_key(&keys), Ok(()));
        let wait = wait_in_vain(&stop);
        stop.hear(Wish::End);
        is_interrupted(&wait);
    }

    #[test]
    fn a_signal_of_the_system_is_heard_by_a_wait_for_a_key() {
        let stop = Stop::on_signals().unwrap();
        let wait = wait_in_vain(&stop);
        let me = std::process::id().to_string();
        assert!(
            std::process::Command::new("kill")
                .args(["-INT", &me])
                .status()
                .unwrap()
                .success()
        );
        is_interrupted(&wait);
    }
}

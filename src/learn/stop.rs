//! Ctrl-C and other termination signals. Every wait of a lesson ends on them, so that a lesson always cleans up.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::watch;

use crate::deadline::Deadline;
use crate::os::{self, Awaited, Source};
use crate::signals::{Signal, Signals};

/// Shows whether a signal has arrived. Clones share the state.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    state: Arc<watch::Sender<State>>,
    /// Readable after a signal, which ends a wait for a key even if the wait starts later.
    wake: Arc<(PipeReader, PipeWriter)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// Ctrl-C, which may have been meant for a command within the lesson.
    Interrupted,
    /// SIGTERM or SIGHUP.
    Terminated,
}

/// Ctrl-C was pressed, a termination signal arrived, or the terminal is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

impl Stop {
    /// Catches SIGINT, SIGTERM and SIGHUP until the process ends.
    ///
    /// # Errors
    /// A thread or a pipe cannot be created.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let stop = Self::without_signals()?;
        let shared = stop.clone();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = runtime.block_on(async { Signals::listen() })?;
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || runtime.block_on(watch_for(signals, &shared)))?;
        Ok(stop)
    }

    /// Catches no signals, so that they keep their default effect.
    ///
    /// # Errors
    /// A pipe cannot be created.
    pub(crate) fn without_signals() -> io::Result<Self> {
        Ok(Self {
            state: Arc::new(watch::Sender::new(State::Running)),
            wake: Arc::new(io::pipe()?),
        })
    }

    /// Waits until `input` has a key to read.
    ///
    /// # Errors
    /// [`Interrupted`] by a signal, before or during the wait.
    pub(crate) fn await_key(&self, input: &impl Source) -> Result<(), Interrupted> {
        let (wake, _) = &*self.wake;
        loop {
            self.check()?;
            match os::await_key(input, wake) {
                Ok(Awaited::Key) => return self.check(),
                // If the signal has been ignored since, wait on.
                Ok(Awaited::Wake) => {
                    let _ = { wake }.read(&mut [0]);
                }
                Err(_) => return Err(Interrupted),
            }
        }
    }

    fn set(&self, state: State) {
        self.state.send_modify(|current| {
            if *current != State::Terminated {
                *current = state;
            }
        });
        let (_, wake) = &*self.wake;
        let _ = { wake }.write(&[0]);
    }

    /// # Errors
    /// [`Interrupted`] if a signal has arrived.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        if *self.state.borrow() == State::Running {
            Ok(())
        } else {
            Err(Interrupted)
        }
    }

    /// Ignores a Ctrl-C that has ended a command within the lesson.
    pub(crate) fn ignore_interrupt(&self) {
        self.state.send_modify(|state| {
            if *state == State::Interrupted {
                *state = State::Running;
            }
        });
    }

    /// Resolves when a signal has arrived.
    pub(crate) async fn asked(&self) {
        // It fails only if the sender is gone, and `self` holds it.
        let _ = self
            .state
            .subscribe()
            .wait_for(|state| *state != State::Running)
            .await;
    }

    /// Sleeps for `span`, or until a signal arrives.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub(crate) async fn sleep(&self, span: Duration) -> Result<(), Interrupted> {
        tokio::select! {
            () = Deadline::after(span).sleep(span) => Ok(()),
            () = self.asked() => Err(Interrupted),
        }
    }
}

async fn watch_for(mut signals: Signals, stop: &Stop) {
    loop {
        stop.set(match signals.next().await {
            Signal::Interrupt => State::Interrupted,
            Signal::End => State::Terminated,
        });
    }
}

#[cfg(all(test, target_os = "linux", not(portable)))]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Waits for a key that is never pressed.
    fn wait_without_key(stop: &Stop) -> mpsc::Receiver<Result<(), Interrupted>> {
        let (end, ended) = mpsc::channel();
        let stop = stop.clone();
        thread::spawn(move || {
            let wait = io::pipe().map(|(keys, _writer)| stop.await_key(&keys));
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
        let before = Stop::without_signals().unwrap();
        before.set(State::Interrupted);
        is_interrupted(&wait_without_key(&before));

        let within = Stop::without_signals().unwrap();
        let wait = wait_without_key(&within);
        within.set(State::Interrupted);
        is_interrupted(&wait);
    }

    #[test]
    fn an_ignored_signal_takes_no_key_and_the_next_one_interrupts() {
        let stop = Stop::without_signals().unwrap();
        stop.set(State::Interrupted);
        stop.ignore_interrupt();
        let (keys, mut keyboard) = io::pipe().unwrap();
        keyboard.write_all(b"k").unwrap();
        assert_eq!(stop.await_key(&keys), Ok(()));
        let wait = wait_without_key(&stop);
        stop.set(State::Terminated);
        is_interrupted(&wait);
    }

    #[test]
    fn sigint_ends_a_wait_for_a_key() {
        let stop = Stop::on_signals().unwrap();
        let wait = wait_without_key(&stop);
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

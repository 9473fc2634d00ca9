//! Handles termination signals, and creates the async runtime that waits for them.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::os;

/// The number of files that a runtime opens: the epoll and event descriptors, and the pipe of the signal
/// handlers.
const RUNTIME_FILES: usize = 7;

/// Creates an async runtime that uses the calling thread, with timers and sockets. Fails if the process can
/// open too few files, or if the system does not allow what the runtime needs.
pub(crate) fn runtime() -> io::Result<Runtime> {
    // If no more files can be opened, tokio panics instead of returning an error.
    if !os::has_spare_files(RUNTIME_FILES) {
        let limit =
            os::open_file_limit().map_or_else(String::new, |limit| format!(" ({limit}, see ulimit -n)"));
        return Err(io::Error::other(format!(
            "too many open files: raise the limit of this process{limit}"
        )));
    }
    // tokio panics as well if the system forbids socket pairs, for example by seccomp.
    #[cfg(unix)]
    std::os::unix::net::UnixStream::pair().map_err(|error| not_allowed("socket pairs", &error))?;
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| not_allowed("epoll and eventfd", &error))
}

fn not_allowed(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("this system does not allow {what}, which the program needs: {error}"),
    )
}

/// A signal that asks the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGINT, which Ctrl-C sends.
    Interrupt,
    /// SIGTERM or SIGHUP. Does not occur on Windows.
    Terminate,
}

/// Receives the termination signals. After this value has been created, the signals no longer end the process
/// by themselves.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// SIGHUP, or `None` if the process was started with `nohup`.
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    /// Installs the signal handlers. Must be called within a runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // A handler for SIGHUP would cancel the effect of `nohup`.
        let is_ignored = os::is_hangup_ignored();
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: (!is_ignored).then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = hangup => Signal::Terminate,
        }
    }
}

/// Receives Ctrl-C. After this value has been created, Ctrl-C no longer ends the process by itself.
#[cfg(windows)]
#[derive(Debug)]
pub(crate) struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    /// Installs the handler for Ctrl-C. Must be called within a runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    pub(crate) async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(()) => Signal::Interrupt,
            None => std::future::pending().await,
        }
    }
}

/// Waits for a termination signal. If the handlers cannot be installed, a signal ends the process directly.
pub(crate) async fn termination() {
    match Signals::listen() {
        Ok(mut signals) => drop(signals.next().await),
        Err(_) => std::future::pending().await,
    }
}

/// Receives the termination signals without an async runtime in the caller.
#[derive(Debug)]
pub(crate) struct BlockingSignals {
    runtime: Runtime,
    signals: Signals,
}

impl BlockingSignals {
    /// Like [`Signals::listen`].
    pub(crate) fn listen() -> io::Result<Self> {
        let runtime = runtime()?;
        let signals = runtime.block_on(async { Signals::listen() })?;
        Ok(Self { runtime, signals })
    }

    /// Waits for a termination signal. Returns immediately if a signal has arrived since this value was
    /// created.
    pub(crate) fn wait(mut self) {
        self.runtime.block_on(self.signals.next());
    }
}

/// The error that is returned if a termination signal interrupted a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// A flag that is set by a termination signal. Every wait checks the flag, so that the program can clean up.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<watch::Sender<Option<Signal>>>);

impl Stop {
    /// Catches SIGINT, SIGTERM and SIGHUP until the process ends.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let stop = Self::without_signals();
        let flag = stop.clone();
        let runtime = runtime()?;
        let mut signals = runtime.block_on(async { Signals::listen() })?;
        thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                loop {
                    flag.set(signals.next().await);
                }
            });
        })?;
        Ok(stop)
    }

    /// Creates a flag that no signal sets.
    pub(crate) fn without_signals() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    fn set(&self, signal: Signal) {
        self.0.send_modify(|received| {
            if *received != Some(Signal::Terminate) {
                *received = Some(signal);
            }
        });
    }

    /// Whether a termination signal has arrived.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Fails with [`Interrupted`] if a termination signal has arrived.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        if self.is_asked() { Err(Interrupted) } else { Ok(()) }
    }

    /// Clears the flag if Ctrl-C set it. This is needed if Ctrl-C has ended a command in a lesson, but the
    /// lesson continues.
    pub(crate) fn ignore_interrupt(&self) {
        self.0.send_if_modified(|received| {
            let is_ctrl_c = *received == Some(Signal::Interrupt);
            if is_ctrl_c {
                *received = None;
            }
            is_ctrl_c
        });
    }

    /// Waits until a termination signal arrives.
    pub(crate) async fn asked(&self) {
        // This cannot fail, because `self` owns the sender.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }

    /// Sleeps for `span`. Fails with [`Interrupted`] as soon as a termination signal arrives.
    pub(crate) async fn sleep(&self, span: Duration) -> Result<(), Interrupted> {
        tokio::select! {
            () = Deadline::after(span).sleep(span) => Ok(()),
            () = self.asked() => Err(Interrupted),
        }
    }
}

/// A time limit for the whole process. Dropping the alarm cancels the limit.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// When this value is dropped, the alarm's thread ends.
    _is_set: Arc<()>,
}

impl Alarm {
    /// At the deadline, ends all work of the process in the same way as Ctrl-C. If the process is still
    /// running after [`CLEAN_UP`], exits with the status that `last` returns.
    pub(crate) fn set(deadline: Deadline, last: impl FnOnce() -> Exit + Send + 'static) -> Self {
        let is_set = Arc::new(());
        let watched = Arc::downgrade(&is_set);
        let is_reached = move |deadline: Deadline| {
            while !deadline.is_over() {
                if watched.strong_count() == 0 {
                    return false;
                }
                thread::sleep(deadline.left().min(ALARM_CHECK));
            }
            watched.strong_count() > 0
        };
        let wait = move || {
            if !is_reached(deadline) {
                return;
            }
            #[cfg(unix)]
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT);
            if is_reached(Deadline::after(CLEAN_UP)) {
                std::process::exit(last() as i32);
            }
        };
        // If the thread cannot be started, the limit is checked only between commands.
        let _ = thread::Builder::new().name("alarm".into()).spawn(wait);
        Self { _is_set: is_set }
    }
}

/// How often the thread of an [`Alarm`] checks whether the alarm was cancelled.
const ALARM_CHECK: Duration = Duration::from_millis(100);

/// How long the process may take to clean up after the deadline of an [`Alarm`].
const CLEAN_UP: Duration = Duration::from_secs(10);

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_signal_ends_a_sleep_and_can_be_ignored_unless_it_ends_the_process() {
        let sleep = |stop: &Stop| {
            let runtime = runtime().unwrap();
            runtime.block_on(stop.sleep(Duration::from_secs(30)))
        };
        let stop = Stop::without_signals();
        stop.set(Signal::Interrupt);
        assert_eq!(sleep(&stop), Err(Interrupted));
        stop.ignore_interrupt();
        assert_eq!(stop.check(), Ok(()));
        stop.set(Signal::Terminate);
        stop.ignore_interrupt();
        assert_eq!(stop.check(), Err(Interrupted));
    }

    #[test]
    fn an_alarm_ends_what_ctrl_c_ends() {
        let stop = Stop::on_signals().unwrap();
        let soon = Deadline::after(Duration::from_millis(50));
        let alarm = Alarm::set(soon, || Exit::No);
        let runtime = runtime().unwrap();
        let asked = runtime.block_on(Deadline::after(Duration::from_secs(30)).bound(stop.asked()));
        assert_eq!(asked, Ok(()));
        drop(alarm);
    }

    #[test]
    fn a_signal_of_the_system_sets_the_flag() {
        let stop = Stop::on_signals().unwrap();
        let process = std::process::id().to_string();
        let kill = std::process::Command::new("kill")
            .args(["-INT", &process])
            .status();
        assert!(kill.unwrap().success());
        let runtime = runtime().unwrap();
        let asked = runtime.block_on(Deadline::after(Duration::from_secs(30)).bound(stop.asked()));
        assert_eq!(asked, Ok(()));
    }
}

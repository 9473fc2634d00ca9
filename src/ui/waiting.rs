//! Shows the progress of a wait as a spinner or a countdown.

use std::future::Future;
use std::io::IsTerminal as _;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dialoguer::console::{Term, truncate_str};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use super::{note, window, writer};
use crate::deadline::{Deadline, if_quick};

/// The width in columns of the spinner and the space after it.
const SPINNER: usize = 2;
/// The time between two frames of the spinner.
const TURN: Duration = Duration::from_millis(100);

/// Waits for `work`, which ends by the deadline. If `work` takes more than one second, shows `what` and the
/// time left: with a spinner on a terminal, and on a single line elsewhere.
pub(crate) async fn waiting<T>(what: &str, deadline: Deadline, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if let Some(done) = if_quick(work.as_mut()).await {
        return done;
    }
    if !std::io::stderr().is_terminal() {
        note(&words(what, deadline));
    }
    let spinner = Spinner::default();
    spinner.start(what.to_owned(), deadline);
    spinner.during(work).await
}

/// A spinner on a terminal. Shows nothing elsewhere.
#[derive(Debug, Default)]
pub(super) struct Spinner {
    // This is not a RefCell, because the futures that use it must be Send.
    wait: Mutex<Option<Wait>>,
}

#[derive(Debug)]
struct Wait {
    what: String,
    deadline: Deadline,
    /// The progress bar, or `None` before the spinner turns for the first time.
    bar: Option<ProgressBar>,
}

/// Clears the spinner's line when the wait ends, even if Ctrl-C cancels the wait.
struct ClearOnDrop<'a>(&'a Spinner);

impl Drop for ClearOnDrop<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

impl Spinner {
    /// Starts to show the purpose of the wait and the time until the deadline.
    pub(super) fn start(&self, what: String, deadline: Deadline) {
        *self.wait() = Some(Wait {
            what,
            deadline,
            bar: None,
        });
    }

    /// Clears the spinner's line.
    pub(super) fn clear(&self) {
        *self.wait() = None;
    }

    /// Waits for `work`, and turns the spinner meanwhile. Shows nothing if the wait is shorter than [`TURN`].
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let _clear = ClearOnDrop(self);
        let mut work = pin!(work);
        let is_terminal = std::io::stderr().is_terminal();
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(TURN), if is_terminal => {
                    if let Some(wait) = &mut *self.wait() {
                        let bar = wait.bar.get_or_insert_with(new_spinner);
                        bar.set_message(words(&wait.what, wait.deadline));
                        bar.tick();
                    }
                }
            }
        }
    }

    fn wait(&self) -> MutexGuard<'_, Option<Wait>> {
        self.wait.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_spinner() -> ProgressBar {
    // The template is valid, so the default style is never used.
    let style = ProgressStyle::with_template("{spinner} {msg}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        .with_finish(ProgressFinish::AndClear)
}

/// Returns the text beside the spinner. In a narrow window, only `what` is shortened, not the time left.
fn words(what: &str, deadline: Deadline) -> String {
    let what = writer::shown(what);
    let left = format!(", at most {:.0} s more", deadline.left().as_secs_f64().ceil());
    match window::columns(&Term::stderr()) {
        Some(columns) => {
            let room = columns.saturating_sub(SPINNER + left.len());
            format!("{}{left}", truncate_str(&what, room, "…"))
        }
        None => format!("{what}{left}"),
    }
}

/// A countdown. On a terminal, shows a bar that disappears when this value is dropped. Elsewhere,
/// [`Self::show`] prints one line per call.
#[derive(Debug)]
pub(crate) struct Countdown {
    what: String,
    bar: Option<ProgressBar>,
}

impl Countdown {
    /// Creates a countdown that starts at `span`.
    pub(crate) fn new(what: &str, span: Duration) -> Self {
        // The template is valid, so the default is never used.
        let style = ProgressStyle::with_template("{msg} {wide_bar}");
        let is_terminal = std::io::stderr().is_terminal();
        let bar = is_terminal.then(|| {
            ProgressBar::new(millis(span))
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_finish(ProgressFinish::AndClear)
        });
        Self {
            what: what.to_owned(),
            bar,
        }
    }

    /// Shows how much time is left.
    pub(crate) fn show(&mut self, left: Duration) {
        let words = format!("{} in {:.1} s", writer::shown(&self.what), left.as_secs_f64());
        match &self.bar {
            Some(bar) => {
                bar.set_message(words);
                bar.set_position(millis(left));
            }
            None => note(&words),
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

//! How `ping` looks on a terminal and elsewhere.

use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use colored::{ColoredString, Colorize as _};
use dialoguer::console::Term;
use indicatif::{ProgressBar, ProgressStyle};

use super::window;
use crate::deadline::Deadline;
use crate::ping::observation::Observations;
use crate::ping::report::steps::{self, Status, Step};
use crate::ping::report::text::{self, Line};
use crate::ping::verdict::Verdict;
use crate::ping::{ClimbEvent, Rung};
use crate::redis_url::Target;

/// How often the spinner turns; what takes less shows none.
const TURN: Duration = Duration::from_millis(100);

/// What is shown of a host's name while it is waited for.
const LONGEST_HOST: usize = 40;
/// The same, in a narrow window.
const SHORTEST_HOST: usize = 4;
/// Columns of the longest words and of the spinner beside it.
const BESIDE_A_HOST: usize = 40;
/// Columns of a report that goes elsewhere than to a terminal: people put it into tickets as it is.
const PAGE: usize = 80;

/// Shows a climb as it happens: a line a rung, and a spinner with what is waited for.
#[derive(Debug)]
pub(crate) struct Climbing<'a> {
    target: &'a Target,
    lines: Lines,
    // Told by the climb and turned by the clock, both in one thread; the climb's future wants to be Send.
    wait: Mutex<Wait>,
}

/// What is waited for, and how that is shown.
#[derive(Debug, Default)]
struct Wait {
    rung: Option<(Rung, Deadline)>,
    spinner: Option<ProgressBar>,
}

/// Whether the rungs are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// A line a rung.
    Shown,
    /// The verdict alone.
    Hidden,
}

impl<'a> Climbing<'a> {
    /// Nothing is shown yet.
    #[must_use]
    pub(crate) fn new(target: &'a Target, lines: Lines) -> Self {
        Self {
            target,
            lines,
            wait: Mutex::default(),
        }
    }

    /// Shows one event of the climb.
    pub(crate) fn show(&self, event: &ClimbEvent<'_>) {
        let mut wait = self.wait();
        match event {
            ClimbEvent::Hint(words) if self.lines == Lines::Shown => {
                print_all(&decorated(&steps::hint(words)))
            }
            ClimbEvent::Hint(_) => {}
            ClimbEvent::Started(rung, deadline) => wait.rung = Some((*rung, *deadline)),
            ClimbEvent::Finished(rung, seen) => {
                *wait = Wait::default();
                if self.lines == Lines::Shown {
                    print_all(&decorated(&steps::observed(*rung, self.target, seen)));
                }
            }
        }
    }

    /// Waits for the climb; on a terminal, what takes long is counted down.
    pub(crate) async fn beside<T>(&self, climb: impl Future<Output = T>) -> T {
        let mut climb = pin!(climb);
        if !std::io::stderr().is_terminal() {
            return climb.await;
        }
        loop {
            tokio::select! {
                biased;
                done = &mut climb => return done,
                () = tokio::time::sleep(TURN) => self.turn(),
            }
        }
    }

    fn turn(&self) {
        let mut wait = self.wait();
        if let Some((rung, deadline)) = wait.rung {
            wait.show(self.words(rung, deadline));
        }
    }

    /// What is waited for, and how long at most.
    fn words(&self, rung: Rung, deadline: Deadline) -> String {
        let host = self.target.host().unwrap_or("the socket");
        let room = window::width(&Term::stderr()).saturating_sub(BESIDE_A_HOST);
        let host = crate::sanitize::excerpt(host.as_bytes(), room.clamp(SHORTEST_HOST, LONGEST_HOST));
        let what = match rung {
            Rung::Url => "reading the URL".into(),
            Rung::Dns => format!("looking up {host}"),
            Rung::Tcp => match self.target.port() {
                Some(port) => format!("connecting to {host}, port {port}"),
                None => "connecting to the socket".into(),
            },
            Rung::Tls => "waiting for the TLS handshake".into(),
            Rung::Auth => "waiting for the answer to AUTH".into(),
            Rung::Ping => "waiting for PONG".into(),
            Rung::Role => "asking what it is".into(),
        };
        format!("{what}: {:.0} s left", deadline.left().as_secs_f64().ceil())
    }

    fn wait(&self) -> MutexGuard<'_, Wait> {
        self.wait.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits between two climbs of `--wait`; on a terminal, with how long there will be more of them.
pub(crate) async fn pause(until: Deadline, span: Duration) {
    let pause = until.within(span);
    let mut wait = Wait::default();
    while std::io::stderr().is_terminal() && !pause.is_over() {
        wait.show(format!(
            "waiting until it answers: {:.0} s left",
            until.left().as_secs_f64().ceil()
        ));
        pause.sleep(TURN).await;
    }
    pause.sleep(span).await;
}

impl Wait {
    fn show(&mut self, words: String) {
        let spinner = self
            .spinner
            .get_or_insert_with(|| ProgressBar::new_spinner().with_style(style()));
        spinner.set_message(words);
        spinner.tick();
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    // The template is a constant of ours; should it ever be wrong, the default one serves.
    ProgressStyle::with_template("     {spinner} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// The verdict, behind the rungs.
pub(crate) fn verdict(target: &Target, seen: &Observations, verdict: &Verdict, lines: Lines) {
    print_all(&headline(target, seen, verdict));
    if lines == Lines::Shown || verdict.finding.is_some() {
        print_all(&details(verdict));
    }
}

/// The verdict on a URL that cannot be used.
pub(crate) fn url_verdict(verdict: &Verdict) {
    if let Some(finding) = &verdict.finding {
        let lines = fitted(&text::url_headline(finding));
        print_all(&painted(&lines, |line| line.red().bold()));
    }
    print_all(&details(verdict));
}

/// The verdict's first sentence.
pub(super) fn headline(target: &Target, seen: &Observations, verdict: &Verdict) -> Vec<String> {
    let lines = fitted(&text::headline(target, seen, verdict));
    if verdict.finding.is_none() {
        painted(&lines, |line| line.green())
    } else {
        painted(&lines, |line| line.red().bold())
    }
}

/// Evidence, fixes and warnings.
pub(super) fn details(verdict: &Verdict) -> Vec<String> {
    text::details(verdict).iter().flat_map(fitted).collect()
}

/// One JSON object on a line of its own, wherever it goes: a stream of them is read line by line.
///
/// # Errors
/// When the reader of standard output has gone away.
pub(crate) fn json_line(report: &serde_json::Value) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{report}")
}

/// One JSON object on a line of its own, or spread out where a person reads it.
pub(crate) fn json(report: &serde_json::Value) {
    let text = if std::io::stdout().is_terminal() {
        serde_json::to_string_pretty(report)
    } else {
        serde_json::to_string(report)
    };
    print(&text.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")));
}

fn decorated(step: &Step) -> Vec<String> {
    let lines = fitted(&text::rung(step));
    match step.status {
        Status::Ok => lines,
        Status::Warn => painted(&lines, |line| line.yellow()),
        Status::Fail => painted(&lines, |line| line.red()),
        Status::Skipped => painted(&lines, |line| line.dimmed()),
    }
}

fn painted(lines: &[String], paint: impl Fn(&str) -> ColoredString) -> Vec<String> {
    lines.iter().map(|line| paint(line).to_string()).collect()
}

/// A line of the report, as wide as the window, or as a report's page.
fn fitted(line: &Line) -> Vec<String> {
    match line {
        Line::Words { lead, further, text } => {
            let columns = window::columns(&Term::stdout()).unwrap_or(PAGE).min(PAGE);
            window::hanging(lead, *further, text, Some(columns))
        }
        Line::Whole(line) => vec![line.clone()],
    }
}

fn print_all(lines: &[String]) {
    lines.iter().for_each(|line| print(line));
}

/// A reader that has gone away (`| head -1`) is no fault of ours.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

//! The output of `ping`, on a terminal and elsewhere.

use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use colored::{ColoredString, Colorize as _};
use dialoguer::console::Term;

use super::waiting::Spinner;
use super::{answer, window};
use crate::ping::causes::Cause;
use crate::ping::modes::ModeEvent;
use crate::ping::observation::Observations;
use crate::ping::report::text::{self, ReportLine};
use crate::ping::report::{self, ReportStep, Status};
use crate::ping::verdict::Verdict;
use crate::ping::{ClimbEvent, Rung};
use crate::redis_url::Target;

/// Columns if the output is not a terminal: people paste it into tickets.
const PAGE: usize = 80;

/// Shows progress: one line per rung, and on a terminal a spinner that says what is being waited for.
#[derive(Debug)]
pub(crate) struct ProgressDisplay<'a> {
    target: &'a Target,
    verbosity: Verbosity,
    spinner: Spinner,
}

/// How much to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// One line per rung, then the verdict.
    Steps,
    VerdictOnly,
}

impl<'a> ProgressDisplay<'a> {
    pub(crate) fn new(target: &'a Target, verbosity: Verbosity) -> Self {
        Self {
            target,
            verbosity,
            spinner: Spinner::default(),
        }
    }

    pub(crate) fn show(&self, event: &ModeEvent<'_>) {
        match event {
            ModeEvent::Climb(event) => self.show_climb(event),
            ModeEvent::Failed(cause, until) => {
                let left = until.left().as_secs_f64();
                self.note(&format!("{}: retrying for up to {left:.0} s more", cause.code()));
            }
            ModeEvent::Paused(until) => self.spinner.start("waiting until Redis answers".into(), *until),
            ModeEvent::Idle(until) => {
                let span = until.span().as_secs_f64();
                self.note(&format!("connected; staying idle for {span:.0} s"));
                self.spinner.start("staying idle".into(), *until);
            }
            ModeEvent::Dropped => {
                self.note("the connection worked, but not after the idle time: something dropped it");
            }
            ModeEvent::Pong(number, took) => {
                if self.verbosity == Verbosity::Steps {
                    answer(&format!("ping {number}: {}", milliseconds(*took)));
                }
            }
        }
    }

    fn show_climb(&self, event: &ClimbEvent<'_>) {
        let prints_steps = self.verbosity == Verbosity::Steps;
        match event {
            ClimbEvent::Hint(text) if prints_steps => print_all(&decorated(&report::hint(text))),
            ClimbEvent::Hint(_) => {}
            ClimbEvent::Started(rung, deadline) => self.spinner.start(self.activity(*rung), *deadline),
            ClimbEvent::Finished(rung, seen) => {
                self.spinner.clear();
                if prints_steps {
                    print_all(&decorated(&report::observed(*rung, self.target, seen)));
                }
            }
        }
    }

    /// Waits for `work`; on a terminal, shows a spinner meanwhile.
    pub(crate) async fn wait_for<T>(&self, work: impl Future<Output = T>) -> T {
        self.spinner.during(work).await
    }

    fn activity(&self, rung: Rung) -> String {
        let host = crate::sanitize::line(self.target.host().unwrap_or("the socket"));
        match rung {
            Rung::Url => "parsing the URL".into(),
            Rung::Dns => format!("looking up {host}"),
            Rung::Tcp => match self.target.port() {
                Some(port) => format!("connecting to {host}, port {port}"),
                None => "connecting to the socket".into(),
            },
            Rung::Tls => "waiting for the TLS handshake".into(),
            Rung::Auth => "waiting for the reply to AUTH".into(),
            Rung::Ping => "waiting for PONG".into(),
            Rung::Role => "querying the server's role".into(),
        }
    }

    /// Prints a line to standard error, above the spinner.
    fn note(&self, text: &str) {
        self.spinner.clear();
        super::note(text);
    }
}

/// Says how long `--wait` took, on standard error.
pub(crate) fn answered_after(elapsed: Duration) {
    super::note(&format!("Redis answers after {:.1} s", elapsed.as_secs_f64()));
}

pub(super) fn milliseconds(took: Duration) -> String {
    format!("{:.3} ms", took.as_secs_f64() * 1000.0)
}

/// Prints the verdict, which follows the rungs.
pub(crate) fn verdict(target: &Target, seen: &Observations, verdict: &Verdict, verbosity: Verbosity) {
    print_all(&headline(target, seen, verdict));
    if verbosity == Verbosity::Steps || verdict.finding.is_some() {
        print_all(&details(verdict));
    }
}

/// Prints the verdict on an invalid URL.
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

/// Prints all causes and warnings: code, exit status and meaning, one per line.
pub(crate) fn codes() {
    answer(&format!("{:<25}  exit  meaning", "code"));
    for cause in Cause::ALL {
        let exit = cause.exit() as u8;
        answer(&format!("{:<25}  {exit:>4}  {}", cause.code(), cause.meaning()));
    }
}

/// Prints one JSON object on one line.
///
/// # Errors
/// Returns an error if standard output is closed.
pub(crate) fn json_line(report: &serde_json::Value) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{report}")
}

/// Prints one JSON object: indented on a terminal, otherwise on one line.
pub(crate) fn json(report: &serde_json::Value) {
    let text = if std::io::stdout().is_terminal() {
        serde_json::to_string_pretty(report)
    } else {
        serde_json::to_string(report)
    };
    answer(&text.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")));
}

fn decorated(step: &ReportStep) -> Vec<String> {
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

/// Wraps a line of the report to the window, but to no more than [`PAGE`] columns.
fn fitted(line: &ReportLine) -> Vec<String> {
    match line {
        ReportLine::Words { lead, further, text } => {
            let columns = window::columns(&Term::stdout()).unwrap_or(PAGE).min(PAGE);
            window::hanging(lead, *further, text, Some(columns))
        }
        ReportLine::Whole(line) => vec![line.clone()],
    }
}

fn print_all(lines: &[String]) {
    lines.iter().for_each(|line| answer(line));
}

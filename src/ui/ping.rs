//! Prints the output of `ping`, on a terminal and elsewhere.

mod progress;
mod watch;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use colored::{ColoredString, Colorize as _};
use dialoguer::console::Term;

use super::{answer, markdown, window, writer};
use crate::aws::{AwsAnswer, Outcome};
use crate::ping::causes::Cause;
use crate::ping::observation::{Observations, PeerCertificate};
use crate::ping::report::text::{self, ReportLine};
use crate::ping::report::{ReportStep, Status};
use crate::ping::verdict::Verdict;
use crate::redis_url::Target;

pub(crate) use progress::ProgressDisplay;
pub(crate) use watch::{history_summary, probe};

/// The maximum width of the output in columns, because the output is often pasted into tickets.
const PAGE: usize = 80;

/// How much to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// One line per check, followed by the verdict.
    Steps,
    VerdictOnly,
}

/// Prints to standard error how long `--wait` took.
pub(crate) fn answered_after(elapsed: Duration) {
    super::note(&format!("Redis answers after {:.1} s", elapsed.as_secs_f64()));
}

fn milliseconds(took: Duration) -> String {
    format!("{:.3} ms", took.as_secs_f64() * 1000.0)
}

/// Prints the verdict, after the lines of the checks.
pub(crate) fn verdict(target: &Target, seen: &Observations, verdict: &Verdict, verbosity: Verbosity) {
    print_all(&headline(target, seen, verdict));
    if verbosity == Verbosity::Steps || verdict.finding.is_some() {
        print_all(&details(verdict));
        name_page(verdict);
    }
}

/// Prints the command that explains the cause.
fn name_page(verdict: &Verdict) {
    if let Some(finding) = &verdict.finding {
        answer("");
        answer(&format!("More: sessiontut explain {}", finding.cause.code()));
    }
}

/// Prints to standard error what `--save-ca` has written.
pub(crate) fn saved_certificates(path: &std::path::Path, chain: &[PeerCertificate], is_verified: bool) {
    let (path, count) = (path.display(), chain.len());
    let noun = if count == 1 { "certificate" } else { "certificates" };
    super::note(&format!(
        "saved {count} {noun} to {path}; the first is the certificate of the server itself"
    ));
    for one in chain {
        super::note(&format!("{}: SHA-256 {}", one.subject, one.fingerprint()));
    }
    if !is_verified {
        super::note(
            "warning: these certificates are not verified; before you pass the file to --ca, compare the \
             fingerprints with those that the administrator gives you",
        );
    }
}

/// Prints the verdict on an invalid URL.
pub(crate) fn url_verdict(verdict: &Verdict) {
    if let Some(finding) = &verdict.finding {
        let lines = fitted(&text::url_headline(finding));
        print_all(&painted(&lines, |line| line.red().bold()));
    }
    print_all(&details(verdict));
    name_page(verdict);
}

/// Prints the checks of AWS documents, and the verdict on them.
pub(crate) fn aws_verdict(answer: &AwsAnswer, verdict: &Verdict) {
    for (status, line) in text::aws_checks(answer) {
        print_all(&in_colour(status, &fitted(&line)));
    }
    let lines = fitted(&text::aws_headline(answer, verdict));
    if answer.assessment.outcome == Outcome::Allowed {
        print_all(&painted(&lines, |line| line.green()));
    } else {
        print_all(&painted(&lines, |line| line.red().bold()));
    }
    print_all(&details(verdict));
}

/// Returns the lines of the verdict's headline, wrapped.
fn headline(target: &Target, seen: &Observations, verdict: &Verdict) -> Vec<String> {
    let lines = fitted(&text::headline(target, seen, verdict));
    if verdict.finding.is_none() {
        painted(&lines, |line| line.green())
    } else {
        painted(&lines, |line| line.red().bold())
    }
}

/// Returns the evidence, fixes and warnings, wrapped.
fn details(verdict: &Verdict) -> Vec<String> {
    text::details(verdict).iter().flat_map(fitted).collect()
}

/// Prints the code, exit status and meaning of each cause and warning, one per line.
pub(crate) fn codes() {
    answer(&format!("{:<25}  exit  meaning", "code"));
    for cause in Cause::ALL {
        let exit = cause.exit() as u8;
        answer(&format!("{:<25}  {exit:>4}  {}", cause.code(), cause.meaning()));
    }
}

/// Prints the documentation page about a cause.
pub(crate) fn page(cause: Cause) {
    print_all(&markdown::lines(&cause.page(), window::width(&Term::stdout())));
}

/// Prints one JSON object on one line.
pub(crate) fn json_line(report: &serde_json::Value) -> io::Result<()> {
    writer::out_json(&writer::json(report, false))
}

/// Prints one JSON object, indented on a terminal, otherwise on one line.
pub(crate) fn json(report: &serde_json::Value) {
    super::answered(writer::out_json(&writer::json(
        report,
        io::stdout().is_terminal(),
    )));
}

/// Returns the text of a `--report` file.
pub(crate) fn report_text(report: &serde_json::Value) -> String {
    format!("{}\n", writer::json(report, true))
}

fn decorated(step: &ReportStep) -> Vec<String> {
    in_colour(step.status, &fitted(&text::rung(step)))
}

fn in_colour(status: Status, lines: &[String]) -> Vec<String> {
    match status {
        Status::Ok => lines.to_vec(),
        Status::Warn => painted(lines, |line| line.yellow()),
        Status::Fail => painted(lines, |line| line.red()),
        Status::Skipped => painted(lines, |line| line.dimmed()),
    }
}

fn painted(lines: &[String], paint: impl Fn(&str) -> ColoredString) -> Vec<String> {
    lines.iter().map(|line| paint(line).to_string()).collect()
}

/// Wraps a line of the report to the width of the window, but to no more than [`PAGE`] columns.
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

//! Prints the output of `ping`, on a terminal and elsewhere. For `ping --watch`, prints one line per probe
//! with a small graph, the verdict whenever it changes, and a summary.

use std::future::Future;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use colored::{ColoredString, Colorize as _};
use dialoguer::console::Term;

use super::waiting::Spinner;
use super::{answer, markdown, window, writer};
use crate::aws::{AwsAnswer, Outcome};
use crate::clock;
use crate::ping::causes::Cause;
use crate::ping::history::ProbeHistory;
use crate::ping::modes::ModeEvent;
use crate::ping::observation::{Observations, PeerCertificate, role_text};
use crate::ping::report::text::{self, ReportLine};
use crate::ping::report::{self, ReportStep, Status};
use crate::ping::verdict::Verdict;
use crate::ping::watch::{Change, ProbeResult, WatchEvent};
use crate::ping::{ClimbEvent, Rung};
use crate::redis_url::Target;

/// The width of the output if it is not a terminal. Such output is often pasted into tickets.
const PAGE: usize = 80;

/// Shows the progress: one line per check and, on a terminal, a spinner that shows the current wait.
#[derive(Debug)]
pub(crate) struct ProgressDisplay<'a> {
    target: &'a Target,
    verbosity: Verbosity,
    spinner: Spinner,
}

/// How much to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// One line per check, followed by the verdict.
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

    /// Prints the URL that is being checked, with the password masked.
    pub(crate) fn show_url(&self) {
        if self.verbosity == Verbosity::Steps {
            print_all(&decorated(&report::observed(
                Rung::Url,
                self.target,
                &Observations::default(),
            )));
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
                self.note("a connection was lost during the idle time; trying a new connection");
            }
            ModeEvent::Missed | ModeEvent::Attempt(..) => {}
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

    /// Waits for `work`. On a terminal, shows a spinner meanwhile.
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

/// Prints how long `--wait` took, to standard error.
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

/// Says which command explains the cause.
fn name_page(verdict: &Verdict) {
    if let Some(finding) = &verdict.finding {
        answer("");
        answer(&format!("More: sessiontut explain {}", finding.cause.code()));
    }
}

/// Says what `--save-ca` has written, on standard error.
pub(crate) fn saved_certificates(path: &std::path::Path, chain: &[PeerCertificate], is_verified: bool) {
    let (path, count) = (path.display(), chain.len());
    let noun = if count == 1 { "certificate" } else { "certificates" };
    super::note(&format!(
        "saved {count} {noun} to {path}; the server's own is the first"
    ));
    for one in chain {
        super::note(&format!("{}: SHA-256 {}", one.subject, one.fingerprint()));
    }
    if !is_verified {
        super::note(
            "warning: this certificate chain is not verified; compare the fingerprints with the administrator's \
             before you use the file with --ca",
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

/// Returns the first line of the verdict, wrapped.
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

/// Prints all causes and warnings: code, exit status and meaning, one per line.
pub(crate) fn codes() {
    answer(&format!("{:<25}  exit  meaning", "code"));
    for cause in Cause::ALL {
        let exit = cause.exit() as u8;
        answer(&format!("{:<25}  {exit:>4}  {}", cause.code(), cause.meaning()));
    }
}

/// Prints the page about a cause from the documentation.
pub(crate) fn page(cause: Cause) {
    print_all(&markdown::lines(&cause.page(), window::width(&Term::stdout())));
}

/// Prints one JSON object on one line.
///
/// # Errors
/// Returns an error if standard output is closed.
pub(crate) fn json_line(report: &serde_json::Value) -> io::Result<()> {
    writer::out_json(&writer::json(report, false))
}

/// Prints one JSON object: indented on a terminal, otherwise on one line.
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

/// Wraps a line of the report to fit the window, at most to [`PAGE`] columns.
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

/// The maximum number of probes in the graph.
const GRAPH: usize = 24;

/// Prints one probe.
///
/// # Errors
/// Returns an error if standard output is closed.
pub(crate) fn probe(
    target: &Target,
    probe: &ProbeResult,
    history: &ProbeHistory,
    verbosity: Verbosity,
) -> io::Result<()> {
    for line in describe_change(target, probe) {
        writer::out(&line)?;
    }
    if verbosity == Verbosity::Steps {
        let (mark, what) = match (probe.round_trip, &probe.verdict.finding) {
            (Some(took), _) => ("[ok]", format!("{:>9}", milliseconds(took))),
            (None, Some(finding)) => ("[!!]", finding.cause.code().to_owned()),
            (None, None) => ("[!!]", "no answer".to_owned()),
        };
        let time = clock::time_of_day(probe.at);
        let line = format!("{time} {mark} {:>4}  {what}  ", history.probes());
        let room = window::width(&Term::stdout()).saturating_sub(line.len());
        let graph = history.graph(GRAPH.min(room));
        let line = match probe.round_trip {
            Some(_) => format!("{line}{}", graph.dimmed()),
            None => format!("{line}{graph}").red().to_string(),
        };
        writer::out(&line)?;
    }
    Ok(())
}

/// Describes what has changed, the events, and the new verdict.
fn describe_change(target: &Target, probe: &ProbeResult) -> Vec<String> {
    let columns = window::columns(&Term::stdout());
    let texts = change_text(probe.change).into_iter().map(str::to_owned);
    let texts = texts.chain(probe.events.iter().map(event_text));
    let time = clock::time_of_day(probe.at);
    let mut lines: Vec<String> = texts
        .flat_map(|text| window::lines(&format!("{time} {text}"), columns))
        .map(|line| line.bold().to_string())
        .collect();
    let is_other_role = |event: &WatchEvent| matches!(event, WatchEvent::Role { .. });
    if !matches!(probe.change, Change::None | Change::Reconnected) || probe.events.iter().any(is_other_role) {
        lines.extend(headline(target, &probe.seen, &probe.verdict));
        lines.extend(details(&probe.verdict));
    }
    lines
}

fn change_text(change: Change) -> Option<&'static str> {
    Some(match change {
        Change::None | Change::First => return None,
        Change::Down => "Redis no longer answers",
        Change::Up => "Redis answers again",
        Change::OtherCause => "Redis still does not answer, but for another reason",
        Change::Reconnected => "the connection was lost, but a new one works",
    })
}

fn event_text(event: &WatchEvent) -> String {
    match event {
        WatchEvent::Role { from, to } => {
            format!(
                "the role has changed from {} to {}",
                role_text(from),
                role_text(to)
            )
        }
        WatchEvent::Address { from, to } => format!("the connection now leads to {to} instead of {from}"),
        WatchEvent::RunId => {
            "the run ID has changed, so the server was restarted or replaced by another server".into()
        }
        WatchEvent::Name { to } => {
            let to: Vec<_> = to.iter().map(ToString::to_string).collect();
            format!(
                "the host name now resolves to {}, but the connection still leads to the old address",
                to.join(", ")
            )
        }
    }
}

/// Prints totals and percentiles.
pub(crate) fn history_summary(history: &ProbeHistory, elapsed: Duration) {
    let columns = window::columns(&Term::stdout());
    let mut lines: Vec<String> = summary_lines(history, elapsed)
        .iter()
        .flat_map(|line| window::lines(line, columns))
        .collect();
    if io::stdout().is_terminal() {
        // The terminal may already have printed ^C on this line.
        lines.insert(0, String::new());
    }
    answer(&lines.join("\n"));
}

fn summary_lines(history: &ProbeHistory, elapsed: Duration) -> Vec<String> {
    let (probes, answered) = (history.probes(), history.answered());
    let missed = probes - answered;
    let mut line = format!(
        "{probes} probes in {:.1} s, {answered} answered",
        elapsed.as_secs_f64()
    );
    if missed > 0 {
        let share = missed.saturating_mul(100).div_ceil(probes);
        let outages = history.outages();
        let times = if outages == 1 { "outage" } else { "outages" };
        line.push_str(&format!(", {missed} failed ({share} %), {outages} {times}"));
    }
    match history.lost_connections() {
        0 => {}
        1 => line.push_str(", 1 lost connection"),
        count => line.push_str(&format!(", {count} lost connections")),
    }
    let mut lines = vec![line];
    lines.extend(history.recent_outages().map(|outage| {
        let (lasted, is_over) = outage.duration();
        let end = if is_over { "" } else { ", not over yet" };
        let lasted = lasted.as_secs_f64();
        format!(
            "outage at {}: {lasted:.1} s{end}",
            clock::time_of_day(outage.began)
        )
    }));
    if let Some(found) = history.percentiles() {
        lines.push(format!(
            "round trip: min {}, p50 {}, p90 {}, p99 {}, max {}",
            milliseconds(found.min),
            milliseconds(found.p50),
            milliseconds(found.p90),
            milliseconds(found.p99),
            milliseconds(found.max)
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wording_of_changes_and_of_the_summary() {
        let mut text = String::new();
        let changes = [Change::Down, Change::Up, Change::OtherCause, Change::Reconnected];
        for change in changes {
            text.push_str(change_text(change).unwrap());
            text.push('\n');
        }
        let events = [
            WatchEvent::Role {
                from: "master".into(),
                to: "slave".into(),
            },
            WatchEvent::Address {
                from: "10.0.3.17:6379".parse().unwrap(),
                to: "10.0.3.18:6379".parse().unwrap(),
            },
            WatchEvent::RunId,
            WatchEvent::Name {
                to: vec!["10.0.3.18".parse().unwrap()],
            },
        ];
        for event in &events {
            text.push_str(&event_text(event));
            text.push('\n');
        }
        let mut history = ProbeHistory::default();
        text.push_str(&summary_lines(&history, Duration::ZERO).join("\n"));
        for milliseconds in [Some(1), Some(3), None, None] {
            history.add(milliseconds.map(Duration::from_millis));
        }
        text.push('\n');
        let lines = summary_lines(&history, Duration::from_secs(4));
        // The line about the outage contains a time of day, which differs in each run.
        let lines: Vec<_> = lines
            .into_iter()
            .filter(|line| !line.starts_with("outage at"))
            .collect();
        text.push_str(&lines.join("\n"));
        crate::golden::assert_golden("ping/watch.txt", &text);
    }
}

//! The output of `ping --watch`: one line per probe with a small graph, the verdict when it changes, and a summary.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use colored::Colorize as _;
use dialoguer::console::Term;

use super::ping::{self, Verbosity, milliseconds};
use super::window;
use crate::ping::watch::{Change, ProbeHistory, ProbeResult};
use crate::redis_url::Target;

/// The most probes in the graph.
const GRAPH: usize = 24;

/// Prints one probe.
///
/// # Errors
/// Returns an error if standard output is closed.
pub(crate) fn probe(
    target: &Target,
    probe: &ProbeResult,
    history: &ProbeHistory,
    elapsed: Duration,
    verbosity: Verbosity,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in describe_change(target, probe, elapsed) {
        writeln!(out, "{line}")?;
    }
    if verbosity == Verbosity::Steps {
        let (mark, what) = match (probe.round_trip, &probe.verdict.finding) {
            (Some(took), _) => ("[ok]", format!("{:>9}", milliseconds(took))),
            (None, Some(finding)) => ("[!!]", finding.cause.code().to_owned()),
            (None, None) => ("[!!]", "no answer".to_owned()),
        };
        let line = format!("{mark} {:>4}  {what}  ", history.probes());
        let room = window::width(&Term::stdout()).saturating_sub(line.len());
        let graph = history.graph(GRAPH.min(room));
        let line = match probe.round_trip {
            Some(_) => format!("{line}{}", graph.dimmed()),
            None => format!("{line}{graph}").red().to_string(),
        };
        writeln!(out, "{line}")?;
    }
    out.flush()
}

/// Describes a change, with the new verdict.
fn describe_change(target: &Target, probe: &ProbeResult, elapsed: Duration) -> Vec<String> {
    if probe.change == Change::None {
        return Vec::new();
    }
    let columns = window::columns(&Term::stdout());
    let text = change_text(probe.change, elapsed);
    let text = text.map(|text| window::lines(&text, columns)).unwrap_or_default();
    let mut lines: Vec<String> = text.iter().map(|line| line.bold().to_string()).collect();
    if probe.change != Change::Reconnected {
        lines.extend(ping::headline(target, &probe.seen, &probe.verdict));
        lines.extend(ping::details(&probe.verdict));
    }
    lines
}

fn change_text(change: Change, elapsed: Duration) -> Option<String> {
    let what = match change {
        Change::None | Change::First => return None,
        Change::Down => "Redis no longer answers",
        Change::Up => "Redis answers again",
        Change::OtherCause => "Redis still does not answer, but the cause has changed",
        Change::Reconnected => "the connection was lost, but a new one works",
    };
    Some(format!("after {:.1} s: {what}", elapsed.as_secs_f64()))
}

/// Prints totals and percentiles.
pub(crate) fn summary(history: &ProbeHistory, elapsed: Duration) {
    let mut out = io::stdout().lock();
    let columns = window::columns(&Term::stdout());
    let mut lines: Vec<String> = summary_lines(history, elapsed)
        .iter()
        .flat_map(|line| window::lines(line, columns))
        .collect();
    if io::stdout().is_terminal() {
        // The terminal has printed ^C at the start of this line.
        lines.insert(0, String::new());
    }
    // A closed pipe is not an error.
    let _ = writeln!(out, "{}", lines.join("\n"));
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
    let mut lines = vec![line];
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
            text.push_str(&change_text(change, Duration::from_secs(90)).unwrap());
            text.push('\n');
        }
        let mut history = ProbeHistory::default();
        text.push_str(&summary_lines(&history, Duration::ZERO).join("\n"));
        for milliseconds in [Some(1), Some(3), None, None] {
            history.add(milliseconds.map(Duration::from_millis));
        }
        text.push('\n');
        text.push_str(&summary_lines(&history, Duration::from_secs(4)).join("\n"));
        crate::golden::assert_golden("ping/watch.txt", &text);
    }
}

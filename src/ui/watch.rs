//! How `ping --watch` looks: a line a probe with a small graph, the verdict where it changes, and a summary.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use colored::Colorize as _;
use dialoguer::console::Term;

use super::ping::{self, Lines};
use super::window;
use crate::ping::history::ProbeHistory;
use crate::ping::watch::{Change, Probe};
use crate::redis_url::Target;

/// Probes that the graph shows.
const GRAPH: usize = 24;

/// Shows one probe.
///
/// # Errors
/// When the reader of standard output has gone away: nobody is left to watch for.
pub(crate) fn probe(
    target: &Target,
    probe: &Probe,
    history: &ProbeHistory,
    elapsed: Duration,
    lines: Lines,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in news(target, probe, elapsed) {
        writeln!(out, "{line}")?;
    }
    if lines == Lines::Shown {
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

/// What has changed, with the verdict where it is another.
fn news(target: &Target, probe: &Probe, elapsed: Duration) -> Vec<String> {
    let at = format!("after {:.1} s", elapsed.as_secs_f64());
    let what = match probe.change {
        Change::None => return Vec::new(),
        Change::First => None,
        Change::Fell => Some(format!("{at}: it no longer answers")),
        Change::Rose => Some(format!("{at}: it answers again")),
        Change::OtherCause => Some(format!("{at}: still no answer, for another cause")),
        Change::Reconnected => Some(format!("{at}: the connection was lost; a new one works")),
    };
    let columns = window::columns(&Term::stdout());
    let what = what.map(|what| window::lines(&what, columns)).unwrap_or_default();
    let mut lines: Vec<String> = what.iter().map(|line| line.bold().to_string()).collect();
    if probe.change != Change::Reconnected {
        lines.extend(ping::headline(target, &probe.seen, &probe.verdict));
        lines.extend(ping::details(&probe.verdict));
    }
    lines
}

/// What all probes came to.
pub(crate) fn summary(history: &ProbeHistory, elapsed: Duration) {
    let mut out = io::stdout().lock();
    let columns = window::columns(&Term::stdout());
    let mut lines: Vec<String> = summary_lines(history, elapsed)
        .iter()
        .flat_map(|line| window::lines(line, columns))
        .collect();
    if io::stdout().is_terminal() {
        // The terminal has written ^C where the next line would begin.
        lines.insert(0, String::new());
    }
    // A reader that has gone away is no fault of ours.
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
        line.push_str(&format!(", {missed} not ({share} %), {outages} {times}"));
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

fn milliseconds(took: Duration) -> String {
    format!("{:.3} ms", took.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_tells_what_was_answered_and_how_fast() {
        let mut history = ProbeHistory::default();
        for span in [Some(1), Some(3), None, None] {
            history.note(span.map(Duration::from_millis));
        }
        assert_eq!(
            summary_lines(&history, Duration::from_secs(4)),
            [
                "4 probes in 4.0 s, 2 answered, 2 not (50 %), 1 outage",
                "round trip: min 1.000 ms, p50 1.000 ms, p90 3.000 ms, p99 3.000 ms, max 3.000 ms",
            ]
        );
        assert_eq!(
            summary_lines(&ProbeHistory::default(), Duration::ZERO),
            ["0 probes in 0.0 s, 0 answered"]
        );
    }
}

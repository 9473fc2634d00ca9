//! Prints the output of `ping --watch`: one line per probe with a small graph, the verdict whenever it
//! changes, and a summary.

use std::io;
use std::time::Duration;

use colored::Colorize as _;
use dialoguer::console::Term;

use super::{Verbosity, details, headline, milliseconds};
use crate::clock;
use crate::ping::history::ProbeHistory;
use crate::ping::observation::role_text;
use crate::ping::watch::{Change, ProbeResult, WatchEvent};
use crate::redis_url::Target;
use crate::ui::{answer, window, writer};

/// The maximum number of probes in the graph.
const GRAPH: usize = 24;

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

/// Describes what has changed, which events have occurred, and the new verdict.
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
        Change::OtherCause => "Redis still does not answer, but the cause has changed",
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
                "the host name now has the address {}, but the connection still leads to the old address",
                to.join(", ")
            )
        }
    }
}

/// Prints the totals and percentiles of all probes.
pub(crate) fn history_summary(history: &ProbeHistory, elapsed: Duration) {
    let columns = window::columns(&Term::stdout());
    let lines: Vec<String> = summary_lines(history, elapsed)
        .iter()
        .flat_map(|line| window::lines(line, columns))
        .collect();
    answer(&lines.join("\n"));
}

fn summary_lines(history: &ProbeHistory, elapsed: Duration) -> Vec<String> {
    let (probes, answered) = (history.probes(), history.answered);
    let missed = probes - answered;
    let mut line = format!(
        "{probes} PINGs in {:.1} s, {answered} answered",
        elapsed.as_secs_f64()
    );
    if missed > 0 {
        let share = missed.saturating_mul(100).div_ceil(probes);
        let outages = history.outages;
        let times = if outages == 1 { "outage" } else { "outages" };
        line.push_str(&format!(", {missed} failed ({share} %), {outages} {times}"));
    }
    match history.lost_connections {
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
        // The line about the outage contains the time of day, which differs in each run.
        let lines: Vec<_> = lines
            .into_iter()
            .filter(|line| !line.starts_with("outage at"))
            .collect();
        text.push_str(&lines.join("\n"));
        crate::golden::assert_golden("ping/watch.txt", &text);
    }
}

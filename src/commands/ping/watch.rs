//! `ping --watch`.

use std::time::Duration;

use super::PingArgs;
use super::conclusion::write_report;
use super::journal::Journal;
use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::ping::history::ProbeHistory;
use crate::ping::modes::Check;
use crate::ping::report::json;
use crate::ping::watch::{ProbeResult, watch};
use crate::ping::{Observations, Verdict};
use crate::signals;
use crate::ui;

/// Probes Redis until a signal arrives, and prints a summary. Ends without a message if standard output is
/// closed.
pub(super) async fn run(args: &PingArgs, check: &Check<'_>, deadline: Deadline) -> Exit {
    let mut history = ProbeHistory::default();
    let mut journal = Journal::default();
    let mut report = json::render(
        check.target,
        &Observations::default(),
        &Verdict::default(),
        Duration::ZERO,
    );
    json::mark_interrupted(&mut report);
    let show = |result: &ProbeResult, history: &ProbeHistory| {
        journal.add_probe(result);
        if args.json || args.report.is_some() {
            report = json::render(check.target, &result.seen, &result.verdict, result.took);
            report["probe"] = history.probes().into();
            json::add_probe(&mut report, result);
        }
        if args.json {
            ui::ping::json_line(&report)
        } else {
            ui::ping::probe(check.target, result, history, args.verbosity())
        }
    };
    let exit = tokio::select! {
        _ = watch(check, &mut history, show) => Exit::Ok,
        () = signals::termination() => Exit::Interrupted,
    };
    let elapsed = deadline.elapsed();
    let totals = json::totals(&history, &report, elapsed);
    report["totals"] = totals["totals"].clone();
    if exit == Exit::Interrupted {
        ui::end_line_after_ctrl_c();
        if args.json {
            // If standard output is closed, there is nothing left to do.
            let _ = ui::ping::json_line(&totals);
        } else {
            ui::ping::history_summary(&history, elapsed);
        }
    }
    write_report(args.report.as_deref(), report, &journal, exit)
}

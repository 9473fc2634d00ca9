//! Runs the checks once, or repeatedly with `--wait`, `--hold`, `--idle` or `--count`, and prints the result.

use super::conclusion::conclude;
use super::journal::Journal;
use super::{PingArgs, aws};
use crate::aws::Documents;
use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::ping::modes::{Check, Mode, ModeEvent};
use crate::ping::verdict::aws as proof;
use crate::signals;
use crate::ui;
use crate::ui::ping::{ProgressDisplay, Verbosity};

pub(super) async fn run(
    args: &PingArgs,
    check: &Check<'_>,
    documents: Option<&Documents>,
    deadline: Deadline,
) -> Exit {
    let mode = match (args.wait, args.hold, args.idle, args.count) {
        (Some(patience), ..) => Mode::Wait(patience),
        (_, Some(idle), ..) => Mode::Hold(idle),
        (_, _, Some(longest), _) => Mode::Idle(longest),
        (.., Some(count)) => Mode::Count(count),
        _ => Mode::Once,
    };
    // `--wait` may run the checks many times, but only the last result is shown.
    let steps = if args.wait.is_some() {
        Verbosity::VerdictOnly
    } else {
        args.verbosity()
    };
    let display = ProgressDisplay::new(check.target, steps);
    display.show_url();
    let mut journal = Journal::default();
    let mut tell = |event: ModeEvent<'_>| {
        journal.record(&event);
        if !(args.json && matches!(event, ModeEvent::Climb(_))) {
            display.show(&event);
        }
    };
    let finished = tokio::select! {
        diagnosis = display.wait_for(check.run(mode, deadline, &mut tell)) => Some(diagnosis),
        () = signals::termination() => None,
    };
    let mut diagnosis = finished.unwrap_or_else(|| journal.interrupted(deadline));
    if !diagnosis.is_interrupted {
        let asked = tokio::select! {
            answer = aws::answer(args, documents, check.target, &diagnosis) => answer,
            () = signals::termination() => None,
        };
        if let Some(answer) = asked {
            proof::add(&answer, &mut diagnosis.verdict);
            if diagnosis.verdict.finding.is_none() && args.verbosity() == Verbosity::Steps {
                aws::tell(&answer);
            }
            diagnosis.observations.aws = Some(Box::new(answer));
        }
    }
    let exit = conclude(args, check.target, &diagnosis, &journal);
    if args.wait.is_some() && diagnosis.verdict.finding.is_none() && !diagnosis.is_interrupted {
        ui::ping::answered_after(deadline.elapsed());
    }
    exit
}

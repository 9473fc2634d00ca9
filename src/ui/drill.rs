//! Shows a drill's task, answers and solution.

use colored::Colorize as _;

use super::{answer, note, told, told_behind};
use crate::drill::{Drill, DrillFault, FAULTS, Score};

/// Lists all faults, and marks those that the learner has identified.
pub(crate) fn list(score: &Score) {
    for fault in FAULTS {
        let mark = if score.has_named(fault) { "[x]" } else { "[ ]" };
        told_behind(&format!("{mark} {:<20} ", fault.name), fault.title);
    }
}

/// Prints the URL on the first line and, for TLS, the CA file on the second.
pub(crate) fn serving(drill: &Drill) {
    answer(drill.url());
    if let Some(ca) = drill.ca() {
        answer(&ca.to_string_lossy());
    }
    note("running a deliberately broken endpoint on loopback; press Ctrl-C to stop it");
}

/// Shows the endpoint to diagnose.
pub(crate) fn task(drill: &Drill) {
    told("Something is wrong with this Redis. Find out what, using any tool in another terminal:");
    answer("");
    answer(&format!("  {}", drill.url().bold()));
    if let Some(ca) = drill.ca() {
        told_behind("  ", &format!("trust its CA with `--ca {}`", ca.display()));
    }
    answer("");
}

/// Shows whether the answer was right, and the evidence that identifies the fault.
pub(crate) fn solution(fault: &DrillFault, is_right: bool, score: &Score) {
    answer("");
    if is_right {
        told_behind(&format!("{} ", "[ok]".green()), fault.title);
    } else {
        told_behind(&format!("{} wrong: ", "[!!]".red()), fault.title);
    }
    told(&format!(
        "ping reports {}. {}.",
        fault.cause.code(),
        sentence(fault.evidence)
    ));
    answer(&format!(
        "identified so far: {} of {}",
        score.named(),
        FAULTS.len()
    ));
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

//! The drill in the terminal: the task, the list of answers, the solution.

use std::io;

use colored::Colorize as _;

use super::{answer, menu, note, told, told_behind};
use crate::drill::{Drill, FAULTS, Fault, Keeping, Outcome, Score};
use crate::signals::{Interrupted, Stop};

/// All faults, and which were named.
pub(crate) fn list(score: &Score) {
    for fault in FAULTS {
        let mark = if score.has_named(fault) { "[x]" } else { "[ ]" };
        told_behind(&format!("{mark} {:<20} ", fault.name), fault.title);
    }
}

/// What is to be known of where the score is kept.
pub(crate) fn keeping(keeping: &Keeping) {
    match keeping {
        Keeping::Kept => {}
        Keeping::Nowhere(reason) => note(&format!("the score is not kept: {reason}")),
        Keeping::SetAside(path) => note(&format!(
            "the score's file was damaged and is now {}; it begins anew",
            path.display()
        )),
    }
}

/// The score could not be written.
pub(crate) fn not_kept(reason: &io::Error) {
    note(&format!("the score was not written down: {reason}"));
}

/// The URL on the first line, the authority to trust on the second where there is one.
pub(crate) fn serving(drill: &Drill) {
    answer(drill.url());
    if let Some(ca) = drill.ca() {
        answer(&ca.to_string_lossy());
    }
    note("an endpoint that is broken on purpose, on loopback; Ctrl-C ends it");
}

/// What there is to find out.
pub(crate) fn task(drill: &Drill) {
    told("Something is wrong with this Redis. Find out what, with any tool, in another terminal:");
    answer("");
    answer(&format!("  {}", drill.url().bold()));
    if let Some(ca) = drill.ca() {
        told_behind(
            "  ",
            &format!("its authority is trusted with `--ca {}`", ca.display()),
        );
    }
    answer("");
}

/// Asks which fault it is; returns `None` if the learner leaves.
///
/// # Errors
/// Ctrl-C, a signal, or a closed terminal.
pub(crate) fn pick(choices: &[&'static Fault], stop: &Stop) -> Result<Option<&'static Fault>, Interrupted> {
    let items = choices
        .iter()
        .enumerate()
        .map(|(index, fault)| (format!("{}", index + 1), fault.title));
    let picked = menu::select("Then choose what it is", items, stop)?;
    Ok(picked.and_then(|index| choices.get(index).copied()))
}

/// Whether it was right, and what tells the fault from its look-alikes.
pub(crate) fn solution(fault: &Fault, outcome: Outcome, score: &Score) {
    answer("");
    match outcome {
        Outcome::Right => told_behind(&format!("{} ", "[ok]".green()), fault.title),
        Outcome::Wrong => told_behind(&format!("{} no: ", "[!!]".red()), fault.title),
    }
    told(&format!(
        "ping calls it {}. {}.",
        fault.cause.code(),
        sentence(fault.evidence)
    ));
    answer(&format!("named so far: {} of {}", score.named(), FAULTS.len()));
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

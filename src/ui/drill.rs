//! The drill in the terminal: the task, the list of answers, the solution.

use std::io;

use colored::Colorize as _;
use dialoguer::console::{Key, Term};

use super::{answer, note, prompt, told, told_behind, window};
use crate::drill::{Drill, FAULTS, Fault, Keeping, Outcome, Score};
use crate::learn::stop::Stop;

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
    told("Then pick what it is: arrow keys and Enter, or the number.");
}

/// The fault that was picked; none where the learner left.
#[must_use]
pub(crate) fn pick(choices: &[&'static Fault], stop: &Stop) -> Option<&'static Fault> {
    let term = Term::stdout();
    // A cursor that cannot be hidden stays.
    let _ = term.hide_cursor();
    let picked = pick_on(&term, choices, stop);
    let _ = term.show_cursor();
    picked
}

fn pick_on(term: &Term, choices: &[&'static Fault], stop: &Stop) -> Option<&'static Fault> {
    let mut at = 0;
    loop {
        let mut rows = 0;
        for (index, fault) in choices.iter().enumerate() {
            let mark = if index == at { '>' } else { ' ' };
            let lead = format!("{mark} {} ", index + 1);
            for line in window::fitted(&lead, fault.title, Some(window::width(term))) {
                term.write_line(&line).ok()?;
                rows += 1;
            }
        }
        match prompt::key(term, stop) {
            Ok(Key::ArrowUp | Key::Char('k')) => at = at.checked_sub(1).unwrap_or(choices.len() - 1),
            Ok(Key::ArrowDown | Key::Char('j')) => at = (at + 1) % choices.len(),
            Ok(Key::Enter) => return choices.get(at).copied(),
            Ok(Key::Char(digit)) if digit.is_ascii_digit() => {
                let number = digit.to_digit(10).and_then(|number| usize::try_from(number).ok());
                if let Some(fault) = number.and_then(|number| choices.get(number.checked_sub(1)?)) {
                    return Some(fault);
                }
            }
            Ok(Key::Char('q') | Key::Escape) | Err(_) => return None,
            Ok(_) => {}
        }
        term.clear_last_lines(rows).ok()?;
    }
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

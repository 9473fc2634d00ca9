//! Prints a drill's task, answers and solution.

use colored::Colorize as _;

use super::{answer, note, told, told_behind};
use crate::drill::{Drill, DrillFault, FAULTS, Score};

/// Lists all faults, whether the learner has identified each fault, and the learner's wrong answers.
pub(crate) fn list(score: &Score) {
    for fault in FAULTS {
        let mark = if score.has_named(fault) { "[x]" } else { "[ ]" };
        told_behind(&format!("{mark} {:<20} ", fault.name), fault.title);
        let mistaken = score.mistaken_for(fault).into_iter();
        let mistaken: Vec<String> = mistaken.map(|(name, count)| format!("{name} {count}×")).collect();
        if !mistaken.is_empty() {
            told_behind(
                &" ".repeat(25),
                &format!("your wrong answers: {}", mistaken.join(", ")),
            );
        }
    }
}

/// Prints the drill's URL on the first line and, for TLS, the CA file on the second line.
pub(crate) fn serving(drill: &Drill) {
    answer(drill.url());
    if let Some(ca) = drill.ca() {
        answer(&ca.to_string_lossy());
    }
    note("this server is broken on purpose; press Ctrl-C to stop it");
}

/// Prints the task: the URL of the endpoint to diagnose and, for TLS, its CA file.
pub(crate) fn task(drill: &Drill) {
    told("This Redis server has a fault. Use any tool in another terminal to find the fault:");
    answer("");
    answer(&format!("  {}", drill.url().bold()));
    if let Some(ca) = drill.ca() {
        told_behind(
            "  ",
            &format!("to trust the CA of this server, use `--ca {}`", ca.display()),
        );
    }
    answer("");
}

pub(crate) fn right(fault: &DrillFault) {
    told_behind(&format!("{} ", "[ok]".green()), fault.title);
}

/// Shows the evidence against a wrong answer, without revealing the right answer.
pub(crate) fn wrong(fault: &DrillFault, picked: &DrillFault) {
    told_behind(&format!("{} wrong: ", "[!!]".red()), picked.title);
    told_behind("     with that fault: ", picked.symptom);
    if let Some(contradiction) = fault.contradiction_to(picked) {
        told_behind("     but here:        ", contradiction);
    }
    answer("");
}

/// Prints which layer contains the evidence, and how to check all layers with `ping`.
pub(crate) fn hint(fault: &DrillFault, drill: &Drill) {
    let (layer, _) = fault.cause.code().split_once('.').unwrap_or_default();
    let ca = drill
        .ca()
        .map(|path| format!(" --ca {}", path.display()))
        .unwrap_or_default();
    told(&format!(
        "Hint: the evidence is in the {layer} layer. To check all layers, run this command in another terminal:"
    ));
    answer(&format!("  sessiontut ping {}{ca}", drill.url()));
    answer("");
}

/// Prints what each key press does in a drill.
pub(crate) fn keys() {
    for (key, does) in [
        ("1-5", "choose an answer (the arrow keys and Enter also work)"),
        ("h", "show where to look"),
        ("s", "show the solution"),
        ("q", "quit; the score is saved"),
    ] {
        told_behind(&format!("{key:>5}  "), does);
    }
    answer("");
}

/// Shows the evidence for the right answer, and the score.
pub(crate) fn solution(fault: &DrillFault, score: &Score) {
    told(&format!(
        "The fault is {}: {}. `sessiontut ping` reports {}. {}.",
        fault.name,
        fault.title,
        fault.cause.code(),
        sentence(fault.evidence)
    ));
    answer(&format!(
        "faults that you have identified on the first try: {} of {}",
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

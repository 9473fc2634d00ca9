//! What `learn` shows outside of a lesson: lists, checks, and runs without a person.

mod keys;
mod room;
mod screen;

use std::time::Duration;

use colored::Colorize as _;
use dialoguer::console::{Term, truncate_str};

pub(crate) use room::Room;

use super::{answer, note, told, told_behind, window};
use crate::learn::check::{Outcome, Verdict};
use crate::learn::classroom::Standing;
use crate::learn::unattended::{Event, Tally};
use crate::learn::{Lesson, Refusal};
use crate::redis_url::Target;
use crate::sanitize;

/// The answer of `--check`: how many lessons are in order, and what is wrong with the others.
pub(crate) fn checked(lessons: &[Lesson], refusals: &[Refusal]) {
    for refusal in refusals {
        told(&refusal.to_string());
    }
    let steps: usize = lessons.iter().map(|lesson| lesson.steps.len()).sum();
    let rest = match refusals.len() {
        0 => "nothing to mend".to_owned(),
        count => counted(count, "thing", "things") + " to mend",
    };
    told(&format!(
        "{}, {}; {rest}",
        counted(lessons.len(), "lesson", "lessons"),
        counted(steps, "step", "steps")
    ));
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// Lesson files that cannot be used: the others go on.
pub(crate) fn refused(refusals: &[Refusal]) {
    for refusal in refusals {
        note(&refusal.to_string());
    }
}

/// Draws what is being waited for on the bottom line, or takes it away.
pub(crate) fn asking(target: Option<&Target>) {
    let term = Term::stdout();
    // A terminal that went away is met at the next question.
    let _ = term.clear_line();
    if let Some(target) = target {
        let text = sanitize::line(&format!("asking {target}…")).into_owned();
        let text = truncate_str(&text, window::width(&term), "…")
            .dimmed()
            .to_string();
        let _ = term.write_str(&text).and_then(|()| term.flush());
    }
}

/// `--list`.
pub(crate) fn list(standings: &[(&Lesson, Standing)]) {
    for line in list_lines(standings, window::columns(&Term::stdout())) {
        answer(&line);
    }
}

fn list_lines(standings: &[(&Lesson, Standing)], columns: Option<usize>) -> Vec<String> {
    let widest = standings
        .iter()
        .map(|(lesson, _)| lesson.id.len())
        .max()
        .unwrap_or(0);
    let line = |(lesson, standing): &(&Lesson, Standing)| {
        let (mark, word) = match standing {
            Standing::Done => ("✓".green(), "done"),
            Standing::Now => ("▶".yellow(), "now "),
            Standing::Open => ("·".normal(), "open"),
        };
        let (id, title) = (&lesson.id, sanitize::line(&lesson.title));
        let lead = format!("{mark} {word}  {:>2} {id:widest$}  ", lesson.number);
        window::fitted(&lead, &title, columns)
    };
    standings.iter().flat_map(line).collect()
}

/// Something that happened in `--yes`.
pub(crate) fn unattended(event: &Event<'_>) {
    match event {
        Event::Lesson(lesson) => {
            let title = sanitize::line(&lesson.title);
            let columns = window::columns(&Term::stdout());
            for line in window::fitted(&format!("{} ", lesson.number), &title, columns) {
                answer(&line.bold().to_string());
            }
        }
        Event::Held => {}
        Event::Differed { file, outcome } => differed(file, outcome),
        Event::Skipped { file, line } => {
            let words = format!("{file}:{line}: skipped, it needs a Redis that is not the practice one");
            told_behind("  ", &words);
        }
        Event::Waits(wait) => answer(&format!("  waits {}", seconds(wait.span))),
        Event::CommandFailed { file, line, what } => {
            told(&format!("{file}:{line}"));
            told_behind("  ", what);
        }
        Event::OutOfTime(most) => {
            told(&format!(
                "lessons may take {} all together: the rest was not run",
                seconds(*most)
            ));
        }
    }
}

/// Four things on adjacent lines: where, the command, what the lesson expects, what came.
fn differed(file: &str, outcome: &Outcome) {
    let Verdict::Differs { expected, why } = &outcome.verdict else {
        return;
    };
    answer(
        &format!("{}:{}", sanitize::line(file), outcome.line)
            .red()
            .to_string(),
    );
    told_behind("  command   ", &outcome.command);
    for (name, lines) in [("expected", expected), ("got     ", &outcome.got)] {
        for (row, line) in lines.iter().enumerate() {
            let lead = if row == 0 { name } else { "        " };
            told_behind(&format!("  {lead}  "), line);
        }
    }
    if let Some(why) = why {
        told_behind("  because   ", why);
    }
}

/// The end of `--yes`.
pub(crate) fn tallied(tally: &Tally, refused: usize) {
    let mut parts = vec![
        counted(tally.lessons, "lesson", "lessons"),
        format!("{} replies and checks held", tally.held),
    ];
    if tally.skipped > 0 {
        parts.push(format!("{} skipped", tally.skipped));
    }
    if refused > 0 {
        parts.push(counted(refused, "thing", "things") + " wrong in lesson files");
    }
    let (mark, rest) = match tally.failed {
        0 if refused == 0 => ("✓".green(), "all is as the lessons say".to_owned()),
        0 => ("✗".red(), "some lessons could not be read".to_owned()),
        failed => ("✗".red(), format!("{failed} did not hold")),
    };
    parts.push(rest);
    told_behind(&format!("{mark} "), &parts.join(", "));
}

fn seconds(span: Duration) -> String {
    if span.subsec_millis() == 0 {
        format!("{} s", span.as_secs())
    } else {
        format!("{:.1} s", span.as_secs_f64())
    }
}

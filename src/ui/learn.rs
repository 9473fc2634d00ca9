//! Prints the output of `learn`, such as lists and results. The submodules implement the person at the
//! terminal and the robot of `--yes`.

mod diagram;
mod keys;
mod robot;
mod screen;
mod show;
mod terminal;

use std::time::Duration;

use colored::Colorize as _;
use dialoguer::console::{Term, truncate_str};

pub(crate) use robot::Robot;
pub(crate) use terminal::TerminalLearner;

use super::{answer, markdown, told, window, writer};
use crate::learn::learner::Standing;
use crate::learn::{CHEAT_SHEET, Lesson, LessonError};
use crate::redis_url::Target;
use crate::sanitize;
use crate::signals::{Interrupted, Stop};
use screen::Screen;

/// Shows the help of sessiontut, and pauses whenever the window is full.
pub(crate) fn page_help(stop: &Stop) -> Result<(), Interrupted> {
    let mut screen = Screen::new(stop.clone());
    screen.put_all(super::help_text().lines().map(str::to_owned));
    screen.gap();
    screen.interrupted
}

/// Prints the cheat sheet: formatted on a terminal, and otherwise as Markdown.
pub(crate) fn cheat_sheet() {
    match window::columns(&Term::stdout()) {
        Some(width) => markdown::lines(CHEAT_SHEET, width)
            .iter()
            .for_each(|line| answer(line)),
        None => answer(CHEAT_SHEET.trim_end()),
    }
}

/// Prints the result of `learn --check`.
pub(crate) fn checked(lessons: &[Lesson], errors: &[LessonError]) {
    for error in errors {
        told(&error.to_string());
    }
    let steps: usize = lessons.iter().map(|lesson| lesson.steps.len()).sum();
    told(&format!(
        "{}, {}, {}",
        counted(lessons.len(), "lesson"),
        counted(steps, "step"),
        counted(errors.len(), "error")
    ));
}

fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// Shows on the bottom line that the program waits for `target`, or clears the line for `None`.
pub(crate) fn waiting_for(target: Option<&Target>) {
    let term = Term::stdout();
    // If the terminal has been closed, the next question returns an error.
    let _ = term.clear_line();
    if let Some(target) = target {
        let text = writer::shown(&format!("waiting for {target}…"));
        let text = truncate_str(&text, window::width(&term), "…")
            .dimmed()
            .to_string();
        let _ = term.write_str(&text).and_then(|()| term.flush());
    }
}

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
            Standing::Done => ("✓".green(), "done "),
            Standing::Current => ("▶".yellow(), "now  "),
            Standing::Open => ("·".normal(), "to do"),
        };
        let (id, title) = (&lesson.id, sanitize::line(&lesson.title));
        let lead = format!("{mark} {word}  {:>2} {id:widest$}  ", lesson.number);
        window::fitted(&lead, &title, columns)
    };
    standings.iter().flat_map(line).collect()
}

fn seconds(span: Duration) -> String {
    if span.subsec_millis() == 0 {
        format!("{} s", span.as_secs())
    } else {
        format!("{:.1} s", span.as_secs_f64())
    }
}

//! Lessons: Markdown files with commands that are run on Redis. The replies and the state of Redis are
//! compared with what the lesson expects.
//!
//! ```text
//! lesson file ─▶ steps ─▶ run against Redis ─▶ check reply and state ─▶ feedback ─▶ progress
//! ```

pub(crate) mod app;
pub(crate) mod check;
pub(crate) mod connection;
pub(crate) mod course;
mod guard;
pub(crate) mod learner;
mod lesson;
pub(crate) mod lesson_files;
pub(crate) mod name;
mod parse;
pub(crate) mod pattern;
pub(crate) mod progress;
pub(crate) mod sandbox;
mod snapshot;
mod suggestion;

pub(crate) use guard::prompt_in;
pub(crate) use lesson::{
    Block, CodeTab, DiagramEvent, Lesson, LessonError, LessonExchange, LessonStep, Quiz, SequenceDiagram,
    Transcript, language_named,
};
pub(crate) use parse::MARKDOWN;
pub(crate) use suggestion::COMPLETIONS;

/// A summary of the course, in Markdown.
pub(crate) const CHEAT_SHEET: &str = include_str!("../../docs/cheat-sheet.md");

/// Returns the section of the cheat sheet that lists the rules.
pub(crate) fn recap() -> &'static str {
    let (_, rules) = CHEAT_SHEET.split_once("## Ten rules").unwrap_or_default();
    rules.split("\n## ").next().unwrap_or_default().trim()
}

/// Parses a lesson file, and returns whether it is valid.
///
/// ```
/// let lesson = "# Reach Redis\n\n> You will send PING. *1 minute*\n\n## PING\n\n```redis\n> PING\nPONG\n```\n";
/// assert!(sessiontut::is_valid_lesson("01-reach.md", lesson));
/// assert!(!sessiontut::is_valid_lesson("01-reach.md", &lesson.replace("redis", "redis maybe")));
/// ```
#[must_use]
pub fn is_valid_lesson(file: &str, source: &str) -> bool {
    parse::parse(file, source, |_| Ok(())).is_ok()
}

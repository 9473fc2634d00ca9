//! The robot of `learn --yes`: enters every solution, and counts the replies that match the expected replies.

use colored::Colorize as _;
use dialoguer::console::Term;

use super::{counted, seconds};
use crate::learn::LessonError;
use crate::learn::Quiz;
use crate::learn::app::Visitor;
use crate::learn::check::{Outcome, ReplyVerdict};
use crate::learn::connection::Unavailable;
use crate::learn::learner::{CourseEvent, Key, Learner, Mark, Offer, Picked, Typed};
use crate::learn::name::FIRST_NAME;
use crate::random;
use crate::sanitize;
use crate::signals::Interrupted;
use crate::ui::{answer, note, told, told_behind, window};

/// How many times the robot tries a command that must succeed.
const MOST_ATTEMPTS: usize = 2;

#[derive(Default)]
pub(crate) struct Robot {
    pub(crate) takes_one_lesson: bool,
    file: String,
    /// The robot's user name, which is part of the lesson's Redis keys.
    name: String,
    visitor: Option<Visitor>,
    tally: Tally,
    /// Why Redis was unavailable, or `None` if the lessons did not end early for this reason.
    pub(crate) unavailable: Option<Unavailable>,
    quits: bool,
    solution_shown: bool,
    /// Whether a check has just failed, so that the robot does not repeat the check.
    check_failed: bool,
    /// How many times in a row a command has failed.
    command_failures: usize,
    waiting: bool,
}

#[derive(Default)]
struct Tally {
    lessons: usize,
    /// The number of replies that were compared, including replies in checks.
    replies: usize,
    unexpected: usize,
    failed_commands: usize,
    skipped: usize,
}

impl Robot {
    pub(crate) fn new(takes_one_lesson: bool) -> Self {
        Self {
            takes_one_lesson,
            name: FIRST_NAME.to_owned(),
            ..Self::default()
        }
    }

    /// Prints a summary of the lessons. Returns whether all results were as expected.
    pub(crate) fn summarize(&self, errors: &[LessonError]) -> bool {
        let tally = &self.tally;
        let mut parts = vec![
            counted(tally.lessons, "lesson"),
            format!(
                "{} of {} replies as expected",
                tally.replies - tally.unexpected,
                tally.replies
            ),
        ];
        if tally.failed_commands > 0 {
            parts.push(format!("{} failed", counted(tally.failed_commands, "command")));
        }
        if tally.skipped > 0 {
            parts.push(format!("{} skipped", counted(tally.skipped, "block")));
        }
        if !errors.is_empty() {
            parts.push(format!("{} in lesson files", counted(errors.len(), "error")));
        }
        let passed = tally.unexpected + tally.failed_commands + errors.len() == 0;
        let mark = if passed { "✓".green() } else { "✗".red() };
        told_behind(&format!("{mark} "), &parts.join(", "));
        passed
    }

    fn count(&mut self, outcome: &Outcome) {
        self.tally.replies += 1;
        if let ReplyVerdict::Differs { expected, why } = &outcome.verdict {
            self.tally.unexpected += 1;
            self.print_difference(outcome, expected, why.as_deref());
        }
    }

    /// Prints how a command's reply differs from the expected reply.
    fn print_difference(&self, outcome: &Outcome, expected: &[String], why: Option<&str>) {
        let place = format!("{}:{}", sanitize::line(&self.file), outcome.line);
        answer(&place.red().to_string());
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
}

impl Learner for Robot {
    fn show(&mut self, event: &CourseEvent<'_>) {
        self.check_failed = false;
        if !matches!(
            event,
            CourseEvent::CommandFailed { .. } | CourseEvent::CommandOutput
        ) {
            self.command_failures = 0;
        }
        match event {
            CourseEvent::Lesson { lesson, .. } => {
                self.file.clone_from(&lesson.file);
                self.tally.lessons += 1;
                let title = sanitize::line(&lesson.title);
                let columns = window::columns(&Term::stdout());
                for line in window::fitted(&format!("{} ", lesson.number), &title, columns) {
                    answer(&line.bold().to_string());
                }
            }
            CourseEvent::Ran(outcome) | CourseEvent::Checked(outcome) => self.count(outcome),
            CourseEvent::NotYet(_) => self.check_failed = true,
            CourseEvent::Try => self.solution_shown = false,
            CourseEvent::Solution(_) => self.solution_shown = true,
            CourseEvent::Skipped { line, why, .. } => {
                self.tally.skipped += 1;
                told_behind("  skipped   ", &format!("{}:{line}: {why}", self.file));
            }
            CourseEvent::Countdown { wait, .. } if !self.waiting => {
                self.waiting = true;
                answer(&format!("  waiting   {}", seconds(wait.span)));
            }
            CourseEvent::CountdownOver => self.waiting = false,
            CourseEvent::AppStarted { line, address } => match Visitor::log_in(*address, &self.name) {
                Ok(visitor) => self.visitor = Some(visitor),
                Err(what) => self.show(&CourseEvent::CommandFailed {
                    line: *line,
                    what: &what,
                }),
            },
            CourseEvent::AppStops => {
                // If the app has already stopped, the session expires by itself.
                let _ = self.visitor.take().map(Visitor::log_out);
            }
            CourseEvent::CommandFailed { line, what } => {
                self.command_failures += 1;
                self.tally.failed_commands += 1;
                told(&format!("{}:{line}", self.file));
                told_behind("  ", what);
            }
            CourseEvent::Unavailable(unavailable) => {
                self.unavailable = Some((*unavailable).clone());
                self.quits = true;
            }
            CourseEvent::LessonDone(_) => self.quits |= self.takes_one_lesson,
            CourseEvent::Message(Mark::Warning, text) => note(text),
            _ => {}
        }
    }

    fn press(&mut self, offers: &[Offer]) -> Result<Key, Interrupted> {
        let can_decline = offers.iter().any(|offer| offer.key == Key::No);
        Ok(if self.quits {
            Key::Quit
        } else if can_decline && (self.check_failed || self.command_failures >= MOST_ATTEMPTS) {
            Key::No
        } else {
            if can_decline && self.command_failures > 0 {
                // On a busy machine, a session may expire before the app responds, so only the last attempt
                // counts.
                self.tally.failed_commands -= 1;
            }
            Key::Next
        })
    }

    /// Returns the key that shows the solution. If the solution is already shown, returns the key that runs
    /// it.
    fn type_command(&mut self, _keys: &[String], _offers: &[Offer]) -> Result<Typed, Interrupted> {
        Ok(Typed::Key(match (self.quits, self.solution_shown) {
            (true, _) => Key::Quit,
            (false, false) => Key::Solution,
            (false, true) => Key::Next,
        }))
    }

    fn pick(&mut self, quiz: &Quiz, _offers: &[Offer]) -> Result<Picked, Interrupted> {
        Ok(if self.quits {
            Picked::Key(Key::Quit)
        } else {
            Picked::Answers(quiz.right_answers())
        })
    }

    /// Returns an empty string, because the robot grades sessiontut's own app.
    fn start_command(&mut self) -> Result<String, Interrupted> {
        Ok(String::new())
    }

    fn continues_after_interrupt(&self) -> bool {
        false
    }

    /// Returns a new user name, because a course asks the robot for no other text.
    fn type_line(&mut self, _question: &str) -> Result<String, Interrupted> {
        self.name = format!("{FIRST_NAME}-{}", random::hexadecimal::<3>());
        note(&format!("the lessons run with the name {}", self.name));
        Ok(self.name.clone())
    }
}

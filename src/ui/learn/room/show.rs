//! The parts of a lesson as a terminal shows them.

use std::time::Duration;

use colored::Colorize as _;

use super::{Room, Shown};
use crate::learn::check::{Outcome, Verdict};
use crate::learn::classroom::Offer;
use crate::learn::{Lesson, Quiz, Tab, Transcript, pattern};
use crate::sanitize;
use crate::ui::learn::keys;
use crate::ui::{highlight, markdown};

/// A busy Redis has thousands of clients to list.
const MOST_REPLY_LINES: usize = 60;

impl Room {
    pub(super) fn lesson(&mut self, lesson: &Lesson, of: usize, step: usize) {
        self.screen.gap();
        let title = format!("Lesson {} of {of}: {}", lesson.number, lesson.title);
        let title = markdown::wrapped(&title, self.screen.width());
        self.screen
            .put_all(title.into_iter().map(|line| line.bold().underline().to_string()));
        if step == 0 && !lesson.promise.is_empty() {
            let promise = markdown::wrapped(&lesson.promise, self.screen.width());
            self.block(
                promise
                    .into_iter()
                    .map(|line| line.italic().to_string())
                    .collect(),
            );
        } else if step > 0 {
            self.say(&format!("going on where you left, at step {}", step + 1));
        }
    }

    pub(super) fn step(&mut self, lesson: &Lesson, step: usize) {
        let of = lesson.steps.len();
        let bar = format!("{}{}", "▰".repeat(step + 1), "▱".repeat(of - step - 1));
        self.screen.gap();
        self.screen.put(&format!(
            "{} {}",
            bar.green(),
            format!("step {} of {of}", step + 1).dimmed()
        ));
        let title = markdown::wrapped(&lesson.steps[step].title, self.screen.width());
        self.screen
            .put_all(title.into_iter().map(|line| line.bold().to_string()));
        self.screen.gap();
    }

    /// Lines with an empty one behind them.
    pub(super) fn block(&mut self, lines: Vec<String>) {
        self.screen.put_all(lines);
        self.screen.gap();
    }

    pub(super) fn say(&mut self, text: &str) {
        self.screen.put_all(markdown::wrapped(text, self.screen.width()));
    }

    pub(super) fn marked(&mut self, mark: &str, text: &str) {
        let painted = match mark {
            "✓" => mark.green().bold(),
            "✗" => mark.red().bold(),
            _ => mark.yellow().bold(),
        };
        let lines = markdown::wrapped(text, self.screen.width().saturating_sub(2));
        for (row, line) in lines.into_iter().enumerate() {
            let lead = if row == 0 {
                painted.to_string()
            } else {
                " ".to_owned()
            };
            self.screen.put(&format!("{lead} {line}"));
        }
    }

    pub(super) fn code(&mut self, tabs: &[Tab], shown: usize) {
        let Some(tab) = tabs.get(shown) else {
            return;
        };
        if tabs.len() > 1 {
            let names: Vec<String> = tabs
                .iter()
                .map(|other| {
                    let name = sanitize::line(&other.language.0).into_owned();
                    if other.language == tab.language {
                        format!("[{name}]").bold().to_string()
                    } else {
                        name
                    }
                })
                .collect();
            self.screen
                .put(&format!("  {}  {}", names.join(" "), "l: next".dimmed()));
        }
        let lines = highlight::lines(
            &sanitize::lines(&tab.text),
            &tab.language.0,
            self.screen.width() - 2,
        );
        self.block(lines.into_iter().map(|line| format!("  {line}")).collect());
    }

    pub(super) fn commands(&mut self, transcript: &Transcript) {
        let before = self.screen.written;
        self.command_lines(transcript);
        let after = self.screen.written;
        self.shown = Some(Shown { before, after });
    }

    pub(super) fn command_lines(&mut self, transcript: &Transcript) {
        for exchange in &transcript.exchanges {
            self.command_line(&exchange.source);
        }
    }

    pub(super) fn command_line(&mut self, source: &str) {
        self.screen
            .put(&format!("{} {}", ">".dimmed(), sanitize::line(source).bold()));
    }

    pub(super) fn outcome(&mut self, outcome: &Outcome) {
        if let Some(shown) = self.shown.take()
            && shown.after == self.screen.written
        {
            self.screen.take_back(shown.before);
        }
        self.command_line(&outcome.command);
        self.reply(&outcome.got);
        if let Verdict::Differs { expected, why } = &outcome.verdict {
            self.marked("✗", &format!("the lesson expects {}", readable(expected)));
            if let Some(why) = why {
                self.say(why);
            }
        }
        self.screen.gap();
    }

    /// A reply, or as much of it as anyone reads.
    pub(super) fn reply(&mut self, lines: &[String]) {
        let shown = lines.iter().take(MOST_REPLY_LINES);
        self.screen.put_all(shown.map(|line| line.yellow().to_string()));
        if lines.len() > MOST_REPLY_LINES {
            self.say(&format!("… and {} more lines", lines.len() - MOST_REPLY_LINES));
        }
    }

    /// What the lesson looked at, what it found, and why that is.
    pub(super) fn not_yet(&mut self, outcome: &Outcome) {
        let Verdict::Differs { expected, why } = &outcome.verdict else {
            return;
        };
        self.marked("✗", "not yet");
        self.say(&format!("{} answers {}", outcome.command, outcome.got.join(" ")));
        self.say(&format!("it should answer {}", readable(expected)));
        if let Some(why) = why {
            self.say(why);
        }
    }

    pub(super) fn question(&mut self, quiz: &Quiz) {
        self.screen
            .put_all(markdown::lines(&quiz.question, self.screen.width()));
        self.screen.gap();
        for (place, answer) in quiz.answers.iter().enumerate() {
            let lines = markdown::lines(&answer.text, self.screen.width().saturating_sub(5));
            for (row, line) in lines.into_iter().enumerate() {
                let lead = if row == 0 {
                    format!("{:>3}", place + 1)
                } else {
                    "   ".to_owned()
                };
                self.screen.put(&format!("{lead}  {line}"));
            }
        }
        if quiz.answers.iter().filter(|answer| answer.is_right).count() > 1 {
            self.say("more than one is right");
        }
        self.screen.gap();
    }

    pub(super) fn answered(&mut self, right: bool, picked: &[usize], quiz: &Quiz) {
        for place in picked {
            let Some(answer) = quiz.answers.get(*place) else {
                continue;
            };
            let (mark, word) = if answer.is_right {
                ("✓", "right")
            } else {
                ("✗", "not right")
            };
            let why = if answer.why.is_empty() {
                String::new()
            } else {
                format!(": {}", answer.why)
            };
            self.marked(mark, &format!("{} is {word}{why}", place + 1));
        }
        if !right
            && picked
                .iter()
                .all(|place| quiz.answers.get(*place).is_some_and(|answer| answer.is_right))
        {
            self.say("there is more that is right");
        }
        self.screen.gap();
    }

    /// All keys, one a line.
    pub(super) fn explain(&mut self, offers: &[Offer]) {
        for offer in offers {
            self.screen
                .put(&format!("{:>7}  {}", keys::sign(offer.key), offer.does));
        }
        self.say("Ctrl-C leaves at once; your place is kept, the lesson's keys are removed");
    }
}

/// An expected reply without the signs of its wildcards.
fn readable(expected: &[String]) -> String {
    let lines: Vec<String> = expected.iter().map(|line| pattern::in_words(line)).collect();
    lines.join(" ")
}

/// What is left of a key's life, as PTTL says it.
pub(super) fn life(key: &str, ttl: i64) -> String {
    let key = sanitize::line(key);
    match ttl {
        -2 => format!("gone: {key}"),
        -1 => format!("no TTL: {key}"),
        left => format!(
            "{:.1} s to live: {key}",
            Duration::from_millis(left.unsigned_abs()).as_secs_f64()
        ),
    }
}

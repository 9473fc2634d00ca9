//! Shows the parts of a lesson in a terminal.

use std::time::Duration;

use colored::{ColoredString, Colorize as _};
use dialoguer::console::{measure_text_width, truncate_str};

use super::diagram;
use super::keys::explained;
use super::terminal::{Rows, TerminalLearner};
use crate::examples::SourceFile;
use crate::learn::check::{Outcome, ReplyVerdict};
use crate::learn::connection::Unavailable;
use crate::learn::learner::{CourseEvent, Mark, Offer};
use crate::learn::pattern::{self, Pattern};
use crate::learn::{CodeTab, Lesson, LessonExchange, Quiz, SequenceDiagram};
use crate::sanitize;
use crate::ui::{highlight, markdown, prompt};

/// The maximum number of lines of a reply on the screen, because CLIENT LIST may return thousands of lines.
const MOST_REPLY_LINES: usize = 60;

impl TerminalLearner {
    pub(super) fn event(&mut self, event: &CourseEvent<'_>) {
        // Offer the keys of the lesson only at pauses in text. The lesson shows text again after a key
        // press, but would not show the rest of other output.
        let is_text = matches!(
            event,
            CourseEvent::Prose(_) | CourseEvent::Code { .. } | CourseEvent::Diagram(_)
        );
        self.screen
            .offer_at_pause(self.while_reading.as_deref().filter(|_| is_text));
        match event {
            CourseEvent::Lesson {
                lesson,
                position,
                step,
            } => {
                self.while_reading = None;
                self.lesson(lesson, *position, *step);
            }
            CourseEvent::Step { lesson, step } => self.step(lesson, *step),
            CourseEvent::Reading(offers) => self.while_reading = Some(offers.to_vec()),
            CourseEvent::Prose(text) => self.block(markdown::lines(text, self.screen.width())),
            CourseEvent::Code { tabs, shown } => self.code(tabs, *shown),
            CourseEvent::Files { files, language } => self.files(files, language),
            CourseEvent::Diagram(diagram) => self.diagram(diagram),
            CourseEvent::Shell(text) => self.shell(text),
            CourseEvent::Commands(transcript) => self.pending_commands(&transcript.exchanges),
            CourseEvent::Ran(outcome) => self.outcome(outcome),
            CourseEvent::Checked(_) => {}
            CourseEvent::Try => self.your_turn(),
            CourseEvent::Reply(lines) => self.reply(lines),
            CourseEvent::NotYet(outcome) => self.not_yet(outcome),
            CourseEvent::Solution(transcript) => {
                self.screen.put(&"Solution:".bold().to_string());
                self.commands(&transcript.exchanges);
                self.say("type the solution, or press Enter to run it");
            }
            CourseEvent::Hint { text, number, of } => self.hint(text, *number, *of),
            CourseEvent::Quiz(quiz) => self.question(quiz),
            CourseEvent::Answered { quiz, picked } => self.answered(quiz, picked),
            CourseEvent::Skipped { commands, why, .. } => {
                self.sample(commands);
                self.say(why);
                self.screen.gap();
            }
            CourseEvent::Countdown { wait, left, pttl } => {
                self.countdown(wait.watch.as_deref(), *left, *pttl);
            }
            CourseEvent::CountdownOver => {
                self.screen.clear_line();
                // Each command will be printed again with its reply, below the message about the wait.
                self.take_back_pending();
                // Key presses during the countdown must not answer the next question.
                prompt::discard_typed();
            }
            CourseEvent::Unavailable(unavailable) => self.unavailable(unavailable),
            CourseEvent::Lessons(standings) => {
                let lines = super::list_lines(standings, Some(self.screen.width()));
                self.screen.put_all(lines);
            }
            // A person visits the app in a browser, so there is nothing to do here.
            CourseEvent::AppStarted { .. } | CourseEvent::AppStops => {}
            CourseEvent::CommandOutput => {
                self.screen.gap_after_others();
                // Key presses while the command was running must not answer the next question.
                prompt::discard_typed();
            }
            CourseEvent::CommandFailed { what, .. } => self.marked(Mark::Warning, what),
            CourseEvent::LessonDone(lesson) => {
                self.while_reading = None;
                self.screen.gap();
                let title = sanitize::line(&lesson.title);
                self.marked(Mark::Success, &format!("lesson {} done: {title}", lesson.number));
            }
            CourseEvent::Message(mark, text) => self.marked(*mark, text),
        }
    }

    fn lesson(&mut self, lesson: &Lesson, (nth, of): (usize, usize), step: usize) {
        self.screen.gap();
        let title = format!("Lesson {}: {} ({nth} of {of})", lesson.number, lesson.title);
        self.styled(&title, |line| line.bold().underline());
        if step == 0 && !lesson.goal.is_empty() {
            self.styled(&lesson.goal, |line| line.italic());
            self.screen.gap();
        } else if step > 0 {
            self.say(&format!("continues at step {}", step + 1));
        }
    }

    fn step(&mut self, lesson: &Lesson, step: usize) {
        let of = lesson.steps.len();
        let bar = format!("{}{}", "▰".repeat(step + 1), "▱".repeat(of - step - 1));
        self.screen.gap();
        self.screen.put(&format!(
            "{} {}",
            bar.green(),
            format!("step {} of {of}", step + 1).dimmed()
        ));
        self.styled(&lesson.steps[step].title, |line| line.bold());
        self.screen.gap();
    }

    /// Writes text in a style, on as many lines as needed.
    fn styled(&mut self, text: &str, style: fn(&str) -> ColoredString) {
        let lines = markdown::wrapped(text, self.screen.width());
        self.screen
            .put_all(lines.iter().map(|line| style(line).to_string()));
    }

    /// Writes the lines, followed by an empty line.
    fn block(&mut self, lines: Vec<String>) {
        self.screen.put_all(lines);
        self.screen.gap();
    }

    pub(super) fn say(&mut self, text: &str) {
        self.screen.put_all(markdown::wrapped(text, self.screen.width()));
    }

    fn marked(&mut self, mark: Mark, text: &str) {
        let mark = match mark {
            Mark::Plain => return self.say(text),
            Mark::Success => "✓".green().bold(),
            Mark::Failure => "✗".red().bold(),
            Mark::Warning => "!".yellow().bold(),
        };
        let mut lead = mark.to_string();
        for line in markdown::wrapped(text, self.screen.width().saturating_sub(2)) {
            self.screen.put(&format!("{lead} {line}"));
            lead = " ".to_owned();
        }
    }

    fn code(&mut self, tabs: &[CodeTab], shown: usize) {
        let Some(tab) = tabs.get(shown) else {
            return;
        };
        if tabs.len() > 1 {
            let names: Vec<String> = tabs
                .iter()
                .map(|other| {
                    let name = sanitize::line(&other.language).into_owned();
                    if other.language == tab.language {
                        format!("[{name}]").bold().to_string()
                    } else {
                        name
                    }
                })
                .collect();
            let (names, key) = (format!("  {}", names.join(" ")), "l next language");
            let width = measure_text_width(&names) + 2 + key.len();
            if width <= self.screen.width() {
                self.screen.put(&format!("{names}  {}", key.dimmed()));
            } else {
                self.screen.put(&names);
                self.screen.put(&format!("  {}", key.dimmed()));
            }
        }
        let lines = highlight::lines(&sanitize::lines(&tab.text), &tab.language);
        self.block(lines.into_iter().map(|line| format!("  {line}")).collect());
    }

    /// Shows complete source files page by page. At a pause, the learner can close the files.
    fn files(&mut self, files: &[SourceFile], language: &str) {
        self.screen.begin_files();
        for file in files {
            self.screen.put(&file.path.bold().to_string());
            let lines = highlight::lines(&file.shown(), language);
            self.block(lines.into_iter().map(|line| format!("  {line}")).collect());
        }
        self.screen.end_files();
    }

    fn diagram(&mut self, diagram: &SequenceDiagram) {
        let lines = diagram::lines(diagram, self.screen.width() - 2);
        self.block(lines.iter().map(|line| format!("  {line}")).collect());
    }

    fn shell(&mut self, text: &str) {
        let lines = highlight::lines(&sanitize::lines(text), "sh");
        let prompt = "$".dimmed();
        self.block(lines.iter().map(|line| format!("  {prompt} {line}")).collect());
    }

    fn your_turn(&mut self) {
        let task = "Your turn: type a Redis command, or one of these letters, and press Enter.";
        self.styled(task, |line| line.bold());
        self.list_keys = true;
    }

    fn hint(&mut self, text: &str, number: usize, of: usize) {
        let title = match of {
            1 => "Hint".to_owned(),
            _ => format!("Hint {} of {of}", number + 1),
        };
        self.screen.put(&title.cyan().bold().to_string());
        self.block(markdown::lines(text, self.screen.width()));
    }

    fn countdown(&mut self, watch: Option<&str>, left: Duration, pttl: Option<i64>) {
        let seconds = left.as_secs_f64().ceil();
        let ttl = match (watch, pttl) {
            (Some(key), Some(pttl)) => format!("  ·  {}", remaining(key, pttl)),
            _ => String::new(),
        };
        let text = format!("waiting {seconds:.0} s{ttl}");
        self.screen.draw(&truncate_str(&text, self.screen.width(), "…"));
    }

    fn unavailable(&mut self, unavailable: &Unavailable) {
        self.marked(Mark::Failure, &format!("Redis: {unavailable}"));
        if let Some(fix) = unavailable.fixes.first() {
            self.say(&format!("to fix it: {fix}"));
        }
    }

    fn pending_commands(&mut self, exchanges: &[LessonExchange]) {
        let before = self.screen.written;
        self.commands(exchanges);
        let after = self.screen.written;
        self.pending = Some(Rows { before, after });
    }

    fn commands(&mut self, exchanges: &[LessonExchange]) {
        for exchange in exchanges {
            self.command_line(&exchange.source);
        }
    }

    /// Shows commands that are not run, each with an example of its expected reply.
    fn sample(&mut self, exchanges: &[LessonExchange]) {
        if !exchanges.is_empty() {
            self.screen.put(&"Sample:".dimmed().to_string());
        }
        for exchange in exchanges {
            self.command_line(&exchange.source);
            let reply = exchange.reply.iter().flat_map(Pattern::source);
            let reply: Vec<String> = reply.map(|line| pattern::example(line)).collect();
            // A reply that is only a wildcard is not a useful example.
            let is_sample = |line: &&String| !line.contains('…');
            let lines = reply
                .iter()
                .filter(is_sample)
                .map(|line| sanitize::line(line).dimmed().to_string());
            self.screen.put_all(lines);
        }
    }

    fn command_line(&mut self, source: &str) {
        self.screen
            .put(&format!("{} {}", ">".dimmed(), sanitize::line(source).bold()));
    }

    /// Removes the commands that run next from the screen, because each will be printed again with its reply.
    fn take_back_pending(&mut self) {
        if let Some(pending) = self.pending.take()
            && pending.after == self.screen.written
        {
            self.screen.take_back(pending.before);
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        self.take_back_pending();
        self.command_line(&outcome.command);
        self.reply(&outcome.got);
        if let ReplyVerdict::Differs { expected, why } = &outcome.verdict {
            self.marked(Mark::Failure, &format!("expected: {}", readable(expected)));
            if let Some(why) = why {
                self.say(why);
            }
        }
        self.screen.gap();
    }

    /// Writes a reply, or the first lines of a long reply.
    fn reply(&mut self, lines: &[String]) {
        let shown = lines.iter().take(MOST_REPLY_LINES);
        self.screen
            .put_all(shown.map(|line| sanitize::line(line).yellow().to_string()));
        if lines.len() > MOST_REPLY_LINES {
            self.say(&format!("… and {} more lines", lines.len() - MOST_REPLY_LINES));
        }
    }

    /// Shows which check failed, and why.
    fn not_yet(&mut self, outcome: &Outcome) {
        let ReplyVerdict::Differs { expected, why } = &outcome.verdict else {
            return;
        };
        self.marked(Mark::Failure, "not correct yet");
        self.say(&format!("{} returns {}", outcome.command, outcome.got.join(" ")));
        self.say(&format!("expected: {}", readable(expected)));
        if let Some(why) = why {
            self.say(why);
        }
    }

    fn question(&mut self, quiz: &Quiz) {
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
            self.say("more than one answer is right");
        }
        self.screen.gap();
    }

    fn answered(&mut self, quiz: &Quiz, picked: &[usize]) {
        let answers = picked
            .iter()
            .filter_map(|index| Some((index, quiz.answers.get(*index)?)));
        let mut all_right = true;
        for (index, answer) in answers {
            let (mark, word) = match answer.is_right {
                true => (Mark::Success, "right"),
                false => (Mark::Failure, "wrong"),
            };
            let why = match answer.why.as_str() {
                "" => String::new(),
                why => format!(": {why}"),
            };
            all_right &= answer.is_right;
            self.marked(mark, &format!("{} is {word}{why}", index + 1));
        }
        if all_right && picked != quiz.right_answers() {
            self.say("another answer is also right");
        }
        self.screen.gap();
    }

    /// Explains the available keys, one per line.
    pub(super) fn explain(&mut self, offers: &[Offer]) {
        self.screen.put_all(explained(offers));
        self.say("Ctrl-C quits at once; your progress is saved, and the lesson's keys are deleted");
    }
}

/// Formats an expected reply, with words instead of wildcards.
fn readable(expected: &[String]) -> String {
    let lines: Vec<String> = expected.iter().map(|line| pattern::in_words(line)).collect();
    lines.join(" ")
}

/// Formats the TTL of a key. `pttl` is the reply to PTTL.
fn remaining(key: &str, pttl: i64) -> String {
    let key = sanitize::line(key);
    match pttl {
        -2 => format!("{key}: no such key"),
        -1 => format!("{key}: no TTL"),
        left => format!(
            "{key}: TTL {:.1} s",
            Duration::from_millis(left.unsigned_abs()).as_secs_f64()
        ),
    }
}

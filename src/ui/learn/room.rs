//! The classroom on a terminal.

mod show;

use std::io;

use colored::Colorize as _;
use dialoguer::console::{Key as Pressed, truncate_str};

use super::keys;
use super::screen::Screen;
use crate::learn::classroom::{Classroom, Key, Offer, Picked, Said, Typed};
use crate::learn::stop::{Interrupted, Stop};
use crate::learn::{COMPLETIONS, Quiz};
use crate::os::{self, Muted};
use crate::sanitize;
use crate::ui::prompt::{self, History};
use crate::ui::{highlight, markdown};
use show::life;

/// A terminal, and the learner in front of it.
pub(crate) struct Room {
    screen: Screen,
    history: History,
    /// Where on the screen the commands about to run stand: each is written again with its reply.
    shown: Option<Shown>,
    legend: Legend,
    /// What is typed while a command runs, or a wait goes on, is not to be written into it.
    _muted: Option<Muted>,
}

/// Whether the keys that work at the command prompt are to be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Legend {
    Due,
    Shown,
}

/// Rows written before and after the commands.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shown {
    before: usize,
    after: usize,
}

impl Room {
    /// On standard output's terminal; `stop` ends every wait for a key.
    #[must_use]
    pub(crate) fn new(stop: Stop) -> Self {
        Self {
            screen: Screen::new(stop),
            history: History::default(),
            shown: None,
            legend: Legend::Shown,
            _muted: Muted::new(&io::stdin()),
        }
    }
}

impl Classroom for Room {
    fn tell(&mut self, said: &Said<'_>) {
        match said {
            Said::Lesson { lesson, of, step } => self.lesson(lesson, *of, *step),
            Said::Step { lesson, step } => self.step(lesson, *step),
            Said::Prose(text) => self.block(markdown::lines(&text.text, self.screen.width())),
            Said::Code { tabs, shown } => self.code(tabs, *shown),
            Said::Shell(shell) => {
                let lines = highlight::lines(&sanitize::lines(&shell.text), "sh", self.screen.width() - 4);
                self.block(
                    lines
                        .into_iter()
                        .map(|line| format!("  {} {line}", "$".dimmed()))
                        .collect(),
                );
            }
            Said::Commands(transcript) => self.commands(transcript),
            Said::Outcome(outcome) => self.outcome(outcome),
            Said::YourTurn => {
                self.screen.put(&"Your turn: type it.".bold().to_string());
                self.legend = Legend::Due;
            }
            Said::Reply(lines) => self.reply(lines),
            Said::Meaning(text) => self.say(text),
            Said::Forbidden { why, meant } => {
                self.marked("!", &why.to_string());
                if let Some(meant) = meant {
                    self.say(&format!("did you mean {meant}?"));
                }
            }
            Said::Unreadable(why) => self.marked("!", &format!("not sent: {why}")),
            Said::NotYet(outcome) => self.not_yet(outcome),
            Said::Queued => self.say("queued: EXEC runs what is queued, DISCARD drops it"),
            Said::Well => self.screen.put(&format!("{} that is it", "✓".green().bold())),
            Said::Solution(transcript) => {
                self.screen.put(&"One way to do it:".bold().to_string());
                self.command_lines(transcript);
                self.say("type it yourself, or press Enter on an empty line to have it run");
            }
            Said::Hint { hint, number, of } => {
                let lead = if *of > 1 {
                    format!("Hint {number} of {of}")
                } else {
                    "Hint".to_owned()
                };
                self.screen.put(&lead.cyan().bold().to_string());
                self.block(markdown::lines(&hint.text.text, self.screen.width()));
            }
            Said::NoHint => self.say("there is no hint here"),
            Said::Quiz(quiz) => self.question(quiz),
            Said::Answered { right, picked, quiz } => self.answered(*right, picked, quiz),
            Said::NeedsRealRedis(transcript) => {
                self.command_lines(transcript);
                self.say("not run: this shows on a Redis that is not the practice one (set REDIS_URL)");
            }
            Said::CommandNeedsRealRedis => {
                self.say("not run: this shows on a Redis that is not the practice one (set REDIS_URL)");
            }
            Said::Countdown { left, watched } => {
                let seconds = left.as_secs_f64().ceil();
                let watched = watched.map_or(String::new(), |(key, ttl)| format!("  ·  {}", life(key, ttl)));
                let text = format!("waiting {seconds:.0} s{watched}");
                let width = self.screen.width();
                self.screen.draw(&truncate_str(&text, width, "…"));
            }
            Said::CountdownOver => {
                self.screen.clear_line();
                // An impatient Enter was for the countdown, not for what comes after it.
                os::drop_typed(&io::stdin());
            }
            Said::Trouble(unanswered) => {
                self.marked("✗", &format!("Redis: {unanswered}"));
                if let Some(fix) = unanswered.fixes.first() {
                    self.say(&format!("what to do: {fix}"));
                }
                self.say("this is not about what you did");
            }
            Said::Reconnected(unanswered) => {
                self.marked(
                    "!",
                    &format!("{unanswered}; connected again, and the lesson's keys are as they were"),
                );
            }
            Said::BackAgain => {
                self.marked(
                    "✓",
                    "Redis answers; the lesson's keys are as they were at this point",
                );
            }
            Said::OthersKeys(others) => {
                self.marked("!", others);
                self.say("only keys under sessiontut: are written, and removed at the end");
            }
            Said::NameTaken(name) => {
                self.marked(
                    "!",
                    &format!("somebody else is in a lesson on this Redis as {name:?}"),
                );
                self.say("choose a name of your own: your keys then carry it, and you do not meet");
            }
            Said::BadName(name) => {
                self.marked(
                    "!",
                    &format!(
                        "{:?} cannot be used: small letters, digits and -, at most 20",
                        sanitize::line(name)
                    ),
                );
            }
            Said::Named(name) => self.marked(
                "✓",
                &format!("you are {name}: the lesson's keys and commands say so"),
            ),
            Said::Language(language) => self.say(&format!("code in {language} from now on")),
            Said::OneLanguage => self.say("there is no code in several languages here"),
            Said::List(standings) => {
                let lines = super::list_lines(standings, Some(self.screen.width()));
                self.screen.put_all(lines);
            }
            Said::Sorry(line) => self.marked("!", line),
            Said::CommandsOver => self.screen.gap_after_others(),
            Said::CommandEnded(what) => self.marked("!", what),
            Said::LessonDone(lesson) => {
                self.screen.gap();
                self.marked(
                    "✓",
                    &format!("lesson {} done: {}", lesson.number, sanitize::line(&lesson.title)),
                );
            }
            Said::AllDone => self.marked("✓", "you have gone through all lessons"),
            Said::FastLane => self.marked("▶", "the fast lane: only what there is to do, without the text"),
            Said::Note(line) => self.say(line),
        }
    }

    fn key(&mut self, offers: &[Offer]) -> Result<Key, Interrupted> {
        self.screen.interrupted?;
        if self.screen.take_quit() {
            return Ok(Key::Quit);
        }
        loop {
            self.screen
                .draw(&keys::line(offers, self.screen.width() - 1).dimmed().to_string());
            let pressed = prompt::key(&self.screen.term, &self.screen.stop);
            self.screen.clear_line();
            self.screen.read();
            match pressed? {
                Pressed::Char('?') => self.explain(offers),
                pressed => {
                    if let Some(key) = keys::meaning(&pressed, offers) {
                        return Ok(key);
                    }
                }
            }
        }
    }

    fn command(&mut self, known: &[String], offers: &[Offer]) -> Result<Typed, Interrupted> {
        self.screen.interrupted?;
        if self.screen.take_quit() {
            return Ok(Typed::Key(Key::Quit));
        }
        let solution_shown = offers.first().is_some_and(|offer| offer.does != "skip");
        if std::mem::replace(&mut self.legend, Legend::Shown) == Legend::Due {
            let keys = keys::line(&offers[1..], self.screen.width() - 1);
            self.screen.put(&keys.dimmed().to_string());
        }
        loop {
            let lead = "redis> ".bold().to_string();
            let typed = prompt::line(
                &self.screen.term,
                &self.screen.stop,
                &lead,
                &mut self.history,
                &|before| completions(before, known),
            )?;
            self.screen.read();
            let typed = typed.trim();
            match typed {
                "?" | "help" => self.explain(offers),
                "" if !solution_shown => {
                    self.say("type a Redis command; ? shows the keys, h a hint, s the solution");
                }
                _ => {
                    return Ok(match keys::of_word(typed, offers) {
                        Some(key) => Typed::Key(key),
                        None => Typed::Command(typed.to_owned()),
                    });
                }
            }
        }
    }

    fn answer(&mut self, quiz: &Quiz, offers: &[Offer]) -> Result<Picked, Interrupted> {
        self.screen.interrupted?;
        if self.screen.take_quit() {
            return Ok(Picked::Key(Key::Quit));
        }
        let rights = quiz.answers.iter().filter(|answer| answer.is_right).count();
        let count = quiz.answers.len();
        let mut lead = format!("1-{count} answer  ");
        loop {
            let numbers = if rights > 1 || quiz.answers.len() > 9 {
                let lead = "numbers, such as 1 3> ".bold().to_string();
                prompt::line(
                    &self.screen.term,
                    &self.screen.stop,
                    &lead,
                    &mut History::default(),
                    &|_| Vec::new(),
                )?
            } else {
                let keys = keys::line(&offers[1..], self.screen.width().saturating_sub(lead.len() + 1));
                self.screen.draw(&format!("{lead}{keys}").dimmed().to_string());
                let pressed = prompt::key(&self.screen.term, &self.screen.stop);
                self.screen.clear_line();
                match pressed? {
                    Pressed::Char(character) => character.to_string(),
                    Pressed::Escape => "q".to_owned(),
                    _ => String::new(),
                }
            };
            self.screen.read();
            if numbers.trim() == "?" {
                self.explain(offers);
            } else if let Some(picked) = picked(&numbers, count) {
                return Ok(Picked::Answers(picked));
            } else if let Some(key) = keys::of_word(&numbers, offers).filter(|_| !numbers.trim().is_empty()) {
                return Ok(Picked::Key(key));
            }
            // On the prompt line: the question is to stay in the window.
            lead = format!("press the number of an answer, 1-{count}  ");
        }
    }

    fn line(&mut self, question: &str) -> Result<String, Interrupted> {
        self.screen.interrupted?;
        self.screen
            .put_all(markdown::wrapped(question, self.screen.width()));
        let line = prompt::line(
            &self.screen.term,
            &self.screen.stop,
            "> ",
            &mut History::default(),
            &|_| Vec::new(),
        )?;
        self.screen.read();
        Ok(line)
    }
}

/// Answers by their numbers from 1, as places from 0, each once, in order.
fn picked(numbers: &str, answers: usize) -> Option<Vec<usize>> {
    let mut places = Vec::new();
    for number in numbers.split([' ', ',']).filter(|part| !part.is_empty()) {
        let number: usize = number.parse().ok()?;
        places.push(number.checked_sub(1).filter(|place| *place < answers)?);
    }
    places.sort_unstable();
    places.dedup();
    (!places.is_empty()).then_some(places)
}

/// The last word of a command line, completed: commands first, then keys that the lesson knows.
fn completions(before: &str, keys: &[String]) -> Vec<String> {
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    let is_first = !before.trim_start().contains(char::is_whitespace);
    if is_first {
        let upper = word.to_uppercase();
        return COMPLETIONS
            .iter()
            .filter(|name| name.starts_with(&upper))
            .map(|name| (*name).to_owned())
            .collect();
    }
    keys.iter().filter(|key| key.starts_with(word)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_complete_first_and_keys_behind_them() {
        let keys = vec!["sessiontut:user:ada".to_owned()];
        assert_eq!(completions("hinc", &keys), ["HINCRBY"]);
        assert_eq!(completions("TTL sess", &keys), ["sessiontut:user:ada"]);
        assert_eq!(completions("TTL ", &keys), ["sessiontut:user:ada"]);
    }

    #[test]
    fn answers_are_picked_by_number() {
        assert_eq!(picked("2", 3), Some(vec![1]));
        assert_eq!(picked("3, 1", 3), Some(vec![0, 2]));
        assert_eq!(picked("4", 3), None);
        assert_eq!(picked("0", 3), None);
        assert_eq!(picked("h", 3), None);
        assert_eq!(picked("", 3), None);
    }
}

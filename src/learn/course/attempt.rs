//! Runs a `redis try`: the learner types commands until the task is solved.

use std::collections::BTreeSet;

use redis::Value;

use super::menu::offer;
use super::{Course, Leave, Place};
use crate::learn::check::{self, Outcome};
use crate::learn::connection::SendError;
use crate::learn::guard::{self, Forbidden};
use crate::learn::learner::{CourseEvent, Key, Mark, Typed};
use crate::learn::lesson::{LessonExchange, Transcript};
use crate::learn::sandbox;
use crate::learn::snapshot::Snapshot;
use crate::learn::suggestion::suggestion;
use crate::practice::split;

/// The number of failed tries before the solution is offered.
const TRIES_BEFORE_OFFER: usize = 2;

/// A `redis try` in progress.
struct Task<'t> {
    solution: &'t Transcript,
    checks: &'t [Transcript],
    /// The state of the keys when the task began.
    before: Option<Snapshot>,
    /// How many more tries may fail before the solution is offered.
    tries_left: usize,
    solution_shown: bool,
    /// Whether the learner has sent a command that may have changed the keys.
    tried: bool,
}

enum AttemptVerdict {
    Done,
    /// The command only reads, so it does not count as a try.
    ReadOnly,
    /// Redis returned an error.
    Rejected,
    NotYet(Outcome),
    /// The command is not the one that the task teaches, or has damaged a key. The text explains the mistake.
    Wrong(String),
}

impl Task<'_> {
    fn exchanges(&self) -> impl Iterator<Item = &LessonExchange> {
        let transcripts = std::iter::once(self.solution).chain(self.checks);
        transcripts.flat_map(|transcript| &transcript.exchanges)
    }

    /// Returns the keys in the solution and the checks.
    fn keys(&self) -> Vec<&[u8]> {
        let keys = self
            .exchanges()
            .filter_map(|exchange| guard::keys_of(&exchange.words).ok());
        keys.flatten().collect()
    }

    /// Returns the keys that the solution deletes, because damage to these keys does not matter.
    fn deleted_keys(&self) -> Vec<&[u8]> {
        let deletes = |exchange: &&LessonExchange| {
            let name = &exchange.words[0];
            name.eq_ignore_ascii_case(b"DEL") || name.eq_ignore_ascii_case(b"UNLINK")
        };
        let deleting = self.solution.exchanges.iter().filter(deletes);
        deleting
            .filter_map(|exchange| guard::keys_of(&exchange.words).ok())
            .flatten()
            .collect()
    }

    /// Returns all words of the solution and the checks.
    fn words(&self) -> BTreeSet<&[u8]> {
        let words = self.exchanges().flat_map(|exchange| &exchange.words);
        words.map(Vec::as_slice).collect()
    }

    /// Returns the lesson's explanation of the reply that failed a check, if there is one.
    fn explanation(&self, verdict: &AttemptVerdict) -> Option<&str> {
        let AttemptVerdict::NotYet(outcome) = verdict else {
            return None;
        };
        let mut exchanges = self.checks.iter().flat_map(|check| &check.exchanges);
        let failed = exchanges.find(|exchange| exchange.line == outcome.line)?;
        failed.explanation(&outcome.got)
    }
}

impl Course<'_> {
    pub(super) fn attempt(
        &mut self,
        place: Place<'_>,
        solution: &Transcript,
        checks: &[Transcript],
    ) -> Result<(), Leave> {
        if !self.can_run(&solution.fence, &solution.exchanges) {
            return Ok(());
        }
        let before = self.with_redis(place, &mut |course| {
            course.wait(solution.fence.wait.as_ref())?;
            course.sandbox.take_snapshot()
        })?;
        self.learner.show(&CourseEvent::Try);
        let mut task = Task {
            solution,
            checks,
            before,
            // If the solution has several commands, each correct command before the last one would otherwise
            // count as a failed try.
            tries_left: TRIES_BEFORE_OFFER + solution.exchanges.len() - 1,
            solution_shown: false,
            tried: false,
        };
        loop {
            let first = if task.solution_shown {
                offer(Key::Next, "run the solution")
            } else {
                offer(Key::No, "skip")
            };
            let offers = self.offers(place, first);
            let keys = self.sandbox.key_names();
            match self.learner.type_command(&keys, &offers)? {
                Typed::Command(line) => {
                    if self.is_solved_by(place, &line, &mut task)? {
                        return Ok(());
                    }
                }
                Typed::Key(Key::Solution) => self.show_solution(&mut task),
                Typed::Key(Key::Next) => return self.run_solution(place, &task),
                Typed::Key(Key::No) => {
                    self.say(Mark::Plain, "skipped; the lesson runs the solution for you");
                    // Before the next command, the course sets up the keys again, and runs this task's
                    // solution in doing so.
                    self.state.keys_ready = false;
                    return Ok(());
                }
                Typed::Key(key) => self.obey(place, key)?,
            }
        }
    }

    /// Sends a typed command. Returns whether the command completed the task.
    fn is_solved_by(&mut self, place: Place<'_>, line: &str, task: &mut Task<'_>) -> Result<bool, Leave> {
        let Some(typed) = split(line.as_bytes()) else {
            self.say(Mark::Warning, "not sent: a closing quote is missing");
            return Ok(false);
        };
        if let Err(forbidden) = guard::keys_of(&typed) {
            self.say(Mark::Warning, &forbidden.to_string());
            if forbidden == Forbidden::ShellCommand {
                return Ok(false);
            }
            // Suggest only the lesson's keys, because the learner may have misspelt other keys.
            let lesson_keys = sandbox::keys_of(place.lesson);
            let keys = task
                .keys()
                .into_iter()
                .chain(lesson_keys.iter().map(Vec::as_slice));
            let keys: Vec<String> = keys
                .map(|key| String::from_utf8_lossy(key).into_owned())
                .collect();
            if let Some(suggestion) = suggestion(&typed, &keys) {
                self.say(Mark::Plain, &format!("did you mean {suggestion}?"));
            }
            return Ok(false);
        }
        task.tried = true;
        let verdict = self.with_redis(place, &mut |course| {
            let reply = course.sandbox.send(&typed)?;
            course.note_keys();
            course
                .learner
                .show(&CourseEvent::Reply(&check::printed(&typed, &reply)));
            course.judge(task, &typed, &reply)
        })?;
        self.save();
        match verdict {
            AttemptVerdict::Done => {
                self.say(Mark::Success, "correct");
                return Ok(true);
            }
            AttemptVerdict::ReadOnly => {}
            AttemptVerdict::Rejected => self.count_try(task),
            AttemptVerdict::NotYet(outcome) => {
                self.learner.show(&CourseEvent::NotYet(&outcome));
                if let Some(text) = other_key(task, &typed) {
                    self.say(Mark::Plain, &text);
                }
                if let Some(text) = unit(&typed) {
                    self.say(Mark::Plain, text);
                }
                // If the task needs several commands, keep the effects of the commands typed so far.
                if task.solution.exchanges.len() == 1 {
                    self.start_task_again();
                }
                self.count_try(task);
            }
            AttemptVerdict::Wrong(why) => {
                self.say(Mark::Failure, &why);
                self.start_task_again();
                self.count_try(task);
            }
        }
        Ok(false)
    }

    fn count_try(&mut self, task: &mut Task<'_>) {
        task.tries_left = task.tries_left.saturating_sub(1);
        if task.tries_left == 0 && !task.solution_shown {
            self.say(Mark::Warning, "to see the solution, type s and press Enter");
        }
    }

    /// Makes the course restore the keys before the next try, so that a wrong try does not affect the next
    /// try.
    fn start_task_again(&mut self) {
        self.say(Mark::Plain, "the lesson has undone your changes; try again");
        self.state.keys_ready = false;
    }

    fn show_solution(&mut self, task: &mut Task<'_>) {
        task.solution_shown = true;
        self.learner.show(&CourseEvent::Solution(task.solution));
    }

    /// Judges a typed command by the task's checks or, without checks, by the reply.
    fn judge(
        &mut self,
        task: &Task<'_>,
        typed: &[Vec<u8>],
        reply: &Value,
    ) -> Result<AttemptVerdict, SendError> {
        let verdict = self.judge_state(task, typed, reply)?;
        let shown = shown(typed);
        let wrong = task.solution.wrong_commands.iter();
        let is_solved = match verdict {
            AttemptVerdict::Done => true,
            AttemptVerdict::NotYet(_) => false,
            verdict => return Ok(verdict),
        };
        if is_solved && let Some(wrong) = wrong.into_iter().find(|wrong| wrong.command.matches(&[&shown])) {
            return Ok(AttemptVerdict::Wrong(wrong.why.clone()));
        }
        let Some(before) = &task.before else {
            return Ok(verdict);
        };
        Ok(
            match before.damage(&mut self.sandbox, &task.words(), &task.deleted_keys(), is_solved)? {
                Some(damage) => AttemptVerdict::Wrong(match task.explanation(&verdict) {
                    Some(why) => format!("{damage}; {why}"),
                    None => damage,
                }),
                None => verdict,
            },
        )
    }

    fn judge_state(
        &mut self,
        task: &Task<'_>,
        typed: &[Vec<u8>],
        reply: &Value,
    ) -> Result<AttemptVerdict, SendError> {
        let command = String::from_utf8_lossy(&typed[0]).to_uppercase();
        if self.sandbox.is_in_transaction() {
            self.say(
                Mark::Plain,
                "Redis now queues your commands; EXEC runs them, and DISCARD deletes them",
            );
            return Ok(AttemptVerdict::ReadOnly);
        }
        if matches!(reply, Value::ServerError(_)) && !task.solution.fence.fails {
            if let Some(meaning) = check::explanation(&command, &check::printed(typed, reply)[0]) {
                self.say(Mark::Plain, meaning);
            }
            return Ok(AttemptVerdict::Rejected);
        }
        let only_reads = guard::only_reads(&command) || command == "DISCARD";
        if task.checks.is_empty() {
            let Some(last) = task.solution.exchanges.last() else {
                return Ok(AttemptVerdict::Done);
            };
            let outcome = check::judge(last, task.solution.fence.fails, reply);
            let is_other_command = !last.words[0].eq_ignore_ascii_case(&typed[0]);
            return Ok(match outcome.held() {
                true => AttemptVerdict::Done,
                false if only_reads && is_other_command => AttemptVerdict::ReadOnly,
                false => AttemptVerdict::NotYet(outcome),
            });
        }
        // Do not make the learner wait for a check after a command that only reads.
        if only_reads && task.checks.iter().any(|check| check.fence.wait.is_some()) {
            return Ok(AttemptVerdict::ReadOnly);
        }
        Ok(match self.failed_check(task.checks)? {
            None => AttemptVerdict::Done,
            Some(_) if only_reads => AttemptVerdict::ReadOnly,
            Some(outcome) => AttemptVerdict::NotYet(outcome),
        })
    }

    /// Restores the keys to their state at the start of the task, and runs the solution.
    fn run_solution(&mut self, place: Place<'_>, task: &Task<'_>) -> Result<(), Leave> {
        if task.tried {
            self.state.keys_ready = false;
        }
        let failed = self.with_redis(place, &mut |course| {
            let learner = &mut *course.learner;
            check::run(&mut course.sandbox, task.solution, &mut |outcome| {
                learner.show(&CourseEvent::Ran(outcome));
            })?;
            course.failed_check(task.checks)
        })?;
        if let Some(outcome) = failed {
            self.learner.show(&CourseEvent::NotYet(&outcome));
        }
        Ok(())
    }
}

/// Formats a typed command, with the command's name in upper case.
fn shown(typed: &[Vec<u8>]) -> String {
    let words = typed.iter().map(|word| String::from_utf8_lossy(word));
    let words = words.enumerate().map(|(place, word)| {
        if place == 0 {
            word.to_uppercase()
        } else {
            word.into_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Explains the time unit of commands that are often confused with EXPIRE, such as PEXPIRE. Returns `None`
/// for other commands.
fn unit(typed: &[Vec<u8>]) -> Option<&'static str> {
    let is = |place: usize, name: &str| {
        typed
            .get(place)
            .is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    };
    if is(0, "PEXPIRE") {
        return Some("PEXPIRE takes milliseconds; EXPIRE takes seconds");
    }
    if is(0, "PSETEX") || typed.len() > 3 && (is(0, "SET") && (3..typed.len()).any(|place| is(place, "PX"))) {
        return Some("this TTL is in milliseconds; SET with EX takes seconds");
    }
    if is(0, "EXPIREAT") || is(0, "PEXPIREAT") {
        return Some(
            "this command takes a date, as the number of seconds or milliseconds since 1970; EXPIRE takes the number of seconds until the key expires",
        );
    }
    None
}

/// Returns a message if a command used a key that the task does not use.
fn other_key(task: &Task<'_>, typed: &[Vec<u8>]) -> Option<String> {
    let typed_key = *guard::keys_of(typed).ok()?.first()?;
    let keys = task.keys();
    if keys.is_empty() || keys.contains(&typed_key) {
        return None;
    }
    let name = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
    Some(format!(
        "you used the key {}, but this task is about {}",
        name(typed_key),
        name(keys[0])
    ))
}

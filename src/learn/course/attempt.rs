//! A `redis try`: the learner types until the state, or the reply, is right.

use redis::Value;

use super::{Course, Here, Staging, Turn, can_run};
use crate::learn::check::{self, Outcome};
use crate::learn::classroom::{Key, Said, Typed};
use crate::learn::guard;
use crate::learn::lesson::{Expected, Transcript};
use crate::learn::link::Trouble;
use crate::learn::meant::meant;
use crate::learn::stop::Interrupted;
use crate::learn::transcript::words;
use crate::redis_client;

/// Tries that do not do it before the solution is shown.
const TRIES_BEFORE_SOLUTION: usize = 2;

impl Course<'_> {
    /// A `redis try` fence: the learner types until the state, or the reply, is right.
    pub(super) fn attempt(
        &mut self,
        here: Here<'_>,
        solution: &Transcript,
        checks: &[Transcript],
    ) -> Result<Turn, Interrupted> {
        if !can_run(&self.scene, solution) {
            self.room.tell(&Said::NeedsRealRedis(solution));
            return Ok(Turn::On);
        }
        let ready = self.with_redis(here, &mut |course| course.wait(solution.wait.as_ref()))?;
        if let Err(turn) = ready {
            return Ok(turn);
        }
        self.room.tell(&Said::YourTurn);
        // A task of several commands is not failed by its first ones.
        let patience = TRIES_BEFORE_SOLUTION + solution.exchanges.len() - 1;
        let mut task = Task {
            solution,
            checks,
            tries: 0,
            patience,
            shown: Shown::No,
        };
        loop {
            let offers = self.offers(
                here,
                if task.shown == Shown::Yes {
                    "run the solution"
                } else {
                    "skip"
                },
            );
            let keys: Vec<String> = self
                .scene
                .keys()
                .map(|key| String::from_utf8_lossy(key).into_owned())
                .collect();
            let turn = match self.room.command(&keys, &offers)? {
                Typed::Command(line) => self.take_command(here, &line, &mut task)?,
                Typed::Key(Key::Solution) => {
                    task.shown = Shown::Yes;
                    self.room.tell(&Said::Solution(solution));
                    None
                }
                Typed::Key(Key::Next) if task.shown == Shown::Yes => self.run_solution(here, &task)?,
                Typed::Key(Key::Next) => Some(Turn::On),
                Typed::Key(key) => self.obey(here, key)?,
            };
            if let Some(turn) = turn {
                return Ok(turn);
            }
        }
    }

    /// One command line of the learner's; a turn when the task is done.
    fn take_command(
        &mut self,
        here: Here<'_>,
        line: &str,
        task: &mut Task<'_>,
    ) -> Result<Option<Turn>, Interrupted> {
        let Some(typed) = words(line) else {
            self.room
                .tell(&Said::Unreadable("a quote is opened and never closed"));
            return Ok(None);
        };
        if let Err(why) = guard::keys_of(&typed) {
            let meant = meant(&typed);
            self.room.tell(&Said::Forbidden {
                why: &why,
                meant: meant.as_deref(),
            });
            return Ok(None);
        }
        let judged = self.with_redis(here, &mut |course| {
            let reply = course.scene.send(&typed)?;
            course.note_keys();
            course.room.tell(&Said::Reply(&check::printed(&typed, &reply)));
            course.judge_try(task, &typed, &reply)
        })?;
        self.save();
        match judged {
            Err(turn) => Ok(Some(turn)),
            Ok(Judged::Done) => {
                self.room.tell(&Said::Well);
                Ok(Some(Turn::On))
            }
            Ok(Judged::Looked) => Ok(None),
            Ok(Judged::NotYet(outcome)) => {
                self.room.tell(&Said::NotYet(&outcome));
                self.count_try(task);
                Ok(None)
            }
            Ok(Judged::Refused) => {
                self.count_try(task);
                Ok(None)
            }
        }
    }

    fn count_try(&mut self, task: &mut Task<'_>) {
        task.tries += 1;
        if task.tries >= task.patience && task.shown == Shown::No {
            task.shown = Shown::Yes;
            self.room.tell(&Said::Solution(task.solution));
        }
    }

    /// The state counts, or, where nothing reads it, the reply.
    fn judge_try(&mut self, task: &Task<'_>, typed: &[Vec<u8>], reply: &Value) -> Result<Judged, Trouble> {
        let command = String::from_utf8_lossy(&typed[0]).to_uppercase();
        let lines = redis_client::reply_lines(reply);
        let is_error = matches!(reply, Value::ServerError(_));
        if self.scene.is_in_transaction() {
            self.room.tell(&Said::Queued);
            return Ok(Judged::Looked);
        }
        if is_error && task.solution.expected == Expected::Replies {
            if let Some(meaning) = check::explanation(&command, &lines[0]) {
                self.room.tell(&Said::Meaning(meaning));
            }
            return Ok(Judged::Refused);
        }
        if task.checks.is_empty() {
            let Some(last) = task.solution.exchanges.last() else {
                return Ok(Judged::Done);
            };
            let outcome = check::judge(last, task.solution.expected, reply);
            // Another command than the solution's says nothing about why its reply is another one.
            let same = last.words[0].eq_ignore_ascii_case(&typed[0]);
            return Ok(match outcome.held() {
                true => Judged::Done,
                false if guard::only_reads(&command) && !same => Judged::Looked,
                false => Judged::NotYet(outcome),
            });
        }
        // A check that waits first is not worth its wait where nothing can have changed.
        let waits = task.checks.iter().any(|check| check.wait.is_some());
        if waits && guard::only_reads(&command) {
            return Ok(Judged::Looked);
        }
        let failed = self.first_that_fails(task.checks)?;
        let Some(outcome) = failed else {
            return Ok(Judged::Done);
        };
        Ok(if guard::only_reads(&command) {
            Judged::Looked
        } else {
            Judged::NotYet(outcome)
        })
    }

    /// Runs the solution on the keys as they were when the task began: what was tried is undone first.
    fn run_solution(&mut self, here: Here<'_>, task: &Task<'_>) -> Result<Option<Turn>, Interrupted> {
        self.staging = Staging::Stale;
        let ran = self.with_redis(here, &mut |course| {
            let room = &mut *course.room;
            check::run(&mut course.scene, task.solution, &mut |outcome| {
                room.tell(&Said::Outcome(outcome));
            })?;
            course.first_that_fails(task.checks)
        })?;
        match ran {
            Err(turn) => Ok(Some(turn)),
            Ok(None) => Ok(Some(Turn::On)),
            Ok(Some(outcome)) => {
                self.room.tell(&Said::NotYet(&outcome));
                Ok(Some(Turn::On))
            }
        }
    }
}

/// A `try` under way.
struct Task<'t> {
    solution: &'t Transcript,
    checks: &'t [Transcript],
    tries: usize,
    patience: usize,
    shown: Shown,
}

/// Whether the learner has seen the solution.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    No,
    Yes,
}

/// What a command of the learner's amounts to.
enum Judged {
    /// The task is done.
    Done,
    /// It changed nothing: no try.
    Looked,
    /// Redis answered with an error, so nothing changed.
    Refused,
    /// This is not yet as it must be.
    NotYet(Outcome),
}

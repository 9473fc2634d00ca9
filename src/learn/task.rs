//! What a learner does in a step: watch commands run, type some, answer questions.

use std::time::Duration;

use redis::Value;

use super::check::{self, Outcome};
use super::classroom::{Key, Offer, Picked, Said, Typed};
use super::course::{Answer, Course, Here, Pace, QUIT, Staging, Turn, can_run};
use super::guard;
use super::lesson::{Block, Expected, Needs, Quiz, Run, Shell, Transcript, Wait};
use super::link::Trouble;
use super::stop::Interrupted;
use super::transcript::words;
use crate::deadline::Deadline;
use crate::wire;

/// How often a countdown is drawn.
const TICK: Duration = Duration::from_millis(200);

/// Tries that do not do it before the solution is shown.
const TRIES_BEFORE_SOLUTION: usize = 2;

impl Course<'_> {
    /// A `redis` fence: shown, then run.
    pub(super) fn demonstrate(
        &mut self,
        here: Here<'_>,
        transcript: &Transcript,
    ) -> Result<Turn, Interrupted> {
        if !can_run(&self.scene, transcript) {
            self.room.tell(&Said::NeedsRealRedis(transcript));
            return Ok(Turn::On);
        }
        if self.pace == Pace::Full {
            self.room.tell(&Said::Commands(transcript));
            let next = if transcript.wait.is_some() {
                "wait and run"
            } else {
                "run"
            };
            let turn = self.choose(here, next, &mut |_| Turn::On)?;
            if turn != Turn::On {
                return Ok(turn);
            }
        }
        let ran = self.with_redis(here, &mut |course| {
            course.wait(transcript.wait.as_ref())?;
            let room = &mut *course.room;
            check::run(&mut course.scene, transcript, &mut |outcome| {
                room.tell(&Said::Outcome(outcome));
            })
        })?;
        Ok(ran.err().unwrap_or(Turn::On))
    }

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
            let meant = guard::meant(&typed);
            self.room.tell(&Said::Forbidden {
                why: &why,
                meant: meant.as_deref(),
            });
            return Ok(None);
        }
        let judged = self.with_redis(here, &mut |course| {
            let reply = course.scene.send(&typed)?;
            course.note_keys();
            course.room.tell(&Said::Reply(&wire::reply_lines(&reply)));
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
        let lines = wire::reply_lines(reply);
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

    fn first_that_fails(&mut self, checks: &[Transcript]) -> Result<Option<Outcome>, Trouble> {
        for check in checks
            .iter()
            .filter(|check| can_run(&self.scene, check))
            .cloned()
            .collect::<Vec<_>>()
        {
            self.wait(check.wait.as_ref())?;
            let outcomes = check::run(&mut self.scene, &check, &mut |_| {})?;
            if let Some(failed) = outcomes.into_iter().find(|outcome| !outcome.held()) {
                return Ok(Some(failed));
            }
        }
        Ok(None)
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

    /// A `redis check` behind a shell command: silent while it holds.
    pub(super) fn check(&mut self, here: Here<'_>, check: &Transcript) -> Result<Turn, Interrupted> {
        if !can_run(&self.scene, check) {
            self.room.tell(&Said::NeedsRealRedis(check));
            return Ok(Turn::On);
        }
        if self.shell == Answer::NotNow {
            self.room
                .tell(&Said::Note("not looked at: the command before was not run"));
            return Ok(Turn::On);
        }
        let blocks = &here.lesson.steps[here.step].blocks;
        let behind = blocks[..here.block].iter().rev().find_map(|block| match block {
            Block::Shell(shell) => Some(shell),
            _ => None,
        });
        // What the learner does elsewhere takes its time: they say when to look.
        let elsewhere =
            behind.is_some_and(|shell| shell.run == Run::ShownOnly) || self.commands.runs_beside();
        let mut ask = elsewhere;
        loop {
            if ask {
                let turn = self.choose(here, "look whether it is done", &mut |_| Turn::On)?;
                if turn != Turn::On {
                    return Ok(turn);
                }
            }
            let failed = self.with_redis(here, &mut |course| {
                course.first_that_fails(std::slice::from_ref(check))
            })?;
            match failed {
                Err(turn) => return Ok(turn),
                Ok(None) => {
                    self.room.tell(&Said::Well);
                    return Ok(Turn::On);
                }
                Ok(Some(outcome)) => self.room.tell(&Said::NotYet(&outcome)),
            }
            let again = Offer {
                key: Key::Next,
                does: "look again",
            };
            let skip = Offer {
                key: Key::No,
                does: "go on all the same",
            };
            match self.room.key(&[again, skip, QUIT])? {
                Key::Next => ask = false,
                Key::No => return Ok(Turn::On),
                _ => return Ok(Turn::Leave),
            }
        }
    }

    /// A `sh` fence; `sh run` after a yes.
    pub(super) fn shell(&mut self, here: Here<'_>, shell: &Shell) -> Result<Turn, Interrupted> {
        let Run::InProcess(commands) = &shell.run else {
            if self.pace == Pace::Full {
                self.room.tell(&Said::Shell(shell));
            }
            return Ok(Turn::On);
        };
        self.room.tell(&Said::Shell(shell));
        if shell.needs == Needs::RealRedis && self.scene.link.is_practice() {
            self.room.tell(&Said::CommandNeedsRealRedis);
            self.shell = Answer::NotNow;
            return Ok(Turn::On);
        }
        let yes = Offer {
            key: Key::Next,
            does: "yes, run it",
        };
        let no = Offer {
            key: Key::No,
            does: "not now",
        };
        loop {
            let mut offers = vec![yes, no];
            offers.extend(
                self.offers(here, "")
                    .into_iter()
                    .filter(|offer| offer.key != Key::Next),
            );
            match self.room.key(&offers)? {
                Key::Next => break,
                Key::No => {
                    self.shell = Answer::NotNow;
                    return Ok(Turn::On);
                }
                key => {
                    if let Some(turn) = self.obey(here, key)? {
                        return Ok(turn);
                    }
                }
            }
        }
        if let Some(wait) = &shell.wait {
            let waited = self.with_redis(here, &mut |course| course.wait(Some(wait)))?;
            if let Err(turn) = waited {
                return Ok(turn);
            }
        }
        for words in commands {
            if let Err(what) = self.commands.run(words) {
                self.scene.link.stop().forgive();
                self.room.tell(&Said::CommandEnded(&what));
            }
            self.scene.link.stop().check()?;
        }
        Ok(Turn::On)
    }

    /// A `quiz` fence: asked until the answer is right.
    pub(super) fn quiz(&mut self, here: Here<'_>, quiz: &Quiz) -> Result<Turn, Interrupted> {
        self.room.tell(&Said::Quiz(quiz));
        let rights: Vec<usize> = (0..quiz.answers.len())
            .filter(|place| quiz.answers[*place].is_right)
            .collect();
        loop {
            let offers = self.offers(here, "skip");
            match self.room.answer(quiz, &offers)? {
                Picked::Answers(picked) => {
                    let right = picked == rights;
                    self.room.tell(&Said::Answered {
                        right,
                        picked: &picked,
                        quiz,
                    });
                    if right {
                        return Ok(Turn::On);
                    }
                }
                Picked::Key(Key::Next) => return Ok(Turn::On),
                Picked::Key(key) => {
                    if let Some(turn) = self.obey(here, key)? {
                        return Ok(turn);
                    }
                }
            }
        }
    }

    /// Waits, with the key's own TTL counting down where one is watched.
    fn wait(&mut self, wait: Option<&Wait>) -> Result<(), Trouble> {
        let Some(wait) = wait else {
            return Ok(());
        };
        let deadline = Deadline::after(wait.span);
        while !deadline.is_over() {
            let ttl = match &wait.watch {
                Some(key) => match self.scene.link.ask_text(&["PTTL", key])? {
                    Value::Int(left) => Some((key.as_str(), left)),
                    _ => None,
                },
                None => None,
            };
            self.room.tell(&Said::Countdown {
                left: deadline.left(),
                watched: ttl,
            });
            self.scene.link.sleep(TICK.min(deadline.left()))?;
        }
        self.room.tell(&Said::CountdownOver);
        Ok(())
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

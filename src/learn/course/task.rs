//! What a learner does in a step: watch commands run, type some, answer questions.

use std::time::Duration;

use redis::Value;

use super::menu::QUIT;
use super::{Answer, Course, Here, Pace, Turn, can_run};
use crate::deadline::Deadline;
use crate::learn::check::{self, Outcome};
use crate::learn::classroom::{Key, Offer, Picked, Said};
use crate::learn::lesson::{Block, Needs, Quiz, Run, Shell, Transcript, Wait};
use crate::learn::link::Trouble;
use crate::learn::stop::Interrupted;

/// How often a countdown is drawn.
const TICK: Duration = Duration::from_millis(200);

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

    pub(super) fn first_that_fails(&mut self, checks: &[Transcript]) -> Result<Option<Outcome>, Trouble> {
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
            if let Err(failure) = self.commands.run(words) {
                self.outlive(&failure);
                self.room.tell(&Said::CommandEnded(&failure.what));
            }
            self.scene.link.stop().check()?;
        }
        self.room.tell(&Said::CommandsOver);
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
    pub(super) fn wait(&mut self, wait: Option<&Wait>) -> Result<(), Trouble> {
        let Some(wait) = wait else {
            return Ok(());
        };
        let waited = self.count_down(wait);
        self.room.tell(&Said::CountdownOver);
        waited
    }

    fn count_down(&mut self, wait: &Wait) -> Result<(), Trouble> {
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
        Ok(())
    }
}

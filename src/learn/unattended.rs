//! `learn --yes`: tries take their solutions, waits are real, every reply and check counts.

use std::time::Duration;

use super::check::{self, Outcome};
use super::lesson::{Block, Lesson, Needs, Run, Shell, Transcript, Wait};
use super::link::Trouble;
use super::scene::Scene;
use crate::deadline::Deadline;

/// What happens while lessons run by themselves.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// A lesson begins.
    Lesson(&'a Lesson),
    /// A reply or a check held.
    Held,
    /// A reply or a check did not hold.
    Differed {
        /// The lesson's file.
        file: &'a str,
        /// What happened.
        outcome: &'a Outcome,
    },
    /// A block was not run, since this is the practice Redis.
    Skipped {
        /// The lesson's file.
        file: &'a str,
        /// The line of its fence.
        line: usize,
    },
    /// All lessons together took longer than they may.
    OutOfTime(Duration),
    /// A wait begins.
    Waits(&'a Wait),
    /// One of our own commands did not end well.
    CommandFailed {
        /// The lesson's file.
        file: &'a str,
        /// The line of its fence.
        line: usize,
        /// The command and how it ended.
        what: String,
    },
}

/// A command of ours that did not end well.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The command and how it ended.
    pub what: String,
    /// Who ended it.
    pub by: By,
}

/// Who ended a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The learner, with a Ctrl-C that the lesson hears as well.
    CtrlC,
    /// The command.
    Itself,
}

impl From<String> for Failure {
    fn from(what: String) -> Self {
        Self { what, by: By::Itself }
    }
}

/// Runs our own commands for a lesson.
pub(crate) trait Commands {
    /// Runs one command line (without the leading `sessiontut`).
    ///
    /// # Errors
    /// The command and how it ended, where that was not well.
    fn run(&mut self, words: &[String]) -> Result<(), Failure>;

    /// Whether a command runs on beside the lesson.
    fn runs_beside(&self) -> bool;

    /// Ends what a command left running beside the lesson.
    fn end(&mut self);
}

/// How lessons held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Lessons that ran.
    pub lessons: usize,
    /// Replies and checks that held.
    pub held: usize,
    /// Replies, checks and commands that did not.
    pub failed: usize,
    /// Blocks for a real Redis that were not run on the practice one.
    pub skipped: usize,
}

/// Runs lessons from their start, one after the other.
///
/// # Errors
/// [`Trouble`] ends the run: nothing can be said about what was not run.
pub(crate) fn run(
    lessons: &[&Lesson],
    scene: &mut Scene,
    commands: &mut dyn Commands,
    deadline: Deadline,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<Tally, Trouble> {
    let mut tally = Tally::default();
    for lesson in lessons {
        tell(Event::Lesson(lesson));
        scene.open(lesson)?;
        tally.lessons += 1;
        let mut run = LessonRun {
            lesson,
            scene,
            commands,
            tell,
            tally: &mut tally,
            deadline,
        };
        let ended = run.blocks();
        commands.end();
        ended?;
        scene.clear()?;
        if deadline.is_over() {
            tally.failed += 1;
            tell(Event::OutOfTime(deadline.span()));
            break;
        }
    }
    Ok(tally)
}

/// One lesson under way.
struct LessonRun<'a> {
    lesson: &'a Lesson,
    scene: &'a mut Scene,
    commands: &'a mut dyn Commands,
    tell: &'a mut dyn FnMut(Event<'_>),
    tally: &'a mut Tally,
    deadline: Deadline,
}

impl LessonRun<'_> {
    fn blocks(&mut self) -> Result<(), Trouble> {
        for step in &self.lesson.steps {
            let mut shell = Needs::AnyRedis;
            for block in &step.blocks {
                if self.deadline.is_over() {
                    return Ok(());
                }
                match block {
                    // What a command that was not run would have left is not there to be judged.
                    Block::Check(check) if !self.can_run(shell) => self.skip(check.line),
                    Block::Redis(transcript) | Block::Check(transcript) => self.transcript(transcript)?,
                    Block::Try { solution, checks } => self.attempt(solution, checks)?,
                    Block::Shell(command) => {
                        shell = command.needs;
                        self.shell(command)?;
                    }
                    Block::Prose(_) | Block::Code(_) | Block::Quiz(_) => {}
                }
            }
        }
        Ok(())
    }

    /// A `try` that cannot be run here takes its checks with it.
    fn attempt(&mut self, solution: &Transcript, checks: &[Transcript]) -> Result<(), Trouble> {
        self.transcript(solution)?;
        for check in checks {
            if self.can_run(solution.needs) {
                self.transcript(check)?;
            }
        }
        Ok(())
    }

    fn transcript(&mut self, transcript: &Transcript) -> Result<(), Trouble> {
        if !self.can_run(transcript.needs) {
            self.skip(transcript.line);
            return Ok(());
        }
        self.wait(transcript.wait.as_ref())?;
        let (tell, tally, file) = (&mut *self.tell, &mut *self.tally, &self.lesson.file);
        check::run(self.scene, transcript, &mut |outcome| {
            if outcome.held() {
                tally.held += 1;
                tell(Event::Held);
            } else {
                tally.failed += 1;
                tell(Event::Differed { file, outcome });
            }
        })?;
        Ok(())
    }

    fn shell(&mut self, shell: &Shell) -> Result<(), Trouble> {
        let Run::InProcess(commands) = &shell.run else {
            return Ok(());
        };
        if !self.can_run(shell.needs) {
            self.skip(shell.line);
            return Ok(());
        }
        self.wait(shell.wait.as_ref())?;
        for words in commands {
            self.scene.link.stop().check()?;
            if let Err(Failure { what, .. }) = self.commands.run(words) {
                self.tally.failed += 1;
                (self.tell)(Event::CommandFailed {
                    file: &self.lesson.file,
                    line: shell.line,
                    what,
                });
            }
        }
        Ok(())
    }

    fn wait(&mut self, wait: Option<&Wait>) -> Result<(), Trouble> {
        if let Some(wait) = wait {
            (self.tell)(Event::Waits(wait));
            self.scene.link.sleep(wait.span.min(self.deadline.left()))?;
        }
        Ok(())
    }

    fn can_run(&self, needs: Needs) -> bool {
        needs == Needs::AnyRedis || !self.scene.link.is_practice()
    }

    fn skip(&mut self, line: usize) {
        self.tally.skipped += 1;
        (self.tell)(Event::Skipped {
            file: &self.lesson.file,
            line,
        });
    }
}

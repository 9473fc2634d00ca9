//! Runs checks, shell commands, quizzes, and demonstrations of Redis commands.

use std::time::Duration;

use redis::Value;

use super::menu::{QUIT, offer};
use super::{Course, Leave, Place};
use crate::deadline::Deadline;
use crate::learn::check::{self, Outcome};
use crate::learn::connection::SendError;
use crate::learn::learner::{CourseEvent, Key, Mark, Offer, Picked};
use crate::learn::lesson::{APP, Block, FenceOptions, LessonExchange, Quiz, Shell, Transcript, Wait};
use crate::signals::Interrupted;

/// The pause between two updates of a countdown.
const TICK: Duration = Duration::from_millis(200);

/// The reply to PTTL if the key does not exist.
const NO_KEY: i64 = -2;

impl Course<'_> {
    /// Shows a `redis` fence, and then runs its commands.
    pub(super) fn demonstrate(&mut self, place: Place<'_>, transcript: &Transcript) -> Result<(), Leave> {
        if !self.can_run(&transcript.fence, &transcript.exchanges) {
            return Ok(());
        }
        if self.lacks_app(place) {
            self.learner.show(&CourseEvent::Skipped {
                line: transcript.fence.line,
                commands: &transcript.exchanges,
                why: "not run: these commands read data of the app, which is not running",
            });
            return Ok(());
        }
        if !self.state.fast_lane {
            self.learner.show(&CourseEvent::Commands(transcript));
            let next = match transcript.fence.wait {
                Some(_) => "wait and run",
                None => "run",
            };
            self.wait_for_next(place, next)?;
        }
        self.with_redis(place, &mut |course| {
            course.wait(transcript.fence.wait.as_ref())?;
            let learner = &mut *course.learner;
            check::run(&mut course.sandbox, transcript, &mut |outcome| {
                learner.show(&CourseEvent::Ran(outcome));
            })
        })
    }

    /// Runs checks without showing them. Returns the first reply that differs from the expected reply.
    pub(super) fn failed_check(&mut self, checks: &[Transcript]) -> Result<Option<Outcome>, SendError> {
        for check in checks {
            if !self.can_run(&check.fence, &[]) {
                continue;
            }
            self.wait(check.fence.wait.as_ref())?;
            let learner = &mut *self.learner;
            let mut failed = None;
            check::run(&mut self.sandbox, check, &mut |outcome| {
                learner.show(&CourseEvent::Checked(outcome));
                if failed.is_none() && !outcome.held() {
                    failed = Some(outcome.clone());
                }
            })?;
            if failed.is_some() {
                return Ok(failed);
            }
        }
        Ok(None)
    }

    /// Runs a `redis check` after a shell command.
    pub(super) fn check(&mut self, place: Place<'_>, check: &Transcript) -> Result<(), Leave> {
        if !self.can_run(&check.fence, &check.exchanges) {
            return Ok(());
        }
        if self.state.command_skipped || self.lacks_app(place) {
            self.learner.show(&CourseEvent::Skipped {
                line: check.fence.line,
                commands: &[],
                why: "not checked: the previous command was not run",
            });
            return Ok(());
        }
        let mut before = place.blocks()[..place.block].iter().rev();
        let shell = before.find_map(|block| match block {
            Block::Shell(shell) => Some(shell),
            _ => None,
        });
        // The learner acts in another window first, then presses a key.
        if self.state.app.is_some() || shell.is_some_and(|shell| shell.commands.is_empty()) {
            self.wait_for_next(place, "check")?;
        }
        loop {
            let checks = std::slice::from_ref(check);
            let failed = self.with_redis(place, &mut |course| course.failed_check(checks))?;
            let Some(outcome) = failed else {
                self.say(Mark::Success, "correct");
                return Ok(());
            };
            self.learner.show(&CourseEvent::NotYet(&outcome));
            let again = offer(Key::Next, "check again");
            let skip = offer(Key::No, "continue anyway");
            match self.learner.press(&[again, skip, QUIT])? {
                Key::Next => {}
                Key::No => {
                    self.say_skipped();
                    return Ok(());
                }
                _ => return Err(Leave::Quit),
            }
        }
    }

    /// Shows a `sh` fence. Runs the commands of `sh run` and `sh try` if the learner agrees.
    pub(super) fn shell(&mut self, place: Place<'_>, shell: &Shell) -> Result<(), Leave> {
        self.show_shell(shell);
        if shell.commands.is_empty() {
            return Ok(());
        }
        if !self.can_run(&shell.fence, &[]) || !self.can_grade(shell) {
            self.state.command_skipped = true;
            return Ok(());
        }
        let mut first = offer(Key::Next, "yes, run it");
        if shell.is_task && uses_app(shell) {
            self.say(
                Mark::Plain,
                "your turn: change your app, then press Enter to grade it",
            );
            first = offer(Key::Next, "app is ready: grade it");
        }
        let mut skip = offer(Key::No, "not now");
        loop {
            if !self.agrees_to_run(place, shell, first, skip)? {
                self.say_skipped();
                self.state.command_skipped = !shell.is_task;
                return Ok(());
            }
            if let Some(wait) = &shell.fence.wait {
                self.with_redis(place, &mut |course| course.wait(Some(wait)))?;
            }
            let has_succeeded = self.run_commands(shell)?;
            self.learner.show(&CourseEvent::CommandOutput);
            if has_succeeded {
                if shell.is_task {
                    self.say(Mark::Success, "correct");
                }
                return Ok(());
            }
            // The rest of the lesson needs only the app, so other commands may fail.
            if !shell.is_task && !starts_app(shell) {
                return Ok(());
            }
            first = offer(Key::Next, "again");
            skip = offer(Key::No, "continue anyway");
        }
    }

    /// Asks whether to run a fence's commands. If the learner agrees and the app's start command is needed
    /// but unknown, asks for it.
    fn agrees_to_run(
        &mut self,
        place: Place<'_>,
        shell: &Shell,
        first: Offer,
        skip: Offer,
    ) -> Result<bool, Leave> {
        loop {
            let mut offers = self.offers(place, first);
            offers.insert(1, skip);
            if uses_app(shell) && self.progress.record.app.is_some() {
                offers.insert(2, offer(Key::StartCommand, "start command"));
            }
            match self.learner.press(&offers)? {
                Key::Next => break,
                Key::No => return Ok(false),
                Key::StartCommand => {
                    self.ask_start_command()?;
                    break;
                }
                key => self.obey(place, key)?,
            }
        }
        if uses_app(shell) && self.progress.record.app.is_none() {
            self.ask_start_command()?;
        }
        Ok(true)
    }

    pub(super) fn ask_start_command(&mut self) -> Result<(), Interrupted> {
        let command = self.learner.start_command()?;
        self.progress.record.app = Some(command.trim().to_owned());
        self.save();
        Ok(())
    }

    /// Runs the commands of a fence. Returns whether all of them succeeded.
    fn run_commands(&mut self, shell: &Shell) -> Result<bool, Interrupted> {
        let mut all_succeeded = true;
        for words in &shell.commands {
            let app = self.progress.record.app.as_deref().unwrap_or_default();
            let words = with_app(words, app);
            all_succeeded &= self.run_own(shell.fence.line, &words);
            self.sandbox.pause();
            self.sandbox.connection.stop().check()?;
            self.check_time()?;
        }
        Ok(all_succeeded)
    }

    /// Runs a sessiontut command, and returns whether it succeeded. `serve` runs in the background until the
    /// lesson ends.
    fn run_own(&mut self, line: usize, words: &[String]) -> bool {
        if words.first().is_some_and(|word| word == "serve") {
            // All apps use the same port, so only one can run at a time.
            self.stop_app();
        }
        self.state.failed_lesson = None;
        match (self.run_command)(words) {
            Ok(None) => true,
            Ok(Some(app)) => {
                let address = app.address;
                self.learner.show(&CourseEvent::AppStarted { line, address });
                if app.has_moved() {
                    let text = format!(
                        "port {} is in use, so this app listens on port {}; the addresses below contain this port",
                        app.port_in_lesson(),
                        address.port()
                    );
                    self.say(Mark::Plain, &text);
                }
                self.state.app = Some(app);
                true
            }
            Err(failure) => {
                self.ignore_interrupt_of(&failure);
                self.state.failed_lesson = failure.lesson;
                let what = &failure.what;
                self.learner.show(&CourseEvent::CommandFailed { line, what });
                false
            }
        }
    }

    /// Whether the commands can run with this Redis server. In a cluster, `check` cannot grade an app, so
    /// commands that need the app cannot run. If they cannot run, tells the learner.
    fn can_grade(&mut self, shell: &Shell) -> bool {
        if !uses_app(shell) {
            return true;
        }
        // If Redis is unavailable, the command itself reports the problem.
        let _ = self.sandbox.connection.ask(&["PING"]);
        let can_grade = !self.sandbox.connection.is_cluster();
        if !can_grade {
            self.learner.show(&CourseEvent::Skipped {
                line: shell.fence.line,
                commands: &[],
                why: "not run: `check` needs a single Redis server, not a cluster (unset REDIS_URL to use the practice Redis)",
            });
        }
        can_grade
    }

    /// Whether an earlier command of the lesson starts the app, but the app is not running. The learner may
    /// have skipped the command, or resumed the lesson after it.
    pub(super) fn lacks_app(&self, place: Place<'_>) -> bool {
        self.state.app.is_none() && app_step(place).is_some()
    }

    pub(super) fn stop_app(&mut self) {
        if let Some(app) = self.state.app.take() {
            self.learner.show(&CourseEvent::AppStops);
            app.stop();
        }
    }

    /// Asks the question of a `quiz` fence until the answer is right.
    pub(super) fn quiz(&mut self, place: Place<'_>, quiz: &Quiz) -> Result<(), Leave> {
        self.learner.show(&CourseEvent::Quiz(quiz));
        let right = quiz.right_answers();
        let mut is_first = true;
        loop {
            let offers = self.offers(place, offer(Key::No, "skip"));
            match self.learner.pick(quiz, &offers)? {
                Picked::Answers(picked) => {
                    let picked = &picked[..];
                    if std::mem::take(&mut is_first) {
                        self.progress.record.answer(&place.lesson.id, picked == right);
                    }
                    self.learner.show(&CourseEvent::Answered { quiz, picked });
                    if picked == right {
                        return Ok(());
                    }
                }
                Picked::Key(Key::No) => {
                    self.say_skipped();
                    return Ok(());
                }
                Picked::Key(key) => self.obey(place, key)?,
            }
        }
    }

    /// Returns whether a fence can run on this Redis server. Shows the commands of a fence that cannot run,
    /// and the reason.
    pub(super) fn can_run(&mut self, fence: &FenceOptions, commands: &[LessonExchange]) -> bool {
        let can_run = !(fence.needs_real_redis && self.sandbox.connection.is_practice());
        if !can_run {
            // All commands of a step are skipped for the same reason.
            let why = match std::mem::replace(&mut self.state.skip_explained, true) {
                false => {
                    "not run: this needs a real Redis server, not the practice Redis (to use a real server, set \
                          REDIS_URL)"
                }
                true => "not run, for the same reason",
            };
            let line = fence.line;
            self.learner.show(&CourseEvent::Skipped { line, commands, why });
        }
        can_run
    }

    /// Waits as the fence requires, and shows the TTL of the watched key.
    pub(super) fn wait(&mut self, wait: Option<&Wait>) -> Result<(), SendError> {
        let Some(wait) = wait else {
            return Ok(());
        };
        self.sandbox.pause();
        let waited = self.count_down(wait);
        self.sandbox.resume();
        self.learner.show(&CourseEvent::CountdownOver);
        if let (true, Some(key)) = (waited?, &wait.watch) {
            let text = format!("the TTL has ended: Redis has deleted {key}");
            self.say(Mark::Plain, &text);
        }
        Ok(())
    }

    /// Waits until the time is over or the watched key no longer exists. Returns whether the key is gone.
    fn count_down(&mut self, wait: &Wait) -> Result<bool, SendError> {
        let deadline = Deadline::after(wait.span);
        while !deadline.is_over() {
            self.check_time()?;
            let pttl = match &wait.watch {
                Some(key) => match self.sandbox.connection.ask(&["PTTL", key])? {
                    Value::Int(left) => Some(left),
                    _ => None,
                },
                None => None,
            };
            if pttl == Some(NO_KEY) {
                return Ok(true);
            }
            let left = deadline.left();
            self.learner.show(&CourseEvent::Countdown { wait, left, pttl });
            self.sandbox.connection.sleep(TICK.min(left))?;
        }
        Ok(false)
    }
}

/// Whether the fence contains [`APP`], the placeholder for the learner's start command.
fn uses_app(shell: &Shell) -> bool {
    shell.commands.iter().flatten().any(|word| word == APP)
}

/// Returns the index of the last step that starts the app before this position, or `None` if no step does.
pub(super) fn app_step(place: Place<'_>) -> Option<usize> {
    let starts = |block: &Block| matches!(block, Block::Shell(shell) if starts_app(shell));
    let steps = &place.lesson.steps;
    let before = |step: usize| match step == place.step {
        true => place.block.min(steps[step].blocks.len()),
        false => steps[step].blocks.len(),
    };
    (0..=place.step)
        .rev()
        .find(|step| steps[*step].blocks[..before(*step)].iter().any(starts))
}

/// Whether the fence starts the lesson's app with `serve`.
fn starts_app(shell: &Shell) -> bool {
    let mut commands = shell.commands.iter();
    commands.any(|words| words.first().is_some_and(|word| word == "serve"))
}

/// If the last word is [`APP`], replaces this word with `app`, the learner's start command. With an empty
/// `app`, `check` waits until the learner has started the app.
fn with_app(words: &[String], app: &str) -> Vec<String> {
    let Some((_, before)) = words.split_last().filter(|(last, _)| *last == APP) else {
        return words.to_vec();
    };
    let mut words = before.to_vec();
    if app.is_empty() {
        words.pop_if(|word| word == "--");
    } else if cfg!(unix) {
        words.extend(["sh", "-c", app].map(str::to_owned));
    } else {
        words.extend(app.split_whitespace().map(str::to_owned));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learners_command_is_filled_in_or_left_out() {
        let words = ["check", "--stage", "1", "--", APP].map(str::to_owned);
        assert_eq!(with_app(&words, ""), words[..3]);
        let started = with_app(&words, "python app.py --debug");
        assert_eq!(started[..4], words[..4]);
        assert!(started.last().is_some_and(|last| last.ends_with("--debug")));
        assert_eq!(with_app(&words[..3], "python"), words[..3]);
    }
}

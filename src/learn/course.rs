//! Takes a [`Learner`] through lessons, step by step. The learner chooses the next step.

mod attempt;
mod blocks;
mod menu;
mod setup;

use std::borrow::Cow;
use std::time::Instant;

use super::app::{RunCommand, RunningApp};
use super::learner::{CourseEvent, Key, Learner, Mark, Offer, Standing};
use super::lesson::{Block, CodeTab, Lesson, Shell};
use super::lesson_files::{LessonFiles, Lessons};
use super::name::NameLock;
use super::progress::{LessonProgress, Progress};
use super::recap;
use super::sandbox::Sandbox;
use crate::deadline::Deadline;
use crate::signals::Interrupted;
use menu::{LIST, QUIT, offer};

pub(crate) struct Course<'a> {
    pub files: &'a LessonFiles,
    /// The lessons, with the learner's name filled in.
    pub lessons: Lessons,
    pub progress: Progress,
    pub sandbox: Sandbox,
    pub learner: &'a mut dyn Learner,
    pub run_command: &'a mut RunCommand<'a>,
    pub language: String,
    pub guest: Guest,
    /// The time limit of the course, or `None` for no limit.
    pub deadline: Option<Deadline>,
    pub state: CourseState,
}

/// The state of the current lesson.
#[derive(Default)]
pub(crate) struct CourseState {
    /// The app that a `serve` command in the lesson has started, or `None`.
    app: Option<RunningApp>,
    lock: Option<NameLock>,
    /// Whether the learner's user name is determined, even if Redis has rejected the lock on the name.
    is_named: bool,
    /// Whether the learner has just chosen a different name, while the text on the screen still shows the old
    /// name.
    renamed: bool,
    /// Whether the lesson's keys are ready for the current position.
    keys_ready: bool,
    fast_lane: bool,
    /// Whether the last `sh run` of this step was skipped.
    command_skipped: bool,
    /// Whether the learner has been told why this step's commands are skipped.
    skip_explained: bool,
    /// The lesson section about the first failed check of the last grading, as `lesson#step`. This section
    /// becomes the learner's first hint.
    failed_lesson: Option<&'static str>,
    /// The paths of the complete files that have been shown.
    files_shown: Vec<&'static str>,
    /// The indexes of this step's hints that have been shown.
    hints_shown: Vec<usize>,
}

/// Whether the learner must be asked before the lesson writes to a Redis that contains keys of other
/// programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guest {
    /// No question is needed: the learner agreed in an earlier run, or uses the practice Redis.
    Known,
    /// The learner must be asked before the first write.
    ToAsk,
    /// The learner agreed in this run.
    Agreed,
}

/// Why a block ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    /// The learner continues with the next block.
    Skip,
    /// The learner restarts this step.
    Redo,
    /// The learner goes back to the previous step.
    Back,
    /// The learner goes to the lesson with this index.
    Lesson(usize),
    Quit,
    Interrupted,
}

impl From<Interrupted> for Leave {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CourseEnd {
    /// The learner quit before the end of the course.
    Left,
    AllDone,
    OutOfTime,
}

/// A position in a lesson: the index of a step, and the index of a block in that step.
#[derive(Clone, Copy)]
struct Place<'l> {
    lesson: &'l Lesson,
    step: usize,
    block: usize,
}

impl Place<'_> {
    fn blocks(&self) -> &[Block] {
        &self.lesson.steps[self.step].blocks
    }
}

impl Course<'_> {
    /// Teaches the lessons from index `first`, until the learner quits or completes all lessons. Call
    /// [`Course::clean_up`] afterwards, even after an error.
    pub(crate) fn teach(&mut self, first: usize) -> Result<CourseEnd, Interrupted> {
        let mut index = first;
        loop {
            let id = self.lessons.list[index].id.clone();
            let started = Instant::now();
            let ended = self.lesson(index);
            self.stop_app();
            self.progress.record.spend(&id, started.elapsed());
            self.state.fast_lane = false;
            match ended {
                Ok(Some(next)) | Err(Leave::Lesson(next)) => index = next,
                Ok(None) => {
                    self.conclude();
                    return Ok(CourseEnd::AllDone);
                }
                Err(Leave::Interrupted) if self.is_out_of_time() => return Ok(CourseEnd::OutOfTime),
                Err(Leave::Interrupted) => return Err(Interrupted),
                Err(_) => return Ok(CourseEnd::Left),
            }
        }
    }

    /// Shows the learner's results and a summary of the course.
    fn conclude(&mut self) {
        let all = self.lessons.list.iter();
        let all: Vec<LessonProgress> = all.map(|lesson| self.progress.record.of(&lesson.id)).collect();
        let sum = |of: fn(&LessonProgress) -> usize| all.iter().map(of).sum::<usize>();
        let minutes = all.iter().map(|lesson| lesson.seconds).sum::<u64>().div_ceil(60);
        let (right, quizzes) = (sum(|lesson| lesson.right_at_once), sum(|lesson| lesson.quizzes));
        let mut text = format!("all lessons are done, in {minutes} min");
        if quizzes > 0 {
            text.push_str(&format!("; {right} of {quizzes} quizzes right on the first try"));
        }
        self.say(Mark::Success, &text);
        self.learner.show(&CourseEvent::Prose(recap()));
    }

    /// Removes the lesson's keys, and releases the learner's name. Returns whether all keys were removed.
    pub(crate) fn clean_up(&mut self) -> bool {
        self.stop_app();
        let removed = self.sandbox.remove_at_the_end();
        if let Some(lock) = self.state.lock.take() {
            lock.release(&mut self.sandbox.connection);
        }
        // Without a name, this run has written nothing, and an earlier run's keys still exist.
        match (self.state.is_named, removed) {
            (false, _) => {}
            (true, true) => (self.progress.record.keys, self.progress.record.name) = (Vec::new(), None),
            (true, false) => self.note_keys(),
        }
        self.save();
        removed
    }

    /// Teaches one lesson. Returns the index of the next lesson, or `None` if all lessons are complete.
    fn lesson(&mut self, index: usize) -> Result<Option<usize>, Leave> {
        let mut lesson = self.lessons.list[index].clone();
        let mut step = self
            .progress
            .record
            .of(&lesson.id)
            .step
            .min(lesson.steps.len() - 1);
        self.state.keys_ready = false;
        self.learner.show(&CourseEvent::Lesson {
            lesson: &lesson,
            position: (index + 1, self.lessons.list.len()),
            step,
        });
        self.prepare(Place {
            lesson: &lesson,
            step,
            block: 0,
        })?;
        // The learner may have chosen a different name, which changes the text.
        lesson = self.lessons.list[index].clone();
        if step == 0 {
            self.progress.record.begin(&lesson.id);
            for block in &lesson.introduction {
                self.show_text(block);
            }
        }
        while step < lesson.steps.len() {
            self.progress.record.arrive(&lesson.id, step);
            self.save();
            match self.step(&lesson, step) {
                Ok(()) => step += 1,
                Err(Leave::Redo) => self.state.keys_ready = false,
                Err(Leave::Back) => {
                    step = step.saturating_sub(1);
                    self.state.keys_ready = false;
                }
                Err(Leave::Lesson(other)) if other == index => {
                    step = 0;
                    self.state.fast_lane = false;
                    self.state.keys_ready = false;
                }
                Err(leave) => return Err(leave),
            }
            lesson = self.lessons.list[index].clone();
        }
        self.end_lesson(&lesson, index)
    }

    fn end_lesson(&mut self, lesson: &Lesson, index: usize) -> Result<Option<usize>, Leave> {
        self.progress.record.finish(&lesson.id);
        let list = &self.lessons.list;
        let following = (index + 1 < list.len()).then_some(index + 1);
        let open = || {
            list.iter()
                .position(|other| !self.progress.record.of(&other.id).done)
        };
        let next = following.or_else(open);
        match next.map(|next| list[next].id.clone()) {
            Some(id) => self
                .progress
                .record
                .arrive(&id, self.progress.record.of(&id).step),
            None => self.progress.record.current = None,
        }
        self.save();
        self.learner.show(&CourseEvent::LessonDone(lesson));
        // If Redis is unavailable now, the keys are removed at the end of the course.
        let _ = self.sandbox.clear();
        let Some(next) = next else {
            return Ok(None);
        };
        let does = if following.is_some() {
            "next lesson"
        } else {
            "next unfinished lesson"
        };
        loop {
            match self
                .learner
                .press(&[Offer { key: Key::Next, does }, LIST, QUIT])?
            {
                Key::Next => return Ok(Some(next)),
                Key::List => self.list()?,
                _ => return Err(Leave::Quit),
            }
        }
    }

    fn step(&mut self, lesson: &Lesson, step: usize) -> Result<(), Leave> {
        self.state.hints_shown.clear();
        self.state.command_skipped = false;
        self.state.skip_explained = false;
        self.learner.show(&CourseEvent::Step { lesson, step });
        let blocks = &lesson.steps[step].blocks;
        let place = Place {
            lesson,
            step,
            block: 0,
        };
        let uses_app = |block: &Block| match block {
            Block::Shell(shell) => shell.commands.is_empty(),
            Block::Redis(_) | Block::Check(_) => true,
            _ => false,
        };
        if self.lacks_app(place)
            && let Some(starts) = blocks::app_step(place)
            && blocks.iter().any(uses_app)
        {
            let title = &lesson.steps[starts].title;
            let text = format!(
                "the app of this lesson is not running; to start it, press b until you reach the step \"{title}\""
            );
            self.say(Mark::Warning, &text);
        }
        for (block, content) in blocks.iter().enumerate() {
            self.check_time()?;
            match self.block(Place { lesson, step, block }, content) {
                Ok(()) | Err(Leave::Skip) => {}
                Err(leave) => return Err(leave),
            }
        }
        if self.state.fast_lane {
            return Ok(());
        }
        let block = blocks.len();
        self.wait_for_next(Place { lesson, step, block }, "next")
    }

    fn block(&mut self, place: Place<'_>, block: &Block) -> Result<(), Leave> {
        match block {
            Block::Prose(_) | Block::Code(_) | Block::Diagram(_) => {
                if self.state.fast_lane && !leads_to_task(place) {
                    return Ok(());
                }
                self.read(place, block)
            }
            Block::Shell(shell) => self.shell(place, shell),
            Block::Redis(transcript) => self.demonstrate(place, transcript),
            Block::Try { solution, checks } => self.attempt(place, solution, checks),
            Block::Check(check) => self.check(place, check),
            Block::Quiz(quiz) => self.quiz(place, quiz),
        }
    }

    /// Shows a block of text. If the learner presses a key at a pause in the text, performs the key's
    /// action, and shows the block again, because the rest of the block has not been shown.
    fn read(&mut self, place: Place<'_>, block: &Block) -> Result<(), Leave> {
        let after = Place {
            block: place.block + 1,
            ..place
        };
        let mut offers = self.offers(after, offer(Key::Next, "more"));
        offers.retain(|offer| offer.key != Key::Solution);
        self.learner.show(&CourseEvent::Reading(&offers));
        self.show_text(block);
        while let Some(key) = self.learner.key_at_pause() {
            self.obey(after, key)?;
            // `l` has already shown the code in the next language.
            if key != Key::Language || !matches!(block, Block::Code(_)) {
                self.show_text(block);
            }
        }
        Ok(())
    }

    fn show_text(&mut self, block: &Block) {
        match block {
            Block::Prose(text) => {
                let text = self.with_address(text);
                self.learner.show(&CourseEvent::Prose(&text));
            }
            Block::Code(tabs) => {
                let shown = self.tab_of(tabs);
                self.learner.show(&CourseEvent::Code { tabs, shown });
            }
            Block::Diagram(diagram) => self.learner.show(&CourseEvent::Diagram(diagram)),
            Block::Shell(shell) => self.show_shell(shell),
            _ => {}
        }
    }

    fn show_shell(&mut self, shell: &Shell) {
        let text = self.with_address(&shell.text);
        self.learner.show(&CourseEvent::Shell(&text));
    }

    /// Replaces the app's address in the lesson's text if the app uses a different port.
    fn with_address<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.state.app {
            Some(app) => app.with_address(text).into(),
            None => text.into(),
        }
    }

    fn tab_of(&self, tabs: &[CodeTab]) -> usize {
        tabs.iter()
            .position(|tab| tab.language == self.language)
            .unwrap_or(0)
    }

    fn say(&mut self, mark: Mark, text: &str) {
        self.learner.show(&CourseEvent::Message(mark, text));
    }

    /// Tells the learner that a task, a quiz or a command is skipped.
    fn say_skipped(&mut self) {
        self.say(Mark::Plain, "skipped");
    }

    fn save(&mut self) {
        if let Err(problem) = self.progress.save() {
            self.say(Mark::Plain, &problem);
        }
    }

    fn is_out_of_time(&self) -> bool {
        self.deadline.is_some_and(Deadline::is_over)
    }

    /// Returns [`Interrupted`] after the time limit of the course, as after Ctrl-C.
    fn check_time(&self) -> Result<(), Interrupted> {
        if self.is_out_of_time() {
            return Err(Interrupted);
        }
        Ok(())
    }
}

/// Whether the block at this position is the last text before the learner must act.
fn leads_to_task(place: Place<'_>) -> bool {
    let mut after = place.blocks()[place.block + 1..].iter();
    let next = after.find(|block| !matches!(block, Block::Code(_) | Block::Diagram(_)));
    matches!(
        next,
        Some(Block::Try { .. } | Block::Quiz(_) | Block::Check(_) | Block::Shell(_))
    )
}

/// Returns every lesson with the learner's progress.
pub(crate) fn standings<'l>(lessons: &'l Lessons, progress: &Progress) -> Vec<(&'l Lesson, Standing)> {
    let standing = |lesson: &Lesson| {
        let of = progress.record.of(&lesson.id);
        let is_current = progress.record.current.as_deref() == Some(lesson.id.as_str());
        // A completed lesson that is restarted counts as in progress only from its second step.
        if is_current && !(of.done && of.step == 0) {
            Standing::Current
        } else if of.done {
            Standing::Done
        } else {
            Standing::Open
        }
    };
    let all = lessons.list.iter();
    all.map(|lesson| (lesson, standing(lesson))).collect()
}

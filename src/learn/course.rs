//! Lessons by hand: step by step, with the learner deciding where to go.

mod attempt;
mod menu;
mod staging;
mod task;

use super::classroom::{Classroom, Key, Offer, Said, Standing};
use super::lesson::{Block, Language, Lesson, Tab, Transcript};
use super::link::Trouble;
use super::lock::Lock;
use super::progress::Progress;
use super::scene::{Point, Scene};
use super::shelf::{Book, Shelf};
use super::stop::Interrupted;
use super::unattended::Commands;
use menu::{LIST, QUIT};

/// A learner's sitting.
pub(crate) struct Course<'a> {
    /// Where the lessons come from.
    pub shelf: &'a Shelf,
    /// The lessons, as they are for this learner's name.
    pub book: Book,
    /// What is kept between sittings.
    pub progress: Progress,
    /// Redis.
    pub scene: Scene,
    /// The learner.
    pub room: &'a mut dyn Classroom,
    /// Our own commands.
    pub commands: &'a mut dyn Commands,
    /// The language that code is shown in.
    pub language: Language,
    /// Whether the learner knows that this Redis is other people's, too.
    pub guest: Guest,
    lock: Option<Lock>,
    pace: Pace,
    staging: Staging,
    name: Name,
    shell: Answer,
    /// Hints of the step that were shown, by their place.
    hints_shown: Vec<usize>,
}

/// Whether a learner knows that a Redis holds other people's keys, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guest {
    /// They do, or it does not matter: the practice Redis is their own.
    Known,
    /// They are to be asked before the first write.
    ToAsk,
    /// They were asked, and agreed.
    Agreed,
}

/// How much of a lesson is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// All of it.
    Full,
    /// Only its tasks: "I know this, let me prove it".
    FastLane,
}

/// Whether the lesson's keys are as they must be at this point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Staging {
    Stale,
    Ready,
}

/// Whether the lesson's text is the one for the learner's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Settled,
    /// It was chosen just now: what is shown is still another learner's.
    New,
}

/// What the learner said to the last command that the lesson would run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Run,
    NotNow,
}

/// Where the learner goes from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// On to what follows.
    On,
    /// This step again.
    Redo,
    /// The step before.
    Back,
    /// Another lesson, by its place.
    Go(usize),
    /// Away.
    Leave,
}

/// How a sitting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The learner left.
    Left,
    /// All lessons are gone through.
    AllDone,
}

/// One step, for whoever teaches a part of it.
#[derive(Clone, Copy)]
struct Here<'l> {
    lesson: &'l Lesson,
    step: usize,
    block: usize,
}

impl Here<'_> {
    fn point(self) -> Point {
        Point {
            step: self.step,
            block: self.block,
        }
    }
}

impl<'a> Course<'a> {
    /// A sitting that has not begun.
    pub(crate) fn new(
        shelf: &'a Shelf,
        book: Book,
        progress: Progress,
        scene: Scene,
        room: &'a mut dyn Classroom,
        commands: &'a mut dyn Commands,
        language: Language,
    ) -> Self {
        Self {
            shelf,
            book,
            progress,
            scene,
            room,
            commands,
            language,
            guest: Guest::Known,
            lock: None,
            pace: Pace::Full,
            staging: Staging::Stale,
            name: Name::Settled,
            shell: Answer::Run,
            hints_shown: Vec::new(),
        }
    }

    /// Teaches from this lesson on, until the learner leaves or has seen all.
    ///
    /// # Errors
    /// [`Interrupted`]. Either way [`Course::tidy`] is to be called next.
    pub(crate) fn teach(&mut self, first: usize) -> Result<Ended, Interrupted> {
        let left_behind: Vec<Vec<u8>> = self
            .progress
            .keys()
            .iter()
            .map(|key| key.clone().into_bytes())
            .collect();
        self.scene.adopt(left_behind);
        let mut place = first;
        while place < self.book.lessons.len() {
            let turn = self.lesson(place)?;
            self.commands.end();
            self.pace = Pace::Full;
            match turn {
                Turn::Leave => return Ok(Ended::Left),
                Turn::Go(other) => place = other,
                _ => place += 1,
            }
        }
        let all_done = self
            .book
            .lessons
            .iter()
            .all(|lesson| self.progress.of(&lesson.id).done);
        if all_done {
            self.room.tell(&Said::AllDone);
            return Ok(Ended::AllDone);
        }
        Ok(Ended::Left)
    }

    /// Removes the keys and gives the name back; says whether that was possible.
    pub(crate) fn tidy(&mut self) -> bool {
        self.commands.end();
        let removed = self.scene.leave();
        if let Some(lock) = self.lock.take() {
            lock.release(&mut self.scene.link);
        }
        if removed {
            self.progress.note_keys(Vec::new());
        } else {
            self.note_keys();
        }
        self.save();
        removed
    }

    fn lesson(&mut self, place: usize) -> Result<Turn, Interrupted> {
        let id = self.book.lessons[place].id.clone();
        let mut step = self
            .progress
            .of(&id)
            .step
            .min(self.book.lessons[place].steps.len() - 1);
        self.staging = Staging::Stale;
        let mut is_new = true;
        loop {
            // Fetched anew each time: under another name it is another text.
            let lesson = self.book.lessons[place].clone();
            if is_new {
                self.room.tell(&Said::Lesson {
                    lesson: &lesson,
                    of: self.book.lessons.len(),
                    step,
                });
                is_new = false;
                self.approach(Here {
                    lesson: &lesson,
                    step,
                    block: 0,
                })?;
                if step == 0 {
                    self.introduce(&lesson);
                }
                continue;
            }
            if step >= lesson.steps.len() {
                return self.end_of(&lesson, place);
            }
            self.progress.arrive(&id, step);
            self.save();
            match self.step(&lesson, step)? {
                Turn::On => step += 1,
                Turn::Redo => self.staging = Staging::Stale,
                Turn::Back => {
                    step = step.saturating_sub(1);
                    self.staging = Staging::Stale;
                }
                Turn::Go(other) if other == place => {
                    step = 0;
                    self.staging = Staging::Stale;
                }
                turn => return Ok(turn),
            }
        }
    }

    fn introduce(&mut self, lesson: &Lesson) {
        for block in &lesson.introduction {
            self.show(block);
        }
    }

    fn end_of(&mut self, lesson: &Lesson, place: usize) -> Result<Turn, Interrupted> {
        self.progress.finish(&lesson.id);
        let open = |other: &usize| !self.progress.of(&self.book.lessons[*other].id).done;
        let following = (place + 1 < self.book.lessons.len()).then_some(place + 1);
        let next = following.or_else(|| (0..self.book.lessons.len()).find(open));
        if next.is_none() {
            self.progress.rest();
        }
        if let Some(next) = next {
            let id = self.book.lessons[next].id.clone();
            self.progress.arrive(&id, self.progress.of(&id).step);
        }
        self.save();
        self.room.tell(&Said::LessonDone(lesson));
        if let Err(Trouble::Interrupted(interrupted)) = self.scene.clear() {
            return Err(interrupted);
        }
        let Some(next) = next else {
            return Ok(Turn::On);
        };
        let does = if following.is_some() {
            "next lesson"
        } else {
            "a lesson that is still open"
        };
        loop {
            match self.room.key(&[Offer { key: Key::Next, does }, LIST, QUIT])? {
                Key::Next => return Ok(Turn::Go(next)),
                Key::List => {
                    if let Some(turn) = self.list()? {
                        return Ok(turn);
                    }
                }
                _ => return Ok(Turn::Leave),
            }
        }
    }

    fn step(&mut self, lesson: &Lesson, step: usize) -> Result<Turn, Interrupted> {
        self.hints_shown.clear();
        self.shell = Answer::Run;
        self.room.tell(&Said::Step { lesson, step });
        let blocks = &lesson.steps[step].blocks;
        for (block, content) in blocks.iter().enumerate() {
            let here = Here { lesson, step, block };
            let turn = match content {
                Block::Prose(_) | Block::Code(_) => {
                    if self.pace == Pace::Full {
                        self.show(content);
                    }
                    Turn::On
                }
                Block::Shell(shell) => self.shell(here, shell)?,
                Block::Redis(transcript) => self.demonstrate(here, transcript)?,
                Block::Try { solution, checks } => self.attempt(here, solution, checks)?,
                Block::Check(check) => self.check(here, check)?,
                Block::Quiz(quiz) => self.quiz(here, quiz)?,
            };
            if turn != Turn::On {
                return Ok(turn);
            }
        }
        if self.pace == Pace::FastLane {
            return Ok(Turn::On);
        }
        let here = Here {
            lesson,
            step,
            block: blocks.len(),
        };
        self.choose(here, "next", &mut |_| Turn::On)
    }

    fn show(&mut self, block: &Block) {
        match block {
            Block::Prose(text) => self.room.tell(&Said::Prose(text)),
            Block::Code(tabs) => {
                let shown = self.tab_of(tabs);
                self.room.tell(&Said::Code { tabs, shown });
            }
            Block::Shell(shell) => self.room.tell(&Said::Shell(shell)),
            _ => {}
        }
    }

    fn tab_of(&self, tabs: &[Tab]) -> usize {
        tabs.iter()
            .position(|tab| tab.language == self.language)
            .unwrap_or(0)
    }

    pub(super) fn save(&mut self) {
        if let Err(line) = self.progress.save() {
            self.room.tell(&Said::Note(&line));
        }
    }
}

/// Every lesson and how far it is.
#[must_use]
pub(crate) fn standings<'b>(book: &'b Book, progress: &Progress) -> Vec<(&'b Lesson, Standing)> {
    let standing = |lesson: &Lesson| {
        if progress.current() == Some(lesson.id.as_str()) {
            Standing::Now
        } else if progress.of(&lesson.id).done {
            Standing::Done
        } else {
            Standing::Open
        }
    };
    book.lessons
        .iter()
        .map(|lesson| (lesson, standing(lesson)))
        .collect()
}

/// Whether a transcript can be shown on this Redis.
fn can_run(scene: &Scene, transcript: &Transcript) -> bool {
    transcript.needs == super::lesson::Needs::AnyRedis || !scene.link.is_practice()
}

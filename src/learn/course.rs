//! Lessons by hand: step by step, with the learner deciding where to go.

use super::classroom::{Classroom, Key, Offer, Said, Standing};
use super::lesson::{Block, Language, Lesson, Tab, Transcript};
use super::link::{At, Trouble, Unanswered};
use super::lock::{Attempt, Lock};
use super::names::{self, FIRST_NAME};
use super::progress::Progress;
use super::scene::{Point, Scene};
use super::shelf::{Book, Shelf};
use super::stop::Interrupted;
use super::unattended::Commands;

/// A learner's sitting.
pub struct Course<'a> {
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
    pub(super) lock: Option<Lock>,
    pub(super) pace: Pace,
    pub(super) staging: Staging,
    pub(super) name: Name,
    pub(super) shell: Answer,
    /// Hints of the step that were shown, by their place.
    pub(super) hints_shown: Vec<usize>,
}

/// How much of a lesson is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// All of it.
    Full,
    /// Only its tasks: "I know this, let me prove it".
    FastLane,
}

/// Whether the lesson's keys are as they must be at this point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Staging {
    Stale,
    Ready,
}

/// Whether the lesson's text is the one for the learner's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Settled,
    /// It was chosen just now: what is shown is still another learner's.
    New,
}

/// What the learner said to the last command that the lesson would run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Run,
    NotNow,
}

/// Where the learner goes from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
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
pub enum Ended {
    /// The learner left.
    Left,
    /// All lessons are gone through.
    AllDone,
}

pub(super) const QUIT: Offer = Offer {
    key: Key::Quit,
    does: "quit",
};
const LIST: Offer = Offer {
    key: Key::List,
    does: "list",
};
const REDO: Offer = Offer {
    key: Key::Redo,
    does: "redo",
};
const BACK: Offer = Offer {
    key: Key::Back,
    does: "back",
};
const LANGUAGE: Offer = Offer {
    key: Key::Language,
    does: "language",
};
const HINT: Offer = Offer {
    key: Key::Hint,
    does: "hint",
};
const SOLUTION: Offer = Offer {
    key: Key::Solution,
    does: "solution",
};
const FAST_LANE: Offer = Offer {
    key: Key::FastLane,
    does: "I know this",
};
const PING: Offer = Offer {
    key: Key::Ping,
    does: "ping",
};

/// One step, for whoever teaches a part of it.
#[derive(Clone, Copy)]
pub(super) struct Here<'l> {
    pub(super) lesson: &'l Lesson,
    pub(super) step: usize,
    pub(super) block: usize,
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
    pub fn new(
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
    pub fn teach(&mut self, first: usize) -> Result<Ended, Interrupted> {
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
    pub fn tidy(&mut self) -> bool {
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

    /// Takes the name on this Redis before the lesson needs it; a Redis that does not answer is met again later.
    fn approach(&mut self, here: Here<'_>) -> Result<(), Interrupted> {
        if !uses_redis(here.lesson) {
            return Ok(());
        }
        self.room.tell(&Said::Asking(self.scene.link.target()));
        let staged = self.stage(here);
        self.room.tell(&Said::CountdownOver);
        self.name = Name::Settled;
        match staged {
            Ok(()) => Ok(()),
            Err(Trouble::Interrupted(interrupted)) => Err(interrupted),
            Err(Trouble::Redis(unanswered)) => {
                self.room.tell(&Said::Trouble(&unanswered));
                self.room.tell(&Said::Note(
                    "you can read on; it is tried again when a command is to run",
                ));
                Ok(())
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

    /// Asks what to do, and does it, until the learner goes on or away.
    pub(super) fn choose(
        &mut self,
        here: Here<'_>,
        next: &'static str,
        on: &mut dyn FnMut(&mut Self) -> Turn,
    ) -> Result<Turn, Interrupted> {
        loop {
            let offers = self.offers(here, next);
            let key = self.room.key(&offers)?;
            if key == Key::Next {
                return Ok(on(self));
            }
            if let Some(turn) = self.obey(here, key)? {
                return Ok(turn);
            }
        }
    }

    /// What can be done at a point of a lesson.
    pub(super) fn offers(&self, here: Here<'_>, next: &'static str) -> Vec<Offer> {
        let step = &here.lesson.steps[here.step];
        let mut offers = vec![Offer {
            key: Key::Next,
            does: next,
        }];
        if !self.hints_for(here).is_empty() {
            offers.push(HINT);
        }
        if matches!(step.blocks.get(here.block), Some(Block::Try { .. })) {
            offers.push(SOLUTION);
        }
        if languages_before(here).len() > 1 {
            offers.push(LANGUAGE);
        }
        offers.extend([LIST, REDO]);
        if here.step > 0 {
            offers.push(BACK);
        }
        if self.pace == Pace::Full
            && here
                .lesson
                .steps
                .iter()
                .any(|step| step.blocks.iter().any(is_task))
        {
            offers.push(FAST_LANE);
        }
        offers.extend([PING, QUIT]);
        offers
    }

    /// Does what a key means anywhere; `None` when the learner stays where they are.
    pub(super) fn obey(&mut self, here: Here<'_>, key: Key) -> Result<Option<Turn>, Interrupted> {
        match key {
            Key::Hint => self.hint(here),
            Key::Language => self.next_language(here),
            Key::List => return self.list(),
            Key::Ping => {
                // Its own report says all there is to say, whatever it found.
                let _ = self.commands.run(&["ping".to_owned()]);
            }
            Key::FastLane => {
                self.pace = Pace::FastLane;
                self.room.tell(&Said::FastLane);
                return Ok(Some(Turn::Redo));
            }
            Key::Redo => return Ok(Some(Turn::Redo)),
            Key::Back => return Ok(Some(Turn::Back)),
            Key::Quit => return Ok(Some(Turn::Leave)),
            Key::Next | Key::No | Key::Solution => {}
        }
        Ok(None)
    }

    /// Hints for the block at hand, or for the last task before it.
    fn hints_for(&self, here: Here<'_>) -> Vec<usize> {
        let hints = &here.lesson.steps[here.step].hints;
        let block = hints
            .iter()
            .map(|hint| hint.block)
            .filter(|block| *block <= here.block)
            .max();
        (0..hints.len())
            .filter(|place| Some(hints[*place].block) == block)
            .collect()
    }

    fn hint(&mut self, here: Here<'_>) {
        let places = self.hints_for(here);
        let next = places.iter().position(|place| !self.hints_shown.contains(place));
        // After the last one, the last one again.
        let Some(number) = next.or(places.len().checked_sub(1)) else {
            return self.room.tell(&Said::NoHint);
        };
        let place = places[number];
        self.hints_shown.push(place);
        let hint = &here.lesson.steps[here.step].hints[place];
        self.room.tell(&Said::Hint {
            hint,
            number: number + 1,
            of: places.len(),
        });
    }

    fn next_language(&mut self, here: Here<'_>) {
        let tabs = languages_before(here);
        if tabs.len() < 2 {
            return self.room.tell(&Said::OneLanguage);
        }
        let next = (self.tab_of(tabs) + 1) % tabs.len();
        self.language = tabs[next].language.clone();
        self.progress.prefer(&self.language.0);
        self.save();
        self.room.tell(&Said::Language(&self.language));
        self.room.tell(&Said::Code { tabs, shown: next });
    }

    fn list(&mut self) -> Result<Option<Turn>, Interrupted> {
        self.room
            .tell(&Said::List(&standings(&self.book, &self.progress)));
        let word = self
            .room
            .line("go to (number, name, a part of a word; Enter: stay)")?;
        if word.trim().is_empty() {
            return Ok(None);
        }
        match self.book.find(&word) {
            Ok(place) => Ok(Some(Turn::Go(place))),
            Err(line) => {
                self.room.tell(&Said::Sorry(&line));
                Ok(None)
            }
        }
    }

    /// Does something with Redis; where Redis does not answer, says so and goes on when it does.
    ///
    /// `None` when the learner would rather go elsewhere: the turn says where.
    pub(super) fn with_redis<T>(
        &mut self,
        here: Here<'_>,
        work: &mut dyn FnMut(&mut Self) -> Result<T, Trouble>,
    ) -> Result<Result<T, Turn>, Interrupted> {
        let mut breaks = 0;
        loop {
            let staged = self.stage(here);
            if staged.is_ok() && self.name == Name::New {
                self.name = Name::Settled;
                return Ok(Err(Turn::Redo));
            }
            match staged.and_then(|()| work(self)) {
                Ok(done) => return Ok(Ok(done)),
                Err(Trouble::Interrupted(interrupted)) => return Err(interrupted),
                Err(Trouble::Redis(unanswered)) => {
                    self.staging = Staging::Stale;
                    breaks += 1;
                    let turn = match self.look_again(here, &unanswered)? {
                        Ok(()) if breaks == 1 => {
                            self.room.tell(&Said::Reconnected(&unanswered));
                            None
                        }
                        Ok(()) => self.sit_out(here, &unanswered)?,
                        Err(now) => self.sit_out(here, &now)?,
                    };
                    if let Some(turn) = turn {
                        return Ok(Err(turn));
                    }
                }
            }
        }
    }

    /// A connection can break, or be closed for being idle, while Redis is well; else a new attempt says more about
    /// what is wrong than the end of the old connection does.
    fn look_again(
        &mut self,
        here: Here<'_>,
        broke: &Unanswered,
    ) -> Result<Result<(), Unanswered>, Interrupted> {
        if broke.at == At::Connecting {
            return Ok(Err(broke.clone()));
        }
        match self.stage(here) {
            Ok(()) => Ok(Ok(())),
            Err(Trouble::Interrupted(interrupted)) => Err(interrupted),
            Err(Trouble::Redis(now)) => Ok(Err(now)),
        }
    }

    /// Says what is wrong with Redis, until it is not, or the learner goes elsewhere.
    fn sit_out(&mut self, here: Here<'_>, unanswered: &Unanswered) -> Result<Option<Turn>, Interrupted> {
        self.room.tell(&Said::Trouble(unanswered));
        let again = Offer {
            key: Key::Next,
            does: "try again",
        };
        let skip = Offer {
            key: Key::No,
            does: "go on without",
        };
        loop {
            match self.room.key(&[again, PING, skip, LIST, QUIT])? {
                Key::Next => match self.stage(here) {
                    Ok(()) => {
                        self.room.tell(&Said::BackAgain);
                        return Ok(None);
                    }
                    Err(Trouble::Interrupted(interrupted)) => return Err(interrupted),
                    Err(Trouble::Redis(unanswered)) => self.room.tell(&Said::Trouble(&unanswered)),
                },
                Key::No => return Ok(Some(Turn::On)),
                key => {
                    if let Some(turn) = self.obey(here, key)? {
                        return Ok(Some(turn));
                    }
                }
            }
        }
    }

    /// Makes the lesson's keys what they must be at this point, where they may not be.
    fn stage(&mut self, here: Here<'_>) -> Result<(), Trouble> {
        if self.staging == Staging::Ready {
            return Ok(());
        }
        self.take_name()?;
        // Under another name the keys are others.
        let lesson = self
            .book
            .lessons
            .iter()
            .find(|lesson| lesson.id == here.lesson.id);
        let lesson = lesson.cloned().unwrap_or_else(|| here.lesson.clone());
        self.scene.open(&lesson)?;
        self.note_keys();
        self.save();
        self.scene.set_up(&lesson, here.point())?;
        self.staging = Staging::Ready;
        Ok(())
    }

    /// Takes the lessons' own name on this Redis, or one that the learner chooses where somebody else has it.
    fn take_name(&mut self) -> Result<(), Trouble> {
        if self.lock.is_some() {
            return Ok(());
        }
        let mut name = FIRST_NAME.to_owned();
        while self.lock.is_none() {
            match Lock::take(&mut self.scene.link, &name)? {
                Attempt::Taken(lock) => self.lock = Some(lock),
                Attempt::Impossible => return Ok(()),
                Attempt::Busy => {
                    self.room.tell(&Said::NameTaken(&name));
                    name = self.another_name()?;
                }
            }
        }
        if name != FIRST_NAME {
            if let Ok(book) = self.shelf.read(&name) {
                self.book = book;
            }
            self.name = Name::New;
            self.room.tell(&Said::Named(&name));
        }
        Ok(())
    }

    fn another_name(&mut self) -> Result<String, Interrupted> {
        loop {
            let name = self.room.line("your name")?.trim().to_lowercase();
            if names::is_name(&name) {
                return Ok(name);
            }
            self.room.tell(&Said::BadName(&name));
        }
    }

    pub(super) fn note_keys(&mut self) {
        let keys = self
            .scene
            .keys()
            .map(|key| String::from_utf8_lossy(key).into_owned())
            .collect();
        self.progress.note_keys(keys);
    }

    pub(super) fn save(&mut self) {
        if let Err(line) = self.progress.save() {
            self.room.tell(&Said::Note(&line));
        }
    }
}

/// Every lesson and how far it is.
#[must_use]
pub fn standings<'b>(book: &'b Book, progress: &Progress) -> Vec<(&'b Lesson, Standing)> {
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

fn is_task(block: &Block) -> bool {
    matches!(block, Block::Try { .. } | Block::Quiz(_))
}

fn uses_redis(lesson: &Lesson) -> bool {
    let runs = |block: &Block| matches!(block, Block::Redis(_) | Block::Try { .. } | Block::Check(_));
    lesson.steps.iter().any(|step| step.blocks.iter().any(runs))
}

/// The code block that the learner has before them: the last one that was shown in this step.
fn languages_before<'l>(here: Here<'l>) -> &'l [Tab] {
    let blocks = &here.lesson.steps[here.step].blocks;
    let shown = blocks
        .iter()
        .take(here.block)
        .rev()
        .find_map(|block| match block {
            Block::Code(tabs) => Some(tabs.as_slice()),
            _ => None,
        });
    shown.unwrap_or_default()
}

/// Whether a transcript can be shown on this Redis.
pub(super) fn can_run(scene: &Scene, transcript: &Transcript) -> bool {
    transcript.needs == super::lesson::Needs::AnyRedis || !scene.link.is_practice()
}

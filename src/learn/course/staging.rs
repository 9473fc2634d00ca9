//! A lesson and its Redis: the keys are what they must be, or the learner is told why they cannot be.

use super::menu::{LIST, PING, QUIT};

use super::{Course, Guest, Here, Name, Staging, Turn};
use crate::exit::Exit;
use crate::learn::classroom::{Key, Offer, Said};
use crate::learn::lesson::{Block, Lesson};
use crate::learn::link::{At, Trouble, Unanswered};
use crate::learn::lock::{Attempt, Lock};
use crate::learn::names::{self, FIRST_NAME};
use crate::learn::stop::Interrupted;
use crate::session::neighbours::notice;

impl Course<'_> {
    /// Takes the name on this Redis before the lesson needs it; a Redis that does not answer is met again later.
    pub(super) fn approach(&mut self, here: Here<'_>) -> Result<(), Interrupted> {
        if !uses_redis(here.lesson) {
            return Ok(());
        }
        let staged = self.stage(here);
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
        self.ask_as_a_guest()?;
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

    /// Before the first write to a Redis that holds other people's keys, the learner is told, and asked.
    fn ask_as_a_guest(&mut self) -> Result<(), Trouble> {
        if self.guest != Guest::ToAsk {
            return Ok(());
        }
        if let Some(others) = notice(self.scene.link.keys_of_others()?) {
            self.room.tell(&Said::OthersKeys(&others));
            let agree = Offer {
                key: Key::Next,
                does: "go on",
            };
            let refuse = Offer {
                key: Key::No,
                does: "rather not",
            };
            if self.room.key(&[agree, refuse])? != Key::Next {
                return Err(Trouble::Redis(Unanswered {
                    what: "nothing was written to it".into(),
                    fixes: vec!["set REDIS_URL to another Redis, or unset it for the practice one".into()],
                    exit: Exit::No,
                    at: At::Connecting,
                }));
            }
        }
        self.guest = Guest::Agreed;
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
}

fn uses_redis(lesson: &Lesson) -> bool {
    let runs = |block: &Block| matches!(block, Block::Redis(_) | Block::Try { .. } | Block::Check(_));
    lesson.steps.iter().any(|step| step.blocks.iter().any(runs))
}

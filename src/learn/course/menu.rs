//! What a learner can do anywhere in a lesson: look for help, look around, go elsewhere.

use std::time::Duration;

use super::{Course, Here, Pace, Turn, standings};
use crate::learn::classroom::{Key, Offer, Said};
use crate::learn::lesson::{Block, Tab};
use crate::learn::stop::Interrupted;
use crate::learn::unattended::{By, Failure};

/// For a signal to be heard by everyone who listens.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

pub(super) const QUIT: Offer = Offer {
    key: Key::Quit,
    does: "quit",
};
pub(super) const LIST: Offer = Offer {
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
pub(super) const PING: Offer = Offer {
    key: Key::Ping,
    does: "ping",
};

impl Course<'_> {
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
                if let Err(failure) = self.commands.run(&["ping".to_owned()]) {
                    self.outlive(&failure);
                }
                self.room.tell(&Said::CommandsOver);
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

    /// A Ctrl-C that ended a command within the lesson was not for the lesson.
    pub(super) fn outlive(&self, failure: &Failure) {
        if failure.by == By::CtrlC {
            // Heard on another thread, which may be a moment behind.
            let _ = self.scene.link.sleep(HEARD_WITHIN);
            self.scene.link.stop().forgive();
        }
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

    pub(super) fn list(&mut self) -> Result<Option<Turn>, Interrupted> {
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

fn is_task(block: &Block) -> bool {
    matches!(block, Block::Try { .. } | Block::Quiz(_))
}

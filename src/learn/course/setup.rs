//! Prepares Redis for a block: reserves the learner's name, sets up the lesson's keys, and reports an
//! unavailable Redis.

use std::collections::BTreeSet;

use redis::Value;

use super::blocks::app_step;
use super::menu::{LIST, PING, QUIT, offer};
use super::{Course, Guest, Leave, Place};
use crate::exit::Exit;
use crate::learn::connection::{SendError, Unavailable};
use crate::learn::learner::{CourseEvent, Key, Mark};
use crate::learn::lesson::{Block, Lesson};
use crate::learn::name::{self, FIRST_NAME, NameLock, Taken};
use crate::learn::sandbox;
use crate::learn::snapshot::Restore;
use crate::session::other_keys::notice;
use crate::signals::Interrupted;

impl Course<'_> {
    /// Sets up the keys before the lesson's text is shown. Meanwhile, the learner may have to choose a
    /// different name, which changes the text.
    pub(super) fn prepare(&mut self, place: Place<'_>) -> Result<(), Leave> {
        if !uses_redis(place.lesson) {
            return Ok(());
        }
        let ready = self.set_up(place);
        self.state.renamed = false;
        if let Err(error) = ready {
            self.learner
                .show(&CourseEvent::Unavailable(&error.unavailable()?));
            self.say(
                Mark::Plain,
                "you can continue to read; the next command connects again",
            );
        }
        Ok(())
    }

    /// Runs `work`, which uses Redis. If Redis is unavailable, asks the learner what to do, and repeats
    /// `work` once Redis is available.
    pub(super) fn with_redis<T>(
        &mut self,
        place: Place<'_>,
        work: &mut dyn FnMut(&mut Self) -> Result<T, SendError>,
    ) -> Result<T, Leave> {
        let mut is_first_break = true;
        loop {
            let ready = self.set_up(place).and_then(|()| self.restore(place));
            if ready.is_ok() && std::mem::take(&mut self.state.renamed) {
                return Err(Leave::Redo);
            }
            let unavailable = match ready.and_then(|()| work(self)) {
                Ok(done) => {
                    self.sandbox.remember();
                    return Ok(done);
                }
                Err(error) => error.unavailable()?,
            };
            self.state.keys_ready = false;
            // A connection can break although Redis works. A new connection either works or reveals the
            // cause.
            let again = match unavailable.was_connected {
                true => self.set_up(place),
                false => Err(unavailable.clone().into()),
            };
            match again {
                Ok(()) if is_first_break => {
                    let text =
                        format!("{unavailable}; the lesson has connected again, and has restored its keys");
                    self.say(Mark::Warning, &text);
                }
                Ok(()) => self.wait_for_redis(place, &unavailable)?,
                Err(error) => self.wait_for_redis(place, &error.unavailable()?)?,
            }
            is_first_break = false;
        }
    }

    /// Restores the keys to their state after the last command, because some keys may have expired while the
    /// learner was reading.
    fn restore(&mut self, place: Place<'_>) -> Result<(), SendError> {
        let restore = match place.blocks().get(place.block) {
            // The app changes the keys, even if the learner runs it outside the lesson.
            _ if app_step(place).is_some() => Restore::Expired,
            // The learner has acted in another window, which may have changed the keys.
            Some(Block::Check(_)) => Restore::Expired,
            Some(Block::Try { .. }) => Restore::Missing,
            _ => Restore::All,
        };
        for key in self.sandbox.restore(restore)? {
            let text = format!("{key} expired while you were reading; the lesson has restored the key");
            self.say(Mark::Plain, &text);
        }
        Ok(())
    }

    /// Shows why Redis is unavailable, and waits until it is available again.
    fn wait_for_redis(&mut self, place: Place<'_>, unavailable: &Unavailable) -> Result<(), Leave> {
        self.learner.show(&CourseEvent::Unavailable(unavailable));
        self.say(Mark::Plain, "your command is not the cause");
        let again = offer(Key::Next, "try again");
        let skip = offer(Key::No, "continue without it");
        loop {
            match self.learner.press(&[again, PING, skip, LIST, QUIT])? {
                Key::Next => match self.set_up(place) {
                    Ok(()) => {
                        self.say(
                            Mark::Success,
                            "Redis is available again, and the lesson has restored its keys",
                        );
                        return Ok(());
                    }
                    Err(error) => self
                        .learner
                        .show(&CourseEvent::Unavailable(&error.unavailable()?)),
                },
                Key::No => return Err(Leave::Skip),
                key => self.obey(place, key)?,
            }
        }
    }

    /// Sets up the lesson's keys for this position, unless they are ready.
    fn set_up(&mut self, place: Place<'_>) -> Result<(), SendError> {
        if self.state.keys_ready {
            return Ok(());
        }
        self.take_name()?;
        // If the learner has just chosen a different name, the lesson's keys have changed.
        let same = |lesson: &&Lesson| lesson.id == place.lesson.id;
        let lesson = self
            .lessons
            .list
            .iter()
            .find(same)
            .unwrap_or(place.lesson)
            .clone();
        self.sandbox.open(&lesson)?;
        self.note_keys();
        self.save();
        self.sandbox.set_up(&lesson, place.step, place.block)?;
        self.sandbox.remember();
        self.state.keys_ready = true;
        Ok(())
    }

    /// Reserves the learner's name in Redis. If a different learner uses the name, asks for a new name.
    fn take_name(&mut self) -> Result<(), SendError> {
        if self.state.is_named {
            return Ok(());
        }
        self.ask_as_a_guest()?;
        let mut name = FIRST_NAME.to_owned();
        while self.state.lock.is_none() {
            match NameLock::take(&mut self.sandbox.connection, &name)? {
                Taken::Yes(lock) if self.uses_keys_of_others(&name)? => {
                    lock.release(&mut self.sandbox.connection);
                    let text = format!(
                        "this Redis already contains keys with the name {name:?}, which perhaps belong to \
                                 another person"
                    );
                    self.say(Mark::Warning, &text);
                    name = self.another_name()?;
                }
                Taken::Yes(lock) => self.state.lock = Some(lock),
                Taken::NotPossible => break,
                Taken::InUse => {
                    let text = format!("another learner uses the name {name:?} on this Redis");
                    self.say(Mark::Warning, &text);
                    name = self.another_name()?;
                }
            }
        }
        self.adopt_keys(&name)?;
        if name != FIRST_NAME {
            if let Ok(lessons) = self.files.read(&name)
                && lessons.list.len() == self.lessons.list.len()
            {
                self.lessons = lessons;
            }
            self.state.renamed = true;
            let text =
                format!("your name is now {name}; the keys and commands of the lesson contain this name");
            self.say(Mark::Success, &text);
        }
        Ok(())
    }

    /// Whether Redis contains a key that the lessons use for the learner `name`, and that this learner did
    /// not leave behind. The key may belong to a colleague who runs `serve --stage 2`.
    fn uses_keys_of_others(&mut self, name: &str) -> Result<bool, SendError> {
        let renamed;
        let lessons = match self.files.read(name) {
            Ok(lessons) if name != FIRST_NAME => {
                renamed = lessons;
                &renamed.list
            }
            _ => &self.lessons.list,
        };
        let keys: BTreeSet<Vec<u8>> = lessons.iter().flat_map(sandbox::keys_of).collect();
        let left_behind = &self.progress.record.keys;
        for key in keys {
            let is_own = left_behind.iter().any(|own| own.as_bytes() == key);
            if !is_own && self.sandbox.connection.ask(&[b"EXISTS".as_slice(), &key])? != Value::Int(0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Marks an earlier run's remaining keys for removal, unless a different learner uses the name in these
    /// keys.
    fn adopt_keys(&mut self, name: &str) -> Result<(), SendError> {
        let record = &self.progress.record;
        let before = record.name.as_deref().unwrap_or(FIRST_NAME);
        if before == name || !name::is_in_use(&mut self.sandbox.connection, before)? {
            let keys = record.keys.iter().map(|key| key.clone().into_bytes());
            self.sandbox.adopt(keys);
        }
        self.progress.record.name = (name != FIRST_NAME).then(|| name.to_owned());
        self.state.is_named = true;
        Ok(())
    }

    /// Tells the learner that this Redis contains keys of other programs, and asks for permission to write.
    fn ask_as_a_guest(&mut self) -> Result<(), SendError> {
        if self.guest != Guest::ToAsk {
            return Ok(());
        }
        if let Some(others) = notice(self.sandbox.connection.other_keys()?) {
            let text = format!(
                "{others}; lessons write only keys that start with sessiontut:, and delete these keys at the end"
            );
            self.say(Mark::Warning, &text);
            let offers = [
                offer(Key::Next, "continue"),
                offer(Key::No, "do not use this Redis"),
            ];
            if self.learner.press(&offers)? != Key::Next {
                return Err(SendError::Unavailable(Unavailable {
                    what: "this Redis is not used, and the lesson has written nothing to it".into(),
                    fixes: vec![
                        "set REDIS_URL to another Redis, or unset it to use the practice Redis".into(),
                    ],
                    exit: Exit::No,
                    was_connected: false,
                }));
            }
        }
        self.guest = Guest::Agreed;
        Ok(())
    }

    fn another_name(&mut self) -> Result<String, Interrupted> {
        let mut question = "choose another name; your keys will contain this name, so that they differ from the existing keys";
        loop {
            let name = self.learner.type_line(question)?.trim().to_lowercase();
            if name::is_valid(&name) {
                return Ok(name);
            }
            question = "a name has at most 20 characters: letters a-z, digits and hyphens; the first character must be a letter";
        }
    }

    /// Saves the names of the keys, so that the next run can remove them if this run cannot.
    pub(super) fn note_keys(&mut self) {
        self.progress.record.keys = self.sandbox.key_names();
    }
}

fn uses_redis(lesson: &Lesson) -> bool {
    let runs = |block: &Block| matches!(block, Block::Redis(_) | Block::Try { .. } | Block::Check(_));
    lesson.steps.iter().any(|step| step.blocks.iter().any(runs))
}

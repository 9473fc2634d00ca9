//! A lesson's keys in Redis: removed, set up again as they were at any point of the lesson, removed at the end.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::Value;

use super::lesson::{Block, Lesson, Needs, Transcript};
use super::link::{Link, Trouble};
use super::{guard, refusal};
use crate::deadline::Deadline;

/// For removing the keys at the end, also of a lesson that was interrupted.
const TIDY_WITHIN: Duration = Duration::from_secs(2);

/// Redis, and the keys that a lesson has or may have there.
pub(crate) struct Scene {
    /// The way to Redis.
    pub link: Link,
    keys: BTreeSet<Vec<u8>>,
    transaction: Transaction,
}

/// Whether MULTI is waiting for its EXEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transaction {
    None,
    Open,
}

/// A point in a lesson: before this block of this step, both counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    /// The step.
    pub step: usize,
    /// The block in it.
    pub block: usize,
}

impl Scene {
    /// Nothing is sent yet.
    #[must_use]
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            keys: BTreeSet::new(),
            transaction: Transaction::None,
        }
    }

    /// Remembers keys that are to be removed with the others.
    pub(crate) fn adopt(&mut self, keys: impl IntoIterator<Item = Vec<u8>>) {
        let ours = keys
            .into_iter()
            .filter(|key| key.starts_with(guard::PREFIX.as_bytes()));
        self.keys.extend(ours);
    }

    /// The keys that a lesson may leave behind.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(Vec::as_slice)
    }

    /// Whether commands are being queued for an EXEC.
    #[must_use]
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.transaction == Transaction::Open
    }

    /// Sends a command that [`guard::keys_of`] lets pass; its keys are remembered first.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(crate) fn send(&mut self, words: &[Vec<u8>]) -> Result<Value, Trouble> {
        if let Ok(keys) = guard::keys_of(words) {
            let keys: Vec<Vec<u8>> = keys.into_iter().map(<[u8]>::to_vec).collect();
            self.keys.extend(keys);
        }
        let reply = self.ask(words)?;
        let is = |name: &[u8]| words.first().is_some_and(|word| word.eq_ignore_ascii_case(name));
        if is(b"MULTI") && reply == Value::Okay {
            self.transaction = Transaction::Open;
        } else if is(b"EXEC") || is(b"DISCARD") {
            self.transaction = Transaction::None;
        }
        Ok(reply)
    }

    /// Sends the command at `place` of a transcript.
    ///
    /// In a cluster MULTI names no node: it goes to that of the transaction's first key.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(crate) fn send_at(&mut self, transcript: &Transcript, place: usize) -> Result<Value, Trouble> {
        let words = &transcript.exchanges[place].words;
        if words[0].eq_ignore_ascii_case(b"MULTI") {
            let behind = transcript.exchanges[place..].iter();
            let key = behind
                .filter_map(|exchange| guard::keys_of(&exchange.words).ok())
                .flatten()
                .next();
            if let Some(key) = key {
                self.ask(&[b"TYPE".to_vec(), key.to_vec()])?;
            }
        }
        self.send(words)
    }

    /// Removes every key of the lesson.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(crate) fn clear(&mut self) -> Result<(), Trouble> {
        if self.transaction == Transaction::Open {
            self.link.ask_text(&["DISCARD"])?;
            self.transaction = Transaction::None;
        }
        for key in self.keys.clone() {
            self.ask(&[b"DEL".to_vec(), key])?;
        }
        Ok(())
    }

    /// Removes every key at the end, whatever has happened; says whether that was possible.
    pub(crate) fn leave(&mut self) -> bool {
        let deadline = Deadline::after(TIDY_WITHIN);
        if self.transaction == Transaction::Open {
            self.link.forget();
        }
        self.keys.iter().all(|key| {
            self.link
                .ask_at_the_end(&[b"DEL".as_slice(), key], deadline)
                .is_some()
        })
    }

    /// Begins a lesson: its keys and no others are in the scene, and none of them exists.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(crate) fn open(&mut self, lesson: &Lesson) -> Result<(), Trouble> {
        self.adopt(keys_of(lesson));
        self.clear()
    }

    /// Sets the keys up as they were just before `point`: everything before it is done again, silently, and its waits
    /// are taken off the keys' TTLs instead of being waited.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(crate) fn set_up(&mut self, lesson: &Lesson, point: Point) -> Result<(), Trouble> {
        self.clear()?;
        for (step, part) in lesson.steps.iter().enumerate().take(point.step + 1) {
            let end = if step == point.step {
                point.block
            } else {
                part.blocks.len()
            };
            for block in &part.blocks[..end.min(part.blocks.len())] {
                match block {
                    Block::Redis(transcript)
                    | Block::Try {
                        solution: transcript, ..
                    } => self.replay(transcript)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn replay(&mut self, transcript: &Transcript) -> Result<(), Trouble> {
        if transcript.needs == Needs::RealRedis && self.link.is_practice() {
            return Ok(());
        }
        if let Some(wait) = &transcript.wait {
            self.let_pass(wait.span)?;
        }
        for place in 0..transcript.exchanges.len() {
            self.send_at(transcript, place)?;
        }
        Ok(())
    }

    /// A reply to the command; a Redis that cannot do its work just now has given none.
    fn ask(&mut self, words: &[Vec<u8>]) -> Result<Value, Trouble> {
        let reply = self.link.ask(words)?;
        match refusal::of(&reply, self.link.target()) {
            None => Ok(reply),
            Some(refused) => {
                // After a failover another node has the name: the next attempt looks it up anew.
                self.link.forget();
                self.transaction = Transaction::None;
                Err(refused.into())
            }
        }
    }

    /// Takes `span` off what every key has left to live.
    fn let_pass(&mut self, span: Duration) -> Result<(), Trouble> {
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        for key in self.keys.clone() {
            let Value::Int(left @ 0..) = self.ask(&[b"PTTL".to_vec(), key.clone()])? else {
                continue;
            };
            // Redis deletes a key whose TTL is set to the past.
            let left = (left - span).max(0).to_string().into_bytes();
            self.ask(&[b"PEXPIRE".to_vec(), key, left])?;
        }
        Ok(())
    }
}

/// Every key that a lesson's own commands name.
pub(super) fn keys_of(lesson: &Lesson) -> BTreeSet<Vec<u8>> {
    let blocks = lesson.steps.iter().flat_map(|step| &step.blocks);
    let transcripts = blocks.flat_map(|block| match block {
        Block::Redis(transcript) | Block::Check(transcript) => vec![transcript],
        Block::Try { solution, checks } => std::iter::once(solution).chain(checks).collect(),
        _ => Vec::new(),
    });
    transcripts.flat_map(keys_in).collect()
}

fn keys_in(transcript: &Transcript) -> impl Iterator<Item = Vec<u8>> {
    let watched = transcript.wait.iter().filter_map(|wait| wait.watch.clone());
    let named = transcript
        .exchanges
        .iter()
        .filter_map(|exchange| guard::keys_of(&exchange.words).ok())
        .flatten()
        .map(<[u8]>::to_vec);
    named.chain(watched.map(String::into_bytes))
}

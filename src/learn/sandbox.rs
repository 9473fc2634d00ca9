//! The lesson's keys in Redis: removed, set up as they are at any point of the lesson, removed at the end.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::Value;

use super::connection::{Connection, SendError};
use super::guard;
use super::lesson::{Block, Lesson, Needs, Transcript};
use crate::deadline::Deadline;

/// Time limit for removing the keys at the end, also after Ctrl-C.
const CLEAN_UP_WITHIN: Duration = Duration::from_secs(2);

/// A connection, and the keys that the lesson may have created.
pub(crate) struct Sandbox {
    pub connection: Connection,
    keys: BTreeSet<Vec<u8>>,
    /// MULTI was sent, and EXEC was not.
    in_transaction: bool,
}

impl Sandbox {
    #[must_use]
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            keys: BTreeSet::new(),
            in_transaction: false,
        }
    }

    /// Adds keys that have to be removed.
    pub(crate) fn adopt(&mut self, keys: impl IntoIterator<Item = Vec<u8>>) {
        let keys = keys.into_iter();
        self.keys
            .extend(keys.filter(|key| key.starts_with(guard::PREFIX.as_bytes())));
    }

    /// The keys that the lesson may have created.
    #[must_use]
    pub(crate) fn key_names(&self) -> Vec<String> {
        let names = self.keys.iter().map(|key| String::from_utf8_lossy(key));
        names.map(std::borrow::Cow::into_owned).collect()
    }

    #[must_use]
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Sends a command that [`guard::keys_of`] allows, and remembers its keys.
    ///
    /// # Errors
    /// [`SendError`].
    pub(crate) fn send(&mut self, words: &[Vec<u8>]) -> Result<Value, SendError> {
        if let Ok(keys) = guard::keys_of(words) {
            let keys: Vec<Vec<u8>> = keys.into_iter().map(<[u8]>::to_vec).collect();
            self.keys.extend(keys);
        }
        let reply = self.ask(words)?;
        let is = |name: &[u8]| words.first().is_some_and(|word| word.eq_ignore_ascii_case(name));
        if is(b"MULTI") && reply == Value::Okay {
            self.in_transaction = true;
        } else if is(b"EXEC") || is(b"DISCARD") {
            self.in_transaction = false;
        }
        Ok(reply)
    }

    /// Sends the command at `index` of a transcript.
    ///
    /// In a cluster, MULTI goes to the node of the transaction's first key.
    ///
    /// # Errors
    /// [`SendError`].
    pub(crate) fn send_at(&mut self, transcript: &Transcript, index: usize) -> Result<Value, SendError> {
        let words = &transcript.exchanges[index].words;
        if words[0].eq_ignore_ascii_case(b"MULTI") {
            let behind = transcript.exchanges[index..].iter();
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
    /// [`SendError`].
    pub(crate) fn clear(&mut self) -> Result<(), SendError> {
        if self.in_transaction {
            self.connection.ask_text(&["DISCARD"])?;
            self.in_transaction = false;
        }
        for key in self.keys.clone() {
            self.ask(&[b"DEL".to_vec(), key])?;
        }
        Ok(())
    }

    /// Removes every key, also after Ctrl-C; returns whether that was possible.
    pub(crate) fn remove_at_the_end(&mut self) -> bool {
        let deadline = Deadline::after(CLEAN_UP_WITHIN);
        if self.in_transaction {
            self.connection.close();
        }
        self.keys.iter().all(|key| {
            let command = [b"DEL".as_slice(), key];
            self.connection.ask_at_the_end(&command, deadline).is_some()
        })
    }

    /// Starts a lesson: removes its keys.
    ///
    /// # Errors
    /// [`SendError`].
    pub(crate) fn open(&mut self, lesson: &Lesson) -> Result<(), SendError> {
        self.adopt(keys_of(lesson));
        self.clear()
    }

    /// Sets the keys up as they are just before a block: repeats all commands before it. Waits are not repeated; they
    /// are subtracted from the keys' TTLs.
    ///
    /// # Errors
    /// [`SendError`].
    pub(crate) fn set_up(&mut self, lesson: &Lesson, step: usize, block: usize) -> Result<(), SendError> {
        self.clear()?;
        let earlier = lesson.steps[..step].iter().flat_map(|step| &step.blocks);
        for block in earlier.chain(lesson.steps[step].blocks.iter().take(block)) {
            if let Block::Redis(transcript)
            | Block::Try {
                solution: transcript, ..
            } = block
            {
                self.replay(transcript)?;
            }
        }
        Ok(())
    }

    fn replay(&mut self, transcript: &Transcript) -> Result<(), SendError> {
        if transcript.needs == Needs::RealRedis && self.connection.is_practice() {
            return Ok(());
        }
        if let Some(wait) = &transcript.wait {
            self.shorten_ttls(wait.span)?;
        }
        for index in 0..transcript.exchanges.len() {
            self.send_at(transcript, index)?;
        }
        Ok(())
    }

    fn ask(&mut self, words: &[Vec<u8>]) -> Result<Value, SendError> {
        let asked = self.connection.ask(words);
        if asked.is_err() {
            // The connection is closed, and its transaction with it.
            self.in_transaction = false;
        }
        asked
    }

    fn shorten_ttls(&mut self, span: Duration) -> Result<(), SendError> {
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        for key in self.keys.clone() {
            let Value::Int(left @ 0..) = self.ask(&[b"PTTL".to_vec(), key.clone()])? else {
                continue;
            };
            // Redis deletes a key if its new TTL is 0.
            let left = (left - span).max(0).to_string().into_bytes();
            self.ask(&[b"PEXPIRE".to_vec(), key, left])?;
        }
        Ok(())
    }
}

/// The keys of all commands of a lesson.
fn keys_of(lesson: &Lesson) -> BTreeSet<Vec<u8>> {
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
    let exchanges = transcript.exchanges.iter();
    let named = exchanges
        .filter_map(|exchange| guard::keys_of(&exchange.words).ok())
        .flatten()
        .map(<[u8]>::to_vec);
    named.chain(watched.map(String::into_bytes))
}

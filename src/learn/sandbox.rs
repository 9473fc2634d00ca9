//! Manages a lesson's keys in Redis: removes them at the start and at the end, and sets them up for any
//! position in the lesson.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::Value;

use super::connection::{LessonConnection, SendError};
use super::guard;
use super::lesson::{Block, Lesson, Transcript};
use super::snapshot::{Restore, Snapshot};
use crate::deadline::Deadline;

/// Time limit for removing a lesson's keys at the end, even after Ctrl-C.
const CLEAN_UP_WITHIN: Duration = Duration::from_secs(2);

/// The maximum number of keys that one command removes.
const KEYS_TOGETHER: usize = 100;

/// The TTL that [`Sandbox::pause`] sets on keys without a TTL, in seconds. A learner's break is unlikely to
/// take longer.
const PAUSE_TTL: i64 = 24 * 60 * 60;
/// Time limit for [`Sandbox::pause`] and for [`Sandbox::resume`].
const PAUSE_WITHIN: Duration = Duration::from_secs(2);

/// A connection, and the keys that the lesson may have created.
pub(crate) struct Sandbox {
    pub connection: LessonConnection,
    keys: BTreeSet<Vec<u8>>,
    /// The commands of a transaction, from MULTI until EXEC. If the connection is lost, these commands can be
    /// sent again, because Redis has only queued them.
    transaction: Vec<Vec<Vec<u8>>>,
    /// Whether keys are watched (WATCH). The watch ends if the connection is lost.
    is_watching: bool,
    /// In a cluster, the first key of the transaction, which determines the node. `None` until a command of
    /// the transaction has a key. Until then, no command of the transaction is sent.
    node: Option<Vec<u8>>,
    /// The state of the keys after the last command, or `None` if unknown.
    snapshot: Option<Snapshot>,
    /// The keys on which [`Sandbox::pause`] has set a TTL.
    paused: BTreeSet<Vec<u8>>,
}

impl Sandbox {
    pub(crate) fn new(connection: LessonConnection) -> Self {
        Self {
            connection,
            keys: BTreeSet::new(),
            transaction: Vec::new(),
            is_watching: false,
            node: None,
            snapshot: None,
            paused: BTreeSet::new(),
        }
    }

    /// Adds keys that must be removed at the end. Ignores keys that do not start with [`guard::PREFIX`].
    pub(crate) fn adopt(&mut self, keys: impl IntoIterator<Item = Vec<u8>>) {
        let keys = keys.into_iter();
        self.keys
            .extend(keys.filter(|key| key.starts_with(guard::PREFIX.as_bytes())));
    }

    /// Returns the names of the keys that the lesson may have created.
    pub(crate) fn key_names(&self) -> Vec<String> {
        let names = self.keys.iter().map(|key| String::from_utf8_lossy(key));
        names.map(std::borrow::Cow::into_owned).collect()
    }

    pub(crate) fn is_in_transaction(&self) -> bool {
        !self.transaction.is_empty()
    }

    /// Sends a command that [`guard::keys_of`] allows, and records its keys.
    ///
    /// In a cluster, a transaction goes to the node of its first key. MULTI has no key, so MULTI is sent
    /// together with the first command that has a key. Until then, this function returns the replies that
    /// Redis would send.
    pub(crate) fn send(&mut self, words: &[Vec<u8>]) -> Result<Value, SendError> {
        let keys = guard::keys_of(words).unwrap_or_default();
        self.keys.extend(keys.iter().map(|key| key.to_vec()));
        let is = |name: &[u8]| words.first().is_some_and(|word| word.eq_ignore_ascii_case(name));
        let ends = is(b"EXEC") || is(b"DISCARD");
        if is(b"MULTI") || is(b"WATCH") {
            // Set the TTLs now, because this program must not change the keys between MULTI and EXEC.
            self.pause();
        }
        self.is_watching |= is(b"WATCH");
        if self.is_in_transaction() {
            if self.connection.is_cluster() && self.node.is_none() {
                if keys.is_empty() && !ends {
                    self.transaction.push(words.to_vec());
                    return Ok(Value::SimpleString("QUEUED".into()));
                }
                let first = keys.first().copied().unwrap_or(guard::PREFIX.as_bytes());
                self.node = Some(first.to_vec());
                self.send_transaction()?;
            } else if !self.is_watching && self.connection.is_lost(self.node.as_deref()) {
                self.connection.close();
                self.send_transaction()?;
            }
        } else if is(b"MULTI") && self.connection.is_cluster() {
            self.transaction.push(words.to_vec());
            return Ok(Value::Okay);
        }
        self.connection
            .keep_state(self.is_watching || self.is_in_transaction());
        let reply = self.ask(words)?;
        if ends {
            self.end_transaction();
            self.resume();
        } else if self.is_in_transaction() || is(b"MULTI") && reply == Value::Okay {
            self.transaction.push(words.to_vec());
        }
        Ok(reply)
    }

    /// Sends MULTI and the collected commands after it.
    fn send_transaction(&mut self) -> Result<(), SendError> {
        for words in self.transaction.clone() {
            self.ask(&words)?;
        }
        Ok(())
    }

    /// Removes every key of the lesson.
    pub(crate) fn clear(&mut self) -> Result<(), SendError> {
        self.snapshot = None;
        self.paused.clear();
        if self.is_in_transaction() {
            self.send(&[b"DISCARD".to_vec()])?;
        }
        for key in self.keys.clone() {
            self.ask(&[b"DEL".to_vec(), key])?;
        }
        Ok(())
    }

    /// Sets a TTL on the keys that have none, so that these keys expire if the program is killed while the
    /// learner reads.
    pub(super) fn pause(&mut self) {
        // A change to a watched key would abort the learner's transaction.
        if self.is_in_transaction() || self.is_watching {
            return;
        }
        let deadline = Deadline::after(PAUSE_WITHIN);
        let ttl = PAUSE_TTL.to_string();
        for key in self.keys.clone() {
            let mut replies = |words: &[&str], expected: i64| {
                let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
                let command = [&[words[0], &key], &words[1..]].concat();
                self.connection.ask_at_the_end(&command, deadline) == Some(Value::Int(expected))
            };
            // PERSIST changes nothing here, but tests whether this user has permission to remove the TTL
            // later.
            if replies(&["TTL"], -1) && replies(&["PERSIST"], 0) && replies(&["EXPIRE", &ttl], 1) {
                self.paused.insert(key);
            }
        }
    }

    /// Removes the TTLs that [`Self::pause`] has set. Keeps a TTL of at most half of [`PAUSE_TTL`], because a
    /// command must have set it since then.
    pub(super) fn resume(&mut self) {
        if self.is_in_transaction() || self.is_watching {
            return;
        }
        let deadline = Deadline::after(PAUSE_WITHIN);
        for key in std::mem::take(&mut self.paused) {
            let mut ask = |name: &[u8]| self.connection.ask_at_the_end(&[name, &key], deadline);
            if matches!(ask(b"TTL"), Some(Value::Int(left)) if left > PAUSE_TTL / 2) {
                ask(b"PERSIST");
            }
        }
    }

    /// Removes all keys of the lesson, even after Ctrl-C. Returns whether all keys were removed.
    pub(crate) fn remove_at_the_end(&mut self) -> bool {
        let deadline = Deadline::after(CLEAN_UP_WITHIN);
        if self.is_in_transaction() {
            self.connection.close();
        }
        let keys: Vec<&[u8]> = self.keys.iter().map(Vec::as_slice).collect();
        // In a cluster, a command can remove several keys only if they are on the same node.
        let together = if self.connection.is_cluster() {
            1
        } else {
            KEYS_TOGETHER
        };
        keys.chunks(together).all(|keys| {
            let command = [&[b"DEL".as_slice()], keys].concat();
            let reply = self.connection.ask_at_the_end(&command, deadline);
            matches!(reply, Some(Value::Int(_)))
        })
    }

    /// Removes the keys that a lesson uses, before the lesson starts.
    pub(crate) fn open(&mut self, lesson: &Lesson) -> Result<(), SendError> {
        self.adopt(keys_of(lesson));
        self.clear()
    }

    /// Runs all commands before this block again, so that the keys have the state that the block expects.
    /// Skips waits, and subtracts their length from the TTLs.
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
        if transcript.fence.needs_real_redis && self.connection.is_practice() {
            return Ok(());
        }
        if let Some(wait) = &transcript.fence.wait {
            self.shorten_ttls(wait.span)?;
        }
        for exchange in &transcript.exchanges {
            self.send(&exchange.words)?;
        }
        Ok(())
    }

    /// Records the state of the keys before the learner continues to read, and calls [`Sandbox::pause`].
    pub(super) fn remember(&mut self) {
        // If Redis is unavailable, the next command reports the problem.
        self.snapshot = self.take_snapshot().ok().flatten();
        if self.snapshot.is_some() {
            self.pause();
        }
    }

    /// Returns the current state of the keys, or `None` during a transaction or a WATCH.
    pub(super) fn take_snapshot(&mut self) -> Result<Option<Snapshot>, SendError> {
        if self.is_in_transaction() || self.is_watching {
            return Ok(None);
        }
        let keys: Vec<Vec<u8>> = self.keys.iter().cloned().collect();
        Snapshot::take(self, &keys).map(Some)
    }

    /// Restores the keys to their state at the last [`Sandbox::remember`]. Returns the names of the missing
    /// keys.
    pub(super) fn restore(&mut self, restore: Restore) -> Result<Vec<String>, SendError> {
        self.resume();
        match self.snapshot.take() {
            Some(snapshot) => snapshot.restore(self, restore),
            None => Ok(Vec::new()),
        }
    }

    pub(super) fn ask(&mut self, words: &[Vec<u8>]) -> Result<Value, SendError> {
        let asked = match &self.node {
            Some(key) => self.connection.ask_node_of(key, words),
            None => self.connection.ask(words),
        };
        if asked.is_err() {
            // The connection has been closed, so its transaction has ended.
            self.end_transaction();
        }
        asked
    }

    fn end_transaction(&mut self) {
        self.transaction.clear();
        self.is_watching = false;
        self.node = None;
    }

    fn shorten_ttls(&mut self, span: Duration) -> Result<(), SendError> {
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        for key in self.keys.clone() {
            let Value::Int(left @ 0..) = self.ask(&[b"PTTL".to_vec(), key.clone()])? else {
                continue;
            };
            // If the remaining TTL is 0, Redis deletes the key.
            let left = (left - span).max(0).to_string().into_bytes();
            self.ask(&[b"PEXPIRE".to_vec(), key, left])?;
        }
        Ok(())
    }
}

/// Returns all keys in the commands of a lesson.
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
    let watched = transcript.fence.wait.iter().filter_map(|wait| wait.watch.clone());
    let exchanges = transcript.exchanges.iter();
    let named = exchanges
        .filter_map(|exchange| guard::keys_of(&exchange.words).ok())
        .flatten()
        .map(<[u8]>::to_vec);
    named.chain(watched.map(String::into_bytes))
}

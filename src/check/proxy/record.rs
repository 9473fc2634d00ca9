//! The record of the app's commands, without the commands that the app sends outside requests.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use redis::Value;

use super::{Proxy, State};
use crate::check::redis_command::{Effect, Key, SeenCommand};

/// The maximum time between a response and a command that still belongs to the request.
const ATTRIBUTED_WITHIN: Duration = Duration::from_millis(300);

/// The maximum memory that the record of commands uses, in bytes. A run of all checks needs less than 1 MB.
const MOST_MEMORY: usize = 128 * 1024 * 1024;
/// The memory that a recorded command uses in addition to its words, in bytes.
const COMMAND_OVERHEAD: usize = 400;
/// The maximum length of a recorded reply, in bytes. For a longer reply, only the length is recorded.
const LARGEST_REPLY: usize = 256 * 1024;

impl Proxy {
    /// Returns why commands are no longer recorded, or `None` while commands are recorded.
    pub(crate) fn overflow(&self) -> Option<String> {
        let is_full = self.shared.state().is_full();
        let most = MOST_MEMORY / 1024 / 1024;
        is_full.then(|| format!("the record of the app's Redis commands exceeded {most} MB"))
    }

    /// Returns the current end of the record, for [`Self::since`].
    pub(crate) fn mark(&self) -> usize {
        self.shared.state().log.len()
    }

    /// Returns the commands since `mark`. Omits commands with the same name and key as a command that the app
    /// sent outside a request.
    pub(crate) fn since(&self, mark: usize) -> Vec<SeenCommand> {
        let state = self.shared.state();
        let commands = state.log[mark..].iter();
        // If a command between MULTI and EXEC is omitted, omit MULTI and EXEC as well.
        let idle: HashSet<(u64, u64)> = commands
            .clone()
            .filter(|command| state.is_idle(command))
            .map(|command| (command.connection, command.round_trip))
            .collect();
        commands
            .filter(|command| match command.effect {
                Effect::Transaction => !idle.contains(&(command.connection, command.round_trip)),
                _ => !state.is_idle(command),
            })
            .cloned()
            .collect()
    }

    pub(crate) fn connections_opened(&self) -> u64 {
        self.shared.state().opened
    }

    /// Returns the error of the last failed connection attempt to Redis, or `None` if no attempt has failed.
    pub(crate) fn unreachable(&self) -> Option<String> {
        self.shared.state().unreachable.clone()
    }

    /// Records the start of a visitor's request.
    pub(crate) fn request_begins(&self) {
        self.shared.state().in_flight += 1;
    }

    /// Records the end of a visitor's request.
    pub(crate) fn request_ends(&self) {
        let mut state = self.shared.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.answered = Instant::now();
    }
}

impl State {
    /// Whether the app has sent a command with the same name and key outside a request, for example for a
    /// health check.
    pub(super) fn is_idle(&self, command: &SeenCommand) -> bool {
        command.uses_data() && self.idle.contains(&signature(command))
    }

    fn is_full(&self) -> bool {
        self.recorded > MOST_MEMORY
    }

    /// Records a command, and returns its index. If the record is full, closes all connections and returns
    /// `None`.
    pub(super) fn record(&mut self, command: SeenCommand) -> Option<usize> {
        let words: usize = command
            .words
            .iter()
            .map(|word| word.len() + size_of::<Vec<u8>>())
            .sum();
        self.recorded += COMMAND_OVERHEAD + words;
        if self.is_full() {
            self.cut_all();
            return None;
        }
        if self.in_flight == 0 && self.answered.elapsed() > ATTRIBUTED_WITHIN {
            self.idle.insert(signature(&command));
        }
        self.log.push(command);
        Some(self.log.len() - 1)
    }

    /// Records the reply to a command. `length` is the reply's length in bytes.
    pub(super) fn record_reply(&mut self, index: usize, reply: Value, length: usize) {
        let reply = match length {
            ..=LARGEST_REPLY => reply,
            _ => Value::SimpleString(format!("(a reply of {length} bytes)")),
        };
        self.recorded += memory_of(&reply);
        self.log[index].reply = Some(reply);
    }
}

/// Returns the approximate memory that a reply uses, in bytes.
fn memory_of(reply: &Value) -> usize {
    let more = match reply {
        Value::BulkString(bytes) => bytes.len(),
        Value::SimpleString(text) => text.len(),
        Value::Array(items) | Value::Set(items) => items.iter().map(memory_of).sum(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(name, value)| memory_of(name) + memory_of(value))
            .sum(),
        _ => 0,
    };
    size_of::<Value>() + more
}

fn signature(command: &SeenCommand) -> (String, Option<Key>) {
    (command.name(), command.keys.first().cloned())
}

//! The record of the app's commands, without the commands that the app sends outside requests.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use redis::Value;

use super::{Proxy, State};
use crate::check::redis_command::{Key, SeenCommand};

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
        without(&state.log[mark..], |command| state.is_idle(command))
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

/// Omits the commands for which `is_idle` returns true. If such a command is between MULTI and EXEC, omits MULTI
/// and EXEC as well.
fn without(commands: &[SeenCommand], is_idle: impl Fn(&SeenCommand) -> bool) -> Vec<SeenCommand> {
    let mut omitted = HashSet::new();
    // The index of the last MULTI of each connection.
    let mut transactions: HashMap<u64, usize> = HashMap::new();
    for (index, command) in commands.iter().enumerate() {
        let begun = transactions.get(&command.connection).copied();
        match command.name().as_str() {
            "MULTI" => {
                transactions.insert(command.connection, index);
            }
            "EXEC" | "DISCARD" => {
                transactions.remove(&command.connection);
                if begun.is_some_and(|begun| omitted.contains(&begun)) {
                    omitted.insert(index);
                }
            }
            _ if is_idle(command) => {
                omitted.insert(index);
                omitted.extend(begun);
            }
            _ => {}
        }
    }
    let kept = commands
        .iter()
        .enumerate()
        .filter(|(index, _)| !omitted.contains(index));
    kept.map(|(_, command)| command.clone()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the commands, all in one round trip, because an app with one connection for all requests does not wait for
    /// a reply before it sends the commands of the next request.
    fn sent(lines: &[(u64, &str)]) -> Vec<SeenCommand> {
        let command = |(connection, line): &(u64, &str)| {
            let words = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            SeenCommand::new(words, *connection, 1)
        };
        lines.iter().map(command).collect()
    }

    #[test]
    fn a_visit_keeps_its_transaction_beside_that_of_an_idle_app() {
        let all = sent(&[
            (1, "MULTI"),
            (1, "SET alive 1"),
            (2, "MULTI"),
            (1, "EXEC"),
            (1, "MULTI"),
            (2, "HINCRBY user:grace visits 1"),
            (1, "HINCRBY user:ada visits 1"),
            (2, "EXEC"),
            (1, "EXEC"),
        ]);
        let kept = without(&all, |command| command.name() == "SET");
        let kept: Vec<(u64, String)> = kept
            .iter()
            .map(|command| (command.connection, command.name()))
            .collect();
        let expected = [
            (2, "MULTI"),
            (1, "MULTI"),
            (2, "HINCRBY"),
            (1, "HINCRBY"),
            (2, "EXEC"),
            (1, "EXEC"),
        ];
        assert_eq!(
            kept,
            expected.map(|(connection, name)| (connection, name.to_owned()))
        );
    }
}

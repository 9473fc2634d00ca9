//! A Redis command in the proxy's record, with its keys, its effect and its reply.

use std::time::Instant;

use redis::Value;

use crate::practice::command_table::{PRACTICE, REAL_ONLY, find};
use crate::redis_client::{quoted, reply_lines};
use crate::sanitize;
use crate::secret::{MASK, may_be_password_setting};

pub(crate) type Key = Vec<u8>;

/// The maximum number of characters that a report shows of a command or of a reply.
const SHOWN: usize = 100;
/// The maximum number of characters that a report shows of one word of a command. Many keys are longer,
/// because they end with a 64-digit digest.
const SHOWN_OF_WORD: usize = 48;

/// A command that the app sent.
#[derive(Clone, Debug)]
pub(crate) struct SeenCommand {
    /// When the command arrived.
    pub(crate) at: Instant,
    /// The number of the connection that the command used.
    pub(crate) connection: u64,
    /// The number of the round trip within the connection. Commands that were sent without waiting for a
    /// reply belong to the same round trip.
    pub(crate) round_trip: u64,
    /// The command's name, followed by its arguments.
    pub(crate) words: Vec<Vec<u8>>,
    pub(crate) keys: Vec<Key>,
    pub(crate) effect: Effect,
    /// The reply from Redis, or `None` if the command did not reach Redis or has not been answered.
    pub(crate) reply: Option<Value>,
    /// What `check` delayed, and when the delay ended. `None` if nothing was delayed.
    pub(crate) delayed: Option<(Delayed, Instant)>,
    /// The keys that the app created and that had no TTL directly after this command.
    pub(crate) without_ttl: Vec<Key>,
}

/// Whether `check` delayed a command or a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delayed {
    Command,
    Reply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A command that sets up or tests the connection, such as HELLO or PING.
    Connection,
    /// MULTI, EXEC, DISCARD, WATCH or UNWATCH.
    Transaction,
    Read,
    Write,
}

impl SeenCommand {
    pub(crate) fn new(words: Vec<Vec<u8>>, connection: u64, round_trip: u64) -> Self {
        let (keys, effect) = keys_and_effect(&words);
        Self {
            at: Instant::now(),
            connection,
            round_trip,
            words,
            keys,
            effect,
            reply: None,
            delayed: None,
            without_ttl: Vec::new(),
        }
    }

    /// Returns the command's name in upper case.
    pub(crate) fn name(&self) -> String {
        let name = self.words.first().map(|name| String::from_utf8_lossy(name));
        name.unwrap_or_default().to_ascii_uppercase()
    }

    /// Whether a string in the reply contains this text.
    pub(crate) fn reply_contains(&self, text: &str) -> bool {
        fn contains(value: &Value, text: &[u8]) -> bool {
            match value {
                Value::BulkString(bytes) => bytes.windows(text.len()).any(|part| part == text),
                Value::Array(items) => items.iter().any(|item| contains(item, text)),
                Value::Map(pairs) => pairs.iter().any(|(_, value)| contains(value, text)),
                _ => false,
            }
        }
        !text.is_empty()
            && self
                .reply
                .as_ref()
                .is_some_and(|reply| contains(reply, text.as_bytes()))
    }

    /// Whether the command reads or writes data.
    pub(crate) fn uses_data(&self) -> bool {
        matches!(self.effect, Effect::Read | Effect::Write)
    }

    /// Whether the command reads or writes data, or executes a transaction.
    pub(crate) fn has_effect(&self) -> bool {
        self.uses_data() || self.name() == "EXEC"
    }

    /// Returns the command and its reply in shortened form, on one line. Passwords in MIGRATE and CONFIG are
    /// masked.
    pub(crate) fn shown(&self) -> String {
        let words = (0..)
            .zip(&self.words)
            .map(|(at, word)| match std::str::from_utf8(word) {
                _ if self.is_password(at) => MASK.to_owned(),
                Ok(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                    cut(text, SHOWN_OF_WORD)
                }
                _ => cut(&quoted(word), SHOWN_OF_WORD),
            });
        let command = words.collect::<Vec<_>>().join(" ");
        let reply = match &self.reply {
            Some(_) if self.asks_for_password() => MASK.to_owned(),
            Some(reply) => reply_lines(reply).join(" "),
            None => "(no reply)".to_owned(),
        };
        format!("{} → {}", shortened(&command), shortened(&reply))
    }

    /// Whether the word at this index is a password.
    fn is_password(&self, at: usize) -> bool {
        let is = |at: Option<usize>, word: &str| {
            let found = at.and_then(|at| self.words.get(at));
            found.is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
        };
        match self.name().as_str() {
            "MIGRATE" => is(at.checked_sub(1), "AUTH") || is(at.checked_sub(2), "AUTH2"),
            // Names and values alternate, and the first name is at index 2.
            "CONFIG" => {
                is(Some(1), "SET") && at > 2 && at % 2 == 1 && may_be_password_setting(&self.words[at - 1])
            }
            _ => false,
        }
    }

    /// Whether the reply may contain a password.
    fn asks_for_password(&self) -> bool {
        let asks = self
            .words
            .get(1)
            .is_some_and(|word| word.eq_ignore_ascii_case(b"GET"));
        self.name() == "CONFIG"
            && asks
            && self.words[2..]
                .iter()
                .any(|setting| may_be_password_setting(setting))
    }
}

pub(crate) fn shortened(text: &str) -> String {
    cut(&sanitize::line(text), SHOWN)
}

fn cut(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Commands that manage the connection. The tables of commands list no keys for these commands.
const CONNECTION: [&str; 14] = [
    "ACL", "AUTH", "CLIENT", "CLUSTER", "COMMAND", "ECHO", "HELLO", "INFO", "PING", "QUIT", "READONLY",
    "RESET", "ROLE", "SELECT",
];
const TRANSACTION: [&str; 5] = ["MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH"];
/// Commands that have the number of keys as their second argument, followed by the keys.
const SCRIPTS: [&str; 4] = ["EVAL", "EVALSHA", "FCALL", "FCALL_RO"];

fn keys_and_effect(words: &[Vec<u8>]) -> (Vec<Key>, Effect) {
    let name = words
        .first()
        .map(|name| String::from_utf8_lossy(name).to_ascii_uppercase());
    let name = name.unwrap_or_default();
    if CONNECTION.contains(&name.as_str()) {
        return (Vec::new(), Effect::Connection);
    }
    if TRANSACTION.contains(&name.as_str()) {
        return (Vec::new(), Effect::Transaction);
    }
    if SCRIPTS.contains(&name.as_str()) {
        let count = words
            .get(2)
            .and_then(|count| std::str::from_utf8(count).ok()?.parse().ok());
        let keys = words.iter().skip(3).take(count.unwrap_or(0)).cloned().collect();
        return (keys, Effect::Write);
    }
    match find(&[PRACTICE, REAL_ONLY], words) {
        Some(known) => {
            let keys = known.keys_in(words).into_iter().map(<[u8]>::to_vec).collect();
            let effect = if known.has_flag("write") {
                Effect::Write
            } else {
                Effect::Read
            };
            (keys, effect)
        }
        // Most commands that the tables do not contain, such as JSON.SET, have one key as their first
        // argument.
        None => (words.get(1).cloned().into_iter().collect(), Effect::Write),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_commands_and_replies_are_masked() {
        for (line, shown) in [
            ("MIGRATE h 1 k 0 9 AUTH Plover", "MIGRATE h 1 k 0 9 AUTH ***"),
            (
                "MIGRATE h 1 k 0 9 AUTH2 ada Plover",
                "MIGRATE h 1 k 0 9 AUTH2 ada ***",
            ),
            (
                "config set maxmemory 1 masterauth Plover",
                "config set maxmemory 1 masterauth ***",
            ),
            ("CONFIG SET requirepass", "CONFIG SET requirepass"),
            ("SET AUTH x", "SET AUTH x"),
        ] {
            let words = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            let command = SeenCommand::new(words, 0, 0);
            assert_eq!(command.shown(), format!("{shown} → (no reply)"));
        }
        let words = ["CONFIG", "GET", "maxmemory", "require*"].map(|word| word.as_bytes().to_vec());
        let mut command = SeenCommand::new(words.to_vec(), 0, 0);
        command.reply = Some(Value::SimpleString("Plover".into()));
        assert!(!command.shown().contains("Plover"));
    }

    #[test]
    fn keys_and_effects_are_found() {
        for (line, keys, effect) in [
            ("hello 3", &[][..], Effect::Connection),
            ("CLIENT SETINFO LIB-NAME x", &[], Effect::Connection),
            ("MULTI", &[], Effect::Transaction),
            ("HINCRBY k visits 1", &["k"], Effect::Write),
            ("GET k", &["k"], Effect::Read),
            ("KEYS *", &[], Effect::Read),
            ("EVAL return(1) 2 a b c", &["a", "b"], Effect::Write),
            ("JSON.SET k . 1", &["k"], Effect::Write),
        ] {
            let words = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            let command = SeenCommand::new(words, 0, 0);
            let expected: Vec<Key> = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
            assert_eq!((command.keys, command.effect), (expected, effect), "{line}");
        }
    }
}

use std::borrow::Cow;
use std::rc::Rc;

use super::client::ConnectedClient;
use super::command_info::CommandInfo;
use super::glob::matches;
use super::reply::{Reply, Size};
use super::state::ServerState;
use super::store::{KeyEntry, Moment};
use super::value::{Collection, Value};
use super::words::integer;

/// How many parts of a reply to collect between two checks of the time limit.
const PARTS_PER_LOOK: usize = 256;

pub(super) type CommandResult = Result<Reply, CommandError>;

/// An error reply, consisting of a code and a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CommandError(pub(super) Cow<'static, str>);

impl<T: Into<Cow<'static, str>>> From<T> for CommandError {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl From<CommandError> for Reply {
    fn from(error: CommandError) -> Self {
        Self::Error(error.0)
    }
}

pub(super) const SYNTAX: CommandError = CommandError(Cow::Borrowed("ERR syntax error"));
pub(super) const WRONG_TYPE: CommandError = CommandError(Cow::Borrowed(
    "WRONGTYPE Operation against a key holding the wrong kind of value",
));
pub(super) const NOT_AN_INTEGER: CommandError =
    CommandError(Cow::Borrowed("ERR value is not an integer or out of range"));
pub(super) const NOT_A_FLOAT: CommandError = CommandError(Cow::Borrowed("ERR value is not a valid float"));
pub(super) const OVERFLOW: CommandError =
    CommandError(Cow::Borrowed("ERR increment or decrement would overflow"));
pub(super) const OUT_OF_MEMORY: CommandError = CommandError(Cow::Borrowed(
    "OOM command not allowed when used memory > 'maxmemory'.",
));

pub(super) fn wrong_arity(command: &CommandInfo) -> CommandError {
    let name = command.name;
    format!("ERR wrong number of arguments for '{name}' command").into()
}

pub(super) struct Invocation<'a> {
    pub(super) state: &'a mut ServerState,
    pub(super) client: &'a Rc<ConnectedClient>,
    pub(super) words: &'a [Vec<u8>],
    pub(super) command: &'static CommandInfo,
    /// Whether EXEC runs this command, which must then not block.
    pub(super) in_transaction: bool,
}

impl<'a> Invocation<'a> {
    pub(super) fn db(&self) -> usize {
        self.client.db.get()
    }

    pub(super) fn now(&self) -> Moment {
        self.state.store.now
    }

    /// Returns the word at `index`, or an empty word if the request has fewer words.
    pub(super) fn word(&self, index: usize) -> &'a [u8] {
        self.words.get(index).map_or(&[], Vec::as_slice)
    }

    pub(super) fn number(&self, index: usize) -> Result<i64, CommandError> {
        integer(self.word(index)).ok_or(NOT_AN_INTEGER)
    }

    pub(super) fn entry(&self, key: &[u8]) -> Option<&KeyEntry> {
        self.state.store.get(self.db(), key)
    }

    pub(super) fn expiry_of(&self, key: &[u8]) -> Option<Moment> {
        self.entry(key).and_then(|entry| entry.expires)
    }

    pub(super) fn text(&self, key: &[u8]) -> Result<Option<&Vec<u8>>, CommandError> {
        match self.entry(key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    pub(super) fn hash(&self) -> Result<Option<&Collection>, CommandError> {
        match self.entry(self.word(1)).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::Hash(hash)) => Ok(Some(hash)),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    pub(super) fn set(&self) -> Result<Option<&Collection>, CommandError> {
        match self.entry(self.word(1)).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::Set(set)) => Ok(Some(set)),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    /// Collects the parts of a reply. Fails if the reply uses too much memory, or if the current request has
    /// exceeded its time limit.
    pub(super) fn collect<T: Size>(&self, parts: impl Iterator<Item = T>) -> Result<Vec<T>, CommandError> {
        let mut collected = Vec::new();
        let mut size = 0;
        for part in parts {
            size += part.size();
            self.afford(size)?;
            if collected.len() % PARTS_PER_LOOK == 0 {
                self.check_time()?;
            }
            collected.push(part);
        }
        // Pattern matching stops when the time limit is exceeded, so `parts` might be incomplete.
        self.check_time()?;
        Ok(collected)
    }

    /// Whether `name` matches a glob pattern. Returns false if the current request has exceeded its time
    /// limit.
    pub(super) fn matches(&self, pattern: &[u8], name: &[u8]) -> bool {
        matches(pattern, name, || self.client.is_late())
    }

    /// Returns an error if the current request has exceeded its time limit. The limit is needed because all
    /// other clients wait while a request runs.
    pub(super) fn check_time(&self) -> Result<(), CommandError> {
        if self.client.is_late() {
            return Err("ERR the request takes longer than the practice Redis allows".into());
        }
        Ok(())
    }

    pub(super) fn bulks(&self, items: impl Iterator<Item = Vec<u8>>) -> CommandResult {
        self.collect(items.map(Reply::Bulk)).map(Reply::Array)
    }

    /// Returns an error if `bytes` is more memory than the reply to the current request may still use.
    pub(super) fn afford(&self, bytes: usize) -> Result<(), CommandError> {
        if bytes > self.client.reply_budget.get() {
            return Err("ERR the reply is larger than the practice Redis allows".into());
        }
        Ok(())
    }

    pub(super) fn put(&mut self, key: &[u8], value: Value, expires: Option<Moment>) {
        let db = self.db();
        self.state.store.put(db, key, value, expires);
    }

    /// Changes the value at the command's key. `change` must return the number of changed elements. Returns
    /// this number, or 0 if the key does not exist.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut Value) -> usize) -> usize {
        let (db, key) = (self.db(), self.word(1));
        let changes = self.state.store.edit(db, key, change).unwrap_or(0);
        if changes > 0 {
            self.state.store.changed(db, key);
        }
        changes
    }

    pub(super) fn count_lookup(&mut self, is_hit: bool) {
        if is_hit {
            self.state.statistics.hits += 1;
        } else {
            self.state.statistics.misses += 1;
        }
    }
}

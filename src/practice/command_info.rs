//! Describes a row of the command table: the properties of a command, and the function that runs it.

use super::command::{CommandResult, Invocation};

#[derive(Debug)]
pub(crate) struct CommandInfo {
    /// The command's name in lower case. A subcommand has a name of the form `container|name`.
    pub(crate) name: &'static str,
    /// The number of words in a request, including the command's name. A negative number is a minimum: -2
    /// means at least two words.
    pub(crate) arity: i64,
    /// The command's flags, as Redis names them, separated by spaces.
    pub(super) flags: &'static str,
    /// The indexes of the first and the last key among the words of the command, and the step between keys. A
    /// negative index counts from the end. All three numbers are 0 if the command has no keys.
    pub(crate) keys: KeyPositions,
    /// The command's ACL categories that cannot be derived from its flags, separated by spaces.
    pub(super) categories: &'static str,
    /// The function that runs the command. `None` if the command is called only through its subcommands, or
    /// if the practice Redis does not support the command.
    pub(super) run: Option<Handler>,
}

pub(super) type Handler = fn(&mut Invocation<'_>) -> CommandResult;

pub(super) type KeyPositions = (i64, i64, i64);

impl CommandInfo {
    pub(crate) fn has_flag(&self, flag: &str) -> bool {
        self.flags().any(|known| known == flag)
    }

    pub(crate) fn flags(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.flags.split_whitespace()
    }

    /// Returns all ACL categories of the command, each without its leading `@`.
    pub(crate) fn categories(&self) -> Vec<&'static str> {
        let mut categories: Vec<_> = self.categories.split_whitespace().collect();
        for (flag, category) in [("write", "write"), ("readonly", "read"), ("pubsub", "pubsub")] {
            if self.has_flag(flag) {
                categories.push(category);
            }
        }
        if self.has_flag("admin") {
            categories.extend(["admin", "dangerous"]);
        }
        categories.push(if self.has_flag("fast") { "fast" } else { "slow" });
        categories
    }

    pub(crate) fn accepts(&self, words: usize) -> bool {
        let words = i64::try_from(words).unwrap_or(i64::MAX);
        words == self.arity || (self.arity < 0 && words >= -self.arity)
    }

    /// Returns the keys among the words of a request.
    pub(crate) fn keys_in<'a>(&self, words: &'a [Vec<u8>]) -> Vec<&'a [u8]> {
        let (first, last, step) = self.keys;
        let Some(first) = usize::try_from(first).ok().filter(|first| *first > 0) else {
            return Vec::new();
        };
        let end = match usize::try_from(last) {
            Ok(last) => last + 1,
            Err(_) => words.len(),
        };
        let step = usize::try_from(step).unwrap_or(1).max(1);
        let words = words.iter().take(end).skip(first).step_by(step);
        words.map(Vec::as_slice).collect()
    }

    pub(super) fn has_no_keys(&self) -> bool {
        self.keys.0 == 0
    }

    /// Whether `other` is a subcommand of this command.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        let rest = other.name.strip_prefix(self.name);
        rest.is_some_and(|rest| rest.starts_with('|'))
    }
}

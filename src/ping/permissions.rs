//! Determines which of the tutorial's commands an ACL user is not allowed to run.

use super::observation::Observations;
use super::response::Response;

/// The tutorial's commands, as listed in lesson 7.
pub(crate) const COMMANDS: [&str; 7] = ["HSET", "HINCRBY", "HGETALL", "EXPIRE", "DEL", "MULTI", "EXEC"];
/// The ACL rule that grants access to the tutorial's keys.
pub(crate) const KEY_PATTERN: &str = "~sessiontut:*";

/// The text in Valkey's error reply to SELECT, in lower case, if the user may run SELECT but not use the
/// database.
pub(crate) const NO_DATABASE: &str = "no permissions to access database";

/// The missing permissions of a user. The default value means that nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    pub commands: Vec<String>,
    /// Whether the user has permission to access the tutorial's keys.
    pub keys: Access,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Access {
    Granted,
    Forbidden,
    /// Not known, because Redis checks permission for the command before permission for the key.
    #[default]
    Unknown,
}

impl Missing {
    /// Determines the missing permissions from the responses to the tutorial's commands and SELECT.
    pub(crate) fn of(seen: &Observations) -> Self {
        let queued = seen.write_test.iter().flat_map(|test| &test.queued);
        let replies = seen.permissions.iter().chain(queued);
        let mut missing = Self::default();
        for (name, response) in replies {
            missing.add(name, response);
        }
        if let Some(select) = &seen.requests.select {
            missing.add("SELECT", select);
        }
        missing
    }

    /// Determines the missing permissions from a single error reply.
    pub(crate) fn of_reply(error: &str) -> Self {
        if is_about_keys(error) {
            return Self {
                commands: Vec::new(),
                keys: Access::Forbidden,
            };
        }
        let mut missing = Self {
            commands: COMMANDS.map(str::to_owned).into(),
            keys: Access::Unknown,
        };
        let named = error.split('\'').nth(1).unwrap_or_default().to_uppercase();
        let is_plain = !named.is_empty() && named.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_plain && !missing.commands.contains(&named) {
            missing.commands.push(named);
        }
        missing
    }

    fn add(&mut self, name: &str, response: &Response) {
        let has_key = !matches!(name, "MULTI" | "EXEC" | "SELECT");
        match response.error().filter(|_| response.is_forbidden()) {
            Some(error) if is_about_keys(&error) => self.keys = Access::Forbidden,
            Some(_) if !self.commands.iter().any(|known| known == name) => {
                self.commands.push(name.to_owned());
            }
            Some(_) => {}
            None if has_key && self.keys == Access::Unknown && matches!(response, Response::Reply(_)) => {
                self.keys = Access::Granted;
            }
            None => {}
        }
    }

    /// Returns the ACL rules that allow the commands for which the user has no permission, without rules for
    /// keys. If these commands are unknown, the rules allow all of the tutorial's commands.
    pub(super) fn rules(&self) -> Vec<String> {
        let rule = |name: &str| format!("+{}", name.to_lowercase());
        if self.commands.is_empty() && self.keys != Access::Forbidden {
            return COMMANDS.map(rule).into();
        }
        self.commands.iter().map(|name| rule(name)).collect()
    }
}

/// Whether a NOPERM reply is about keys, such as `No permissions to access a key`. False if the reply is
/// about the command.
fn is_about_keys(error: &str) -> bool {
    !error.contains("command") && error.contains(" key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(replies: &[(&'static str, &str)]) -> Missing {
        let parse = |text: &str| redis::parse_redis_value(format!("{text}\r\n").as_bytes()).unwrap();
        let replies = replies
            .iter()
            .map(|(name, text)| (*name, Response::Reply(parse(text))));
        Missing::of(&Observations::default().with(|seen| seen.permissions = replies.collect()))
    }

    #[test]
    fn only_what_was_refused_is_missing() {
        let (command, key) = (
            "-NOPERM User ada has no permissions to run the 'hset' command",
            "-NOPERM No permissions to access a key",
        );
        let old_key = "-NOPERM this user has no permissions to access one of the keys used as arguments";
        let old_command = "-NOPERM this user has no permissions to run the 'keys' command or its subcommand";
        for (replies, commands, keys) in [
            (
                vec![("HSET", command), ("HGETALL", "*0")],
                "+hset",
                Access::Granted,
            ),
            (
                vec![("HSET", command), ("HGETALL", key)],
                "+hset",
                Access::Forbidden,
            ),
            (vec![("HSET", old_command)], "+hset", Access::Unknown),
            (
                vec![("HSET", "-ERR wrong number of arguments"), ("DEL", old_key)],
                "",
                Access::Forbidden,
            ),
            (
                vec![("MULTI", command), ("EXEC", "-ERR EXEC without MULTI")],
                "+multi",
                Access::Unknown,
            ),
        ] {
            let missing = refused(&replies);
            assert_eq!(
                (missing.rules().join(" ").as_str(), missing.keys),
                (commands, keys),
                "{replies:?}"
            );
        }
        assert_eq!(Missing::default().rules().len(), COMMANDS.len());
    }

    #[test]
    fn lesson_7_grants_the_same_permissions() {
        let lesson = include_str!("../../lessons/07-in-production.md");
        let rules = lesson.lines().filter(|line| line.starts_with("ACL SETUSER"));
        let words: Vec<&str> = rules.flat_map(|line| line.split(' ').skip(3)).collect();
        let commands: Vec<&str> = words
            .iter()
            .copied()
            .filter(|word| word.starts_with('+'))
            .collect();
        assert_eq!(commands.join(" "), Missing::default().rules().join(" "));
        assert!(words.contains(&KEY_PATTERN));
    }

    #[test]
    fn a_command_that_a_reply_names_is_missing_too() {
        let rules = |error| Missing::of_reply(error).rules().join(" ");
        assert!(
            rules("NOPERM User ada has no permissions to run the 'pttl' command").ends_with("+exec +pttl")
        );
        assert!(rules("NOPERM User ada has no permissions to run the '$(x)' command").ends_with("+exec"));
        assert_eq!(rules("NOPERM No permissions to access a key"), "");
    }
}

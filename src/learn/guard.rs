//! Checks whether a lesson may run a command. The command must be on a list of allowed commands, and its keys
//! must start with [`PREFIX`].
//!
//! There is no list of forbidden commands, because such a list would never be complete.

use crate::practice::CommandInfo;
use crate::practice::command_table::{PRACTICE, REAL_ONLY, find, find_name, is_container};
use crate::sanitize;
use crate::secret;
pub(crate) use crate::session::KEY_PREFIX as PREFIX;

/// Why a command is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Forbidden {
    /// A key does not start with [`PREFIX`].
    #[error("not sent: the key {0} must start with {PREFIX}")]
    ForeignKey(String),
    /// The key should be the first argument, but a different argument comes first. Contains the corrected
    /// command.
    #[error("not sent: the key comes first, as in {0}")]
    KeyNotFirst(String),
    /// The command is not on the list of allowed commands.
    #[error("not sent: {0} is not a command that lessons allow")]
    Unlisted(String),
    /// The command begins with the name of a client program, or with a copied prompt.
    #[error("not sent: type the command without {0}")]
    NotPartOfCommand(String),
    /// The line is a shell command. The message does not repeat it, because it may contain a password.
    #[error("not sent: this is a shell command; type or paste shell commands in another terminal")]
    ShellCommand,
    /// The command reads every key of the database, like KEYS or a SCAN without a suitable pattern.
    #[error("not sent: {0} would also read keys of other programs; use SCAN 0 MATCH {PREFIX}*")]
    ScansAllKeys(&'static str),
    /// The key is reserved for other parts of sessiontut, such as a lock.
    #[error("not sent: the key {0} is reserved for sessiontut")]
    ReservedKey(String),
    /// The command would write to a different database, like COPY with DB.
    #[error("not sent: {0} would write to another database")]
    OtherDatabase(&'static str),
    /// The command could create a value of more than [`LARGEST_VALUE`] bytes.
    #[error("not sent: {0} would create a value of more than 64 KB")]
    TooLarge(String),
    /// The setting may contain a password.
    #[error(
        "not sent: CONFIG GET {0} could show a password; name a single setting, such as maxmemory-policy"
    )]
    PasswordSetting(String),
}

/// Commands without keys that lessons are allowed to run, because these commands only read.
const READ_ONLY: &[&str] = &[
    "acl|cat",
    "acl|whoami",
    "client|getname",
    "client|id",
    "client|info",
    "client|list",
    "cluster|countkeysinslot",
    "cluster|info",
    "cluster|keyslot",
    "cluster|myid",
    "cluster|nodes",
    "cluster|shards",
    "cluster|slots",
    "command",
    "command|count",
    "command|docs",
    "command|info",
    "command|list",
    "config|get",
    "dbsize",
    "echo",
    "info",
    "keys",
    "memory|doctor",
    "memory|stats",
    "ping",
    "role",
    "scan",
    "time",
];
/// Commands without keys that lessons are allowed to run, because these commands are harmless or needed for
/// transactions.
const HARMLESS: &[&str] = &[
    "discard",
    "exec",
    "lastsave",
    "latency|doctor",
    "latency|latest",
    "multi",
    "unwatch",
    "wait",
];

/// Shell commands and programs that learners may type at the wrong prompt. Shells distinguish between upper
/// case and lower case, so `EXPORT` is more likely to be a mistyped Redis command.
#[rustfmt::skip]
const SHELL_COMMANDS: &[&str] = &[
    "apt", "apt-get", "aws", "bash", "brew", "bundle", "cargo", "cat", "cd", "clear", "composer", "cp", "curl",
    "docker", "env", "export", "flask", "gem", "git", "go", "grep", "kill", "kubectl", "ls", "make", "mkdir", "mv",
    "nano", "nc", "node", "npm", "npx", "php", "pip", "pip3", "ps", "pwd", "python", "python3", "redis-server",
    "ruby", "sessiontut", "sh", "source", "ssh", "sudo", "telnet", "touch", "unset", "vim", "wget", "yarn",
];

/// Words that must not follow [`PREFIX`] in a lesson's keys. Keys with these words belong to locks, `serve`
/// and `ping`.
const RESERVED: &[&str] = &["lesson:", "instance", "health", "ping"];

/// The maximum size in bytes of a value that one command may create. SETRANGE and SETBIT can create large
/// values, because they fill the space before their offset with zeros.
const LARGEST_VALUE: u64 = 64 * 1024;

/// Returns the maximum number of bytes that a command adds to the data in Redis.
pub(super) fn growth(words: &[Vec<u8>]) -> u64 {
    let number = |at: usize| {
        let word = words.get(at)?;
        std::str::from_utf8(word).ok()?.parse::<u64>().ok()
    };
    let Some(command) = listed(words).filter(|command| command.has_flag("write")) else {
        return 0;
    };
    let sent = words.iter().map(|word| word.len() as u64).sum();
    // Redis rejects an offset that is not a number, so such a command adds nothing.
    match command.name {
        "setrange" => number(2).unwrap_or_default().saturating_add(sent),
        "setbit" => number(2).unwrap_or_default() / 8 + sent,
        "copy" => LARGEST_VALUE,
        _ => sent,
    }
}

/// Returns the table entry of a command, or `None` if lessons must not run the command.
pub(super) fn listed(words: &[Vec<u8>]) -> Option<&'static CommandInfo> {
    let is_listed = |command: &&CommandInfo| {
        command.keys.0 > 0 || READ_ONLY.contains(&command.name) || HARMLESS.contains(&command.name)
    };
    find(&[PRACTICE, REAL_ONLY], words).filter(is_listed)
}

/// Returns the keys of an allowed command.
pub(crate) fn keys_of(words: &[Vec<u8>]) -> Result<Vec<&[u8]>, Forbidden> {
    let Some(command) = listed(words) else {
        let first = String::from_utf8_lossy(words.first().map_or(b"", Vec::as_slice));
        return Err(match prompt_in(&first) {
            Some(prompt) => Forbidden::NotPartOfCommand(sanitize::excerpt(prompt.as_bytes(), 40)),
            None if matches!(&*first, "redis-cli" | "valkey-cli") => {
                Forbidden::NotPartOfCommand(first.into_owned())
            }
            None if is_shell_command(&first) => Forbidden::ShellCommand,
            None => Forbidden::Unlisted(shown_name(words)),
        });
    };
    match command.name {
        "keys" => return Err(Forbidden::ScansAllKeys("KEYS")),
        "scan" => {
            // If there are several patterns, Redis uses the last one.
            let mut options = words.windows(2).rev();
            let pattern = options.find(|pair| pair[0].eq_ignore_ascii_case(b"MATCH"));
            if !pattern.is_some_and(|pair| pair[1].starts_with(PREFIX.as_bytes())) {
                return Err(Forbidden::ScansAllKeys("SCAN without MATCH"));
            }
        }
        "config|get" => {
            if let Some(name) = words
                .iter()
                .skip(2)
                .find(|name| secret::may_be_password_setting(name))
            {
                return Err(Forbidden::PasswordSetting(sanitize::excerpt(name, 40)));
            }
        }
        "copy" if words.iter().skip(3).any(|word| word.eq_ignore_ascii_case(b"DB")) => {
            return Err(Forbidden::OtherDatabase("COPY with DB"));
        }
        _ => {}
    }
    let keys = command.keys_in(words);
    for key in &keys {
        let Some(own) = key.strip_prefix(PREFIX.as_bytes()) else {
            if let Some(line) = key_first(command, words) {
                return Err(Forbidden::KeyNotFirst(line));
            }
            return Err(Forbidden::ForeignKey(sanitize::excerpt(key, 60)));
        };
        if RESERVED
            .iter()
            .any(|reserved| own.starts_with(reserved.as_bytes()))
        {
            return Err(Forbidden::ReservedKey(sanitize::excerpt(key, 60)));
        }
    }
    if growth(words) > LARGEST_VALUE {
        return Err(Forbidden::TooLarge(shown_name(words)));
    }
    Ok(keys)
}

/// If a command takes one key and the key is not its first argument, returns the corrected command.
/// Otherwise, returns `None`.
pub(super) fn key_first(command: &CommandInfo, words: &[Vec<u8>]) -> Option<String> {
    let key = words
        .iter()
        .skip(2)
        .position(|word| word.starts_with(PREFIX.as_bytes()))?
        + 2;
    if command.keys_in(words).len() != 1 {
        return None;
    }
    let mut line = words.to_vec();
    line[..=key][1..].rotate_right(1);
    Some(sanitize::excerpt(&line.join(&b' '), 120))
}

/// Returns the prompt at the start of a copied line, such as `$`, `>` or `127.0.0.1:6379>`. Returns `None`
/// without a prompt.
pub(crate) fn prompt_in(line: &str) -> Option<&str> {
    let word = line.split_whitespace().next()?;
    match word.find('>') {
        Some(end) => Some(&word[..=end]),
        None if word.starts_with(['$', '%', '#']) => Some(&word[..1]),
        None => None,
    }
}

/// Whether a line that starts with this word is a shell command: a known program, a path, or an assignment to
/// a variable.
pub(super) fn is_shell_command(word: &str) -> bool {
    let is_path = ["./", "../", "/", "~/"]
        .iter()
        .any(|start| word.starts_with(start));
    let is_assignment = word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    SHELL_COMMANDS.contains(&word) || is_path || is_assignment
}

/// Returns a command's name, followed by its subcommand if there is one.
fn shown_name(words: &[Vec<u8>]) -> String {
    let name = words
        .first()
        .map(|name| name.to_ascii_lowercase())
        .unwrap_or_default();
    let command = find_name(&[PRACTICE, REAL_ONLY], &name);
    let count = if command.is_some_and(is_container) { 2 } else { 1 };
    let shown: Vec<&[u8]> = words.iter().take(count).map(Vec::as_slice).collect();
    sanitize::excerpt(&shown.join(&b' '), 40)
}

/// Whether a command only reads and therefore does not count as an attempt.
pub(super) fn only_reads(command: &str) -> bool {
    let name = lower(command.as_bytes());
    let is_it = |info: &&CommandInfo| {
        let rest = info.name.strip_prefix(&name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
    };
    let mut all = PRACTICE.iter().chain(REAL_ONLY).filter(is_it);
    all.any(|info| info.has_flag("readonly") || READ_ONLY.contains(&info.name))
}

fn lower(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(line: &str) -> Result<Vec<String>, Forbidden> {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        Ok(keys_of(&words)?
            .into_iter()
            .map(|key| String::from_utf8_lossy(key).into_owned())
            .collect())
    }

    #[test]
    fn keys_of_ours_pass() {
        for (line, keys) in [
            ("PING", &[][..]),
            ("hincrby sessiontut:user:ada visits 1", &["sessiontut:user:ada"]),
            ("DEL sessiontut:a sessiontut:b", &["sessiontut:a", "sessiontut:b"]),
            (
                "MSET sessiontut:a x sessiontut:b y",
                &["sessiontut:a", "sessiontut:b"],
            ),
            ("MEMORY USAGE sessiontut:a SAMPLES 0", &["sessiontut:a"]),
            ("SCAN 0 MATCH sessiontut:*", &[]),
            ("CONFIG GET maxmemory-policy", &[]),
            (
                "COPY sessiontut:a sessiontut:b REPLACE",
                &["sessiontut:a", "sessiontut:b"],
            ),
            ("SETBIT sessiontut:a 7 1", &["sessiontut:a"]),
            ("SETRANGE sessiontut:a 100 x", &["sessiontut:a"]),
            ("GET", &[]),
        ] {
            assert_eq!(judged(line).unwrap(), keys, "{line}");
        }
    }

    #[test]
    fn nothing_else_is_sent() {
        for line in [
            "SET other 1",
            "DEL sessiontut:a other",
            "MSET sessiontut:a x other y",
            "RENAME sessiontut:a other",
            "MEMORY USAGE other",
            "SCAN 0",
            "SCAN 0 MATCH *",
            "SCAN 0 MATCH sessiontut:* MATCH *",
            "KEYS sessiontut:*",
            "FLUSHALL",
            "FLUSHDB ASYNC",
            "CONFIG SET maxmemory 1",
            "EVAL return 0",
            "SORT sessiontut:a STORE other",
            "SHUTDOWN",
            "SELECT 1",
            "CLIENT KILL 1",
            "ACL SETUSER x",
            "XGROUP CREATE other",
            "COPY sessiontut:a sessiontut:b DB 5",
            "copy sessiontut:a sessiontut:b REPLACE db 5",
            "MOVE sessiontut:a 1",
            "SWAPDB 0 1",
            "RESTORE sessiontut:a 0 x",
            "MIGRATE 10.0.0.7 6379 sessiontut:a 0 100",
            "SETBIT sessiontut:a 4294967295 1",
            "SETRANGE sessiontut:a 536870911 x",
            "SETRANGE sessiontut:a 18446744073709551615 x",
            "DEL sessiontut:lesson:ada",
            "ZREM sessiontut:instances x",
            "SET sessiontut:instance:127.0.0.1:5000 x",
            "",
        ] {
            assert!(judged(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_reason_is_that_of_the_first_word_that_is_wrong() {
        let reason = |line: &str| judged(line).unwrap_err();
        assert_eq!(reason("CONFIG SET a 1"), Forbidden::Unlisted("CONFIG SET".into()));
        for (line, left_out) in [
            ("redis-cli GET a", "redis-cli"),
            ("$ GET sessiontut:a", "$"),
            ("> GET sessiontut:a", ">"),
            (">GET sessiontut:a", ">"),
            ("127.0.0.1:6379> GET sessiontut:a", "127.0.0.1:6379>"),
        ] {
            assert_eq!(
                reason(line),
                Forbidden::NotPartOfCommand(left_out.into()),
                "{line}"
            );
        }
        assert_eq!(reason("FLUSHDB ASYNC"), Forbidden::Unlisted("FLUSHDB".into()));
        assert_eq!(reason("SET other 1"), Forbidden::ForeignKey("other".into()));
        assert_eq!(reason("KEYS *"), Forbidden::ScansAllKeys("KEYS"));
        assert_eq!(reason("CONFIG GET *"), Forbidden::PasswordSetting("*".into()));
    }

    #[test]
    fn shell_commands_are_recognised() {
        for line in [
            "export REDIS_URL=redis://127.0.0.1:6379",
            "REDIS_URL=redis://127.0.0.1:6379 python app.py",
            "sudo systemctl stop redis",
            "./app.py",
            "~/venv/bin/python app.py",
            "sessiontut ping",
        ] {
            assert_eq!(judged(line).unwrap_err(), Forbidden::ShellCommand, "{line}");
        }
        for line in ["EXPORT sessiontut:a", "=", "hset other a b"] {
            assert_ne!(judged(line).unwrap_err(), Forbidden::ShellCommand, "{line}");
        }
    }

    #[test]
    fn a_key_behind_other_arguments_is_put_first() {
        for (line, wanted) in [
            ("EXPIRE 100 sessiontut:a", Some("EXPIRE sessiontut:a 100")),
            (
                "HSET colour blue sessiontut:a",
                Some("HSET sessiontut:a colour blue"),
            ),
            (
                "HSET colour sessiontut:a blue",
                Some("HSET sessiontut:a colour blue"),
            ),
            ("EXPIRE a 100", None),
            ("RENAME a sessiontut:a", None),
        ] {
            let found = match judged(line).unwrap_err() {
                Forbidden::KeyNotFirst(line) => Some(line),
                _ => None,
            };
            assert_eq!(found.as_deref(), wanted, "{line}");
        }
    }

    #[test]
    fn commands_that_change_nothing_are_not_attempts() {
        for name in [
            "GET", "hgetall", "TTL", "SCAN", "MEMORY", "OBJECT", "CONFIG", "CLIENT", "PING", "COMMAND",
        ] {
            assert!(only_reads(name), "{name}");
        }
        for name in [
            "SET", "HINCRBY", "GETEX", "MULTI", "EXEC", "WATCH", "WAIT", "FOO", "",
        ] {
            assert!(!only_reads(name), "{name}");
        }
    }

    #[test]
    fn a_password_among_the_settings_is_not_asked_for() {
        for setting in [
            "requirepass",
            "MASTERAUTH",
            "tls-key-file-pass",
            "*",
            "requirepas?",
            "maxmemory requirepass",
        ] {
            assert!(judged(&format!("CONFIG GET {setting}")).is_err(), "{setting}");
        }
        assert!(judged("CONFIG GET maxmemory-policy").is_ok());
    }
}

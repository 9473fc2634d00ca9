//! Corrections of mistyped commands, and the completions at the prompt.

use super::guard::{PREFIX, key_first, listed};
use crate::sanitize;

/// The commands that the prompt offers as completions.
#[rustfmt::skip]
pub(crate) const COMPLETIONS: &[&str] = &[
    "DEL", "EXISTS", "EXPIRE", "EXPIRETIME", "GET", "GETDEL", "GETEX", "HDEL", "HEXISTS", "HGET", "HGETALL", "HINCRBY",
    "HKEYS", "HLEN", "HMGET", "HSET", "HSETNX", "HVALS", "INCR", "INCRBY", "MEMORY USAGE", "OBJECT ENCODING", "PERSIST",
    "PEXPIRE", "PING", "PTTL", "RENAME", "SADD", "SET", "SETEX", "SMEMBERS", "STRLEN", "TTL", "TYPE", "UNLINK",
];

/// The maximum number of typos in a command name that is corrected.
const MOST_TYPOS: usize = 2;
/// The minimum length of an abbreviation that is expanded to a command name.
const SHORTEST_START: usize = 4;
/// The minimum length of a command name that is recognised at the start of a longer word.
const SHORTEST_NAME: usize = 3;

/// Command names from other programs, and the corresponding Redis commands.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("REMOVE", "DEL"),
    ("RM", "DEL"),
    ("HREMOVE", "HDEL"),
    ("ADD", "INCRBY"),
];

/// Suggests a correction for a command that was not sent.
///
/// Corrects an unknown command if it is an abbreviation, starts with a command name, or contains at most two
/// typos. Replaces a key without the prefix with a similar key from `keys` or, without a similar key, adds
/// the prefix. `keys` contains the lesson's keys, preferred keys first.
pub(super) fn suggestion(words: &[Vec<u8>], keys: &[String]) -> Option<String> {
    let Some(command) = listed(words) else {
        let name = String::from_utf8_lossy(words.first()?).to_uppercase();
        let names = COMPLETIONS.iter().filter(|known| !known.contains(' '));
        if name.len() >= SHORTEST_START
            && let Some(whole) = names.clone().find(|known| known.starts_with(&name))
        {
            return Some((*whole).to_owned());
        }
        if let Some((_, known)) = OTHER_NAMES.iter().find(|(other, _)| *other == name) {
            return Some((*known).to_owned());
        }
        let (typos, nearest) = names
            .clone()
            .map(|known| (strsim::osa_distance(&name, known), known))
            .min()?;
        if typos <= MOST_TYPOS && typos * 3 <= name.len() {
            return Some((*nearest).to_owned());
        }
        let starts = names.filter(|known| known.len() >= SHORTEST_NAME && name.starts_with(**known));
        return starts
            .max_by_key(|known| known.len())
            .map(|known| (*known).to_owned());
    };
    if matches!(command.name, "keys" | "scan") {
        return None;
    }
    let key = std::str::from_utf8(words.get(1)?).ok()?;
    let is_foreign = !key.starts_with(PREFIX) && !key.is_empty() && !key.contains('*');
    if !is_foreign {
        return None;
    }
    if key_first(command, words).is_some() {
        return None;
    }
    let meant = keys.iter().find(|known| is_like(key, known));
    Some(
        meant
            .cloned()
            .unwrap_or_else(|| sanitize::line(&prefixed(key)).into_owned()),
    )
}

/// Whether `key` is probably a mistyped form of `known`: a few letters differ, or `key` is the end of
/// `known`, such as `user:ada`.
fn is_like(key: &str, known: &str) -> bool {
    let (key, known) = (key.to_lowercase(), known.to_lowercase());
    let parts = known.strip_prefix(PREFIX).unwrap_or(&known);
    let (prefixed, typos) = (prefixed(&key), |one: &str| strsim::osa_distance(one, &known));
    prefixed == known
        || parts == key
        || parts.ends_with(&format!(":{key}"))
        || typos(&key).min(typos(&prefixed)) * 6 <= parts.len()
}

/// Adds the prefix to a key, or replaces the key's first part if that resembles the prefix.
fn prefixed(key: &str) -> String {
    let own = PREFIX.trim_end_matches(':');
    match key.split_once([':', '.', '/', '_', '-']) {
        Some((first, rest)) if is_misspelt(first, own) => format!("{PREFIX}{rest}"),
        _ => format!("{PREFIX}{key}"),
    }
}

fn is_misspelt(part: &str, own: &str) -> bool {
    strsim::osa_distance(&part.to_lowercase(), own) <= own.len() - "session".len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_and_missing_prefixes_get_a_suggestion() {
        for (line, wanted) in [
            ("HINCBY sessiontut:a visits 1", Some("HINCRBY")),
            ("exprie sessiontut:a 10", Some("EXPIRE")),
            ("hincr sessiontut:a visits 1", Some("HINCRBY")),
            ("HGETALL user:ada", Some("sessiontut:user:ada")),
            ("hincrby Ada visits 1", Some("sessiontut:user:ada")),
            ("hincrby bob visits 1", Some("sessiontut:bob")),
            ("HSET session:user:ada colour blue", Some("sessiontut:user:ada")),
            ("HSET session:user:bob colour blue", Some("sessiontut:user:bob")),
            ("GET sesiontut:user:ada", Some("sessiontut:user:ada")),
            ("GET sessiontut.user.ada", Some("sessiontut:user:ada")),
            ("GET user:adda", Some("sessiontut:user:ada")),
            ("EXPIRE 100 sessiontut:user:ada", None),
            ("DELETE sessiontut:a", Some("DEL")),
            ("HDELETE sessiontut:a b", Some("HDEL")),
            ("rm sessiontut:a", Some("DEL")),
            ("FLUSHALL", None),
            ("KEYS user:*", None),
            ("xx", None),
        ] {
            let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            let lesson_keys = ["sessiontut:user:ada".to_owned()];
            assert_eq!(suggestion(&words, &lesson_keys).as_deref(), wanted, "{line}");
        }
    }
}

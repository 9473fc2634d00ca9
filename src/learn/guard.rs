//! Which commands a lesson may send: those whose keys we can tell, and only on keys of ours.
//!
//! Where the keys stand is from `COMMAND INFO` of Redis 7 (<https://redis.io/docs/latest/develop/reference/key-specs/>).
//! What is not in the table is not sent: a list of what is dangerous would never be complete.

use crate::sanitize;

/// What every key of ours begins with.
pub(crate) const PREFIX: &str = "sessiontut:";

/// Why a command is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Forbidden {
    /// The command is on a key that is not ours.
    #[error("not sent: the key {0} is outside {PREFIX}, where everything of this lesson lives")]
    Outside(String),
    /// The command is not among those that a lesson sends.
    #[error("not sent: {0} is none of the commands that a lesson sends, each on keys that can be told")]
    Unknown(String),
    /// KEYS, and SCAN unless it is told not to, walk over everybody's keys.
    #[error("not sent: {0} would walk over keys that are not ours; SCAN 0 MATCH {PREFIX}* looks at ours")]
    Walks(&'static str),
    /// Redis keeps its passwords among its settings.
    #[error(
        "not sent: CONFIG GET {0} may show a password of this Redis; name one setting, such as maxmemory-policy"
    )]
    Secret(String),
}

/// Where the keys of a command stand, in its words counted from 0 (the command itself).
#[derive(Clone, Copy, Debug)]
pub(super) enum Keys {
    /// It has none.
    None,
    /// One word.
    At(usize),
    /// Two words from 1 on.
    Two,
    /// All words from 1 on.
    All,
    /// Every second word from 1 on.
    EveryOther,
    /// The pattern of MATCH.
    ScanPattern,
    /// All there are.
    Everybodys,
    /// It has none; the words from 2 on are names of settings.
    Settings,
}

/// The keys of a command that may be sent.
///
/// # Errors
/// [`Forbidden`] when a key is outside [`PREFIX`], or the keys cannot be told.
pub(crate) fn keys_of(words: &[Vec<u8>]) -> Result<Vec<&[u8]>, Forbidden> {
    let name = upper(words, 0);
    let Some(place) = place(&name, &upper(words, 1)) else {
        let shown = if has_subcommands(&name) { 2 } else { 1 };
        let shown = words
            .iter()
            .take(shown)
            .map(Vec::as_slice)
            .collect::<Vec<_>>()
            .join(&b' ');
        return Err(Forbidden::Unknown(sanitize::excerpt(&shown, 40)));
    };
    let keys: Vec<&[u8]> = match place {
        Keys::None => Vec::new(),
        Keys::At(at) => words.iter().skip(at).take(1).map(Vec::as_slice).collect(),
        Keys::Two => words.iter().skip(1).take(2).map(Vec::as_slice).collect(),
        Keys::All => words.iter().skip(1).map(Vec::as_slice).collect(),
        Keys::EveryOther => words.iter().skip(1).step_by(2).map(Vec::as_slice).collect(),
        Keys::Everybodys => return Err(Forbidden::Walks("KEYS")),
        Keys::Settings => {
            let secret = words.iter().skip(2).find(|name| may_be_secret(name));
            return match secret {
                Some(name) => Err(Forbidden::Secret(sanitize::excerpt(name, 40))),
                None => Ok(Vec::new()),
            };
        }
        Keys::ScanPattern => {
            let pattern = words
                .windows(2)
                .rev()
                .find(|pair| pair[0].eq_ignore_ascii_case(b"MATCH"));
            match pattern {
                Some([_, pattern]) if pattern.starts_with(PREFIX.as_bytes()) => return Ok(Vec::new()),
                _ => return Err(Forbidden::Walks("SCAN without MATCH")),
            }
        }
    };
    match keys.iter().find(|key| !key.starts_with(PREFIX.as_bytes())) {
        Some(foreign) => Err(Forbidden::Outside(sanitize::excerpt(foreign, 60))),
        None => Ok(keys),
    }
}

/// The commands that have a key, for completion at the prompt.
pub(crate) const COMPLETIONS: &[&str] = &[
    "DEL",
    "EXISTS",
    "EXPIRE",
    "EXPIRETIME",
    "GET",
    "GETDEL",
    "GETEX",
    "HDEL",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HINCRBY",
    "HKEYS",
    "HLEN",
    "HMGET",
    "HSET",
    "HSETNX",
    "HVALS",
    "INCR",
    "INCRBY",
    "MEMORY USAGE",
    "OBJECT ENCODING",
    "PERSIST",
    "PEXPIRE",
    "PING",
    "PTTL",
    "RENAME",
    "SADD",
    "SET",
    "SETEX",
    "SMEMBERS",
    "STRLEN",
    "TTL",
    "TYPE",
    "UNLINK",
];

/// `requirepass`, `masterauth`, `tls-key-file-pass`, and every pattern that might match one of them.
fn may_be_secret(setting: &[u8]) -> bool {
    let name = String::from_utf8_lossy(setting).to_lowercase();
    name.contains("pass") || name.contains("auth") || name.contains(['*', '?', '[', '\\'])
}

pub(super) fn place(name: &str, subcommand: &str) -> Option<Keys> {
    let keys = match name {
        "PING" | "ECHO" | "TIME" | "INFO" | "ROLE" | "DBSIZE" | "COMMAND" | "MULTI" | "EXEC" | "DISCARD"
        | "UNWATCH" | "WAIT" | "LASTSAVE" => Keys::None,
        "ACL" if matches!(subcommand, "WHOAMI" | "CAT") => Keys::None,
        "CLIENT" if matches!(subcommand, "ID" | "INFO" | "GETNAME" | "LIST") => Keys::None,
        "CLUSTER"
            if matches!(
                subcommand,
                "INFO" | "KEYSLOT" | "SLOTS" | "SHARDS" | "NODES" | "MYID" | "COUNTKEYSINSLOT"
            ) =>
        {
            Keys::None
        }
        "CONFIG" if subcommand == "GET" => Keys::Settings,
        "LATENCY" if matches!(subcommand, "LATEST" | "DOCTOR") => Keys::None,
        "MEMORY" if matches!(subcommand, "STATS" | "DOCTOR") => Keys::None,
        "MEMORY" if subcommand == "USAGE" => Keys::At(2),
        "OBJECT" if matches!(subcommand, "ENCODING" | "FREQ" | "IDLETIME" | "REFCOUNT") => Keys::At(2),
        "SCAN" => Keys::ScanPattern,
        "KEYS" => Keys::Everybodys,
        "DEL" | "EXISTS" | "MGET" | "TOUCH" | "UNLINK" | "WATCH" | "SDIFF" | "SINTER" | "SUNION" => Keys::All,
        "MSET" | "MSETNX" => Keys::EveryOther,
        "COPY" | "RENAME" | "RENAMENX" | "SMOVE" | "LMOVE" | "RPOPLPUSH" => Keys::Two,
        _ if has_one_key(name) => Keys::At(1),
        _ => return None,
    };
    Some(keys)
}

/// Whether a command changes nothing, so that it is no attempt at a task.
#[must_use]
pub(super) fn only_reads(command: &str) -> bool {
    matches!(
        command,
        "PING"
            | "ECHO"
            | "TIME"
            | "INFO"
            | "ROLE"
            | "DBSIZE"
            | "COMMAND"
            | "SCAN"
            | "MEMORY"
            | "OBJECT"
            | "TTL"
            | "PTTL"
            | "EXPIRETIME"
            | "PEXPIRETIME"
            | "TYPE"
            | "EXISTS"
            | "GET"
            | "MGET"
            | "STRLEN"
            | "HGET"
            | "HGETALL"
            | "HEXISTS"
            | "HKEYS"
            | "HLEN"
            | "HMGET"
            | "HVALS"
            | "HSCAN"
            | "HSTRLEN"
            | "SMEMBERS"
            | "SCARD"
            | "SISMEMBER"
            | "LRANGE"
            | "LLEN"
            | "ZRANGE"
            | "CONFIG"
            | "CLIENT"
            | "CLUSTER"
            | "ACL"
    )
}

fn has_subcommands(name: &str) -> bool {
    matches!(
        name,
        "ACL"
            | "CLIENT"
            | "CLUSTER"
            | "CONFIG"
            | "LATENCY"
            | "MEMORY"
            | "OBJECT"
            | "PUBSUB"
            | "SCRIPT"
            | "XGROUP"
    )
}

/// Commands with one key, their second word.
fn has_one_key(name: &str) -> bool {
    const GENERIC: &[&str] = &[
        "EXPIRE",
        "EXPIREAT",
        "EXPIRETIME",
        "PERSIST",
        "PEXPIRE",
        "PEXPIREAT",
        "PEXPIRETIME",
        "PTTL",
        "TTL",
        "TYPE",
    ];
    const STRINGS: &[&str] = &[
        "APPEND",
        "BITCOUNT",
        "BITPOS",
        "DECR",
        "DECRBY",
        "GET",
        "GETBIT",
        "GETDEL",
        "GETEX",
        "GETRANGE",
        "GETSET",
        "INCR",
        "INCRBY",
        "INCRBYFLOAT",
        "PSETEX",
        "SET",
        "SETBIT",
        "SETEX",
        "SETNX",
        "SETRANGE",
        "STRLEN",
    ];
    const HASHES: &[&str] = &[
        "HDEL",
        "HEXISTS",
        "HEXPIRE",
        "HGET",
        "HGETALL",
        "HINCRBY",
        "HINCRBYFLOAT",
        "HKEYS",
        "HLEN",
        "HMGET",
        "HMSET",
        "HPERSIST",
        "HPEXPIRE",
        "HPTTL",
        "HRANDFIELD",
        "HSCAN",
        "HSET",
        "HSETNX",
        "HSTRLEN",
        "HTTL",
        "HVALS",
    ];
    const LISTS: &[&str] = &[
        "LINDEX", "LINSERT", "LLEN", "LPOP", "LPOS", "LPUSH", "LPUSHX", "LRANGE", "LREM", "LSET", "LTRIM",
        "RPOP", "RPUSH", "RPUSHX",
    ];
    const SETS: &[&str] = &[
        "SADD",
        "SCARD",
        "SISMEMBER",
        "SMEMBERS",
        "SMISMEMBER",
        "SPOP",
        "SRANDMEMBER",
        "SREM",
        "SSCAN",
        "ZADD",
        "ZCARD",
        "ZCOUNT",
        "ZINCRBY",
        "ZPOPMAX",
        "ZPOPMIN",
        "ZRANGE",
        "ZRANK",
        "ZREM",
        "ZREVRANK",
        "ZSCAN",
        "ZSCORE",
    ];
    [GENERIC, STRINGS, HASHES, LISTS, SETS]
        .iter()
        .any(|names| names.contains(&name))
}

pub(super) fn upper(words: &[Vec<u8>], at: usize) -> String {
    words
        .get(at)
        .map(|word| String::from_utf8_lossy(word).to_uppercase())
        .unwrap_or_default()
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
            "",
        ] {
            assert!(judged(line).is_err(), "{line}");
        }
        assert_eq!(
            judged("CONFIG SET maxmemory 1").unwrap_err().to_string(),
            "not sent: CONFIG SET is none of the commands that a lesson sends, each on keys that can be told"
        );
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

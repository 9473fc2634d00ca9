//! What is known about Redis commands: arity, flags, key positions, ACL categories.
//!
//! The practice Redis and the list of commands a lesson may run share this table. Its contents are those of
//! `COMMAND INFO` of Redis 7.0 (<https://redis.io/docs/latest/commands/command/>), which a test compares.

/// One command or subcommand.
#[derive(Debug)]
pub(crate) struct CommandInfo {
    /// In lower case; a subcommand is `container|name`.
    pub(crate) name: &'static str,
    /// The number of words including the name; negative: at least that many.
    pub(crate) arity: i64,
    /// Redis's flags, separated by spaces.
    flags: &'static str,
    /// The index of the first key among the words, of the last one (negative: from the end), and the step between them.
    pub(crate) keys: KeyPositions,
    /// The ACL categories that do not follow from the flags, separated by spaces.
    categories: &'static str,
}

type KeyPositions = (i64, i64, i64);

impl CommandInfo {
    pub(crate) fn has_flag(&self, flag: &str) -> bool {
        self.flags().any(|known| known == flag)
    }

    pub(crate) fn flags(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.flags.split_whitespace()
    }

    /// All ACL categories, without the `@`.
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

    /// The keys among the words of a request.
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

    /// Whether `other` is a subcommand of this command.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        let rest = other.name.strip_prefix(self.name);
        rest.is_some_and(|rest| rest.starts_with('|'))
    }
}

/// Finds the command of a request in one or more tables: the subcommand if the first word is a container.
pub(crate) fn find(tables: &[&'static [CommandInfo]], words: &[Vec<u8>]) -> Option<&'static CommandInfo> {
    let lower = |at: usize| {
        let word = words.get(at)?;
        Some(String::from_utf8_lossy(word).to_ascii_lowercase())
    };
    let name = lower(0)?;
    let subcommand = lower(1).and_then(|second| find_name(tables, &format!("{name}|{second}")));
    subcommand.or_else(|| find_name(tables, &name))
}

/// Finds a command by its name in lower case.
pub(crate) fn find_name(tables: &[&'static [CommandInfo]], name: &str) -> Option<&'static CommandInfo> {
    tables.iter().find_map(|table| {
        let index = table.binary_search_by(|command| command.name.cmp(name)).ok()?;
        table.get(index)
    })
}

const fn command(
    name: &'static str,
    arity: i64,
    flags: &'static str,
    keys: KeyPositions,
    categories: &'static str,
) -> CommandInfo {
    CommandInfo {
        name,
        arity,
        flags,
        keys,
        categories,
    }
}

const NONE: KeyPositions = (0, 0, 0);
const FIRST: KeyPositions = (1, 1, 1);
const SECOND: KeyPositions = (2, 2, 1);
const TWO: KeyPositions = (1, 2, 1);
const ALL: KeyPositions = (1, -1, 1);
const PAIRS: KeyPositions = (1, -1, 2);

/// The commands that the practice Redis implements, sorted by name.
#[rustfmt::skip]
pub(crate) static PRACTICE: &[CommandInfo] = &[
    command("acl", -2, "", NONE, ""),
    command("acl|whoami", 2, "noscript loading stale", NONE, ""),
    command("append", 3, "write denyoom fast", FIRST, "string"),
    command("auth", -2, "noscript loading stale fast no_auth allow_busy", NONE, "connection"),
    command("client", -2, "", NONE, ""),
    command("client|getname", 2, "noscript loading stale", NONE, "connection"),
    command("client|id", 2, "noscript loading stale", NONE, "connection"),
    command("client|info", 2, "noscript loading stale", NONE, "connection"),
    command("client|kill", -3, "admin noscript loading stale", NONE, "connection"),
    command("client|list", -2, "admin noscript loading stale", NONE, "connection"),
    command("client|no-evict", 3, "admin noscript loading stale", NONE, "connection"),
    command("client|no-touch", 3, "noscript loading stale", NONE, "connection"),
    command("client|setinfo", 4, "noscript loading stale", NONE, "connection"),
    command("client|setname", 3, "noscript loading stale", NONE, "connection"),
    command("cluster", -2, "", NONE, ""),
    command("cluster|info", 2, "stale", NONE, ""),
    command("command", -1, "loading stale", NONE, "connection"),
    command("command|count", 2, "loading stale", NONE, "connection"),
    command("command|info", -2, "loading stale", NONE, "connection"),
    command("command|list", -2, "loading stale", NONE, "connection"),
    command("config", -2, "", NONE, ""),
    command("config|get", -3, "admin noscript loading stale", NONE, ""),
    command("dbsize", 1, "readonly fast", NONE, "keyspace"),
    command("decr", 2, "write denyoom fast", FIRST, "string"),
    command("decrby", 3, "write denyoom fast", FIRST, "string"),
    command("del", -2, "write", ALL, "keyspace"),
    command("discard", 1, "noscript loading stale fast allow_busy", NONE, "transaction"),
    command("echo", 2, "loading stale fast", NONE, "connection"),
    command("exec", 1, "noscript loading stale skip_slowlog", NONE, "transaction"),
    command("exists", -2, "readonly fast", ALL, "keyspace"),
    command("expire", -3, "write fast", FIRST, "keyspace"),
    command("expireat", -3, "write fast", FIRST, "keyspace"),
    command("expiretime", 2, "readonly fast", FIRST, "keyspace"),
    command("flushall", -1, "write", NONE, "keyspace dangerous"),
    command("flushdb", -1, "write", NONE, "keyspace dangerous"),
    command("get", 2, "readonly fast", FIRST, "string"),
    command("getdel", 2, "write fast", FIRST, "string"),
    command("getex", -2, "write fast", FIRST, "string"),
    command("getset", 3, "write denyoom fast", FIRST, "string"),
    command("hdel", -3, "write fast", FIRST, "hash"),
    command("hello", -1, "noscript loading stale fast no_auth allow_busy", NONE, "connection"),
    command("hexists", 3, "readonly fast", FIRST, "hash"),
    command("hget", 3, "readonly fast", FIRST, "hash"),
    command("hgetall", 2, "readonly", FIRST, "hash"),
    command("hincrby", 4, "write denyoom fast", FIRST, "hash"),
    command("hincrbyfloat", 4, "write denyoom fast", FIRST, "hash"),
    command("hkeys", 2, "readonly", FIRST, "hash"),
    command("hlen", 2, "readonly fast", FIRST, "hash"),
    command("hmget", -3, "readonly fast", FIRST, "hash"),
    command("hmset", -4, "write denyoom fast", FIRST, "hash"),
    command("hrandfield", -2, "readonly", FIRST, "hash"),
    command("hscan", -3, "readonly", FIRST, "hash"),
    command("hset", -4, "write denyoom fast", FIRST, "hash"),
    command("hsetnx", 4, "write denyoom fast", FIRST, "hash"),
    command("hstrlen", 3, "readonly fast", FIRST, "hash"),
    command("hvals", 2, "readonly", FIRST, "hash"),
    command("incr", 2, "write denyoom fast", FIRST, "string"),
    command("incrby", 3, "write denyoom fast", FIRST, "string"),
    command("incrbyfloat", 3, "write denyoom fast", FIRST, "string"),
    command("info", -1, "loading stale", NONE, "dangerous"),
    command("keys", 2, "readonly", NONE, "keyspace dangerous"),
    command("mget", -2, "readonly fast", ALL, "string"),
    command("monitor", 1, "admin noscript loading stale", NONE, ""),
    command("mset", -3, "write denyoom", PAIRS, "string"),
    command("multi", 1, "noscript loading stale fast allow_busy", NONE, "transaction"),
    command("object", -2, "", NONE, ""),
    command("object|encoding", 3, "readonly", SECOND, "keyspace"),
    command("persist", 2, "write fast", FIRST, "keyspace"),
    command("pexpire", -3, "write fast", FIRST, "keyspace"),
    command("pexpireat", -3, "write fast", FIRST, "keyspace"),
    command("pexpiretime", 2, "readonly fast", FIRST, "keyspace"),
    command("ping", -1, "fast", NONE, "connection"),
    command("psetex", 4, "write denyoom", FIRST, "string"),
    command("pttl", 2, "readonly fast", FIRST, "keyspace"),
    command("publish", 3, "pubsub loading stale fast", NONE, ""),
    command("pubsub", -2, "", NONE, ""),
    command("pubsub|channels", -2, "pubsub loading stale", NONE, ""),
    command("quit", -1, "noscript loading stale fast no_auth allow_busy", NONE, "connection"),
    command("readonly", 1, "loading stale fast", NONE, "connection"),
    command("rename", 3, "write", TWO, "keyspace"),
    command("reset", 1, "noscript loading stale fast no_auth allow_busy", NONE, "connection"),
    command("role", 1, "noscript loading stale fast", NONE, "admin dangerous"),
    command("sadd", -3, "write denyoom fast", FIRST, "set"),
    command("scan", -2, "readonly", NONE, "keyspace"),
    command("scard", 2, "readonly fast", FIRST, "set"),
    command("select", 2, "loading stale fast", NONE, "connection"),
    command("set", -3, "write denyoom", FIRST, "string"),
    command("setex", 4, "write denyoom", FIRST, "string"),
    command("setnx", 3, "write denyoom fast", FIRST, "string"),
    command("sismember", 3, "readonly fast", FIRST, "set"),
    command("smembers", 2, "readonly", FIRST, "set"),
    command("smismember", -3, "readonly fast", FIRST, "set"),
    command("srem", -3, "write fast", FIRST, "set"),
    command("sscan", -3, "readonly", FIRST, "set"),
    command("strlen", 2, "readonly fast", FIRST, "string"),
    command("subscribe", -2, "pubsub noscript loading stale", NONE, ""),
    command("time", 1, "loading stale fast", NONE, ""),
    command("touch", -2, "readonly fast", ALL, "keyspace"),
    command("ttl", 2, "readonly fast", FIRST, "keyspace"),
    command("type", 2, "readonly fast", FIRST, "keyspace"),
    command("unlink", -2, "write fast", ALL, "keyspace"),
    command("unsubscribe", -1, "pubsub noscript loading stale", NONE, ""),
    command("unwatch", 1, "noscript loading stale fast allow_busy", NONE, "transaction"),
    command("wait", 3, "noscript", NONE, "connection"),
    command("watch", -2, "noscript loading stale fast allow_busy", ALL, "transaction"),
];

/// More commands that a lesson may run on a real Redis, sorted by name.
#[rustfmt::skip]
pub(crate) static REAL_ONLY: &[CommandInfo] = &[
    command("acl|cat", -2, "noscript loading stale", NONE, ""),
    command("bitcount", -2, "readonly", FIRST, "bitmap"),
    command("bitpos", -3, "readonly", FIRST, "bitmap"),
    command("cluster|countkeysinslot", 3, "stale", NONE, ""),
    command("cluster|keyslot", 3, "stale", NONE, ""),
    command("cluster|myid", 2, "stale", NONE, ""),
    command("cluster|nodes", 2, "stale", NONE, ""),
    command("cluster|shards", 2, "stale", NONE, ""),
    command("cluster|slots", 2, "stale", NONE, ""),
    command("command|docs", -2, "loading stale", NONE, "connection"),
    command("copy", -3, "write denyoom", TWO, "keyspace"),
    command("getbit", 3, "readonly fast", FIRST, "bitmap"),
    command("getrange", 4, "readonly", FIRST, "string"),
    command("hexpire", -6, "write denyoom fast", FIRST, "hash"),
    command("hpersist", -5, "write fast", FIRST, "hash"),
    command("hpexpire", -6, "write denyoom fast", FIRST, "hash"),
    command("hpttl", -5, "readonly fast", FIRST, "hash"),
    command("httl", -5, "readonly fast", FIRST, "hash"),
    command("lastsave", 1, "loading stale fast", NONE, "admin dangerous"),
    command("latency", -2, "", NONE, ""),
    command("latency|doctor", 2, "admin noscript loading stale", NONE, ""),
    command("latency|latest", 2, "admin noscript loading stale", NONE, ""),
    command("lindex", 3, "readonly", FIRST, "list"),
    command("linsert", 5, "write denyoom", FIRST, "list"),
    command("llen", 2, "readonly fast", FIRST, "list"),
    command("lmove", 5, "write denyoom", TWO, "list"),
    command("lpop", -2, "write fast", FIRST, "list"),
    command("lpos", -3, "readonly", FIRST, "list"),
    command("lpush", -3, "write denyoom fast", FIRST, "list"),
    command("lpushx", -3, "write denyoom fast", FIRST, "list"),
    command("lrange", 4, "readonly", FIRST, "list"),
    command("lrem", 4, "write", FIRST, "list"),
    command("lset", 4, "write denyoom", FIRST, "list"),
    command("ltrim", 4, "write", FIRST, "list"),
    command("memory", -2, "", NONE, ""),
    command("memory|doctor", 2, "", NONE, ""),
    command("memory|stats", 2, "", NONE, ""),
    command("memory|usage", -3, "readonly", SECOND, ""),
    command("msetnx", -3, "write denyoom", PAIRS, "string"),
    command("object|freq", 3, "readonly", SECOND, "keyspace"),
    command("object|idletime", 3, "readonly", SECOND, "keyspace"),
    command("object|refcount", 3, "readonly", SECOND, "keyspace"),
    command("renamenx", 3, "write fast", TWO, "keyspace"),
    command("rpop", -2, "write fast", FIRST, "list"),
    command("rpoplpush", 3, "write denyoom", TWO, "list"),
    command("rpush", -3, "write denyoom fast", FIRST, "list"),
    command("rpushx", -3, "write denyoom fast", FIRST, "list"),
    command("sdiff", -2, "readonly", ALL, "set"),
    command("setbit", 4, "write denyoom", FIRST, "bitmap"),
    command("setrange", 4, "write denyoom", FIRST, "string"),
    command("sinter", -2, "readonly", ALL, "set"),
    command("smove", 4, "write fast", TWO, "set"),
    command("spop", -2, "write fast", FIRST, "set"),
    command("srandmember", -2, "readonly", FIRST, "set"),
    command("sunion", -2, "readonly", ALL, "set"),
    command("zadd", -4, "write denyoom fast", FIRST, "sortedset"),
    command("zcard", 2, "readonly fast", FIRST, "sortedset"),
    command("zcount", 4, "readonly fast", FIRST, "sortedset"),
    command("zincrby", 4, "write denyoom fast", FIRST, "sortedset"),
    command("zpopmax", -2, "write fast", FIRST, "sortedset"),
    command("zpopmin", -2, "write fast", FIRST, "sortedset"),
    command("zrange", -4, "readonly", FIRST, "sortedset"),
    command("zrank", 3, "readonly fast", FIRST, "sortedset"),
    command("zrem", -3, "write fast", FIRST, "sortedset"),
    command("zrevrank", 3, "readonly fast", FIRST, "sortedset"),
    command("zscan", -3, "readonly", FIRST, "sortedset"),
    command("zscore", 3, "readonly fast", FIRST, "sortedset"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name() {
        for command in PRACTICE.iter().chain(REAL_ONLY) {
            let found = find_name(&[PRACTICE, REAL_ONLY], command.name);
            assert!(
                found.is_some_and(|found| std::ptr::eq(found, command)),
                "{}",
                command.name
            );
        }
    }

    #[test]
    fn keys_are_found_at_their_positions() {
        for (line, keys) in [
            ("PING", &[][..]),
            ("get k", &["k"]),
            ("GET", &[]),
            ("DEL a b c", &["a", "b", "c"]),
            ("MSET a 1 b 2", &["a", "b"]),
            ("RENAME a b", &["a", "b"]),
            ("SMOVE a b member", &["a", "b"]),
            ("MEMORY USAGE k SAMPLES 0", &["k"]),
        ] {
            let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            let found = find(&[PRACTICE, REAL_ONLY], &words).unwrap().keys_in(&words);
            let expected: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
            assert_eq!(found, expected, "{line}");
        }
    }
}

//! Defines the table of commands. Each entry contains the arity, flags, key positions and ACL categories of a
//! command, and the function that runs it.
//!
//! The practice Redis uses the table to run commands, and the lessons use it to decide which commands are
//! allowed. A test compares the entries with `COMMAND INFO` in Redis 7.0
//! (<https://redis.io/docs/latest/commands/command/>).

use super::keys::{self, TimeUnit};
use super::{collections, connection, messages, server, strings, transactions};
use crate::practice::command_info::{CommandInfo, Handler, KeyPositions};
use crate::practice::reply::Reply;

/// Whether a command has subcommands.
pub(crate) fn is_container(command: &CommandInfo) -> bool {
    let mut others = PRACTICE.iter().chain(REAL_ONLY);
    command.has_no_keys() && others.any(|other| command.contains(other))
}

/// Returns the command that a request calls, or its subcommand if the second word names one. Returns `None`
/// if the command is unknown.
pub(crate) fn find(tables: &[&'static [CommandInfo]], words: &[Vec<u8>]) -> Option<&'static CommandInfo> {
    let is_short = |word: &&Vec<u8>| word.len() <= LONGEST_NAME;
    let mut name = words.first().filter(is_short)?.to_ascii_lowercase();
    let command = find_name(tables, &name)?;
    // A command that has keys cannot have subcommands.
    let second = words.get(1).filter(is_short).filter(|_| command.has_no_keys());
    let subcommand = second.and_then(|second| {
        name.push(b'|');
        name.extend(second.to_ascii_lowercase());
        find_name(tables, &name)
    });
    subcommand.or(Some(command))
}

/// The maximum length in bytes of a word that can be a command's name. Longer words are not compared with
/// names.
const LONGEST_NAME: usize = 32;

/// Returns the command with the name `name`, which must be in lower case, or `None` if it is unknown.
pub(crate) fn find_name(tables: &[&'static [CommandInfo]], name: &[u8]) -> Option<&'static CommandInfo> {
    tables.iter().find_map(|table| {
        let index = table
            .binary_search_by(|command| command.name.as_bytes().cmp(name))
            .ok()?;
        table.get(index)
    })
}

const fn command(
    name: &'static str,
    arity: i64,
    flags: &'static str,
    keys: KeyPositions,
    categories: &'static str,
    run: Handler,
) -> CommandInfo {
    CommandInfo {
        name,
        arity,
        flags,
        keys,
        categories,
        run: Some(run),
    }
}

/// Declares a command that has subcommands.
const fn container(name: &'static str) -> CommandInfo {
    CommandInfo {
        arity: -2,
        ..real(name, "", NONE)
    }
}

/// Declares a command that a real Redis supports, but the practice Redis does not. The flags and key
/// positions decide whether a lesson may run the command.
const fn real(name: &'static str, flags: &'static str, keys: KeyPositions) -> CommandInfo {
    CommandInfo {
        name,
        arity: -1,
        flags,
        keys,
        categories: "",
        run: None,
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
    container("acl"),
    command("acl|whoami", 2, "noscript loading stale", NONE, "", |_| Ok(Reply::text("default"))),
    command("append", 3, "write denyoom fast", FIRST, "string", strings::append),
    command("auth", -2, "noscript loading stale fast no_auth allow_busy", NONE, "connection", connection::auth),
    container("client"),
    command("client|getname", 2, "noscript loading stale", NONE, "connection", connection::client_getname),
    command("client|id", 2, "noscript loading stale", NONE, "connection", |call| Ok(connection::client_id(call.client))),
    command("client|info", 2, "noscript loading stale", NONE, "connection", connection::client_info),
    command("client|kill", -3, "admin noscript loading stale", NONE, "connection", connection::client_kill),
    command("client|list", -2, "admin noscript loading stale", NONE, "connection", connection::client_list),
    command("client|no-evict", 3, "admin noscript loading stale", NONE, "connection", connection::client_on_or_off),
    command("client|no-touch", 3, "noscript loading stale", NONE, "connection", connection::client_on_or_off),
    command("client|setinfo", 4, "noscript loading stale", NONE, "connection", connection::client_setinfo),
    command("client|setname", 3, "noscript loading stale", NONE, "connection", connection::client_setname),
    container("cluster"),
    command("cluster|info", 2, "stale", NONE, "", connection::no_cluster),
    command("command", -1, "loading stale", NONE, "connection", |_| Ok(server::command_info_of_all())),
    command("command|count", 2, "loading stale", NONE, "connection", |_| Ok(server::command_count())),
    command("command|info", -2, "loading stale", NONE, "connection", server::command_info),
    command("command|list", -2, "loading stale", NONE, "connection", server::command_list),
    container("config"),
    command("config|get", -3, "admin noscript loading stale", NONE, "", server::config_get),
    command("dbsize", 1, "readonly fast", NONE, "keyspace", keys::dbsize),
    command("decr", 2, "write denyoom fast", FIRST, "string", |call| strings::add(call, -1)),
    command("decrby", 3, "write denyoom fast", FIRST, "string", strings::decrby),
    command("del", -2, "write", ALL, "keyspace", keys::del),
    command("discard", 1, "noscript loading stale fast allow_busy", NONE, "transaction", transactions::discard),
    command("echo", 2, "loading stale fast", NONE, "connection", |call| Ok(Reply::text(call.word(1)))),
    command("exec", 1, "noscript loading stale skip_slowlog", NONE, "transaction", transactions::exec),
    command("exists", -2, "readonly fast", ALL, "keyspace", keys::exists),
    command("expire", -3, "write fast", FIRST, "keyspace", |call| keys::expire(call, TimeUnit::Seconds)),
    command("expireat", -3, "write fast", FIRST, "keyspace", |call| keys::expire(call, TimeUnit::UnixSeconds)),
    command("expiretime", 2, "readonly fast", FIRST, "keyspace", |call| keys::time_left(call, |moment, _| (moment + 500) / 1000)),
    command("flushall", -1, "write", NONE, "keyspace dangerous", keys::flushall),
    command("flushdb", -1, "write", NONE, "keyspace dangerous", keys::flushdb),
    command("get", 2, "readonly fast", FIRST, "string", strings::get),
    command("getdel", 2, "write fast", FIRST, "string", strings::getdel),
    command("getex", -2, "write fast", FIRST, "string", strings::getex),
    command("getset", 3, "write denyoom fast", FIRST, "string", strings::getset),
    command("hdel", -3, "write fast", FIRST, "hash", collections::hdel),
    command("hello", -1, "noscript loading stale fast no_auth allow_busy", NONE, "connection", connection::hello),
    command("hexists", 3, "readonly fast", FIRST, "hash", collections::hexists),
    command("hget", 3, "readonly fast", FIRST, "hash", collections::hget),
    command("hgetall", 2, "readonly", FIRST, "hash", collections::hgetall),
    command("hincrby", 4, "write denyoom fast", FIRST, "hash", collections::hincrby),
    command("hincrbyfloat", 4, "write denyoom fast", FIRST, "hash", collections::hincrbyfloat),
    command("hkeys", 2, "readonly", FIRST, "hash", collections::hkeys),
    command("hlen", 2, "readonly fast", FIRST, "hash", collections::hlen),
    command("hmget", -3, "readonly fast", FIRST, "hash", collections::hmget),
    command("hmset", -4, "write denyoom fast", FIRST, "hash", |call| collections::hset(call).map(|_| Reply::Ok)),
    command("hrandfield", -2, "readonly", FIRST, "hash", collections::hrandfield),
    command("hscan", -3, "readonly", FIRST, "hash", collections::hscan),
    command("hset", -4, "write denyoom fast", FIRST, "hash", |call| collections::hset(call).map(Reply::count)),
    command("hsetnx", 4, "write denyoom fast", FIRST, "hash", collections::hsetnx),
    command("hstrlen", 3, "readonly fast", FIRST, "hash", collections::hstrlen),
    command("hvals", 2, "readonly", FIRST, "hash", collections::hvals),
    command("incr", 2, "write denyoom fast", FIRST, "string", |call| strings::add(call, 1)),
    command("incrby", 3, "write denyoom fast", FIRST, "string", |call| call.number(2).and_then(|amount| strings::add(call, amount))),
    command("incrbyfloat", 3, "write denyoom fast", FIRST, "string", strings::incrbyfloat),
    command("info", -1, "loading stale", NONE, "dangerous", server::info),
    command("keys", 2, "readonly", NONE, "keyspace dangerous", keys::keys),
    command("mget", -2, "readonly fast", ALL, "string", strings::mget),
    command("monitor", 1, "admin noscript loading stale", NONE, "", server::monitor),
    command("mset", -3, "write denyoom", PAIRS, "string", strings::mset),
    command("multi", 1, "noscript loading stale fast allow_busy", NONE, "transaction", transactions::multi),
    container("object"),
    command("object|encoding", 3, "readonly", SECOND, "keyspace", keys::encoding),
    command("persist", 2, "write fast", FIRST, "keyspace", keys::persist),
    command("pexpire", -3, "write fast", FIRST, "keyspace", |call| keys::expire(call, TimeUnit::Milliseconds)),
    command("pexpireat", -3, "write fast", FIRST, "keyspace", |call| keys::expire(call, TimeUnit::UnixMilliseconds)),
    command("pexpiretime", 2, "readonly fast", FIRST, "keyspace", |call| keys::time_left(call, |moment, _| moment)),
    command("ping", -1, "fast", NONE, "connection", connection::ping),
    command("psetex", 4, "write denyoom", FIRST, "string", |call| strings::setex(call, TimeUnit::Milliseconds)),
    command("pttl", 2, "readonly fast", FIRST, "keyspace", |call| keys::time_left(call, |moment, now| moment - now)),
    command("publish", 3, "pubsub loading stale fast", NONE, "", |call| Ok(Reply::count(call.state.publish(call.word(1), call.word(2))))),
    container("pubsub"),
    command("pubsub|channels", -2, "pubsub loading stale", NONE, "", messages::channels),
    command("quit", -1, "noscript loading stale fast no_auth allow_busy", NONE, "connection", connection::quit),
    command("readonly", 1, "loading stale fast", NONE, "connection", connection::no_cluster),
    command("rename", 3, "write", TWO, "keyspace", keys::rename),
    command("reset", 1, "noscript loading stale fast no_auth allow_busy", NONE, "connection", connection::reset),
    command("role", 1, "noscript loading stale fast", NONE, "admin dangerous", |_| Ok(server::role())),
    command("sadd", -3, "write denyoom fast", FIRST, "set", collections::sadd),
    command("scan", -2, "readonly", NONE, "keyspace", keys::scan),
    command("scard", 2, "readonly fast", FIRST, "set", collections::scard),
    command("select", 2, "loading stale fast", NONE, "connection", connection::select),
    command("set", -3, "write denyoom", FIRST, "string", strings::set),
    command("setex", 4, "write denyoom", FIRST, "string", |call| strings::setex(call, TimeUnit::Seconds)),
    command("setnx", 3, "write denyoom fast", FIRST, "string", strings::setnx),
    command("sismember", 3, "readonly fast", FIRST, "set", collections::sismember),
    command("smembers", 2, "readonly", FIRST, "set", collections::smembers),
    command("smismember", -3, "readonly fast", FIRST, "set", collections::smismember),
    command("srem", -3, "write fast", FIRST, "set", collections::srem),
    command("sscan", -3, "readonly", FIRST, "set", collections::sscan),
    command("strlen", 2, "readonly fast", FIRST, "string", strings::strlen),
    command("subscribe", -2, "pubsub noscript loading stale", NONE, "", messages::subscribe),
    command("time", 1, "loading stale fast", NONE, "", |_| Ok(server::time())),
    command("touch", -2, "readonly fast", ALL, "keyspace", keys::exists),
    command("ttl", 2, "readonly fast", FIRST, "keyspace", |call| keys::time_left(call, |moment, now| (moment - now + 500) / 1000)),
    command("type", 2, "readonly fast", FIRST, "keyspace", keys::type_name),
    command("unlink", -2, "write fast", ALL, "keyspace", keys::del),
    command("unsubscribe", -1, "pubsub noscript loading stale", NONE, "", messages::unsubscribe),
    command("unwatch", 1, "noscript loading stale fast allow_busy", NONE, "transaction", transactions::unwatch),
    command("wait", 3, "noscript", NONE, "connection", server::wait),
    command("watch", -2, "noscript loading stale fast allow_busy", ALL, "transaction", transactions::watch),
];

/// The commands that the practice Redis does not implement, but that a lesson may run on a real Redis, sorted
/// by name.
#[rustfmt::skip]
pub(crate) static REAL_ONLY: &[CommandInfo] = &[
    real("acl|cat", "", NONE), real("bitcount", "readonly", FIRST), real("bitpos", "readonly", FIRST),
    real("cluster|countkeysinslot", "", NONE), real("cluster|keyslot", "", NONE), real("cluster|myid", "", NONE),
    real("cluster|nodes", "", NONE), real("cluster|shards", "", NONE), real("cluster|slots", "", NONE),
    real("command|docs", "", NONE), real("copy", "write", TWO), real("getbit", "readonly", FIRST),
    real("getrange", "readonly", FIRST), real("hexpire", "write", FIRST), real("hpersist", "write", FIRST),
    real("hpexpire", "write", FIRST), real("hpttl", "readonly", FIRST), real("httl", "readonly", FIRST),
    real("lastsave", "", NONE), real("latency", "", NONE), real("latency|doctor", "", NONE),
    real("latency|latest", "", NONE), real("lindex", "readonly", FIRST), real("linsert", "write", FIRST),
    real("llen", "readonly", FIRST), real("lmove", "write", TWO), real("lpop", "write", FIRST),
    real("lpos", "readonly", FIRST), real("lpush", "write", FIRST), real("lpushx", "write", FIRST),
    real("lrange", "readonly", FIRST), real("lrem", "write", FIRST), real("lset", "write", FIRST),
    real("ltrim", "write", FIRST), real("memory", "", NONE), real("memory|doctor", "", NONE),
    real("memory|stats", "", NONE), real("memory|usage", "readonly", SECOND), real("msetnx", "write", PAIRS),
    real("object|freq", "readonly", SECOND), real("object|idletime", "readonly", SECOND),
    real("object|refcount", "readonly", SECOND), real("renamenx", "write", TWO), real("rpop", "write", FIRST),
    real("rpoplpush", "write", TWO), real("rpush", "write", FIRST), real("rpushx", "write", FIRST),
    real("sdiff", "readonly", ALL), real("setbit", "write", FIRST), real("setrange", "write", FIRST),
    real("sinter", "readonly", ALL), real("smove", "write", TWO), real("spop", "write", FIRST),
    real("srandmember", "readonly", FIRST), real("sunion", "readonly", ALL), real("zadd", "write", FIRST),
    real("zcard", "readonly", FIRST), real("zcount", "readonly", FIRST), real("zincrby", "write", FIRST),
    real("zpopmax", "write", FIRST), real("zpopmin", "write", FIRST), real("zrange", "readonly", FIRST),
    real("zrank", "readonly", FIRST), real("zrem", "write", FIRST), real("zrevrank", "readonly", FIRST),
    real("zscan", "readonly", FIRST), real("zscore", "readonly", FIRST),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name() {
        for command in PRACTICE.iter().chain(REAL_ONLY) {
            let found = find_name(&[PRACTICE, REAL_ONLY], command.name.as_bytes());
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

//! The commands that the practice Redis knows: one line each. Dispatch, COMMAND and transactions all read it.

use super::{
    Outcome, Spec, catalogue, clients, connection, hashes, keys, pubsub, server, sets, strings, transactions,
};

/// In the order of their names; a subcommand's name is `CONTAINER|NAME`.
#[rustfmt::skip]
pub(super) static TABLE: &[Spec] = &[
    Spec { name: "acl", arity: -2, flags: "", keys: (0, 0, 0), categories: "slow", since: "6.0.0", group: "server", run: container },
    Spec { name: "acl|whoami", arity: 2, flags: "noscript loading stale", keys: (0, 0, 0), categories: "slow", since: "6.0.0", group: "server", run: server::whoami },
    Spec { name: "append", arity: 3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "2.0.0", group: "string", run: strings::append },
    Spec { name: "auth", arity: -2, flags: "noscript loading stale fast no_auth allow_busy", keys: (0, 0, 0), categories: "fast connection", since: "1.0.0", group: "connection", run: connection::auth },
    Spec { name: "client", arity: -2, flags: "", keys: (0, 0, 0), categories: "slow", since: "2.4.0", group: "connection", run: container },
    Spec { name: "client|getname", arity: 2, flags: "noscript loading stale", keys: (0, 0, 0), categories: "slow connection", since: "2.6.9", group: "connection", run: clients::getname },
    Spec { name: "client|id", arity: 2, flags: "noscript loading stale", keys: (0, 0, 0), categories: "slow connection", since: "5.0.0", group: "connection", run: clients::id },
    Spec { name: "client|info", arity: 2, flags: "noscript loading stale", keys: (0, 0, 0), categories: "slow connection", since: "6.2.0", group: "connection", run: clients::info },
    Spec { name: "client|kill", arity: -3, flags: "admin noscript loading stale", keys: (0, 0, 0), categories: "admin slow dangerous connection", since: "2.4.0", group: "connection", run: clients::kill },
    Spec { name: "client|list", arity: -2, flags: "admin noscript loading stale", keys: (0, 0, 0), categories: "admin slow dangerous connection", since: "2.4.0", group: "connection", run: clients::list },
    Spec { name: "client|no-evict", arity: 3, flags: "admin noscript loading stale", keys: (0, 0, 0), categories: "admin slow dangerous connection", since: "7.0.0", group: "connection", run: clients::no_evict },
    Spec { name: "client|no-touch", arity: 3, flags: "noscript loading stale", keys: (0, 0, 0), categories: "slow connection", since: "7.2.0", group: "connection", run: clients::no_touch },
    Spec { name: "client|setinfo", arity: 4, flags: "noscript loading stale", keys: (0, 0, 0), categories: "slow connection", since: "7.2.0", group: "connection", run: clients::setinfo },
    Spec { name: "client|setname", arity: 3, flags: "noscript loading stale", keys: (0, 0, 0), categories: "slow connection", since: "2.6.9", group: "connection", run: clients::setname },
    Spec { name: "cluster", arity: -2, flags: "", keys: (0, 0, 0), categories: "slow", since: "3.0.0", group: "cluster", run: container },
    Spec { name: "cluster|info", arity: 2, flags: "stale", keys: (0, 0, 0), categories: "slow", since: "3.0.0", group: "cluster", run: server::info },
    Spec { name: "command", arity: -1, flags: "loading stale", keys: (0, 0, 0), categories: "slow connection", since: "2.8.13", group: "server", run: catalogue::all },
    Spec { name: "command|count", arity: 2, flags: "loading stale", keys: (0, 0, 0), categories: "slow connection", since: "2.8.13", group: "server", run: catalogue::count },
    Spec { name: "command|docs", arity: -2, flags: "loading stale", keys: (0, 0, 0), categories: "slow connection", since: "7.0.0", group: "server", run: catalogue::docs },
    Spec { name: "command|info", arity: -2, flags: "loading stale", keys: (0, 0, 0), categories: "slow connection", since: "2.8.13", group: "server", run: catalogue::info },
    Spec { name: "command|list", arity: -2, flags: "loading stale", keys: (0, 0, 0), categories: "slow connection", since: "7.0.0", group: "server", run: catalogue::list },
    Spec { name: "config", arity: -2, flags: "", keys: (0, 0, 0), categories: "slow", since: "2.0.0", group: "server", run: container },
    Spec { name: "config|get", arity: -3, flags: "admin noscript loading stale", keys: (0, 0, 0), categories: "admin slow dangerous", since: "2.0.0", group: "server", run: server::get },
    Spec { name: "dbsize", arity: 1, flags: "readonly fast", keys: (0, 0, 0), categories: "keyspace read fast", since: "1.0.0", group: "server", run: keys::dbsize },
    Spec { name: "decr", arity: 2, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "1.0.0", group: "string", run: strings::decr },
    Spec { name: "decrby", arity: 3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "1.0.0", group: "string", run: strings::decrby },
    Spec { name: "del", arity: -2, flags: "write", keys: (1, -1, 1), categories: "keyspace write slow", since: "1.0.0", group: "generic", run: keys::del },
    Spec { name: "discard", arity: 1, flags: "noscript loading stale fast allow_busy", keys: (0, 0, 0), categories: "fast transaction", since: "2.0.0", group: "transactions", run: transactions::discard },
    Spec { name: "echo", arity: 2, flags: "loading stale fast", keys: (0, 0, 0), categories: "fast connection", since: "1.0.0", group: "connection", run: connection::echo },
    Spec { name: "exec", arity: 1, flags: "noscript loading stale skip_slowlog", keys: (0, 0, 0), categories: "slow transaction", since: "1.2.0", group: "transactions", run: transactions::exec },
    Spec { name: "exists", arity: -2, flags: "readonly fast", keys: (1, -1, 1), categories: "keyspace read fast", since: "1.0.0", group: "generic", run: keys::exists },
    Spec { name: "expire", arity: -3, flags: "write fast", keys: (1, 1, 1), categories: "keyspace write fast", since: "1.0.0", group: "generic", run: keys::expire },
    Spec { name: "expireat", arity: -3, flags: "write fast", keys: (1, 1, 1), categories: "keyspace write fast", since: "1.2.0", group: "generic", run: keys::expireat },
    Spec { name: "expiretime", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "keyspace read fast", since: "7.0.0", group: "generic", run: keys::expiretime },
    Spec { name: "flushall", arity: -1, flags: "write", keys: (0, 0, 0), categories: "keyspace write slow dangerous", since: "1.0.0", group: "server", run: keys::flushall },
    Spec { name: "flushdb", arity: -1, flags: "write", keys: (0, 0, 0), categories: "keyspace write slow dangerous", since: "1.0.0", group: "server", run: keys::flushdb },
    Spec { name: "get", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "read string fast", since: "1.0.0", group: "string", run: strings::get },
    Spec { name: "getdel", arity: 2, flags: "write fast", keys: (1, 1, 1), categories: "write string fast", since: "6.2.0", group: "string", run: strings::getdel },
    Spec { name: "getex", arity: -2, flags: "write fast", keys: (1, 1, 1), categories: "write string fast", since: "6.2.0", group: "string", run: strings::getex },
    Spec { name: "getset", arity: 3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "1.0.0", group: "string", run: strings::getset },
    Spec { name: "hdel", arity: -3, flags: "write fast", keys: (1, 1, 1), categories: "write hash fast", since: "2.0.0", group: "hash", run: hashes::hdel },
    Spec { name: "hello", arity: -1, flags: "noscript loading stale fast no_auth allow_busy", keys: (0, 0, 0), categories: "fast connection", since: "6.0.0", group: "connection", run: connection::hello },
    Spec { name: "hexists", arity: 3, flags: "readonly fast", keys: (1, 1, 1), categories: "read hash fast", since: "2.0.0", group: "hash", run: hashes::hexists },
    Spec { name: "hget", arity: 3, flags: "readonly fast", keys: (1, 1, 1), categories: "read hash fast", since: "2.0.0", group: "hash", run: hashes::hget },
    Spec { name: "hgetall", arity: 2, flags: "readonly", keys: (1, 1, 1), categories: "read hash slow", since: "2.0.0", group: "hash", run: hashes::hgetall },
    Spec { name: "hincrby", arity: 4, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write hash fast", since: "2.0.0", group: "hash", run: hashes::hincrby },
    Spec { name: "hincrbyfloat", arity: 4, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write hash fast", since: "2.6.0", group: "hash", run: hashes::hincrbyfloat },
    Spec { name: "hkeys", arity: 2, flags: "readonly", keys: (1, 1, 1), categories: "read hash slow", since: "2.0.0", group: "hash", run: hashes::hkeys },
    Spec { name: "hlen", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "read hash fast", since: "2.0.0", group: "hash", run: hashes::hlen },
    Spec { name: "hmget", arity: -3, flags: "readonly fast", keys: (1, 1, 1), categories: "read hash fast", since: "2.0.0", group: "hash", run: hashes::hmget },
    Spec { name: "hmset", arity: -4, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write hash fast", since: "2.0.0", group: "hash", run: hashes::hmset },
    Spec { name: "hrandfield", arity: -2, flags: "readonly", keys: (1, 1, 1), categories: "read hash slow", since: "6.2.0", group: "hash", run: hashes::hrandfield },
    Spec { name: "hscan", arity: -3, flags: "readonly", keys: (1, 1, 1), categories: "read hash slow", since: "2.8.0", group: "hash", run: hashes::hscan },
    Spec { name: "hset", arity: -4, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write hash fast", since: "2.0.0", group: "hash", run: hashes::hset },
    Spec { name: "hsetnx", arity: 4, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write hash fast", since: "2.0.0", group: "hash", run: hashes::hsetnx },
    Spec { name: "hstrlen", arity: 3, flags: "readonly fast", keys: (1, 1, 1), categories: "read hash fast", since: "3.2.0", group: "hash", run: hashes::hstrlen },
    Spec { name: "hvals", arity: 2, flags: "readonly", keys: (1, 1, 1), categories: "read hash slow", since: "2.0.0", group: "hash", run: hashes::hvals },
    Spec { name: "incr", arity: 2, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "1.0.0", group: "string", run: strings::incr },
    Spec { name: "incrby", arity: 3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "1.0.0", group: "string", run: strings::incrby },
    Spec { name: "incrbyfloat", arity: 3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "2.6.0", group: "string", run: strings::incrbyfloat },
    Spec { name: "info", arity: -1, flags: "loading stale", keys: (0, 0, 0), categories: "slow dangerous", since: "1.0.0", group: "server", run: server::info },
    Spec { name: "keys", arity: 2, flags: "readonly", keys: (0, 0, 0), categories: "keyspace read slow dangerous", since: "1.0.0", group: "generic", run: keys::keys },
    Spec { name: "mget", arity: -2, flags: "readonly fast", keys: (1, -1, 1), categories: "read string fast", since: "1.0.0", group: "string", run: strings::mget },
    Spec { name: "monitor", arity: 1, flags: "admin noscript loading stale", keys: (0, 0, 0), categories: "admin slow dangerous", since: "1.0.0", group: "server", run: server::monitor },
    Spec { name: "mset", arity: -3, flags: "write denyoom", keys: (1, -1, 2), categories: "write string slow", since: "1.0.1", group: "string", run: strings::mset },
    Spec { name: "multi", arity: 1, flags: "noscript loading stale fast allow_busy", keys: (0, 0, 0), categories: "fast transaction", since: "1.2.0", group: "transactions", run: transactions::multi },
    Spec { name: "object", arity: -2, flags: "", keys: (0, 0, 0), categories: "slow", since: "2.2.3", group: "generic", run: container },
    Spec { name: "object|encoding", arity: 3, flags: "readonly", keys: (2, 2, 1), categories: "keyspace read slow", since: "2.2.3", group: "generic", run: keys::encoding },
    Spec { name: "persist", arity: 2, flags: "write fast", keys: (1, 1, 1), categories: "keyspace write fast", since: "2.2.0", group: "generic", run: keys::persist },
    Spec { name: "pexpire", arity: -3, flags: "write fast", keys: (1, 1, 1), categories: "keyspace write fast", since: "2.6.0", group: "generic", run: keys::pexpire },
    Spec { name: "pexpireat", arity: -3, flags: "write fast", keys: (1, 1, 1), categories: "keyspace write fast", since: "2.6.0", group: "generic", run: keys::pexpireat },
    Spec { name: "pexpiretime", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "keyspace read fast", since: "7.0.0", group: "generic", run: keys::pexpiretime },
    Spec { name: "ping", arity: -1, flags: "fast", keys: (0, 0, 0), categories: "fast connection", since: "1.0.0", group: "connection", run: connection::ping },
    Spec { name: "psetex", arity: 4, flags: "write denyoom", keys: (1, 1, 1), categories: "write string slow", since: "2.6.0", group: "string", run: strings::psetex },
    Spec { name: "pttl", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "keyspace read fast", since: "2.6.0", group: "generic", run: keys::pttl },
    Spec { name: "publish", arity: 3, flags: "pubsub loading stale fast", keys: (0, 0, 0), categories: "pubsub fast", since: "2.0.0", group: "pubsub", run: pubsub::publish },
    Spec { name: "pubsub", arity: -2, flags: "", keys: (0, 0, 0), categories: "slow", since: "2.8.0", group: "pubsub", run: container },
    Spec { name: "pubsub|channels", arity: -2, flags: "pubsub loading stale", keys: (0, 0, 0), categories: "pubsub slow", since: "2.8.0", group: "pubsub", run: pubsub::channels },
    Spec { name: "quit", arity: -1, flags: "noscript loading stale fast no_auth allow_busy", keys: (0, 0, 0), categories: "fast connection", since: "1.0.0", group: "connection", run: connection::quit },
    Spec { name: "readonly", arity: 1, flags: "loading stale fast", keys: (0, 0, 0), categories: "fast connection", since: "3.0.0", group: "cluster", run: server::readonly },
    Spec { name: "rename", arity: 3, flags: "write", keys: (1, 2, 1), categories: "keyspace write slow", since: "1.0.0", group: "generic", run: keys::rename },
    Spec { name: "reset", arity: 1, flags: "noscript loading stale fast no_auth allow_busy", keys: (0, 0, 0), categories: "fast connection", since: "6.2.0", group: "connection", run: connection::reset },
    Spec { name: "role", arity: 1, flags: "noscript loading stale fast", keys: (0, 0, 0), categories: "admin fast dangerous", since: "2.8.12", group: "server", run: server::role },
    Spec { name: "sadd", arity: -3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write set fast", since: "1.0.0", group: "set", run: sets::sadd },
    Spec { name: "scan", arity: -2, flags: "readonly", keys: (0, 0, 0), categories: "keyspace read slow", since: "2.8.0", group: "generic", run: keys::scan_keys },
    Spec { name: "scard", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "read set fast", since: "1.0.0", group: "set", run: sets::scard },
    Spec { name: "select", arity: 2, flags: "loading stale fast", keys: (0, 0, 0), categories: "fast connection", since: "1.0.0", group: "connection", run: connection::select },
    Spec { name: "set", arity: -3, flags: "write denyoom", keys: (1, 1, 1), categories: "write string slow", since: "1.0.0", group: "string", run: strings::set },
    Spec { name: "setex", arity: 4, flags: "write denyoom", keys: (1, 1, 1), categories: "write string slow", since: "2.0.0", group: "string", run: strings::setex },
    Spec { name: "setnx", arity: 3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "1.0.0", group: "string", run: strings::setnx },
    Spec { name: "sismember", arity: 3, flags: "readonly fast", keys: (1, 1, 1), categories: "read set fast", since: "1.0.0", group: "set", run: sets::sismember },
    Spec { name: "smembers", arity: 2, flags: "readonly", keys: (1, 1, 1), categories: "read set slow", since: "1.0.0", group: "set", run: sets::smembers },
    Spec { name: "smismember", arity: -3, flags: "readonly fast", keys: (1, 1, 1), categories: "read set fast", since: "6.2.0", group: "set", run: sets::smismember },
    Spec { name: "srem", arity: -3, flags: "write fast", keys: (1, 1, 1), categories: "write set fast", since: "1.0.0", group: "set", run: sets::srem },
    Spec { name: "sscan", arity: -3, flags: "readonly", keys: (1, 1, 1), categories: "read set slow", since: "2.8.0", group: "set", run: sets::sscan },
    Spec { name: "strlen", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "read string fast", since: "2.2.0", group: "string", run: strings::strlen },
    Spec { name: "subscribe", arity: -2, flags: "pubsub noscript loading stale", keys: (0, 0, 0), categories: "pubsub slow", since: "2.0.0", group: "pubsub", run: pubsub::subscribe },
    Spec { name: "time", arity: 1, flags: "loading stale fast", keys: (0, 0, 0), categories: "fast", since: "2.6.0", group: "server", run: server::time },
    Spec { name: "touch", arity: -2, flags: "readonly fast", keys: (1, -1, 1), categories: "keyspace read fast", since: "3.2.1", group: "generic", run: keys::touch },
    Spec { name: "ttl", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "keyspace read fast", since: "1.0.0", group: "generic", run: keys::ttl },
    Spec { name: "type", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "keyspace read fast", since: "1.0.0", group: "generic", run: keys::kind },
    Spec { name: "unlink", arity: -2, flags: "write fast", keys: (1, -1, 1), categories: "keyspace write fast", since: "4.0.0", group: "generic", run: keys::unlink },
    Spec { name: "unsubscribe", arity: -1, flags: "pubsub noscript loading stale", keys: (0, 0, 0), categories: "pubsub slow", since: "2.0.0", group: "pubsub", run: pubsub::unsubscribe },
    Spec { name: "unwatch", arity: 1, flags: "noscript loading stale fast allow_busy", keys: (0, 0, 0), categories: "fast transaction", since: "2.2.0", group: "transactions", run: transactions::unwatch },
    Spec { name: "wait", arity: 3, flags: "noscript", keys: (0, 0, 0), categories: "slow connection", since: "3.0.0", group: "generic", run: server::wait },
    Spec { name: "watch", arity: -2, flags: "noscript loading stale fast allow_busy", keys: (1, -1, 1), categories: "fast transaction", since: "2.2.0", group: "transactions", run: transactions::watch },
];

/// A command that only its subcommands run for: its arity sees to it that this is never reached.
fn container(_: &mut super::Call<'_>) -> Outcome {
    Err(super::SYNTAX)
}

/// The command of this name, in lower case.
pub(super) fn find(name: &str) -> Option<&'static Spec> {
    let index = TABLE.binary_search_by(|spec| spec.name.cmp(name)).ok()?;
    TABLE.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name() {
        for spec in TABLE {
            assert_eq!(find(spec.name).map(|found| found.name), Some(spec.name));
        }
    }
}

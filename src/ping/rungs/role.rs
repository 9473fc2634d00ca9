//! Checks the role. Reads what the server reports about itself, and tests the tutorial's commands.

use std::collections::BTreeMap;

use redis::{Value, cmd};

use super::ping::CONFIG;
use crate::deadline::Deadline;
use crate::ping::observation::{CLUSTER_ERRORS, Exchange, NamedPrimary, ServerInfo, WriteTest};
use crate::ping::response::{Response, ask, receive};
use crate::random;
use crate::redis_client::ProbeConnection;
use crate::redis_client::{items, text};
use crate::session::KEY_PREFIX;

/// Collects what the server reports about itself in the replies to HELLO, ROLE, INFO and CONFIG GET. An error
/// reply only means that a fact is missing, because an ACL may forbid most of these commands.
pub(crate) fn server_info(exchanges: &[Exchange]) -> ServerInfo {
    let response = |command| exchanges.iter().find(|exchange| exchange.command == command);
    let reply = |command| match response(command).map(|exchange| &exchange.response) {
        Some(Response::Reply(value)) => Some(value),
        _ => None,
    };
    let mut fields = info_fields(reply("INFO"));
    if fields.is_empty() {
        // An ACL cannot forbid HELLO, whose reply contains the most important of these fields.
        fields = hello_fields(reply("HELLO"));
    }
    let settings = exchanges
        .iter()
        .filter(|exchange| exchange.command == CONFIG)
        .flat_map(|exchange| settings(&exchange.response));
    let refused = exchanges
        .iter()
        .filter(|exchange| exchange.response.error().is_some());
    ServerInfo {
        settings: settings.collect(),
        refused: refused.map(|exchange| exchange.command).collect(),
        role: reply("ROLE").cloned(),
        hello: response("HELLO").map(|exchange| exchange.response.clone()),
        info_error: response("INFO").and_then(|exchange| exchange.response.error()),
        fields: fields.into(),
        ..ServerInfo::default()
    }
}

/// Returns the names and values in a reply to CONFIG GET.
fn settings(response: &Response) -> Vec<(String, String)> {
    let Response::Reply(reply) = response else {
        return Vec::new();
    };
    let words: Vec<String> = items(Some(reply)).iter().filter_map(text).collect();
    words
        .chunks_exact(2)
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect()
}

/// Sends the requests that depend on the kind of server, and adds the results to `server`. `read` is the
/// response to a read request for one key.
pub(crate) async fn observe(
    connection: &mut ProbeConnection,
    server: &mut ServerInfo,
    read: Option<&Response>,
    deadline: Deadline,
) {
    if server.is_sentinel() {
        server.sentinel_primary =
            primary_of(&ask(connection, cmd("SENTINEL").arg("MASTERS"), deadline).await);
        return;
    }
    if server.may_be_limited() {
        server.multi = Some(empty_transaction(connection, deadline).await);
    }
    let code = read.and_then(Response::error_code);
    if code.is_some_and(|code| CLUSTER_ERRORS.contains(&code.as_str())) {
        server.cluster_read = read.cloned();
    }
    // Without a reply to INFO, only CLUSTER INFO can show whether this is a cluster.
    let is_enabled = server.field("cluster_enabled");
    if is_enabled.is_none_or(|enabled| enabled == "1") {
        let state = ask(connection, cmd("CLUSTER").arg("INFO"), deadline).await;
        if let Response::Reply(value) = &state {
            server.cluster = info_fields(Some(value));
        }
    }
}

/// Sends MULTI, and ends the empty transaction. Returns the response to MULTI, which many proxies do not
/// support.
async fn empty_transaction(connection: &mut ProbeConnection, deadline: Deadline) -> Response {
    let opened = ask(connection, &cmd("MULTI"), deadline).await;
    if opened.is_granted() && !ask(connection, &cmd("EXEC"), deadline).await.is_granted() {
        ask(connection, &cmd("DISCARD"), deadline).await;
    }
    opened
}

/// Runs the tutorial's commands on a temporary key, in one MULTI transaction. The last command in the
/// transaction deletes the key.
pub(crate) async fn write_test(connection: &mut ProbeConnection, key: &str, deadline: Deadline) -> WriteTest {
    let commands = [
        ("HSET", cmd("HSET").arg(key).arg("username").arg("ping").clone()),
        ("HINCRBY", cmd("HINCRBY").arg(key).arg("visits").arg(1).clone()),
        ("EXPIRE", cmd("EXPIRE").arg(key).arg(10).clone()),
        ("HGETALL", cmd("HGETALL").arg(key).clone()),
        ("DEL", cmd("DEL").arg(key).clone()),
    ];
    // MULTI is sent first and alone. If it were rejected, the following commands would run immediately, and
    // might leave a key behind.
    let opened = ask(connection, &cmd("MULTI"), deadline).await;
    if !opened.is_granted() {
        return WriteTest {
            queued: vec![("MULTI", opened.clone())],
            executed: opened,
        };
    }
    let mut queue: Vec<_> = commands.iter().map(|(_, command)| command.clone()).collect();
    queue.push(cmd("EXEC"));
    if connection.send(&queue, deadline).await.is_err() {
        return WriteTest {
            queued: Vec::new(),
            executed: receive(connection, deadline).await,
        };
    }
    let mut queued = vec![("MULTI", opened)];
    for (name, _) in commands {
        queued.push((name, receive(connection, deadline).await));
    }
    WriteTest {
        queued,
        executed: receive(connection, deadline).await,
    }
}

/// Returns a random key, which no other program uses.
pub(crate) fn random_key() -> String {
    format!("{KEY_PREFIX}ping:{}", random::hexadecimal::<8>())
}

fn primary_of(masters: &Response) -> Option<NamedPrimary> {
    match masters {
        Response::Reply(masters) => items(Some(masters)).first().and_then(primary_in),
        _ => None,
    }
}

fn info_fields(reply: Option<&Value>) -> BTreeMap<String, String> {
    let Some(text) = reply.and_then(text) else {
        return BTreeMap::new();
    };
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// Returns the fields in the reply to HELLO, under the names that INFO uses.
fn hello_fields(reply: Option<&Value>) -> BTreeMap<String, String> {
    let pairs = items(reply).chunks_exact(2);
    let field = |pair: &[Value]| {
        let (name, value) = (text(&pair[0])?, text(&pair[1])?);
        Some(match name.as_str() {
            "version" => ("redis_version", value),
            "mode" => ("redis_mode", value),
            "server" if value != "redis" => ("server_name", value),
            "role" => ("role", if value == "replica" { "slave".into() } else { value }),
            _ => return None,
        })
    };
    pairs
        .filter_map(field)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Returns the primary in an entry of the reply to SENTINEL MASTERS. Returns `None` if the entry is invalid.
fn primary_in(entry: &Value) -> Option<NamedPrimary> {
    NamedPrimary::new(
        &field(entry, "name")?,
        &field(entry, "ip")?,
        &field(entry, "port")?,
    )
}

/// Returns a value from an entry of the reply to SENTINEL MASTERS, in which names and values alternate.
/// Returns `None` if the entry does not contain the name.
pub(in crate::ping) fn field(entry: &Value, name: &str) -> Option<String> {
    let words: Vec<String> = items(Some(entry)).iter().filter_map(text).collect();
    let mut pairs = words.chunks_exact(2);
    pairs.find(|pair| pair[0] == name).map(|pair| pair[1].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_replaces_a_missing_info() {
        let hello = "*14\r\n+server\r\n+redis\r\n+version\r\n+7.0.15\r\n+proto\r\n:2\r\n+id\r\n:9\r\n\
            +mode\r\n+cluster\r\n+role\r\n+replica\r\n+modules\r\n*0\r\n";
        let server = ServerInfo {
            fields: hello_fields(Some(&redis::parse_redis_value(hello.as_bytes()).unwrap())).into(),
            ..ServerInfo::default()
        };
        assert!(server.is_cluster() && server.is_replica());
        assert_eq!(server.field("redis_version"), Some("7.0.15"));
        let refused = redis::parse_redis_value(b"-ERR unknown command 'HELLO'\r\n").unwrap();
        assert!(hello_fields(Some(&refused)).is_empty());
    }
}

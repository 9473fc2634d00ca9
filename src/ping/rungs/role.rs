//! The role rung: what the server reports about itself, and whether the tutorial's commands work.

use std::collections::BTreeMap;

use redis::{Value, cmd};

use super::cluster;
use crate::deadline::Deadline;
use crate::ping::observation::{ServerInfo, WriteTest};
use crate::ping::response::{Response, ask, items, receive, text};
use crate::random;
use crate::redis_client::{Limits, ProbeConnection, Stream};
use crate::session::KEY_PREFIX;

/// Sends ROLE and INFO, and further queries to a Sentinel or a cluster node.
///
/// An ACL may forbid each of these commands, so an error reply is not a failure.
pub(crate) async fn observe(connection: &mut ProbeConnection<Stream>, deadline: Deadline) -> ServerInfo {
    let commands = [cmd("ROLE"), cmd("INFO")];
    let Ok(mut replies) = connection.ask(&commands, Limits::REPLY, deadline).await else {
        return ServerInfo::default();
    };
    let info = replies.pop();
    let mut server = ServerInfo {
        role: replies.pop(),
        fields: info_fields(info.as_ref()),
        ..ServerInfo::default()
    };
    if server.fields.is_empty() {
        // No ACL can forbid HELLO, which reports the most important of these fields.
        server.fields = hello_fields(&ask(connection, &cmd("HELLO"), deadline).await);
    }
    if server.is_sentinel() {
        server.sentinel_primary =
            primary_of(&ask(connection, cmd("SENTINEL").arg("MASTERS"), deadline).await);
    }
    // Without INFO, only CLUSTER INFO can show whether this is a cluster.
    if server
        .field("cluster_enabled")
        .is_none_or(|enabled| enabled == "1")
        && !server.is_sentinel()
    {
        observe_cluster(connection, &mut server, deadline).await;
    }
    server
}

/// Asks for settings that explain later failures. An ACL or a provider may forbid CONFIG.
pub(crate) async fn observe_settings(
    connection: &mut ProbeConnection<Stream>,
    server: &mut ServerInfo,
    deadline: Deadline,
) {
    let get = |pattern| cmd("CONFIG").arg("GET").arg(pattern).clone();
    let mut commands = vec![get("timeout")];
    // INFO counts the replicas in sync only if this is set. Before Redis 5 its name was min-slaves-to-write.
    if server.field("min_slaves_good_slaves").is_some() {
        commands.push(get("min-*-to-write"));
    }
    let Ok(replies) = connection.ask(&commands, Limits::REPLY, deadline).await else {
        return;
    };
    for reply in &replies {
        let words: Vec<String> = items(Some(reply)).iter().filter_map(text).collect();
        let settings = words
            .chunks_exact(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()));
        server.settings.extend(settings);
    }
}

async fn observe_cluster(
    connection: &mut ProbeConnection<Stream>,
    server: &mut ServerInfo,
    deadline: Deadline,
) {
    let state = ask(connection, cmd("CLUSTER").arg("INFO"), deadline).await;
    let fields = match &state {
        Response::Reply(value) => info_fields(Some(value)),
        _ => BTreeMap::new(),
    };
    server.cluster = fields;
    // If CLUSTER INFO is forbidden, a read still shows CLUSTERDOWN.
    let is_forbidden = state.error().is_some_and(|error| error.starts_with("NOPERM"));
    if server.cluster_state().is_some() || server.field("cluster_enabled") == Some("1") || is_forbidden {
        server.cluster_read =
            Some(ask(connection, cmd("GET").arg(format!("{KEY_PREFIX}ping")), deadline).await);
    }
}

/// Runs the tutorial's commands on a temporary key, in one MULTI, so that nothing is left behind.
pub(crate) async fn write_test(
    connection: &mut ProbeConnection<Stream>,
    server: &ServerInfo,
    deadline: Deadline,
) -> WriteTest {
    let key = if server.is_cluster() {
        cluster::key_of_this_node(connection, deadline).await
    } else {
        random_key()
    };
    let commands = [
        ("HSET", cmd("HSET").arg(&key).arg("username").arg("ping").clone()),
        ("HINCRBY", cmd("HINCRBY").arg(&key).arg("visits").arg(1).clone()),
        ("EXPIRE", cmd("EXPIRE").arg(&key).arg(10).clone()),
        ("HGETALL", cmd("HGETALL").arg(&key).clone()),
        ("DEL", cmd("DEL").arg(&key).clone()),
    ];
    // Send MULTI on its own first: if it is refused, the next commands would run at once and might leave a key.
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

/// A key that no other program uses.
pub(super) fn random_key() -> String {
    format!("{KEY_PREFIX}ping:{}", random::hexadecimal::<8>())
}

fn primary_of(masters: &Response) -> Option<String> {
    let Response::Reply(masters) = masters else {
        return None;
    };
    let fields: Vec<String> = items(items(Some(masters)).first())
        .iter()
        .filter_map(text)
        .collect();
    let value = |name: &str| {
        fields
            .chunks_exact(2)
            .find(|pair| pair[0] == name)
            .map(|pair| crate::sanitize::line(&pair[1]).into_owned())
    };
    let (host, port) = (value("ip")?, value("port")?);
    Some(if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    })
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

/// The fields of HELLO's reply, under their names in INFO.
fn hello_fields(reply: &Response) -> BTreeMap<String, String> {
    let Response::Reply(reply) = reply else {
        return BTreeMap::new();
    };
    let pairs = items(Some(reply)).chunks_exact(2);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_stands_in_for_info() {
        let hello = "*14\r\n+server\r\n+redis\r\n+version\r\n+7.0.15\r\n+proto\r\n:2\r\n+id\r\n:9\r\n\
            +mode\r\n+cluster\r\n+role\r\n+replica\r\n+modules\r\n*0\r\n";
        let server = ServerInfo {
            fields: hello_fields(&Response::Reply(
                redis::parse_redis_value(hello.as_bytes()).unwrap(),
            )),
            ..ServerInfo::default()
        };
        assert!(server.is_cluster() && server.is_replica());
        assert_eq!(server.field("redis_version"), Some("7.0.15"));
        let refused = redis::parse_redis_value(b"-ERR unknown command 'HELLO'\r\n").unwrap();
        assert!(hello_fields(&Response::Reply(refused)).is_empty());
    }
}

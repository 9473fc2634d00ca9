//! The role rung: what the server says about itself, and whether the tutorial's commands would work.

use std::collections::BTreeMap;

use redis::{Cmd, Value, cmd};
use ring::rand::{SecureRandom, SystemRandom};

use super::auth::{self, ask};
use crate::deadline::Deadline;
use crate::ping::observation::{ServerInfo, WriteTest};
use crate::ping::response::Response;
use crate::redis_client::{Connection, Limits, Stream};

/// Slots of a Redis cluster.
const SLOTS: u16 = 16384;
/// Attempts to find a key in a slot of this node: enough even where it serves two slots in a thousand.
const MOST_ATTEMPTS: u32 = 20_000;

/// Asks ROLE and INFO, and what follows from them on a Sentinel or a cluster node.
///
/// Refusals are data: an ACL may forbid any of these, and none is needed for "it answers".
pub(crate) async fn observe(connection: &mut Connection<Stream>, deadline: Deadline) -> ServerInfo {
    let questions = [cmd("ROLE"), cmd("INFO")];
    let Ok(mut replies) = connection.ask(&questions, Limits::REPLY, deadline).await else {
        return ServerInfo::default();
    };
    let info = replies.pop();
    let mut server = ServerInfo {
        role: replies.pop(),
        fields: fields_of(info.as_ref()),
        ..ServerInfo::default()
    };
    if server.fields.is_empty() {
        // No ACL can forbid HELLO, and it tells the least that there is to know.
        let greeting = ask(connection, &cmd("HELLO"), deadline).await;
        server.fields = greeting_of(&greeting);
    }
    if server.is_sentinel() {
        server.sentinel_primary =
            primary_of(&ask(connection, cmd("SENTINEL").arg("MASTERS"), deadline).await);
    }
    // Without INFO, only CLUSTER INFO itself tells whether there is a cluster.
    if server
        .field("cluster_enabled")
        .is_none_or(|enabled| enabled == "1")
        && !server.is_sentinel()
    {
        observe_cluster(connection, &mut server, deadline).await;
    }
    server
}

async fn observe_cluster(connection: &mut Connection<Stream>, server: &mut ServerInfo, deadline: Deadline) {
    let state = ask(connection, cmd("CLUSTER").arg("INFO"), deadline).await;
    let fields = match &state {
        Response::Reply(value) => fields_of(Some(value)),
        _ => BTreeMap::new(),
    };
    server.cluster_state = fields.get("cluster_state").cloned();
    // Where CLUSTER INFO is forbidden, a read tells as much: CLUSTERDOWN.
    let is_forbidden = state.error().is_some_and(|error| error.starts_with("NOPERM"));
    if server.cluster_state.is_some() || server.field("cluster_enabled") == Some("1") || is_forbidden {
        server.cluster_read = Some(ask(connection, cmd("GET").arg("sessiontut:ping"), deadline).await);
    }
}

/// The node addresses that a cluster announces; an empty host means "the one that you have reached".
pub(crate) async fn announced(connection: &mut Connection<Stream>, deadline: Deadline) -> Vec<(String, u16)> {
    let slots = [cmd("CLUSTER").arg("SLOTS").clone()];
    let Ok(replies) = connection.ask(&slots, Limits::TOPOLOGY, deadline).await else {
        return Vec::new();
    };
    let mut nodes = Vec::new();
    for range in items(replies.first()) {
        for node in items(Some(range)).iter().skip(2) {
            if let [host, Value::Int(port), ..] = items(Some(node)) {
                let port = u16::try_from(*port).unwrap_or(0);
                let node = (text(host).unwrap_or_default(), port);
                if !nodes.contains(&node) {
                    nodes.push(node);
                }
            }
        }
    }
    nodes
}

/// Rehearses what the tutorial does, as one MULTI on one key, so that nothing stays behind.
pub(crate) async fn rehearse(
    connection: &mut Connection<Stream>,
    server: &ServerInfo,
    deadline: Deadline,
) -> WriteTest {
    let key = if server.is_cluster() {
        key_of_this_node(connection, deadline).await
    } else {
        random_key()
    };
    let commands: [(&'static str, Cmd); 5] = [
        ("HSET", cmd("HSET").arg(&key).arg("username").arg("ping").clone()),
        ("HINCRBY", cmd("HINCRBY").arg(&key).arg("visits").arg(1).clone()),
        ("EXPIRE", cmd("EXPIRE").arg(&key).arg(10).clone()),
        ("HGETALL", cmd("HGETALL").arg(&key).clone()),
        ("DEL", cmd("DEL").arg(&key).clone()),
    ];
    // MULTI alone first: were it forbidden, what follows it would be executed, and might stay behind.
    let opened = ask(connection, &cmd("MULTI"), deadline).await;
    if !opened.is_granted() {
        return WriteTest {
            queued: vec![("MULTI", opened.clone())],
            executed: opened,
        };
    }
    let mut queue: Vec<Cmd> = commands.iter().map(|(_, command)| command.clone()).collect();
    queue.push(cmd("EXEC"));
    if connection.send(&queue, deadline).await.is_err() {
        return WriteTest {
            queued: Vec::new(),
            executed: auth::listen(connection, deadline).await,
        };
    }
    let mut queued = vec![("MULTI", opened)];
    for (name, _) in commands {
        queued.push((name, auth::listen(connection, deadline).await));
    }
    WriteTest {
        queued,
        executed: auth::listen(connection, deadline).await,
    }
}

/// A node refuses keys of other nodes' slots: random keys are drawn until one falls into its own.
async fn key_of_this_node(connection: &mut Connection<Stream>, deadline: Deadline) -> String {
    let own = own_slots(connection, deadline).await;
    let keys = (0..MOST_ATTEMPTS).map(|_| random_key());
    let mut fitting = keys.filter(|key| {
        let slot = crc16::State::<crc16::XMODEM>::calculate(key.as_bytes()) % SLOTS;
        own.iter()
            .any(|(first, last)| (*first..=*last).contains(&i64::from(slot)))
    });
    if own.is_empty() {
        random_key()
    } else {
        fitting.next().unwrap_or_else(random_key)
    }
}

async fn own_slots(connection: &mut Connection<Stream>, deadline: Deadline) -> Vec<(i64, i64)> {
    let questions = [
        cmd("CLUSTER").arg("MYID").clone(),
        cmd("CLUSTER").arg("SLOTS").clone(),
    ];
    let Ok(replies) = connection.ask(&questions, Limits::TOPOLOGY, deadline).await else {
        return Vec::new();
    };
    let own = replies.first().and_then(text);
    let mut ranges = Vec::new();
    for range in items(replies.get(1)) {
        if let [Value::Int(first), Value::Int(last), primary, ..] = items(Some(range))
            && items(Some(primary)).get(2).and_then(text) == own
        {
            ranges.push((*first, *last));
        }
    }
    ranges
}

fn random_key() -> String {
    let mut bytes = [0_u8; 8];
    // A key that is not random is still ours, and still removed.
    let _ = SystemRandom::new().fill(&mut bytes);
    format!("sessiontut:ping:{:016x}", u64::from_be_bytes(bytes))
}

impl ServerInfo {
    /// A field of INFO.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// A field of INFO that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }

    /// The role's name: `master`, `slave` or `sentinel`.
    #[must_use]
    pub fn role_name(&self) -> Option<String> {
        items(self.role.as_ref())
            .first()
            .and_then(text)
            .or_else(|| self.field("role").map(str::to_owned))
    }

    /// Whether this is a Sentinel.
    #[must_use]
    pub fn is_sentinel(&self) -> bool {
        self.field("redis_mode") == Some("sentinel") || self.role_name().as_deref() == Some("sentinel")
    }

    /// Whether this is a node of a cluster.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        let read = self.cluster_read.as_ref().and_then(Response::error);
        self.field("cluster_enabled") == Some("1")
            || self.field("redis_mode") == Some("cluster")
            || self.cluster_state.is_some()
            || read.is_some_and(|error| error.starts_with("MOVED") || error.starts_with("CLUSTERDOWN"))
    }

    /// Whether this is a read-only replica.
    #[must_use]
    pub fn is_replica(&self) -> bool {
        self.role_name().as_deref() == Some("slave")
    }

    /// Whether this is a replica whose link to its primary is down.
    #[must_use]
    pub fn has_lost_its_primary(&self) -> bool {
        let link = items(self.role.as_ref()).get(3).and_then(text);
        self.is_replica()
            && (self.field("master_link_status") == Some("down")
                || link.is_some_and(|link| {
                    matches!(link.as_str(), "connect" | "connecting" | "handshake" | "none")
                }))
    }
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

fn fields_of(reply: Option<&Value>) -> BTreeMap<String, String> {
    let Some(text) = reply.and_then(text) else {
        return BTreeMap::new();
    };
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// The fields of INFO that HELLO's list of names and values holds too.
fn greeting_of(greeting: &Response) -> BTreeMap<String, String> {
    let Response::Reply(greeting) = greeting else {
        return BTreeMap::new();
    };
    let pairs = items(Some(greeting)).chunks_exact(2);
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

fn items(reply: Option<&Value>) -> &[Value] {
    match reply {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}

fn text(reply: &Value) -> Option<String> {
    match reply {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_tells_what_info_would() {
        let greeting = "*14\r\n+server\r\n+redis\r\n+version\r\n+7.0.15\r\n+proto\r\n:2\r\n+id\r\n:9\r\n\
            +mode\r\n+cluster\r\n+role\r\n+replica\r\n+modules\r\n*0\r\n";
        let server = ServerInfo {
            fields: greeting_of(&Response::Reply(
                redis::parse_redis_value(greeting.as_bytes()).unwrap(),
            )),
            ..ServerInfo::default()
        };
        assert!(server.is_cluster() && server.is_replica());
        assert_eq!(server.field("redis_version"), Some("7.0.15"));
        let refused = redis::parse_redis_value(b"-ERR unknown command 'HELLO'\r\n").unwrap();
        assert!(greeting_of(&Response::Reply(refused)).is_empty());
    }
}

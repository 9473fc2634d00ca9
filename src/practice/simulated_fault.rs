use std::net::SocketAddr;

use super::command_info::CommandInfo;
use super::reply::Reply;

/// A fault that a practice server simulates, for drills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SimulatedFault {
    /// No fault: the server works normally.
    #[default]
    None,
    /// The server is still loading its data.
    Loading,
    /// The user's ACL rules do not allow any command.
    NoPermission,
    /// The server is a replica, and rejects writes.
    Replica,
    /// The server is a cluster node, and all keys are on another node.
    ClusterNode {
        /// The address of the node that has the keys.
        other: SocketAddr,
    },
}

impl SimulatedFault {
    /// Returns the reply to a command that the fault affects, or `None` if the command works normally.
    pub(super) fn reply(self, command: &CommandInfo, words: &[Vec<u8>], port: u16) -> Option<Reply> {
        match self {
            Self::None => None,
            Self::Loading => (!command.has_flag("loading"))
                .then(|| Reply::Error("LOADING Redis is loading the dataset in memory".into())),
            Self::NoPermission => (!command.has_flag("no_auth")).then(|| {
                let name = command.name;
                Reply::Error(
                    format!("NOPERM this user has no permissions to run the '{name}' command").into(),
                )
            }),
            Self::Replica => replica(command),
            Self::ClusterNode { other } => cluster_node(command, words, other, port),
        }
    }
}

fn replica(command: &CommandInfo) -> Option<Reply> {
    match command.name {
        "role" => Some(Reply::Array(vec![
            Reply::text("slave"),
            Reply::text("127.0.0.1"),
            Reply::Int(6379),
            Reply::text("connected"),
            Reply::Int(42),
        ])),
        "info" => Some(Reply::Verbatim(
            "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\r\n# Replication\r\nrole:slave\r\n\
             master_host:127.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:up\r\n"
                .into(),
        )),
        _ if command.has_flag("write") => {
            Some(Reply::Error("READONLY You can't write against a read only replica.".into()))
        }
        _ => None,
    }
}

const LAST_SLOT: i64 = 16383;

fn cluster_node(command: &CommandInfo, words: &[Vec<u8>], other: SocketAddr, port: u16) -> Option<Reply> {
    let here = SocketAddr::new(other.ip(), port);
    let subcommand = words.get(1).map(|word| word.to_ascii_lowercase());
    let is_cluster = command.name.starts_with("cluster");
    match (command.name, subcommand.as_deref()) {
        (_, Some(b"info")) if is_cluster => Some(Reply::Verbatim(
            "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:16384\r\ncluster_known_nodes:2\r\n\
             cluster_size:2\r\n"
                .into(),
        )),
        (_, Some(b"myid")) if is_cluster => Some(Reply::text(node_id(here))),
        (_, Some(b"slots")) if is_cluster => Some(Reply::Array(vec![
            slots(0, 0, here),
            slots(1, LAST_SLOT, other),
        ])),
        ("info", _) => Some(Reply::Verbatim(
            "# Server\r\nredis_version:7.0.15\r\nredis_mode:cluster\r\n\r\n# Replication\r\nrole:master\r\n\r\n\
             # Cluster\r\ncluster_enabled:1\r\n"
                .into(),
        )),
        _ if command.keys.0 > 0 => Some(Reply::Error(format!("MOVED 7000 {other}").into())),
        _ => None,
    }
}

fn slots(first: i64, last: i64, node: SocketAddr) -> Reply {
    let node = Reply::Array(vec![
        Reply::text(node.ip().to_string()),
        Reply::Int(node.port().into()),
        Reply::text(node_id(node)),
    ]);
    Reply::Array(vec![Reply::Int(first), Reply::Int(last), node])
}

/// Returns a node ID of forty hexadecimal digits, as in Redis.
fn node_id(node: SocketAddr) -> String {
    format!("{:040x}", node.port())
}

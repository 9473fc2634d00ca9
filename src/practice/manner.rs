//! Faults that a practice server can have on purpose, for drills.

use std::net::SocketAddr;

use super::commands::{Traits, traits};
use super::reply::Reply;

/// How a server behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    #[default]
    Healthy,
    /// It is loading its data and answers nothing else yet.
    Loading,
    /// Its ACL forbids everything to whoever has logged in.
    Forbidding,
    /// It is a replica: writes are for its primary.
    Replica,
    /// It is one node of a cluster, and all keys are on another one.
    ClusterNode {
        /// Where the keys are.
        elsewhere: SocketAddr,
        /// Where this node is.
        here: SocketAddr,
    },
}

impl Manner {
    /// What is answered instead of what the command would answer.
    pub(super) fn answer(self, words: &[Vec<u8>], port: u16) -> Option<Reply> {
        let traits = traits(words)?;
        match self {
            Self::Healthy => None,
            Self::Loading => (!traits.runs_while_loading)
                .then(|| Reply::Error("LOADING Redis is loading the dataset in memory".into())),
            Self::Forbidding => (!traits.is_for_strangers).then(|| {
                let text = format!(
                    "NOPERM this user has no permissions to run the '{}' command",
                    traits.name
                );
                Reply::Error(text.into())
            }),
            Self::Replica => replica(&traits),
            Self::ClusterNode { elsewhere, here } => cluster(&traits, words, elsewhere, here, port),
        }
    }
}

/// The port of a primary that nobody will find.
const PRIMARY_PORT: i64 = 6379;

fn replica(traits: &Traits) -> Option<Reply> {
    match traits.name {
        "role" => Some(Reply::Array(vec![
            Reply::text("slave"),
            Reply::text("127.0.0.1"),
            Reply::Int(PRIMARY_PORT),
            Reply::text("connected"),
            Reply::Int(42),
        ])),
        "info" => Some(Reply::Verbatim(
            "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\r\n# Replication\r\nrole:slave\r\n\
             master_host:127.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:up\r\n"
                .into(),
        )),
        _ if traits.writes => Some(Reply::Error("READONLY You can't write against a read only replica.".into())),
        _ => None,
    }
}

/// Slots of a cluster.
const SLOTS: i64 = 16384;

fn cluster(
    traits: &Traits,
    words: &[Vec<u8>],
    elsewhere: SocketAddr,
    here: SocketAddr,
    port: u16,
) -> Option<Reply> {
    let subcommand = words.get(1).map(|word| word.to_ascii_lowercase());
    match (traits.name, subcommand.as_deref()) {
        ("cluster", Some(b"info")) => Some(Reply::Verbatim(
            "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:16384\r\ncluster_known_nodes:2\r\n\
             cluster_size:2\r\n"
                .into(),
        )),
        ("cluster", Some(b"myid")) => Some(Reply::text(node_id(here))),
        ("cluster", Some(b"slots")) => Some(Reply::Array(vec![
            slots(0, 0, SocketAddr::new(here.ip(), port)),
            slots(1, SLOTS - 1, elsewhere),
        ])),
        ("info", _) => Some(Reply::Verbatim(
            "# Server\r\nredis_version:7.0.15\r\nredis_mode:cluster\r\n\r\n# Replication\r\nrole:master\r\n\r\n\
             # Cluster\r\ncluster_enabled:1\r\n"
                .into(),
        )),
        _ if traits.has_keys => Some(Reply::Error(format!("MOVED 7000 {elsewhere}").into())),
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

/// Forty digits, as every node has.
fn node_id(node: SocketAddr) -> String {
    format!("{:040x}", node.port())
}

//! A real cluster of three primaries that cover all slots.

use super::ports::free_port;
use super::redis_server::{RedisServer, Settings};
use super::wait;

const SLOTS: usize = 16384;
const NODES: usize = 3;

/// Three redis-servers that form a cluster.
#[derive(Debug)]
pub struct Cluster {
    /// The primaries, ordered by slot.
    pub nodes: Vec<RedisServer>,
}

impl Cluster {
    /// Starts the installed redis-server three times, and waits until the cluster is ready.
    pub fn start() -> Self {
        Self::of(&Settings::default())
    }

    /// Starts every node with these settings.
    pub fn of(settings: &Settings) -> Self {
        let nodes: Vec<(RedisServer, u16)> = (0..NODES).map(|_| node(settings)).collect();
        let (first, first_bus) = &nodes[0];
        for (number, (node, _)) in nodes.iter().enumerate() {
            let from = (SLOTS * number / NODES).to_string();
            let to = (SLOTS * (number + 1) / NODES - 1).to_string();
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]);
            let (port, bus) = (first.port().to_string(), first_bus.to_string());
            node.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        for (node, _) in &nodes {
            wait::wait_for("the cluster to agree", || {
                let state = redis::cmd("CLUSTER")
                    .arg("INFO")
                    .query::<String>(&mut node.connection())
                    .unwrap();
                (state.contains("cluster_state:ok") && state.contains("cluster_known_nodes:3")).then_some(())
            });
        }
        Self {
            nodes: nodes.into_iter().map(|(node, _)| node).collect(),
        }
    }

    /// Returns the URL of the first node.
    pub fn url(&self) -> String {
        self.nodes[0].url()
    }

    /// Returns the names of all keys on all nodes, sorted.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.nodes.iter().flat_map(RedisServer::keys).collect();
        keys.sort();
        keys
    }
}

/// Starts one node, and returns it with its cluster bus port. The default (the node's port plus 10000) could be taken
/// or out of range.
fn node(settings: &Settings) -> (RedisServer, u16) {
    let bus = free_port();
    let node = settings
        .clone()
        .line("cluster-enabled yes")
        .line("cluster-node-timeout 2000")
        .line(&format!("cluster-port {bus}"))
        .start();
    (node, bus)
}

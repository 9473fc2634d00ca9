//! A real cluster of three primaries, all slots served.

use super::ports::free_port;
use super::redis_server::{RedisServer, Settings};
use super::wait;

const SLOTS: usize = 16384;
const NODES: usize = 3;

/// Three redis-servers that agree.
#[derive(Debug)]
pub struct Cluster {
    /// The primaries, in the order of their slots.
    pub nodes: Vec<RedisServer>,
}

impl Cluster {
    /// Starts it on Debian's redis-server; ready when this returns.
    pub fn start() -> Self {
        Self::of(&Settings::default())
    }

    /// Starts it with these settings on every node.
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

    /// The URL of its first node.
    pub fn url(&self) -> String {
        self.nodes[0].url()
    }

    /// The names of all keys on all nodes, sorted.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.nodes.iter().flat_map(RedisServer::keys).collect();
        keys.sort();
        keys
    }
}

/// One node and the port of its cluster bus (10000 above its own could be taken, or beyond the last port).
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

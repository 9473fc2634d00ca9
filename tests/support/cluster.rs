//! Runs a real cluster of three primaries that cover all slots.

use super::ports::free_port;
use super::redis_server::{RedisServer, Settings};
use super::wait;

const SLOTS: usize = 16384;
const NODES: usize = 3;

/// Three redis-server processes that form a cluster.
#[derive(Debug)]
pub struct Cluster {
    settings: Settings,
    /// The primaries, in the order of their slots.
    pub nodes: Vec<RedisServer>,
}

impl Cluster {
    /// Starts the installed redis-server three times, and waits until the cluster is ready.
    pub fn start() -> Self {
        Self::of(&Settings::default())
    }

    /// Starts a cluster in which every node has these settings.
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
            settings: settings.clone(),
            nodes: nodes.into_iter().map(|(node, _)| node).collect(),
        }
    }

    /// Returns the URL of the first node.
    pub fn url(&self) -> String {
        self.nodes[0].url()
    }

    /// Starts a replica of a node, and waits until all nodes know the replica.
    pub fn replica_of(&self, node_number: usize) -> RedisServer {
        let (replica, bus) = node(&self.settings);
        let (port, bus) = (replica.port().to_string(), bus.to_string());
        self.nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        let master: String = redis::cmd("CLUSTER")
            .arg("MYID")
            .query(&mut self.nodes[node_number].connection())
            .unwrap();
        wait::wait_for("the replica to know its primary", || {
            let replicate = redis::cmd("CLUSTER").arg("REPLICATE").arg(&master).clone();
            replicate.exec(&mut replica.connection()).ok()
        });
        let id: String = redis::cmd("CLUSTER")
            .arg("MYID")
            .query(&mut replica.connection())
            .unwrap();
        for node in &self.nodes {
            wait::wait_for("the nodes to know the replica", || {
                let known: String = redis::cmd("CLUSTER")
                    .arg("NODES")
                    .query(&mut node.connection())
                    .unwrap();
                let line = known.lines().find(|line| line.starts_with(&id))?;
                (line.contains("slave") && line.contains("connected")).then_some(())
            });
        }
        replica
    }

    /// Returns the names of all keys on all nodes, sorted.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.nodes.iter().flat_map(RedisServer::keys).collect();
        keys.sort();
        keys
    }
}

/// Starts one node. Returns the node and its cluster bus port. This port is chosen explicitly, because the
/// default (the node's port plus 10000) might be in use or out of range.
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

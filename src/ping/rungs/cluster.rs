//! Checks a cluster: the addresses that its nodes announce, connections to these addresses, and the slots of
//! the connected node.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use redis::{Value, cmd};

use super::role::random_key;
use super::{dns, tcp};
use crate::deadline::Deadline;
use crate::ping::observation::{Dial, DialResult, Endpoint};
use crate::ping::response::Response;
use crate::redis_client::{ProbeConnection, slot_of};
use crate::redis_client::{items, text};

/// The time limit for connecting to the announced nodes, unless a third of the timeout is shorter.
const NODE_BUDGET: Duration = Duration::from_secs(1);
/// The maximum number of nodes to connect to. In a larger cluster, only some nodes are tried.
const MOST_NODES: usize = 64;
/// The maximum number of random keys to try in search of a key that a node serves. This is enough even if the
/// node serves only two slots in a thousand.
const MOST_ATTEMPTS: u32 = 20_000;

/// The topology of a cluster, as one node reports it.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    /// The distinct addresses of the nodes. An empty host means the host of this node.
    nodes: Vec<(String, u16)>,
    /// The ranges of slots for which this node is the primary.
    own_slots: Vec<(i64, i64)>,
    /// Whether an ACL forbids CLUSTER SLOTS.
    pub is_forbidden: bool,
}

impl Topology {
    /// Asks a cluster node for the topology. Returns an empty topology if the node does not report it.
    pub(crate) async fn ask(connection: &mut ProbeConnection, deadline: Deadline) -> Self {
        let commands = [
            cmd("CLUSTER").arg("MYID").clone(),
            cmd("CLUSTER").arg("SLOTS").clone(),
        ];
        let Ok(replies) = connection.ask(&commands, deadline).await else {
            return Self::default();
        };
        let id = replies.first().and_then(text);
        let slots = replies.get(1).cloned().map(Response::Reply);
        let mut topology = Self {
            is_forbidden: slots.as_ref().is_some_and(Response::is_forbidden),
            ..Self::default()
        };
        for range in items(replies.get(1)) {
            // The elements are the first slot, the last slot, the primary, and the replicas.
            let [Value::Int(first), Value::Int(last), nodes @ ..] = items(Some(range)) else {
                continue;
            };
            for node in nodes {
                if let [host, Value::Int(port), ..] = items(Some(node)) {
                    let node = (text(host).unwrap_or_default(), u16::try_from(*port).unwrap_or(0));
                    if !topology.nodes.contains(&node) {
                        topology.nodes.push(node);
                    }
                }
            }
            if items(nodes.first()).get(2).and_then(text) == id {
                topology.own_slots.push((*first, *last));
            }
        }
        topology
    }

    /// Adds the node to which the reply MOVED or ASK redirects the client, if no node is known.
    pub(crate) fn with_redirection(mut self, reply: Option<&Response>) -> Self {
        let error = reply.and_then(Response::error).unwrap_or_default();
        // The words are the code, the slot, and the address.
        let address = error
            .split(' ')
            .nth(2)
            .and_then(|address| address.rsplit_once(':'));
        if let (true, Some((host, port))) = (self.nodes.is_empty(), address)
            && let Ok(port) = port.parse()
            && crate::redis_url::is_host(host)
        {
            self.nodes.push((host.to_owned(), port));
        }
        self
    }

    /// Tries to connect to the nodes, but to at most [`MOST_NODES`] of them.
    pub(crate) async fn dial(&self, this_node: Option<SocketAddr>, deadline: Deadline) -> Vec<Dial> {
        let until = deadline.within(NODE_BUDGET.min(deadline.span() / 3));
        let sample = self.nodes.iter().take(MOST_NODES);
        join_all(sample.map(|(host, port)| dial_node(host, *port, this_node, until))).await
    }

    /// Returns a random key that this node serves, because the node would redirect requests for other keys.
    /// Returns `None` if no such key is found.
    pub(crate) fn key_of_this_node(&self) -> Option<String> {
        let is_own = |key: &String| {
            let slot = i64::from(slot_of(key.as_bytes()));
            self.own_slots
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&slot))
        };
        (0..MOST_ATTEMPTS).map(|_| random_key()).find(is_own)
    }
}

async fn dial_node(host: &str, port: u16, this_node: Option<SocketAddr>, deadline: Deadline) -> Dial {
    let addresses = match this_node {
        Some(this_node) if host.is_empty() => vec![SocketAddr::new(this_node.ip(), port)],
        // "?" stands for a node with an unknown address. Its lookup fails.
        _ => dns::addresses(host, port, deadline).await,
    };
    if addresses.is_empty() {
        return Dial {
            to: Endpoint::Named(format!("{host}:{port}")),
            result: DialResult::Other("the name cannot be resolved".into()),
            took: deadline.elapsed(),
        };
    }
    let (connected, mut dials) = tcp::observe(&addresses, deadline).await;
    let at =
        connected.and_then(|(_, address)| dials.iter().position(|dial| dial.to == Endpoint::Ip(address)));
    dials.swap_remove(at.unwrap_or(0))
}

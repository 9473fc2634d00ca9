//! Checks a cluster: the addresses its nodes announce, whether they accept connections, and the slots this node serves.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use redis::{Value, cmd};

use super::role::random_key;
use super::{dns, tcp};
use crate::deadline::Deadline;
use crate::ping::observation::{Dial, DialResult, Endpoint, SLOTS};
use crate::ping::response::{items, text};
use crate::redis_client::{Limits, ProbeConnection, Stream};

/// Time limit for dialling the announced nodes, or a third of the timeout if that is shorter.
const NODE_BUDGET: Duration = Duration::from_secs(1);
/// The most nodes to dial. In a larger cluster, a sample is dialled.
const MOST_NODES: usize = 64;
/// The most random keys to try. This is enough even if the node serves only two slots in a thousand.
const MOST_ATTEMPTS: u32 = 20_000;

/// Requests the announced node addresses, and dials each of them.
pub(crate) async fn observe(
    connection: &mut ProbeConnection<Stream>,
    this_node: Option<SocketAddr>,
    deadline: Deadline,
) -> Vec<Dial> {
    let nodes = announced(connection, deadline).await;
    let until = deadline.within(NODE_BUDGET.min(deadline.span() / 3));
    let sample = nodes.iter().take(MOST_NODES);
    join_all(sample.map(|(host, port)| dial_node(host, *port, this_node, until))).await
}

/// The distinct node addresses in CLUSTER SLOTS. An empty host means this node's own host.
async fn announced(connection: &mut ProbeConnection<Stream>, deadline: Deadline) -> Vec<(String, u16)> {
    let slots = [cmd("CLUSTER").arg("SLOTS").clone()];
    let Ok(replies) = connection.ask(&slots, Limits::LARGE, deadline).await else {
        return Vec::new();
    };
    let mut nodes = Vec::new();
    // Each range is [first slot, last slot, primary, replica, …].
    for node in items(replies.first())
        .iter()
        .flat_map(|range| items(Some(range)).iter().skip(2))
    {
        if let [host, Value::Int(port), ..] = items(Some(node)) {
            let node = (text(host).unwrap_or_default(), u16::try_from(*port).unwrap_or(0));
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
    }
    nodes
}

async fn dial_node(host: &str, port: u16, this_node: Option<SocketAddr>, deadline: Deadline) -> Dial {
    let addresses: Vec<SocketAddr> = match (dns::literal_address(host, port), this_node) {
        (Some(address), _) => vec![address],
        (None, Some(this_node)) if host.is_empty() => vec![SocketAddr::new(this_node.ip(), port)],
        // "?" is a node whose address is not known yet; its lookup fails.
        _ => {
            let found = dns::observe(host, deadline).await.addresses;
            let with_port = |address: IpAddr| SocketAddr::new(address, port);
            found.into_iter().map(with_port).collect()
        }
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

/// Returns a random key in a slot that this node serves, because a node refuses the keys of other nodes.
pub(crate) async fn key_of_this_node(connection: &mut ProbeConnection<Stream>, deadline: Deadline) -> String {
    let own = own_slots(connection, deadline).await;
    if own.is_empty() {
        return random_key();
    }
    let is_own = |key: &String| {
        let slot = i64::from(crc16::State::<crc16::XMODEM>::calculate(key.as_bytes()) % SLOTS);
        own.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    };
    let mut keys = (0..MOST_ATTEMPTS).map(|_| random_key());
    keys.find(is_own).unwrap_or_else(random_key)
}

async fn own_slots(connection: &mut ProbeConnection<Stream>, deadline: Deadline) -> Vec<(i64, i64)> {
    let commands = [
        cmd("CLUSTER").arg("MYID").clone(),
        cmd("CLUSTER").arg("SLOTS").clone(),
    ];
    let Ok(replies) = connection.ask(&commands, Limits::LARGE, deadline).await else {
        return Vec::new();
    };
    let id = replies.first().and_then(text);
    let mut ranges = Vec::new();
    for range in items(replies.get(1)) {
        if let [Value::Int(first), Value::Int(last), primary, ..] = items(Some(range))
            && items(Some(primary)).get(2).and_then(text) == id
        {
            ranges.push((*first, *last));
        }
    }
    ranges
}

//! The nodes that a cluster announces, each dialled as the host of the URL is.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::observation::{Dial, DialResult, Endpoint};
use super::rungs::{dns, tcp};
use crate::deadline::Deadline;

/// What a cluster's other nodes get, at most, to take a connection.
const NODE_BUDGET: Duration = Duration::from_secs(1);
/// Nodes that are dialled at most; a large cluster is sampled.
const MOST_NODES: usize = 64;

/// By the rule of the happy eyeballs: each gets a second, or a third of the time.
pub(super) async fn dial(
    nodes: Vec<(String, u16)>,
    here: Option<SocketAddr>,
    deadline: Deadline,
) -> Vec<Dial> {
    let budget = deadline.within(NODE_BUDGET.min(deadline.span() / 3));
    let mut attempts = tokio::task::JoinSet::new();
    for (index, (host, port)) in nodes.into_iter().take(MOST_NODES).enumerate() {
        attempts.spawn(async move { (index, dial_node(&host, port, here, budget).await) });
    }
    let mut dials: Vec<(usize, Dial)> = Vec::new();
    while let Some(joined) = attempts.join_next().await {
        dials.extend(joined);
    }
    dials.sort_by_key(|(index, _)| *index);
    dials.into_iter().map(|(_, dial)| dial).collect()
}

async fn dial_node(host: &str, port: u16, here: Option<SocketAddr>, deadline: Deadline) -> Dial {
    let addresses: Vec<SocketAddr> = match (literal(host, port), here) {
        (Some(address), _) => vec![address],
        // "?" stands for a node whose address nobody knows yet; none at all for the one that was asked.
        (None, Some(here)) if host.is_empty() => vec![SocketAddr::new(here.ip(), port)],
        _ => {
            let found = dns::observe(host, deadline).await.addresses;
            found
                .into_iter()
                .map(|address| SocketAddr::new(address, port))
                .collect()
        }
    };
    let named = || Endpoint::Named(format!("{host}:{port}"));
    if addresses.is_empty() {
        let result = DialResult::Other("the name leads nowhere".into());
        return Dial {
            to: named(),
            result,
            took: deadline.elapsed(),
        };
    }
    let (serving, mut dials) = tcp::observe(&addresses, deadline).await;
    let at = serving.and_then(|(_, address)| dials.iter().position(|dial| dial.to == Endpoint::Ip(address)));
    dials.swap_remove(at.unwrap_or(0))
}

/// The address that a host is already, which needs no look-up.
pub(super) fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, port));
    }
    // fe80::1%2 has a zone, which only the socket address can hold.
    host.contains('%')
        .then(|| format!("[{host}]:{port}").parse().ok())
        .flatten()
}

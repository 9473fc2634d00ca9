//! Uses a cluster like a single connection, by sending each request to the node that serves the request's
//! key.
//!
//! A request is repeated only if no node has executed any part of it. This is certain if the request was not
//! sent, or if all its replies are redirections (MOVED, ASK).

mod node;
mod request;
mod slot_map;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, Shared};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use redis::{Cmd, RedisResult, Value};

use super::single::{SingleConnection, share};
use super::stream::Stream;
use crate::deadline::Deadline;
use crate::ping::causes::ErrorReply;
use crate::redis_url::{Address, Target, Trust};
use node::{CONNECT_WITHIN, Node, failed, name, timed_out};
use request::{Redirection, errors_in, redirection};
use slot_map::SlotMap;

pub(crate) use node::open_stream;
pub(super) use request::Request;
pub(crate) use slot_map::{SLOTS, slot_of};

/// How long a request waits for the connection to a node before the slot map is read again.
const WAIT_FOR_NODE: Duration = Duration::from_millis(400);
/// Time limit for a reply from a cluster node. It is slightly shorter than the time that `serve` allows for
/// the Redis commands of one HTTP request.
const REPLY_WITHIN: Duration = Duration::from_secs(1);
/// Time limit for a request to a cluster, including all connection attempts and redirections.
const REQUEST_WITHIN: Duration = Duration::from_secs(2);
/// How long to wait for a newer slot map if the first map still assigns a slot to an unreachable node.
const NEWER_MAP_WITHIN: Duration = Duration::from_millis(200);
/// The maximum number of attempts to send one request, including attempts that end in a redirection.
const MOST_REDIRECTIONS: usize = 5;
/// The maximum number of nodes that are asked for the slot map at the same time.
const MOST_ASKED: usize = 16;

#[derive(Clone)]
pub(super) struct Cluster(Arc<Nodes>);

struct Nodes {
    target: Target,
    trust: Trust,
    state: Mutex<State>,
    /// When the slot map was last requested. This mutex is locked while the map is being requested.
    map_read: tokio::sync::Mutex<Instant>,
    /// Whether the last request for the slot map failed on all nodes that were asked.
    is_lost: AtomicBool,
}

struct State {
    map: SlotMap,
    links: HashMap<Node, Link>,
}

/// The connection to a node, or an attempt to open it.
type Link = Shared<BoxFuture<'static, RedisResult<SingleConnection>>>;

impl Cluster {
    /// Joins a cluster through `stream`, which must be a logged-in connection to one of its nodes.
    pub(super) async fn join(target: &Target, trust: &Trust, stream: Stream) -> RedisResult<Self> {
        let Address::Tcp { host, port } = &target.address else {
            return Err(failed("a cluster cannot be used through a unix socket"));
        };
        let seed = Node::new((host.clone(), *port));
        let single = share(stream).await?;
        let map = SlotMap::ask(&single, &seed, &seed).await?;
        let link = async { Ok(single) }.boxed().shared();
        // Await the link, because it counts as open only after its result has been polled.
        let _ = link.clone().await;
        Ok(Self(Arc::new(Nodes {
            target: target.clone(),
            trust: trust.clone(),
            state: Mutex::new(State {
                map,
                links: HashMap::from([(seed, link)]),
            }),
            map_read: tokio::sync::Mutex::new(Instant::now()),
            is_lost: AtomicBool::new(false),
        })))
    }

    /// Runs a request in a separate task, which continues even if the caller stops waiting. A timeout is
    /// therefore always noticed.
    pub(super) async fn run(&self, request: Request, slot: Option<u16>) -> RedisResult<Vec<Value>> {
        let cluster = self.clone();
        let slot = slot.or_else(|| request.slot());
        let task = tokio::spawn(async move { cluster.route(&request, slot.unwrap_or(0)).await });
        task.await
            .unwrap_or_else(|_| Err(failed("the program is shutting down")))
    }

    /// Whether the last request for the slot map failed on all nodes that were asked.
    pub(super) fn is_lost(&self) -> bool {
        self.0.is_lost.load(Ordering::Relaxed)
    }

    /// Tries again to reach the known nodes of the cluster. Returns whether one of them has reported the slot
    /// map.
    pub(super) async fn recover(&self) -> bool {
        self.read_map(Instant::now(), None).await;
        !self.is_lost()
    }

    /// Returns the addresses of the primaries. The list contains `None` if some slots have no primary.
    pub(super) fn primaries(&self) -> Vec<Option<String>> {
        let state = self.state();
        let mut primaries: Vec<_> = state
            .map
            .primaries
            .iter()
            .map(|node| node.as_deref().map(name))
            .collect();
        primaries.sort();
        primaries.dedup();
        primaries
    }

    pub(super) fn primary_of(&self, key: &[u8]) -> Option<String> {
        self.state().map.primary(slot_of(key)).as_deref().map(name)
    }

    /// Whether there is a connection to the primary that serves a key.
    pub(super) fn is_connected(&self, key: &[u8]) -> bool {
        let state = self.state();
        let node = state.map.primary(slot_of(key));
        let link = node.and_then(|node| state.links.get(&node)?.peek());
        matches!(link, Some(Ok(single)) if !single.is_closed())
    }

    pub(super) async fn run_everywhere(&self, command: &Cmd) -> RedisResult<Vec<Value>> {
        let primaries = self.state().map.primaries.clone().into_iter().zip(0..);
        let slots: HashMap<Node, u16> = primaries.filter_map(|(node, slot)| Some((node?, slot))).collect();
        let mut replies = Vec::new();
        for slot in slots.into_values() {
            replies.extend(self.run(Request::One(command.clone()), Some(slot)).await?);
        }
        Ok(replies)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn route(&self, request: &Request, slot: u16) -> RedisResult<Vec<Value>> {
        let deadline = Deadline::after(REQUEST_WITHIN);
        let mut asked = None;
        let mut last = failed("the cluster redirects the request in a loop");
        for _ in 0..MOST_REDIRECTIONS {
            let began = Instant::now();
            let primary = self.state().map.primary(slot);
            let (node, is_asking) = match (asked.take(), primary) {
                (Some(node), _) => (node, true),
                (None, Some(node)) => (node, false),
                (None, None) => {
                    self.read_map(began, None).await;
                    // If no primary is known, any node can report whether the slot is served.
                    let state = self.state();
                    let node = state.map.primary(slot);
                    (node.unwrap_or_else(|| state.map.nodes[0].clone()), false)
                }
            };
            let Some(mut single) = self.reach(&node, slot, began, deadline).await? else {
                continue;
            };
            let reply_by = deadline.within(REPLY_WITHIN);
            let Ok(replies) = reply_by.bound(request.send(&mut single, is_asking)).await else {
                self.unlink(&node, &single);
                self.read_map_later(began);
                return Err(timed_out(&node));
            };
            match redirection(&replies, &node) {
                Some(Redirection::Moved(to)) => {
                    self.state().map.set_primary(slot, &to);
                    self.read_map_later(began);
                }
                Some(Redirection::Ask(to)) => asked = Some(to),
                None => {
                    self.note_errors(&replies, &node, &single, began);
                    return replies;
                }
            }
            last = match replies {
                Err(error) => error,
                Ok(_) => last,
            };
            if deadline.is_over() {
                break;
            }
        }
        Err(last)
    }

    /// Connects to `node`, which serves `slot` according to the slot map. Returns `None` if a newer slot map
    /// assigns the slot to another node, to which the caller can then send the request.
    async fn reach(
        &self,
        node: &Node,
        slot: u16,
        began: Instant,
        deadline: Deadline,
    ) -> RedisResult<Option<SingleConnection>> {
        let failure = match deadline.within(WAIT_FOR_NODE).bound(self.link(node)).await {
            Ok(Ok(single)) => return Ok(Some(single)),
            failure => failure,
        };
        let _ = deadline.bound(self.read_map(began, Some((slot, node)))).await;
        if self.state().map.primary(slot).is_some_and(|new| new != *node) {
            return Ok(None);
        }
        match failure {
            Ok(Err(error)) => Err(error),
            // The connection attempt might be slow only because the node is far away, so keep waiting.
            _ => deadline
                .bound(self.link(node))
                .await
                .unwrap_or_else(|_| Err(timed_out(node)))
                .map(Some),
        }
    }

    /// Reacts to errors in the replies: discards an unusable connection, and reads the slot map again if it
    /// might be outdated.
    fn note_errors(
        &self,
        replies: &RedisResult<Vec<Value>>,
        node: &Node,
        single: &SingleConnection,
        began: Instant,
    ) {
        if let Err(error) = replies
            && (error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error())
        {
            self.unlink(node, single);
            self.read_map_later(began);
        }
        for reply in errors_in(replies) {
            if reply.starts_with("CLUSTERDOWN") {
                self.read_map_later(began);
            }
            // A new connection might not return this error, for example if the password has changed.
            if ErrorReply::of(&reply).is_some_and(|known| known.reconnect) {
                self.unlink(node, single);
            }
        }
    }

    /// Returns the open connection to a node, or opens a new one.
    async fn link(&self, node: &Node) -> RedisResult<SingleConnection> {
        let link = {
            let mut state = self.state();
            let known = state.links.get(node).filter(|link| match link.peek() {
                None => true,
                Some(Ok(single)) => !single.is_closed(),
                Some(Err(_)) => false,
            });
            match known {
                Some(link) => link.clone(),
                None => {
                    let (nodes, node_address) = (Arc::clone(&self.0), node.clone());
                    // A separate task opens the connection, so that the attempt continues even if a waiting
                    // request ends.
                    let task = tokio::spawn(async move { nodes.connect(&node_address).await });
                    let opened = async move {
                        task.await
                            .unwrap_or_else(|_| Err(failed("connecting was interrupted")))
                    };
                    let link = opened.boxed().shared();
                    state.links.insert(node.clone(), link.clone());
                    link
                }
            }
        };
        link.await
    }

    /// Discards the connection `single`, so that the next request opens a new one.
    fn unlink(&self, node: &Node, single: &SingleConnection) {
        let mut state = self.state();
        let link = state.links.get(node).and_then(|link| link.peek());
        if matches!(link, Some(Ok(current)) if current.is_same(single)) {
            state.links.remove(node);
        }
    }

    fn read_map_later(&self, since: Instant) {
        let cluster = self.clone();
        tokio::spawn(async move { cluster.read_map(since, None).await });
    }

    /// Reads the slot map from the first node that reports it. Does nothing if the map has been read after
    /// `since`.
    ///
    /// `unreachable` contains a slot, and the node that serves it but cannot be reached. A map that still
    /// assigns the slot to this node is used only if no other node reports a newer map.
    async fn read_map(&self, since: Instant, unreachable: Option<(u16, &Node)>) {
        let mut read = self.0.map_read.lock().await;
        if *read > since {
            return;
        }
        *read = Instant::now();
        let nodes = self.state().map.nodes.clone();
        let seed = nodes[0].clone();
        let mut maps: FuturesUnordered<_> = nodes
            .iter()
            .take(MOST_ASKED)
            .map(async |node| SlotMap::ask(&self.link(node).await?, node, &seed).await)
            .collect();
        let mut until = Deadline::after(CONNECT_WITHIN);
        let mut found = None;
        while let Ok(Some(map)) = until.bound(maps.next()).await {
            let Ok(map) = map else {
                continue;
            };
            let is_old = unreachable.is_some_and(|(slot, node)| map.primary(slot).as_ref() == Some(node));
            found = Some(map);
            if !is_old {
                break;
            }
            until = until.within(NEWER_MAP_WITHIN);
        }
        self.0.is_lost.store(found.is_none(), Ordering::Relaxed);
        if let Some(map) = found {
            let mut state = self.state();
            state.links.retain(|node, _| map.nodes.contains(node));
            state.map = map;
        }
    }
}

impl Nodes {
    async fn connect(&self, node: &Node) -> RedisResult<SingleConnection> {
        share(open_stream(&self.target, &self.trust, node).await?).await
    }
}

/// Creates nodes and replies for the tests of the submodules.
#[cfg(test)]
mod test_values {
    use redis::Value;

    use super::Node;

    pub(super) fn node(host: &str, port: u16) -> Node {
        Node::new((host.to_owned(), port))
    }

    pub(super) fn reply(text: &str) -> Value {
        redis::parse_redis_value(text.as_bytes()).unwrap()
    }
}

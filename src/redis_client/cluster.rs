//! Uses a cluster like a single connection: sends each request to the node that serves its key.
//!
//! No command is executed twice. A request is repeated only if it was not sent at all, or if all its replies
//! show that the node did not execute it (MOVED, ASK).

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, Shared};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use redis::aio::ConnectionLike;
use redis::{Arg, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value, cmd, pipe};

use super::connect::{SingleConnection, share};
use super::error_replies::ErrorReply;
use super::error_text;
use super::framing::Limits;
use super::probe::{ProbeConnection, ReadError, auth_command};
use super::stream::Stream;
use crate::deadline::Deadline;
use crate::ping::observation::{DialResult, SLOTS};
use crate::ping::rungs::{dns, tcp, tls};
use crate::redis_url::{Address, Target, Trust, host_and_port};

/// Time limit for connecting to a node and getting the slot map from it.
const CONNECT_WITHIN: Duration = Duration::from_millis(1900);
/// How long a request waits for the connection to a node. After that, it checks whether the slot has moved.
const WAIT_FOR_NODE: Duration = Duration::from_millis(400);
/// Time limit for a reply from a node. The request of a visitor has a slightly longer limit.
const REPLY_WITHIN: Duration = Duration::from_secs(1);
/// Time limit for a request, including all connection attempts and redirections.
const REQUEST_WITHIN: Duration = Duration::from_secs(2);
/// How long to wait for a newer slot map after a node has reported one in which the failed node still serves
/// the slot.
const NEWER_MAP_WITHIN: Duration = Duration::from_millis(200);
/// The maximum number of redirections for one request.
const MOST_REDIRECTIONS: usize = 5;
/// The maximum number of nodes that are asked for the slot map at the same time.
const MOST_ASKED: usize = 16;

/// All connections to a cluster.
#[derive(Clone)]
pub(super) struct Cluster(Arc<Nodes>);

struct Nodes {
    target: Target,
    trust: Trust,
    state: Mutex<State>,
    /// When the slot map was last requested. The mutex is locked while the map is being read.
    map_read: tokio::sync::Mutex<Instant>,
    /// Whether no node could report the slot map.
    is_lost: AtomicBool,
}

struct State {
    map: SlotMap,
    links: HashMap<Node, Link>,
}

/// The address of a node.
type Node = Arc<(String, u16)>;
/// The connection to a node, or an attempt to open it.
type Link = Shared<BoxFuture<'static, RedisResult<SingleConnection>>>;

/// Which node serves which slot.
struct SlotMap {
    /// The primary of each slot.
    primaries: Vec<Option<Node>>,
    /// All known nodes. The first is the one in the URL.
    nodes: Vec<Node>,
}

/// A command, or several commands for the same key.
#[derive(Clone)]
pub(super) enum Request {
    One(Cmd),
    /// The pipeline, the index of the first reply to return, and the number of replies to return.
    Several(Pipeline, usize, usize),
}

/// How a node refused a request without executing it.
enum Redirection {
    /// From now on, this node serves the slot.
    Moved(Node),
    /// The slot is being moved to this node, which already has the key.
    Ask(Node),
}

impl Cluster {
    /// Joins a cluster. `stream` is connected to one of its nodes and already logged in.
    pub(super) async fn join(target: &Target, trust: &Trust, stream: Stream) -> RedisResult<Self> {
        let Address::Tcp { host, port } = &target.address else {
            return Err(failed("a cluster cannot be used through a unix socket"));
        };
        let seed = Node::new((host.clone(), *port));
        let single = share(stream).await?;
        let map = SlotMap::ask(&single, &seed, &seed).await?;
        let link = async { Ok(single) }.boxed().shared();
        // A link counts as open when its result is available.
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

    /// Runs a request to its end, even if the caller stops waiting. Otherwise, a node that does not reply
    /// would never be noticed.
    pub(super) async fn run(&self, request: Request, slot: Option<u16>) -> RedisResult<Vec<Value>> {
        let cluster = self.clone();
        let slot = slot.or_else(|| request.slot());
        let task = tokio::spawn(async move { cluster.route(&request, slot.unwrap_or(0)).await });
        task.await
            .unwrap_or_else(|_| Err(failed("the program is shutting down")))
    }

    /// Whether no known node could be reached.
    pub(super) fn is_lost(&self) -> bool {
        self.0.is_lost.load(Ordering::Relaxed)
    }

    /// Tries again to reach the known nodes. Returns whether one of them has reported the slot map.
    pub(super) async fn recover(&self) -> bool {
        self.read_map(Instant::now(), None).await;
        !self.is_lost()
    }

    /// Returns the primaries. If some slots have no primary, the list also contains `None`.
    pub(super) fn primaries(&self) -> Vec<Option<String>> {
        let state = self.state();
        let mut primaries: Vec<_> = state
            .map
            .primaries
            .iter()
            .map(|node| node.as_ref().map(|node| name(node)))
            .collect();
        primaries.sort();
        primaries.dedup();
        primaries
    }

    /// Returns the primary that serves a key.
    pub(super) fn primary_of(&self, key: &[u8]) -> Option<String> {
        self.state()
            .map
            .primary(slot_of(key))
            .as_ref()
            .map(|node| name(node))
    }

    /// Whether there is a connection to the primary that serves a key.
    pub(super) fn is_connected(&self, key: &[u8]) -> bool {
        let state = self.state();
        let node = state.map.primary(slot_of(key));
        let link = node.and_then(|node| state.links.get(&node)?.peek());
        matches!(link, Some(Ok(single)) if !single.is_closed())
    }

    /// Runs a command on every primary.
    pub(super) async fn run_everywhere(&self, command: &Cmd) -> RedisResult<Vec<Value>> {
        let slots: HashMap<Node, u16> = {
            let state = self.state();
            let slots = state.map.primaries.iter().zip(0..);
            slots
                .filter_map(|(node, slot)| Some((node.clone()?, slot)))
                .collect()
        };
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
                    // Any node can tell whether the slot is served.
                    let state = self.state();
                    let node = state.map.primary(slot);
                    (node.unwrap_or_else(|| state.map.nodes[0].clone()), false)
                }
            };
            let mut single = match deadline.within(WAIT_FOR_NODE).bound(self.link(&node)).await {
                Ok(Ok(single)) => single,
                failure => {
                    // Nothing has been sent, so the request can be sent to another node.
                    let _ = deadline.bound(self.read_map(began, Some((slot, &node)))).await;
                    if self.state().map.primary(slot).is_some_and(|new| new != node) {
                        continue;
                    }
                    // The node may simply be far away.
                    match failure {
                        Ok(Err(error)) => return Err(error),
                        _ => deadline
                            .bound(self.link(&node))
                            .await
                            .unwrap_or_else(|_| Err(timed_out(&node)))?,
                    }
                }
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
                    if let Err(error) = &replies
                        && (error.is_io_error()
                            || error.is_connection_dropped()
                            || error.is_unrecoverable_error())
                    {
                        self.unlink(&node, &single);
                        self.read_map_later(began);
                    }
                    for reply in error_replies(&replies) {
                        if reply.starts_with("CLUSTERDOWN") {
                            self.read_map_later(began);
                        }
                        // For example, the password or the user's permissions have changed.
                        if ErrorReply::of(&reply).is_some_and(|known| known.reconnect) {
                            self.unlink(&node, &single);
                        }
                    }
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

    /// Returns the connection to a node, or opens one.
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
                    // The connection is opened in a separate task, because several requests may be waiting
                    // for it.
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

    /// Stops using a connection.
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

    /// Reads the slot map from the first node that reports it, unless another request has done this since
    /// `since`. If a node cannot be reached, a map in which this node still serves the slot is used only if
    /// no other node reports a newer map.
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
    /// Opens a connection to a node.
    async fn connect(&self, node: &Node) -> RedisResult<SingleConnection> {
        share(open_stream(&self.target, &self.trust, node).await?).await
    }
}

/// Opens a connection to a node or server, with the login and the database of the URL.
pub(crate) async fn open_stream(target: &Target, trust: &Trust, node: &(String, u16)) -> RedisResult<Stream> {
    let deadline = Deadline::after(CONNECT_WITHIN);
    let (host, port) = (&node.0, node.1);
    let addresses = dns::addresses(host, port, deadline).await;
    let (connected, dials) = tcp::observe(&addresses, deadline).await;
    let Some((mut stream, _)) = connected else {
        let kind = match dials.first().map(|dial| &dial.result) {
            Some(DialResult::Refused) => io::ErrorKind::ConnectionRefused,
            Some(DialResult::Timeout { .. }) => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::HostUnreachable,
        };
        return Err(io::Error::new(kind, format!("cannot connect to the node {}", name(node))).into());
    };
    if target.tls
        && let Stream::Tcp(plain) = stream
    {
        let (encrypted, handshake) = tls::observe(plain, host, trust, deadline).await;
        stream = encrypted
            .filter(|_| handshake.certificate_problem.is_none())
            .ok_or_else(|| failed("the TLS handshake with a node failed"))?;
    }
    let mut commands = Vec::new();
    if let Some(password) = &target.password {
        commands.push(auth_command(target.user.as_deref(), password));
    }
    if target.db > 0 {
        commands.push(cmd("SELECT").arg(target.db).clone());
    }
    let mut connection = ProbeConnection::new(stream);
    let replies = connection.ask(&commands, Limits::REPLY, deadline).await;
    for reply in replies.map_err(|error| unread(error, node))? {
        reply.extract_error()?;
    }
    Ok(connection.into_stream())
}

impl SlotMap {
    /// Asks a node for the slot map.
    async fn ask(single: &SingleConnection, node: &Node, seed: &Node) -> RedisResult<Self> {
        let reply = single
            .clone()
            .req_packed_command(cmd("CLUSTER").arg("SLOTS"))
            .await?;
        Self::parse(&reply.extract_error()?, &node.0, seed)
    }

    /// Parses a node's reply to CLUSTER SLOTS (<https://redis.io/docs/latest/commands/cluster-slots/>).
    /// `host` is the host name of that node.
    fn parse(reply: &Value, host: &str, seed: &Node) -> RedisResult<Self> {
        let invalid = || RedisError::from((ErrorKind::Parse, "the reply to CLUSTER SLOTS is invalid"));
        let Value::Array(ranges) = reply else {
            return Err(invalid());
        };
        let mut map = Self {
            primaries: vec![None; SLOTS.into()],
            nodes: vec![seed.clone()],
        };
        for range in ranges {
            let Value::Array(parts) = range else {
                return Err(invalid());
            };
            let [Value::Int(first), Value::Int(last), nodes @ ..] = parts.as_slice() else {
                return Err(invalid());
            };
            let nodes: Vec<Node> = nodes
                .iter()
                .filter_map(|node| map.announced(node, host))
                .collect();
            let slots = usize::try_from(*first).ok().zip(usize::try_from(*last).ok());
            let slots = slots.and_then(|(first, last)| map.primaries.get_mut(first..=last));
            slots.ok_or_else(invalid)?.fill(nodes.first().cloned());
        }
        Ok(map)
    }

    /// Parses the address of a node, and adds it to the known nodes. If the host is empty or unknown, it is
    /// the same as that of the node that was asked.
    fn announced(&mut self, node: &Value, asked: &str) -> Option<Node> {
        let Value::Array(parts) = node else {
            return None;
        };
        let host = match parts.first()? {
            Value::BulkString(host) => std::str::from_utf8(host).ok()?,
            Value::SimpleString(host) => host,
            _ => "",
        };
        let Some(Value::Int(port)) = parts.get(1) else {
            return None;
        };
        let host = if matches!(host, "" | "?") { asked } else { host };
        Some(self.known((host.to_owned(), u16::try_from(*port).ok()?)))
    }

    fn known(&mut self, address: (String, u16)) -> Node {
        if let Some(node) = self.nodes.iter().find(|node| ***node == address) {
            return node.clone();
        }
        let node = Node::new(address);
        self.nodes.push(node.clone());
        node
    }

    fn primary(&self, slot: u16) -> Option<Node> {
        self.primaries.get(usize::from(slot)).cloned().flatten()
    }

    fn set_primary(&mut self, slot: u16, node: &Node) {
        let node = self.known((node.0.clone(), node.1));
        if let Some(primary) = self.primaries.get_mut(usize::from(slot)) {
            *primary = Some(node);
        }
    }
}

impl Request {
    /// Returns the slot of the first argument. If a command's key is another argument, the node redirects the
    /// request.
    fn slot(&self) -> Option<u16> {
        let first = match self {
            Self::One(command) => Some(command),
            Self::Several(pipeline, ..) => pipeline.cmd_iter().next(),
        };
        match first?.args_iter().nth(1)? {
            Arg::Simple(key) => Some(slot_of(key)),
            _ => None,
        }
    }

    async fn send(&self, single: &mut SingleConnection, is_asking: bool) -> RedisResult<Vec<Value>> {
        match self {
            Self::One(command) if !is_asking => Ok(vec![single.req_packed_command(command).await?]),
            Self::Several(pipeline, first, count) if !is_asking => {
                single.req_packed_commands(pipeline, *first, *count).await
            }
            // ASKING applies to the next command, or to the transaction that this command begins. No other
            // request may be sent between them.
            Self::One(command) => {
                let mut asking = pipe();
                asking.cmd("ASKING").add_command(command.clone());
                single.req_packed_commands(&asking, 1, 1).await
            }
            Self::Several(pipeline, ..) if pipeline.is_transaction() => {
                let mut asking = pipe();
                asking.cmd("ASKING").cmd("MULTI");
                for command in pipeline.cmd_iter() {
                    asking.add_command(command.clone());
                }
                asking.cmd("EXEC");
                let skipped = pipeline.cmd_iter().count() + 2;
                single.req_packed_commands(&asking, skipped, 1).await
            }
            Self::Several(pipeline, ..) => {
                let mut asking = pipe();
                for command in pipeline.cmd_iter() {
                    asking.cmd("ASKING").add_command(command.clone());
                }
                let count = pipeline.cmd_iter().count();
                let replies = single.req_packed_commands(&asking, 0, 2 * count).await?;
                Ok(replies.into_iter().skip(1).step_by(2).collect())
            }
        }
    }
}

/// Returns the node to which a request is redirected, or `None` if any part of the request may have been
/// executed.
fn redirection(replies: &RedisResult<Vec<Value>>, asked: &Node) -> Option<Redirection> {
    let mut found = None;
    for reply in error_replies(replies) {
        let mut words = reply.split(' ');
        let (code, _slot, address) = (words.next()?, words.next(), words.next());
        // This is the reply to EXEC. The reply to an earlier command of the transaction contains the reason.
        if code == "EXECABORT" {
            continue;
        }
        let (host, port) = address?.rsplit_once(':')?;
        let host = if host.is_empty() { &asked.0 } else { host };
        let node = Node::new((host.to_owned(), port.parse().ok()?));
        found = Some(match code {
            "MOVED" => Redirection::Moved(node),
            "ASK" => Redirection::Ask(node),
            _ => return None,
        });
    }
    let is_executed = |reply: &Value| !matches!(reply, Value::ServerError(_));
    match replies {
        Ok(replies) if replies.iter().any(is_executed) => None,
        _ => found,
    }
}

/// Returns the texts of all error replies.
fn error_replies(replies: &RedisResult<Vec<Value>>) -> impl Iterator<Item = String> {
    let texts: Vec<String> = match replies {
        Ok(replies) => {
            let errors = replies.iter().filter_map(|reply| match reply {
                Value::ServerError(error) => Some(error_text(error)),
                _ => None,
            });
            errors.collect()
        }
        Err(error) => {
            let errors = error.clone().into_server_errors();
            let errors = errors.iter().flat_map(|errors| errors.iter());
            errors.map(|(_, error)| error_text(error)).collect()
        }
    };
    texts.into_iter()
}

/// Returns the slot of a key. If a part of the key is in braces, only that part counts
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>).
pub(super) fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let length = rest.iter().position(|byte| *byte == b'}')?;
        (length > 0).then(|| &rest[..length])
    });
    crc16::State::<crc16::XMODEM>::calculate(tag.unwrap_or(key)) % SLOTS
}

fn name(node: &(String, u16)) -> String {
    host_and_port(&node.0, node.1)
}

fn timed_out(node: &(String, u16)) -> RedisError {
    let text = format!("no reply from the node {}", name(node));
    io::Error::new(io::ErrorKind::TimedOut, text).into()
}

fn unread(error: ReadError, node: &(String, u16)) -> RedisError {
    match error {
        ReadError::TimedOut => timed_out(node),
        ReadError::Malformed(_) => (ErrorKind::Parse, "a node does not speak the Redis protocol").into(),
        ReadError::Closed => io::Error::from(io::ErrorKind::UnexpectedEof).into(),
        ReadError::Io(error) => error.into(),
    }
}

fn failed(text: &'static str) -> RedisError {
    (ErrorKind::Client, text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: &str, port: u16) -> Node {
        Node::new((host.to_owned(), port))
    }

    fn reply(text: &str) -> Value {
        redis::parse_redis_value(text.as_bytes()).unwrap()
    }

    #[test]
    fn keys_with_the_same_tag_are_in_the_same_slot() {
        // This example is from the specification.
        assert_eq!(slot_of(b"123456789"), 0x31c3 % SLOTS);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
        assert_ne!(slot_of(b"foo{}{bar}"), slot_of(b"bar"));
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
    }

    #[test]
    fn a_map_is_parsed_with_unknown_hosts_and_uncovered_slots() {
        let seed = node("seed", 7000);
        let text = "*2\r\n\
            *4\r\n:0\r\n:5\r\n*3\r\n$1\r\na\r\n:7001\r\n$2\r\nid\r\n*3\r\n$1\r\nb\r\n:7002\r\n$2\r\nid\r\n\
            *3\r\n:7\r\n:16383\r\n*3\r\n$0\r\n\r\n:7003\r\n$2\r\nid\r\n";
        let map = SlotMap::parse(&reply(text), "asked", &seed).unwrap();
        assert_eq!(map.primary(5), Some(node("a", 7001)));
        assert_eq!(map.primary(6), None);
        assert_eq!(map.primary(16383), Some(node("asked", 7003)));
        assert_eq!(
            map.nodes,
            [
                seed.clone(),
                node("a", 7001),
                node("b", 7002),
                node("asked", 7003)
            ]
        );
        for text in [
            "+OK\r\n",
            "*1\r\n:1\r\n",
            "*1\r\n*2\r\n:0\r\n:16384\r\n",
            "*1\r\n*2\r\n:-1\r\n:3\r\n",
            "*1\r\n*2\r\n:9\r\n:3\r\n",
        ] {
            assert!(SlotMap::parse(&reply(text), "asked", &seed).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_a_request_that_was_not_executed_is_redirected() {
        let asked = node("a", 1);
        let moved = reply("-MOVED 7 b:2\r\n");
        let is_redirected = |replies: Vec<Value>| redirection(&Ok(replies), &asked).is_some();
        assert!(is_redirected(vec![moved.clone()]));
        assert!(is_redirected(vec![moved.clone(), reply("-ASK 7 b:2\r\n")]));
        assert!(is_redirected(vec![reply("-MOVED 7 :2\r\n")]));
        for replies in [
            vec![],
            vec![Value::Int(1)],
            vec![Value::Int(1), moved.clone()],
            vec![moved.clone(), reply("-ERR other\r\n")],
            vec![reply("-CLUSTERDOWN Hash slot not served\r\n")],
            vec![reply("-MOVED 7\r\n")],
        ] {
            assert!(!is_redirected(replies.clone()), "{replies:?}");
        }
    }
}

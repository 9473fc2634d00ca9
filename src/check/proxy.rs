//! A recording proxy on loopback between the app and its Redis. It forwards one command at a time, and
//! records each command with its reply and with the keys that have no TTL afterwards. It can also delay
//! commands, leave them unanswered, or cut the connection.
//!
//! The proxy logs in to the real Redis, so the app uses an unencrypted connection without a password.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{Value, cmd};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::redis_command::{Effect, Key, SeenCommand};
use crate::deadline::{DEFAULT_TIMEOUT, Deadline};
use crate::ping::{self, ClimbOptions};
use crate::redis_client::connect::RedisConnection;
use crate::redis_client::{Stream, open_stream};
use crate::redis_url::{Address, Target, Trust};

mod connection;

/// If a command arrives later than this after the last response, the app sent it by itself, not for a
/// request.
const ATTRIBUTED_WITHIN: Duration = Duration::from_millis(300);

/// A running proxy. Dropping it closes all connections.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What the proxy does with commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Forward,
    /// Accepts commands, but neither forwards them nor replies.
    Silent,
    /// Closes every connection.
    Down,
}

/// Where the proxy delays a request until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldPoint {
    /// The commands of this round trip (counted from 0), and all later commands of the connection, are not
    /// sent to Redis yet.
    Before(usize),
    /// The replies of this round trip (counted from 0), and all later replies of the connection, are not sent
    /// to the app yet.
    Replies(usize),
}

/// A request that the proxy delays, or that it will delay as soon as the request arrives.
#[derive(Debug)]
struct Hold {
    point: HoldPoint,
    /// The round trips with data commands since this delay was requested, each as connection and number.
    round_trips: Vec<(u64, u64)>,
    /// The connection whose request is delayed, if the request has arrived.
    connection: Option<u64>,
    reached: Arc<Notify>,
}

struct State {
    mode: Mode,
    log: Vec<SeenCommand>,
    /// All keys that the app has used, and whether they existed before.
    keys: HashMap<Key, KeyOrigin>,
    hold: Option<Hold>,
    /// After how many more data commands the connection is cut.
    cut_after: Option<usize>,
    /// How long each reply is delayed.
    delay: Duration,
    connections: HashMap<u64, Handle>,
    opened: u64,
    in_flight: usize,
    /// When the app last completed a response.
    answered: Instant,
    /// Commands that the app sends by itself, not for a request.
    idle: HashSet<(String, Option<Key>)>,
    /// Why the proxy could not connect to Redis.
    unreachable: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyOrigin {
    ExistedBefore,
    OfThisRun,
}

/// An open connection of the app.
struct Handle {
    /// The number of commands that the proxy has not answered yet.
    pending: usize,
    cut: Arc<Notify>,
}

struct Shared {
    state: Mutex<State>,
    /// Incremented at each change that a waiting connection must notice.
    changed: watch::Sender<u64>,
    target: Arc<dyn Fn() -> Target + Send + Sync>,
    trust: Trust,
    /// A separate connection to Redis, for reading keys.
    inspector: RedisConnection,
    /// Open connections to Redis that are not in use yet.
    spare: Mutex<Vec<Stream>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    /// Waits until `ready` returns a value.
    async fn wait_for<T>(&self, mut ready: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(value) = ready(&mut self.state()) {
                return value;
            }
            // This cannot fail, because `self` owns the sender.
            let _ = changed.changed().await;
        }
    }

    /// Returns a connection to Redis that is already logged in.
    async fn open_upstream(&self) -> Result<Stream, String> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match spare {
            Some(stream) => Ok(stream),
            None => self.open().await,
        }
    }

    async fn open(&self) -> Result<Stream, String> {
        let target = (self.target)();
        if let (Address::Tcp { host, port }, None) = (&target.address, &target.sentinels)
            && let Ok(stream) = open_stream(&target, &self.trust, &(host.clone(), *port)).await
        {
            return Ok(stream);
        }
        // This takes longer, but it determines why the connection failed.
        let deadline = Deadline::after(DEFAULT_TIMEOUT);
        let climb = ping::climb(
            &target,
            &self.trust,
            &ClimbOptions::default(),
            deadline,
            &mut |_| {},
        )
        .await;
        match climb.connection {
            Some(connection) => Ok(connection.into_stream()),
            None => {
                let verdict = ping::judge(&target, &climb.observations);
                Err(verdict
                    .finding
                    .map_or_else(String::new, |finding| finding.summary))
            }
        }
    }

    /// Returns the TTLs of the keys in milliseconds: -1 if a key has no TTL, -2 if it does not exist.
    async fn ttls(&self, keys: &[Key]) -> Vec<i64> {
        let mut inspector = self.inspector.clone();
        let mut ttls = Vec::with_capacity(keys.len());
        for key in keys {
            let reply = inspector.reply(cmd("PTTL").arg(key)).await;
            ttls.push(match reply {
                Ok(Value::Int(left)) => left,
                _ => -2,
            });
        }
        ttls
    }

    /// For keys that the app uses for the first time, determines whether they already exist.
    async fn note_keys(&self, keys: &[Key]) {
        let new: Vec<Key> = {
            let state = self.state();
            keys.iter()
                .filter(|key| !state.keys.contains_key(*key))
                .cloned()
                .collect()
        };
        let ttls = self.ttls(&new).await;
        let mut state = self.state();
        for (key, ttl) in new.into_iter().zip(ttls) {
            let origin = if ttl == -2 {
                KeyOrigin::OfThisRun
            } else {
                KeyOrigin::ExistedBefore
            };
            state.keys.entry(key).or_insert(origin);
        }
    }

    /// Returns those of the keys that the app has created and that have no TTL.
    async fn without_ttl(&self, keys: &[Key]) -> Vec<Key> {
        let own: Vec<Key> = {
            let state = self.state();
            let is_own = |key: &&Key| state.keys.get(*key) == Some(&KeyOrigin::OfThisRun);
            let mut own: Vec<Key> = keys.iter().filter(is_own).cloned().collect();
            own.sort();
            own.dedup();
            own
        };
        let ttls = self.ttls(&own).await;
        own.into_iter()
            .zip(ttls)
            .filter(|(_, ttl)| *ttl == -1)
            .map(|(key, _)| key)
            .collect()
    }
}

impl Proxy {
    /// Starts the proxy on the given port, or on any free port.
    ///
    /// # Errors
    ///
    /// Returns the system's error if the port cannot be opened.
    pub(crate) async fn start(
        port: Option<u16>,
        inspector: RedisConnection,
        target: Arc<dyn Fn() -> Target + Send + Sync>,
        trust: Trust,
    ) -> io::Result<Self> {
        let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = match port {
            Some(port) => match bind(port).await {
                Ok(listener) => listener,
                Err(_) => bind(0).await?,
            },
            None => bind(0).await?,
        };
        let address = listener.local_addr()?;
        let state = State {
            mode: Mode::Forward,
            log: Vec::new(),
            keys: HashMap::new(),
            hold: None,
            cut_after: None,
            delay: Duration::ZERO,
            connections: HashMap::new(),
            opened: 0,
            in_flight: 0,
            answered: Instant::now(),
            idle: HashSet::new(),
            unreachable: None,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            target,
            trust,
            inspector,
            spare: Mutex::default(),
        });
        let accepting = tokio::spawn(connection::accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// Returns the URL to pass to the app.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Returns the current end of the record, to pass to [`Self::since`].
    pub(crate) fn mark(&self) -> usize {
        self.shared.state().log.len()
    }

    /// Returns the commands since the mark, without those that the app sends by itself.
    pub(crate) fn since(&self, mark: usize) -> Vec<SeenCommand> {
        let state = self.shared.state();
        let commands = state.log[mark..].iter();
        // MULTI and EXEC are treated like the commands between them.
        let idle: HashSet<(u64, u64)> = commands
            .clone()
            .filter(|command| state.is_idle(command))
            .map(|command| (command.connection, command.round_trip))
            .collect();
        commands
            .filter(|command| match command.effect {
                Effect::Transaction => !idle.contains(&(command.connection, command.round_trip)),
                _ => !state.is_idle(command),
            })
            .cloned()
            .collect()
    }

    /// The number of connections that the app has opened.
    pub(crate) fn connections_opened(&self) -> u64 {
        self.shared.state().opened
    }

    /// Why the proxy could not connect to Redis for the app, or `None` if it could.
    pub(crate) fn unreachable(&self) -> Option<String> {
        self.shared.state().unreachable.clone()
    }

    /// Records that a visitor's request begins.
    pub(crate) fn request_begins(&self) {
        self.shared.state().in_flight += 1;
    }

    /// Records that a visitor's request has been answered.
    pub(crate) fn request_ends(&self) {
        let mut state = self.shared.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.answered = Instant::now();
    }

    /// Returns the keys that the app has created and that still exist, with their TTLs in milliseconds (-1:
    /// no TTL).
    pub(crate) async fn living_keys(&self) -> HashMap<Key, i64> {
        let own: Vec<Key> = {
            let state = self.shared.state();
            let own = state
                .keys
                .iter()
                .filter(|(_, origin)| **origin == KeyOrigin::OfThisRun);
            own.map(|(key, _)| key.clone()).collect()
        };
        let ttls = self.shared.ttls(&own).await;
        own.into_iter().zip(ttls).filter(|(_, ttl)| *ttl != -2).collect()
    }

    /// Returns the TTLs of the keys in milliseconds: -1 if a key has no TTL, -2 if it does not exist.
    pub(crate) async fn ttls(&self, keys: &[Key]) -> Vec<i64> {
        self.shared.ttls(keys).await
    }

    /// Sets a longer TTL on the keys, so that they outlive a restart of the app.
    pub(crate) async fn prolong(&self, keys: &[Key], ttl: Duration) {
        let mut inspector = self.shared.inspector.clone();
        for (key, left) in keys.iter().zip(self.shared.ttls(keys).await) {
            if left >= 0 {
                let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
                let _ = inspector.reply(cmd("PEXPIRE").arg(key).arg(millis)).await;
            }
        }
    }

    /// Deletes the keys.
    pub(crate) async fn delete(&self, keys: &[Key]) {
        let mut inspector = self.shared.inspector.clone();
        for key in keys {
            let _ = inspector.reply(cmd("DEL").arg(key)).await;
        }
    }

    /// Delays the next request at this point until it is released.
    pub(crate) fn hold(&self, point: HoldPoint) {
        self.shared.state().hold = Some(Hold {
            point,
            round_trips: Vec::new(),
            connection: None,
            reached: Arc::default(),
        });
    }

    /// Waits until a request has reached the point at which it is delayed.
    pub(crate) async fn held(&self) {
        let reached = self
            .shared
            .state()
            .hold
            .as_ref()
            .map(|hold| Arc::clone(&hold.reached));
        if let Some(reached) = reached {
            reached.notified().await;
        }
    }

    /// Whether further commands are waiting on the same connection behind the delayed request.
    pub(crate) fn others_wait_behind_the_hold(&self, mark: usize) -> bool {
        let state = self.shared.state();
        let held = state.hold.as_ref().and_then(|hold| hold.connection);
        let Some(connection) = held else { return false };
        let on_it = state.log[mark..]
            .iter()
            .filter(|command| command.connection == connection);
        on_it.filter(|command| command.reply.is_none()).count() > 0
    }

    /// Releases the delayed request.
    pub(crate) fn release(&self) {
        self.shared.state().hold = None;
        self.shared.notify();
    }

    /// Opens connections to Redis in advance, so that the app does not have to wait when it opens many at
    /// once.
    pub(crate) async fn prepare(&self, connections: usize) {
        for _ in 0..connections {
            let Ok(stream) = self.shared.open().await else {
                return;
            };
            self.shared
                .spare
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(stream);
        }
    }

    /// Delays every reply.
    pub(crate) fn delay(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// Cuts the app's connection after this many further data commands. Their replies may be lost.
    pub(crate) fn cut_after(&self, commands: usize) {
        self.shared.state().cut_after = Some(commands);
    }

    /// Cancels [`Self::cut_after`]. Returns whether a connection has been cut.
    pub(crate) fn was_cut(&self) -> bool {
        self.shared.state().cut_after.take().is_none()
    }

    /// Whether commands reach Redis.
    pub(crate) fn is_forwarding(&self) -> bool {
        self.shared.state().mode == Mode::Forward
    }

    /// Stops replying.
    pub(crate) fn be_silent(&self) {
        self.shared.state().mode = Mode::Silent;
    }

    /// Closes all connections, and from now on every new one.
    pub(crate) fn go_down(&self) {
        let mut state = self.shared.state();
        state.mode = Mode::Down;
        state
            .connections
            .values()
            .for_each(|connection| connection.cut.notify_one());
    }

    /// Starts replying again. Connections with unanswered commands are closed, as after a restart of Redis.
    pub(crate) fn come_back(&self) {
        let mut state = self.shared.state();
        state.mode = Mode::Forward;
        for connection in state
            .connections
            .values()
            .filter(|connection| connection.pending > 0)
        {
            connection.cut.notify_one();
        }
        drop(state);
        self.shared.notify();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        let state = self.shared.state();
        state
            .connections
            .values()
            .for_each(|connection| connection.cut.notify_one());
    }
}

fn signature(command: &SeenCommand) -> (String, Option<Key>) {
    (command.name(), command.keys.first().cloned())
}

impl State {
    /// Whether the app sends this command by itself, not for a request.
    fn is_idle(&self, command: &SeenCommand) -> bool {
        command.uses_data() && self.idle.contains(&signature(command))
    }

    /// Records a command, and returns its index.
    fn record(&mut self, command: SeenCommand) -> usize {
        if self.in_flight == 0 && self.answered.elapsed() > ATTRIBUTED_WITHIN {
            self.idle.insert(signature(&command));
        }
        self.log.push(command);
        self.log.len() - 1
    }

    /// Whether this command must not reach Redis yet.
    fn holds_before(&mut self, index: usize) -> bool {
        self.holds(index, |point| match point {
            HoldPoint::Before(number) => Some(number),
            HoldPoint::Replies(_) => None,
        })
    }

    /// Whether the reply to this command must not reach the app yet.
    fn holds_reply(&mut self, index: usize) -> bool {
        self.holds(index, |point| match point {
            HoldPoint::Before(_) => None,
            HoldPoint::Replies(number) => Some(number),
        })
    }

    fn holds(&mut self, index: usize, number: impl Fn(HoldPoint) -> Option<usize>) -> bool {
        let command = &self.log[index];
        let is_of_request = command.uses_data() && !self.is_idle(command);
        let Some(hold) = &mut self.hold else { return false };
        let Some(number) = number(hold.point) else {
            return false;
        };
        if hold.connection.is_none() && is_of_request && hold.number_of(command) == number {
            hold.connection = Some(command.connection);
            hold.reached.notify_one();
        }
        hold.connection == Some(command.connection)
    }

    /// Counts the command for [`Proxy::cut_after`]. Returns whether the connection must be cut now.
    fn cuts_after(&mut self, index: usize) -> bool {
        let command = &self.log[index];
        if !command.has_effect() || self.is_idle(command) {
            return false;
        }
        match &mut self.cut_after {
            Some(1) => {
                self.cut_after = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }
}

impl Hold {
    /// Returns the number of the command's round trip, counted from when the delay was requested.
    fn number_of(&mut self, command: &SeenCommand) -> usize {
        let round_trip = (command.connection, command.round_trip);
        match self.round_trips.iter().position(|known| *known == round_trip) {
            Some(number) => number,
            None => {
                self.round_trips.push(round_trip);
                self.round_trips.len() - 1
            }
        }
    }
}

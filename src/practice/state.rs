//! Stores the state that all connections of a practice server share.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::client::{ConnectedClient, ConnectionState, Kept};
use super::command_info::CommandInfo;
use super::reply::Reply;
use super::simulated_fault::SimulatedFault;
use super::store::{Store, wall_clock};
use crate::redis_client::quoted;
use crate::secret::Secret;

const MEGABYTE: usize = 1024 * 1024;
/// The approximate maximum number of bytes of a command that MONITOR shows.
const LONGEST_SHOWN: usize = 256 * 1024;

/// The limits of a practice server.
///
/// With the default limits, the process uses less than 200 MB of memory.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// The maximum number of connections that have logged in.
    pub clients: usize,
    /// The maximum number of connections that have not logged in. Above this number, a new connection
    /// replaces the oldest of them or must log in quickly.
    pub strangers: usize,
    /// The maximum size of the data set, in bytes. Above this size, commands that need memory fail with
    /// Redis's OOM error.
    pub data: usize,
    /// The maximum size of a request or a string, in bytes.
    pub request: usize,
    /// The maximum memory that a reply may use before it is encoded, in bytes.
    pub reply: usize,
    /// How long one request may run. All other clients have to wait while it runs.
    pub run_time: Duration,
    /// The maximum memory that the server uses for one client, in bytes. This includes unread replies,
    /// incomplete requests, transactions and subscriptions.
    pub client_memory: usize,
    /// Like [`Self::client_memory`], but for a client that has not logged in.
    pub stranger_memory: usize,
    /// Like [`Self::client_memory`], but for all clients together. Above this limit, the server disconnects the
    /// client that is closest to its own limit.
    pub clients_memory: usize,
    /// How long the rest of an incomplete request may take to arrive, and how long a client may leave its
    /// replies unread.
    pub patience: Duration,
    /// How long a client may take to log in.
    pub login: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            clients: 1024,
            strangers: 256,
            data: 64 * MEGABYTE,
            request: 16 * MEGABYTE,
            reply: 20 * MEGABYTE,
            run_time: Duration::from_secs(1),
            client_memory: 32 * MEGABYTE,
            stranger_memory: 80 * 1024,
            clients_memory: 96 * MEGABYTE,
            patience: Duration::from_secs(60),
            login: Duration::from_secs(10),
        }
    }
}

impl ServerLimits {
    /// Returns limits that allow the server to load a data file of any size.
    pub(super) fn unlimited() -> Self {
        Self {
            data: usize::MAX,
            request: usize::MAX,
            reply: usize::MAX,
            client_memory: usize::MAX,
            clients_memory: usize::MAX,
            ..Self::default()
        }
    }
}

/// The data set, the connections, the subscriptions and the configuration of a practice server.
#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) store: Store,
    pub(super) clients: BTreeMap<u64, Rc<ConnectedClient>>,
    /// The clients that are not logged in, sorted by the time at which they connected or logged out.
    pub(super) strangers: BTreeSet<(Instant, u64)>,
    /// The IDs of the clients that use MONITOR.
    pub(super) monitors: BTreeSet<u64>,
    /// The channels, each with the IDs of its subscribers.
    pub(super) channels: BTreeMap<Vec<u8>, BTreeSet<u64>>,
    pub(super) password: Option<Secret>,
    pub(super) limits: ServerLimits,
    pub(super) fault: SimulatedFault,
    pub(super) run_id: String,
    pub(super) port: u16,
    pub(super) since: Instant,
    pub(super) statistics: Statistics,
    /// The memory that the server uses for all clients together, in bytes.
    pub(super) kept: Rc<Cell<usize>>,
    pub(super) last_client_id: u64,
}

/// The counters that INFO reports.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Statistics {
    pub(super) connections: u64,
    pub(super) rejected: u64,
    pub(super) commands: u64,
    pub(super) hits: u64,
    pub(super) misses: u64,
}

/// The state that all tasks of the server share. All tasks run in one thread, and a task must not hold a
/// borrow across an await.
pub(super) type SharedState = Rc<RefCell<ServerState>>;

impl ServerState {
    pub(super) fn remove_client(&mut self, client: &ConnectedClient) {
        self.clients.remove(&client.id);
        self.monitors.remove(&client.id);
        if let Some(since) = client.stranger_since.get() {
            self.strangers.remove(&(since, client.id));
        }
        self.unwatch(client);
        self.unsubscribe_all(client);
    }

    /// Records whether a client is logged in. If it is not logged in, its time to log in starts now.
    pub(super) fn set_logged_in(&mut self, client: &ConnectedClient, is_logged_in: bool) {
        let since = (!is_logged_in).then(Instant::now);
        if let Some(before) = client.stranger_since.replace(since) {
            self.strangers.remove(&(before, client.id));
        }
        self.strangers.extend(since.map(|since| (since, client.id)));
    }

    /// Disconnects clients until all clients together are within the memory limit. Starts with the client
    /// that uses the largest share of its own limit.
    pub(super) fn enforce_memory_limit(&self) {
        while self.kept.get() > self.limits.clients_memory {
            let open = self
                .clients
                .values()
                .filter(|client| client.state.get() != ConnectionState::Dead);
            let Some(largest) = open.max_by_key(|client| client.used_share()) else {
                return;
            };
            largest.end(ConnectionState::Dead);
        }
    }

    pub(super) fn unwatch(&mut self, client: &ConnectedClient) {
        for key in std::mem::take(&mut *client.watched.borrow_mut()) {
            self.store.unwatch(&key, &client.watched_key_changed);
        }
        client.keeps(Kept::WatchedKeys, 0);
        client.watched_key_changed.set(false);
    }

    pub(super) fn unsubscribe_all(&mut self, client: &ConnectedClient) {
        let channels = std::mem::take(&mut *client.channels.borrow_mut());
        client.keeps(Kept::Channels, 0);
        for channel in &channels {
            self.unsubscribe(client.id, channel);
        }
    }

    pub(super) fn unsubscribe(&mut self, id: u64, channel: &[u8]) {
        if let Some(subscribers) = self.channels.get_mut(channel) {
            subscribers.remove(&id);
            if subscribers.is_empty() {
                self.channels.remove(channel);
            }
        }
    }

    /// Sends a message to the subscribers of a channel. Returns the number of subscribers.
    pub(super) fn publish(&self, channel: &[u8], message: &[u8]) -> usize {
        let Some(subscribers) = self.channels.get(channel) else {
            return 0;
        };
        let push = Reply::Push(vec![
            Reply::text("message"),
            Reply::text(channel),
            Reply::text(message),
        ]);
        for client in subscribers.iter().filter_map(|id| self.clients.get(id)) {
            client.send_from_outside(&push);
            self.enforce_memory_limit();
        }
        subscribers.len()
    }

    /// Shows a command to the clients that use MONITOR.
    pub(super) fn show_to_monitors(
        &self,
        client: &ConnectedClient,
        command: &CommandInfo,
        words: &[Vec<u8>],
    ) {
        if self.monitors.is_empty() || command.has_flag("admin") {
            return;
        }
        let line = Reply::Status(monitor_line(client, words).into());
        let monitors = self.monitors.iter().filter_map(|id| self.clients.get(id));
        for monitor in monitors.filter(|monitor| monitor.state.get() == ConnectionState::Open) {
            monitor.send_from_outside(&line);
            self.enforce_memory_limit();
        }
    }
}

/// Formats a command as MONITOR does: `1700000000.123456 [0 127.0.0.1:4242] "get" "k"`. Hides the arguments
/// of AUTH and HELLO, because they can contain a password.
fn monitor_line(client: &ConnectedClient, words: &[Vec<u8>]) -> String {
    let now = wall_clock();
    let (seconds, micros) = (now / 1000, now % 1000 * 1000);
    let mut line = format!("{seconds}.{micros:06} [{} {}]", client.db.get(), client.peer);
    let is_secret = words
        .first()
        .is_some_and(|name| name.eq_ignore_ascii_case(b"auth") || name.eq_ignore_ascii_case(b"hello"));
    for (index, word) in words.iter().enumerate() {
        let word = if is_secret && index > 0 {
            b"(redacted)"
        } else {
            word.as_slice()
        };
        line.push(' ');
        line.push_str(&quoted(&word[..word.len().min(LONGEST_SHOWN)]));
        if line.len() > LONGEST_SHOWN {
            line.push_str(" ...");
            break;
        }
    }
    line
}

//! The state that all connections of one practice server share.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::client::{ConnectedClient, ConnectionState};
use super::reply::Reply;
use super::simulated_fault::SimulatedFault;
use super::store::{Store, wall_clock};
use crate::redis_client::quoted;
use crate::secret::Secret;

const MEGABYTE: usize = 1024 * 1024;

/// The limits of a practice server.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// The most connections at a time.
    pub clients: usize,
    /// The maximum size of the data set in bytes. If it is exceeded, writes get Redis's OOM error.
    pub data: usize,
    /// Bytes of one request, and of the queue of one transaction.
    pub request: usize,
    /// Bytes of replies that one client may leave unread.
    pub output_each: usize,
    /// Bytes of replies that all clients together may leave unread.
    pub output: usize,
    /// How long a request may take to arrive after its first byte.
    pub patience: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            clients: 256,
            data: 64 * MEGABYTE,
            request: 16 * MEGABYTE,
            output_each: 64 * MEGABYTE,
            output: 128 * MEGABYTE,
            patience: Duration::from_secs(60),
        }
    }
}

/// Data set, connections, subscriptions and configuration.
#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) store: Store,
    pub(super) clients: BTreeMap<u64, Rc<ConnectedClient>>,
    /// Channels, and the ids of their subscribers.
    pub(super) channels: BTreeMap<Vec<u8>, BTreeSet<u64>>,
    pub(super) password: Option<Secret>,
    pub(super) limits: ServerLimits,
    pub(super) fault: SimulatedFault,
    pub(super) run_id: String,
    pub(super) port: u16,
    pub(super) since: Instant,
    pub(super) statistics: Statistics,
    /// Bytes of replies to all clients that have not been sent yet.
    pub(super) unsent: Rc<Cell<usize>>,
    pub(super) last_client_id: u64,
}

/// The counters in INFO.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Statistics {
    pub(super) connections: u64,
    pub(super) rejected: u64,
    pub(super) commands: u64,
    pub(super) hits: u64,
    pub(super) misses: u64,
}

/// The state, shared by the tasks of one thread. It must not be borrowed across an await.
pub(super) type SharedState = Rc<RefCell<ServerState>>;

impl ServerState {
    /// Removes a connection that has ended.
    pub(super) fn remove_client(&mut self, client: &ConnectedClient) {
        self.clients.remove(&client.id);
        self.unwatch(client);
        self.unsubscribe_all(client);
    }

    pub(super) fn unwatch(&mut self, client: &ConnectedClient) {
        if client.is_watching.replace(false) {
            self.store.unwatch(&client.watched_key_changed);
        }
        client.watched_key_changed.set(false);
    }

    pub(super) fn unsubscribe_all(&mut self, client: &ConnectedClient) {
        let channels = std::mem::take(&mut *client.channels.borrow_mut());
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

    /// Sends a message to the subscribers of a channel and returns their number.
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
            client.send(&push);
        }
        subscribers.len()
    }

    /// Shows a command to the clients that use MONITOR.
    pub(super) fn show_to_monitors(&self, client: &ConnectedClient, words: &[Vec<u8>]) {
        let is_monitor = |client: &&Rc<ConnectedClient>| {
            client.is_monitor.get() && client.state.get() == ConnectionState::Open
        };
        let mut monitors = self.clients.values().filter(is_monitor).peekable();
        if monitors.peek().is_some() {
            let line = Reply::Status(monitor_line(client, words).into());
            monitors.for_each(|monitor| monitor.send(&line));
        }
    }
}

/// Formats a command as MONITOR does: `1700000000.123456 [0 127.0.0.1:4242] "get" "k"`. Passwords are omitted.
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
        line.push_str(&quoted(word));
    }
    line
}

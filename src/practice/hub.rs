//! Everything that the connections of one server share.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Instant;

use super::client::{Client, Course, Output};
use super::manner::Manner;
use super::reply::Reply;
use super::server::Limits;
use super::store::{Store, wall_clock};
use crate::secret::Secret;

/// The data set, the connections, and who listens to what.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) store: Store,
    pub(super) clients: BTreeMap<u64, Rc<Client>>,
    pub(super) channels: BTreeMap<Vec<u8>, BTreeSet<u64>>,
    pub(super) password: Option<Secret>,
    pub(super) limits: Limits,
    pub(super) manner: Manner,
    pub(super) run_id: String,
    pub(super) port: u16,
    pub(super) since: Instant,
    pub(super) counts: Counts,
    pub(super) output: Rc<Output>,
    next_id: u64,
}

/// What INFO tells of the past.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) connections: u64,
    pub(super) rejected: u64,
    pub(super) commands: u64,
    pub(super) hits: u64,
    pub(super) misses: u64,
}

/// The hub as the tasks of one thread share it; never borrowed across an await.
pub(super) type Shared = Rc<RefCell<Hub>>;

impl Hub {
    pub(super) fn new(
        store: Store,
        password: Option<Secret>,
        limits: Limits,
        run_id: String,
        port: u16,
    ) -> Self {
        Self {
            store,
            clients: BTreeMap::new(),
            channels: BTreeMap::new(),
            password,
            limits,
            manner: Manner::Healthy,
            run_id,
            port,
            since: Instant::now(),
            counts: Counts::default(),
            output: Output::new(limits.output, limits.output_each),
            next_id: 1,
        }
    }

    /// The number of the next connection.
    pub(super) fn next_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Forgets a connection that has ended.
    pub(super) fn leave(&mut self, client: &Client) {
        self.clients.remove(&client.id);
        self.unwatch(client);
        let channels = std::mem::take(&mut *client.channels.borrow_mut());
        for channel in &channels {
            self.silence(client.id, channel);
        }
    }

    /// Ends a connection's watching.
    pub(super) fn unwatch(&mut self, client: &Client) {
        if client.is_watching.replace(false) {
            self.store.unwatch(&client.is_disturbed);
        }
        client.is_disturbed.set(false);
    }

    /// Ends a connection's subscription to one channel.
    pub(super) fn silence(&mut self, id: u64, channel: &[u8]) {
        if let Some(listeners) = self.channels.get_mut(channel) {
            listeners.remove(&id);
            if listeners.is_empty() {
                self.channels.remove(channel);
            }
        }
    }

    /// Sends a message to all who listen to a channel; how many they are.
    pub(super) fn publish(&self, channel: &[u8], message: &[u8]) -> usize {
        let Some(listeners) = self.channels.get(channel) else {
            return 0;
        };
        let push = Reply::Push(vec![
            Reply::text("message"),
            Reply::text(channel),
            Reply::text(message),
        ]);
        for client in listeners.iter().filter_map(|id| self.clients.get(id)) {
            client.send(&push);
        }
        listeners.len()
    }

    /// Shows a command to all who MONITOR.
    pub(super) fn show(&self, client: &Client, words: &[Vec<u8>]) {
        if !self.clients.values().any(|client| client.is_monitor.get()) {
            return;
        }
        let line = super::commands::monitor_line(wall_clock(), client, words);
        for monitor in self.clients.values().filter(|client| client.is_monitor.get()) {
            if monitor.course.get() == Course::Open {
                monitor.send(&Reply::Status(line.clone()));
            }
        }
    }
}

//! The state of one client connection, and its replies that have not been sent yet.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Notify;

use super::commands::command_table::CommandInfo;
use super::reply::{Protocol, Reply};
use super::request::Words;
use super::state::{ServerLimits, ServerState};
use super::store::ChangeFlag;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionState {
    Open,
    /// The connection closes when all replies have been sent (QUIT, a protocol error).
    Closing,
    /// The connection closes at once (CLIENT KILL, or a client that does not read its replies).
    Dead,
}

/// The commands between MULTI and EXEC.
#[derive(Debug, Default)]
pub(super) struct QueuedTransaction {
    pub(super) queued: Vec<(&'static CommandInfo, Words)>,
    /// A command could not be queued, so EXEC will fail.
    pub(super) has_error: bool,
    /// Approximate memory use of the queue.
    pub(super) bytes: usize,
}

/// How long WAIT blocks a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    Until(Instant),
    Forever,
}

/// One connection. A server runs in a single thread, so cells are enough.
#[derive(Debug)]
pub(super) struct ConnectedClient {
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) since: Instant,
    pub(super) last_seen: Cell<Instant>,
    pub(super) last_command: Cell<&'static str>,
    pub(super) state: Cell<ConnectionState>,
    pub(super) is_authenticated: Cell<bool>,
    pub(super) protocol: Cell<Protocol>,
    pub(super) db: Cell<usize>,
    pub(super) name: RefCell<Vec<u8>>,
    /// Name and version of the client library.
    pub(super) library: RefCell<[Vec<u8>; 2]>,
    pub(super) is_monitor: Cell<bool>,
    pub(super) channels: RefCell<BTreeSet<Vec<u8>>>,
    pub(super) transaction: RefCell<Option<QueuedTransaction>>,
    pub(super) watched_key_changed: ChangeFlag,
    pub(super) is_watching: Cell<bool>,
    pub(super) pause: Cell<Option<Pause>>,
    pub(super) limits: ServerLimits,
    output: RefCell<Vec<u8>>,
    /// Bytes of replies that have not been written to the socket yet.
    unsent: Cell<usize>,
    unsent_by_all: Rc<Cell<usize>>,
    /// Wakes the connection's task when there is something to send or `state` has changed.
    pub(super) wake: Notify,
}

impl ConnectedClient {
    /// Adds a connection to the server's state.
    pub(super) fn enter(server: &mut ServerState, peer: SocketAddr, local: SocketAddr) -> Rc<Self> {
        let now = Instant::now();
        server.last_client_id += 1;
        let client = Rc::new(Self {
            id: server.last_client_id,
            peer,
            local,
            since: now,
            last_seen: Cell::new(now),
            last_command: Cell::new("NULL"),
            state: Cell::new(ConnectionState::Open),
            is_authenticated: Cell::new(server.password.is_none()),
            protocol: Cell::new(Protocol::Resp2),
            db: Cell::new(0),
            name: RefCell::default(),
            library: RefCell::default(),
            is_monitor: Cell::new(false),
            channels: RefCell::default(),
            transaction: RefCell::default(),
            watched_key_changed: Rc::default(),
            is_watching: Cell::new(false),
            pause: Cell::new(None),
            limits: server.limits,
            output: RefCell::default(),
            unsent: Cell::new(0),
            unsent_by_all: Rc::clone(&server.unsent),
            wake: Notify::new(),
        });
        server.clients.insert(client.id, Rc::clone(&client));
        client
    }

    /// Queues a reply. As in Redis, a client with too many unread replies is disconnected.
    pub(super) fn send(&self, reply: &Reply) {
        if self.state.get() == ConnectionState::Dead {
            return;
        }
        let mut output = self.output.borrow_mut();
        let before = output.len();
        reply.encode(self.protocol.get(), &mut output);
        let added = output.len() - before;
        self.unsent.set(self.unsent.get() + added);
        self.unsent_by_all.set(self.unsent_by_all.get() + added);
        self.wake.notify_one();
        if self.unsent.get() > self.limits.output_each || self.unsent_by_all.get() > self.limits.output {
            self.end(ConnectionState::Dead);
        }
    }

    /// Closes the connection, at once or when everything has been sent.
    pub(super) fn end(&self, state: ConnectionState) {
        if self.state.get() != ConnectionState::Dead {
            self.state.set(state);
        }
        self.wake.notify_one();
    }

    /// Whether the client has subscribed to a channel. In RESP2, such a client can run only a few commands.
    pub(super) fn is_subscriber(&self) -> bool {
        !self.channels.borrow().is_empty()
    }

    /// Returns the number of reply bytes that have not been sent.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.get()
    }

    /// Removes and returns the queued replies, in order to send them.
    pub(super) fn take_output(&self) -> Vec<u8> {
        std::mem::take(&mut self.output.borrow_mut())
    }

    /// Subtracts bytes that have been written to the socket.
    pub(super) fn note_sent(&self, count: usize) {
        self.unsent.set(self.unsent.get().saturating_sub(count));
        let all = self.unsent_by_all.get();
        self.unsent_by_all.set(all.saturating_sub(count));
    }
}

impl Drop for ConnectedClient {
    fn drop(&mut self) {
        self.note_sent(self.unsent.get());
    }
}

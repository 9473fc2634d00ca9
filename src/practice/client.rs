//! Stores the state of one client connection, its unsent replies, and how much memory it uses.

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::command::CommandError;
use super::command_info::CommandInfo;
use super::reply::{Protocol, Reply};
use super::request::KEPT_BUFFER;
use super::state::{ServerLimits, ServerState};
use super::store::{ChangeFlag, WatchedKey};
use super::words::Words;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionState {
    Open,
    /// The connection is closed after all replies have been sent, for example after QUIT.
    Closing,
    /// The connection is closed immediately, for example because the client exceeded a memory limit.
    Dead,
}

/// The commands after MULTI that EXEC will run.
#[derive(Debug, Default)]
pub(super) struct QueuedTransaction {
    pub(super) queued: Vec<(&'static CommandInfo, Words)>,
    /// Whether a command was rejected, so that EXEC fails.
    pub(super) has_error: bool,
}

/// The kinds of data that the server keeps in memory for a client.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    Replies,
    Request,
    Transaction,
    WatchedKeys,
    Channels,
    /// The names of the client and of its library.
    Names,
}

/// The memory that the server uses for a client, in bytes.
#[derive(Debug)]
struct Account {
    parts: [Cell<usize>; 6],
    own: Cell<usize>,
    all_clients: Rc<Cell<usize>>,
}

impl Account {
    fn new(all_clients: &Rc<Cell<usize>>) -> Self {
        Self {
            parts: Default::default(),
            own: Cell::new(0),
            all_clients: Rc::clone(all_clients),
        }
    }

    fn part(&self, kept: Kept) -> usize {
        self.parts[kept as usize].get()
    }

    fn clear(&self) {
        self.parts.iter().for_each(|part| part.set(0));
        self.all_clients
            .set(self.all_clients.get().saturating_sub(self.own.take()));
    }

    fn set(&self, kept: Kept, bytes: usize) {
        let before = self.parts[kept as usize].replace(bytes);
        for total in [&self.own, &*self.all_clients] {
            total.set((total.get() + bytes).saturating_sub(before));
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The output buffer of a client. It belongs to the client rather than to the connection's task, so that
/// [`ConnectedClient::end`] can free the buffer immediately.
#[derive(Debug, Default)]
struct Output {
    bytes: Vec<u8>,
    /// How many of `bytes` have been sent.
    sent: usize,
}

/// The maximum number of bytes to reserve in a client's output buffer before a reply is written to it.
const EXACT_RESERVE: usize = 64 * 1024;

/// How long the command WAIT blocks a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    Until(Instant),
    Forever,
}

/// A client connection. The server runs in a single thread, so the fields need no locks.
#[derive(Debug)]
pub(super) struct ConnectedClient {
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) since: Instant,
    pub(super) last_seen: Cell<Instant>,
    pub(super) last_command: Cell<&'static str>,
    pub(super) state: Cell<ConnectionState>,
    /// When the client connected or last logged out. `None` if the client is logged in.
    pub(super) stranger_since: Cell<Option<Instant>>,
    pub(super) time_to_log_in: Cell<Duration>,
    pub(super) protocol: Cell<Protocol>,
    pub(super) db: Cell<usize>,
    pub(super) name: RefCell<Vec<u8>>,
    /// The name and version of the client library.
    pub(super) library: RefCell<[Vec<u8>; 2]>,
    pub(super) channels: RefCell<BTreeSet<Vec<u8>>>,
    pub(super) transaction: RefCell<Option<QueuedTransaction>>,
    pub(super) watched_key_changed: ChangeFlag,
    pub(super) watched: RefCell<BTreeSet<WatchedKey>>,
    pub(super) pause: Cell<Option<Pause>>,
    pub(super) limits: ServerLimits,
    /// How many more bytes the reply to the current request may use.
    pub(super) reply_budget: Cell<usize>,
    /// The moment at which the current request exceeds its time limit.
    pub(super) late_from: Cell<Instant>,
    output: RefCell<Output>,
    account: Account,
    /// Notified when there is something to send, or when `state` has changed.
    pub(super) wake: Notify,
}

impl ConnectedClient {
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
            stranger_since: Cell::new(None),
            time_to_log_in: Cell::new(server.limits.login),
            protocol: Cell::new(Protocol::Resp2),
            db: Cell::new(0),
            name: RefCell::default(),
            library: RefCell::default(),
            channels: RefCell::default(),
            transaction: RefCell::default(),
            watched_key_changed: Rc::default(),
            watched: RefCell::default(),
            pause: Cell::new(None),
            limits: server.limits,
            reply_budget: Cell::new(0),
            late_from: Cell::new(now),
            output: RefCell::default(),
            account: Account::new(&server.kept),
            wake: Notify::new(),
        });
        server.clients.insert(client.id, Rc::clone(&client));
        server.set_logged_in(&client, server.password.is_none());
        client
    }

    /// Queues a reply to this client's request. Disconnects the client if its unsent replies would exceed its
    /// memory limit.
    pub(super) fn send(&self, reply: &Reply) {
        if self.state.get() == ConnectionState::Dead {
            return;
        }
        let size = reply.size();
        if self.unsent() + size > self.limit() {
            self.end(ConnectionState::Dead);
            return;
        }
        let mut output = self.output.borrow_mut();
        let before = output.bytes.len();
        output.bytes.reserve(size.min(EXACT_RESERVE));
        reply.encode(self.protocol.get(), &mut output.bytes);
        let added = output.bytes.len() - before;
        self.keeps(Kept::Replies, self.unsent() + added);
    }

    /// Queues a message that was caused by another client.
    pub(super) fn send_from_outside(&self, message: &Reply) {
        self.send(message);
        self.wake.notify_one();
    }

    /// Closes the connection immediately if `state` is `Dead`, or after all replies have been sent if it is
    /// `Closing`.
    pub(super) fn end(&self, state: ConnectionState) {
        if self.state.get() != ConnectionState::Dead {
            self.state.set(state);
        }
        if state == ConnectionState::Dead {
            // The connection's task frees the rest of the client's memory later.
            self.output.take();
            self.account.clear();
        }
        self.wake.notify_one();
    }

    /// Whether the client has logged in. Always true if the server has no password.
    pub(super) fn is_logged_in(&self) -> bool {
        self.stranger_since.get().is_none()
    }

    /// Whether the client has subscribed to a channel. In RESP2, such a client can run only a few commands.
    pub(super) fn is_subscriber(&self) -> bool {
        !self.channels.borrow().is_empty()
    }

    /// Whether the current request has exceeded its time limit.
    pub(super) fn is_late(&self) -> bool {
        Instant::now() > self.late_from.get()
    }

    pub(super) fn unsent(&self) -> usize {
        self.account.part(Kept::Replies)
    }

    pub(super) fn output(&self) -> Ref<'_, [u8]> {
        Ref::map(self.output.borrow(), |output| &output.bytes[output.sent..])
    }

    /// Records that `count` bytes of the output have been sent.
    pub(super) fn note_sent(&self, count: usize) {
        let mut output = self.output.borrow_mut();
        let Output { bytes, sent } = &mut *output;
        *sent += count;
        // Free the sent bytes only when they are at least half of the buffer, because the unsent bytes must
        // then be moved.
        if *sent >= bytes.len() - *sent {
            bytes.drain(..std::mem::take(sent));
            bytes.shrink_to(KEPT_BUFFER);
        }
        self.gives_up(Kept::Replies, count);
    }

    /// Returns the memory that the server uses for this client, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.account.own.get()
    }

    /// Adds `bytes` to the memory that the client uses for `kept`. Fails if the client would exceed its
    /// memory limit. The caller must then not store the data.
    pub(super) fn keep(&self, kept: Kept, bytes: usize) -> Result<(), CommandError> {
        if self.memory() + bytes > self.limit() {
            return Err("ERR this connection takes more memory than the practice Redis allows".into());
        }
        self.keeps(kept, self.account.part(kept) + bytes);
        Ok(())
    }

    /// Subtracts `bytes` from the memory that the client uses for `kept`.
    pub(super) fn gives_up(&self, kept: Kept, bytes: usize) {
        self.keeps(kept, self.account.part(kept).saturating_sub(bytes));
    }

    /// Records that the client uses `bytes` bytes of memory for `kept`.
    pub(super) fn keeps(&self, kept: Kept, bytes: usize) {
        // The memory of a client that is being disconnected is no longer counted.
        if self.state.get() != ConnectionState::Dead {
            self.account.set(kept, bytes);
        }
    }

    /// Returns how much of its memory limit this client uses, in thousandths.
    pub(super) fn used_share(&self) -> usize {
        self.memory().saturating_mul(1000) / self.limit().max(1)
    }

    /// Returns this client's memory limit in bytes. Unsent replies have a separate limit of the same size, so
    /// that an error reply fits even if other data uses the whole limit.
    fn limit(&self) -> usize {
        if self.is_logged_in() {
            self.limits.client_memory
        } else {
            self.limits.stranger_memory
        }
    }

    /// Removes and returns the queued transaction, or returns `None` if MULTI has not been called.
    pub(super) fn take_transaction(&self) -> Option<QueuedTransaction> {
        self.keeps(Kept::Transaction, 0);
        self.transaction.borrow_mut().take()
    }
}

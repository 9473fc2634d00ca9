//! The state of one client connection, with its unsent replies and the memory that it uses.

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::command::CommandError;
use super::commands::command_table::CommandInfo;
use super::reply::{Protocol, Reply};
use super::request::KEPT_BUFFER;
use super::state::{ServerLimits, ServerState};
use super::store::{ChangeFlag, WatchedKey};
use super::words::Words;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionState {
    Open,
    /// The connection is closed when all replies have been sent, after QUIT or a protocol error.
    Closing,
    /// The connection is closed at once, after CLIENT KILL or because the client does not read its replies.
    Dead,
}

/// The queue of commands after MULTI.
#[derive(Debug, Default)]
pub(super) struct QueuedTransaction {
    pub(super) queued: Vec<(&'static CommandInfo, Words)>,
    /// Whether a command could not be queued, so that EXEC will fail.
    pub(super) has_error: bool,
}

/// What the server keeps in memory for a client.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    /// Replies that the client has not read yet.
    Replies,
    /// A request that has not completely arrived yet.
    Request,
    /// The queue of commands after MULTI.
    Transaction,
    WatchedKeys,
    Channels,
    /// The names of the client and of its library.
    Names,
}

/// How much memory the server keeps for a client, in bytes.
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

/// Replies that the kernel has not accepted yet. They are kept here rather than in the connection's task, so
/// that their memory can be freed before that task runs again.
#[derive(Debug, Default)]
struct Output {
    bytes: Vec<u8>,
    /// The number of these bytes that the kernel has accepted.
    sent: usize,
}

/// The maximum memory to reserve for a reply in advance. The buffer of a larger reply grows as it is written.
const EXACT_RESERVE: usize = 64 * 1024;

/// How long the command WAIT blocks a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    Until(Instant),
    Forever,
}

/// A client connection. A server runs in a single thread, so cells are enough.
#[derive(Debug)]
pub(super) struct ConnectedClient {
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) since: Instant,
    pub(super) last_seen: Cell<Instant>,
    pub(super) last_command: Cell<&'static str>,
    pub(super) state: Cell<ConnectionState>,
    /// If the client is not logged in, the time at which it connected or last sent RESET. Otherwise, `None`.
    pub(super) stranger_since: Cell<Option<Instant>>,
    /// How long the client may take to log in.
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
    /// How many more bytes of memory the reply to the current request may use.
    pub(super) reply_budget: Cell<usize>,
    /// The time after which the current request has run for too long.
    pub(super) late_from: Cell<Instant>,
    output: RefCell<Output>,
    account: Account,
    /// Notified when there is something to send, or when `state` has changed.
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

    /// Queues a reply to this client's request. The client's task sends it next. As in Redis, a client with
    /// too many unread replies is disconnected.
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

    /// Closes the connection, either at once (`Dead`) or after everything has been sent (`Closing`).
    pub(super) fn end(&self, state: ConnectionState) {
        if self.state.get() != ConnectionState::Dead {
            self.state.set(state);
        }
        if state == ConnectionState::Dead {
            // The connection's task frees the rest of the memory when it wakes up.
            self.output.take();
            self.account.clear();
        }
        self.wake.notify_one();
    }

    /// Whether the client has logged in, or need not log in.
    pub(super) fn is_logged_in(&self) -> bool {
        self.stranger_since.get().is_none()
    }

    /// Whether the client has subscribed to a channel. In RESP2, such a client can run only a few commands.
    pub(super) fn is_subscriber(&self) -> bool {
        !self.channels.borrow().is_empty()
    }

    /// Whether the current request has run for too long.
    pub(super) fn is_late(&self) -> bool {
        Instant::now() > self.late_from.get()
    }

    /// Returns the number of reply bytes that have not been sent.
    pub(super) fn unsent(&self) -> usize {
        self.account.part(Kept::Replies)
    }

    /// Returns the bytes that have not been sent.
    pub(super) fn output(&self) -> Ref<'_, [u8]> {
        Ref::map(self.output.borrow(), |output| &output.bytes[output.sent..])
    }

    /// Records that the kernel has accepted this many bytes of the output, and frees them.
    pub(super) fn note_sent(&self, count: usize) {
        let mut output = self.output.borrow_mut();
        let Output { bytes, sent } = &mut *output;
        *sent += count;
        // Now, moving the remaining bytes costs no more than it cost to write the bytes that were sent.
        if *sent >= bytes.len() - *sent {
            bytes.drain(..std::mem::take(sent));
            bytes.shrink_to(KEPT_BUFFER);
        }
        self.gives_up(Kept::Replies, count);
    }

    /// Returns how much memory the server keeps for this client, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.account.own.get()
    }

    /// Adds `bytes` to the memory that the server keeps for this purpose.
    ///
    /// # Errors
    ///
    /// Fails if the client is not allowed to use that much memory. The caller must then store nothing.
    pub(super) fn keep(&self, kept: Kept, bytes: usize) -> Result<(), CommandError> {
        if self.memory() + bytes > self.limit() {
            return Err("ERR this connection takes more memory than the practice Redis allows".into());
        }
        self.keeps(kept, self.account.part(kept) + bytes);
        Ok(())
    }

    /// Subtracts `bytes` from the memory that the server keeps for this purpose.
    pub(super) fn gives_up(&self, kept: Kept, bytes: usize) {
        self.keeps(kept, self.account.part(kept).saturating_sub(bytes));
    }

    /// Records how many bytes of memory the server keeps for this purpose.
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

    /// Returns how much memory the server may keep for this client, in bytes. Unread replies may use the same
    /// amount again, because otherwise there might be no room for an error reply.
    fn limit(&self) -> usize {
        if self.is_logged_in() {
            self.limits.client_memory
        } else {
            self.limits.stranger_memory
        }
    }

    /// Ends the transaction, if there is one, and returns it.
    pub(super) fn take_transaction(&self) -> Option<QueuedTransaction> {
        self.keeps(Kept::Transaction, 0);
        self.transaction.borrow_mut().take()
    }
}

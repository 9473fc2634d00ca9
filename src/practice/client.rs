//! What the server knows of one connection, and the bytes that wait to be sent to it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Notify;

use super::commands::Spec;
use super::reply::{Protocol, Reply};
use super::request::Words;

/// How a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// It serves.
    Open,
    /// It ends once everything queued has been sent (QUIT, a violation of the protocol).
    Closing,
    /// It ends at once (CLIENT KILL, a peer that never reads).
    Dead,
}

/// Commands between MULTI and EXEC.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) queued: Vec<(&'static Spec, Words)>,
    /// A command could not be queued: EXEC will refuse.
    pub(super) is_spoiled: bool,
    /// What the queue takes in memory.
    pub(super) bytes: usize,
}

/// How long a connection answers nothing (WAIT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Until then.
    Until(Instant),
    /// As long as it lives.
    Endless,
}

/// One connection. The server runs in one thread: cells are enough.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) since: Instant,
    pub(super) last_seen: Cell<Instant>,
    pub(super) last_command: Cell<&'static str>,
    pub(super) course: Cell<Course>,
    pub(super) is_known: Cell<bool>,
    pub(super) protocol: Cell<Protocol>,
    pub(super) db: Cell<usize>,
    pub(super) name: RefCell<Vec<u8>>,
    pub(super) library: RefCell<[Vec<u8>; 2]>,
    pub(super) is_monitor: Cell<bool>,
    pub(super) channels: RefCell<BTreeSet<Vec<u8>>>,
    pub(super) transaction: RefCell<Option<Transaction>>,
    /// Raised by the store when a watched key changes.
    pub(super) is_disturbed: Rc<Cell<bool>>,
    pub(super) is_watching: Cell<bool>,
    pub(super) pause: Cell<Option<Pause>>,
    pub(super) outbox: Outbox,
}

impl Client {
    pub(super) fn new(
        id: u64,
        peer: SocketAddr,
        local: SocketAddr,
        is_known: bool,
        output: Rc<Output>,
    ) -> Self {
        let now = Instant::now();
        Self {
            id,
            peer,
            local,
            since: now,
            last_seen: Cell::new(now),
            last_command: Cell::new("NULL"),
            course: Cell::new(Course::Open),
            is_known: Cell::new(is_known),
            protocol: Cell::new(Protocol::Resp2),
            db: Cell::new(0),
            name: RefCell::default(),
            library: RefCell::default(),
            is_monitor: Cell::new(false),
            channels: RefCell::default(),
            transaction: RefCell::default(),
            is_disturbed: Rc::default(),
            is_watching: Cell::new(false),
            pause: Cell::new(None),
            outbox: Outbox::new(output),
        }
    }

    /// Queues a reply. Whoever lets too many wait is cut off, as Redis does at its output buffer limit.
    pub(super) fn send(&self, reply: &Reply) {
        if self.course.get() == Course::Dead {
            return;
        }
        if self.outbox.push(reply, self.protocol.get()) == Room::Exhausted {
            self.end(Course::Dead);
        }
    }

    /// Ends the connection, now or once everything is sent.
    pub(super) fn end(&self, course: Course) {
        if self.course.get() != Course::Dead {
            self.course.set(course);
        }
        self.outbox.wake.notify_one();
    }

    /// Whether it can only receive messages, as RESP2 has it after SUBSCRIBE.
    pub(super) fn is_subscriber(&self) -> bool {
        !self.channels.borrow().is_empty()
    }
}

/// What all connections together may let wait.
#[derive(Debug)]
pub(super) struct Output {
    waiting: Cell<usize>,
    limit: usize,
    each: usize,
}

impl Output {
    /// `limit` bytes for all together, `each` for one.
    pub(super) fn new(limit: usize, each: usize) -> Rc<Self> {
        Rc::new(Self {
            waiting: Cell::new(0),
            limit,
            each,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Left,
    Exhausted,
}

/// Bytes that wait to be sent on one connection.
#[derive(Debug)]
pub(super) struct Outbox {
    bytes: RefCell<Vec<u8>>,
    /// Queued here or under way, and not yet with the kernel.
    waiting: Cell<usize>,
    all: Rc<Output>,
    /// There is something to send, or the connection's course has changed.
    pub(super) wake: Notify,
}

impl Outbox {
    fn new(all: Rc<Output>) -> Self {
        Self {
            bytes: RefCell::default(),
            waiting: Cell::new(0),
            all,
            wake: Notify::new(),
        }
    }

    fn push(&self, reply: &Reply, protocol: Protocol) -> Room {
        let mut bytes = self.bytes.borrow_mut();
        let before = bytes.len();
        reply.encode(protocol, &mut bytes);
        let added = bytes.len() - before;
        self.waiting.set(self.waiting.get() + added);
        self.all.waiting.set(self.all.waiting.get() + added);
        self.wake.notify_one();
        if self.waiting.get() > self.all.each || self.all.waiting.get() > self.all.limit {
            Room::Exhausted
        } else {
            Room::Left
        }
    }

    /// Takes what is queued, to send it.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.bytes.borrow_mut())
    }

    /// Bytes that the kernel has taken.
    pub(super) fn sent(&self, count: usize) {
        self.waiting.set(self.waiting.get().saturating_sub(count));
        self.all.waiting.set(self.all.waiting.get().saturating_sub(count));
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.get()
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.sent(self.waiting.get());
    }
}

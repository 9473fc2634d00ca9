//! A recording proxy on loopback between the app and Redis. The proxy forwards one command at a time. The
//! record contains each command with its reply and with the keys that have no TTL afterwards. On request, the
//! proxy delays commands, leaves them unanswered, or cuts the connection.
//!
//! The proxy logs in to the real Redis, so the app uses an unencrypted connection without a password. If
//! Redis is protected, only programs of the same user and of root may connect to the proxy (`peer.rs`).

mod connection;
mod disturbance;
mod keys;
mod peer;
mod record;
mod upstream;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::redis_command::{Key, SeenCommand};
use crate::redis_client::{RedisConnection, Stream};
use crate::redis_url::{Target, Trust};
pub(crate) use disturbance::HoldPoint;
use disturbance::{Hold, Mode};
use keys::KeyOrigin;
use peer::Users;

/// A running proxy. Dropping the proxy closes all connections.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct State {
    mode: Mode,
    log: Vec<SeenCommand>,
    /// The approximate memory that the record uses, in bytes.
    recorded: usize,
    /// All keys that the app has used, and whether each key existed before the app used it.
    keys: HashMap<Key, KeyOrigin>,
    hold: Option<Hold>,
    /// The number of commands that read or write data or execute a transaction, after which to cut the
    /// app's connection. `None` if no cut is planned.
    cut_after: Option<usize>,
    /// How long the proxy delays each reply.
    delay: Duration,
    connections: HashMap<u64, Handle>,
    opened: u64,
    in_flight: usize,
    /// When the app last completed a response.
    answered: Instant,
    /// The names and first keys of commands that the app sends outside requests, for example for a health
    /// check.
    idle: HashSet<(String, Option<Key>)>,
    /// The error of the last failed connection attempt to Redis, or `None` if no attempt has failed.
    unreachable: Option<String>,
    /// The ID of the last user whose connection was refused, or `None` if none was refused.
    refused: Option<u32>,
}

/// An open connection from the app.
struct Handle {
    /// The number of commands on this connection that have not been answered yet.
    pending: usize,
    cut: Arc<Notify>,
}

struct Shared {
    state: Mutex<State>,
    /// A counter that changes whenever waiting connections must check the state again.
    changed: watch::Sender<u64>,
    target: Arc<dyn Fn() -> Target + Send + Sync>,
    trust: Trust,
    /// A separate connection to Redis for the proxy's own commands, such as PTTL.
    inspector: RedisConnection,
    /// Open connections to Redis that are not used yet.
    spare: Mutex<Vec<Stream>>,
    /// Whether access to Redis is limited to certain users of this host.
    is_protected: bool,
    users: tokio::sync::Mutex<Option<Users>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    /// Waits until `ready` returns `Some`, and returns that value.
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
}

impl State {
    fn cut_all(&self) {
        let connections = self.connections.values();
        connections.for_each(|connection| connection.cut.notify_one());
    }
}

impl Proxy {
    /// Starts the proxy on `port`. Uses a free port if `port` is `None` or in use.
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
            recorded: 0,
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
            refused: None,
        };
        let is_protected = peer::is_protected(&target(), &trust);
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            target,
            trust,
            inspector,
            spare: Mutex::default(),
            is_protected,
            users: tokio::sync::Mutex::default(),
        });
        let accepting = tokio::spawn(connection::accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// Returns the value of `REDIS_URL` that connects the app to the proxy.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.state().cut_all();
    }
}

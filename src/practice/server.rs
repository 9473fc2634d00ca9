//! Runs the practice server, which listens on a loopback address, in a separate thread.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::admission::accept;
use super::client::ConnectedClient;
use super::saver::Saver;
use super::simulated_fault::SimulatedFault;
use super::snapshot;
use super::state::{ServerLimits, ServerState, SharedState, Statistics};
use super::store::{Store, wall_clock};
use crate::random;
use crate::redis_url::{Address, Origin, Target};
use crate::secret::Secret;

/// The configuration of a practice server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The loopback address to listen on. Port 0 selects a free port.
    pub listen: SocketAddr,
    /// The password that clients must send. `None` if clients do not need a password.
    pub password: Option<Secret>,
    /// The file from which the data is loaded and to which it is saved. `None` if the data is not saved.
    pub data: Option<PathBuf>,
    /// The server's limits.
    pub limits: ServerLimits,
    /// The fault that the server simulates.
    pub fault: SimulatedFault,
}

impl Default for ServerOptions {
    /// Returns options for a server that uses a free port, has no password, and saves no data.
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            password: None,
            data: None,
            limits: ServerLimits::default(),
            fault: SimulatedFault::None,
        }
    }
}

/// How often the server removes expired keys, and checks whether to save the data.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// The client name of the connection that each attached process keeps open.
pub(super) const ATTACHED: &str = "sessiontut-attached";
/// How often a server that is shutting down checks whether processes are still attached.
const RECOUNT: Duration = Duration::from_millis(10);
/// The maximum number of connections that can wait until the server accepts them.
const BACKLOG: i32 = 1024;

/// A running practice Redis, which is stopped when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    password: Option<Secret>,
    /// The run ID that INFO reports.
    pub(super) run_id: String,
    /// Tells the server to stop. The duration limits how long it waits for attached processes.
    stop: Option<oneshot::Sender<Duration>>,
    thread: Option<JoinHandle<io::Result<()>>>,
    /// The lock on the data file, if any. It is released after the server has saved the data and stopped.
    pub(super) lock: Option<File>,
}

impl Server {
    /// Starts a server. Clients can connect as soon as this function returns.
    ///
    /// # Errors
    ///
    /// Fails if the address is not loopback, the port is in use, the thread cannot be started, or the data
    /// file cannot be read. If the data file is damaged, the kind of error is [`io::ErrorKind::InvalidData`].
    pub fn start(options: ServerOptions) -> io::Result<Self> {
        if !options.listen.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is not a loopback address", options.listen.ip()),
            ));
        }
        let listener = listener(options.listen)?;
        let address = listener.local_addr()?;
        // Read the file in this thread, so that the caller gets the error if it is damaged.
        let saved = match &options.data {
            Some(file) => snapshot::read(file)?,
            None => None,
        };
        let run_id = random::hexadecimal::<20>();
        let (stop, stopped) = oneshot::channel();
        let password = options.password.clone();
        let thread_id = run_id.clone();
        let thread = std::thread::Builder::new()
            .name("practice-redis".into())
            .spawn(move || run(stopped, listener, options, saved, thread_id))?;
        Ok(Self {
            address,
            password,
            run_id,
            stop: Some(stop),
            thread: Some(thread),
            lock: None,
        })
    }

    /// Returns the address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn target(&self) -> Target {
        target(self.address, self.password.clone())
    }

    /// Closes the port and all connections, and saves the data.
    ///
    /// # Errors
    ///
    /// Fails if the data could not be saved.
    pub fn stop(mut self) -> io::Result<()> {
        self.end(Duration::ZERO)
    }

    /// Waits for other processes to detach, for at most `grace`, and then stops the server.
    pub(super) fn stop_after(mut self, grace: Duration) -> io::Result<()> {
        self.end(grace)
    }

    fn end(&mut self, grace: Duration) -> io::Result<()> {
        if let Some(stop) = self.stop.take() {
            // This fails only if the thread has already ended.
            let _ = stop.send(grace);
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(io::Error::other("the practice Redis crashed")),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only an explicit call of `stop` reports errors.
        let _ = self.end(Duration::ZERO);
    }
}

pub(super) fn target(address: SocketAddr, password: Option<Secret>) -> Target {
    let (host, port) = (address.ip().to_string(), address.port());
    Target {
        password,
        origin: Origin::Practice,
        ..Target::new(Address::Tcp { host, port })
    }
}

fn listener(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Without this option, connections in TIME_WAIT would prevent the next server from using the port. On
    // Windows, the option would allow two servers to share one port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn run(
    stopped: oneshot::Receiver<Duration>,
    listener: std::net::TcpListener,
    options: ServerOptions,
    saved: Option<Vec<u8>>,
    run_id: String,
) -> io::Result<()> {
    let runtime = crate::signals::runtime()?;
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        let listener = TcpListener::from_std(listener)?;
        let mut state = ServerState {
            store: Store::default(),
            clients: BTreeMap::new(),
            strangers: BTreeSet::new(),
            monitors: BTreeSet::new(),
            channels: BTreeMap::new(),
            password: options.password,
            limits: options.limits,
            fault: SimulatedFault::None,
            run_id,
            port: listener.local_addr()?.port(),
            since: Instant::now(),
            statistics: Statistics::default(),
            kept: Rc::default(),
            last_client_id: 0,
        };
        if let Some(saved) = saved {
            snapshot::restore(&saved, &mut state);
        }
        state.fault = options.fault;
        let mut saver = Saver::new(options.data, &state.store);
        let state: SharedState = Rc::new(state.into());
        let grace = tokio::select! {
            () = accept(&listener, &state) => Duration::ZERO,
            () = expire_and_save(&state, &mut saver) => Duration::ZERO,
            // An error means that the sender was dropped, so the server stops without waiting.
            grace = stopped => grace.unwrap_or_default(),
        };
        // During the grace period, attached processes can still open connections. Afterwards, all connections
        // are closed.
        tokio::select! {
            () = accept(&listener, &state) => {}
            () = all_detached(&state) => {}
            () = tokio::time::sleep(grace) => {}
        }
        drop(listener);
        let mut state = state.borrow_mut();
        saver.finish(&mut state.store)
    })
}

/// Waits until no other process is attached.
async fn all_detached(state: &SharedState) {
    let is_attached = |client: &Rc<ConnectedClient>| *client.name.borrow() == ATTACHED.as_bytes();
    while state.borrow().clients.values().any(is_attached) {
        tokio::time::sleep(RECOUNT).await;
    }
}

async fn expire_and_save(state: &SharedState, saver: &mut Saver) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        while state.borrow_mut().store.advance_in_background(wall_clock()) {
            tokio::task::yield_now().await;
        }
        saver.save_if_due(&mut state.borrow_mut().store);
    }
}

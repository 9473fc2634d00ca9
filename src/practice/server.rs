//! The server itself, which listens on a loopback address and runs in a separate thread.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::client::{ConnectedClient, ConnectionState};
use super::simulated_fault::SimulatedFault;
use super::state::{ServerLimits, ServerState, SharedState, Statistics};
use super::store::{Store, wall_clock};
use super::{connection, snapshot};
use crate::random;
use crate::redis_url::{Address, Origin, Target};
use crate::secret::Secret;

/// The configuration of a practice server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The loopback address to listen on. Port 0 selects a free port.
    pub listen: SocketAddr,
    /// The password that clients must send.
    pub password: Option<Secret>,
    /// The file from which the data is loaded. The data is saved to it while the server runs, and when it
    /// stops.
    pub data: Option<PathBuf>,
    /// The server's limits.
    pub limits: ServerLimits,
    /// The fault that the server simulates.
    pub fault: SimulatedFault,
}

impl Default for ServerOptions {
    /// Returns options for a server that uses a free port, has no password, and saves nothing.
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
/// How long a change may remain unsaved. A crash loses at most the changes made during this time.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// The reciprocal of the largest fraction of time for which saving may block the clients (1/20).
const SHARE_OF_SAVES: u32 = 20;
/// The client name of the connection that each attached process keeps open.
pub(super) const ATTACHED: &str = "sessiontut-attached";
/// The minimum time that a client has to log in, even if others are waiting for a place.
const LEAST_TIME: Duration = Duration::from_secs(2);
/// How long a client may take to log in if no place was free when it connected.
const AT_ONCE: Duration = Duration::from_millis(15);
/// The factor by which clients that have not logged in may exceed their limit. The additional ones must log
/// in at once.
const HURRIED: usize = 4;
/// How often a server that is shutting down checks whether processes are still attached.
const RECOUNT: Duration = Duration::from_millis(10);
/// The maximum number of connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A running practice Redis, which is stopped when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    password: Option<Secret>,
    /// The run ID, as shown by `INFO`.
    pub(super) run_id: String,
    /// Stops the server. The duration limits how long it waits for attached processes.
    stop: Option<oneshot::Sender<Duration>>,
    thread: Option<JoinHandle<io::Result<()>>>,
    /// The lock on the data file. It is released after the server has saved the data and stopped.
    pub(super) lock: Option<File>,
}

impl Server {
    /// Starts a server. It accepts connections as soon as this function returns.
    ///
    /// # Errors
    ///
    /// Fails if the address is not loopback, the port is in use, the data file cannot be read or is damaged
    /// ([`io::ErrorKind::InvalidData`]), or the thread cannot be started.
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

    /// Returns the address and password as a target.
    #[must_use]
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

    /// Like [`Self::stop`], but first waits, at most for `grace`, until no other process is attached.
    ///
    /// # Errors
    ///
    /// Fails if the data could not be saved.
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
        // Only an explicit `stop` reports errors.
        let _ = self.end(Duration::ZERO);
    }
}

/// Raises this process's limit of open files to the maximum that the user is allowed, so that more clients
/// can connect.
pub(crate) fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // If this fails, clients over the limit have to wait until others disconnect.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Returns the target for a practice Redis at this address.
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
            // An error means that the handle was dropped, which also stops the server.
            grace = stopped => grace.unwrap_or_default(),
        };
        // An attached process may still open connections. When the grace period is over, they are closed.
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

async fn accept(listener: &TcpListener, state: &SharedState) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(stream, peer, state),
            // Either no file descriptors are left, or the client has already disconnected.
            Err(_) if drop_oldest_stranger(&mut state.borrow_mut(), AT_ONCE) => {
                tokio::task::yield_now().await;
            }
            Err(_) => tokio::time::sleep(HEARTBEAT).await,
        }
    }
}

fn admit(stream: TcpStream, peer: SocketAddr, state: &SharedState) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    // Replies are small, and a client waits for each of them. Without this option, replies only arrive later.
    let _ = stream.set_nodelay(true);
    let mut server = state.borrow_mut();
    server.statistics.connections += 1;
    let time_to_log_in = match server.password {
        Some(_) => time_to_log_in(&mut server),
        None => (server.clients.len() < server.limits.clients).then_some(server.limits.login),
    };
    let Some(time_to_log_in) = time_to_log_in else {
        server.statistics.rejected += 1;
        // The send buffer of a new connection is empty, so the line fits.
        let _ = stream.try_write(b"-ERR max number of clients reached\r\n");
        return;
    };
    let client = ConnectedClient::enter(&mut server, peer, local);
    client.time_to_log_in.set(time_to_log_in);
    tokio::task::spawn_local(connection::serve(stream, client, Rc::clone(state)));
}

/// Returns how long a new client may take to log in, or `None` if too many others are connecting.
///
/// This ensures that there is always room for clients that know the password. If all places are taken, the
/// oldest client that has not logged in loses its place. If even the oldest has only just connected, as in a
/// flood of connections, the new client must send its password at once.
fn time_to_log_in(server: &mut ServerState) -> Option<Duration> {
    let limits = server.limits;
    if server.strangers.len() < limits.strangers || drop_oldest_stranger(server, LEAST_TIME) {
        Some(limits.login)
    } else {
        (server.strangers.len() < limits.strangers * HURRIED).then_some(AT_ONCE)
    }
}

/// Disconnects the client that has had the longest time to log in. Returns false if even this client has had
/// less time than `least_time`.
fn drop_oldest_stranger(server: &mut ServerState, least_time: Duration) -> bool {
    let oldest = server.strangers.first();
    let oldest = oldest.filter(|(since, _)| since.elapsed() > least_time);
    let Some(oldest) = oldest.and_then(|(_, id)| server.clients.get(id)).map(Rc::clone) else {
        return false;
    };
    oldest.end(ConnectionState::Dead);
    server.remove_client(&oldest);
    true
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

/// Saves the data after changes.
struct Saver {
    file: Option<PathBuf>,
    /// The value of the store's change counter at the last save.
    saved: u64,
    last_save: Instant,
    /// How long the last save blocked the clients.
    took: Duration,
    /// The thread that writes the last snapshot to the disk.
    writer: Option<JoinHandle<io::Result<()>>>,
}

impl Saver {
    fn new(file: Option<PathBuf>, store: &Store) -> Self {
        Self {
            file,
            saved: store.changes,
            last_save: Instant::now(),
            took: Duration::ZERO,
            writer: None,
        }
    }

    /// Saves the data in the background, so that clients do not wait for the disk.
    fn save_if_due(&mut self, store: &mut Store) {
        let pause = SAVE_EVERY.max(self.took * SHARE_OF_SAVES);
        let is_writing = self.writer.as_ref().is_some_and(|writer| !writer.is_finished());
        let Some(file) = &self.file else {
            return;
        };
        if is_writing || self.last_save.elapsed() < pause || store.changes == self.saved {
            return;
        }
        self.writer = None;
        let began = Instant::now();
        // If the disk is full, a later save may succeed. Only the final save reports errors.
        if let Ok(snapshot) = snapshot::write(file, store) {
            self.saved = store.changes;
            self.writer = std::thread::Builder::new().spawn(move || snapshot.finish()).ok();
        }
        self.took = began.elapsed();
        self.last_save = Instant::now();
    }

    /// Saves everything that has changed since the last save.
    fn finish(mut self, store: &mut Store) -> io::Result<()> {
        let written = match self.writer.take().map(JoinHandle::join) {
            Some(Ok(Ok(()))) | None => true,
            Some(_) => false,
        };
        store.advance(wall_clock());
        match &self.file {
            Some(file) if !written || store.changes != self.saved => snapshot::write(file, store)?.finish(),
            _ => Ok(()),
        }
    }
}

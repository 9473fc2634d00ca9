//! The server itself: a listener on loopback in a thread of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::hub::{Hub, Shared};
use super::manner::Manner;
use super::store::{Store, wall_clock};
use super::{connection, random, snapshot};
use crate::redis_url::{Address, Origin, Target};
use crate::secret::Secret;

/// How a practice server is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen: a loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The password that clients must give.
    pub password: Option<Secret>,
    /// The file that the data is loaded from, and saved to while the server runs and when it ends.
    pub file: Option<PathBuf>,
    /// How much it serves before it refuses.
    pub limits: Limits,
    /// What the server calls itself in `INFO`; made up where none is given.
    pub run_id: Option<String>,
    /// How it behaves.
    pub manner: Manner,
}

impl Default for Options {
    /// A free port, no password, nothing kept.
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            password: None,
            file: None,
            limits: Limits::default(),
            run_id: None,
            manner: Manner::Healthy,
        }
    }
}

/// How much a server serves before it refuses.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time.
    pub clients: usize,
    /// Bytes of the data set; beyond them writes get Redis's OOM error.
    pub data: usize,
    /// Bytes of one request, and of one transaction's queue.
    pub request: usize,
    /// Bytes of replies that one client may leave unread.
    pub output_each: usize,
    /// Bytes of replies that all clients together may leave unread.
    pub output: usize,
    /// How long a request may take to arrive once its first byte is there.
    pub patience: Duration,
}

impl Default for Limits {
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

const MEGABYTE: usize = 1024 * 1024;
/// How often keys that nobody asks for are looked at, and changes are saved.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// How long changes may wait to be saved: what a power cut can cost.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// A running practice Redis; it ends when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    password: Option<Secret>,
    run_id: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Server {
    /// Starts it; it accepts connections when this returns.
    ///
    /// # Errors
    /// An address that is not loopback, a port that is taken, a data file that cannot be read
    /// ([`io::ErrorKind::InvalidData`] where it is damaged), or no thread to be had.
    pub fn start(options: Options) -> io::Result<Self> {
        if !options.listen.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{} is not a loopback address, and the practice Redis listens on no other",
                    options.listen.ip()
                ),
            ));
        }
        let listener = listener(options.listen)?;
        let address = listener.local_addr()?;
        // Read before the thread starts: a damaged file is the caller's to decide on.
        let saved = match &options.file {
            Some(file) => snapshot::read(file)?,
            None => None,
        };
        let run_id = options.run_id.clone().unwrap_or_else(random::hexadecimal::<20>);
        let (stop, stopped) = oneshot::channel();
        let password = options.password.clone();
        let thread_id = run_id.clone();
        let thread = std::thread::Builder::new()
            .name("practice-redis".into())
            .spawn(move || serve_until(stopped, listener, options, saved.as_deref(), thread_id))?;
        Ok(Self {
            address,
            password,
            run_id,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it calls itself in `INFO`.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// How to reach it and log in.
    #[must_use]
    pub fn target(&self) -> Target {
        target(self.address, self.password.clone())
    }

    /// Ends it: closes its connections and its port, and saves its data.
    ///
    /// # Errors
    /// The data could not be saved.
    pub fn stop(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        if let Some(stop) = self.stop.take() {
            // A thread that has ended already does not listen any more.
            let _ = stop.send(());
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(io::Error::other("the practice Redis ended by a fault of its own")),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody is left to be told; `stop` is there for those who want to know.
        let _ = self.end();
    }
}

/// How to reach a practice Redis at an address.
pub(super) fn target(address: SocketAddr, password: Option<Secret>) -> Target {
    Target {
        address: Address::Tcp {
            host: address.ip().to_string(),
            port: address.port(),
        },
        tls: false,
        user: None,
        password,
        db: 0,
        origin: Origin::Practice,
        warnings: Vec::new(),
    }
}

fn listener(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier server that still fade away must not keep its successor from the port.
    // On Windows the same option would let two servers share one port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn serve_until(
    stopped: oneshot::Receiver<()>,
    listener: std::net::TcpListener,
    options: Options,
    saved: Option<&[u8]>,
    run_id: String,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        let listener = TcpListener::from_std(listener)?;
        let port = listener.local_addr()?.port();
        let hub = Hub::new(Store::default(), options.password, options.limits, run_id, port);
        let hub: Shared = Rc::new(hub.into());
        if let Some(saved) = saved {
            snapshot::restore(saved, &hub);
        }
        hub.borrow_mut().manner = options.manner;
        let mut keeper = Keeper {
            file: options.file,
            saved: hub.borrow().store.changes(),
        };
        tokio::select! {
            () = accept(&listener, &hub) => {}
            () = beat(&hub, &mut keeper) => {}
            // An error means that the handle is gone, which ends the server as well.
            _ = stopped => {}
        }
        drop(listener);
        keeper.save(&hub)
    })
}

async fn accept(listener: &TcpListener, hub: &Shared) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                admit(stream, peer, hub);
            }
            // Out of file descriptors, or the peer has gone already: others are still served.
            Err(_) => tokio::time::sleep(HEARTBEAT).await,
        }
    }
}

fn admit(stream: TcpStream, peer: SocketAddr, hub: &Shared) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    // Replies are small and somebody waits for each.
    let _ = stream.set_nodelay(true);
    let mut shared = hub.borrow_mut();
    shared.counts.connections += 1;
    if shared.clients.len() >= shared.limits.clients {
        shared.counts.rejected += 1;
        // A new connection's buffer is empty: the line fits, or the peer has gone.
        let _ = stream.try_write(b"-ERR max number of clients reached\r\n");
        return;
    }
    let client = connection::enter(&mut shared, peer, local);
    tokio::task::spawn_local(connection::serve(stream, client, Rc::clone(hub)));
}

async fn beat(hub: &Shared, keeper: &mut Keeper) {
    let mut last_save = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        hub.borrow_mut().store.advance(wall_clock());
        if last_save.elapsed() >= SAVE_EVERY {
            // A full disk now may have room later; the last save, at the end, is the one that tells.
            let _ = keeper.save(hub);
            last_save = tokio::time::Instant::now();
        }
    }
}

/// Saves the data when it has changed.
struct Keeper {
    file: Option<PathBuf>,
    saved: u64,
}

impl Keeper {
    fn save(&mut self, hub: &Shared) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut hub = hub.borrow_mut();
        hub.store.advance(wall_clock());
        let changes = hub.store.changes();
        if changes != self.saved {
            snapshot::write(file, &hub.store)?;
            self.saved = changes;
        }
        Ok(())
    }
}

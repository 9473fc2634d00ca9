//! One practice Redis for all commands of a user: whoever holds the lock in the state folder serves, the others join.
//!
//! The address file carries a password and the run id of the server that wrote it: ports are used again by others, and
//! loopback is open to every user of the machine. Who has joined takes over, on the same port and with the same
//! password, when the process that served ends: a client only has to connect again.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::server::{self, Options, Server};
use super::{alone, random};
use crate::deadline::Deadline;
use crate::secret::Secret;
use crate::state;
use crate::target::Target;

const LOCK: &str = "practice.lock";
const ADDRESS: &str = "practice.json";
const DATA: &str = "practice.data";

/// How often a lock that another holds is tried again.
const RETRY: Duration = Duration::from_millis(10);
/// How long a server of this user may take to say who it is.
const GREETING: Duration = Duration::from_millis(500);

/// Why there is no practice Redis.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No server could be started.
    #[error("the practice Redis cannot start on 127.0.0.1: {0}")]
    Start(#[source] io::Error),
    /// Another process holds the lock, and no server answered in time.
    #[error("another sessiontut process serves the practice Redis and does not answer; end it, or try again")]
    Silent,
}

/// What a user should know about the practice Redis that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The state folder cannot be used: the data lives as long as this command.
    NotKept {
        /// What the system said.
        reason: String,
    },
    /// The data file was damaged; it was renamed, and the data begins anew.
    SetAside {
        /// Where the damaged file is now.
        path: PathBuf,
    },
}

/// A practice Redis that this process serves, or that it has joined. Keep it for as long as it is needed.
#[derive(Debug)]
pub struct Attached {
    shared: Arc<Shared>,
    /// The state folder; none where it cannot be used.
    folder: Option<PathBuf>,
    notices: Vec<Notice>,
    watcher: Option<JoinHandle<()>>,
}

/// Serves the practice Redis in a thread of this process, or joins the process of this user that serves it.
///
/// # Errors
/// [`Fault`] where no server can be started, or the one that serves does not answer before the deadline.
pub fn attach(deadline: Deadline) -> Result<Attached, Fault> {
    match state::open_folder().and_then(|folder| open_lock(&folder).map(|lock| (folder, lock))) {
        Ok((folder, lock)) => attach_in(&folder, lock, deadline),
        Err(fault) => in_memory(&fault),
    }
}

fn attach_in(folder: &Path, mut lock: File, deadline: Deadline) -> Result<Attached, Fault> {
    loop {
        match lock.try_lock() {
            Ok(()) => {
                let mut notices = Vec::new();
                let role = match serve(folder, lock, None, &mut notices) {
                    Ok(role) => role,
                    Err(fault) if fault.kind() == io::ErrorKind::AddrInUse => {
                        return Err(Fault::Start(fault));
                    }
                    Err(fault) => return in_memory(&fault),
                };
                return Ok(Attached {
                    shared: Shared::new(role),
                    folder: Some(folder.to_path_buf()),
                    notices,
                    watcher: None,
                });
            }
            Err(fs::TryLockError::Error(fault)) => return in_memory(&fault),
            Err(fs::TryLockError::WouldBlock) => {}
        }
        if let Some(joined) = join(folder, deadline) {
            return Ok(Attached::joined(folder.to_path_buf(), lock, joined));
        }
        // Between taking the lock and writing its address a server cannot be found yet.
        if deadline.is_over() {
            return Err(Fault::Silent);
        }
        std::thread::sleep(RETRY.min(deadline.left()));
        lock = open_lock(folder).map_err(Fault::Start)?;
    }
}

/// A server for this command alone.
fn in_memory(reason: &io::Error) -> Result<Attached, Fault> {
    let options = Options {
        password: Some(new_password()),
        ..Options::default()
    };
    let server = Server::start(options).map_err(Fault::Start)?;
    let notice = Notice::NotKept {
        reason: reason.to_string(),
    };
    Ok(Attached {
        shared: Shared::new(Role::Serving { server, lock: None }),
        folder: None,
        notices: vec![notice],
        watcher: None,
    })
}

impl Attached {
    fn joined(folder: PathBuf, lock: File, joined: Joined) -> Self {
        let guard = joined.guard.try_clone();
        let shared = Shared::new(Role::Joined(joined));
        let watched = Arc::clone(&shared);
        let kept = folder.clone();
        // Without a watcher the command still works; it only cannot take over.
        let watcher = guard.ok().and_then(|guard| {
            std::thread::Builder::new()
                .name("practice-watch".into())
                .spawn(move || watch(&watched, &folder, lock, guard))
                .ok()
        });
        Self {
            shared,
            folder: Some(kept),
            notices: Vec::new(),
            watcher,
        }
    }

    /// How to reach it and log in, as of now: it stays the same for as long as its port can be had.
    #[must_use]
    pub fn target(&self) -> Target {
        match &*self.shared.role() {
            Role::Serving { server, .. } => server.target(),
            Role::Joined(joined) => joined.address.target(),
            Role::Over => server::target((Ipv4Addr::LOCALHOST, 0).into(), None),
        }
    }

    /// What the user should be told, once.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Lets go: saves the data and ends the server where this process serves.
    ///
    /// # Errors
    /// The data could not be saved.
    pub fn close(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        let role = std::mem::replace(&mut *self.shared.role(), Role::Over);
        self.shared.over.notify_all();
        let saved = match role {
            // The lock goes after the server: its successor finds everything saved.
            Role::Serving { server, lock } => {
                if let Some(folder) = &self.folder {
                    wait_for_guests(folder, &server);
                }
                let saved = server.stop();
                drop(lock);
                saved
            }
            Role::Joined(joined) => {
                // Wakes the watcher, which then finds that all is over.
                let _ = joined.guard.shutdown(std::net::Shutdown::Both);
                Ok(())
            }
            Role::Over => Ok(()),
        };
        if let Some(watcher) = self.watcher.take() {
            // It has nothing left to do, and a fault of its own would change nothing now.
            let _ = watcher.join();
        }
        saved
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // Whoever wants to know whether all was saved calls `close`.
        let _ = self.end();
    }
}

#[derive(Debug)]
struct Shared {
    role: Mutex<Role>,
    over: Condvar,
}

impl Shared {
    fn new(role: Role) -> Arc<Self> {
        Arc::new(Self {
            role: Mutex::new(role),
            over: Condvar::new(),
        })
    }

    fn role(&self) -> MutexGuard<'_, Role> {
        self.role.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits a moment, or until all is over; whether it is.
    fn is_over_after(&self, span: Duration) -> bool {
        let role = self.role();
        let waited = self
            .over
            .wait_timeout_while(role, span, |role| !matches!(role, Role::Over));
        let (role, _) = waited.unwrap_or_else(PoisonError::into_inner);
        matches!(*role, Role::Over)
    }
}

#[derive(Debug)]
enum Role {
    /// This process has the lock (none where nothing is kept) and serves.
    Serving { server: Server, lock: Option<File> },
    /// Another process serves.
    Joined(Joined),
    /// Closed.
    Over,
}

/// A server of another process, and a connection that ends when it ends.
#[derive(Debug)]
struct Joined {
    address: ServerAddress,
    guard: TcpStream,
}

/// What the address file says.
#[derive(Clone, Serialize, Deserialize)]
struct ServerAddress {
    port: u16,
    password: String,
    run_id: String,
}

impl std::fmt::Debug for ServerAddress {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "ServerAddress {{ port: {}, run_id: {} }}",
            self.port, self.run_id
        )
    }
}

impl ServerAddress {
    fn socket(&self) -> SocketAddr {
        (IpAddr::from(Ipv4Addr::LOCALHOST), self.port).into()
    }

    fn target(&self) -> Target {
        server::target(self.socket(), Some(Secret::new(self.password.clone())))
    }
}

fn new_password() -> Secret {
    Secret::new(random::hexadecimal::<16>())
}

fn open_lock(folder: &Path) -> io::Result<File> {
    alone::open(&folder.join(LOCK))
}

/// Serves with the lock in hand; like `before` where a server is to be replaced.
fn serve(
    folder: &Path,
    lock: File,
    before: Option<&ServerAddress>,
    notices: &mut Vec<Notice>,
) -> io::Result<Role> {
    // Nobody may be led to the port of a server that is gone.
    match fs::remove_file(folder.join(ADDRESS)) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
        _ => {}
    }
    let mut options = Options {
        password: Some(before.map_or_else(new_password, |before| Secret::new(before.password.clone()))),
        file: Some(folder.join(DATA)),
        ..Options::default()
    };
    if let Some(before) = before {
        options.listen = before.socket();
    }
    let server = match alone::start(options.clone(), notices) {
        // Somebody else has the port now.
        Err(fault) if fault.kind() == io::ErrorKind::AddrInUse && before.is_some() => {
            options.listen = (Ipv4Addr::LOCALHOST, 0).into();
            options.password = Some(new_password());
            alone::start(options, notices)
        }
        other => other,
    }?;
    let address = ServerAddress {
        port: server.address().port(),
        password: options_password(&server),
        run_id: server.run_id().to_owned(),
    };
    let text = serde_json::to_vec(&address).map_err(io::Error::other)?;
    state::write(&folder.join(ADDRESS), &text)?;
    Ok(Role::Serving {
        server,
        lock: Some(lock),
    })
}

fn options_password(server: &Server) -> String {
    let password = server.target().password;
    password.map_or_else(String::new, |password| password.reveal().to_owned())
}

/// Joins the server that the address file names, where it is the one that wrote it.
fn join(folder: &Path, deadline: Deadline) -> Option<Joined> {
    let text = fs::read(folder.join(ADDRESS)).ok()?;
    let address: ServerAddress = serde_json::from_slice(&text).ok()?;
    let guard = greet(&address, deadline).ok()??;
    Some(Joined { address, guard })
}

/// A connection to the server; none where it is another one.
fn greet(address: &ServerAddress, deadline: Deadline) -> io::Result<Option<TcpStream>> {
    let budget = deadline.within(GREETING).left().max(Duration::from_millis(1));
    let mut stream = TcpStream::connect_timeout(&address.socket(), budget)?;
    stream.set_read_timeout(Some(budget))?;
    stream.set_write_timeout(Some(budget))?;
    let question = format!(
        "AUTH {}\r\nCLIENT SETNAME {GUEST}\r\nINFO server\r\n",
        address.password
    );
    stream.write_all(question.as_bytes())?;
    let mut answer = Vec::new();
    let mark = format!("run_id:{}\r\n", address.run_id);
    let mut chunk = [0; 1024];
    while answer.len() < ANSWER {
        match stream.read(&mut chunk)? {
            0 => break,
            count => answer.extend_from_slice(&chunk[..count]),
        }
        if answer.ends_with(b"\r\n\r\n") || String::from_utf8_lossy(&answer).contains(&mark) {
            break;
        }
    }
    let is_it = answer.starts_with(b"+OK\r\n+OK\r\n") && String::from_utf8_lossy(&answer).contains(&mark);
    stream.set_read_timeout(None)?;
    Ok(is_it.then_some(stream))
}

/// Lets short commands that have joined come to their end: their connections would break. New ones find no address
/// and wait for the lock.
fn wait_for_guests(folder: &Path, server: &Server) {
    // Where it cannot be removed, those who come now are cut off and take over.
    let _ = fs::remove_file(folder.join(ADDRESS));
    let deadline = Deadline::after(FAREWELL);
    while guests(server) > 0 && !deadline.is_over() {
        std::thread::sleep(RETRY);
    }
}

fn guests(server: &Server) -> usize {
    let target = server.target();
    let password = target.password.as_ref().map_or("", Secret::reveal);
    let ask = || -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&server.address(), GREETING)?;
        stream.set_read_timeout(Some(GREETING))?;
        stream.write_all(format!("AUTH {password}\r\nCLIENT LIST\r\nQUIT\r\n").as_bytes())?;
        let mut said = Vec::new();
        stream.read_to_end(&mut said)?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    };
    // A server that does not answer keeps nobody waiting.
    let name = format!(" name={GUEST} ");
    ask().map_or(0, |clients| {
        clients.lines().filter(|line| line.contains(&name)).count()
    })
}

/// The name of the connection by which a process joins.
const GUEST: &str = "sessiontut-guest";
/// How long the process that serves waits at its end for those who have joined.
const FAREWELL: Duration = Duration::from_secs(1);

/// Bytes of an answer to AUTH and INFO that are read at most.
const ANSWER: usize = 8 * 1024;

/// Waits for the end of the server that was joined; then serves in its place, or joins the one that does.
fn watch(shared: &Shared, folder: &Path, mut lock: File, mut guard: TcpStream) {
    loop {
        wait_for_end(&mut guard);
        loop {
            if shared.is_over_after(Duration::ZERO) {
                return;
            }
            match lock.try_lock() {
                Ok(()) => {
                    take_over(shared, folder, lock);
                    return;
                }
                Err(fs::TryLockError::Error(_)) => return,
                Err(fs::TryLockError::WouldBlock) => {}
            }
            if let Some(joined) = join(folder, Deadline::after(GREETING)) {
                let Ok(next) = joined.guard.try_clone() else {
                    return;
                };
                let mut role = shared.role();
                if matches!(*role, Role::Over) {
                    return;
                }
                *role = Role::Joined(joined);
                guard = next;
                break;
            }
            if shared.is_over_after(RETRY) {
                return;
            }
            match open_lock(folder) {
                Ok(opened) => lock = opened,
                Err(_) => return,
            }
        }
    }
}

fn wait_for_end(guard: &mut TcpStream) {
    let mut chunk = [0; 1024];
    loop {
        match guard.read(&mut chunk) {
            Ok(1..) => {}
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
        }
    }
}

fn take_over(shared: &Shared, folder: &Path, lock: File) {
    let mut role = shared.role();
    let Role::Joined(joined) = &*role else {
        return;
    };
    // A watcher has nobody to tell; what was set aside lies in the folder. Where no server can be started, the
    // commands that need it say that theirs is gone.
    if let Ok(serving) = serve(folder, lock, Some(&joined.address), &mut Vec::new()) {
        *role = serving;
    }
}

//! One practice Redis for all commands of a user: whoever holds the lock in the state folder serves, the others join.
//!
//! Who has joined takes over, on the same port and with the same password, when the process that served ends: a client
//! only has to connect again.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::join::{GREETING, Joined, ServerAddress, announce, join, wait_for_end, wait_for_guests, withdraw};
use super::kept::{self, Notice};
use super::random;
use super::server::{self, Options, Server};
use crate::deadline::Deadline;
use crate::redis_url::Target;
use crate::secret::Secret;
use crate::state;

const LOCK: &str = "practice.lock";
const DATA: &str = "practice.data";

/// How often a lock that another holds is tried again.
const RETRY: Duration = Duration::from_millis(10);

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

fn new_password() -> Secret {
    Secret::new(random::hexadecimal::<16>())
}

fn open_lock(folder: &Path) -> io::Result<File> {
    kept::open_lock(&folder.join(LOCK))
}

/// Serves with the lock in hand; like `before` where a server is to be replaced.
fn serve(
    folder: &Path,
    lock: File,
    before: Option<&ServerAddress>,
    notices: &mut Vec<Notice>,
) -> io::Result<Role> {
    // Nobody may be led to the port of a server that is gone.
    withdraw(folder)?;
    let mut options = Options {
        password: Some(before.map_or_else(new_password, ServerAddress::password)),
        file: Some(folder.join(DATA)),
        ..Options::default()
    };
    if let Some(before) = before {
        options.listen = before.socket();
    }
    let server = match kept::start(options.clone(), notices) {
        // Somebody else has the port now.
        Err(fault) if fault.kind() == io::ErrorKind::AddrInUse && before.is_some() => {
            options.listen = (Ipv4Addr::LOCALHOST, 0).into();
            options.password = Some(new_password());
            kept::start(options, notices)
        }
        other => other,
    }?;
    announce(folder, &server)?;
    Ok(Role::Serving {
        server,
        lock: Some(lock),
    })
}

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

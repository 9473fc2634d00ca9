//! Lets all commands of a user share one practice Redis. One process holds a lock on a file in the state
//! folder and runs the server. The other processes connect to this server.
//!
//! An address file contains the server's port, a random password and the server's run ID. Processes check the
//! run ID, because another program might use the port later. The password is needed because every user of the
//! machine can connect to loopback addresses.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::data_file::{self, DataNotice};
use super::server::{self, ATTACHED, Server, ServerOptions};
use crate::deadline::Deadline;
use crate::files;
use crate::random;
use crate::redis_url::Target;
use crate::secret::Secret;
use crate::state;

const LOCK: &str = "practice.lock";
const DATA: &str = "practice.data";
const ADDRESS: &str = "practice.json";

/// How long to wait before trying again to acquire the lock of the practice Redis.
const RETRY: Duration = Duration::from_millis(10);
/// How long a server may take to prove that it wrote the practice Redis's address file.
const VERIFY_WITHIN: Duration = Duration::from_millis(500);
/// The maximum length in bytes of a server's replies that are read to check the server's run ID.
const LONGEST_REPLY: usize = 8 * 1024;
/// How long a server that is shutting down waits for other processes to disconnect.
const GRACE: Duration = Duration::from_secs(1);

/// The reason why the practice Redis is not available.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
    #[error("the practice Redis cannot start on 127.0.0.1: {0}")]
    Start(#[source] io::Error),
    /// Another process runs the practice Redis, but its server did not answer before the deadline.
    #[error(
        "another sessiontut process is running the practice Redis but does not answer; end that process, or try again"
    )]
    NoReply,
}

#[derive(Default)]
pub(crate) struct PracticeRedis {
    role: Mutex<Role>,
    notices: Mutex<Vec<DataNotice>>,
}

enum Role {
    /// This process does not use a server. Contains the address of the server that it used last, if any.
    Detached(Option<ServerAddress>),
    /// This process runs the server. If `folder` is `None`, no data is saved and other processes cannot
    /// connect.
    Serving { server: Server, folder: Option<PathBuf> },
    /// Another process runs the server. Before it exits, it waits up to [`GRACE`] until `_connection` is
    /// closed.
    Connected {
        address: ServerAddress,
        _connection: TcpStream,
    },
}

impl Default for Role {
    fn default() -> Self {
        Self::Detached(None)
    }
}

impl PracticeRedis {
    /// Returns the address of the practice Redis. Starts the server if no process runs it.
    ///
    /// Call this function again after a connection has ended, because the process that ran the server might
    /// have exited. A new server loads the saved data and, if possible, uses the same port and password.
    /// Returns [`AttachError`] if no server can be started, or if the running server does not answer before
    /// the deadline.
    pub(crate) fn attach(&self, deadline: Deadline) -> Result<Target, AttachError> {
        let mut role = self.role.lock().unwrap_or_else(PoisonError::into_inner);
        if let Role::Serving { server, .. } = &*role {
            return Ok(server.target());
        }
        let before = match std::mem::take(&mut *role) {
            Role::Connected { address, .. } => Some(address),
            Role::Detached(before) => before,
            Role::Serving { .. } => None,
        };
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        match attach(before.as_ref(), deadline, &mut notices) {
            Ok((attached, target)) => {
                *role = attached;
                Ok(target)
            }
            Err(error) => {
                *role = Role::Detached(before);
                Err(error)
            }
        }
    }

    /// Returns all messages so far that tell the user about the saved data.
    pub(crate) fn notices(&self) -> Vec<DataNotice> {
        let notices = self.notices.lock();
        notices.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Detaches from the server. If this process runs the server, stops it and saves the data.
    pub(crate) fn close(&self) -> io::Result<()> {
        let mut role = self.role.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut *role) {
            Role::Serving { server, folder } => {
                if let Some(folder) = folder {
                    // An error is ignored, because new processes that cannot connect to the port in the file
                    // wait for the lock instead.
                    let _ = withdraw(&folder);
                }
                server.stop_after(GRACE)
            }
            Role::Detached(_) | Role::Connected { .. } => Ok(()),
        }
    }
}

impl Drop for PracticeRedis {
    fn drop(&mut self) {
        // Only an explicit call of `close` reports errors.
        let _ = self.close();
    }
}

fn attach(
    before: Option<&ServerAddress>,
    deadline: Deadline,
    notices: &mut Vec<DataNotice>,
) -> Result<(Role, Target), AttachError> {
    let folder = match state::open_folder() {
        Ok(folder) => folder,
        Err(error) => return serve_in_memory(&error, notices),
    };
    loop {
        // Open the lock file again on each attempt, because it might have been replaced.
        let lock = match files::open_lock(&folder.join(LOCK)).map(|lock| (lock.try_lock(), lock)) {
            Ok((Ok(()), lock)) => Some(lock),
            Ok((Err(TryLockError::WouldBlock), _)) => None,
            Ok((Err(TryLockError::Error(error)), _)) | Err(error) => return serve_in_memory(&error, notices),
        };
        if let Some(lock) = lock {
            return match serve(&folder, &lock, before, notices) {
                Ok(server) => {
                    let target = server.target();
                    let folder = Some(folder);
                    Ok((Role::Serving { server, folder }, target))
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(AttachError::Start(error)),
                Err(error) => serve_in_memory(&error, notices),
            };
        }
        if let Some((address, connection)) = connect(&folder, deadline) {
            let target = address.target();
            let _connection = connection;
            return Ok((Role::Connected { address, _connection }, target));
        }
        // The other process has not yet written the address file, or it is shutting down.
        if deadline.is_over() {
            return Err(AttachError::NoReply);
        }
        std::thread::sleep(RETRY.min(deadline.left()));
    }
}

/// Starts a server that only this process can use.
fn serve_in_memory(reason: &io::Error, notices: &mut Vec<DataNotice>) -> Result<(Role, Target), AttachError> {
    let server = Server::start(new_options()).map_err(AttachError::Start)?;
    notices.push(DataNotice::MemoryOnly {
        reason: reason.to_string(),
    });
    let target = server.target();
    Ok((Role::Serving { server, folder: None }, target))
}

/// Starts a server that all processes of the user can use. The caller must hold `lock`.
fn serve(
    folder: &Path,
    lock: &File,
    before: Option<&ServerAddress>,
    notices: &mut Vec<DataNotice>,
) -> io::Result<Server> {
    // Remove the old address file, so that no process sends a password to a port that another program might
    // use.
    withdraw(folder)?;
    let data = folder.join(DATA);
    let mut options = new_options();
    if let Some(before) = before {
        options.listen = before.socket();
        options.password = Some(before.password());
    }
    let server = match data_file::start(options, &data, lock.try_clone()?, notices) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && before.is_some() => {
            data_file::start(new_options(), &data, lock.try_clone()?, notices)
        }
        other => other,
    }?;
    ServerAddress::of(&server).announce(folder)?;
    Ok(server)
}

fn new_options() -> ServerOptions {
    ServerOptions {
        password: Some(Secret::new(random::hexadecimal::<16>())),
        ..ServerOptions::default()
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct ServerAddress {
    port: u16,
    password: String,
    run_id: String,
}

impl ServerAddress {
    fn of(server: &Server) -> Self {
        let password = server.target().password;
        Self {
            port: server.address().port(),
            password: password.map_or_else(String::new, |password| password.reveal().to_owned()),
            run_id: server.run_id.clone(),
        }
    }

    fn socket(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    fn target(&self) -> Target {
        server::target(self.socket(), Some(self.password()))
    }

    fn password(&self) -> Secret {
        Secret::new(self.password.clone())
    }

    fn announce(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        files::write(&folder.join(ADDRESS), &text)
    }
}

fn withdraw(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(ADDRESS)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Connects to the server whose address is in the address file. Returns `None` if no server can be reached,
/// or if the server did not write the file.
fn connect(folder: &Path, deadline: Deadline) -> Option<(ServerAddress, TcpStream)> {
    let text = files::read(&folder.join(ADDRESS)).ok()?;
    let address: ServerAddress = serde_json::from_slice(&text).ok()?;
    let connection = verified(&address, deadline).ok()??;
    Some((address, connection))
}

fn verified(address: &ServerAddress, deadline: Deadline) -> io::Result<Option<TcpStream>> {
    let deadline = deadline.within(VERIFY_WITHIN);
    let left = || deadline.left().max(Duration::from_millis(1));
    let mut stream = TcpStream::connect_timeout(&address.socket(), left())?;
    stream.set_write_timeout(Some(left()))?;
    let password = &address.password;
    let request = format!("AUTH {password}\r\nCLIENT SETNAME {ATTACHED}\r\nINFO server\r\n");
    stream.write_all(request.as_bytes())?;
    let run_id = format!("run_id:{}\r\n", address.run_id);
    let mut reply = Vec::new();
    let mut chunk = [0; 1024];
    while reply.len() < LONGEST_REPLY && !deadline.is_over() {
        stream.set_read_timeout(Some(left()))?;
        match stream.read(&mut chunk)? {
            0 => break,
            count => reply.extend_from_slice(&chunk[..count]),
        }
        if reply.starts_with(b"+OK\r\n+OK\r\n") && String::from_utf8_lossy(&reply).contains(&run_id) {
            return Ok(Some(stream));
        }
    }
    Ok(None)
}

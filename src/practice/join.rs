//! How a process joins the server of another: by the file that says where it is, and a connection that ends when it ends.
//!
//! The file carries a password and the run id of the server that wrote it: ports are used again by others, and loopback
//! is open to every user of the machine.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::server::{self, Server};
use crate::deadline::Deadline;
use crate::redis_url::Target;
use crate::secret::Secret;
use crate::state;

const ADDRESS: &str = "practice.json";

/// How long a server of this user may take to say who it is.
pub(super) const GREETING: Duration = Duration::from_millis(500);
/// How often guests that are still there are counted again.
const RECOUNT: Duration = Duration::from_millis(10);
/// The name of the connection by which a process joins.
const GUEST: &str = "sessiontut-guest";
/// How long the process that serves waits at its end for those who have joined.
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes of an answer to AUTH and INFO that are read at most.
const ANSWER: usize = 8 * 1024;

/// A server of another process, and a connection that ends when it ends.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) address: ServerAddress,
    pub(super) guard: TcpStream,
}

/// What the address file says.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ServerAddress {
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
    pub(super) fn socket(&self) -> SocketAddr {
        (IpAddr::from(Ipv4Addr::LOCALHOST), self.port).into()
    }

    pub(super) fn target(&self) -> Target {
        server::target(self.socket(), Some(self.password()))
    }

    pub(super) fn password(&self) -> Secret {
        Secret::new(self.password.clone())
    }
}

/// Says where the server is, to those who want to join it.
pub(super) fn announce(folder: &Path, server: &Server) -> io::Result<()> {
    let password = server.target().password;
    let address = ServerAddress {
        port: server.address().port(),
        password: password.map_or_else(String::new, |password| password.reveal().to_owned()),
        run_id: server.run_id().to_owned(),
    };
    let text = serde_json::to_vec(&address).map_err(io::Error::other)?;
    state::write(&folder.join(ADDRESS), &text)
}

/// Says it no more.
pub(super) fn withdraw(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(ADDRESS)) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(fault),
        _ => Ok(()),
    }
}

/// Joins the server that the address file names, where it is the one that wrote it.
pub(super) fn join(folder: &Path, deadline: Deadline) -> Option<Joined> {
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

/// Waits until the server that was joined is gone.
pub(super) fn wait_for_end(guard: &mut TcpStream) {
    let mut chunk = [0; 1024];
    loop {
        match guard.read(&mut chunk) {
            Ok(1..) => {}
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// Lets short commands that have joined come to their end: their connections would break. New ones find no address
/// and wait for the lock.
pub(super) fn wait_for_guests(folder: &Path, server: &Server) {
    // Where it cannot be removed, those who come now are cut off and take over.
    let _ = withdraw(folder);
    let deadline = Deadline::after(FAREWELL);
    while guests(server) > 0 && !deadline.is_over() {
        std::thread::sleep(RECOUNT);
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

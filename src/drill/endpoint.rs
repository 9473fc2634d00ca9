//! Starts the broken endpoints of drills.

use std::any::Any;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tempfile::TempPath;

use super::broken_server::{Behaviour, BrokenServer, Certificate, tls_server};
use super::faults::DrillFault;
use crate::practice::{Server, ServerOptions, SimulatedFault};
use crate::secret::Secret;

/// The password of a drill's server.
pub(super) const PASSWORD: &str = "practice-makes-perfect";
/// The password in the URL of the drill about a wrong password.
pub(super) const WRONG_PASSWORD: &str = "practise-makes-perfect";

/// How long the drill about a slow server delays each reply.
const LATE: Duration = Duration::from_millis(100);

/// How many connections the drill about dropped packets opens to fill its accept queue. Even with a backlog
/// of 0, the kernel queues one connection.
const FILLERS: usize = 4;

/// A running broken endpoint. Dropping the endpoint stops its servers.
#[derive(Debug)]
pub struct Drill {
    url: String,
    ca: Option<TempPath>,
    /// The endpoint's servers and sockets, kept open until the drill ends.
    parts: Vec<Box<dyn Any + Send>>,
}

impl Drill {
    /// Returns the URL to diagnose.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the CA file for `--ca`, or `None` if the endpoint does not use TLS.
    #[must_use]
    pub fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    fn at(scheme: &str, login: &str, address: SocketAddr) -> Self {
        Self {
            url: format!("{scheme}://{login}{address}/0"),
            ca: None,
            parts: Vec::new(),
        }
    }

    /// Adds a server or socket, which is kept open until the drill ends.
    fn with(mut self, part: impl Any + Send) -> Self {
        self.parts.push(Box::new(part));
        self
    }
}

/// Starts an endpoint with this fault on a free loopback port.
///
/// # Errors
/// Returns an error if a port, thread or certificate cannot be created.
pub fn start(fault: &DrillFault) -> io::Result<Drill> {
    (fault.endpoint)()
}

pub(super) fn with_fault(fault: SimulatedFault) -> io::Result<Drill> {
    let options = ServerOptions {
        fault,
        ..ServerOptions::default()
    };
    served("redis", "", options)
}

/// Starts a server that requires [`PASSWORD`]. The URL contains `password`, which may be wrong.
pub(super) fn with_password(password: &str, fault: SimulatedFault) -> io::Result<Drill> {
    let options = ServerOptions {
        password: Some(Secret::new(PASSWORD)),
        fault,
        ..ServerOptions::default()
    };
    served("redis", &format!(":{password}@"), options)
}

pub(super) fn without_clients() -> io::Result<Drill> {
    let mut options = ServerOptions::default();
    options.limits.clients = 0;
    served("redis", "", options)
}

pub(super) fn served(scheme: &str, login: &str, options: ServerOptions) -> io::Result<Drill> {
    let server = Server::start(options)?;
    Ok(Drill::at(scheme, login, server.address()).with(server))
}

pub(super) fn behind(behaviour: Behaviour) -> io::Result<Drill> {
    let broken = BrokenServer::start(behaviour)?;
    Ok(Drill::at("redis", "", broken.address).with(broken))
}

pub(super) fn over_tls(scheme: &str, certificate: Certificate) -> io::Result<Drill> {
    let (ca, config) = tls_server(certificate)?;
    let server = Server::start(ServerOptions::default())?;
    let broken = BrokenServer::start(Behaviour::TerminateTls(server.address(), config))?;
    let mut drill = Drill::at(scheme, "", broken.address).with(broken).with(server);
    drill.ca = Some(ca);
    Ok(drill)
}

pub(super) fn slow() -> io::Result<Drill> {
    let server = Server::start(ServerOptions::default())?;
    let drill = behind(Behaviour::Delay(server.address(), LATE))?;
    Ok(drill.with(server))
}

pub(super) fn cluster() -> io::Result<Drill> {
    let other = Server::start(ServerOptions::default())?;
    let fault = SimulatedFault::ClusterNode {
        other: other.address(),
    };
    Ok(with_fault(fault)?.with(other))
}

/// Binds a port without listening, so that no other process can use the port.
fn bound() -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))?;
    let address = socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("the socket has no port"))?;
    Ok((socket, address))
}

pub(super) fn refused() -> io::Result<Drill> {
    let (socket, address) = bound()?;
    Ok(Drill::at("redis", "", address).with(socket))
}

/// Starts a listener that never accepts connections. Once its queue is full, the kernel drops every SYN.
pub(super) fn dropped() -> io::Result<Drill> {
    let (listener, address) = bound()?;
    listener.listen(0)?;
    let mut drill = Drill::at("redis", "", address).with(listener);
    for _ in 0..FILLERS {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        filler.set_nonblocking(true)?;
        // Connections succeed until the queue is full. Later attempts hang, as intended.
        let _ = filler.connect(&SockAddr::from(address));
        drill = drill.with(filler);
    }
    Ok(drill)
}

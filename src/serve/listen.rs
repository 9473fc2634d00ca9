//! Where to listen: the address is read, the port taken, and what stands in the way said in one line.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the system keeps waiting until they are accepted.
const BACKLOG: i32 = 1024;
/// Taken by AirPlay on macOS, and by many a Flask app.
const CROWDED_PORT: u16 = 5000;

/// Why there is nothing to listen on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenFault {
    /// The text names no address.
    #[error("cannot read the listen address {0:?}: an address and a port are needed, such as 127.0.0.1:5000")]
    Unreadable(String),
    /// The name in it leads nowhere.
    #[error("the host of the listen address {0:?} has no address: {1}")]
    Unresolved(String, io::Error),
    /// Somebody listens there already.
    #[error("port {} of {} is in use: try --listen {}", .0.port(), .0.ip(), .1)]
    InUse(SocketAddr, SocketAddr),
    /// The system refuses.
    #[error("cannot listen on {0}: {1}")]
    Refused(SocketAddr, io::Error),
}

/// Listens on `text`: an address and a port, or a host name and a port.
///
/// # Errors
/// [`ListenFault`].
pub(crate) fn bind(text: &str) -> Result<TcpListener, ListenFault> {
    let address = address(text)?;
    listener(address).map_err(|fault| match fault.kind() {
        io::ErrorKind::AddrInUse => ListenFault::InUse(address, next_to(address)),
        _ => ListenFault::Refused(address, fault),
    })
}

fn address(text: &str) -> Result<SocketAddr, ListenFault> {
    let unreadable = || ListenFault::Unreadable(text.to_owned());
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(unreadable)?;
    let port: u16 = port.parse().map_err(|_| unreadable())?;
    let is_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.');
    if host.is_empty() || !host.chars().all(is_name) {
        return Err(unreadable());
    }
    let unresolved = |fault| ListenFault::Unresolved(text.to_owned(), fault);
    let mut found: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(unresolved)?.collect();
    // `localhost` has two addresses; what people type afterwards is the older.
    found.sort_by_key(SocketAddr::is_ipv6);
    found.first().copied().ok_or_else(unreadable)
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A server that was stopped a moment ago leaves connections in TIME-WAIT; on Windows the option means another thing.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Another port to try.
fn next_to(address: SocketAddr) -> SocketAddr {
    let port = match address.port() {
        u16::MAX => CROWDED_PORT,
        port => port + 1,
    };
    SocketAddr::new(address.ip(), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listen_address_is_an_address_and_a_port() {
        for text in ["127.0.0.1:0", "localhost:0", "[::1]:0", "0.0.0.0:0"] {
            assert!(address(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "5000",
            ":5000",
            "127.0.0.1",
            "localhost:",
            "localhost:70000",
            "::1:5000x",
            "a b:1",
            "http://x:1",
        ] {
            assert!(matches!(address(text), Err(ListenFault::Unreadable(_))), "{text}");
        }
    }

    #[test]
    fn a_taken_port_names_the_next_one() {
        let taken = bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let fault = bind(&format!("127.0.0.1:{port}")).unwrap_err().to_string();
        let next = next_to(taken.local_addr().unwrap());
        assert_eq!(
            fault,
            format!("port {port} of 127.0.0.1 is in use: try --listen {next}")
        );
    }
}

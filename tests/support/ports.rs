//! Free TCP ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

/// Returns a port that is currently free. Another process may take it before it is used, so code that starts a server
/// on it must retry with another port (see [`super::process::Process::start`]).
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

//! TCP ports on loopback that nobody listens on.

use std::net::{Ipv4Addr, TcpListener};

/// A port that was free a moment ago. Another process may take it before it is used: whoever starts a server on it
/// tries again with another one (see [`super::process::Process::start`]).
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

//! Finds free TCP ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

/// Returns a port that is currently free. Another process may start using this port before the test does. If
/// a server cannot start on the port, the test must therefore try another one (see
/// [`super::process::Process::start`]).
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

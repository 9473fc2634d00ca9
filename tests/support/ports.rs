//! Finds free TCP ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

/// Returns a port that is currently free. Another process may start using it before the test does, so a
/// server on this port must be started again with another port if that fails (see
/// [`super::process::Process::start`]).
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

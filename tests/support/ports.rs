//! Finds free TCP ports on loopback.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

/// The first of the [`COUNT`] ports that tests can use. All are below 32768, because Linux uses higher ports
/// for outgoing connections, which could take a port between the choice and its use.
const FIRST: u16 = 10_000;
const COUNT: u64 = 22_000;

/// The ports that this process has already chosen.
static CHOSEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// Returns a port that is currently free, and that no other test of this process gets. Another process might
/// start using the port before the test does. If a server cannot start on the port, the test must therefore
/// try another port (see [`super::process::Process::start`]).
pub fn free_port() -> u16 {
    loop {
        let offset = RandomState::new().hash_one(()) % COUNT;
        let port = FIRST + u16::try_from(offset).unwrap();
        let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        let mut chosen = CHOSEN.lock().unwrap();
        if is_free && chosen.get_or_insert_default().insert(port) {
            return port;
        }
    }
}

//! The portable fallback: nothing is known beyond what `std` reports.

use std::io::{self, PipeReader};
use std::net::IpAddr;

use socket2::{SockRef, Socket};

use super::{Awaited, Icmp, PacketCounts, Source};

/// Does nothing: ICMP errors cannot be asked for here.
pub fn ask_for_icmp(_socket: &Socket) {}

/// No ICMP error is ever known.
#[must_use]
pub fn next_icmp(_socket: &SockRef<'_>) -> Option<Icmp> {
    None
}

/// The number of SYNs is not known.
#[must_use]
pub fn syns_sent(_socket: &SockRef<'_>) -> Option<u32> {
    None
}

/// Nothing is known of the packets.
#[must_use]
pub fn packet_counts(_socket: &SockRef<'_>) -> Option<PacketCounts> {
    None
}

/// The neighbours are not known.
#[must_use]
pub fn is_neighbour_missing(_address: IpAddr) -> bool {
    false
}

/// Sends that the kernel itself refused are not counted.
#[must_use]
pub fn blocked_retransmissions() -> Option<u64> {
    None
}

/// Does nothing: who reads a key switches the terminal.
#[derive(Debug)]
pub struct Muted;

impl Muted {
    /// Never: the terminal stays as it is.
    #[must_use]
    pub fn raw(_input: &impl Source) -> Option<Self> {
        None
    }

    /// Never: the terminal stays as it is.
    #[must_use]
    pub fn new(_input: &impl Source) -> Option<Self> {
        None
    }
}

/// Does nothing: the keys stay.
pub fn drop_typed(_input: &impl Source) {}

/// Does not wait: who reads the key does.
///
/// # Errors
/// Never.
pub fn await_key(_input: &impl Source, _wake: &PipeReader) -> io::Result<Awaited> {
    Ok(Awaited::Key)
}

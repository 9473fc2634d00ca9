//! The fallback for other systems: nothing is known beyond what `std` reports.

use std::io::{self, PipeReader};

use socket2::{SockRef, Socket};

use super::{Awaited, Icmp, PacketCounts, Source};

pub(crate) fn queue_icmp_errors(_socket: &Socket) {}

pub(crate) fn next_icmp_error(_socket: &SockRef<'_>) -> Option<Icmp> {
    None
}

pub(crate) fn syns_sent(_socket: &SockRef<'_>) -> Option<u32> {
    None
}

pub(crate) fn packet_counts(_socket: &SockRef<'_>) -> Option<PacketCounts> {
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

//! The fallback for other systems, where only the information in `std` is available.

use socket2::{SockRef, Socket};

use super::{Icmp, PacketCounts};

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

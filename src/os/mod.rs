//! What only the kernel knows about a connection attempt, behind one portable face.
//!
//! The one module that may hold unsafe code; elsewhere than on Linux it knows nothing and says so. `--cfg portable`
//! has that on Linux too, which `scripts/test` compiles.

#[cfg(all(target_os = "linux", not(portable)))]
#[path = "linux.rs"]
mod kernel;
#[cfg(any(not(target_os = "linux"), portable))]
#[path = "other.rs"]
mod kernel;

pub(crate) use kernel::{
    Muted, ask_for_icmp, await_key, blocked_retransmissions, drop_typed, is_neighbour_missing, next_icmp,
    packet_counts, syns_sent,
};

use std::net::IpAddr;
/// What keys come from.
#[cfg(unix)]
pub(crate) use std::os::fd::AsFd as Source;
/// What keys come from.
#[cfg(windows)]
pub use std::os::windows::io::AsHandle as Source;

/// What ended a wait for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// The input can be read.
    Key,
    /// The wait was woken from elsewhere.
    Wake,
}

/// What the kernel knows of an open connection's packets (`tcp(7)`, TCP_INFO).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketCounts {
    /// Packets of ours that the peer's kernel has not acknowledged.
    pub unacknowledged: u32,
    /// Packets that arrived while earlier ones were missing.
    pub out_of_order: u32,
}

/// An ICMP error that the kernel queued for a socket (`ip(7)`, IP_RECVERR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Whether it is ICMPv6.
    pub v6: bool,
    /// ICMP type: 3 or, for ICMPv6, 1 is "destination unreachable".
    pub kind: u8,
    /// ICMP code: why.
    pub code: u8,
    /// Who sent it, where the kernel says so.
    pub from: Option<IpAddr>,
}

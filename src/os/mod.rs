//! Details about connections that only the kernel can report. This is the only module with unsafe code.
//!
//! On systems other than Linux, these functions return nothing. `--cfg portable` selects the same code on Linux.

#[cfg(all(target_os = "linux", not(portable)))]
#[path = "linux.rs"]
mod kernel;
#[cfg(any(not(target_os = "linux"), portable))]
#[path = "other.rs"]
mod kernel;

pub(crate) use kernel::{next_icmp_error, packet_counts, queue_icmp_errors, syns_sent};

use std::net::IpAddr;

/// Packet counts of an open connection (`tcp(7)`, TCP_INFO).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketCounts {
    /// Packets sent that the peer has not acknowledged.
    pub unacknowledged: u32,
    /// Packets received while an earlier one was missing.
    pub out_of_order: u32,
}

/// An ICMP error that the kernel queued for a socket (`ip(7)`, IP_RECVERR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Whether it is ICMPv6.
    pub v6: bool,
    /// ICMP type: 3 or, for ICMPv6, 1 is "destination unreachable".
    pub kind: u8,
    /// ICMP code: the reason.
    pub code: u8,
    /// The sender, if the kernel reports it.
    pub from: Option<IpAddr>,
}

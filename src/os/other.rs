//! The fallback for systems other than Linux, with only the information from `std`.

use std::net::ToSocketAddrs as _;

use socket2::{SockRef, Socket};

use super::{FoundHost, Icmp, PacketCounts};

pub(crate) fn queue_icmp_errors(_socket: &Socket) {}

pub(crate) fn next_icmp_error(_socket: &SockRef<'_>) -> Option<Icmp> {
    None
}

pub(crate) fn syns_sent(_socket: &SockRef<'_>) -> Option<u32> {
    None
}

pub(crate) fn retransmissions(_socket: &SockRef<'_>) -> Option<u32> {
    None
}

pub(crate) fn packet_counts(_socket: &SockRef<'_>) -> Option<PacketCounts> {
    None
}

/// Looks up a host name in the same way as applications do. This call blocks. An error is the
/// resolver's message.
pub(crate) fn look_up(host: &str) -> Result<FoundHost, String> {
    let found = (host, 0).to_socket_addrs().map_err(|error| {
        let text = error.to_string();
        text.trim_start_matches("failed to lookup address information: ")
            .to_owned()
    })?;
    Ok(FoundHost {
        addresses: found.map(|address| address.ip()).collect(),
        name: None,
    })
}

pub(crate) fn interface_index(_name: &str) -> Option<u32> {
    None
}

pub(crate) fn path_mtu(_socket: &SockRef<'_>) -> Option<u16> {
    None
}

pub(crate) fn open_file_limit() -> Option<u64> {
    None
}

#[cfg(unix)]
pub(crate) fn is_hangup_ignored() -> bool {
    false
}

/// Returns UTC, because `std` does not provide the time zone.
pub(crate) fn time_zone(_seconds: i64) -> (i64, String) {
    (0, "UTC".into())
}

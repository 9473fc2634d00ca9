//! System calls that `std` does not offer, such as connection details from the kernel and the C library's
//! name lookup. Ends the program with a message if memory runs out. Only this module contains unsafe code.
//!
//! On systems other than Linux, `other.rs` replaces `linux.rs`. It looks up names, but returns no
//! connection details. `--cfg portable` selects `other.rs` on Linux as well.

#[cfg(all(target_os = "linux", not(portable)))]
#[path = "linux.rs"]
mod kernel;
#[cfg(any(not(target_os = "linux"), portable))]
#[path = "other.rs"]
mod kernel;

#[cfg(unix)]
pub(crate) mod memory;

#[cfg(unix)]
pub(crate) use kernel::is_hangup_ignored;
pub(crate) use kernel::{
    interface_index, look_up, next_icmp_error, open_file_limit, packet_counts, path_mtu, queue_icmp_errors,
    retransmissions, syns_sent, time_zone,
};

use std::fs::File;
use std::net::IpAddr;

/// The result of the system's resolver for a host name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FoundHost {
    /// The addresses in the resolver's order, possibly with duplicates.
    pub addresses: Vec<IpAddr>,
    /// The canonical name, or `None` if unknown. This differs from the host name if the resolver used an
    /// alias (CNAME) or a search domain.
    pub name: Option<String>,
}

/// Whether this process can open `count` more files.
pub(crate) fn has_spare_files(count: usize) -> bool {
    let mut files = Vec::new();
    for _ in 0..count {
        match File::open("/dev/null") {
            Ok(file) if is_far_below_limit(&file) => return true,
            Ok(file) => files.push(file),
            Err(error) => return !is_file_limit(&error),
        }
    }
    true
}

/// Whether the process can open hundreds more files. `file` must be the file that was opened last. Its number
/// shows how many files are open, because the kernel assigns the lowest free number.
#[cfg(unix)]
fn is_far_below_limit(file: &File) -> bool {
    let number = u64::from(std::os::fd::AsRawFd::as_raw_fd(file).unsigned_abs());
    open_file_limit().is_some_and(|limit| number + 500 < limit)
}

#[cfg(not(unix))]
fn is_far_below_limit(_file: &File) -> bool {
    false
}

/// Whether the error means that too many files are open.
pub(crate) fn is_file_limit(error: &std::io::Error) -> bool {
    #[cfg(unix)]
    return matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
    #[cfg(not(unix))]
    return error.raw_os_error() == Some(4); // ERROR_TOO_MANY_OPEN_FILES
}

/// Packet counts of an open connection (`tcp(7)`, TCP_INFO).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketCounts {
    /// Packets sent that the peer has not acknowledged.
    pub unacknowledged: u32,
    /// Packets received while an earlier packet was missing.
    pub out_of_order: u32,
    /// Bytes that this host could not send, although the peer was ready to receive them. A local firewall or
    /// the network interface has dropped them.
    pub unsent_bytes: u32,
}

/// An ICMP error that the kernel queued for a socket (`ip(7)`, IP_RECVERR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Whether the error is an ICMPv6 message.
    pub v6: bool,
    /// The ICMP type. "Destination unreachable" is 3 or, for ICMPv6, 1.
    pub kind: u8,
    /// The ICMP code, which gives the reason for the error.
    pub code: u8,
    /// The sender, if the kernel reports the address.
    pub from: Option<IpAddr>,
}

/// Runs the command in its own session. The command then cannot ask for a password on the terminal, and its
/// whole process group can be stopped.
#[cfg(unix)]
pub(crate) fn run_in_own_session(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt as _;
    // SAFETY: setsid is async-signal-safe (POSIX), and the closure does nothing else.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(Into::into));
    }
}

/// Does nothing, because systems other than Unix have no sessions.
#[cfg(not(unix))]
pub(crate) fn run_in_own_session(_command: &mut std::process::Command) {}

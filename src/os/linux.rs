//! Linux system calls: TCP_INFO (`tcp(7)`), a socket's error queue (`ip(7)`, IP_RECVERR), `getaddrinfo(3)`,
//! `getrlimit(2)`, and others.
#![allow(unsafe_code)] // C library calls with structures that std does not have

use std::ffi::{CStr, CString};
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use libc::{c_int, c_void, socklen_t};
use socket2::{SockRef, Socket};

use super::{FoundHost, Icmp, PacketCounts};

/// Makes the kernel queue ICMP errors for the socket, so that [`next_icmp_error`] can return them.
///
/// If this fails, the error number is the only information about a failed connection attempt.
pub(crate) fn queue_icmp_errors(socket: &Socket) {
    let descriptor = socket.as_raw_fd();
    enable(descriptor, libc::IPPROTO_IP, libc::IP_RECVERR);
    enable(descriptor, libc::IPPROTO_IPV6, libc::IPV6_RECVERR);
}

fn enable(descriptor: RawFd, level: c_int, option: c_int) {
    let on: c_int = 1;
    // SAFETY: the option takes a c_int. The address and size are those of `on`, which outlives the call.
    unsafe {
        libc::setsockopt(
            descriptor,
            level,
            option,
            ptr::from_ref(&on).cast::<c_void>(),
            size_of::<c_int>() as socklen_t,
        );
    }
}

/// Removes and returns the next ICMP error in the socket's queue. During a connection attempt, an RST and
/// an ICMP message of type 3 and code 3 (port unreachable) both cause ECONNREFUSED, but only the ICMP message
/// is in the queue.
pub(crate) fn next_icmp_error(socket: &SockRef<'_>) -> Option<Icmp> {
    let mut control = [0_u64; 64];
    let mut payload = [0_u8; 256];
    let mut slice = libc::iovec {
        iov_base: payload.as_mut_ptr().cast::<c_void>(),
        iov_len: payload.len(),
    };
    // SAFETY: msghdr is plain data, and all zeros are a valid value.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut slice;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast::<c_void>();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: every pointer in the message points to a live buffer of the given length.
    let received = unsafe {
        libc::recvmsg(
            socket.as_raw_fd(),
            &raw mut message,
            libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
        )
    };
    if received < 0 {
        return None;
    }
    // SAFETY: the kernel has filled msg_control up to msg_controllen with well-formed headers, each followed by
    // a sock_extended_err and the sender's address. The buffer is aligned as u64 and still alive.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            let level = (*header).cmsg_level;
            let kind = (*header).cmsg_type;
            if (level, kind) == (libc::IPPROTO_IP, libc::IP_RECVERR)
                || (level, kind) == (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
            {
                let error = libc::CMSG_DATA(header).cast::<libc::sock_extended_err>();
                if let Some(icmp) = read_icmp(error) {
                    return Some(icmp);
                }
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    None
}

/// # Safety
/// `error` must point to a `sock_extended_err` that is followed by the sender's address.
unsafe fn read_icmp(error: *const libc::sock_extended_err) -> Option<Icmp> {
    // SAFETY: the caller guarantees the layout. Control data is aligned only for its header, so use read_unaligned.
    let (found, sender) = unsafe { (error.read_unaligned(), error.add(1)) };
    let v6 = match found.ee_origin {
        libc::SO_EE_ORIGIN_ICMP => false,
        libc::SO_EE_ORIGIN_ICMP6 => true,
        _ => return None,
    };
    // SAFETY: the address starts right after the error, and its family determines its length.
    let from = unsafe {
        match c_int::from(sender.cast::<libc::sa_family_t>().read_unaligned()) {
            libc::AF_INET => {
                let address = sender.cast::<libc::sockaddr_in>().read_unaligned();
                Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr))))
            }
            libc::AF_INET6 => {
                let address = sender.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr)))
            }
            _ => None,
        }
    };
    Some(Icmp {
        v6,
        kind: found.ee_type,
        code: found.ee_code,
        from,
    })
}

/// Returns how many SYNs an unanswered connection attempt has sent so far, or `None` if unknown.
pub(crate) fn syns_sent(socket: &SockRef<'_>) -> Option<u32> {
    tcp_info(socket).map(|info| info.tcpi_total_retrans + 1)
}

/// Returns the number of packets that an open connection has retransmitted, including SYNs.
pub(crate) fn retransmissions(socket: &SockRef<'_>) -> Option<u32> {
    // Do not count packets that the peer reports as duplicates (RFC 2883), because the originals were slow,
    // but not lost.
    tcp_info(socket).map(|info| info.tcpi_total_retrans.saturating_sub(info.tcpi_dsack_dups))
}

/// Returns the packet counts of an open connection. Kernels before 5.4 do not report out-of-order packets.
pub(crate) fn packet_counts(socket: &SockRef<'_>) -> Option<PacketCounts> {
    tcp_info(socket).map(|info| PacketCounts {
        unacknowledged: info.tcpi_unacked,
        out_of_order: info.tcpi_rcv_ooopack,
        // Unsent bytes may only be waiting for the peer: for acknowledgements of earlier packets, or
        // because the peer does not read its data. In the latter case, the time limited by the peer's window
        // is not zero.
        unsent_bytes: if info.tcpi_unacked == 0 && info.tcpi_rwnd_limited == 0 {
            info.tcpi_notsent_bytes
        } else {
            0
        },
    })
}

/// Returns the size in bytes of the largest IP packet that the kernel sends on an open connection.
pub(crate) fn path_mtu(socket: &SockRef<'_>) -> Option<u16> {
    tcp_info(socket).map(|info| u16::try_from(info.tcpi_pmtu).unwrap_or(u16::MAX))
}

fn tcp_info(socket: &SockRef<'_>) -> Option<libc::tcp_info> {
    // SAFETY: tcp_info is plain data, and all zeros are a valid value.
    let mut found: libc::tcp_info = unsafe { zeroed() };
    let mut length = size_of::<libc::tcp_info>() as socklen_t;
    // SAFETY: the buffer has the given length, and the kernel writes no more than that.
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            ptr::from_mut(&mut found).cast::<c_void>(),
            &raw mut length,
        )
    };
    (status == 0).then_some(found)
}

/// Looks up a host name in the same way as applications do. This call blocks. An error is the
/// resolver's message.
pub(crate) fn look_up(host: &str) -> Result<FoundHost, String> {
    let name = CString::new(host).map_err(|_| "the name contains a NUL character".to_owned())?;
    // SAFETY: addrinfo is plain data, and all zeros are valid hints.
    let mut hints: libc::addrinfo = unsafe { zeroed() };
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_flags = libc::AI_CANONNAME;
    let mut first: *mut libc::addrinfo = ptr::null_mut();
    // SAFETY: the name is a C string, and all pointers outlive the call.
    let status = unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &raw const hints, &raw mut first) };
    match status {
        0 => {}
        libc::EAI_SYSTEM => return Err(io::Error::last_os_error().to_string()),
        // SAFETY: gai_strerror returns a constant C string for every code.
        code => {
            return Err(unsafe { CStr::from_ptr(libc::gai_strerror(code)) }
                .to_string_lossy()
                .into_owned());
        }
    }
    let mut found = FoundHost::default();
    let mut next = first;
    while !next.is_null() {
        // SAFETY: getaddrinfo returned a list of valid entries, which ends with a null pointer. The family determines
        // the type of the address.
        unsafe {
            let entry = &*next;
            let address = match entry.ai_family {
                libc::AF_INET => {
                    let address = entry.ai_addr.cast::<libc::sockaddr_in>().read_unaligned();
                    Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr))))
                }
                libc::AF_INET6 => {
                    let address = entry.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned();
                    Some(IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr)))
                }
                _ => None,
            };
            found.addresses.extend(address);
            if !entry.ai_canonname.is_null() {
                found.name = Some(CStr::from_ptr(entry.ai_canonname).to_string_lossy().into_owned());
            }
            next = entry.ai_next;
        }
    }
    // SAFETY: the list came from getaddrinfo and is not used any more.
    unsafe { libc::freeaddrinfo(first) };
    Ok(found)
}

/// Returns the index of a network interface, or `None` if there is none with this name.
pub(crate) fn interface_index(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name is a C string that outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// Returns the maximum number of open files of this process, or `None` if unknown.
pub(crate) fn open_file_limit() -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes only this structure.
    let status = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    (status == 0).then_some(limit.rlim_cur)
}

/// Whether the process ignored SIGHUP from its start, for example because of `nohup`.
pub(crate) fn is_hangup_ignored() -> bool {
    // SAFETY: sigaction is plain data, and all zeros are a valid value.
    let mut current: libc::sigaction = unsafe { zeroed() };
    // SAFETY: without a new action, the call only writes the current one.
    let status = unsafe { libc::sigaction(libc::SIGHUP, ptr::null(), &raw mut current) };
    status == 0 && current.sa_sigaction == libc::SIG_IGN
}

/// Returns the time zone of this process as an offset from UTC in seconds, and a name. `seconds` is a time in
/// seconds since 1970.
pub(crate) fn time_zone(seconds: i64) -> (i64, String) {
    let seconds = seconds as libc::time_t;
    // SAFETY: tm is plain data, and all zeros are a valid value.
    let mut local: libc::tm = unsafe { zeroed() };
    // SAFETY: both pointers are valid, and localtime_r is thread-safe. tm_zone points to memory that is never freed.
    unsafe {
        if libc::localtime_r(&raw const seconds, &raw mut local).is_null() || local.tm_zone.is_null() {
            return (0, "UTC".into());
        }
        let zone = std::ffi::CStr::from_ptr(local.tm_zone);
        (local.tm_gmtoff as i64, zone.to_string_lossy().into_owned())
    }
}

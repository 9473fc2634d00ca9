//! Checks the TCP connection. Tries all addresses, and records each result. The attempts start 100 ms apart.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpStream;

use crate::deadline::Deadline;
use crate::os;
use crate::ping::observation::{Dial, DialResult, Endpoint, ErrorSource};
use crate::ping::this_host;
use crate::redis_client::Stream;

/// The time between the starts of two attempts. RFC 8305 ("Connection Attempt Delay") allows 100 ms to 2 s.
const STAGGER: Duration = Duration::from_millis(100);
/// If an attempt succeeds, the other attempts end at the latest this long after the start of the first
/// attempt, or after a third of the timeout if that is shorter.
const GRACE: Duration = Duration::from_secs(1);

/// Tries to connect to every address, and uses the first connection. The other attempts may continue until
/// [`GRACE`] has passed since the start, so that the report can include their results.
///
/// Returns the stream with its address, and all attempts in the order of `addresses`.
pub(crate) async fn observe(
    addresses: &[SocketAddr],
    deadline: Deadline,
) -> (Option<(Stream, SocketAddr)>, Vec<Dial>) {
    // An attempt without a reply must end before the deadline, so that it can be recorded.
    let each_until = deadline.within(deadline.left().mul_f64(0.98));
    let others_until = deadline.within(GRACE.min(deadline.span() / 3));
    let started = Instant::now();
    let staggered = |(address, number): (&SocketAddr, u32)| {
        let address = *address;
        async move {
            deadline.sleep(STAGGER.saturating_mul(number)).await;
            (address, dial(address, SegmentSize::Default, each_until).await)
        }
    };
    let mut attempts: FuturesUnordered<_> = addresses.iter().zip(0..).map(staggered).collect();
    let mut dials = HashMap::new();
    let mut connected = None;
    loop {
        let until = if connected.is_some() {
            others_until
        } else {
            deadline
        };
        let Ok(Some((address, (stream, dial)))) = until.bound(attempts.next()).await else {
            break;
        };
        dials.insert(address, dial);
        if let (None, Some(stream)) = (&connected, stream) {
            connected = Some((Stream::Tcp(stream), address));
        }
    }
    let dial_or_timeout = |address: &SocketAddr| {
        dials.remove(address).unwrap_or_else(|| Dial {
            to: Endpoint::Ip(*address),
            result: DialResult::Timeout { syns: None },
            took: started.elapsed(),
        })
    };
    let dials = addresses.iter().map(dial_or_timeout).collect();
    (connected, dials)
}

/// The maximum size of a connection's TCP segments in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentSize {
    /// The system's default size.
    Default,
    /// A size that is small enough for every path.
    Small,
    /// A size of at most this many bytes.
    AtMost(u16),
}

/// The segment size that every host must accept (RFC 9293, 3.7.1).
const SMALL_SEGMENT: u32 = 536;

impl SegmentSize {
    fn limit(self) -> Option<u32> {
        match self {
            Self::Default => None,
            Self::Small => Some(SMALL_SEGMENT),
            Self::AtMost(bytes) => Some(bytes.into()),
        }
    }
}

/// Makes one connection attempt, and returns the stream and the result.
pub(crate) async fn dial(
    address: SocketAddr,
    segments: SegmentSize,
    deadline: Deadline,
) -> (Option<TcpStream>, Dial) {
    let started = Instant::now();
    let (stream, result) = match attempt(address, segments, deadline).await {
        Ok(stream) => (Some(stream), DialResult::Connected),
        Err(result) => (None, result),
    };
    (
        stream,
        Dial {
            to: Endpoint::Ip(address),
            result,
            took: started.elapsed(),
        },
    )
}

async fn attempt(
    address: SocketAddr,
    segments: SegmentSize,
    deadline: Deadline,
) -> Result<TcpStream, DialResult> {
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).map_err(|error| {
            // Every kernel supports IPv4, so a sandbox denies it.
            if address.is_ipv4() && is_missing_family(&error) {
                DialResult::Prohibited(ErrorSource::ThisHost(errno_text(&error)))
            } else {
                local_failure(&error)
            }
        })?;
    os::queue_icmp_errors(&socket);
    #[cfg(unix)]
    if let Some(bytes) = segments.limit() {
        // If the system rejects the size, the experiment uses the default size and shows nothing new.
        let _ = socket.set_tcp_mss(bytes);
    }
    socket
        .set_nonblocking(true)
        .map_err(|error| local_failure(&error))?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if is_in_progress(&error) => {}
        // Without a source address, for example if IPv6 is disabled, the error is the same, so check that
        // there is one.
        Err(error) if is_port_missing(&error) && this_host::source_for(address.ip()).is_some() => {
            return Err(DialResult::NoLocalPort);
        }
        // A neighbour that does not answer causes the same error, but only after some time.
        Err(error) if error.kind() == io::ErrorKind::HostUnreachable => {
            return Err(DialResult::RejectedByRoute);
        }
        Err(error) => return Err(failure(&SockRef::from(&socket), &error)),
    }
    let stream = TcpStream::from_std(socket.into()).map_err(|error| local_failure(&error))?;
    if deadline.bound(stream.writable()).await.is_err() {
        if this_host::is_arp_unanswered(address.ip()) {
            return Err(DialResult::NoNeighbour);
        }
        return Err(DialResult::Timeout {
            syns: os::syns_sent(&SockRef::from(&stream)),
        });
    }
    // Reading SO_ERROR clears the error, so it is read only here.
    match stream.take_error() {
        Ok(None) => {
            // Nagle's algorithm would delay small commands.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        // This error means that the peer accepted the connection, and then closed or reset it. The stream can
        // still be read. An RST in reply to the SYN would be reported as "refused".
        Ok(Some(error)) if was_accepted(&error) => Ok(stream),
        Ok(Some(error)) | Err(error) => Err(failure(&SockRef::from(&stream), &error)),
    }
}

#[cfg(unix)]
pub(crate) async fn observe_unix(path: &Path, deadline: Deadline) -> (Option<Stream>, Dial) {
    let started = Instant::now();
    let (stream, result) = match deadline.bound(tokio::net::UnixStream::connect(path)).await {
        Ok(Ok(stream)) => (Some(Stream::Unix(stream)), DialResult::Connected),
        Ok(Err(error)) => (None, unix_result(path, &error)),
        Err(_) => (None, DialResult::Timeout { syns: None }),
    };
    (
        stream,
        Dial {
            to: Endpoint::Named(path.display().to_string()),
            result,
            took: started.elapsed(),
        },
    )
}

/// Fails, because this system has no unix sockets.
#[cfg(not(unix))]
pub(crate) async fn observe_unix(path: &Path, _deadline: Deadline) -> (Option<Stream>, Dial) {
    let result = DialResult::Other("this system has no unix sockets".into());
    (
        None,
        Dial {
            to: Endpoint::Named(path.display().to_string()),
            result,
            took: Duration::ZERO,
        },
    )
}

#[cfg(unix)]
fn unix_result(path: &Path, error: &io::Error) -> DialResult {
    use std::os::unix::fs::FileTypeExt as _;
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => DialResult::NoSocket("no such file"),
        // For a file that is not a socket, the kernel reports the same error as for a socket without a
        // listener.
        io::ErrorKind::ConnectionRefused => match std::fs::metadata(path).map(|file| file.file_type()) {
            Ok(found) if found.is_dir() => DialResult::NoSocket("this is the path of a directory"),
            Ok(found) if !found.is_socket() => {
                DialResult::NoSocket("the file with this path is not a socket")
            }
            _ => DialResult::Refused,
        },
        _ if error.raw_os_error() == Some(libc::EPROTOTYPE) => {
            DialResult::NoSocket("the socket is of a type that accepts no connections")
        }
        io::ErrorKind::PermissionDenied => DialResult::Prohibited(ErrorSource::ThisHost(errno_text(error))),
        _ if os::is_file_limit(error) => DialResult::TooManyFiles,
        // The listener's queue is full, because the server is stuck.
        io::ErrorKind::WouldBlock => DialResult::Timeout { syns: None },
        _ => DialResult::Other(errno_text(error)),
    }
}

fn is_in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    let pending = error.raw_os_error() == Some(libc::EINPROGRESS);
    #[cfg(not(unix))]
    let pending = false;
    pending || error.kind() == io::ErrorKind::WouldBlock
}

fn is_port_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
}

fn was_accepted(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn failure(socket: &SockRef<'_>, error: &io::Error) -> DialResult {
    if let Some(icmp) = os::next_icmp_error(socket) {
        return if is_prohibited(icmp) {
            DialResult::Prohibited(ErrorSource::Icmp(icmp))
        } else {
            DialResult::Unreachable(ErrorSource::Icmp(icmp))
        };
    }
    local_failure(error)
}

/// Interprets the error of a connection attempt without an ICMP error. The error comes from this host, or
/// from an RST.
fn local_failure(error: &io::Error) -> DialResult {
    use io::ErrorKind as Kind;
    match error.kind() {
        _ if os::is_file_limit(error) => DialResult::TooManyFiles,
        Kind::ConnectionRefused => DialResult::Refused,
        Kind::PermissionDenied => DialResult::Prohibited(ErrorSource::ThisHost(errno_text(error))),
        Kind::NetworkUnreachable | Kind::AddrNotAvailable => DialResult::NoRoute,
        Kind::HostUnreachable => DialResult::Unreachable(ErrorSource::ThisHost(errno_text(error))),
        Kind::TimedOut => DialResult::Timeout { syns: None },
        Kind::InvalidInput => DialResult::Discarded,
        _ if is_missing_family(error) => DialResult::NoRoute,
        _ => DialResult::Other(errno_text(error)),
    }
}

fn is_missing_family(error: &io::Error) -> bool {
    #[cfg(unix)]
    return error.raw_os_error() == Some(libc::EAFNOSUPPORT);
    #[cfg(not(unix))]
    return error.kind() == io::ErrorKind::Unsupported;
}

/// Whether firewalls send this ICMP error (RFC 792; RFC 1812, 5.2.7.1; RFC 4443, 3.1).
fn is_prohibited(icmp: os::Icmp) -> bool {
    if icmp.v6 {
        // 1 administratively prohibited, 4 port unreachable, 5 source address policy, 6 reject route
        icmp.kind == 1 && matches!(icmp.code, 1 | 4 | 5 | 6)
    } else {
        // 2 and 3 protocol and port unreachable, 9 and 10 network and host administratively prohibited,
        // 13 communication prohibited
        icmp.kind == 3 && matches!(icmp.code, 2 | 3 | 9 | 10 | 13)
    }
}

/// Returns the system's error message without the error number.
pub(in crate::ping) fn errno_text(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

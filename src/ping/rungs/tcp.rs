//! The TCP rung: dials every address, 100 ms apart, and notes how each attempt ended.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::deadline::Deadline;
use crate::os;
use crate::ping::observation::{Dial, DialResult, Endpoint, ErrorSource};
use crate::redis_client::Stream;

/// Between the starts of two attempts (RFC 8305, "Connection Attempt Delay", allows 100 ms to 2 s).
const STAGGER: Duration = Duration::from_millis(100);
/// What the other addresses get, at most, once one is connected.
const GRACE: Duration = Duration::from_secs(1);

/// Dials every address; the first to connect serves, the others have until a second or a third of the time.
///
/// Returns the stream with the address that serves, and the attempts in the order of `addresses`.
pub(crate) async fn observe(
    addresses: &[SocketAddr],
    deadline: Deadline,
) -> (Option<(Stream, SocketAddr)>, Vec<Dial>) {
    if let [address] = addresses {
        let (stream, dial) = dial(*address, deadline).await;
        return (stream.map(|stream| (Stream::Tcp(stream), *address)), vec![dial]);
    }
    // Each attempt must have told what it knows of its silence before the time is over.
    let each_until = deadline.within(deadline.left().mul_f64(0.98));
    let others_until = deadline.within(GRACE.min(deadline.span() / 3));
    let (report, mut ended) = mpsc::unbounded_channel();
    let mut attempts = JoinSet::new();
    for (index, address) in addresses.iter().copied().enumerate() {
        let report = report.clone();
        attempts.spawn(async move {
            let stagger = u32::try_from(index).unwrap_or(u32::MAX);
            deadline.sleep(STAGGER.saturating_mul(stagger)).await;
            // Whoever listens may have what it needs already: then nobody misses the report.
            let _ = report.send((index, dial(address, each_until).await));
        });
    }
    drop(report);
    let mut dials: Vec<Option<Dial>> = vec![None; addresses.len()];
    let mut serving = None;
    let started = Instant::now();
    loop {
        let until = if serving.is_some() { others_until } else { deadline };
        let Ok(Some((index, (stream, dial)))) = until.bound(ended.recv()).await else {
            break;
        };
        dials[index] = Some(dial);
        if serving.is_none() {
            serving = stream.map(|stream| (Stream::Tcp(stream), addresses[index]));
        }
    }
    let unanswered = |address: SocketAddr| Dial {
        to: Endpoint::Ip(address),
        result: DialResult::Timeout { syns: None },
        took: started.elapsed(),
    };
    let dials = dials
        .into_iter()
        .zip(addresses)
        .map(|(dial, address)| dial.unwrap_or_else(|| unanswered(*address)));
    (serving, dials.collect())
}

/// One connection attempt, with everything that the kernel knows of its end.
pub(crate) async fn dial(address: SocketAddr, deadline: Deadline) -> (Option<TcpStream>, Dial) {
    dial_in(Segments::Usual, address, deadline).await
}

/// How large the packets of a connection may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segments {
    /// As large as the interface allows.
    Usual,
    /// So small that every path carries them: both ends keep to it.
    Small,
}

/// The segment size that goes with the smallest packet that every host takes (RFC 9293, 3.7.1).
const SMALL_SEGMENT: u32 = 536;

/// One connection attempt, in packets of that size.
pub(crate) async fn dial_in(
    segments: Segments,
    address: SocketAddr,
    deadline: Deadline,
) -> (Option<TcpStream>, Dial) {
    let started = Instant::now();
    let (stream, result) = match attempt(segments, address, deadline).await {
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
    segments: Segments,
    address: SocketAddr,
    deadline: Deadline,
) -> Result<TcpStream, DialResult> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
        .map_err(|error| local(&error))?;
    os::ask_for_icmp(&socket);
    #[cfg(unix)]
    if segments == Segments::Small {
        // Where the system refuses, the packets are of the usual size: the experiment then shows nothing new.
        let _ = socket.set_tcp_mss(SMALL_SEGMENT);
    }
    socket.set_nonblocking(true).map_err(|error| local(&error))?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if is_under_way(&error) => {}
        Err(error) => return Err(ended(&SockRef::from(&socket), &error)),
    }
    let stream = TcpStream::from_std(socket.into()).map_err(|error| local(&error))?;
    if deadline.bound(stream.writable()).await.is_err() {
        if os::is_neighbour_missing(address.ip()) {
            return Err(DialResult::NoNeighbour);
        }
        return Err(DialResult::Timeout {
            syns: os::syns_sent(&SockRef::from(&stream)),
        });
    }
    // SO_ERROR clears itself when read: this is the one place that reads it.
    match stream.take_error() {
        Ok(None) => {
            // A reply of a few bytes must not wait for another to fill its packet.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        // A RST in answer to a SYN reads "refused": this peer had accepted, and ended it before we looked.
        Ok(Some(error)) if was_accepted(&error) => Ok(stream),
        Ok(Some(error)) | Err(error) => Err(ended(&SockRef::from(&stream), &error)),
    }
}

/// Connects to a unix socket.
#[cfg(unix)]
pub(crate) async fn observe_unix(path: &Path, deadline: Deadline) -> (Option<Stream>, Dial) {
    let started = Instant::now();
    let (stream, result) = match deadline.bound(tokio::net::UnixStream::connect(path)).await {
        Ok(Ok(stream)) => (Some(Stream::Unix(stream)), DialResult::Connected),
        Ok(Err(error)) => (None, unix_result(&error)),
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

/// There are no unix sockets here.
#[cfg(not(unix))]
pub async fn observe_unix(path: &Path, _deadline: Deadline) -> (Option<Stream>, Dial) {
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
fn unix_result(error: &io::Error) -> DialResult {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::ConnectionRefused => {
            DialResult::Refused
        }
        // A socket of datagrams: nobody takes connections there.
        _ if error.raw_os_error() == Some(libc::EPROTOTYPE) => DialResult::Refused,
        io::ErrorKind::PermissionDenied => DialResult::Prohibited(ErrorSource::ThisHost(words(error))),
        // The queue of the listener is full: a stuck server.
        io::ErrorKind::WouldBlock => DialResult::Timeout { syns: None },
        _ => DialResult::Other(words(error)),
    }
}

fn is_under_way(error: &io::Error) -> bool {
    #[cfg(unix)]
    let pending = error.raw_os_error() == Some(libc::EINPROGRESS);
    #[cfg(not(unix))]
    let pending = false;
    pending || error.kind() == io::ErrorKind::WouldBlock
}

fn was_accepted(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn ended(socket: &SockRef<'_>, error: &io::Error) -> DialResult {
    if let Some(icmp) = os::next_icmp(socket) {
        return if says_prohibited(icmp) {
            DialResult::Prohibited(ErrorSource::Icmp(icmp))
        } else {
            DialResult::Unreachable(ErrorSource::Icmp(icmp))
        };
    }
    local(error)
}

/// Without an ICMP error in the queue the errno is this host's own word, or a RST's.
fn local(error: &io::Error) -> DialResult {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => DialResult::Refused,
        Kind::PermissionDenied => DialResult::Prohibited(ErrorSource::ThisHost(words(error))),
        Kind::NetworkUnreachable | Kind::AddrNotAvailable => DialResult::NoRoute,
        Kind::HostUnreachable => DialResult::Unreachable(ErrorSource::ThisHost(words(error))),
        Kind::TimedOut => DialResult::Timeout { syns: None },
        _ if is_missing_family(error) => DialResult::NoRoute,
        _ => DialResult::Other(words(error)),
    }
}

fn is_missing_family(error: &io::Error) -> bool {
    #[cfg(unix)]
    return error.raw_os_error() == Some(libc::EAFNOSUPPORT);
    #[cfg(not(unix))]
    return error.kind() == io::ErrorKind::Unsupported;
}

/// Codes by which a firewall says no: RFC 792, RFC 1812 5.2.7.1; RFC 4443 3.1.
fn says_prohibited(icmp: os::Icmp) -> bool {
    if icmp.v6 {
        // 1 administratively prohibited, 4 port unreachable, 5 source address policy, 6 reject route
        icmp.kind == 1 && matches!(icmp.code, 1 | 4 | 5 | 6)
    } else {
        // 2 and 3 protocol and port unreachable, 9 and 10 network and host administratively prohibited,
        // 13 communication prohibited
        icmp.kind == 3 && matches!(icmp.code, 2 | 3 | 9 | 10 | 13)
    }
}

/// The system's words, without its number for them.
pub(in crate::ping) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

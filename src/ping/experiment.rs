//! The second connection: what tells causes apart that look alike on the first.

use std::net::SocketAddr;
use std::time::Duration;

use redis::cmd;

use super::response::Response;

use super::observation::{Experiment, TlsResult};
use super::rungs::tcp::Segments;
use super::rungs::{auth, tcp, tls};
use crate::deadline::Deadline;
use crate::redis_client::{Connection, Stream};
use crate::redis_url::Trust;

/// How long a server that speaks first is listened to before we speak.
const BANNER: Duration = Duration::from_millis(120);
/// How long the inside of a TLS session is listened to.
const INSIDE: Duration = Duration::from_millis(700);

/// Sends a plain PING to a port that was asked for TLS, after listening for a banner.
pub(crate) async fn plain_ping(address: SocketAddr, deadline: Deadline) -> Experiment {
    let (Some(stream), _) = tcp::dial(address, deadline).await else {
        return Experiment::NotConnected;
    };
    Experiment::PlainPing(listen_and_ping(Stream::Tcp(stream), deadline).await)
}

/// The same inside a TLS session of its own, where one can be made.
pub(crate) async fn ping_inside(
    address: SocketAddr,
    host: &str,
    trust: &Trust,
    deadline: Deadline,
) -> Option<Experiment> {
    let (stream, _) = tcp::dial(address, deadline).await;
    let (stream, _) = tls::observe(stream?, host, trust, deadline).await;
    Some(Experiment::PlainPing(listen_and_ping(stream?, deadline).await))
}

async fn listen_and_ping(stream: Stream, deadline: Deadline) -> Response {
    let mut connection = Connection::new(stream);
    match auth::listen(&mut connection, deadline.within(BANNER)).await {
        Response::Timeout(received) if received.is_empty() => {}
        // It has begun to speak, and is slow.
        Response::Timeout(_) => return auth::listen(&mut connection, deadline).await,
        heard => return heard,
    }
    auth::ask(&mut connection, &cmd("PING"), deadline).await
}

/// Sends a TLS hello to a port that was asked for plain RESP; where the handshake is done, a PING inside it.
///
/// In small packets: where large ones are lost on the way, the question is still whether TLS is spoken.
pub(crate) async fn tls_hello(address: SocketAddr, host: &str, deadline: Deadline) -> Experiment {
    let (Some(stream), _) = tcp::dial_in(Segments::Small, address, deadline).await else {
        return Experiment::NotConnected;
    };
    let (stream, result) = tls::hello(stream, host, deadline).await;
    let inside = match stream {
        Some(stream) => {
            let mut connection = Connection::new(stream);
            Some(auth::ask(&mut connection, &cmd("PING"), deadline.within(INSIDE)).await)
        }
        None => None,
    };
    Experiment::ClientHello { result, inside }
}

/// Whether the bytes begin as an alert or a handshake record of TLS does (RFC 8446, 5.1).
#[must_use]
pub(crate) fn looks_like_tls(received: &[u8]) -> bool {
    matches!(received, [0x15 | 0x16, 0x03, ..])
}

/// Tries a handshake in small packets, once the usual one has been silent for `silence`.
pub(crate) async fn small_packet_handshake(
    address: SocketAddr,
    host: &str,
    silence: Duration,
    deadline: Deadline,
) -> Option<TlsResult> {
    deadline.sleep(silence).await;
    let (stream, _) = tcp::dial_in(Segments::Small, address, deadline).await;
    let (_, result) = tls::hello(stream?, host, deadline).await;
    Some(result)
}

impl Experiment {
    /// Whether it proves which of the two the port speaks, so that the first connection need not be waited for.
    #[must_use]
    pub fn is_decisive(&self) -> bool {
        match self {
            Self::PlainPing(Response::Reply(_)) => true,
            // An answer in TLS, even to plain text, is no reason to give the handshake up.
            Self::PlainPing(Response::NotResp(received)) => !looks_like_tls(received),
            Self::ClientHello { result, .. } => result.is_tls(),
            _ => false,
        }
    }
}

impl TlsResult {
    /// Whether the peer has answered in TLS, well or badly.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        !matches!(
            self,
            Self::NotTls | Self::Closed | Self::TimedOut | Self::Unusable(_) | Self::BadName(_)
        )
    }
}

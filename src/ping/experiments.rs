//! Experiments on a second connection, which distinguish causes that look alike on the first.
//!
//! An experiment runs concurrently with the rung it explains. It never replaces the rung, and never outlives it.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use redis::cmd;

use super::observation::{Experiment, TlsResult, WiderOffer};
use super::response::{Response, ask, items, receive, text};
use super::rungs::tcp::SegmentSize;
use super::rungs::{tcp, tls};
use crate::deadline::Deadline;
use crate::redis_client::{ProbeConnection, Stream};
use crate::redis_url::Trust;

/// How long to listen for a banner before sending anything.
const BANNER: Duration = Duration::from_millis(120);
/// How long to wait for a reply inside TLS, once the handshake has shown that the server speaks TLS.
const INSIDE_TLS: Duration = Duration::from_millis(700);

/// How long a rung waits for a reply before experiments start: a quarter of the remaining time.
pub(super) fn patience(deadline: Deadline) -> Duration {
    deadline.span() / 4
}

/// Runs both futures concurrently until `work` is done. `side` is cancelled if it has not finished by then.
pub(super) async fn with_side_task<T, S>(
    work: impl Future<Output = T>,
    side: impl Future<Output = S>,
) -> (T, Option<S>) {
    tokio::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => (done, None),
        result = side => (work.await, Some(result)),
    }
}

/// Waits for `rung`. After [`patience`], `experiment` starts and runs concurrently.
///
/// If the rung ends first, the experiment is cancelled. A decisive experiment cancels the rung: its result is `None`.
pub(super) async fn with_experiment<T>(
    rung: impl Future<Output = T>,
    experiment: impl Future<Output = Experiment>,
    deadline: Deadline,
) -> (Option<T>, Option<Experiment>) {
    tokio::pin!(rung);
    if let Ok(done) = deadline.within(patience(deadline)).bound(&mut rung).await {
        return (Some(done), None);
    }
    tokio::pin!(experiment);
    tokio::select! {
        biased;
        done = &mut rung => (Some(done), None),
        result = &mut experiment => {
            if result.is_decisive() { (None, Some(result)) } else { (Some(rung.await), Some(result)) }
        }
    }
}

/// Sends a plain PING to a port where the URL expects TLS, after listening for a banner.
pub(super) async fn plain_ping(address: SocketAddr, deadline: Deadline) -> Experiment {
    let (Some(stream), _) = tcp::dial(address, SegmentSize::Default, deadline).await else {
        return Experiment::NotConnected;
    };
    Experiment::PlainPing(listen_and_ping(Stream::Tcp(stream), deadline).await)
}

/// Like [`plain_ping`], but inside TLS. Returns `None` if no TLS session can be established.
pub(super) async fn ping_inside_tls(
    address: SocketAddr,
    host: &str,
    trust: &Trust,
    deadline: Deadline,
) -> Option<Experiment> {
    let (stream, _) = tcp::dial(address, SegmentSize::Default, deadline).await;
    let (stream, _) = tls::observe(stream?, host, trust, deadline).await;
    Some(Experiment::PlainPing(listen_and_ping(stream?, deadline).await))
}

async fn listen_and_ping(stream: Stream, deadline: Deadline) -> Response {
    let mut connection = ProbeConnection::new(stream);
    match receive(&mut connection, deadline.within(BANNER)).await {
        Response::Timeout(received) if received.is_empty() => {}
        // The first part of a banner has arrived, so wait for the rest.
        Response::Timeout(_) => return receive(&mut connection, deadline).await,
        banner => return banner,
    }
    ask(&mut connection, &cmd("PING"), deadline).await
}

/// Sends a ClientHello to a port where the URL expects plain RESP and, if the handshake completes, a PING inside TLS.
///
/// Uses small packets, so that the result does not depend on the path's MTU.
pub(super) async fn client_hello(address: SocketAddr, host: &str, deadline: Deadline) -> Experiment {
    let (Some(stream), _) = tcp::dial(address, SegmentSize::Small, deadline).await else {
        return Experiment::NotConnected;
    };
    let (stream, result) = tls::handshake_unverified(stream, host, deadline).await;
    let inside = match stream {
        Some(stream) => {
            let mut connection = ProbeConnection::new(stream);
            Some(ask(&mut connection, &cmd("PING"), deadline.within(INSIDE_TLS)).await)
        }
        None => None,
    };
    Experiment::ClientHello { result, inside }
}

/// Waits for `delay`, then tries a handshake in small packets: if it completes, the path drops large ones.
pub(super) async fn small_packet_handshake(
    address: SocketAddr,
    host: &str,
    delay: Duration,
    deadline: Deadline,
) -> Option<TlsResult> {
    deadline.sleep(delay).await;
    let (stream, _) = tcp::dial(address, SegmentSize::Small, deadline).await;
    let (_, result) = tls::handshake_unverified(stream?, host, deadline).await;
    Some(result)
}

/// Offers more than the first ClientHello did, to find out what the server requires.
pub(super) async fn wider_offer(
    address: SocketAddr,
    name: &str,
    clock: i64,
    deadline: Deadline,
) -> Option<WiderOffer> {
    let mut offer = tls::wider_offer(address, name, clock, deadline).await?;
    if offer.certificate.is_none() {
        // In TLS 1.3 the certificate is encrypted, so it takes a handshake to see it.
        let (stream, _) = tcp::dial(address, SegmentSize::Default, deadline).await;
        if let Some(stream) = stream {
            let chain = tls::unverified_chain(stream, name, deadline).await;
            offer.certificate = chain.into_iter().next();
        }
    }
    Some(offer)
}

/// Asks Redis for its clock, on a connection whose certificate is not verified: seconds ahead of this host's.
pub(super) async fn server_clock_ahead(address: SocketAddr, name: &str, deadline: Deadline) -> Option<i64> {
    let (stream, _) = tcp::dial(address, SegmentSize::Default, deadline).await;
    let (stream, _) = tls::handshake_unverified(stream?, name, deadline).await;
    let mut connection = ProbeConnection::new(stream?);
    let Response::Reply(reply) = ask(&mut connection, &cmd("TIME"), deadline.within(INSIDE_TLS)).await else {
        return None;
    };
    let seconds: i64 = items(Some(&reply)).first().and_then(text)?.parse().ok()?;
    Some(seconds.saturating_sub(tls::clock()))
}

/// Whether the bytes begin like a TLS alert or handshake record (RFC 8446, 5.1).
pub(super) fn looks_like_tls(received: &[u8]) -> bool {
    matches!(received, [0x15 | 0x16, 0x03, ..])
}

impl Experiment {
    /// Whether this proves which protocol the server speaks. If so, there is no need to wait for the first
    /// connection.
    pub(super) fn is_decisive(&self) -> bool {
        match self {
            Self::PlainPing(Response::Reply(_)) => true,
            // A TLS server may send an alert in reply to plain text, but the handshake may still complete.
            Self::PlainPing(Response::NotResp(received)) => !looks_like_tls(received),
            Self::ClientHello { result, .. } => result.is_tls(),
            _ => false,
        }
    }
}

impl TlsResult {
    /// Whether the peer sent TLS, successful or not.
    pub(super) fn is_tls(&self) -> bool {
        !matches!(
            self,
            Self::NotTls | Self::Closed | Self::TimedOut | Self::Unusable(_) | Self::BadName(_)
        )
    }
}

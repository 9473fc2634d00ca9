//! What a server sends on its own, and what it replies to a PING that is not encrypted.

use std::net::SocketAddr;
use std::time::Duration;

use redis::cmd;

use crate::deadline::Deadline;
use crate::ping::observation::Experiment;
use crate::ping::response::{Response, ask, receive};
use crate::ping::rungs::tcp::{self, SegmentSize};
use crate::redis_client::{ProbeConnection, Stream};

/// How long to listen for a banner before we send anything.
pub(super) const BANNER: Duration = Duration::from_millis(120);

/// Whether to listen for a banner first: a server may send an error and close, and data that we send would discard it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::ping) enum Banner {
    Listen,
    Skip,
}

/// Sends a plain PING to a port where the URL expects TLS, after listening for a banner.
pub(in crate::ping) async fn plain_ping(address: SocketAddr, deadline: Deadline) -> Experiment {
    let (Some(stream), _) = tcp::dial(address, SegmentSize::Default, deadline).await else {
        return Experiment::NotConnected;
    };
    let mut connection = ProbeConnection::new(Stream::Tcp(stream));
    Experiment::PlainPing(match listen(&mut connection, deadline).await {
        Some(banner) => banner,
        None => ask(&mut connection, &cmd("PING"), deadline).await,
    })
}

/// Listens for a banner. Returns `None` if the server sends nothing.
pub(super) async fn listen(connection: &mut ProbeConnection<Stream>, deadline: Deadline) -> Option<Response> {
    match receive(connection, deadline.within(BANNER)).await {
        Response::Timeout(received) if received.is_empty() => None,
        // The banner has begun, so wait for the rest.
        Response::Timeout(_) => Some(receive(connection, deadline).await),
        banner => Some(banner),
    }
}

/// Waits briefly for a reply that no request asks for.
pub(in crate::ping) async fn surplus_reply(
    connection: &mut ProbeConnection<Stream>,
    deadline: Deadline,
) -> Option<Response> {
    let response = receive(connection, deadline.within(BANNER)).await;
    matches!(response, Response::Reply(_)).then_some(response)
}

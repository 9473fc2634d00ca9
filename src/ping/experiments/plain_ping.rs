//! Tests what a server sends without a request, and how it replies to an unencrypted PING.

use std::net::SocketAddr;
use std::time::Duration;

use redis::cmd;

use crate::deadline::Deadline;
use crate::ping::observation::Experiment;
use crate::ping::response::{Response, ask, receive};
use crate::ping::rungs::tcp::{self, SegmentSize};
use crate::redis_client::{ProbeConnection, Stream};

/// How long to wait for a banner, which is data that a server sends before it receives a request.
pub(super) const BANNER: Duration = Duration::from_millis(120);

/// Whether to wait for a banner before sending anything. Some servers send an error and then close the
/// connection. If a request arrived at that moment, it would cause an RST, and the error would be lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::ping) enum Banner {
    Listen,
    Skip,
}

/// Waits for a banner, then sends an unencrypted PING to a port for which the URL requires TLS.
pub(in crate::ping) async fn plain_ping(address: SocketAddr, deadline: Deadline) -> Experiment {
    let (stream, dial) = tcp::dial(address, SegmentSize::Default, deadline).await;
    let Some(stream) = stream else {
        return Experiment::NotConnected(dial.result);
    };
    let mut connection = ProbeConnection::new(Stream::Tcp(stream));
    Experiment::PlainPing(match listen(&mut connection, deadline).await {
        Some(banner) => banner,
        None => ask(&mut connection, &cmd("PING"), deadline).await,
    })
}

/// Waits for a banner. Returns `None` if the server sends nothing.
pub(super) async fn listen(connection: &mut ProbeConnection, deadline: Deadline) -> Option<Response> {
    match receive(connection, deadline.within(BANNER)).await {
        Response::Timeout(received) if received.is_empty() => None,
        // The beginning of a banner has arrived, so wait for the rest.
        Response::Timeout(_) => Some(receive(connection, deadline).await),
        banner => Some(banner),
    }
}

/// Waits briefly for a reply that belongs to no request. Returns `None` if no such reply arrives.
pub(in crate::ping) async fn surplus_reply(
    connection: &mut ProbeConnection,
    deadline: Deadline,
) -> Option<Response> {
    let response = receive(connection, deadline.within(BANNER)).await;
    matches!(response, Response::Reply(_)).then_some(response)
}

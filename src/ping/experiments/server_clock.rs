//! Compares the server's clock with this host's clock. If the clocks differ, a valid certificate may seem
//! expired.

use std::net::SocketAddr;

use redis::cmd;

use super::INSIDE_TLS;
use crate::clock::unix_now;
use crate::deadline::Deadline;
use crate::ping::response::{Response, ask, items, text};
use crate::ping::rungs::tcp::{self, SegmentSize};
use crate::ping::rungs::tls;
use crate::redis_client::ProbeConnection;

/// Asks Redis for the time, and returns how many seconds the server's clock is ahead of this host's clock.
/// Does not verify the certificate. Returns `None` without a reply.
pub(in crate::ping) async fn server_clock_ahead(
    address: SocketAddr,
    name: &str,
    deadline: Deadline,
) -> Option<i64> {
    let (stream, _) = tcp::dial(address, SegmentSize::Default, deadline).await;
    let (stream, _) = tls::handshake_unverified(stream?, name, deadline).await;
    let mut connection = ProbeConnection::new(stream?);
    let Response::Reply(reply) = ask(&mut connection, &cmd("TIME"), deadline.within(INSIDE_TLS)).await else {
        return None;
    };
    let seconds: i64 = items(Some(&reply)).first().and_then(text)?.parse().ok()?;
    Some(seconds.saturating_sub(unix_now()))
}

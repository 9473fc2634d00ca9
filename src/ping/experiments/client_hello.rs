//! Tests whether a port speaks TLS, although the URL does not require TLS.

use std::net::SocketAddr;

use redis::cmd;

use super::INSIDE_TLS;
use crate::deadline::Deadline;
use crate::ping::observation::Experiment;
use crate::ping::response::ask;
use crate::ping::rungs::tcp::{self, SegmentSize};
use crate::ping::rungs::tls;
use crate::redis_client::ProbeConnection;

/// Sends a ClientHello. If the handshake completes, also sends PING over TLS.
///
/// Uses small packets, so that the result does not depend on the path's MTU.
pub(super) async fn client_hello(address: SocketAddr, host: &str, deadline: Deadline) -> Experiment {
    let (stream, dial) = tcp::dial(address, SegmentSize::Small, deadline).await;
    let Some(stream) = stream else {
        return Experiment::NotConnected(dial.result);
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

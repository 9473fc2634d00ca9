//! Sends one command over TLS on a second connection, which accepts any certificate.

use std::net::SocketAddr;
use std::time::Duration;

use redis::cmd;

use crate::clock::unix_now;
use crate::deadline::Deadline;
use crate::ping::observation::Experiment;
use crate::ping::response::{Response, ask};
use crate::ping::rungs::tcp::{self, SegmentSize};
use crate::ping::rungs::tls;
use crate::redis_client::ProbeConnection;
use crate::redis_client::{items, text};

/// The time limit for the reply to the command, after the handshake.
const REPLY_WITHIN: Duration = Duration::from_millis(700);

/// Tests whether a port speaks TLS, although the URL does not require TLS. If the handshake completes, also sends
/// PING over TLS.
pub(super) async fn client_hello(address: SocketAddr, host: &str, deadline: Deadline) -> Experiment {
    ask_inside_tls(address, host, "PING", deadline).await
}

/// Asks Redis for the time, and returns how many seconds the server's clock is ahead of this host's clock. If the
/// clocks differ, a valid certificate may seem expired. Returns `None` without a reply.
pub(in crate::ping) async fn server_clock_ahead(
    address: SocketAddr,
    name: &str,
    deadline: Deadline,
) -> Option<i64> {
    let answer = ask_inside_tls(address, name, "TIME", deadline).await;
    let Experiment::ClientHello {
        inside: Some(Response::Reply(reply)),
        ..
    } = answer
    else {
        return None;
    };
    let seconds: i64 = items(Some(&reply)).first().and_then(text)?.parse().ok()?;
    Some(seconds.saturating_sub(unix_now()))
}

/// Uses small packets, so that the result does not depend on the path's MTU.
async fn ask_inside_tls(address: SocketAddr, host: &str, command: &str, deadline: Deadline) -> Experiment {
    let (stream, dial) = tcp::dial(address, SegmentSize::Small, deadline).await;
    let Some(stream) = stream else {
        return Experiment::NotConnected(dial.result);
    };
    let (stream, result) = tls::handshake_unverified(stream, host, deadline).await;
    let inside = match stream {
        Some(stream) => {
            let mut connection = ProbeConnection::new(stream);
            Some(ask(&mut connection, &cmd(command), deadline.within(REPLY_WITHIN)).await)
        }
        None => None,
    };
    Experiment::ClientHello { result, inside }
}

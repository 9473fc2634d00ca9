//! Runs experiments on additional connections, which distinguish causes that look alike on the first
//! connection.
//!
//! An experiment runs at the same time as the check whose result it explains. The experiment never takes
//! longer than the check.

mod inside_tls;
mod packet_sizes;
mod plain_ping;
mod proxy_header;
mod reconnect;
mod repeat;
mod silence;

use std::future::Future;
use std::time::Duration;

use super::observation::Experiment;
use super::response::{Response, looks_like_tls};
use crate::deadline::Deadline;

pub(super) use inside_tls::server_clock_ahead;
pub(super) use packet_sizes::SMALLEST_PACKET;
pub(super) use plain_ping::{Banner, plain_ping, surplus_reply};
pub(super) use reconnect::Reconnect;

/// Returns how long a check waits for a reply before it starts experiments: a quarter of the time that the
/// deadline allows in total.
pub(super) fn patience(deadline: Deadline) -> Duration {
    deadline.span() / 4
}

/// Runs both futures at the same time. If `work` completes first, cancels `side` and returns `None` for it.
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

/// Runs `rung`. If it takes longer than [`patience`], also runs `experiment`.
///
/// If the rung completes first, the experiment is cancelled. If the experiment completes first with a
/// decisive result, the rung is cancelled, and its result is `None`.
pub(super) async fn with_experiment<T, E: Decisive>(
    rung: impl Future<Output = T>,
    experiment: impl Future<Output = E>,
    deadline: Deadline,
) -> (Option<T>, Option<E>) {
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

/// The result of an experiment. A decisive result makes it unnecessary to wait for the first connection.
pub(super) trait Decisive {
    /// Whether the result proves which protocol the port speaks.
    fn is_decisive(&self) -> bool;
}

impl Decisive for Experiment {
    fn is_decisive(&self) -> bool {
        match self {
            Self::PlainPing(Response::Reply(_)) => true,
            // A TLS server may reply to plain text with an alert, but its handshake may still succeed.
            Self::PlainPing(Response::NotResp(received)) => !looks_like_tls(received),
            Self::ClientHello { result, .. } => result.is_tls(),
            _ => false,
        }
    }
}

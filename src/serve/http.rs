//! HTTP/1.1 on a listener, within limits: how many connections, how long a request may take to come, how long its head may be.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinSet};

use super::stop::Stop;
use crate::deadline::Deadline;

/// Open at a time; under the 1,024 descriptors that a process customarily has. At the limit the connection that has
/// been idle longest makes way, so that thousands of silent ones keep no visitor out.
const MOST_CONNECTIONS: usize = 960;
/// For a whole request head, and between two requests of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's line and headers.
const LONGEST_HEAD: usize = 16 * 1024;
/// Headers of a request.
const MOST_HEADERS: usize = 64;
/// What requests under way still get when the server is told to stop.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// After the system refused a connection (no descriptors left), before asking again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What answers requests.
pub(super) trait Answer: Send + Sync + 'static {
    /// Answers one request of `peer`; every failure is a response too.
    fn answer(
        self: Arc<Self>,
        request: Request<hyper::body::Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response> + Send;
}

/// Serves connections of `listener` until `stop` turns true; then lets requests under way end within [`GRACE`].
pub(super) async fn serve<A: Answer>(listener: TcpListener, app: Arc<A>, mut stop: Stop) {
    let mut connections = Connections::default();
    let stopping = stop.clone();
    loop {
        tokio::select! {
            biased;
            _ = stop.requested() => break,
            Some(ended) = connections.tasks.join_next_with_id() => connections.forget(&ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => connections.welcome(stream, peer, &app, &stopping),
                Err(fault) if is_about_one_connection(&fault) => {}
                Err(_) => {
                    connections.close_idlest();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let grace = Deadline::after(GRACE);
    // What is still open after that is aborted when the set is dropped.
    let _ = grace
        .bound(async { while connections.tasks.join_next().await.is_some() {} })
        .await;
}

/// The peer gave up before it was accepted: the listener is well.
fn is_about_one_connection(fault: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        fault.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: HashMap<Id, Open>,
}

struct Open {
    activity: Arc<Activity>,
    abort: AbortHandle,
}

impl Connections {
    fn welcome<A: Answer>(&mut self, stream: TcpStream, peer: SocketAddr, app: &Arc<A>, stop: &Stop) {
        if self.open.len() >= MOST_CONNECTIONS {
            self.close_idlest();
        }
        // Event streams are small writes that nobody answers; Nagle's algorithm would hold them back.
        let _ = stream.set_nodelay(true);
        let activity = Arc::new(Activity::new());
        let connection = converse(stream, peer, app.clone(), activity.clone(), stop.clone());
        let abort = self.tasks.spawn(connection);
        self.open.insert(abort.id(), Open { activity, abort });
    }

    fn forget(&mut self, ended: &Result<(Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(fault) => fault.id(),
        };
        self.open.remove(&id);
    }

    /// Closes the connection that has been without a request for longest; where all are busy, the oldest of them.
    fn close_idlest(&mut self) {
        let idlest = self
            .open
            .iter()
            .min_by_key(|(_, open)| open.activity.rank())
            .map(|(id, _)| *id);
        if let Some(open) = idlest.and_then(|id| self.open.remove(&id)) {
            open.abort.abort();
        }
    }
}

/// When a connection last began or ended a request: milliseconds since it was opened, doubled, plus one while busy.
struct Activity {
    opened: Instant,
    last: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self {
            opened: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    fn note(&self, busy: bool) {
        let since = self
            .opened
            .elapsed()
            .as_millis()
            .try_into()
            .unwrap_or(u64::MAX >> 1);
        self.last
            .store(since.saturating_mul(2) | u64::from(busy), Ordering::Relaxed);
    }

    /// Idle before busy, and within each those that were active longest ago.
    fn rank(&self) -> (bool, Instant) {
        let last = self.last.load(Ordering::Relaxed);
        (last & 1 == 1, self.opened + Duration::from_millis(last / 2))
    }
}

/// One connection, from its first request to its last.
async fn converse<A: Answer>(
    stream: TcpStream,
    peer: SocketAddr,
    app: Arc<A>,
    activity: Arc<Activity>,
    mut stop: Stop,
) {
    let service = service_fn(|request| {
        activity.note(true);
        let app = app.clone();
        let activity = &activity;
        async move {
            let response = app.answer(request, peer).await;
            activity.note(false);
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(LONGEST_HEAD)
            .max_headers(MOST_HEADERS)
            .serve_connection(TokioIo::new(stream), service)
    );
    // A connection that breaks is its client's affair: there is nobody left to tell.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = stop.requested() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

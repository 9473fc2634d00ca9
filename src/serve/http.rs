//! HTTP/1.1 on a listener, within limits: how many connections, how long a request may take to come, how long its head may be.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use super::stop::Stop;
use crate::deadline::Deadline;

/// Open at a time, by all workers together; under the 1,024 descriptors that a process customarily has. At a worker's
/// share the connection that has been idle longest makes way, so that thousands of silent ones keep no visitor out.
const MOST_CONNECTIONS: usize = 960;
/// The least that a worker may have open, however many there are.
const LEAST_SHARE: usize = 16;
/// For a whole request head, and between two requests of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How often connections are looked at for that: a timer for each request would cost every request.
const SWEEP: Duration = Duration::from_secs(1);
/// Sweeps after which an idle connection is closed.
const SWEEPS: usize = (HEAD_TIMEOUT.as_secs() / SWEEP.as_secs()) as usize;
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

/// Serves connections of `listener`, as one of so many workers, until `stop` turns true; then lets requests under way
/// end within [`GRACE`].
pub(super) async fn serve<A: Answer>(
    listener: TcpListener,
    workers: NonZeroUsize,
    app: Arc<A>,
    mut stop: Stop,
) {
    let mut connections = Connections::of_one_in(workers);
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
            _ = sweep.tick() => connections.close_idle(),
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

struct Connections {
    /// As many as may be open.
    most: usize,
    tasks: JoinSet<()>,
    open: HashMap<Id, Open>,
    turns: Arc<Turns>,
    /// Which turn it was at the last sweeps.
    swept: VecDeque<u64>,
}

/// Counts beginnings and ends of requests: their order is known without asking a clock.
#[derive(Default)]
struct Turns(AtomicU64);

impl Turns {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn current(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Open {
    activity: Arc<Activity>,
    abort: AbortHandle,
}

impl Connections {
    fn of_one_in(workers: NonZeroUsize) -> Self {
        Self {
            most: (MOST_CONNECTIONS / workers).max(LEAST_SHARE),
            tasks: JoinSet::new(),
            open: HashMap::new(),
            turns: Arc::default(),
            swept: VecDeque::new(),
        }
    }

    fn welcome<A: Answer>(&mut self, stream: TcpStream, peer: SocketAddr, app: &Arc<A>, stop: &Stop) {
        if self.open.len() >= self.most {
            self.close_idlest();
        }
        // Event streams are small writes that nobody answers; Nagle's algorithm would hold them back.
        let _ = stream.set_nodelay(true);
        let activity = Arc::new(Activity::new(self.turns.clone()));
        let connection = converse(stream, peer, app.clone(), activity.clone(), stop.clone());
        let abort = self.tasks.spawn(connection);
        self.open.insert(abort.id(), Open { activity, abort });
    }

    /// Closes what has been without a request since [`HEAD_TIMEOUT`].
    fn close_idle(&mut self) {
        self.swept.push_back(self.turns.current());
        if self.swept.len() <= SWEEPS {
            return;
        }
        let Some(then) = self.swept.pop_front() else {
            return;
        };
        for open in self.open.values() {
            let (is_busy, last) = open.activity.rank();
            if !is_busy && last <= then {
                open.abort.abort();
            }
        }
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

/// When a connection last began or ended a request: the turn, doubled, plus one while busy.
struct Activity {
    turns: Arc<Turns>,
    last: AtomicU64,
}

impl Activity {
    fn new(turns: Arc<Turns>) -> Self {
        let activity = Self {
            turns,
            last: AtomicU64::new(0),
        };
        activity.note(false);
        activity
    }

    fn note(&self, busy: bool) {
        self.last
            .store(2 * self.turns.next() + u64::from(busy), Ordering::Relaxed);
    }

    /// Idle before busy, and within each those that were active longest ago.
    fn rank(&self) -> (bool, u64) {
        let last = self.last.load(Ordering::Relaxed);
        (last & 1 == 1, last / 2)
    }
}

/// A body that comes bit by bit: as long as it does, its connection is busy.
struct Streamed {
    body: Body,
    activity: Arc<Activity>,
}

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.activity.note(false);
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
            if response.body().size_hint().exact().is_none() {
                let activity = activity.clone();
                return Ok(response.map(|body| Body::new(Streamed { body, activity })));
            }
            activity.note(false);
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            // `Connections::close_idle` sees to it.
            .header_read_timeout(None)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as a process customarily has; the rest is for Redis and the runtimes.
    const DESCRIPTORS: usize = 1024;

    #[test]
    fn idle_connections_to_several_workers_leave_descriptors_for_redis() {
        for workers in [1, 2, 4, 16, 60] {
            let most = Connections::of_one_in(NonZeroUsize::new(workers).unwrap()).most;
            assert!(workers * most < DESCRIPTORS, "{workers} workers: {most} each");
        }
    }
}

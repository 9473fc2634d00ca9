//! An HTTP/1.1 server with limits on the number of connections, and on the size and duration of a request's head.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::Service;

/// The maximum number of open connections: fewer than the 1,024 file descriptors that a process may usually have.
const MOST_CONNECTIONS: usize = 960;
/// Time limit for the head of a request, and between two requests of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum size of a request's line and headers in bytes. hyper also limits the number of headers, to 100.
const LONGEST_HEAD: usize = 16 * 1024;
/// How long requests in progress may take when the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// Pause before the next attempt if the system cannot accept a connection (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections of `listener` until `stop`, and then finishes the requests in progress within [`GRACE`].
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut connections = Connections::default();
    let graceful = GracefulShutdown::new();
    tokio::select! {
        () = stop.cancelled() => {}
        () = accept(listener, &router, &mut connections, &graceful) => {}
    }
    // The end of the runtime closes the connections that are still open.
    let _ = timeout(GRACE, graceful.shutdown()).await;
}

async fn accept(
    listener: TcpListener,
    router: &Router,
    connections: &mut Connections,
    graceful: &GracefulShutdown,
) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_about_one_connection(&error) => continue,
            Err(_) => {
                connections.close_one();
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if places.available_permits() == 0 {
            connections.close_one();
        }
        // The semaphore is never closed.
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let connection = connections.add();
        tokio::spawn(serve_connection(
            stream,
            peer,
            router.clone(),
            connection,
            graceful.watcher(),
            place,
        ));
    }
}

/// Whether the client closed the connection before it was accepted.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    connection: Arc<ClientConnection>,
    graceful: Watcher,
    _place: OwnedSemaphorePermit,
) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let ends = Ends { peer, local };
    // Nagle's algorithm would delay the small writes of an event stream.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|mut request: hyper::Request<hyper::body::Incoming>| {
        connection.set(Activity::Answering);
        request.extensions_mut().insert(ConnectInfo(ends));
        let response = router.clone().call(request.map(Body::new));
        let connection = &connection;
        async move {
            let response = response.await;
            // A connection with an event stream continues to count as answering.
            if let Ok(response) = &response
                && response.body().size_hint().exact().is_some()
            {
                connection.set(Activity::Waiting);
            }
            response
        }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A broken connection is not reported, because the client knows about it.
        _ = graceful.watch(http) => {}
        () = connection.close.notified() => {}
    }
}

/// The addresses of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// The client's address.
    pub(super) peer: SocketAddr,
    /// The address of this host to which the client connected.
    pub(super) local: SocketAddr,
}

/// All open connections.
#[derive(Default)]
struct Connections(Vec<Weak<ClientConnection>>);

struct ClientConnection {
    activity: Mutex<(Activity, Instant)>,
    close: Notify,
}

/// What a connection is doing. To make room, connections are closed in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Activity {
    /// Waiting for a request.
    Waiting,
    /// Answering a request.
    Answering,
}

impl ClientConnection {
    fn activity(&self) -> MutexGuard<'_, (Activity, Instant)> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, activity: Activity) {
        *self.activity() = (activity, Instant::now());
    }
}

impl Connections {
    fn add(&mut self) -> Arc<ClientConnection> {
        let connection = Arc::new(ClientConnection {
            activity: Mutex::new((Activity::Waiting, Instant::now())),
            close: Notify::new(),
        });
        self.0.retain(|open| open.strong_count() > 0);
        self.0.push(Arc::downgrade(&connection));
        connection
    }

    /// Closes the connection that has waited longest for a request. If none is waiting, closes the one that has been
    /// answering longest.
    fn close_one(&mut self) {
        let open = self.0.iter().filter_map(Weak::upgrade);
        if let Some(connection) = open.min_by_key(|open| *open.activity()) {
            connection.close.notify_one();
        }
    }
}

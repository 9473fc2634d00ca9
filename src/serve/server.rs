//! Runs an HTTP/1.1 server that limits the number of connections, the size of a request's head, and the time
//! that the head may take to arrive.

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

/// The maximum number of open connections. The limit is below the usual 1,024 file descriptors per process.
const MOST_CONNECTIONS: usize = 960;
/// Time limit for the head of a request to arrive, and for the pause between two requests on a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum size in bytes of the request line and the headers together. In addition, hyper limits the
/// number of headers to 100.
const LONGEST_HEAD: usize = 16 * 1024;
/// How long unfinished requests may continue after the server has been told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait if no connection could be accepted because no file descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves the connections of `listener` until `stop` is cancelled. Then waits up to [`GRACE`] for unfinished
/// requests.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut connections = Connections::default();
    let graceful = GracefulShutdown::new();
    tokio::select! {
        () = stop.cancelled() => {}
        () = accept(listener, &router, &mut connections, &graceful) => {}
    }
    // Connections that are still open are closed when the runtime ends.
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

/// Whether accepting failed only because the client had already closed the connection.
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
            // An event stream has no known size. Its connection stays in the state `Answering`.
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
        // A broken connection is not reported, because the client notices it as well.
        _ = graceful.watch(http) => {}
        () = connection.close.notified() => {}
    }
}

/// The addresses of both ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) peer: SocketAddr,
    /// The local address of the connection.
    pub(super) local: SocketAddr,
}

#[derive(Default)]
struct Connections(Vec<Weak<ClientConnection>>);

struct ClientConnection {
    activity: Mutex<(Activity, Instant)>,
    close: Notify,
}

/// The activity of a connection. If there are too many connections, a waiting connection is closed first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Activity {
    /// The connection is waiting for a request.
    Waiting,
    /// A request is being answered.
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

    /// Closes the connection that has waited longest for a request. If no connection is waiting, closes the
    /// connection whose current request started first.
    fn close_one(&mut self) {
        let open = self.0.iter().filter_map(Weak::upgrade);
        if let Some(connection) = open.min_by_key(|open| *open.activity()) {
            connection.close.notify_one();
        }
    }
}

//! The tutorial's app in a browser: request ─▶ session (cookie ⇄ `SessionStore` ⇄ Redis) ─▶ page.
//!
//! This process stores nothing about a session except its last commands, which the page shows. Any number of instances
//! on one Redis serve the same sessions, and stopping one loses none.

mod address;
mod assets;
mod connection_manager;
mod counter;
mod events;
mod extractors;
mod history;
mod instances;
mod layers;
mod pages;
mod router;
mod server;
mod sessions;
mod source;
mod step;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use address::{HowToOpen, bind, how_to_open, listen_address};
pub(crate) use connection_manager::Opener;
pub(crate) use layers::{AccessLog, LogEntry};
pub(crate) use step::AppStep;

use crate::deadline::Deadline;
use crate::redis_client::fault::RedisFault;
use crate::session::cookie::SigningKey;
use crate::signals::{self, Signals};
use connection_manager::ConnectionManager;
use history::History;
use pages::Layout;
use router::AppState;
use sessions::Sessions;

/// For deleting the hashes of step 2 at the end.
const DELETE_WITHIN: Duration = Duration::from_secs(2);

/// The command's options.
pub(crate) struct ServeOptions {
    /// Which of the four apps.
    pub step: AppStep,
    /// The TTL that each visit sets.
    pub ttl: Duration,
    /// The lifetime of a session, however often it is visited.
    pub max_age: Duration,
    /// Whether browsers may send the cookie over HTTPS only.
    pub secure_cookies: bool,
    /// Signs the cookies of steps 1 to 3.
    pub key: Arc<SigningKey>,
    /// Receives one entry per request.
    pub log: Option<AccessLog>,
}

/// What happens outside of any request.
#[derive(Debug)]
pub(crate) enum ServerEvent {
    /// The server listens, and a signal stops it gracefully.
    Ready(SocketAddr),
    /// Redis is unavailable at the start; the app runs all the same.
    Unreachable(RedisFault),
    /// So many hashes of step 2 were deleted at the end.
    Deleted(usize),
    /// So many hashes of step 2 could not be deleted.
    NotDeleted(usize, RedisFault),
}

/// Receives events as they happen.
pub(crate) type OnEvent = Arc<dyn Fn(ServerEvent) + Send + Sync>;

/// Serves the app on `listener` until SIGINT or SIGTERM or until `end` resolves; then ends event streams at once,
/// finishes other requests, and deletes what step 2 created in Redis. A second signal skips the rest.
///
/// # Errors
/// Returns an error if the async runtime or a file descriptor cannot be created.
pub(crate) fn serve_until(
    end: impl Future<Output = ()>,
    listener: TcpListener,
    options: ServeOptions,
    opener: Opener,
    on_event: &OnEvent,
) -> io::Result<()> {
    let runtime = signals::runtime()?;
    runtime.block_on(async {
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut signals = Signals::listen()?;
        let stop = CancellationToken::new();
        let redis = ConnectionManager::new(opener);
        let step = options.step;
        let (seen_instances, other_instances) = watch::channel(Vec::new());
        let sessions = Arc::new(Sessions {
            step,
            ttl: options.ttl,
            max_age: options.max_age,
            key: options.key,
            redis: redis.clone(),
            history: Arc::new(History::default()),
            created: Arc::default(),
        });
        let created = sessions.created.clone();
        let app = AppState {
            layout: Layout {
                step,
                ttl: options.ttl,
            },
            sessions,
            secure_cookies: options.secure_cookies,
            other_instances,
            streams: events::Streams::new(stop.clone()),
        };
        let router = router::router(app, options.log);
        let server = tokio::spawn(server::serve(listener, router, stop.clone()));
        let announcer = tokio::spawn(instances::announce(
            address,
            step,
            redis.clone(),
            seen_instances,
            stop.clone(),
            on_event.clone(),
        ));
        on_event(ServerEvent::Ready(address));
        tokio::select! {
            _ = signals.next() => {}
            () = end => {}
        }
        stop.cancel();
        let end = async {
            // If one of the tasks panicked, the panic has been printed.
            let _ = tokio::join!(server, announcer);
            delete_created(&created, &redis, on_event).await;
        };
        tokio::select! {
            () = end => {}
            _ = signals.next() => {}
        }
        Ok(())
    })
}

/// Deletes the hashes that step 2 created in this run: they have no TTL.
async fn delete_created(created: &counter::CreatedKeys, redis: &Arc<ConnectionManager>, on_event: &OnEvent) {
    let keys = created.take();
    if keys.is_empty() {
        return;
    }
    match counter::delete(redis, &keys, Deadline::after(DELETE_WITHIN)).await {
        Ok(()) => on_event(ServerEvent::Deleted(keys.len())),
        Err((left, fault)) => on_event(ServerEvent::NotDeleted(left, fault)),
    }
}

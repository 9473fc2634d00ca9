//! Serves the tutorial's app to browsers: request ─▶ session (cookie ⇄ `SessionStore` ⇄ Redis) ─▶ page.
//!
//! The process stores nothing about a session except its most recent commands, which the home page shows. Any
//! number of instances can therefore share the sessions in one Redis server. No session is lost when an
//! instance stops.

mod address;
mod assets;
mod connection_manager;
mod counter;
mod events;
mod explanations;
mod extractors;
mod health;
mod history;
mod host;
mod instances;
mod layers;
mod lessons;
mod login_form;
mod pages;
mod router;
mod server;
mod sessions;
mod source;
mod stage;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use address::{
    DEFAULT_PORT, HowToOpen, ListenError, bind, bind_near, how_to_open, listen_address,
};
pub(crate) use connection_manager::Opener;
pub(crate) use extractors::read_form_and_cookies;
pub(crate) use layers::{AccessLog, LogEntry};
pub(crate) use stage::AppStage;

use crate::redis_client::fault::RedisFault;
use crate::session::cookie::SigningKey;
use crate::signals::{self, Signals};
use connection_manager::ConnectionManager;
use history::History;
use host::OwnHosts;
use pages::Layout;
use router::AppState;
use sessions::Sessions;

pub(crate) struct ServeOptions {
    pub stage: AppStage,
    /// The TTL that each visit sets for the hash in Redis.
    pub ttl: Duration,
    /// The maximum lifetime of a session, however often it is used.
    pub max_age: Duration,
    /// Whether browsers send the session cookie only over HTTPS.
    pub secure_cookies: bool,
    /// The key that signs the cookies of stages 1 to 3.
    pub key: SigningKey,
    pub cookie_name: String,
    /// Additional host names that are accepted on loopback addresses.
    pub hosts: Vec<String>,
    /// A function that receives one access log entry per request, if any.
    pub log: Option<AccessLog>,
}

/// An event of the server, as opposed to a request.
#[derive(Debug)]
pub(crate) enum ServerEvent {
    /// The server is now listening. From now on, a signal stops it gracefully.
    Ready(SocketAddr),
    /// Redis was unavailable when the server started. The server keeps trying to connect.
    Unreachable(RedisFault),
    /// The server is stopping, and has deleted this number of hashes from stage 2.
    Deleted(usize),
    /// The server is stopping, but could not delete this number of hashes from stage 2. The fault is the
    /// reason.
    NotDeleted(usize, RedisFault),
}

/// A function that receives events as they happen.
pub(crate) type OnEvent = Arc<dyn Fn(ServerEvent) + Send + Sync>;

/// Serves the app on `listener` until a termination signal arrives, or until `end` resolves.
///
/// The server then closes event streams, finishes the other requests, and deletes the hashes that stage 2
/// created. A second signal skips these steps.
pub(crate) fn serve_until(
    end: impl Future<Output = ()>,
    listener: TcpListener,
    options: ServeOptions,
    opener: Opener,
    on_event: &OnEvent,
) -> io::Result<()> {
    signals::runtime()?.block_on(async {
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut signals = Signals::listen()?;
        let stop = CancellationToken::new();
        let redis = ConnectionManager::new(opener);
        let (seen_instances, other_instances) = watch::channel(Vec::new());
        let sessions = Arc::new(Sessions {
            stage: options.stage,
            ttl: options.ttl,
            max_age: options.max_age,
            key: options.key,
            redis: redis.clone(),
            history: History::default(),
            created: Arc::default(),
        });
        let layout = Layout::new(options.stage, address.port(), options.ttl, &options.cookie_name);
        let hosts = OwnHosts::new(address, options.hosts, layout.clone());
        let app = AppState {
            layout,
            sessions: sessions.clone(),
            secure_cookies: options.secure_cookies,
            other_instances,
            streams: events::Streams::new(stop.clone()),
        };
        let server = tokio::spawn(server::serve(
            listener,
            router::router(app, hosts, options.log),
            stop.clone(),
        ));
        let announcer = tokio::spawn(instances::announce(
            address,
            sessions.clone(),
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
        let end = finish([server, announcer], &sessions, on_event);
        tokio::select! {
            () = end => {}
            _ = signals.next() => {}
        }
        Ok(())
    })
}

/// Waits until both tasks have ended, and deletes the hashes that stage 2 created, because they have no TTL.
async fn finish(tasks: [JoinHandle<()>; 2], sessions: &Sessions, on_event: &OnEvent) {
    // If one of the tasks panicked, the panic has already been printed.
    let _ = join_all(tasks).await;
    let created = sessions.created.take();
    if !created.is_empty() {
        on_event(match counter::delete(&sessions.redis, &created).await {
            Ok(()) => ServerEvent::Deleted(created.len()),
            Err((left, fault)) => ServerEvent::NotDeleted(left, fault),
        });
    }
}

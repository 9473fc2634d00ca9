//! The tutorial's app in a browser: request ─▶ session (cookie ⇄ `SessionStore` ⇄ Redis) ─▶ page.
//!
//! Nothing about a session lives in this process but the view of its last commands: any number of instances over one
//! Redis serve the same sessions, and one that dies takes none with it.

mod app;
mod assets;
mod body;
mod cookies;
mod counter;
mod elsewhere;
mod events;
mod fault;
mod form;
mod headers;
mod health;
mod history;
mod http;
mod instances;
mod invite;
mod link;
mod listen;
mod log;
mod origin;
mod page;
mod sessions;
mod source;
mod step;
mod stop;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime;

pub(crate) use cookies::Attributes;
pub(crate) use fault::{Connection, Fault};
pub(crate) use invite::{Invitation, invite};
pub(crate) use link::{Opener, Opening};
pub(crate) use listen::{ListenFault, bind};
pub(crate) use log::{AccessLog, Entry};
pub(crate) use step::Step;

use crate::deadline::Deadline;
use crate::session::cookie::SigningKey;
use crate::signals::Signals;
use app::{App, Site};
use elsewhere::Board;
use history::History;
use link::Link;
use sessions::Sessions;
use stop::{Stop, stop};

/// For taking back from Redis, at the end, what this process put there.
const TAKE_BACK_WITHIN: Duration = Duration::from_secs(2);

/// How to serve.
pub(crate) struct Options {
    /// Which of the four apps.
    pub step: Step,
    /// What a visit gives a session to live.
    pub ttl: Duration,
    /// How long a session may live however often it is visited.
    pub max_age: Duration,
    /// The cookie's attributes.
    pub cookies: Attributes,
    /// Signs the cookies of steps 1 to 3.
    pub key: Arc<SigningKey>,
    /// Threads, each with a runtime and a connection of its own.
    pub workers: NonZeroUsize,
    /// Takes an entry a request.
    pub log: Option<AccessLog>,
}

/// What happens outside of any request.
#[derive(Debug)]
pub(crate) enum Event {
    /// It listens, and a signal ends it gracefully.
    Ready(SocketAddr),
    /// Redis does not serve us at the start; the app runs all the same.
    Unreachable(Fault),
    /// So many hashes of step 2 were deleted at the end.
    TakenBack(usize),
    /// So many hashes of step 2 could not be deleted.
    LeftBehind(usize, Fault),
}

/// Takes events as they happen.
pub(crate) type Listener = Arc<dyn Fn(Event) + Send + Sync>;

/// The parts that all workers share.
struct Shared {
    options: Options,
    address: SocketAddr,
    history: Arc<History>,
    made: Arc<counter::Made>,
    board: Arc<Board>,
    streams: events::Streams,
    opener: Opener,
    stop: Stop,
}

/// Serves the app on `listener` until SIGINT or SIGTERM; then ends streams at once, lets other requests end, and takes
/// back what it put into Redis. A second signal cuts that short.
///
/// # Errors
/// When the system gives no thread, no runtime or no descriptor.
pub(crate) fn serve(
    listener: TcpListener,
    options: Options,
    opener: Opener,
    tell: &Listener,
) -> io::Result<()> {
    serve_until(std::future::pending(), listener, options, opener, tell)
}

/// The same, beside something else in this process: it also stops, as gracefully, when `end` resolves.
///
/// # Errors
/// When the system gives no thread, no runtime or no descriptor.
pub(crate) fn serve_until(
    end: impl Future<Output = ()>,
    listener: TcpListener,
    options: Options,
    opener: Opener,
    tell: &Listener,
) -> io::Result<()> {
    let (switch, stopping) = stop();
    let shared = Arc::new(Shared::new(&listener, options, opener, stopping)?);
    let others = start_others(&listener, &shared)?;
    let runtime = current_thread()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut signals = Signals::listen()?;
        let link = Link::new(shared.opener.clone());
        let worker = tokio::spawn(work(listener, shared.clone(), link.clone()));
        let announcer = tokio::spawn(instances::announce(shared.clone(), link.clone(), tell.clone()));
        tell(Event::Ready(shared.address));
        tokio::select! {
            _ = signals.next() => {}
            () = end => {}
        }
        switch.stop();
        let end = async {
            // A panic ends its task and is reported by then; here there is nothing more to do about one.
            let _ = tokio::join!(worker, announcer);
            take_back(&shared, &link, tell).await;
            join(others).await;
        };
        tokio::select! {
            () = end => {}
            _ = signals.next() => {}
        }
        Ok(())
    })
}

impl Shared {
    fn new(listener: &TcpListener, options: Options, opener: Opener, stop: Stop) -> io::Result<Self> {
        Ok(Self {
            address: listener.local_addr()?,
            history: Arc::default(),
            made: Arc::default(),
            board: Arc::new(Board::new(options.step)),
            streams: events::Streams::new(stop.clone()),
            opener,
            stop,
            options,
        })
    }

    fn app(&self, link: Arc<Link>) -> App {
        let Options {
            step,
            ttl,
            max_age,
            cookies,
            ..
        } = self.options;
        App {
            frame: page::Frame { step, ttl },
            sessions: Arc::new(Sessions {
                step,
                ttl,
                max_age,
                key: self.options.key.clone(),
                link,
                history: self.history.clone(),
                made: self.made.clone(),
            }),
            cookies,
            elsewhere: self.board.clone(),
            streams: self.streams.clone(),
        }
    }
}

/// Starts all workers but the first, each on a thread of its own.
fn start_others(listener: &TcpListener, shared: &Arc<Shared>) -> io::Result<Vec<thread::JoinHandle<()>>> {
    (1..shared.options.workers.get())
        .map(|number| {
            // The same socket, not SO_REUSEPORT: with that a second server could share the port unnoticed.
            let listener = listener.try_clone()?;
            let shared = shared.clone();
            let runtime = current_thread()?;
            thread::Builder::new()
                .name(format!("serve-{number}"))
                .spawn(move || {
                    runtime.block_on(async {
                        if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                            let link = Link::new(shared.opener.clone());
                            work(listener, shared, link).await;
                        }
                    });
                })
        })
        .collect()
}

/// One worker: its connections, its way to Redis.
async fn work(listener: tokio::net::TcpListener, shared: Arc<Shared>, link: Arc<Link>) {
    let app = Arc::new(shared.app(link));
    let site = Arc::new(Site::new(app, shared.options.log.clone()));
    http::serve(listener, shared.options.workers, site, shared.stop.clone()).await;
}

/// Deletes step 2's hashes that this process made: nothing else ever would.
async fn take_back(shared: &Shared, link: &Arc<Link>, tell: &Listener) {
    let made = shared.made.take();
    if made.is_empty() {
        return;
    }
    match counter::delete(link, &made, Deadline::after(TAKE_BACK_WITHIN)).await {
        Ok(()) => tell(Event::TakenBack(made.len())),
        Err((left, fault)) => tell(Event::LeftBehind(left, fault)),
    }
}

/// Waits for the other workers; each ends by itself within the time of grace.
async fn join(others: Vec<thread::JoinHandle<()>>) {
    let _ = tokio::task::spawn_blocking(move || {
        for other in others {
            let _ = other.join();
        }
    })
    .await;
}

/// After how many tasks the sockets are looked at again. With tokio's own 61 the requests of 64 connections are one
/// convoy, in which Redis and this thread wait for each other in turn; in two parts both work (an eighth more requests
/// a second; with 16, 128 or 256 connections it makes no difference).
const TASKS_BETWEEN_LOOKS: u32 = 37;

fn current_thread() -> io::Result<runtime::Runtime> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(TASKS_BETWEEN_LOOKS)
        .build()
}

//! `login`, `visits`, `expire`, `session` and `logout`: one command a step of the tutorial.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use redis::RedisError;
use tokio::runtime::Builder;

use super::{Error, chosen};
use crate::cli::{ExpireArgs, LoginArgs, StepArgs, VisitsArgs};
use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::redis_client;
use crate::redis_client::{Batch, Reply, Trip};
use crate::redis_url::{Origin, Target};
use crate::session::jar::{Cookie, Ended, Jar};
use crate::session::neighbours::{keys_of_others, notice};
use crate::session::store::Session;
use crate::session::{KEY_PREFIX, LONGEST_NAME, SessionStore, Token};
use crate::signals::Signals;
use crate::state;
use crate::ui::{self, waiting::waiting};

/// What any access gives a session to live.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// How long a session may live, however often it is visited.
const LIFETIME: Duration = Duration::from_secs(8 * 3600);
/// What connecting, or one round trip, may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn login(args: &LoginArgs) -> Result<Exit, Error> {
    let name = args.name.trim();
    let length = name.chars().count();
    if length == 0 || length > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(Error::usage(format!(
            "a name has 1 to {LONGEST_NAME} characters and no control characters, such as ada"
        )));
    }
    at_the_desk(&args.step, async |desk| {
        if !desk.may_write().await? {
            return Ok(Exit::No);
        }
        let cookie = desk.cookie();
        let (token, trips) = desk.ask(desk.store.login(name, cookie.token().as_ref())).await?;
        desk.keep(cookie.with(Some(&token), None))?;
        for trip in &trips {
            desk.show(trip);
        }
        ui::told(&format!("logged in as {name}"));
        desk.show_cookie(&token);
        let look = desk.ask(desk.store.look(&token.key())).await?;
        desk.show(&look);
        Ok(Exit::Ok)
    })
}

pub(super) fn visits(args: &VisitsArgs) -> Result<Exit, Error> {
    at_the_desk(&args.step, async |desk| {
        for _ in 0..args.times {
            let Some(token) = desk.cookie().token() else {
                return Ok(desk.logged_out());
            };
            let (session, trip) = desk.ask(desk.store.visit(&token.key())).await?;
            desk.show(&trip);
            let Some(Session { visits, .. }) = session else {
                // What the visit stirred up must be gone before this program is.
                let trip = desk.ask(desk.store.logout(&token)).await?;
                desk.show(&trip);
                return Ok(desk.logged_out());
            };
            ui::answer(&format!("Visits: {visits}"));
        }
        Ok(Exit::Ok)
    })
}

pub(super) fn expire(args: &ExpireArgs) -> Result<Exit, Error> {
    hearing_signals(&args.step, async |desk, signals| {
        let Some(token) = desk.cookie().token() else {
            return Ok(desk.logged_out());
        };
        let key = token.key();
        let Some(had) = desk.time_left(&key).await? else {
            return Ok(desk.logged_out());
        };
        let began = Instant::now();
        let counted = tokio::select! {
            counted = desk.let_expire(&key, args.ttl) => counted?,
            _ = signals.next() => {
                desk.give_back(&key, had.saturating_sub(began.elapsed())).await?;
                return Err(Error::Interrupted);
            }
        };
        if counted == CountDown::Revived {
            return Err(revived());
        }
        let proof = desk
            .travel(Batch::pipeline().with(&[b"EXISTS", key.as_bytes()]))
            .await?;
        desk.show(&proof);
        if proof.results().next() != Some(Reply::Integer(0)) {
            return Err(revived());
        }
        desk.keep(desk.cookie().with(Some(&token), Some(Ended::Expired)))?;
        ui::told("expired: the key is gone, and the session with it");
        Ok(Exit::Ok)
    })
}

pub(super) fn session(args: &StepArgs) -> Result<Exit, Error> {
    at_the_desk(args, async |desk| {
        let Some(token) = desk.cookie().token() else {
            return Ok(desk.logged_out());
        };
        let trip = desk.ask(desk.store.look(&token.key())).await?;
        let Some((left, _)) = desk.store.left(&trip) else {
            return Ok(desk.logged_out());
        };
        desk.show_cookie(&token);
        ui::answer(&format!("key: {}", token.key()));
        ui::answer(&format!("time left: {:.1} s", left.as_secs_f64()));
        desk.show(&trip);
        Ok(Exit::Ok)
    })
}

pub(super) fn logout(args: &StepArgs) -> Result<Exit, Error> {
    at_the_desk(args, async |desk| {
        let cookie = desk.cookie();
        let Some(token) = cookie.token() else {
            return Ok(desk.logged_out());
        };
        let trip = desk.ask(desk.store.logout(&token)).await?;
        desk.show(&trip);
        desk.keep(cookie.with(None, Some(Ended::LoggedOut)))?;
        ui::answer("logged out");
        Ok(Exit::Ok)
    })
}

/// Where the commands do their work: a Redis, the cookies, and how much is shown.
struct Desk {
    store: SessionStore,
    jar: std::cell::RefCell<Jar>,
    endpoint: String,
    origin: Origin,
    is_quiet: bool,
    shows_token: bool,
}

/// How a countdown came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CountDown {
    /// There is no key any more.
    Ended,
    /// A visit gave the session its time again.
    Revived,
}

fn revived() -> Error {
    Error::Other(anyhow!(
        "the session did not expire: somebody has visited it meanwhile, which gave it its time again"
    ))
}

/// Opens Redis and the cookie jar, and runs `work` there; a signal ends it where it is.
fn at_the_desk(args: &StepArgs, work: impl AsyncFnOnce(&Desk) -> Result<Exit, Error>) -> Result<Exit, Error> {
    hearing_signals(args, async |desk, signals| {
        tokio::select! {
            done = work(desk) => done,
            _ = signals.next() => Err(Error::Interrupted),
        }
    })
}

/// The same for work that has something to undo when a signal comes.
fn hearing_signals(
    args: &StepArgs,
    work: impl AsyncFnOnce(&Desk, &mut Signals) -> Result<Exit, Error>,
) -> Result<Exit, Error> {
    let choice = chosen::choose(args.redis.url.as_deref())?;
    let folder =
        state::open_folder().context("the session is kept in the state folder, which cannot be opened")?;
    let jar = Jar::open(&folder);
    if let Some(complaint) = &jar.complaint {
        ui::note(&format!("sessiontut: {complaint}"));
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime for this command")?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen().context("the system's signals cannot be heard")?;
        let trust = chosen::trust(&args.redis.trust);
        let deadline = Deadline::after(PATIENCE);
        let what = format!("waiting for {}", choice.target);
        let opened = tokio::select! {
            opened = waiting(&what, deadline, redis_client::open(&choice.target, &trust, deadline)) => opened,
            _ = signals.next() => return Err(Error::Interrupted),
        };
        let client = opened?;
        let desk = Desk {
            store: SessionStore {
                client,
                ttl: IDLE,
                max_age: LIFETIME,
            },
            jar: jar.into(),
            endpoint: endpoint(&choice.target),
            origin: choice.target.origin,
            is_quiet: args.quiet,
            shows_token: args.show_token,
        };
        work(&desk, &mut signals).await
    });
    choice.close();
    ended
}

/// One session an endpoint; user and password do not make another Redis of it.
pub(super) fn endpoint(target: &Target) -> String {
    match (target.origin, target.host(), target.port()) {
        (Origin::Practice, ..) => "practice".to_owned(),
        (_, Some(host), Some(port)) => format!("{host}:{port}/{}", target.db),
        _ => target.to_string(),
    }
}

impl Desk {
    fn cookie(&self) -> Cookie {
        self.jar.borrow().cookie(&self.endpoint)
    }

    fn keep(&self, cookie: Cookie) -> Result<(), Error> {
        let kept = self.jar.borrow_mut().keep(&self.endpoint, cookie);
        Ok(kept.context("the session cannot be kept in the state folder")?)
    }

    /// Waits for Redis, but not for ever.
    async fn ask<T>(&self, work: impl Future<Output = Result<T, RedisError>>) -> Result<T, Error> {
        let deadline = Deadline::after(PATIENCE);
        match waiting("waiting for Redis", deadline, deadline.bound(work)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(anyhow!("Redis refuses: {error}").into()),
            Err(_) => Err(anyhow!(
                "Redis gave no answer within {} s; `sessiontut ping` tells why",
                PATIENCE.as_secs()
            )
            .into()),
        }
    }

    async fn travel(&self, batch: Batch) -> Result<Trip, Error> {
        self.ask(self.store.client.travel(batch)).await
    }

    async fn time_left(&self, key: &str) -> Result<Option<Duration>, Error> {
        let trip = self
            .travel(Batch::pipeline().with(&[b"PTTL", key.as_bytes()]))
            .await?;
        self.show(&trip);
        Ok(match trip.results().next() {
            Some(Reply::Integer(left)) => u64::try_from(left).ok().map(Duration::from_millis),
            _ => None,
        })
    }

    async fn let_expire(&self, key: &str, ttl: u32) -> Result<CountDown, Error> {
        let seconds = ttl.to_string();
        let trip = self
            .travel(Batch::pipeline().with(&[b"EXPIRE", key.as_bytes(), seconds.as_bytes()]))
            .await?;
        self.show(&trip);
        self.count_down(key, Duration::from_secs(ttl.into())).await
    }

    /// Undoes the EXPIRE of a countdown that was interrupted.
    async fn give_back(&self, key: &str, left: Duration) -> Result<(), Error> {
        let left = left.as_millis().to_string();
        let trip = self
            .travel(Batch::pipeline().with(&[b"PEXPIRE", key.as_bytes(), left.as_bytes()]))
            .await?;
        self.show(&trip);
        ui::note("interrupted: the session has the time again that it had left");
        Ok(())
    }

    /// Looks at the key's own TTL once a second, until there is no key.
    async fn count_down(&self, key: &str, ttl: Duration) -> Result<CountDown, Error> {
        let mut countdown = ui::Countdown::new("the session lives", ttl);
        loop {
            let trip = self
                .travel(Batch::pipeline().with(&[b"PTTL", key.as_bytes()]))
                .await?;
            let Some(Reply::Integer(left)) = trip.results().next() else {
                return Ok(CountDown::Ended);
            };
            let Ok(left) = u64::try_from(left).map(Duration::from_millis) else {
                return Ok(CountDown::Ended);
            };
            if left > ttl {
                return Ok(CountDown::Revived);
            }
            countdown.show(left);
            // A millisecond more than is left: the key must be gone at the next look.
            tokio::time::sleep(left.min(Duration::from_secs(1)) + Duration::from_millis(1)).await;
        }
    }

    /// The first write to a Redis that holds other keys says so; on a terminal it asks.
    async fn may_write(&self) -> Result<bool, Error> {
        let cookie = self.cookie();
        if cookie.is_known || self.origin == Origin::Practice {
            return Ok(true);
        }
        if let Some(others) = notice(self.ask(keys_of_others(&self.store.client)).await?)
            && !ui::agrees(&format!("{others}; only keys under {KEY_PREFIX} are written"))
        {
            return Ok(false);
        }
        self.keep(cookie.known())?;
        Ok(true)
    }

    /// What really went over the wire, with replies and time.
    fn show(&self, trip: &Trip) {
        if self.is_quiet {
            return;
        }
        for (command, reply) in trip.exchanges() {
            let (mut asked, mut answered) = (Vec::new(), Vec::new());
            // A Vec takes all that it is given.
            let _ = command.write(&mut asked);
            let _ = reply.write(&mut answered);
            let answered = String::from_utf8_lossy(&answered).replace('\n', "\n  ");
            ui::whole_note(&format!("> {}\n  {answered}", String::from_utf8_lossy(&asked)));
        }
        ui::note(&format!(
            "  ({:.0} µs for this round trip)",
            trip.took().as_secs_f64() * 1e6
        ));
    }

    fn show_cookie(&self, token: &Token) {
        let shown = if self.shows_token {
            token.reveal().to_owned()
        } else {
            format!("{}…", token.start())
        };
        ui::answer(&format!("cookie: session={shown}"));
    }

    fn logged_out(&self) -> Exit {
        let cookie = self.cookie();
        let why = match (cookie.token(), cookie.ended) {
            (_, Some(Ended::Expired)) => "the session's key has expired",
            (_, Some(Ended::LoggedOut)) => "you have logged out",
            (None, None) => "nobody has logged in here yet; `sessiontut login NAME` does",
            (Some(_), None) => "the session's key is gone: it has expired, or was deleted",
        };
        ui::told(&format!("logged out, because {why}"));
        Exit::No
    }
}

//! The commands `login`, `visits`, `expire`, `session` and `logout`, one for each step of the tutorial.

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;
use redis::{AsyncCommands, RedisResult, Value};

use super::chosen::{self, RedisArgs};
use super::values::whole;
use crate::deadline::{DEFAULT_TIMEOUT, Deadline};
use crate::error::Error;
use crate::exit::Exit;
use crate::ping::permissions::COMMANDS;
use crate::redis_client::Recorded;
use crate::redis_client::fault::RedisFault;
use crate::redis_client::{RedisConnection, connect};
use crate::redis_url::{Origin, Target};
use crate::session::jar::{Jar, SessionEnd, StoredCookie};
use crate::session::other_keys::{count_other_keys, notice};
use crate::session::{self, DEFAULT_MAX_AGE, KEY_PREFIX, STEP_TTL, SessionStore, Token};
use crate::signals::{self, Signals};
use crate::state;
use crate::ui::{self, waiting::waiting};

/// Arguments of every step command.
#[derive(Clone, Debug, Args)]
pub struct StepArgs {
    /// Print only the result, without the Redis commands
    #[arg(long, short)]
    pub quiet: bool,
    /// Show the complete session token
    #[arg(long)]
    pub show_token: bool,
    /// The Redis to use
    #[command(flatten)]
    pub redis: RedisArgs,
}

/// Arguments of `login`.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Name of the user (1 to 64 characters)
    pub name: String,
    /// Options of all step commands
    #[command(flatten)]
    pub step: StepArgs,
}

/// Arguments of `visits`.
#[derive(Debug, Args)]
pub struct VisitsArgs {
    /// Number of visits to count
    #[arg(long, value_name = "N", default_value = "1", allow_negative_numbers = true, value_parser = whole::<u32>(1, 100_000))]
    pub times: u32,
    /// Options of all step commands
    #[command(flatten)]
    pub step: StepArgs,
}

/// Arguments of `expire`.
#[derive(Debug, Args)]
pub struct ExpireArgs {
    /// Seconds until the session expires
    #[arg(long, value_name = "SECONDS", default_value = "10", allow_negative_numbers = true, value_parser = whole::<u32>(1, 86_400))]
    pub ttl: u32,
    /// Options of all step commands
    #[command(flatten)]
    pub step: StepArgs,
}

pub(super) fn login(args: &LoginArgs) -> Result<Exit, Error> {
    let name = session::user_name(&args.name)
        .map_err(|error| Error::usage(format!("{error}; use a name such as ada")))?;
    run(&args.step, async |step| {
        if !step.may_write().await? {
            return Ok(Exit::No);
        }
        let cookie = step.cookie();
        if let Some(old) = cookie.token() {
            step.reply(async |store| store.end(&old).await).await?;
        }
        let token = step.reply(async |store| store.create(name).await).await?;
        step.keep(cookie.with(Some(&token), None))?;
        step.show_commands();
        ui::told(&format!("logged in as {name}"));
        step.show_cookie(&token);
        step.reply(async |store| store.look(&token).await).await?;
        step.show_commands();
        Ok(Exit::Ok)
    })
}

pub(super) fn visits(args: &VisitsArgs) -> Result<Exit, Error> {
    run(&args.step, async |step| {
        for _ in 0..args.times {
            let Some(token) = step.cookie().token() else {
                return step.logged_out().await;
            };
            let session = step.reply(async |store| store.visit(&token).await).await?;
            step.show_commands();
            match session {
                Some(session) => ui::answer(&format!("Visits: {}", session.visits)),
                None => return step.logged_out().await,
            }
        }
        Ok(Exit::Ok)
    })
}

pub(super) fn expire(args: &ExpireArgs) -> Result<Exit, Error> {
    run_with_signals(&args.step, async |step, signals| {
        let Some(token) = step.cookie().token() else {
            return step.logged_out().await;
        };
        let key = token.key();
        let Some(had) = step.ttl_of(key).await? else {
            return step.logged_out().await;
        };
        step.show_commands();
        let began = Instant::now();
        let has_expired = tokio::select! {
            has_expired = step.let_expire(key, args.ttl) => has_expired?,
            _ = signals.next() => {
                step.restore_ttl(key, had.saturating_sub(began.elapsed())).await?;
                return Err(Error::Interrupted);
            }
        };
        let exists: bool = step.reply(async |store| store.redis.exists(key).await).await?;
        step.show_commands();
        if exists || !has_expired {
            return Err(anyhow!("the session did not expire: another visit reset its TTL").into());
        }
        step.keep(step.cookie().with(Some(&token), Some(SessionEnd::Expired)))?;
        ui::told("expired: Redis has deleted the key, so the session has ended");
        Ok(Exit::Ok)
    })
}

pub(super) fn session(args: &StepArgs) -> Result<Exit, Error> {
    run(args, async |step| {
        let Some(token) = step.cookie().token() else {
            return step.logged_out().await;
        };
        let found = step.reply(async |store| store.look(&token).await).await?;
        let Some((left, _)) = found else {
            return step.logged_out().await;
        };
        step.show_cookie(&token);
        ui::answer(&format!("key: {}", token.key()));
        ui::answer(&format!("time left: {:.1} s", left.as_secs_f64()));
        step.show_commands();
        Ok(Exit::Ok)
    })
}

pub(super) fn logout(args: &StepArgs) -> Result<Exit, Error> {
    run(args, async |step| {
        let cookie = step.cookie();
        let Some(token) = cookie.token() else {
            return step.logged_out().await;
        };
        step.reply(async |store| store.end(&token).await).await?;
        step.show_commands();
        step.keep(cookie.with(None, Some(SessionEnd::LoggedOut)))?;
        ui::answer("logged out");
        Ok(Exit::Ok)
    })
}

type Store = SessionStore<Recorded<RedisConnection>>;

/// The session store and the saved cookies that a step command uses.
struct StepContext {
    store: Store,
    jar: Jar,
    endpoint: String,
    origin: Origin,
    is_quiet: bool,
    shows_token: bool,
}

/// Connects to Redis, opens the cookie jar, and runs `work`. A signal cancels `work` immediately.
fn run(
    args: &StepArgs,
    work: impl AsyncFnOnce(&mut StepContext) -> Result<Exit, Error>,
) -> Result<Exit, Error> {
    run_with_signals(args, async |step, signals| {
        tokio::select! {
            done = work(step) => done,
            _ = signals.next() => Err(Error::Interrupted),
        }
    })
}

/// Like [`run`], but `work` itself handles signals, so that it can undo changes.
fn run_with_signals(
    args: &StepArgs,
    work: impl AsyncFnOnce(&mut StepContext, &mut Signals) -> Result<Exit, Error>,
) -> Result<Exit, Error> {
    let choice = chosen::choose(args.redis.url.as_deref())?;
    let folder = state::open_folder().context("cannot open the state folder, where the session is saved")?;
    let jar = Jar::open(&folder);
    if let Some(complaint) = &jar.complaint {
        ui::note(&format!("sessiontut: {complaint}"));
    }
    let runtime = signals::runtime()?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen().context("cannot install signal handlers")?;
        let trust = chosen::trust(&args.redis.trust);
        let deadline = Deadline::after(DEFAULT_TIMEOUT);
        let what = format!("waiting for {}", choice.target);
        let opened = tokio::select! {
            opened = waiting(&what, deadline, connect::open_with_clock(&choice.target, &trust, deadline)) => opened,
            _ = signals.next() => return Err(Error::Interrupted),
        };
        let opened = opened?;
        let mut step = StepContext {
            store: SessionStore {
                clock: opened.clock(),
                redis: Recorded::new(opened),
                ttl: STEP_TTL,
                max_age: DEFAULT_MAX_AGE,
            },
            jar,
            endpoint: endpoint(&choice.target),
            origin: choice.target.origin,
            is_quiet: args.quiet,
            shows_token: args.show_token,
        };
        work(&mut step, &mut signals).await
    });
    choice.close();
    ended
}

/// Returns a name for the Redis endpoint that stores a session. The name contains no user name and no
/// password.
pub(super) fn endpoint(target: &Target) -> String {
    match (target.origin, target.host(), target.port()) {
        (Origin::Practice, ..) => "practice".to_owned(),
        (_, Some(host), Some(port)) => match &target.sentinels {
            // The primary's address may change, but the Sentinel's address and the primary's name stay the
            // same.
            Some(sentinels) => format!("{host}:{port}/{}/{}", sentinels.name, target.db),
            None => format!("{host}:{port}/{}", target.db),
        },
        _ => target.to_string(),
    }
}

impl StepContext {
    fn cookie(&self) -> StoredCookie {
        self.jar.cookie(&self.endpoint)
    }

    fn keep(&mut self, cookie: StoredCookie) -> Result<(), Error> {
        let kept = self.jar.keep(&self.endpoint, cookie);
        Ok(kept.context("cannot save the session in the state folder")?)
    }

    /// Runs `work` with the store. If Redis fails or does not reply in time, returns an error with the cause
    /// and exit status that `ping` would report.
    async fn reply<T>(&mut self, work: impl AsyncFnOnce(&mut Store) -> RedisResult<T>) -> Result<T, Error> {
        let deadline = Deadline::after(DEFAULT_TIMEOUT);
        let redis = self.store.redis.unrecorded().clone();
        let work = deadline.bound(work(&mut self.store));
        match waiting("waiting for Redis", deadline, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(RedisFault::of_error(&error, &redis.fix_context()).into()),
            Err(_) => Err(RedisFault::no_answer(DEFAULT_TIMEOUT).into()),
        }
    }

    /// Returns the TTL of a key, or `None` if the key does not exist or has no TTL.
    async fn ttl_of(&mut self, key: &str) -> Result<Option<Duration>, Error> {
        let left: i64 = self.reply(async |store| store.redis.pttl(key).await).await?;
        Ok(u64::try_from(left).ok().map(Duration::from_millis))
    }

    /// Sets the key's TTL to `ttl` seconds, then reads the TTL once a second. Returns true when the key has
    /// expired, or false if a visit has reset the TTL.
    async fn let_expire(&mut self, key: &str, ttl: u32) -> Result<bool, Error> {
        let () = self
            .reply(async |store| store.redis.expire(key, ttl.into()).await)
            .await?;
        self.show_commands();
        let ttl = Duration::from_secs(ttl.into());
        let mut countdown = ui::waiting::Countdown::new("the session expires", ttl);
        loop {
            let left = self.ttl_of(key).await?;
            self.store.redis.take();
            match left {
                None => return Ok(true),
                Some(left) if left > ttl => return Ok(false),
                Some(left) => {
                    countdown.show(left);
                    // Wait one millisecond longer, so that the key has expired.
                    tokio::time::sleep(left.min(Duration::from_secs(1)) + Duration::from_millis(1)).await;
                }
            }
        }
    }

    /// Restores the session's TTL after an interrupted countdown.
    async fn restore_ttl(&mut self, key: &str, left: Duration) -> Result<(), Error> {
        let left = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
        let () = self
            .reply(async |store| store.redis.pexpire(key, left).await)
            .await?;
        self.show_commands();
        ui::note("interrupted: the session's previous TTL was restored");
        Ok(())
    }

    /// Returns whether the user allows the command to write. If Redis contains keys of other programs, prints
    /// a message and, on a terminal, asks the user.
    async fn may_write(&mut self) -> Result<bool, Error> {
        let mut cookie = self.cookie();
        if cookie.is_known || self.origin == Origin::Practice {
            return Ok(true);
        }
        let others = self
            .reply(async |store| count_other_keys(store.redis.unrecorded()).await)
            .await?;
        if let Some(others) = notice(others)
            && !ui::agrees(&format!(
                "{others}; sessiontut writes only keys that start with {KEY_PREFIX}"
            ))
        {
            return Ok(false);
        }
        cookie.is_known = true;
        self.keep(cookie)?;
        Ok(true)
    }

    /// Prints the Redis commands since the last call, with replies and times.
    fn show_commands(&mut self) {
        let round_trips = self.store.redis.take();
        if self.is_quiet {
            return;
        }
        for round_trip in &round_trips {
            for command in &round_trip.commands {
                let reply = command.reply.as_deref().unwrap_or_default();
                let reply = reply.replace('\n', "\n  ");
                ui::whole_note(&format!("> {}\n  {reply}", command.command));
            }
            let micros = round_trip.took.as_secs_f64() * 1e6;
            ui::note(&format!("  ({micros:.0} µs for this round trip)"));
        }
    }

    fn show_cookie(&self, token: &Token) {
        let shown = if self.shows_token {
            token.reveal().to_owned()
        } else {
            format!("{}…", token.start())
        };
        ui::answer(&format!("cookie: session={shown}"));
    }

    /// Prints why there is no session. Returns an error if Redis lacks a command that a login needs.
    async fn logged_out(&mut self) -> Result<Exit, Error> {
        let cookie = self.cookie();
        if cookie.token().is_none() && cookie.ended.is_none() {
            self.check_commands().await?;
        }
        let why = match (cookie.token(), cookie.ended) {
            (_, Some(SessionEnd::Expired)) => "the session's key has expired",
            (_, Some(SessionEnd::LoggedOut)) => {
                "you have logged out; to log in again, run `sessiontut login NAME`"
            }
            (None, None) => "run `sessiontut login NAME` first",
            (Some(_), None) => "the session's key no longer exists, because it has expired or was deleted",
        };
        ui::told(&format!("not logged in: {why}"));
        Ok(Exit::No)
    }

    /// Checks that Redis has the commands that a login needs. Succeeds if an ACL forbids this check.
    async fn check_commands(&mut self) -> Result<(), Error> {
        let question = redis::cmd("COMMAND").arg("INFO").arg(&COMMANDS).to_owned();
        let redis = self.store.redis.unrecorded();
        let deadline = Deadline::after(DEFAULT_TIMEOUT);
        let Ok(Ok(Value::Array(known))) = deadline.bound(redis.reply(&question)).await else {
            return Ok(());
        };
        let mut missing = COMMANDS
            .iter()
            .zip(&known)
            .filter(|(_, info)| **info == Value::Nil);
        match missing.next() {
            Some((name, _)) if known.len() == COMMANDS.len() => {
                Err(RedisFault::missing_command(name, &redis.fix_context()).into())
            }
            _ => Ok(()),
        }
    }
}

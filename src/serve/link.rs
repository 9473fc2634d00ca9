//! The way to Redis of one worker: one shared connection, opened when it is needed and replaced when it is known dead.
//!
//! Only the opening is ever tried again. A command that was sent may have been executed: its request gets the fault.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::RedisError;
use tokio::sync::watch;

use super::fault::{Connection, Fault};
use crate::deadline::Deadline;
use crate::redis_client::connect::RedisConnection;

/// For connecting, logging in and finding out what is wrong.
const OPEN_WITHIN: Duration = Duration::from_millis(1300);
/// For one round trip; what is left of a visitor's two seconds goes to finding out why.
const ASK_WITHIN: Duration = Duration::from_millis(1100);

/// Opens a client; it is asked again whenever the last one has died.
pub(crate) type Opener = Arc<dyn Fn(Deadline) -> Opening + Send + Sync>;

/// A client on its way.
pub(crate) type Opening = Pin<Box<dyn Future<Output = Result<RedisConnection, Fault>> + Send>>;

/// One shared connection and how to get another.
pub(super) struct Link {
    opener: Opener,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    client: Option<Leased>,
    attempt: Option<Attempt>,
    generation: u64,
}

/// The current client; the number tells it from the one that follows.
#[derive(Clone)]
pub(super) struct Leased {
    pub(super) client: RedisConnection,
    generation: u64,
}

/// One opening, which everyone who needs a client waits for.
#[derive(Clone)]
struct Attempt {
    begun: Instant,
    outcome: watch::Receiver<Option<Result<Leased, Fault>>>,
}

impl Link {
    pub(super) fn new(opener: Opener) -> Arc<Self> {
        Arc::new(Self {
            opener,
            state: Mutex::default(),
        })
    }

    /// Does `work` with the current client, or with a new one where the current one is known dead.
    pub(super) async fn ask<T, W>(
        self: &Arc<Self>,
        deadline: Deadline,
        work: impl FnOnce(RedisConnection) -> W,
    ) -> Result<T, Fault>
    where
        W: Future<Output = Result<T, RedisError>>,
    {
        let leased = self.client(deadline, OPEN_WITHIN).await?;
        let generation = leased.generation;
        let context = leased.client.fix_context().clone();
        match deadline.within(ASK_WITHIN).bound(work(leased.client)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                let (fault, connection) = Fault::of_error(&error, &context);
                if connection == Connection::Replace {
                    self.retire(generation);
                }
                Err(fault)
            }
            Err(_) => {
                self.retire(generation);
                Err(self.why_silent(deadline).await)
            }
        }
    }

    /// The current client, or the next one; an opening that starts now may take so long.
    async fn client(self: &Arc<Self>, deadline: Deadline, within: Duration) -> Result<Leased, Fault> {
        if let Some(leased) = self.state().living() {
            return Ok(leased);
        }
        let arrived = Instant::now();
        let mut last = None;
        loop {
            let attempt = {
                let mut state = self.state();
                if let Some(leased) = state.living() {
                    return Ok(leased);
                }
                self.attempt(&mut state, within)
            };
            match deadline.bound(attempt.result()).await {
                Ok(Ok(leased)) => return Ok(leased),
                // It began before this request came: what it found may be over.
                Ok(Err(fault)) if attempt.begun < arrived => last = Some(fault),
                Ok(Err(fault)) => return Err(fault),
                // What was found a moment ago says more than that time is over.
                Err(_) => return Err(last.unwrap_or_else(|| Fault::no_answer(deadline.span()))),
            }
        }
    }

    /// The attempt that is under way, or a new one.
    fn attempt(self: &Arc<Self>, state: &mut State, within: Duration) -> Attempt {
        if let Some(attempt) = state.attempt.as_ref().filter(|attempt| !attempt.is_over()) {
            return attempt.clone();
        }
        let (tell, outcome) = watch::channel(None);
        let attempt = Attempt {
            begun: Instant::now(),
            outcome,
        };
        state.attempt = Some(attempt.clone());
        let link = self.clone();
        // A task of its own: the visitor who needed it first may leave, others wait for it.
        tokio::spawn(async move {
            let deadline = Deadline::after(within);
            let opened = match deadline.bound((link.opener)(deadline)).await {
                Ok(opened) => opened,
                Err(_) => Err(Fault::no_answer(within)),
            };
            tell.send_replace(Some(opened.map(|client| link.install(client))));
        });
        attempt
    }

    fn install(&self, client: RedisConnection) -> Leased {
        let mut state = self.state();
        state.generation += 1;
        let leased = Leased {
            client,
            generation: state.generation,
        };
        state.client = Some(leased.clone());
        leased
    }

    /// Lets go of a connection that is no use any more; what others still wait for on it may yet come.
    fn retire(&self, generation: u64) {
        let mut state = self.state();
        if state
            .client
            .as_ref()
            .is_some_and(|leased| leased.generation == generation)
        {
            state.client = None;
        }
    }

    /// Why a connection that stood gave no answer, as far as the time that is left can tell.
    async fn why_silent(self: &Arc<Self>, deadline: Deadline) -> Fault {
        // A tenth less: the fault must be there before the deadline is.
        match self.client(deadline, deadline.left().mul_f64(0.9)).await {
            // It can be reached anew: the connection was at fault, or Redis was slow.
            Ok(_) => Fault::no_answer(ASK_WITHIN),
            Err(fault) => fault,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn living(&mut self) -> Option<Leased> {
        if self
            .client
            .as_ref()
            .is_some_and(|leased| leased.client.is_closed())
        {
            self.client = None;
        }
        self.client.clone()
    }
}

impl Attempt {
    fn is_over(&self) -> bool {
        self.outcome.borrow().is_some() || self.outcome.has_changed().is_err()
    }

    async fn result(&self) -> Result<Leased, Fault> {
        let mut outcome = self.outcome.clone();
        match outcome.wait_for(Option::is_some).await {
            Ok(done) => done.clone().unwrap_or_else(|| Err(Fault::interrupted())),
            Err(_) => Err(Fault::interrupted()),
        }
    }
}

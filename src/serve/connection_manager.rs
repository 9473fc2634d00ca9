//! Manages the connection to Redis that all requests share. Opens a connection when a request needs one, and
//! replaces a closed connection.
//!
//! Only connection attempts are repeated. A command is never sent twice, because the server might already
//! have executed it. If the reply to a command is lost, the request fails.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, Shared, select};
use redis::RedisError;

use crate::deadline::Deadline;
use crate::redis_client::fault::RedisFault;
use crate::redis_client::{Clock, RedisConnection};

/// Time limit for connecting to Redis, including the diagnosis if connecting fails.
const OPEN_WITHIN: Duration = Duration::from_millis(1300);
/// Time limit for the commands of a request. It leaves time for a diagnosis within the time limit of the
/// whole request.
const RUN_WITHIN: Duration = Duration::from_millis(1100);

pub(crate) type Opener =
    Arc<dyn Fn(Deadline) -> BoxFuture<'static, Result<RedisConnection, RedisFault>> + Send + Sync>;

/// Opens and stores the connection that all requests share.
pub(super) struct ConnectionManager {
    opener: Opener,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<RedisConnection>,
    attempt: Option<Attempt>,
    /// The last connection, if it belongs to a cluster whose nodes could not be reached. It is kept because a
    /// node other than the one in the URL might become reachable again.
    lost: Option<RedisConnection>,
    /// The clock of the most recent connection.
    clock: Clock,
}

/// A connection attempt. All requests that need a connection wait for the same attempt.
#[derive(Clone)]
struct Attempt {
    began: Instant,
    outcome: Shared<BoxFuture<'static, Result<RedisConnection, RedisFault>>>,
}

impl ConnectionManager {
    pub(super) fn new(opener: Opener) -> Arc<Self> {
        Arc::new(Self {
            opener,
            state: Mutex::default(),
        })
    }

    /// Runs `work` on the current connection, or on a new connection if the current one is closed.
    pub(super) async fn run<T, W>(
        self: &Arc<Self>,
        deadline: Deadline,
        work: impl FnOnce(RedisConnection) -> W,
    ) -> Result<T, RedisFault>
    where
        W: Future<Output = Result<T, RedisError>>,
    {
        let connection = self.connection(deadline, OPEN_WITHIN).await?;
        match deadline.within(RUN_WITHIN).bound(work(connection.clone())).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                let fault = RedisFault::of_error(&error, &connection.fix_context());
                if fault.reconnect {
                    self.drop_connection(&connection);
                }
                Err(fault)
            }
            Err(_) => {
                self.drop_connection(&connection);
                Err(self.why_no_reply(deadline).await)
            }
        }
    }

    /// Returns the current connection, or opens a new one within the time limit `within`.
    async fn connection(
        self: &Arc<Self>,
        deadline: Deadline,
        within: Duration,
    ) -> Result<RedisConnection, RedisFault> {
        let arrived = Instant::now();
        let mut last = None;
        loop {
            let attempt = {
                let mut state = self.state();
                if let Some(current) = state.open_connection() {
                    return Ok(current);
                }
                self.attempt(&mut state, within)
            };
            match deadline.bound(attempt.outcome.clone()).await {
                Ok(Ok(connection)) => return Ok(connection),
                // The attempt began before this request arrived. Redis might have become available since
                // then, so try again.
                Ok(Err(fault)) if attempt.began < arrived => last = Some(fault),
                Ok(Err(fault)) => return Err(fault),
                // An earlier fault is more specific than a timeout.
                Err(_) => return Err(last.unwrap_or_else(|| RedisFault::no_answer(deadline.span()))),
            }
        }
    }

    /// Returns the attempt in progress, or starts a new attempt.
    fn attempt(self: &Arc<Self>, state: &mut State, within: Duration) -> Attempt {
        if let Some(attempt) = state
            .attempt
            .as_ref()
            .filter(|attempt| attempt.outcome.peek().is_none())
        {
            return attempt.clone();
        }
        let manager = self.clone();
        let lost = state.lost.clone();
        // A separate task makes the attempt, because the visitor whose request started the attempt might
        // disconnect.
        let task = tokio::spawn(async move {
            let deadline = Deadline::after(within);
            let opened = match deadline.bound(manager.open_or_recover(lost, deadline)).await {
                Ok(opened) => opened,
                Err(_) => Err(RedisFault::no_answer(within)),
            };
            opened.map(|connection| manager.keep(connection))
        });
        let outcome = async move { task.await.unwrap_or_else(|_| Err(RedisFault::interrupted())) };
        let attempt = Attempt {
            began: Instant::now(),
            outcome: outcome.boxed().shared(),
        };
        state.attempt = Some(attempt.clone());
        attempt
    }

    /// Opens a new connection. If the connection to a cluster was lost, tries to reach the known nodes of the
    /// cluster at the same time. Returns the first connection that works.
    async fn open_or_recover(
        &self,
        lost: Option<RedisConnection>,
        deadline: Deadline,
    ) -> Result<RedisConnection, RedisFault> {
        let opening = (self.opener)(deadline);
        let Some(lost) = lost else {
            return opening.await;
        };
        let recovering = pin!(lost.recover());
        match select(opening, recovering).await {
            Either::Left((Ok(opened), _)) => Ok(opened),
            Either::Left((Err(fault), recovering)) => match recovering.await {
                true => Ok(lost.clone()),
                false => Err(fault),
            },
            Either::Right((true, _)) => Ok(lost.clone()),
            Either::Right((false, opening)) => opening.await,
        }
    }

    fn keep(&self, connection: RedisConnection) -> RedisConnection {
        let mut state = self.state();
        state.current = Some(connection.clone());
        state.attempt = None;
        state.lost = None;
        connection
    }

    /// Discards `connection`, so that new requests open a new one. Requests that already use `connection`
    /// still get their replies.
    ///
    /// Cluster connections are kept, because they replace the connections to their nodes by themselves.
    fn drop_connection(&self, connection: &RedisConnection) {
        if connection.is_cluster() {
            return;
        }
        let mut state = self.state();
        state.current.take_if(|current| current.is_same(connection));
    }

    /// Determines, before the deadline, why no reply arrived on an open connection.
    async fn why_no_reply(self: &Arc<Self>, deadline: Deadline) -> RedisFault {
        // Use a tenth less than the remaining time, so that the diagnosis ends before the deadline.
        match self.connection(deadline, deadline.left().mul_f64(0.9)).await {
            // The connection works, so either the previous one was broken or Redis was slow.
            Ok(_) => RedisFault::no_answer(RUN_WITHIN),
            Err(fault) => fault,
        }
    }

    /// Returns the clock of the Redis server, as read on the most recent connection.
    pub(super) fn clock(&self) -> Clock {
        let mut state = self.state();
        if let Some(current) = &state.current {
            state.clock = current.clock();
        }
        state.clock
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open_connection(&mut self) -> Option<RedisConnection> {
        if let Some(closed) = self.current.take_if(|current| current.is_closed())
            && closed.is_cluster()
        {
            self.lost = Some(closed);
        }
        self.current.clone()
    }
}

//! Finds the session for a cookie.

use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, RedisResult};

use super::connection_manager::ConnectionManager;
use super::counter::{self, CreatedKeys};
use super::history::{Commands, History};
use super::pages::{CookieView, HashView, Visit};
use super::step::AppStep;
use crate::deadline::Deadline;
use crate::redis_client::Recorded;
use crate::redis_client::connect::RedisConnection;
use crate::redis_client::fault::RedisFault;
use crate::session::store::{Fields, SessionStore};
use crate::session::{SigningKey, Token};

/// The settings and connections that are needed to find a session.
pub(super) struct Sessions {
    pub(super) step: AppStep,
    pub(super) ttl: Duration,
    pub(super) max_age: Duration,
    pub(super) key: SigningKey,
    pub(super) redis: Arc<ConnectionManager>,
    pub(super) history: History,
    pub(super) created: Arc<CreatedKeys>,
}

/// The visitor according to the cookie. Only a query to Redis shows whether the session is valid.
pub(super) enum Identity {
    /// Steps 1 to 3: a name with a valid signature.
    Name(String),
    /// Step 4: a text in the form of a token.
    Token(Token),
}

impl Identity {
    /// Whether the next visit starts a new hash after this one has expired.
    pub(super) fn outlives_its_hash(&self) -> bool {
        matches!(self, Self::Name(_))
    }
}

const BAD_SIGNATURE: &str = "its signature does not match; it was changed, or signed with another key";
const NOT_A_TOKEN: &str = "it is not a valid token, so Redis was not queried";
const NO_SESSION: &str = "it looks like a token, but there is no session for it (any more)";

impl Sessions {
    /// Counts a visit of the session that belongs to the cookie, in one round trip.
    pub(super) async fn visit(&self, cookie: Option<&str>, deadline: Deadline) -> Result<Visit, RedisFault> {
        let Some(cookie) = cookie else {
            return Ok(Visit::default());
        };
        match self.identity(Some(cookie)) {
            None if self.step.signs_the_name() => Ok(ignored(BAD_SIGNATURE)),
            None => Ok(ignored(NOT_A_TOKEN)),
            Some(Identity::Name(name)) => self.visit_name(name, cookie, deadline).await,
            Some(Identity::Token(token)) => self.visit_token(token, deadline).await,
        }
    }

    /// Returns the visitor that the cookie identifies, or `None` if the cookie is invalid.
    pub(super) fn identity(&self, cookie: Option<&str>) -> Option<Identity> {
        let cookie = cookie?;
        if self.step.signs_the_name() {
            self.key.verify(cookie).map(Identity::Name)
        } else {
            Token::parse(cookie).map(Identity::Token)
        }
    }

    async fn visit_name(&self, name: String, cookie: &str, deadline: Deadline) -> Result<Visit, RedisFault> {
        let mut visit = Visit {
            cookie: CookieView::Signed {
                signature: signature_start(cookie),
            },
            ..Visit::default()
        };
        if self.step.needs_redis() {
            let key = counter::key(&name);
            let ttl = (self.step == AppStep::Ttl).then_some(self.ttl);
            let work = |redis| {
                let (mut redis, key, created) = (Recorded::new(redis), key.clone(), self.created.clone());
                in_a_task(async move {
                    let (visits, fields) = counter::visit(&mut redis, &key, ttl).await?;
                    if ttl.is_none() {
                        created.note(&key, visits);
                    }
                    Ok((visits, fields, redis.take()))
                })
            };
            let (visits, fields, exchanges) = self.redis.run(deadline, work).await?;
            visit.visits = Some(visits);
            let commands = Commands::new(&exchanges);
            visit.earlier = self.history.add(&key, &commands);
            visit.commands = Some(commands);
            visit.hash = Some(HashView { key, fields, ttl });
        }
        visit.name = Some(name);
        Ok(visit)
    }

    async fn visit_token(&self, token: Token, deadline: Deadline) -> Result<Visit, RedisFault> {
        let work = |redis| {
            let mut store = self.store(redis);
            in_a_task(async move {
                let session = store.visit(&token).await?;
                Ok((session, token, store.redis.take()))
            })
        };
        let (session, token, exchanges) = self.redis.run(deadline, work).await?;
        let commands = Commands::new(&exchanges);
        let key = token.key().to_owned();
        let Some(session) = session else {
            self.history.forget(&key);
            return Ok(Visit {
                commands: Some(commands),
                ..ignored(NO_SESSION)
            });
        };
        Ok(Visit {
            name: Some(session.username),
            visits: Some(session.visits),
            cookie: CookieView::Token(token),
            earlier: self.history.add(&key, &commands),
            commands: Some(commands),
            hash: Some(HashView {
                key,
                fields: session.fields,
                ttl: Some(self.ttl),
            }),
        })
    }

    /// Ends the session that belongs to the cookie, and starts one for `name`. Returns the cookie's new value.
    pub(super) async fn login(
        &self,
        name: &str,
        cookie: Option<&str>,
        deadline: Deadline,
    ) -> Result<String, RedisFault> {
        if self.step.signs_the_name() {
            return Ok(self.key.sign(name));
        }
        let old = cookie.and_then(Token::parse);
        let work = |redis| async {
            let mut store = self.store(redis);
            if let Some(old) = &old {
                store.end(old).await?;
            }
            let token = store.create(name).await?;
            Ok((token, store.redis.take()))
        };
        let (token, exchanges) = self.redis.run(deadline, work).await?;
        if let Some(old) = &old {
            self.history.forget(old.key());
        }
        self.history.add(token.key(), &Commands::new(&exchanges));
        Ok(token.reveal().to_owned())
    }

    /// Ends the session that belongs to the cookie, on the server as well.
    pub(super) async fn logout(&self, cookie: &str, deadline: Deadline) -> Result<(), RedisFault> {
        let Some(Identity::Token(token)) = self.identity(Some(cookie)) else {
            return Ok(());
        };
        let work = |redis| async { self.store(redis).end(&token).await };
        self.redis.run(deadline, work).await?;
        self.history.forget(token.key());
        Ok(())
    }

    /// Reads a session without resetting its TTL. Returns the TTL and the fields, or `None` if the key does not
    /// exist.
    pub(super) async fn look(
        &self,
        visitor: &Identity,
        deadline: Deadline,
    ) -> Result<Option<(Duration, Fields)>, RedisFault> {
        let work = |mut redis| async {
            match visitor {
                Identity::Name(name) => counter::look(&mut redis, &counter::key(name)).await,
                Identity::Token(token) => self.store(redis).look(token).await,
            }
        };
        self.redis.run(deadline, work).await
    }

    /// Checks whether Redis is usable. Step 1 does not need Redis.
    pub(super) async fn health(&self, deadline: Deadline) -> Result<(), RedisFault> {
        if self.step.needs_redis() {
            self.redis.check(deadline).await?;
        }
        Ok(())
    }

    fn store(&self, redis: RedisConnection) -> SessionStore<Recorded<RedisConnection>> {
        SessionStore {
            redis: Recorded::new(redis),
            ttl: self.ttl,
            max_age: self.max_age,
        }
    }
}

/// Runs `work` to its end even if the visitor disconnects, which cancels the request. A hash that a visit creates for
/// an invalid token must be deleted, and a hash that step 2 creates must be recorded so that it can be deleted later.
async fn in_a_task<T: Send + 'static>(
    work: impl Future<Output = RedisResult<T>> + Send + 'static,
) -> RedisResult<T> {
    let stopped = |_| Err((ErrorKind::Client, "the server is shutting down").into());
    tokio::spawn(work).await.unwrap_or_else(stopped)
}

/// The first characters of a cookie's signature. With the whole signature, a script could rebuild the cookie.
fn signature_start(cookie: &str) -> String {
    let signature = cookie.rsplit('.').next().unwrap_or_default();
    signature.chars().take(6).collect()
}

/// Returns a visit without a session. `reason` is half a sentence.
fn ignored(reason: &'static str) -> Visit {
    Visit {
        cookie: CookieView::Ignored(reason),
        ..Visit::default()
    }
}

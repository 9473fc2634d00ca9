//! From a cookie to the session that the page shows.

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

/// Everything that turns a cookie into a session.
pub(super) struct Sessions {
    pub(super) step: AppStep,
    pub(super) ttl: Duration,
    pub(super) max_age: Duration,
    pub(super) key: SigningKey,
    pub(super) redis: Arc<ConnectionManager>,
    pub(super) history: History,
    pub(super) created: Arc<CreatedKeys>,
}

/// The visitor according to the cookie. Whether the session is valid is known only after a query to Redis.
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
const NO_SESSION: &str = "it looks like a token, but no session has its key (any more)";

impl Sessions {
    /// Counts a visit of the session that the cookie names, in one round trip.
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

    /// The visitor that the cookie names; `None` if the cookie is invalid.
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

    /// Starts a session for `name`, after ending the one that the cookie names; returns the cookie's new value.
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

    /// Ends the session that the cookie names, on the server as well.
    pub(super) async fn logout(&self, cookie: &str, deadline: Deadline) -> Result<(), RedisFault> {
        let Some(Identity::Token(token)) = self.identity(Some(cookie)) else {
            return Ok(());
        };
        let work = |redis| async { self.store(redis).end(&token).await };
        self.redis.run(deadline, work).await?;
        self.history.forget(token.key());
        Ok(())
    }

    /// Reads a session without refreshing it: its TTL and fields, or `None` if its key does not exist.
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

    /// Whether Redis is usable; step 1 does not need it.
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

/// Runs `work` to its end even if the visitor disconnects, which drops the request: what a visit creates for an invalid
/// token must be deleted, and a hash that step 2 creates must be noted, because nothing else would delete it.
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

/// A visit without a session, and the reason as half a sentence.
fn ignored(reason: &'static str) -> Visit {
    Visit {
        cookie: CookieView::Ignored(reason),
        ..Visit::default()
    }
}

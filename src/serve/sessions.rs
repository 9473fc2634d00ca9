//! Finds the session that belongs to a cookie.

use std::sync::Arc;
use std::time::Duration;

use redis::AsyncCommands;

use super::connection_manager::ConnectionManager;
use super::counter::{self, CreatedKeys};
use super::history::{Commands, History};
use super::pages::{CookieView, HashView, Visit};
use super::stage::AppStage;
use crate::deadline::Deadline;
use crate::redis_client::fault::RedisFault;
use crate::redis_client::{Recorded, RedisConnection};
use crate::session::store::{Fields, SessionStore};
use crate::session::{CookieError, SigningKey, Token};

/// The settings and the connection that are needed to find a session.
pub(super) struct Sessions {
    pub(super) stage: AppStage,
    pub(super) ttl: Duration,
    pub(super) max_age: Duration,
    pub(super) key: SigningKey,
    pub(super) redis: Arc<ConnectionManager>,
    pub(super) history: History,
    pub(super) created: Arc<CreatedKeys>,
}

/// The visitor whom a cookie identifies. Only a query to Redis shows whether the session is still valid.
pub(super) enum Identity {
    /// In stages 1 to 3, the name from a cookie with a valid signature. `signature` contains only the first
    /// characters of the signature, because the page shows them. With the whole signature, a script on the
    /// page could forge the cookie.
    Name { name: String, signature: String },
    /// In stage 4, a text in the form of a token.
    Token(Token),
}

impl Identity {
    /// Whether the visitor stays logged in when the hash expires. The next visit then creates a new hash.
    pub(super) fn outlives_its_hash(&self) -> bool {
        matches!(self, Self::Name { .. })
    }

    /// Returns a string that identifies the session among all sessions of this server.
    pub(super) fn session(&self) -> &str {
        match self {
            Self::Name { name, .. } => name,
            Self::Token(token) => token.key(),
        }
    }
}

const BAD_SIGNATURE: &str = "its signature is invalid. Perhaps the cookie was changed, or it was signed with another \
                             SECRET_KEY or by another stage. If another application on this host uses the same \
                             cookie name, start this app with a different --cookie-name";
const TOO_OLD: &str = "it is older than --max-age";
const NOT_A_TOKEN: &str = "it does not contain a valid token, so the app did not query Redis. Another stage or \
                           another application on this host probably set this cookie. To prevent this, start this \
                           app with a different --cookie-name";
const NO_SESSION: &str = "the session that belongs to its token has ended or never existed";

impl Sessions {
    /// Counts a visit in one round trip, in the session of the first valid cookie.
    pub(super) async fn visit(&self, cookies: &[String], deadline: Deadline) -> Result<Visit, RedisFault> {
        let mut visit = Visit::default();
        for cookie in cookies {
            visit = match self.identity(cookie) {
                Ok(Identity::Name { name, signature }) => self.visit_name(name, signature, deadline).await?,
                Ok(Identity::Token(token)) => self.visit_token(token, deadline).await?,
                // If no cookie is valid, the page shows why the first one was ignored.
                Err(_) if visit.cookies > 0 => continue,
                Err(reason) => ignored(reason),
            };
            visit.cookies = cookies.len();
            if visit.name.is_some() {
                break;
            }
        }
        Ok(visit)
    }

    /// Returns the time on the Redis server, in seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.redis.clock().now()
    }

    /// Returns the visitor whom a cookie identifies. If the cookie is invalid, returns the reason as a
    /// clause.
    fn identity(&self, cookie: &str) -> Result<Identity, &'static str> {
        if !self.stage.signs_the_name() {
            return Token::parse(cookie).map(Identity::Token).ok_or(NOT_A_TOKEN);
        }
        match self
            .key
            .verify(self.stage.purpose(), cookie, self.now(), self.max_age)
        {
            Ok(name) => Ok(Identity::Name {
                name,
                signature: signature_start(cookie),
            }),
            Err(CookieError::Signature) => Err(BAD_SIGNATURE),
            Err(CookieError::Expired) => Err(TOO_OLD),
        }
    }

    /// Returns the visitor whom the first valid cookie identifies, or `None` if there is no such cookie, or
    /// if this stage does not use Redis.
    pub(super) async fn find(&self, cookies: &[String], deadline: Deadline) -> Option<Identity> {
        if !self.stage.needs_redis() {
            return None;
        }
        let mut visitors = cookies.iter().filter_map(|cookie| self.identity(cookie).ok());
        let mut found = visitors.next()?;
        for other in visitors {
            if matches!(found, Identity::Name { .. })
                || !matches!(self.look(&found, deadline).await, Ok(None))
            {
                break;
            }
            found = other;
        }
        Some(found)
    }

    async fn visit_name(
        &self,
        name: String,
        signature: String,
        deadline: Deadline,
    ) -> Result<Visit, RedisFault> {
        let mut visit = Visit {
            cookie: CookieView::Signed { signature },
            ..Visit::default()
        };
        if self.stage.needs_redis() {
            let key = counter::key(&name);
            let ttl = (self.stage == AppStage::Ttl).then_some(self.ttl);
            let work = |redis| {
                let (mut redis, key, created) = (Recorded::new(redis), key.clone(), self.created.clone());
                to_the_end(async move {
                    let (visits, fields) = counter::visit(&mut redis, &key, ttl).await?;
                    if ttl.is_none() && !created.note(&key, visits, &fields) {
                        let ttl = counter::UNRECORDED_TTL.as_secs().cast_signed();
                        let () = redis.expire(&key, ttl).await?;
                    }
                    Ok((visits, fields, redis.take()))
                })
            };
            let counted = self.redis.run(deadline, work).await;
            let (visits, fields, round_trips) = counted.map_err(|fault| fault.about(&key))?;
            visit.visits = Some(visits);
            let commands = Commands::new(&round_trips);
            visit.earlier = self.history.add(&key, &commands);
            visit.commands = Some(commands);
            visit.round_trips = round_trips;
            visit.hash = Some(HashView {
                key,
                fields,
                now: self.now(),
                ttl,
            });
        }
        visit.name = Some(name);
        Ok(visit)
    }

    async fn visit_token(&self, token: Token, deadline: Deadline) -> Result<Visit, RedisFault> {
        let key = token.key().to_owned();
        let work = |redis| {
            let mut store = self.store(redis);
            to_the_end(async move {
                let session = store.visit(&token).await?;
                Ok((session, token, store.redis.take()))
            })
        };
        let counted = self.redis.run(deadline, work).await;
        let (session, token, round_trips) = counted.map_err(|fault| fault.about(&key))?;
        let commands = Commands::new(&round_trips);
        let Some(session) = session else {
            self.history.forget(&key);
            return Ok(Visit {
                commands: Some(commands),
                round_trips,
                ..ignored(NO_SESSION)
            });
        };
        Ok(Visit {
            name: Some(session.username),
            visits: Some(session.visits),
            cookie: CookieView::Token(token),
            earlier: self.history.add(&key, &commands),
            commands: Some(commands),
            round_trips,
            hash: Some(HashView {
                key,
                fields: session.fields,
                now: self.now(),
                ttl: Some(self.ttl),
            }),
            ..Visit::default()
        })
    }

    /// Ends the sessions that belong to the cookies, and starts a new session for `name`. In stages 1 to 3,
    /// only signs the name. Returns the new value of the cookie.
    pub(super) async fn login(
        &self,
        name: &str,
        cookies: &[String],
        deadline: Deadline,
    ) -> Result<String, RedisFault> {
        if self.stage.signs_the_name() {
            return Ok(self.key.sign(self.stage.purpose(), name, self.now()));
        }
        let old: Vec<Token> = cookies.iter().filter_map(|cookie| Token::parse(cookie)).collect();
        let work = |redis| async {
            let mut store = self.store(redis);
            for old in &old {
                store.end(old).await?;
            }
            let token = store.create(name).await?;
            Ok((token, store.redis.take()))
        };
        let (token, round_trips) = self.redis.run(deadline, work).await?;
        for old in &old {
            self.history.forget(old.key());
        }
        self.history.add(token.key(), &Commands::new(&round_trips));
        Ok(token.reveal().to_owned())
    }

    /// Deletes the sessions that belong to the cookies from Redis. Does nothing in stages 1 to 3.
    pub(super) async fn logout(&self, cookies: &[String], deadline: Deadline) -> Result<(), RedisFault> {
        if self.stage.signs_the_name() {
            return Ok(());
        }
        for token in cookies.iter().filter_map(|cookie| Token::parse(cookie)) {
            let work = |redis| async { self.store(redis).end(&token).await };
            self.redis.run(deadline, work).await?;
            self.history.forget(token.key());
        }
        Ok(())
    }

    /// Reads a session without resetting its TTL. Returns the TTL and the fields, or `None` if the session is
    /// not valid or has no TTL.
    pub(super) async fn look(
        &self,
        visitor: &Identity,
        deadline: Deadline,
    ) -> Result<Option<(Duration, Fields)>, RedisFault> {
        let work = |mut redis| async {
            match visitor {
                Identity::Name { name, .. } => counter::look(&mut redis, &counter::key(name)).await,
                Identity::Token(token) => self.store(redis).look(token).await,
            }
        };
        self.redis.run(deadline, work).await
    }

    pub(super) fn store(&self, redis: RedisConnection) -> SessionStore<Recorded<RedisConnection>> {
        SessionStore {
            clock: redis.clock(),
            redis: Recorded::new(redis),
            ttl: self.ttl,
            max_age: self.max_age,
        }
    }
}

/// Completes the work even if the request is cancelled, because a hash might otherwise remain in Redis forever.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}

/// Returns the first characters of a cookie's signature.
fn signature_start(cookie: &str) -> String {
    let signature = cookie.rsplit('.').next().unwrap_or_default();
    signature.chars().take(6).collect()
}

/// Returns a visit whose cookie was ignored. `reason` is a clause, as in [`CookieView::Ignored`].
fn ignored(reason: &'static str) -> Visit {
    Visit {
        cookie: CookieView::Ignored(reason),
        ..Visit::default()
    }
}

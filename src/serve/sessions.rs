//! From a cookie to what the page shows of its session, over Redis where the step has one.

use std::sync::Arc;
use std::time::Duration;

use redis::{RedisError, Value, cmd};

use super::counter::{self, Count, Made};
use super::fault::Fault;
use super::history::{Asked, History};
use super::link::Link;
use super::page;
use super::step::Step;
use crate::deadline::Deadline;
use crate::serve::standin::client::Client;
use crate::serve::standin::cookie::SigningKey;
use crate::serve::standin::store::{Session, SessionStore};
use crate::serve::standin::token::Token;
use crate::wire::{Recorded, Recorder};

/// Everything that turns a cookie into a session; one a worker.
pub(super) struct Sessions {
    pub(super) step: Step,
    pub(super) ttl: Duration,
    pub(super) max_age: Duration,
    pub(super) key: Arc<SigningKey>,
    pub(super) link: Arc<Link>,
    pub(super) history: Arc<History>,
    pub(super) made: Arc<Made>,
}

/// Who a cookie says that a visitor is; whether the session lives is for Redis to say.
pub(super) enum Who {
    /// Steps 1 to 3: a name that we signed.
    Named(String),
    /// Step 4: something that can be one of our tokens.
    Bearer(Token),
}

impl Who {
    /// Whether a hash that has expired starts anew with the next visit.
    pub(super) fn can_come_back(&self) -> bool {
        matches!(self, Self::Named(_))
    }
}

/// What a visit of the page found.
pub(super) struct Visit {
    pub(super) name: Option<String>,
    pub(super) visits: Option<i64>,
    pub(super) cookie: Cookie,
    hash: Option<Hash>,
    /// What this visit asked Redis.
    pub(super) asked: Asked,
    /// The rows of what was asked for the session before.
    pub(super) earlier: String,
}

/// What the browser's cookie turned out to hold.
pub(super) enum Cookie {
    Absent,
    Refused(&'static str),
    Signed { name: String, signature: String },
    Token { start: String, key: String },
}

struct Hash {
    key: String,
    fields: Vec<(String, String)>,
    left: Option<Duration>,
}

/// What a look at a session finds.
pub(super) enum Look {
    /// It lives.
    Alive {
        left: Duration,
        fields: Vec<(String, String)>,
    },
    /// Its key is gone.
    Gone,
}

const BAD_SIGNATURE: &str = "its signature does not match, so somebody changed it, or another key signed it";
const NO_TOKEN: &str = "it cannot be one of our tokens, so Redis is not even asked";
const DEAD_TOKEN: &str = "it may have been a token of ours, and no session is at its key (any more)";

impl Sessions {
    /// Counts a visit of the session that the cookie names, in one round trip.
    pub(super) async fn visit(&self, cookie: Option<&str>, deadline: Deadline) -> Result<Visit, Fault> {
        let Some(cookie) = cookie else {
            return Ok(Visit::logged_out(Cookie::Absent));
        };
        match self.who(Some(cookie)) {
            None if self.step.signs_the_name() => Ok(Visit::logged_out(Cookie::Refused(BAD_SIGNATURE))),
            None => Ok(Visit::logged_out(Cookie::Refused(NO_TOKEN))),
            Some(Who::Named(name)) => self.visit_named(name, cookie, deadline).await,
            Some(Who::Bearer(token)) => self.visit_bearer(&token, deadline).await,
        }
    }

    /// Who the cookie says that the visitor is; `None` where it is none of ours.
    pub(super) fn who(&self, cookie: Option<&str>) -> Option<Who> {
        let cookie = cookie?;
        if self.step.signs_the_name() {
            self.key.verify(cookie).map(Who::Named)
        } else {
            Token::parse(cookie).map(Who::Bearer)
        }
    }

    async fn visit_named(&self, name: String, cookie: &str, deadline: Deadline) -> Result<Visit, Fault> {
        let shown = Cookie::Signed {
            name: name.clone(),
            signature: signature_start(cookie),
        };
        let mut visit = Visit {
            name: Some(name),
            ..Visit::logged_out(shown)
        };
        let (Some(name), Some(life)) = (&visit.name, counter::Life::of(self.step, self.ttl)) else {
            return Ok(visit);
        };
        let key = counter::key(name);
        let (count, asked) = self
            .recorded(deadline, |connection| counter::visit(connection, &key, life))
            .await?;
        let Count { visits, fields } = count;
        if life == counter::Life::Endless {
            self.made.note(&key, visits);
        }
        visit.visits = Some(visits);
        visit.earlier = self.history.add(&key, &asked);
        visit.asked = asked;
        visit.hash = Some(Hash {
            key,
            fields,
            left: life.span(),
        });
        Ok(visit)
    }

    async fn visit_bearer(&self, token: &Token, deadline: Deadline) -> Result<Visit, Fault> {
        let (session, asked) = self
            .recorded(deadline, |connection| async {
                self.store(connection).visit(token).await
            })
            .await?;
        let key = token.key();
        let Some(session) = session else {
            self.history.forget(&key);
            return Ok(Visit {
                asked,
                ..Visit::logged_out(Cookie::Refused(DEAD_TOKEN))
            });
        };
        let earlier = self.history.add(&key, &asked);
        let Session {
            username,
            visits,
            fields,
            left,
        } = session;
        Ok(Visit {
            name: Some(username),
            visits: Some(visits),
            cookie: Cookie::Token {
                start: token.start().to_owned(),
                key: key.clone(),
            },
            hash: Some(Hash { key, fields, left }),
            asked,
            earlier,
        })
    }

    /// Starts a session for `name`, ends the one that the cookie named, and returns the cookie's new value.
    pub(super) async fn login(
        &self,
        name: &str,
        before: Option<&str>,
        deadline: Deadline,
    ) -> Result<String, Fault> {
        if self.step.signs_the_name() {
            return Ok(self.key.sign(name));
        }
        let before = before.and_then(Token::parse);
        let (token, asked) = self
            .recorded(deadline, |connection| async {
                self.store(connection).login(name, before.as_ref()).await
            })
            .await?;
        if let Some(before) = before {
            self.history.forget(&before.key());
        }
        self.history.add(&token.key(), &asked);
        Ok(token.reveal().to_owned())
    }

    /// Ends the session that the cookie names, on the server as well.
    pub(super) async fn logout(&self, cookie: &str, deadline: Deadline) -> Result<(), Fault> {
        let Some(Who::Bearer(token)) = self.who(Some(cookie)) else {
            return Ok(());
        };
        self.recorded(deadline, |connection| async {
            self.store(connection).logout(&token).await
        })
        .await?;
        self.history.forget(&token.key());
        Ok(())
    }

    /// Looks at a session without touching it.
    pub(super) async fn look(&self, who: &Who, deadline: Deadline) -> Result<Look, Fault> {
        let found = match who {
            Who::Named(name) => {
                let key = counter::key(name);
                self.link
                    .ask(
                        deadline,
                        |client| async move { counter::look(client, &key).await },
                    )
                    .await?
            }
            Who::Bearer(token) => {
                self.link
                    .ask(deadline, |client| async move {
                        let session = self.store(client).look(token).await?;
                        Ok(session.and_then(|session| Some((session.left?, session.fields))))
                    })
                    .await?
            }
        };
        Ok(match found {
            Some((left, fields)) => Look::Alive { left, fields },
            None => Look::Gone,
        })
    }

    /// Whether Redis serves; a step that needs none is always well.
    pub(super) async fn health(&self, deadline: Deadline) -> Result<(), Fault> {
        if !self.step.needs_redis() {
            return Ok(());
        }
        self.link
            .ask(deadline, |mut client| async move {
                cmd("PING").query_async::<Value>(&mut client).await
            })
            .await?;
        Ok(())
    }

    fn store<C>(&self, connection: C) -> SessionStore<C> {
        SessionStore {
            connection,
            ttl: self.ttl,
            max_age: self.max_age,
        }
    }

    /// Does `work` over a connection that notes what is asked.
    async fn recorded<T, W>(
        &self,
        deadline: Deadline,
        work: impl FnOnce(Recorded<Client>) -> W,
    ) -> Result<(T, Asked), Fault>
    where
        W: Future<Output = Result<T, RedisError>>,
    {
        let recorder = Recorder::default();
        let answer = self
            .link
            .ask(deadline, |client| work(Recorded::new(client, recorder.clone())))
            .await?;
        Ok((answer, Asked::new(&recorder.take())))
    }
}

/// The first characters of a signed cookie's signature: all of it would hand the cookie to any script.
fn signature_start(cookie: &str) -> String {
    let signature = cookie.rsplit('.').next().unwrap_or_default();
    signature.chars().take(6).collect()
}

impl Visit {
    fn logged_out(cookie: Cookie) -> Self {
        Self {
            name: None,
            visits: None,
            cookie,
            hash: None,
            asked: Asked::default(),
            earlier: String::new(),
        }
    }

    /// The hash as the page shows it.
    pub(super) fn hash_view(&self) -> Option<page::Hash<'_>> {
        self.hash.as_ref().map(|hash| page::Hash {
            key: &hash.key,
            fields: &hash.fields,
            left: hash.left.map(|left| left.as_millis().div_ceil(1000) as u64),
        })
    }
}

impl Cookie {
    /// The cookie as the page shows it.
    pub(super) fn view(&self) -> page::Cookie<'_> {
        match self {
            Self::Absent => page::Cookie::Absent,
            Self::Refused(why) => page::Cookie::Refused { why },
            Self::Signed { name, signature } => page::Cookie::Signed { name, signature },
            Self::Token { start, key } => page::Cookie::Token { start, key },
        }
    }
}

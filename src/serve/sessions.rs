//! From a cookie to what the page shows of its session, over Redis where the step has one.

use std::sync::Arc;
use std::time::Duration;

use super::counter::{self, Life, Made};
use super::fault::Fault;
use super::health;
use super::history::{Asked, History};
use super::link::Link;
use super::pages;
use super::step::Step;
use crate::deadline::Deadline;
use crate::redis_client::Client;
use crate::redis_client::{Reply, Trip};
use crate::session::cookie::SigningKey;
use crate::session::store::{Session, SessionStore, texts};
use crate::session::token::Token;

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
    found: Found,
    cookie: Cookie,
    /// What this visit asked Redis.
    pub(super) asked: Arc<Asked>,
    /// What was asked for the session before.
    pub(super) earlier: Vec<Arc<Asked>>,
}

/// Who is logged in, and the round trip that brought their session.
enum Found {
    Nobody,
    /// Step 1.
    Name(String),
    /// Steps 2 and 3.
    Count {
        name: String,
        key: String,
        trip: Trip,
        life: Life,
    },
    /// Step 4.
    Session {
        name: String,
        visits: i64,
        key: String,
        trip: Trip,
        ttl: Duration,
    },
}

/// What the browser's cookie turned out to hold, as far as [`Found`] does not say.
enum Cookie {
    Absent,
    Refused(&'static str),
    /// A signed name, and the beginning of its signature.
    Signed(String),
    Token(Token),
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
            Some(Who::Bearer(token)) => self.visit_bearer(token, deadline).await,
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
        let mut visit = Visit::logged_out(Cookie::Signed(signature_start(cookie)));
        let Some(life) = Life::of(self.step, self.ttl) else {
            visit.found = Found::Name(name);
            return Ok(visit);
        };
        let key = counter::key(&name);
        let work = |client| async {
            match life {
                Life::Endless => counter::visit_and_note(client, &key, &self.made).await,
                Life::For(_) => counter::visit(client, &key, life).await,
            }
        };
        let trip = self.link.ask(deadline, work).await?;
        visit.asked = Arc::new(Asked::new(std::slice::from_ref(&trip)));
        visit.earlier = self.history.add(&key, &visit.asked);
        visit.found = Found::Count {
            name,
            key,
            trip,
            life,
        };
        Ok(visit)
    }

    async fn visit_bearer(&self, token: Token, deadline: Deadline) -> Result<Visit, Fault> {
        let key = token.key();
        let work = |client| async { self.store(client).visit(&key).await };
        let (session, trip) = self.link.ask(deadline, work).await?;
        let asked = Arc::new(Asked::new(std::slice::from_ref(&trip)));
        let Some(Session { username, visits }) = session else {
            self.history.forget(&key);
            return Ok(Visit {
                asked,
                ..Visit::logged_out(Cookie::Refused(DEAD_TOKEN))
            });
        };
        Ok(Visit {
            earlier: self.history.add(&key, &asked),
            cookie: Cookie::Token(token),
            found: Found::Session {
                name: username,
                visits,
                key,
                trip,
                ttl: self.ttl,
            },
            asked,
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
        let work = |client| async { self.store(client).login(name, before.as_ref()).await };
        let (token, trips) = self.link.ask(deadline, work).await?;
        if let Some(before) = &before {
            self.history.forget(&before.key());
        }
        self.history.add(&token.key(), &Arc::new(Asked::new(&trips)));
        Ok(token.reveal().to_owned())
    }

    /// Ends the session that the cookie names, on the server as well.
    pub(super) async fn logout(&self, cookie: &str, deadline: Deadline) -> Result<(), Fault> {
        let Some(Who::Bearer(token)) = self.who(Some(cookie)) else {
            return Ok(());
        };
        let work = |client| async { self.store(client).logout(&token).await };
        self.link.ask(deadline, work).await?;
        self.history.forget(&token.key());
        Ok(())
    }

    /// Looks at a session without touching it.
    pub(super) async fn look(&self, who: &Who, deadline: Deadline) -> Result<Look, Fault> {
        let work = |client| async {
            match who {
                Who::Named(name) => counter::look(client, &counter::key(name)).await,
                Who::Bearer(token) => {
                    let store = self.store(client);
                    let look = store.look(&token.key()).await?;
                    Ok(store.left(&look).map(|(left, fields)| (left, texts(fields))))
                }
            }
        };
        Ok(match self.link.ask(deadline, work).await? {
            Some((left, fields)) => Look::Alive { left, fields },
            None => Look::Gone,
        })
    }

    /// Whether Redis serves; a step that needs none is always well.
    pub(super) async fn health(&self, deadline: Deadline) -> Result<(), Fault> {
        if self.step.needs_redis() {
            health::check(&self.link, deadline).await?;
        }
        Ok(())
    }

    fn store(&self, client: Client) -> SessionStore {
        SessionStore {
            client,
            ttl: self.ttl,
            max_age: self.max_age,
        }
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
            found: Found::Nobody,
            cookie,
            asked: Arc::default(),
            earlier: Vec::new(),
        }
    }

    /// Who is logged in.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.found {
            Found::Nobody => None,
            Found::Name(name) | Found::Count { name, .. } | Found::Session { name, .. } => Some(name),
        }
    }

    /// The counter, as HINCRBY returned it.
    pub(super) fn visits(&self) -> Option<i64> {
        match &self.found {
            Found::Nobody | Found::Name(_) => None,
            Found::Session { visits, .. } => Some(*visits),
            Found::Count { trip, .. } => match trip.results().next()? {
                Reply::Integer(visits) => Some(visits),
                _ => None,
            },
        }
    }

    /// The hash as the page shows it.
    pub(super) fn hash_view(&self) -> Option<pages::Hash<'_>> {
        let (key, trip, life) = match &self.found {
            Found::Nobody | Found::Name(_) => return None,
            Found::Count { key, trip, life, .. } => (key, trip, life.span()),
            Found::Session { key, trip, ttl, .. } => (key, trip, Some(*ttl)),
        };
        Some(pages::Hash {
            key,
            fields: trip.results().last()?,
            left: life.map(|life| life.as_secs()),
        })
    }

    /// The cookie as the page shows it.
    pub(super) fn cookie_view(&self) -> pages::Cookie<'_> {
        match (&self.cookie, &self.found) {
            (Cookie::Signed(signature), Found::Name(name) | Found::Count { name, .. }) => {
                pages::Cookie::Signed { name, signature }
            }
            (Cookie::Token(token), Found::Session { key, .. }) => pages::Cookie::Token {
                start: token.start(),
                key,
            },
            (Cookie::Refused(why), _) => pages::Cookie::Refused { why },
            _ => pages::Cookie::Absent,
        }
    }
}

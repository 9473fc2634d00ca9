//! Sessions in Redis: one hash each, never without a time to live.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::{ErrorKind, RedisError, Value};

use super::token::Token;
use crate::redis_client::Client;
use crate::redis_client::{Batch, Reply, Trip};

/// Sessions behind tokens.
pub struct SessionStore {
    /// The connection that all requests share.
    pub client: Client,
    /// What any access gives a session to live.
    pub ttl: Duration,
    /// How long a session may live at most.
    pub max_age: Duration,
}

/// A session as a visit found it.
pub struct Session {
    /// Who logged in.
    pub username: String,
    /// The counter, this visit included.
    pub visits: i64,
}

impl SessionStore {
    /// Counts a visit, in one round trip, and returns the session, if there is one, and that trip.
    ///
    /// What a dead token stirs up is deleted, also when whoever asked stops waiting.
    pub async fn visit(&self, key: &str) -> Result<(Option<Session>, Trip), RedisError> {
        let mut stirred = Stirred {
            client: &self.client,
            key,
            fate: Fate::Unknown,
        };
        let batch = Batch::transaction()
            .with(&[b"HINCRBY", key.as_bytes(), b"visits", b"1"])
            .with(&[
                b"EXPIRE",
                key.as_bytes(),
                self.ttl.as_secs().to_string().as_bytes(),
            ])
            .with(&[b"HGETALL", key.as_bytes()]);
        let trip = self.client.travel(batch).await?;
        let session = self.read(&trip);
        stirred.fate = match session {
            Some(_) => Fate::Alive,
            None => Fate::Dead,
        };
        drop(stirred);
        Ok((session, trip))
    }

    fn read(&self, trip: &Trip) -> Option<Session> {
        let mut results = trip.results();
        let (visits, _, fields) = (results.next()?, results.next()?, results.next()?);
        let visits = match visits {
            Reply::Integer(visits) => visits,
            _ => 0,
        };
        let username = self.living(fields)?.into_owned();
        Some(Session { username, visits })
    }

    /// The user name of a hash that is a session and not too old.
    fn living<'a>(&self, fields: Reply<'a>) -> Option<Cow<'a, str>> {
        let Reply::Array(fields) = fields else {
            return None;
        };
        let (mut username, mut created) = (None, None);
        for (name, value) in fields.pairs() {
            match name.text()? {
                b"username" => username = value.text(),
                b"created" => created = std::str::from_utf8(value.text()?).ok()?.parse::<u64>().ok(),
                _ => {}
            }
        }
        let is_too_old = now() >= created?.saturating_add(self.max_age.as_secs());
        (!is_too_old).then_some(String::from_utf8_lossy(username?))
    }

    /// Asks what is left of the session's life, and for its fields; touches nothing. See [`SessionStore::left`].
    pub async fn look(&self, key: &str) -> Result<Trip, RedisError> {
        let batch = Batch::pipeline()
            .with(&[b"PTTL", key.as_bytes()])
            .with(&[b"HGETALL", key.as_bytes()]);
        self.client.travel(batch).await
    }

    /// What a look found: the time left, and the fields; none where there is no session, or one that is too old.
    pub fn left<'a>(&self, look: &'a Trip) -> Option<(Duration, Reply<'a>)> {
        let mut results = look.results();
        let left = match results.next()? {
            Reply::Integer(left) => Duration::from_millis(u64::try_from(left).ok()?),
            _ => return None,
        };
        let fields = results.next()?;
        self.living(fields)?;
        Some((left, fields))
    }

    /// Deletes the old session, then makes a new one.
    pub async fn login(&self, name: &str, old: Option<&Token>) -> Result<(Token, Vec<Trip>), RedisError> {
        let mut trips = Vec::new();
        if let Some(old) = old {
            trips.push(self.logout(old).await?);
        }
        let token = Token::generate().ok_or((ErrorKind::Client, "the system gives no random bytes"))?;
        let (key, created, ttl) = (token.key(), now().to_string(), self.ttl.as_secs().to_string());
        let key = key.as_bytes();
        let words: [&[u8]; 8] = [
            b"HSET",
            key,
            b"username",
            name.as_bytes(),
            b"visits",
            b"0",
            b"created",
            created.as_bytes(),
        ];
        let batch = Batch::transaction()
            .with(&words)
            .with(&[b"EXPIRE", key, ttl.as_bytes()]);
        trips.push(self.client.travel(batch).await?);
        Ok((token, trips))
    }

    /// Deletes the session.
    pub async fn logout(&self, token: &Token) -> Result<Trip, RedisError> {
        self.client
            .travel(Batch::pipeline().with(&[b"DEL", token.key().as_bytes()]))
            .await
    }
}

/// A key that may have been made by asking for it.
struct Stirred<'a> {
    client: &'a Client,
    key: &'a str,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nobody waited for the answer.
    Unknown,
    Alive,
    Dead,
}

impl Drop for Stirred<'_> {
    /// In a task of its own: a client that hangs up cannot prevent it.
    fn drop(&mut self) {
        let fate = self.fate;
        if fate == Fate::Alive {
            return;
        }
        let (client, key) = (self.client.clone(), self.key.to_owned());
        tokio::spawn(async move {
            if fate == Fate::Unknown {
                // The connection keeps the order: this is answered after what was under way.
                let asked = client.travel(Batch::pipeline().with(&[b"HEXISTS", key.as_bytes(), b"username"]));
                let is_session = match asked.await {
                    Ok(trip) => trip.results().next() != Some(Reply::Integer(0)),
                    Err(_) => true,
                };
                if is_session {
                    return;
                }
            }
            // Redis may be gone; the key then dies by its time to live.
            let _ = client
                .travel(Batch::pipeline().with(&[b"DEL", key.as_bytes()]))
                .await;
        });
    }
}

/// Field and value of each pair, as text.
pub(crate) fn texts(fields: Reply<'_>) -> Vec<(String, String)> {
    let text = |reply: Reply| String::from_utf8_lossy(reply.text().unwrap_or_default()).into_owned();
    match fields {
        Reply::Array(fields) => fields
            .pairs()
            .map(|(name, value)| (text(name), text(value)))
            .collect(),
        _ => Vec::new(),
    }
}

/// The fields of an HGETALL, in either protocol.
pub(crate) fn pairs(reply: &Value) -> Vec<(String, String)> {
    match reply {
        Value::Map(pairs) => pairs
            .iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect(),
        Value::Array(items) => items
            .chunks_exact(2)
            .map(|pair| (text(&pair[0]), text(&pair[1])))
            .collect(),
        _ => Vec::new(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        _ => String::new(),
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

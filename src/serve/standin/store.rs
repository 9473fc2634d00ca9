//! Sessions in Redis: one hash each, never without a time to live.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::aio::ConnectionLike;
use redis::{ErrorKind, RedisError, Value, cmd, pipe};

use super::token::Token;

/// Sessions behind tokens.
pub struct SessionStore<C> {
    pub connection: C,
    /// What any access gives a session to live.
    pub ttl: Duration,
    /// How long a session may live at most.
    pub max_age: Duration,
}

/// A session as Redis holds it.
pub struct Session {
    pub username: String,
    pub visits: i64,
    pub fields: Vec<(String, String)>,
    pub left: Option<Duration>,
}

impl<C: ConnectionLike + Send + Clone + 'static> SessionStore<C> {
    /// Counts a visit, in one round trip; `None` for a token without a session.
    pub async fn visit(&mut self, token: &Token) -> Result<Option<Session>, RedisError> {
        let key = token.key();
        let mut stirred = Stirred {
            connection: self.connection.clone(),
            key: Some(key.clone()),
            is_known_dead: false,
        };
        let (visits, _, hash): (i64, Value, Value) = pipe()
            .atomic()
            .cmd("HINCRBY")
            .arg(&key)
            .arg("visits")
            .arg(1)
            .cmd("EXPIRE")
            .arg(&key)
            .arg(self.ttl.as_secs())
            .cmd("HGETALL")
            .arg(&key)
            .query_async(&mut self.connection)
            .await?;
        let session = self.session(visits, &hash, Some(self.ttl));
        match session {
            Some(_) => stirred.key = None,
            None => stirred.is_known_dead = true,
        }
        Ok(session)
    }

    /// The session, untouched.
    pub async fn look(&mut self, token: &Token) -> Result<Option<Session>, RedisError> {
        let key = token.key();
        let (hash, left): (Value, i64) = pipe()
            .cmd("HGETALL")
            .arg(&key)
            .cmd("PTTL")
            .arg(&key)
            .query_async(&mut self.connection)
            .await?;
        let left = u64::try_from(left).ok().map(Duration::from_millis);
        Ok(self.session(0, &hash, left))
    }

    /// Deletes the old session, then makes a new one.
    pub async fn login(&mut self, name: &str, old: Option<&Token>) -> Result<Token, RedisError> {
        if let Some(old) = old {
            self.logout(old).await?;
        }
        let token = Token::generate().ok_or((ErrorKind::Client, "the system gives no random bytes"))?;
        let key = token.key();
        pipe()
            .atomic()
            .cmd("HSET")
            .arg(&key)
            .arg(&[
                ("username", name),
                ("visits", "0"),
                ("created", &now().to_string()),
            ])
            .cmd("EXPIRE")
            .arg(&key)
            .arg(self.ttl.as_secs())
            .exec_async(&mut self.connection)
            .await?;
        Ok(token)
    }

    /// Deletes the session.
    pub async fn logout(&mut self, token: &Token) -> Result<(), RedisError> {
        cmd("DEL").arg(token.key()).exec_async(&mut self.connection).await
    }

    fn session(&self, visits: i64, hash: &Value, left: Option<Duration>) -> Option<Session> {
        let fields = pairs(hash);
        let field = |wanted: &str| {
            fields
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value)
        };
        let username = field("username")?.clone();
        let created: u64 = field("created")?.parse().ok()?;
        let is_too_old = now() >= created.saturating_add(self.max_age.as_secs());
        (!is_too_old).then_some(Session {
            username,
            visits,
            fields,
            left,
        })
    }
}

/// A key that may have been made by asking for it; deleted unless it turns out to be a session, whoever stops waiting.
struct Stirred<C: ConnectionLike + Send + Clone + 'static> {
    connection: C,
    key: Option<String>,
    is_known_dead: bool,
}

impl<C: ConnectionLike + Send + Clone + 'static> Drop for Stirred<C> {
    fn drop(&mut self) {
        let (Some(key), mut connection) = (self.key.take(), self.connection.clone()) else {
            return;
        };
        let is_known_dead = self.is_known_dead;
        tokio::spawn(async move {
            if is_known_dead {
                let _: Result<(), _> = cmd("DEL").arg(&key).exec_async(&mut connection).await;
                return;
            }
            let hash: Result<Value, _> = cmd("HGETALL").arg(&key).query_async(&mut connection).await;
            let is_session = |hash: &Value| pairs(hash).iter().any(|(name, _)| name == "username");
            if hash.is_ok_and(|hash| !is_session(&hash)) {
                let _: Result<(), _> = cmd("DEL").arg(&key).exec_async(&mut connection).await;
            }
        });
    }
}

/// The fields of an HGETALL, in either protocol.
pub fn pairs(reply: &Value) -> Vec<(String, String)> {
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

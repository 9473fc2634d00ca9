//! Stores sessions in Redis. Each session is one hash, which always has a TTL.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{AsyncCommands, ErrorKind, RedisResult};

use super::cookie::Token;
use crate::redis_client::Clock;

/// The fields of a hash, in the order in which Redis returns them. Names and values can be any bytes, because
/// other programs can add fields.
pub(crate) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Stores sessions in Redis. The key of a session can be computed only from its token.
pub struct SessionStore<C> {
    /// The connection to Redis.
    pub redis: C,
    /// TTL of a session. Each visit resets it.
    pub ttl: Duration,
    /// Maximum lifetime of a session, however often it is visited.
    pub max_age: Duration,
    /// The clock that all instances share. It is used to enforce the maximum lifetime.
    pub clock: Clock,
}

/// A valid session.
pub struct Session {
    /// The user who logged in.
    pub username: String,
    /// The number of visits, including the current visit.
    pub visits: i64,
    /// All fields of the session's hash.
    pub fields: Fields,
}

impl<C: ConnectionLike + Send + Sync> SessionStore<C> {
    // region create
    /// Starts a session.
    pub async fn create(&mut self, username: &str) -> RedisResult<Token> {
        let token = Token::generate();
        self.start(&token, username).await?;
        Ok(token)
    }

    /// Starts a session for a new token.
    ///
    /// MULTI ensures that the token's key never exists without a TTL.
    pub async fn start(&mut self, token: &Token, name: &str) -> RedisResult<()> {
        redis::pipe()
            .atomic() // MULTI … EXEC
            .cmd("HSET")
            .arg(token.key())
            .arg(&[("username", name), ("visits", "0")])
            .arg(&[("created", self.clock.now())])
            .expire(token.key(), seconds(self.ttl))
            .exec_async(&mut self.redis)
            .await
    }
    // endregion create

    // region visit
    /// Counts a visit in one round trip. Returns `None` if there is no session.
    pub async fn visit(&mut self, token: &Token) -> RedisResult<Option<Session>> {
        let (visits, fields): (i64, Fields) = redis::pipe()
            .atomic()
            .hincr(token.key(), "visits", 1)
            .expire(token.key(), seconds(self.ttl))
            .ignore()
            .hgetall(token.key())
            .query_async(&mut self.redis)
            .await?;
        check_reply(visits, &fields)?;
        if let Some(username) = self.valid_user(&fields) {
            return Ok(Some(Session {
                username,
                visits,
                fields,
            }));
        }
        // No valid session: delete the key. HINCRBY may have created it.
        self.end(token).await?;
        Ok(None)
    }
    // endregion visit

    // region end
    /// Ends a session.
    pub async fn end(&mut self, token: &Token) -> RedisResult<()> {
        self.redis.del(token.key()).await
    }
    // endregion end

    /// Returns the TTL and the fields of a session, without resetting the TTL. Returns `None` if the session
    /// is not valid or has no TTL.
    pub async fn look(&mut self, token: &Token) -> RedisResult<Option<(Duration, Fields)>> {
        let (left, fields): (i64, Fields) = redis::pipe()
            .pttl(token.key())
            .hgetall(token.key())
            .query_async(&mut self.redis)
            .await?;
        // -2 means that the key does not exist.
        let left = u64::try_from(left).ok().map(Duration::from_millis);
        let is_valid = self.valid_user(&fields).is_some();
        Ok(left.filter(|_| is_valid).map(|left| (left, fields)))
    }

    /// Returns the user name if the hash is a session and is not too old. Otherwise, returns `None`.
    fn valid_user(&self, fields: &Fields) -> Option<String> {
        let created: u64 = field(fields, "created")?.parse().ok()?;
        let is_too_old = self.clock.now() >= created.saturating_add(self.max_age.as_secs());
        field(fields, "username").filter(|_| !is_too_old)
    }
}

/// Returns an error if the hash does not contain the count that HINCRBY returned, because the replies are
/// then unusable.
fn check_reply(visits: i64, fields: &Fields) -> RedisResult<()> {
    if field(fields, "visits") == Some(visits.to_string()) {
        return Ok(());
    }
    let text = "the reply to HGETALL does not contain the reply to HINCRBY";
    Err((ErrorKind::UnexpectedReturnType, text).into())
}

fn field(fields: &Fields, name: &str) -> Option<String> {
    let (_, value) = fields.iter().find(|(field, _)| field == name.as_bytes())?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn seconds(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)
}

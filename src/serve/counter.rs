//! Counts visits in stages 2 and 3, in a hash whose key contains the user name.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use redis::aio::ConnectionLike;
use redis::{AsyncCommands, RedisResult};

use super::connection_manager::ConnectionManager;
use crate::deadline::Deadline;
use crate::redis_client::RedisConnection;
use crate::redis_client::fault::RedisFault;
use crate::session::KEY_PREFIX;
use crate::session::store::Fields;

// region counter
/// Returns the key of a user's hash.
pub(super) fn key(name: &str) -> String {
    format!("{KEY_PREFIX}user:{name}")
}

/// Counts a visit in one round trip. Returns the new count and the whole hash.
pub(super) async fn visit(
    redis: &mut (impl ConnectionLike + Send),
    key: &str,
    ttl: Option<Duration>,
) -> RedisResult<(i64, Fields)> {
    let mut commands = redis::pipe();
    commands.hincr(key, "visits", 1);
    if let Some(ttl) = ttl {
        // In stage 3, MULTI ensures that the key has a TTL even if the app crashes between the two commands.
        commands
            .atomic()
            .expire(key, ttl.as_secs().cast_signed())
            .ignore();
    }
    commands.hgetall(key).query_async(redis).await
}
// endregion counter

/// Returns the TTL and the fields of a hash, without resetting the TTL. Returns `None` if the hash does not
/// exist or has no TTL.
pub(super) async fn look(
    redis: &mut (impl ConnectionLike + Send),
    key: &str,
) -> RedisResult<Option<(Duration, Fields)>> {
    let (left, fields): (i64, Fields) = redis::pipe().pttl(key).hgetall(key).query_async(redis).await?;
    // -2 means that the key does not exist. -1 means that it has no TTL, because stage 2 created it.
    let left = u64::try_from(left).ok().map(Duration::from_millis);
    Ok(left.map(|left| (left, fields)))
}

/// The maximum number of keys that stage 2 records. When the server stops, it deletes the hashes at these
/// keys.
const MOST_CREATED: usize = 100_000;
/// TTL of the hashes that stage 2 creates after it has recorded [`MOST_CREATED`] keys.
pub(super) const UNRECORDED_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// Time limit for deleting the hashes at all recorded keys.
const DELETE_WITHIN: Duration = Duration::from_secs(2);
/// The maximum number of hashes to delete at the same time.
const DELETED_AT_ONCE: usize = 1000;

/// The keys of the hashes that this process created in stage 2. These hashes have no TTL, so they are deleted
/// when the server stops. Fields that other programs have added are kept.
#[derive(Debug, Default)]
pub(super) struct CreatedKeys(Mutex<HashSet<String>>);

impl CreatedKeys {
    /// Records `key` if this visit has just created the hash at `key`. A new hash has the count 1 and no
    /// other fields. Returns false if a new hash cannot be recorded, because the maximum number of keys has
    /// been reached.
    pub(super) fn note(&self, key: &str, visits: i64, fields: &Fields) -> bool {
        let is_new = visits == 1 && fields.len() == 1;
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = keys.len() >= MOST_CREATED && !keys.contains(key);
        if is_new && !is_full {
            keys.insert(key.to_owned());
        }
        !(is_new && is_full)
    }

    pub(super) fn take(&self) -> Vec<String> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.drain().collect()
    }
}

/// Deletes the field `visits` of the hashes at `keys`. Redis then deletes hashes that have no other fields.
/// Returns how many hashes might still exist, and the reason.
pub(super) async fn delete(
    redis: &Arc<ConnectionManager>,
    keys: &[String],
) -> Result<(), (usize, RedisFault)> {
    let deadline = Deadline::after(DELETE_WITHIN);
    let deleted = stream::iter(keys).map(|key| {
        redis.run(deadline, async move |mut redis: RedisConnection| {
            redis.hdel(key, "visits").await
        })
    });
    // These commands cannot be one pipeline, because the keys can belong to different nodes of a cluster.
    let mut deleted = deleted.buffer_unordered(DELETED_AT_ONCE);
    let mut left = keys.len();
    while let Some(reply) = deleted.next().await {
        let () = reply.map_err(|fault| (left, fault))?;
        left -= 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_hash_that_cannot_be_recorded_is_reported() {
        let created = CreatedKeys::default();
        let fields: Fields = vec![(b"visits".to_vec(), b"1".to_vec())];
        for number in 0..MOST_CREATED {
            assert!(created.note(&number.to_string(), 1, &fields));
        }
        assert!(!created.note("new", 1, &fields));
        // These hashes are recorded, or were not created by this process.
        assert!(created.note("0", 1, &fields));
        assert!(created.note("old", 2, &fields));
    }
}

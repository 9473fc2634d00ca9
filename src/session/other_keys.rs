//! Whether a Redis holds keys that this program did not create. The user is told before the first write.

use redis::{Cmd, RedisError, Value, cmd};

use super::KEY_PREFIX;
use crate::redis_client::connect::RedisConnection;

/// Our own keys are counted, and subtracted, only in a Redis with at most so many keys.
const FEW: i64 = 10_000;
/// Keys per SCAN.
const PAGE: usize = 1000;

/// Counts the keys that this program did not create.
#[derive(Debug, Default)]
pub(crate) struct OtherKeys {
    all: Option<u64>,
    ours: u64,
    /// Where the next SCAN starts; `None` if there is nothing more to scan.
    cursor: Option<Vec<u8>>,
}

impl OtherKeys {
    /// The next command to send; `None` when the count is complete.
    #[must_use]
    pub(crate) fn command(&self) -> Option<Cmd> {
        if self.all.is_none() {
            return Some(cmd("DBSIZE"));
        }
        let mut scan = cmd("SCAN");
        scan.arg(self.cursor.as_ref()?);
        scan.arg("MATCH").arg(format!("{KEY_PREFIX}*"));
        scan.arg("COUNT").arg(PAGE);
        Some(scan)
    }

    /// Reads the reply to [`OtherKeys::command`]. A cluster's keys are not scanned: each node has its own cursor.
    pub(crate) fn read(&mut self, reply: &Value, is_cluster: bool) {
        match reply {
            Value::Int(keys) => {
                self.all = Some(u64::try_from(*keys).unwrap_or(0));
                self.cursor = (!is_cluster && (1..=FEW).contains(keys)).then(|| b"0".to_vec());
            }
            Value::Array(page) => {
                self.cursor = match page.first() {
                    Some(Value::BulkString(cursor)) if cursor != b"0" => Some(cursor.clone()),
                    _ => None,
                };
                if let Some(Value::Array(keys)) = page.get(1) {
                    self.ours += keys.len() as u64;
                }
            }
            _ => (self.all, self.cursor) = (Some(self.all.unwrap_or(0)), None),
        }
    }

    /// How many keys are not ours.
    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.all.unwrap_or(0).saturating_sub(self.ours)
    }
}

/// Counts the keys that this program did not create; in a cluster or a large Redis, all keys. `None` if this user is not
/// allowed to count them.
///
/// # Errors
/// The connection failed.
pub(crate) async fn count_other_keys(redis: &mut RedisConnection) -> Result<Option<u64>, RedisError> {
    let mut others = OtherKeys::default();
    while let Some(command) = others.command() {
        let reply = redis.reply(&command).await?;
        // Such as NOPERM.
        if matches!(reply, Value::ServerError(_)) {
            return Ok(None);
        }
        others.read(&reply, redis.is_cluster());
    }
    Ok(Some(others.count()))
}

/// The message about other keys; `None` if there are none.
#[must_use]
pub(crate) fn notice(others: Option<u64>) -> Option<String> {
    match others {
        Some(0) => None,
        Some(1) => Some("this Redis already holds 1 key that sessiontut did not create".to_owned()),
        Some(keys) => Some(format!(
            "this Redis already holds {keys} keys that sessiontut did not create"
        )),
        None => Some(
            "this Redis may hold keys that sessiontut did not create (this user is not allowed to count them)"
                .to_owned(),
        ),
    }
}

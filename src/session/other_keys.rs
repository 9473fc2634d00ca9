//! Checks for keys that this program did not create. The user is told about such keys before the first write.

use redis::{RedisError, Value, cmd};

use super::KEY_PREFIX;
use crate::redis_client::RedisConnection;

/// The maximum number of keys to scan in order to find this program's own keys. In a larger database,
/// [`count_other_keys`] counts these keys as well.
const FEW: u64 = 10_000;
/// The number of keys to request with each SCAN.
const PAGE: usize = 1000;

/// Counts the keys that this program did not create. In a cluster or a large database, the count includes
/// this program's own keys. Returns `None` if the Redis user is not allowed to count keys.
pub(crate) async fn count_other_keys(redis: &mut RedisConnection) -> Result<Option<u64>, RedisError> {
    let mut all = 0;
    for reply in redis.replies_of_all(&cmd("DBSIZE")).await? {
        let Value::Int(keys) = reply else {
            // Redis returned an error, such as NOPERM.
            return Ok(None);
        };
        all += u64::try_from(keys).unwrap_or(0);
    }
    // In a cluster, SCAN would have to be run on each node.
    if all == 0 || all > FEW || redis.is_cluster() {
        return Ok(Some(all));
    }
    let mut ours = 0;
    let mut cursor = b"0".to_vec();
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(&cursor).arg("MATCH").arg(format!("{KEY_PREFIX}*"));
        let Value::Array(page) = redis.reply(scan.arg("COUNT").arg(PAGE)).await? else {
            return Ok(None);
        };
        if let Some(Value::Array(keys)) = page.get(1) {
            ours += keys.len() as u64;
        }
        match page.into_iter().next() {
            Some(Value::BulkString(next)) if next != b"0" => cursor = next,
            _ => return Ok(Some(all.saturating_sub(ours))),
        }
    }
}

/// Returns the message about other keys, or `None` if there are none. `others` is `None` if their number is
/// unknown.
pub(crate) fn notice(others: Option<u64>) -> Option<String> {
    let keys = match others {
        Some(0) => return None,
        Some(1) => "already contains 1 key that sessiontut did not create".to_owned(),
        Some(keys) => format!("already contains {keys} keys that sessiontut did not create"),
        None => "perhaps contains keys that sessiontut did not create (this Redis user is not allowed to count keys)"
            .to_owned(),
    };
    Some(format!("this Redis {keys}"))
}

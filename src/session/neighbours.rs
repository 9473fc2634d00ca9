//! Whether a Redis holds keys of others: a guest says so before the first write.

use redis::RedisError;

use super::KEY_PREFIX;
use crate::client::Client;
use crate::wire::{Batch, Reply};

/// Up to so many keys, ours are counted to tell them from others'; a Redis with more has another use than ours.
const FEW: i64 = 10_000;
/// Keys that one SCAN looks at.
const PAGE: &[u8] = b"1000";

/// How many keys there are that this program has not made; with very many or in a cluster, how many there are at all;
/// none where this user may not ask.
///
/// # Errors
/// The connection's.
pub async fn keys_of_others(client: &Client) -> Result<Option<u64>, RedisError> {
    match count(client).await {
        Ok(keys) => Ok(Some(keys)),
        // NOPERM: an application's user need not be able to count.
        Err(error) if error.code().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn count(client: &Client) -> Result<u64, RedisError> {
    let trip = client.travel(Batch::pipeline().with(&[b"DBSIZE"])).await?;
    let Some(Reply::Integer(all)) = trip.results().next() else {
        return Ok(0);
    };
    let ours = if all <= FEW { count_ours(client).await? } else { 0 };
    Ok(u64::try_from(all).unwrap_or(0).saturating_sub(ours))
}

async fn count_ours(client: &Client) -> Result<u64, RedisError> {
    // Another node's keys would need another node's cursor.
    if client.is_cluster() {
        return Ok(0);
    }
    let pattern = format!("{KEY_PREFIX}*");
    let (mut cursor, mut ours) = (b"0".to_vec(), 0);
    loop {
        let batch = Batch::pipeline().with(&[b"SCAN", &cursor, b"MATCH", pattern.as_bytes(), b"COUNT", PAGE]);
        let trip = client.travel(batch).await?;
        let Some(Reply::Array(mut page)) = trip.results().next() else {
            return Ok(ours);
        };
        cursor = page.next().and_then(Reply::text).unwrap_or(b"0").to_vec();
        if let Some(Reply::Array(keys)) = page.next() {
            ours += keys.count() as u64;
        }
        if cursor == b"0" {
            return Ok(ours);
        }
    }
}

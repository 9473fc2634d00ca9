//! Whether a Redis holds keys of others: a guest says so before the first write.

use redis::RedisError;

use super::KEY_PREFIX;
use crate::redis_client::Client;
use crate::redis_client::{Batch, Reply};

/// Up to so many keys, ours are counted to tell them from others'; a Redis with more has another use than ours.
const FEW: i64 = 10_000;
/// Keys that one SCAN looks at.
const PAGE: &[u8] = b"1000";

/// Counts the keys that this program has not made, whoever carries the questions to Redis.
#[derive(Debug, Default)]
pub(crate) struct Census {
    all: Option<u64>,
    ours: u64,
    /// Where the next look begins, while there is more to look at.
    cursor: Option<Vec<u8>>,
}

impl Census {
    /// What to ask next; none when the count is complete.
    #[must_use]
    pub(crate) fn question(&self) -> Option<Vec<Vec<u8>>> {
        if self.all.is_none() {
            return Some(vec![b"DBSIZE".to_vec()]);
        }
        let cursor = self.cursor.clone()?;
        let pattern = format!("{KEY_PREFIX}*").into_bytes();
        Some(vec![
            b"SCAN".to_vec(),
            cursor,
            b"MATCH".to_vec(),
            pattern,
            b"COUNT".to_vec(),
            PAGE.to_vec(),
        ])
    }

    /// The answer to DBSIZE; ours are then told apart where one node holds all keys, and they are few.
    pub(crate) fn hear_size(&mut self, keys: i64, one_node: bool) {
        self.all = Some(u64::try_from(keys).unwrap_or(0));
        self.cursor = (one_node && (1..=FEW).contains(&keys)).then(|| b"0".to_vec());
    }

    /// An answer to SCAN: how many keys of ours it shows, and where the next one begins.
    pub(crate) fn hear_page(&mut self, cursor: &[u8], keys: usize) {
        self.ours += keys as u64;
        self.cursor = (cursor != b"0").then(|| cursor.to_vec());
    }

    /// How many keys are not ours.
    #[must_use]
    pub(crate) fn others(&self) -> u64 {
        self.all.unwrap_or(0).saturating_sub(self.ours)
    }
}

/// How many keys there are that this program has not made; with very many or in a cluster, how many there are at all;
/// none where this user may not ask.
///
/// # Errors
/// The connection's.
pub(crate) async fn keys_of_others(client: &Client) -> Result<Option<u64>, RedisError> {
    match count(client).await {
        Ok(keys) => Ok(Some(keys)),
        // NOPERM: an application's user need not be able to count.
        Err(error) if error.code().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the learner, or the user, is told of them; none where there are none.
#[must_use]
pub(crate) fn notice(others: Option<u64>) -> Option<String> {
    match others {
        Some(0) => None,
        Some(1) => Some("this Redis holds 1 key of others".to_owned()),
        Some(keys) => Some(format!("this Redis holds {keys} keys of others")),
        None => {
            Some("this Redis may hold keys of others (this user is not allowed to count them)".to_owned())
        }
    }
}

async fn count(client: &Client) -> Result<u64, RedisError> {
    let mut census = Census::default();
    while let Some(question) = census.question() {
        let words: Vec<&[u8]> = question.iter().map(Vec::as_slice).collect();
        let trip = client.travel(Batch::pipeline().with(&words)).await?;
        match trip.results().next() {
            // Another node's keys would need another node's cursor.
            Some(Reply::Integer(all)) => census.hear_size(all, !client.is_cluster()),
            Some(Reply::Array(mut page)) => {
                let cursor = page.next().and_then(Reply::text).unwrap_or(b"0").to_vec();
                let keys = match page.next() {
                    Some(Reply::Array(keys)) => keys.count(),
                    _ => 0,
                };
                census.hear_page(&cursor, keys);
            }
            _ => break,
        }
    }
    Ok(census.others())
}

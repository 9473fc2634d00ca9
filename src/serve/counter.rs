//! Steps 2 and 3: visits counted in a hash at the user's own key.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::{ErrorKind, RedisError};

use super::fault::Fault;
use super::link::Link;
use super::step::Step;
use crate::deadline::Deadline;
use crate::redis_client::Client;
use crate::redis_client::{Batch, Reply, Trip};
use crate::session::store::texts;

/// What every key of ours begins with.
const PREFIX: &str = "sessiontut:user:";
/// Keys of step 2 that are remembered for the clean-up at the end.
const MOST_MADE: usize = 100_000;
/// Keys that are deleted without waiting in between: a round trip each would take as long as the network is far.
const DELETED_AT_ONCE: usize = 1000;

/// How long a visit lets the hash live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Step 2.
    Endless,
    /// Step 3.
    For(Duration),
}

impl Life {
    /// The life that a step gives; none where it has no hash at the user's key.
    pub(super) fn of(step: Step, ttl: Duration) -> Option<Self> {
        match step {
            Step::Visits => Some(Self::Endless),
            Step::Ttl => Some(Self::For(ttl)),
            Step::Cookie | Step::Store => None,
        }
    }

    pub(super) fn span(self) -> Option<Duration> {
        match self {
            Self::Endless => None,
            Self::For(ttl) => Some(ttl),
        }
    }
}

/// The key of a user's hash.
pub(super) fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// Counts a visit. The increment and the expiry go in one MULTI: no crash between them can leave a key for ever.
pub(super) async fn visit(client: Client, key: &str, life: Life) -> Result<Trip, RedisError> {
    let increment: [&[u8]; 4] = [b"HINCRBY", key.as_bytes(), b"visits", b"1"];
    let batch = match life {
        Life::Endless => Batch::pipeline().with(&increment),
        Life::For(ttl) => Batch::transaction().with(&increment).with(&[
            b"EXPIRE",
            key.as_bytes(),
            ttl.as_secs().to_string().as_bytes(),
        ]),
    };
    client.travel(batch.with(&[b"HGETALL", key.as_bytes()])).await
}

/// Counts a visit of step 2, and notes a hash that it made, also when whoever asked stops waiting: in a task of its own,
/// since nothing but this process would ever delete the hash.
pub(super) async fn visit_and_note(client: Client, key: &str, made: &Arc<Made>) -> Result<Trip, RedisError> {
    let (key, made) = (key.to_owned(), made.clone());
    let visit = tokio::spawn(async move {
        let trip = visit(client, &key, Life::Endless).await?;
        made.note(&key, &trip);
        Ok(trip)
    });
    visit
        .await
        .unwrap_or_else(|_| Err((ErrorKind::Client, "the server is on its way down").into()))
}

/// The time that is left and the fields, where there is such a hash with an expiry; only reads.
pub(super) async fn look(
    client: Client,
    key: &str,
) -> Result<Option<(Duration, Vec<(String, String)>)>, RedisError> {
    let batch = Batch::pipeline()
        .with(&[b"PTTL", key.as_bytes()])
        .with(&[b"HGETALL", key.as_bytes()]);
    let trip = client.travel(batch).await?;
    let mut results = trip.results();
    // -2: no key; -1: no expiry, which is another step's.
    let left = match results.next() {
        Some(Reply::Integer(left)) => u64::try_from(left).ok().map(Duration::from_millis),
        _ => None,
    };
    Ok(left.zip(results.next().map(texts)))
}

/// Deletes the hashes at `keys`, one command each: on a cluster every key has a node of its own.
///
/// # Errors
/// How many of them may still be there, and why.
pub(super) async fn delete(
    link: &Arc<Link>,
    keys: &[String],
    deadline: Deadline,
) -> Result<(), (usize, Fault)> {
    let mut left = keys.len();
    for part in keys.chunks(DELETED_AT_ONCE) {
        link.ask(deadline, |client| async move {
            try_join_all(part.iter().map(|key| {
                let delete = Batch::pipeline().with(&[b"DEL", key.as_bytes()]);
                client.travel(delete)
            }))
            .await
        })
        .await
        .map_err(|fault| (left, fault))?;
        left -= part.len();
    }
    Ok(())
}

/// The hashes of step 2 that this process made: nothing else would ever delete them.
#[derive(Debug, Default)]
pub(super) struct Made(Mutex<HashSet<String>>);

impl Made {
    /// A first visit means that the hash was not there before.
    fn note(&self, key: &str, visit: &Trip) {
        if visit.results().next() != Some(Reply::Integer(1)) {
            return;
        }
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() < MOST_MADE {
            made.insert(key.to_owned());
        }
    }

    /// All of them; none afterwards.
    pub(super) fn take(&self) -> Vec<String> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.drain().collect()
    }
}

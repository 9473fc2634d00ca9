//! Steps 2 and 3: visits counted in a hash at the user's own key.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{RedisError, Value, cmd, pipe};

use super::fault::Fault;
use super::link::Link;
use super::step::Step;
use crate::deadline::Deadline;
use crate::serve::standin::store::pairs;

/// What every key of ours begins with.
const PREFIX: &str = "sessiontut:user:";
/// Keys of step 2 that are remembered for the clean-up at the end.
const MOST_MADE: usize = 100_000;

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

/// What a visit returned.
pub(super) struct Count {
    pub(super) visits: i64,
    pub(super) fields: Vec<(String, String)>,
}

/// The key of a user's hash.
pub(super) fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// Counts a visit. The increment and the expiry go in one MULTI: no crash between them can leave a key for ever.
pub(super) async fn visit<C: ConnectionLike>(
    mut connection: C,
    key: &str,
    life: Life,
) -> Result<Count, RedisError> {
    let mut commands = pipe();
    commands.cmd("HINCRBY").arg(key).arg("visits").arg(1);
    if let Life::For(ttl) = life {
        commands.atomic().cmd("EXPIRE").arg(key).arg(ttl.as_secs());
    }
    commands.cmd("HGETALL").arg(key);
    let replies: Vec<Value> = commands.query_async(&mut connection).await?;
    Ok(Count {
        visits: match replies.first() {
            Some(Value::Int(visits)) => *visits,
            _ => 0,
        },
        fields: replies.last().map(pairs).unwrap_or_default(),
    })
}

/// The time that is left and the fields, where there is such a hash with an expiry; only reads.
pub(super) async fn look<C: ConnectionLike>(
    mut connection: C,
    key: &str,
) -> Result<Option<(Duration, Vec<(String, String)>)>, RedisError> {
    let (left, fields): (i64, Value) = pipe()
        .cmd("PTTL")
        .arg(key)
        .cmd("HGETALL")
        .arg(key)
        .query_async(&mut connection)
        .await?;
    // -2: no key; -1: no expiry, which is another step's.
    let left = u64::try_from(left).ok().map(Duration::from_millis);
    Ok(left.map(|left| (left, pairs(&fields))))
}

/// Deletes the hashes at `keys`, one command each: on a cluster every key has a node of its own.
pub(super) async fn delete(link: &Arc<Link>, keys: Vec<String>, deadline: Deadline) -> Result<(), Fault> {
    link.ask(deadline, |mut client| async move {
        for key in keys {
            cmd("DEL").arg(key).exec_async(&mut client).await?;
        }
        Ok(())
    })
    .await
}

/// The hashes of step 2 that this process made: nothing else would ever delete them.
#[derive(Debug, Default)]
pub(super) struct Made(Mutex<HashSet<String>>);

impl Made {
    /// A first visit means that the hash was not there before.
    pub(super) fn note(&self, key: &str, visits: i64) {
        if visits != 1 {
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

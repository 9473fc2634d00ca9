//! `/healthz`: runs the commands of a login, a visit and a logout on the server, or on every primary of a
//! cluster.
//!
//! PING is not enough, because it can succeed even if every page returns 503: for example, on a replica, on
//! a server that is out of memory, or for a Redis user who has no permission for a command.

use std::time::Duration;

use futures_util::future::join_all;
use redis::{AsyncCommands, ErrorKind, RedisResult};

use super::counter;
use super::sessions::Sessions;
use super::stage::AppStage;
use crate::deadline::Deadline;
use crate::redis_client::RedisConnection;
use crate::redis_client::fault::RedisFault;
use crate::session::{KEY_PREFIX, Token};

/// The TTL of a health check's keys, which therefore expire even if the health check cannot delete them.
const TTL: Duration = Duration::from_secs(10);
/// The maximum number of keys to try in order to find one key for each primary of a cluster.
const MOST_KEYS: u32 = 20_000;

/// The reason why visitors cannot be served.
pub(super) struct Unhealthy {
    /// The cluster primary that failed, usually its address. `None` if there is no cluster, or if connecting
    /// failed.
    pub(super) shard: Option<String>,
    pub(super) fault: RedisFault,
}

/// The key that a health check uses.
enum Probe {
    Session(Token),
    Counter(String),
}

impl Sessions {
    /// Checks whether visitors can be served. Always succeeds in stage 1, which does not need Redis.
    pub(super) async fn health(&self, deadline: Deadline) -> Result<(), Unhealthy> {
        if !self.stage.needs_redis() {
            return Ok(());
        }
        let probes = self
            .redis
            .run(deadline, async |redis| Ok(self.probes(&redis)))
            .await;
        let probes = probes.map_err(|fault| Unhealthy { shard: None, fault })?;
        let checks = probes.into_iter().map(|(shard, probe)| async move {
            let work = |redis| self.use_probe(redis, &probe);
            let checked = self.redis.run(deadline, work).await;
            checked.map_err(|fault| Unhealthy { shard, fault })
        });
        join_all(checks).await.into_iter().collect()
    }

    /// Returns one key for each primary of a cluster, with the address of the primary. For a single server,
    /// returns one key without an address.
    fn probes(&self, redis: &RedisConnection) -> Vec<(Option<String>, Probe)> {
        let mut missing = redis.primaries();
        if missing.is_empty() {
            return vec![(None, self.probe(0))];
        }
        let mut probes = Vec::new();
        for number in 0..MOST_KEYS {
            let probe = self.probe(number);
            let primary = redis.primary_of(probe.key());
            if let Some(at) = missing.iter().position(|missing| *missing == primary) {
                missing.swap_remove(at);
                let shard = primary.unwrap_or_else(|| "the slots without a node".to_owned());
                probes.push((Some(shard), probe));
            }
            if missing.is_empty() {
                break;
            }
        }
        probes
    }

    fn probe(&self, number: u32) -> Probe {
        if self.stage == AppStage::Store {
            Probe::Session(Token::for_a_check())
        } else {
            Probe::Counter(format!("{KEY_PREFIX}health:{number}"))
        }
    }

    async fn use_probe(&self, redis: RedisConnection, probe: &Probe) -> RedisResult<()> {
        match probe {
            Probe::Session(token) => {
                let mut store = self.store(redis);
                store.ttl = TTL;
                store.start(token, "health").await?;
                let is_valid = store.visit(token).await?.is_some();
                store.end(token).await?;
                if !is_valid {
                    let text = "a new session disappears at once";
                    return Err((ErrorKind::UnexpectedReturnType, text).into());
                }
            }
            Probe::Counter(key) => {
                let mut redis = redis;
                let ttl = (self.stage == AppStage::Ttl).then_some(TTL);
                counter::visit(&mut redis, key, ttl).await?;
                let () = redis.hdel(key, "visits").await?;
            }
        }
        Ok(())
    }
}

impl Probe {
    fn key(&self) -> &str {
        match self {
            Self::Session(token) => token.key(),
            Self::Counter(key) => key,
        }
    }
}

//! Announces this instance of `serve` in Redis, and finds other instances that use the same Redis server.
//!
//! Each instance has a hash with a short TTL. The hash is deleted when the instance stops, and expires if the
//! instance crashes. Another hash lists the addresses of all instances, so that no instance has to scan all
//! keys. If an address in this list has no hash, the instance at this address no longer runs.
//!
//! This module uses only commands that sessions also need, because the Redis user might have no permission
//! for other commands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use redis::{AsyncCommands, RedisResult};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::address::from_elsewhere;
use super::connection_manager::ConnectionManager;
use super::sessions::Sessions;
use super::{AppStage, OnEvent, ServerEvent};
use crate::deadline::Deadline;
use crate::redis_client::RedisConnection;
use crate::redis_client::fault::RedisFault;
use crate::session::KEY_PREFIX;
use crate::session::store::Fields;

/// The field of an instance's hash that contains the instance's stage.
const STAGE: &str = "serves";
/// The TTL of the hashes that announce an instance, in seconds.
const TTL: i64 = 10;
/// How often an instance announces itself.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(2);
/// Time limit for announcing an instance once.
const ANNOUNCE_WITHIN: Duration = Duration::from_millis(1500);
/// The maximum number of instances to look up. The limit is needed because any client can write to the list
/// of instances.
const MOST: usize = 32;

/// Another instance that uses the same Redis server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OtherInstance {
    pub(super) url: String,
    pub(super) stage: AppStage,
}

/// Announces this instance, and looks for other instances, until the server stops. Reports to `on_event` if
/// Redis is unavailable at the start.
pub(super) async fn announce(
    address: SocketAddr,
    sessions: Arc<Sessions>,
    others: watch::Sender<Vec<OtherInstance>>,
    stop: CancellationToken,
    on_event: OnEvent,
) {
    let (stage, redis) = (sessions.stage, &sessions.redis);
    if !stage.needs_redis() {
        return;
    }
    let address = from_elsewhere(address).to_string();
    let mut ticks = interval(ANNOUNCE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let announcements = async {
        if let Err(unhealthy) = sessions.health(Deadline::after(ANNOUNCE_WITHIN)).await {
            on_event(ServerEvent::Unreachable(unhealthy.fault));
        }
        loop {
            ticks.tick().await;
            let deadline = Deadline::after(ANNOUNCE_WITHIN);
            let found = redis.run(deadline, |redis| announce_once(redis, &address, stage));
            // The pages work even without the list of other instances.
            if let Ok(found) = found.await {
                others.send_replace(found);
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = announcements => {}
    }
    // If the hash cannot be deleted, it expires.
    let _ = withdraw(redis, &address).await;
}

fn key(address: &str) -> String {
    format!("{KEY_PREFIX}instance:{address}")
}

/// Returns the key of the hash that lists the addresses of all instances.
fn directory() -> String {
    format!("{KEY_PREFIX}instances")
}

/// Announces this instance, and returns the other instances.
async fn announce_once(
    mut redis: RedisConnection,
    address: &str,
    stage: AppStage,
) -> RedisResult<Vec<OtherInstance>> {
    let text = format!("stage {}", stage.number());
    // Read the list before resetting its TTL. If reading fails, another client has overwritten the list, and
    // its TTL must not be reset.
    let listed: Fields = redis.hgetall(directory()).await?;
    for (hash, field) in [(key(address), STAGE), (directory(), address)] {
        redis::pipe()
            .atomic()
            .hset(&hash, field, &text)
            .expire(&hash, TTL)
            .exec_async(&mut redis)
            .await?;
    }
    let mut others = Vec::new();
    let listed = listed.iter().map(|(listed, _)| String::from_utf8_lossy(listed));
    for listed in listed.filter(|listed| listed != address).take(MOST) {
        // If the value is not a hash, the key does not belong to an instance.
        let text: Option<Vec<u8>> = redis.hget(key(&listed), STAGE).await.unwrap_or(None);
        match text.and_then(|text| other_instance(&listed, &text)) {
            Some(other) => others.push(other),
            None => redis.hdel(directory(), &*listed).await?,
        }
    }
    others.sort_by(|one, other| one.url.cmp(&other.url));
    Ok(others)
}

/// Parses the address and the stage of another instance. Returns `None` if they are invalid.
fn other_instance(address: &str, stage: &[u8]) -> Option<OtherInstance> {
    let address: SocketAddr = address.parse().ok()?;
    if address.ip().is_unspecified() {
        return None;
    }
    let number = std::str::from_utf8(stage).ok()?.strip_prefix("stage ")?;
    Some(OtherInstance {
        url: format!("http://{address}/"),
        stage: AppStage::numbered(number.parse().ok()?)?,
    })
}

async fn withdraw(redis: &Arc<ConnectionManager>, address: &str) -> Result<(), RedisFault> {
    let deadline = Deadline::after(ANNOUNCE_WITHIN);
    redis
        .run(deadline, |mut redis| async move {
            let () = redis.del(key(address)).await?;
            redis.hdel(directory(), address).await
        })
        .await
}

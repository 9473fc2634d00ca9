//! Instances over one Redis announce themselves and find each other.
//!
//! An instance is a hash with a short life (a user who may do what sessions need may do this as well): who stops takes it back, who dies is forgotten. Their addresses also stand in
//! one hash, so that nobody has to scan a Redis that belongs to others; what it says beyond a living key is stale.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use redis::{AsyncCommands, RedisResult, pipe};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::address::from_elsewhere;
use super::elsewhere::Board;
use super::health;
use super::link::Link;
use super::pages::Neighbour;
use super::{Event, Fault, OnEvent, Step};
use crate::deadline::Deadline;
use crate::redis_client::connect::RedisConnection;
use crate::session::store::Fields;

/// The key of an instance, less its address.
const PREFIX: &str = "sessiontut:instance:";
/// The field that names its step.
const STEP: &str = "serves";
/// The hash of all their addresses.
const DIRECTORY: &str = "sessiontut:instances";
/// What an announcement lives, unless it is repeated.
const LIFE: Duration = Duration::from_secs(10);
/// Between two announcements.
const RHYTHM: Duration = Duration::from_secs(2);
/// For one announcement.
const WITHIN: Duration = Duration::from_millis(1500);
/// Instances that are looked at: anyone may write into the hash.
const MOST: usize = 32;

/// Announces this instance and looks for others until the server stops; the first time it also tells what is wrong with Redis.
pub(super) async fn announce(
    address: SocketAddr,
    step: Step,
    link: Arc<Link>,
    board: Arc<Board>,
    stop: CancellationToken,
    tell: OnEvent,
) {
    if !step.needs_redis() {
        return;
    }
    let address = from_elsewhere(address);
    let mut rhythm = interval(RHYTHM);
    rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tell = Some(tell);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = rhythm.tick() => {}
        }
        let turn = async {
            if let Some(tell) = tell.take()
                && let Err(fault) = health::check(&link, Deadline::after(WITHIN)).await
            {
                tell(Event::Unreachable(fault));
            }
            let round = link.ask(Deadline::after(WITHIN), |redis| round(redis, address, step));
            // Who finds no others has sessions all the same.
            if let Ok(neighbours) = round.await {
                board.show(neighbours);
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = turn => {}
        }
    }
    // Gone or not, the key dies within its ten seconds.
    let _ = withdraw(&link, address).await;
}

/// Announces this instance, and returns the others.
async fn round(mut redis: RedisConnection, address: SocketAddr, step: Step) -> RedisResult<Vec<Neighbour>> {
    let address = address.to_string();
    let step = format!("step {}", step.number());
    let key = format!("{PREFIX}{address}");
    let ttl = LIFE.as_secs().cast_signed();
    pipe()
        .atomic()
        .hset(&key, STEP, &step)
        .expire(&key, ttl)
        .exec_async(&mut redis)
        .await?;
    let (_, _, listed): (i64, i64, Fields) = pipe()
        .atomic()
        .hset(DIRECTORY, &address, &step)
        .expire(DIRECTORY, ttl)
        .hgetall(DIRECTORY)
        .query_async(&mut redis)
        .await?;
    let mut others = Vec::new();
    let listed = listed.iter().map(|(listed, _)| listed);
    for listed in listed.filter(|listed| **listed != address.as_bytes()).take(MOST) {
        let key = [PREFIX.as_bytes(), listed].concat();
        // The key may hold something else than a hash: then it is not an instance.
        let step: Option<Vec<u8>> = redis.hget(key, STEP).await.unwrap_or(None);
        match step.and_then(|step| neighbour(listed, &step)) {
            Some(other) => others.push(other),
            None => redis.hdel(DIRECTORY, listed).await?,
        }
    }
    others.sort_by(|one, other| one.url.cmp(&other.url));
    Ok(others)
}

/// A link to an instance; `None` if Redis contains anything but an address and a step.
fn neighbour(address: &[u8], step: &[u8]) -> Option<Neighbour> {
    let address: SocketAddr = std::str::from_utf8(address).ok()?.parse().ok()?;
    if address.ip().is_unspecified() {
        return None;
    }
    let number = std::str::from_utf8(step).ok()?.strip_prefix("step ")?;
    let step = Step::numbered(number.parse().ok()?)?;
    Some(Neighbour {
        url: format!("http://{address}/"),
        what: format!("step {}", step.number()),
    })
}

async fn withdraw(link: &Arc<Link>, address: SocketAddr) -> Result<(), Fault> {
    let address = address.to_string();
    link.ask(Deadline::after(WITHIN), |mut redis| async move {
        let () = redis.del(format!("{PREFIX}{address}")).await?;
        redis.hdel(DIRECTORY, address).await
    })
    .await
}

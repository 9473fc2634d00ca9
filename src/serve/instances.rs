//! Instances over one Redis announce themselves and find each other.
//!
//! An instance is a hash with a short life (a user who may do what sessions need may do this as well): who stops takes it back, who dies is forgotten. Their addresses also stand in
//! one hash, so that nobody has to scan a Redis that belongs to others; what it says beyond a living key is stale.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use redis::{Value, pipe};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::address::from_elsewhere;
use super::elsewhere::Board;
use super::health;
use super::link::Link;
use super::pages::Neighbour;
use super::{Event, Fault, OnEvent, Step};
use crate::deadline::Deadline;
use crate::redis_client::Client;
use crate::session::store::pairs;

/// The key of an instance, less its address.
const PREFIX: &str = "sessiontut:instance:";
/// The field of what it serves.
const SERVES: &str = "serves";
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
            let round = link.ask(Deadline::after(WITHIN), |client| round(client, address, step));
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

/// Announces, and returns the others.
async fn round(mut client: Client, address: SocketAddr, step: Step) -> redis::RedisResult<Vec<Neighbour>> {
    let address = address.to_string();
    let what = format!("step {}", step.number());
    let key = format!("{PREFIX}{address}");
    pipe()
        .atomic()
        .cmd("HSET")
        .arg(&key)
        .arg(SERVES)
        .arg(&what)
        .cmd("EXPIRE")
        .arg(&key)
        .arg(LIFE.as_secs())
        .exec_async(&mut client)
        .await?;
    let (_, _, listed): (Value, Value, Value) = pipe()
        .atomic()
        .cmd("HSET")
        .arg(DIRECTORY)
        .arg(&address)
        .arg(&what)
        .cmd("EXPIRE")
        .arg(DIRECTORY)
        .arg(LIFE.as_secs())
        .cmd("HGETALL")
        .arg(DIRECTORY)
        .query_async(&mut client)
        .await?;
    let mut neighbours = Vec::new();
    for (listed, _) in pairs(&listed)
        .into_iter()
        .filter(|(listed, _)| *listed != address)
        .take(MOST)
    {
        let what: Option<Vec<u8>> = redis::cmd("HGET")
            .arg(format!("{PREFIX}{listed}"))
            .arg(SERVES)
            .query_async(&mut client)
            .await
            // It may be no hash at all: then it is none of ours.
            .unwrap_or(None);
        match what.as_deref().and_then(|what| neighbour(&listed, what)) {
            Some(neighbour) => neighbours.push(neighbour),
            None => {
                redis::cmd("HDEL")
                    .arg(DIRECTORY)
                    .arg(&listed)
                    .exec_async(&mut client)
                    .await?;
            }
        }
    }
    neighbours.sort_by(|one, other| one.url.cmp(&other.url));
    Ok(neighbours)
}

/// A link to an instance, where what stands in Redis is an address and a step and nothing else.
fn neighbour(address: &str, what: &[u8]) -> Option<Neighbour> {
    let address: SocketAddr = address.parse().ok()?;
    if address.ip().is_unspecified() {
        return None;
    }
    let number = std::str::from_utf8(what).ok()?.strip_prefix("step ")?;
    let step = Step::numbered(number.parse().ok()?)?;
    Some(Neighbour {
        url: format!("http://{address}/"),
        what: format!("step {}", step.number()),
    })
}

async fn withdraw(link: &Arc<Link>, address: SocketAddr) -> Result<(), Fault> {
    let address = address.to_string();
    link.ask(Deadline::after(WITHIN), |mut client| async move {
        redis::cmd("DEL")
            .arg(format!("{PREFIX}{address}"))
            .exec_async(&mut client)
            .await?;
        redis::cmd("HDEL")
            .arg(DIRECTORY)
            .arg(address)
            .exec_async(&mut client)
            .await
    })
    .await
}

//! Provides the connection to a Redis server or cluster that all parts of this program except `ping` use.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};

use super::clock::Clock;
use super::cluster::{Cluster, Request, slot_of};
use super::single::SingleConnection;
use crate::deadline::Deadline;
use crate::ping::causes::FixContext;
use crate::ping::observation::Observations;
use crate::redis_client::{items, text};
use crate::redis_url::Target;

/// Time limit for the server to report its time.
const TIME_WITHIN: Duration = Duration::from_millis(300);

/// The minimum interval between two requests for the server's time.
const TIME_EVERY: Duration = Duration::from_secs(60);

/// A connection that several requests can use at the same time. All clones use the same connection.
#[derive(Clone)]
pub struct RedisConnection {
    kind: SingleOrCluster,
    /// The target, and the observations that the checks of `ping` made there.
    checked: Arc<(Target, Observations)>,
    clock: Arc<Mutex<ReadClock>>,
}

/// The server's clock, and when it was last read.
struct ReadClock {
    clock: Clock,
    read: Instant,
}

#[derive(Clone)]
pub(super) enum SingleOrCluster {
    Single(SingleConnection),
    Cluster(Cluster),
}

impl RedisConnection {
    pub(super) fn new(kind: SingleOrCluster, target: &Target, seen: Observations) -> Self {
        let clock = ReadClock {
            clock: Clock::default(),
            read: Instant::now(),
        };
        Self {
            kind,
            checked: Arc::new((target.clone(), seen)),
            clock: Arc::new(Mutex::new(clock)),
        }
    }

    /// Returns the server's clock, or the local clock if the server's clock has not been read. If the last
    /// reading is more than a minute old, reads the server's clock again in the background.
    pub fn clock(&self) -> Clock {
        let mut known = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if known.read.elapsed() >= TIME_EVERY {
            known.read = Instant::now();
            let mut connection = self.clone();
            tokio::spawn(async move { connection.read_clock().await });
        }
        known.clock
    }

    /// Reads the server's clock. If the server does not report its time, the previous clock stays in use.
    pub async fn read_clock(&mut self) {
        // In a cluster, all instances of `serve` must use the clock of the same node.
        let time = redis::cmd("TIME");
        let reply = Deadline::after(TIME_WITHIN)
            .bound(self.reply_from(&time, b""))
            .await;
        let Ok(Ok(reply)) = reply else {
            return;
        };
        let seconds = items(Some(&reply)).first().and_then(text);
        if let Some(seconds) = seconds.and_then(|seconds| seconds.parse().ok()) {
            let mut known = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
            known.clock = Clock::of_redis(seconds);
        }
    }

    /// Sends one command, and returns its reply. An error reply is returned as a value, not as an error.
    pub(crate) async fn reply(&mut self, command: &Cmd) -> RedisResult<Value> {
        as_value(self.req_packed_command(command).await)
    }

    /// Like [`Self::reply`], but sends the command to the cluster node that serves `key`. This is needed for
    /// commands without a key, such as MULTI and EXEC.
    pub(crate) async fn reply_from(&mut self, command: &Cmd, key: &[u8]) -> RedisResult<Value> {
        match &self.kind {
            SingleOrCluster::Single(_) => self.reply(command).await,
            SingleOrCluster::Cluster(cluster) => {
                let request = Request::One(command.clone());
                as_value(only(cluster.run(request, Some(slot_of(key))).await))
            }
        }
    }

    /// Like [`Self::reply`], but sends the command to every primary of a cluster, and returns one reply per
    /// primary.
    pub(crate) async fn replies_of_all(&mut self, command: &Cmd) -> RedisResult<Vec<Value>> {
        match &self.kind {
            SingleOrCluster::Single(_) => Ok(vec![self.reply(command).await?]),
            SingleOrCluster::Cluster(cluster) => cluster.run_everywhere(command).await,
        }
    }

    /// Returns the addresses of a cluster's primaries. The list contains `None` if some slots have no
    /// primary. The list is empty for a single server.
    pub(crate) fn primaries(&self) -> Vec<Option<String>> {
        self.cluster().map(Cluster::primaries).unwrap_or_default()
    }

    /// Returns the address of the cluster primary that serves a key. Returns `None` if no primary is known,
    /// or if this is not a cluster.
    pub(crate) fn primary_of(&self, key: &str) -> Option<String> {
        self.cluster()?.primary_of(key.as_bytes())
    }

    /// Tries again to reach the known nodes of a cluster. Returns whether one of them replied, or false for a
    /// single server.
    pub(crate) async fn recover(&self) -> bool {
        match self.cluster() {
            Some(cluster) => cluster.recover().await,
            None => false,
        }
    }

    /// Whether `self` and `other` are clones of the same connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.checked, &other.checked)
    }

    /// Returns the facts about this server that determine which fixes are suggested.
    pub(crate) fn fix_context(&self) -> FixContext<'_> {
        let (target, seen) = &*self.checked;
        FixContext::of(target, seen)
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.cluster().is_some()
    }

    fn cluster(&self) -> Option<&Cluster> {
        match &self.kind {
            SingleOrCluster::Single(_) => None,
            SingleOrCluster::Cluster(cluster) => Some(cluster),
        }
    }

    /// Whether there is a connection to the node that serves `key`.
    pub(crate) fn is_connected(&self, key: &[u8]) -> bool {
        match &self.kind {
            SingleOrCluster::Single(single) => !single.is_closed(),
            SingleOrCluster::Cluster(cluster) => cluster.is_connected(key),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        match &self.kind {
            SingleOrCluster::Single(single) => single.is_closed(),
            SingleOrCluster::Cluster(cluster) => cluster.is_lost(),
        }
    }
}

fn only(replies: RedisResult<Vec<Value>>) -> RedisResult<Value> {
    Ok(replies?.pop().unwrap_or(Value::Nil))
}

/// Turns a `RedisError` that contains an error reply into a value, because the `redis` crate returns some
/// error replies as errors.
fn as_value(reply: RedisResult<Value>) -> RedisResult<Value> {
    let error = match reply {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    match error.clone().into_server_errors().as_deref() {
        Some([(_, reply), ..]) => Ok(Value::ServerError(reply.clone())),
        _ => Err(error),
    }
}

impl ConnectionLike for RedisConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.kind {
            SingleOrCluster::Single(single) => single.req_packed_command(command),
            SingleOrCluster::Cluster(cluster) => {
                Box::pin(async { only(cluster.run(Request::One(command.clone()), None).await) })
            }
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.kind {
            SingleOrCluster::Single(single) => single.req_packed_commands(pipeline, offset, count),
            SingleOrCluster::Cluster(cluster) => {
                let request = Request::Several(pipeline.clone(), offset, count);
                Box::pin(async { cluster.run(request, None).await })
            }
        }
    }

    fn get_db(&self) -> i64 {
        0
    }
}

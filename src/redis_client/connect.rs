//! Connects to a Redis server or cluster: runs the checks of `ping`, then passes the connection to the
//! `redis` crate.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, RedisFuture, RedisResult, Value,
};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use super::cluster::{Cluster, Request, slot_of};
use super::error_text;
use super::framing::Limits;
use super::limited::LimitedReplies;
use super::stream::Stream;
use crate::deadline::Deadline;
use crate::ping::causes::FixContext;
use crate::ping::observation::Observations;
use crate::ping::rungs::ping::is_unavailable;
use crate::ping::{self, ClimbOptions, Verdict};
use crate::redis_url::{Target, Trust};
use crate::session::Clock;

/// Time limit for the server to report its time.
const TIME_WITHIN: Duration = Duration::from_millis(300);
/// How old the server's reported time may be before it is requested again.
const TIME_EVERY: Duration = Duration::from_secs(60);

/// A connection that several requests can use at the same time. All clones use the same connection.
#[derive(Clone)]
pub struct RedisConnection {
    kind: SingleOrCluster,
    /// The target, and what the checks have observed there.
    checked: Arc<(Target, Observations)>,
    clock: Arc<Mutex<ReadClock>>,
}

/// The server's clock, and when the server was last asked for its time.
struct ReadClock {
    clock: Clock,
    read: Instant,
}

#[derive(Clone)]
enum SingleOrCluster {
    Single(SingleConnection),
    Cluster(Cluster),
}

/// A connection to one server. All clones use the same connection.
#[derive(Clone)]
pub(super) struct SingleConnection {
    connection: MultiplexedConnection,
    driver: Arc<Driver>,
    /// The error if the server rejects MULTI. Empty until the first transaction.
    multi_refused: Arc<OnceCell<Option<RedisError>>>,
}

impl SingleConnection {
    /// Whether the connection is closed, so that no more commands can be sent.
    pub(super) fn is_closed(&self) -> bool {
        self.driver.0.is_finished()
    }

    /// Whether this and `other` are clones of the same connection.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.driver, &other.driver)
    }

    /// Whether the server supports MULTI, as far as [`Self::check_multi`] has determined.
    fn offers_multi(&self) -> bool {
        matches!(self.multi_refused.get(), Some(None))
    }

    /// Checks once whether the server supports MULTI. A server without it would run the commands of a
    /// transaction individually, and a key might be left without a TTL.
    async fn check_multi(&self) -> RedisResult<()> {
        let check = async {
            let mut transaction = redis::pipe();
            transaction.cmd("MULTI").cmd("EXEC");
            let mut connection = self.connection.clone();
            let replies = connection.req_packed_commands(&transaction, 0, 2).await;
            let refusal = match replies {
                Ok(replies) => match replies.into_iter().next() {
                    Some(Value::ServerError(reply)) => RedisError::from(reply),
                    _ => return Ok(None),
                },
                Err(error) => error,
            };
            match refusal.clone().into_server_errors().as_deref() {
                Some([(_, reply), ..]) if is_unavailable(&error_text(reply)) => Ok(Some(refusal)),
                Some(_) => Ok(None),
                None => Err(refusal),
            }
        };
        match self.multi_refused.get_or_try_init(|| check).await? {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(()),
        }
    }
}

impl ConnectionLike for SingleConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.connection.req_packed_command(command)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        if !pipeline.is_transaction() || self.offers_multi() {
            return self.connection.req_packed_commands(pipeline, offset, count);
        }
        Box::pin(async move {
            self.check_multi().await?;
            self.connection.req_packed_commands(pipeline, offset, count).await
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

/// The task that reads from and writes to the connection. It ends when the connection is closed. The crate
/// does not report this in any other way.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no connection, as determined by the checks of `ping`.
#[derive(Debug)]
pub struct Unreachable {
    /// The target that was tried.
    pub target: Target,
    /// What the checks have observed.
    pub seen: Observations,
    /// The cause, with evidence and fixes.
    pub verdict: Verdict,
}

/// Runs the checks of `ping`, and continues to use the connection on which Redis replied. If the server is a
/// cluster node, connects to the whole cluster.
///
/// # Errors
/// Returns [`Unreachable`] with the verdict of the checks.
pub async fn open(
    target: &Target,
    trust: &Trust,
    deadline: Deadline,
) -> Result<RedisConnection, Box<Unreachable>> {
    let climb = ping::climb(target, trust, &ClimbOptions::default(), deadline, &mut |_| {}).await;
    let seen = climb.observations;
    let verdict = ping::judge(target, &seen);
    let unreachable = |seen, verdict| {
        Box::new(Unreachable {
            target: target.clone(),
            seen,
            verdict,
        })
    };
    let Some(probe) = climb.connection.filter(|_| verdict.finding.is_none()) else {
        return Err(unreachable(seen, verdict));
    };
    if seen.server.is_cluster() {
        let why = match deadline
            .bound(Cluster::join(target, trust, probe.into_stream()))
            .await
        {
            // The cluster is unusable: its first command would fail.
            Ok(Ok(_)) if seen.reaches_no_announced_node() => {
                "none of the nodes it announces can be reached".into()
            }
            Ok(Ok(cluster)) => {
                return Ok(RedisConnection::new(
                    SingleOrCluster::Cluster(cluster),
                    target,
                    seen,
                ));
            }
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        let verdict = ping::judge_cluster(target, &seen, &verdict, &why);
        return Err(unreachable(seen, verdict));
    }
    match share(probe.into_stream()).await {
        Ok(single) => Ok(RedisConnection::new(
            SingleOrCluster::Single(single),
            target,
            seen,
        )),
        // This sends nothing, so it can fail only if the runtime is shutting down.
        Err(_) => Err(unreachable(seen, verdict)),
    }
}

/// Like [`open`], but also reads the server's clock.
///
/// # Errors
/// Returns [`Unreachable`] with the verdict of the checks.
pub(crate) async fn open_with_clock(
    target: &Target,
    trust: &Trust,
    deadline: Deadline,
) -> Result<RedisConnection, Box<Unreachable>> {
    let mut connection = open(target, trust, deadline).await?;
    connection.read_clock().await;
    // Some proxies close the connection when they receive a command that they do not support.
    match connection.is_closed() {
        true => open(target, trust, deadline).await,
        false => Ok(connection),
    }
}

/// Turns a stream that is already logged in into a connection that several requests can use.
pub(super) async fn share(stream: Stream) -> RedisResult<SingleConnection> {
    // The stream is already logged in, so the crate must not send anything by itself. Each request has its
    // own deadline.
    let info = RedisConnectionInfo::default().set_skip_set_lib_name();
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let (replies, commands) = tokio::io::split(stream);
    let stream = tokio::io::join(LimitedReplies::new(replies, Limits::LARGE), commands);
    let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await?;
    let driver = Arc::new(Driver(tokio::spawn(driver)));
    Ok(SingleConnection {
        connection,
        driver,
        multi_refused: Arc::default(),
    })
}

impl RedisConnection {
    fn new(kind: SingleOrCluster, target: &Target, seen: Observations) -> Self {
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

    /// Returns the server's clock, or the local clock before the first [`Self::read_clock`]. Once a minute,
    /// the server's time is requested again, together with other commands.
    pub fn clock(&self) -> Clock {
        let mut known = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if known.read.elapsed() >= TIME_EVERY {
            known.read = Instant::now();
            let mut connection = self.clone();
            tokio::spawn(async move { connection.read_clock().await });
        }
        known.clock
    }

    /// Asks the server for its time. If the user has no permission for TIME, the local clock stays in use.
    pub async fn read_clock(&mut self) {
        // In a cluster, all instances must ask the same node.
        let time = redis::cmd("TIME");
        let reply = Deadline::after(TIME_WITHIN)
            .bound(self.reply_from(&time, b""))
            .await;
        let Ok(Ok(Value::Array(parts))) = reply else {
            return;
        };
        if let Some(Value::BulkString(seconds)) = parts.first()
            && let Some(seconds) = std::str::from_utf8(seconds)
                .ok()
                .and_then(|text| text.parse().ok())
        {
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

    /// Like [`Self::reply`], but sends the command to every primary of a cluster.
    pub(crate) async fn replies_of_all(&mut self, command: &Cmd) -> RedisResult<Vec<Value>> {
        match &self.kind {
            SingleOrCluster::Single(_) => Ok(vec![self.reply(command).await?]),
            SingleOrCluster::Cluster(cluster) => cluster.run_everywhere(command).await,
        }
    }

    /// Returns the primaries of a cluster. If some slots have no primary, the list also contains `None`. For
    /// a single server, the list is empty.
    pub(crate) fn primaries(&self) -> Vec<Option<String>> {
        match &self.kind {
            SingleOrCluster::Single(_) => Vec::new(),
            SingleOrCluster::Cluster(cluster) => cluster.primaries(),
        }
    }

    /// Returns the primary of a cluster that serves a key.
    pub(crate) fn primary_of(&self, key: &str) -> Option<String> {
        match &self.kind {
            SingleOrCluster::Single(_) => None,
            SingleOrCluster::Cluster(cluster) => cluster.primary_of(key.as_bytes()),
        }
    }

    /// Tries again to reach the known nodes of a cluster. The node in the URL may no longer exist.
    pub(crate) async fn recover(&self) -> bool {
        match &self.kind {
            SingleOrCluster::Single(_) => false,
            SingleOrCluster::Cluster(cluster) => cluster.recover().await,
        }
    }

    /// Whether this and `other` are clones of the same connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.checked, &other.checked)
    }

    /// Returns the context on which the advice about this Redis server depends.
    pub(crate) fn fix_context(&self) -> FixContext<'_> {
        let (target, seen) = &*self.checked;
        FixContext::of(target, seen)
    }

    /// Whether this is a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.kind, SingleOrCluster::Cluster(_))
    }

    /// Whether there is a connection to the node that serves `key`.
    pub(crate) fn is_connected(&self, key: &[u8]) -> bool {
        match &self.kind {
            SingleOrCluster::Single(single) => !single.is_closed(),
            SingleOrCluster::Cluster(cluster) => cluster.is_connected(key),
        }
    }

    /// Whether the connection is closed, so that no more commands can be sent.
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

/// Converts errors that contain an error reply to values, because the crate returns some error replies as errors.
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

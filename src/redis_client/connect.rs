//! Connects to a Redis server or cluster: runs the checks of `ping`, then uses the connection type of the `redis` crate.

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
/// Age after which the server's time is read again.
const TIME_EVERY: Duration = Duration::from_secs(60);

/// A connection that requests share. All clones use the same connection.
#[derive(Clone)]
pub struct RedisConnection {
    kind: SingleOrCluster,
    /// The target and what the checks observed.
    checked: Arc<(Target, Observations)>,
    clock: Arc<Mutex<ReadClock>>,
}

/// The server's clock, and when it was read.
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
    /// Why the server refuses MULTI, if it does; empty until the first transaction.
    multi_refused: Arc<OnceCell<Option<RedisError>>>,
}

impl SingleConnection {
    /// Whether the connection has ended, so that no command can be sent any more.
    pub(super) fn is_closed(&self) -> bool {
        self.driver.0.is_finished()
    }

    /// Whether both are clones of one connection.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.driver, &other.driver)
    }

    /// Whether the server offers MULTI, as far as [`Self::check_multi`] has found out.
    fn offers_multi(&self) -> bool {
        matches!(self.multi_refused.get(), Some(None))
    }

    /// Checks once whether the server offers MULTI. A server without it would execute the commands of a transaction one
    /// by one, and a key could remain without a TTL.
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

/// The task that reads and writes. It ends when the connection ends, and the crate does not report this in any other
/// way.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The reason why there is no connection, as found by the checks of `ping`.
#[derive(Debug)]
pub struct Unreachable {
    /// The target that was tried.
    pub target: Target,
    /// Observations of the checks.
    pub seen: Observations,
    /// The cause, with evidence and fixes.
    pub verdict: Verdict,
}

/// Runs the checks of `ping`, and keeps the stream on which Redis answered. If it belongs to a cluster node, connects
/// to the whole cluster.
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
            // The first command would fail.
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

/// Like [`open`], and reads the server's clock.
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
    // Some proxies end a connection at a command that they do not support.
    match connection.is_closed() {
        true => open(target, trust, deadline).await,
        false => Ok(connection),
    }
}

/// Creates a connection that requests can share from a stream that is already logged in.
pub(super) async fn share(stream: Stream) -> RedisResult<SingleConnection> {
    // The stream is already logged in, so the crate must not send anything. Each request has its own deadline.
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

    /// Returns the server's clock: before [`Self::read_clock`], the local one. It is read again once a minute, at the same
    /// time as other commands.
    pub fn clock(&self) -> Clock {
        let mut known = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if known.read.elapsed() >= TIME_EVERY {
            known.read = Instant::now();
            let mut connection = self.clone();
            tokio::spawn(async move { connection.read_clock().await });
        }
        known.clock
    }

    /// Asks the server for its time. Without a permission for TIME, the clock remains the local one.
    pub async fn read_clock(&mut self) {
        // All instances must ask the same node of a cluster.
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

    /// Sends one command and returns its reply. An error reply is returned as a value, not as an error.
    pub(crate) async fn reply(&mut self, command: &Cmd) -> RedisResult<Value> {
        as_value(self.req_packed_command(command).await)
    }

    /// Like [`Self::reply`], but sends the command to the cluster node that serves `key`, because MULTI and EXEC have
    /// no key.
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

    /// Returns the primaries of a cluster, and `None` if there are slots without one. Returns nothing for a single
    /// server.
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

    /// Tries again to reach the nodes of a cluster that are known. The one in the URL may be gone.
    pub(crate) async fn recover(&self) -> bool {
        match &self.kind {
            SingleOrCluster::Single(_) => false,
            SingleOrCluster::Cluster(cluster) => cluster.recover().await,
        }
    }

    /// Whether both are clones of one connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.checked, &other.checked)
    }

    /// What advice about this Redis server depends on.
    pub(crate) fn fix_context(&self) -> FixContext<'_> {
        let (target, seen) = &*self.checked;
        FixContext::of(target, seen)
    }

    /// Whether this is a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.kind, SingleOrCluster::Cluster(_))
    }

    /// Whether there is a connection to the node of `key`.
    pub(crate) fn is_connected(&self, key: &[u8]) -> bool {
        match &self.kind {
            SingleOrCluster::Single(single) => !single.is_closed(),
            SingleOrCluster::Cluster(cluster) => cluster.is_connected(key),
        }
    }

    /// Whether the connection has ended, so that no command can be sent any more.
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

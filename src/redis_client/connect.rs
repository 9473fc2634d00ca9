//! Connects to a Redis server or cluster: runs the checks of `ping`, then uses the connection types of the `redis` crate.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{
    Arg, AsyncConnectionConfig, ClientTlsConfig, Cmd, ConnectionAddr, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, RedisError, RedisFuture, RedisResult, TlsCertificates, Value,
};
use rustls::RootCertStore;
use tokio::task::JoinHandle;

use super::framing::Limits;
use super::limited::LimitedReplies;
use super::stream::Stream;
use crate::deadline::Deadline;
use crate::ping::causes::FixContext;
use crate::ping::observation::Observations;
use crate::ping::{self, ClimbOptions, Verdict};
use crate::redis_url::{DEFAULT_PORT, Target, Trust};

/// Time limit for connecting to a cluster node, and for each of its replies; a request's own deadline is shorter.
const NODE_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection that requests share. All clones use the same connection.
#[derive(Clone)]
pub struct RedisConnection {
    kind: SingleOrCluster,
    fix_context: Arc<FixContext>,
}

#[derive(Clone)]
enum SingleOrCluster {
    Single {
        connection: MultiplexedConnection,
        driver: Arc<Driver>,
    },
    Cluster(ClusterConnection),
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
    let fix_context = Arc::new(FixContext::of(target, &seen));
    let connected = |kind| RedisConnection { kind, fix_context };
    if seen.server.is_cluster() {
        let why = match deadline.bound(join_cluster(target, trust)).await {
            // The crate reports success even if it cannot reach any node of the cluster. The first command would then
            // fail.
            Ok(Ok(_)) if seen.reaches_no_announced_node() => {
                "none of the nodes it announces can be reached".into()
            }
            Ok(Ok(cluster)) => return Ok(connected(SingleOrCluster::Cluster(cluster))),
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        let verdict = ping::judge_cluster(target, &seen, &verdict, &why);
        return Err(unreachable(seen, verdict));
    }
    match share(probe.into_stream()).await {
        Ok(single) => Ok(connected(single)),
        // This sends nothing, so it can fail only if the runtime is shutting down.
        Err(_) => Err(unreachable(seen, verdict)),
    }
}

/// Creates a connection that requests can share from a stream that is already logged in.
async fn share(stream: Stream) -> RedisResult<SingleOrCluster> {
    // The stream is already logged in, so the crate must not send anything. Each request has its own deadline.
    let info = RedisConnectionInfo::default().set_skip_set_lib_name();
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let (replies, commands) = tokio::io::split(stream);
    let stream = tokio::io::join(LimitedReplies::new(replies, Limits::LARGE), commands);
    let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await?;
    let driver = Arc::new(Driver(tokio::spawn(driver)));
    Ok(SingleOrCluster::Single { connection, driver })
}

/// Connects to the cluster that a node belongs to.
async fn join_cluster(target: &Target, trust: &Trust) -> RedisResult<ClusterConnection> {
    let (host, port) = (
        target.host().unwrap_or_default().to_owned(),
        target.port().unwrap_or(DEFAULT_PORT),
    );
    let address = if target.tls {
        ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    let mut settings = RedisConnectionInfo::default();
    if let Some(password) = &target.password {
        settings = settings.set_password(password.reveal());
    }
    if let Some(user) = &target.user {
        settings = settings.set_username(user);
    }
    let node = address.into_connection_info()?.set_redis_settings(settings);
    let mut builder = ClusterClientBuilder::new([node])
        .connection_timeout(NODE_TIMEOUT)
        .response_timeout(NODE_TIMEOUT)
        // The crate still follows redirections, because a redirected command was not executed. No other command may
        // be sent twice.
        .retries(0);
    if target.tls {
        builder = builder.certs(certificates(trust)?);
    }
    builder.build()?.get_async_connection().await
}

impl RedisConnection {
    /// Sends one command and returns its reply. An error reply is returned as a value, not as an error.
    pub(crate) async fn reply(&mut self, command: &Cmd) -> RedisResult<Value> {
        as_value(self.req_packed_command(command).await)
    }

    /// Like [`Self::reply`], but sends the command to the cluster node that serves `key`, because MULTI and EXEC have
    /// no key.
    pub(crate) async fn reply_from(&mut self, command: &Cmd, key: &[u8]) -> RedisResult<Value> {
        match &mut self.kind {
            SingleOrCluster::Single { .. } => self.reply(command).await,
            SingleOrCluster::Cluster(cluster) => {
                let node = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
                let node = RoutingInfo::SingleNode(node);
                as_value(cluster.route_command(command.clone(), node).await)
            }
        }
    }

    /// Whether both are clones of one connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.fix_context, &other.fix_context)
    }

    /// What advice about this Redis server depends on.
    pub(crate) fn fix_context(&self) -> &Arc<FixContext> {
        &self.fix_context
    }

    /// Whether this is a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.kind, SingleOrCluster::Cluster(_))
    }

    /// Whether the connection has ended, so that no command can be sent any more.
    pub(crate) fn is_closed(&self) -> bool {
        match &self.kind {
            SingleOrCluster::Single { driver, .. } => driver.0.is_finished(),
            // A cluster connection reconnects to its nodes by itself.
            SingleOrCluster::Cluster(_) => false,
        }
    }
}

/// Converts errors that contain an error reply to values, because the cluster connection returns some error replies
/// as errors.
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

/// The crate updates its map of slots if a single command is redirected, but not if a transaction is. Therefore,
/// sends a single command.
async fn refresh_slots(cluster: &mut ClusterConnection, transaction: &Pipeline, error: &RedisError) {
    let replies = error.clone().into_server_errors();
    let is_moved = replies.is_some_and(|replies| replies.iter().any(|(_, reply)| reply.code() == "MOVED"));
    let first = transaction.cmd_iter().next();
    if is_moved && let Some(Arg::Simple(key)) = first.and_then(|command| command.args_iter().nth(1)) {
        let _ = cluster.req_packed_command(redis::cmd("PTTL").arg(key)).await;
    }
}

/// Returns the certificates for the connections to a cluster's nodes. The crate trusts either the system's CAs or
/// those in a file, but with `--ca` both must be trusted, as for a single server.
fn certificates(trust: &Trust) -> Result<TlsCertificates, RedisError> {
    let read = |path: &Path| std::fs::read(path);
    let client_tls = match (&trust.cert, &trust.key) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig {
            client_cert: read(cert)?,
            client_key: read(key)?,
        }),
        _ => None,
    };
    let root_cert = match &trust.ca {
        Some(ca) => {
            let mut bundle = read(ca)?;
            for authority in rustls_native_certs::load_native_certs().certs {
                // Skip invalid certificates, because one of them would make the crate reject the whole bundle.
                if RootCertStore::empty().add(authority.clone()).is_ok() {
                    bundle.extend_from_slice(pem(&authority).as_bytes());
                }
            }
            Some(bundle)
        }
        None => None,
    };
    Ok(TlsCertificates {
        client_tls,
        root_cert,
    })
}

/// Encodes a certificate as PEM (RFC 7468) in one line, which parsers accept.
fn pem(certificate: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(certificate);
    format!("\n-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

impl ConnectionLike for RedisConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.kind {
            SingleOrCluster::Single { connection, .. } => connection.req_packed_command(command),
            SingleOrCluster::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.kind {
            SingleOrCluster::Single { connection, .. } => {
                connection.req_packed_commands(pipeline, offset, count)
            }
            SingleOrCluster::Cluster(connection) => Box::pin(async move {
                let replies = connection.req_packed_commands(pipeline, offset, count).await;
                if let Err(error) = &replies
                    && pipeline.is_transaction()
                {
                    refresh_slots(connection, pipeline, error).await;
                }
                replies
            }),
        }
    }

    fn get_db(&self) -> i64 {
        0
    }
}

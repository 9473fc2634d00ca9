//! A shared connection to one Redis, or to a cluster, which knows when it has died.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use redis::aio::ConnectionLike;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{
    ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisConnectionInfo,
    RedisError, RedisFuture, TlsCertificates, Value,
};
use rustls::RootCertStore;

use super::{Batch, Multiplexed, Trip};
use crate::deadline::Deadline;
use crate::ping::causes::FixContext;
use crate::ping::observation::Observations;
use crate::ping::{self, ClimbOptions, Verdict};
use crate::redis_url::{DEFAULT_PORT, Target, Trust};

/// For a node of a cluster; the request's own deadline is shorter.
const NODE_TIMEOUT: Duration = Duration::from_secs(2);

/// A shared connection.
#[derive(Clone)]
pub struct Client {
    connection: Connection,
    context: Arc<FixContext>,
}

#[derive(Clone)]
enum Connection {
    Single(Multiplexed),
    Cluster(ClusterConnection),
}

/// Why there is no client: what `ping` says of it.
#[derive(Debug)]
pub struct Unreachable {
    /// What was tried.
    pub target: Target,
    /// What was seen.
    pub seen: Observations,
    /// What that comes to.
    pub verdict: Verdict,
}

/// Climbs the connection as `ping` does, and goes on with the very stream that answered; on a cluster's node, with
/// the cluster.
///
/// # Errors
/// [`Unreachable`] carries the verdict of the climb.
pub async fn open(target: &Target, trust: &Trust, deadline: Deadline) -> Result<Client, Box<Unreachable>> {
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
    let Some(connection) = climb.connection.filter(|_| verdict.finding.is_none()) else {
        return Err(unreachable(seen, verdict));
    };
    let context = Arc::new(FixContext::of(target, &seen));
    let client = |connection| Client { connection, context };
    if seen.server.is_cluster() {
        let why = match deadline.bound(Connection::join(target, trust)).await {
            // The crate joins a cluster of which it reaches no node, and fails at the first command.
            Ok(Ok(_)) if seen.reaches_no_announced_node() => {
                "no node that it announces can be reached".into()
            }
            Ok(Ok(cluster)) => return Ok(client(cluster)),
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        let verdict = ping::judge_cluster(target, &seen, &verdict, &why);
        return Err(unreachable(seen, verdict));
    }
    let (connection, driver) = Multiplexed::new(connection.into_stream());
    tokio::spawn(driver);
    Ok(client(Connection::Single(connection)))
}

impl Connection {
    /// Connects to the whole cluster that a node belongs to.
    async fn join(target: &Target, trust: &Trust) -> Result<Self, RedisError> {
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
        Self::cluster(
            address.into_connection_info()?.set_redis_settings(settings),
            trust,
        )
        .await
    }

    async fn cluster(node: ConnectionInfo, trust: &Trust) -> Result<Self, RedisError> {
        let over_tls = matches!(node.addr(), ConnectionAddr::TcpTls { .. });
        let mut builder = ClusterClientBuilder::new([node])
            .connection_timeout(NODE_TIMEOUT)
            .response_timeout(NODE_TIMEOUT)
            // A redirection was not executed and may be followed; nothing else is ever sent twice.
            .retries(0);
        if over_tls {
            builder = builder.certs(certificates(trust)?);
        }
        let connection = builder.build()?.get_async_connection().await?;
        Ok(Self::Cluster(connection))
    }
}

impl Client {
    /// Asks all of a batch in one round trip.
    ///
    /// # Errors
    /// The connection's, or the first error among the replies.
    pub async fn travel(&self, batch: Batch) -> Result<Trip, RedisError> {
        match &self.connection {
            Connection::Single(connection) => connection.travel(batch).await?.check(),
            Connection::Cluster(connection) => {
                let begun = Instant::now();
                let pipeline = batch.to_pipeline();
                let commands = pipeline.cmd_iter().count();
                let mut connection = connection.clone();
                let values = if pipeline.is_transaction() {
                    connection.req_packed_commands(&pipeline, commands + 1, 1).await?
                } else {
                    connection.req_packed_commands(&pipeline, 0, commands).await?
                };
                batch.answered(&values, begun.elapsed()).check()
            }
        }
    }

    /// What advice about this Redis depends on.
    pub fn fix_context(&self) -> &Arc<FixContext> {
        &self.context
    }

    /// Whether there are several nodes behind it.
    pub fn is_cluster(&self) -> bool {
        matches!(self.connection, Connection::Cluster(_))
    }

    /// Whether the connection is known to be broken: nothing that is sent now could arrive.
    pub fn is_dead(&self) -> bool {
        match &self.connection {
            Connection::Single(connection) => connection.is_closed(),
            // It finds its nodes anew by itself.
            Connection::Cluster(_) => false,
        }
    }
}

/// What the cluster's nodes are trusted by and shown. The crate takes the system's authorities or those of a file:
/// `--ca` adds to them, as it does for a single server.
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
                // One that cannot be read would make the crate refuse the whole bundle.
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

/// RFC 7468; the reader does not mind a long line.
fn pem(certificate: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(certificate);
    format!("\n-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

impl ConnectionLike for Client {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.connection {
            Connection::Single(connection) => connection.req_packed_command(command),
            Connection::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.connection {
            Connection::Single(connection) => connection.req_packed_commands(pipeline, offset, count),
            Connection::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        0
    }
}

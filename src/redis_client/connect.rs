//! Connects to a Redis server or cluster. Runs the checks of `ping`, and then passes the connection to the
//! `redis` crate.

use super::cluster::Cluster;
use super::connection::{RedisConnection, SingleOrCluster};
use super::single::share;
use crate::deadline::Deadline;
use crate::ping::observation::Observations;
use crate::ping::{self, ClimbOptions, Verdict};
use crate::redis_url::{Target, Trust};

/// The result of a failed connection attempt.
#[derive(Debug)]
pub struct Unreachable {
    /// The target of the connection attempt.
    pub target: Target,
    /// The observations that the checks of `ping` made.
    pub seen: Observations,
    /// The cause of the failure, with evidence and fixes.
    pub verdict: Verdict,
}

/// Runs the checks of `ping`, and returns the connection on which Redis replied. If the server is a cluster
/// node, returns a connection to the whole cluster.
///
/// # Errors
///
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
    let connection = |kind, seen| Ok(RedisConnection::new(kind, target, seen));
    let Some(probe) = climb.connection.filter(|_| verdict.finding.is_none()) else {
        return Err(unreachable(seen, verdict));
    };
    if seen.server.is_cluster() {
        let joining = Cluster::join(target, trust, probe.into_stream());
        let why = match deadline.bound(joining).await {
            // The cluster is unusable, because the first command would fail.
            Ok(Ok(_)) if seen.reaches_no_announced_node() => {
                "none of the nodes it announces can be reached".into()
            }
            Ok(Ok(cluster)) => return connection(SingleOrCluster::Cluster(cluster), seen),
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        let verdict = ping::judge_cluster(target, &seen, &verdict, &why);
        return Err(unreachable(seen, verdict));
    }
    match share(probe.into_stream()).await {
        Ok(single) => connection(SingleOrCluster::Single(single), seen),
        // `share` sends nothing, so it can fail only if the runtime is shutting down.
        Err(_) => Err(unreachable(seen, verdict)),
    }
}

/// Opens a connection as [`open`] does, and then reads the server's clock.
pub(crate) async fn open_with_clock(
    target: &Target,
    trust: &Trust,
    deadline: Deadline,
) -> Result<RedisConnection, Box<Unreachable>> {
    let mut connection = open(target, trust, deadline).await?;
    connection.read_clock().await;
    // Some proxies close the connection when they receive an unsupported command such as TIME, so open it
    // again.
    match connection.is_closed() {
        true => open(target, trust, deadline).await,
        false => Ok(connection),
    }
}

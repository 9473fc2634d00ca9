//! Measures how long connections survive without traffic, for `--idle` and `--hold`.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use socket2::{SockRef, TcpKeepalive};

use super::experiments::Reconnect;
use super::observation::{IdleEnd, IdleTrial, Observations, STAGGER};
use super::response::{Response, receive};
use super::rungs::ping;
use super::rungs::tcp::SegmentSize;
use crate::deadline::Deadline;
use crate::redis_client::ProbeConnection;

/// The maximum number of idle times in one test, which opens two connections for each idle time.
const MOST_IDLE_TIMES: u32 = 16;
/// How many connections are opened at the same time. The number is low, because a burst of logins could look
/// like an attack.
const AT_A_TIME: usize = 8;
/// The shortest TCP keepalive interval, because the kernel accepts only whole seconds.
const SHORTEST_KEEPALIVE: Duration = Duration::from_secs(1);

/// Leaves connections idle for different times up to `longest`, then sends PING on each connection. Half of
/// the connections use TCP keepalive.
pub(super) async fn search(
    reconnect: &Reconnect<'_>,
    connection: ProbeConnection,
    longest: Duration,
    timeout: Duration,
) -> Vec<IdleTrial> {
    let idle_times = idle_times(longest);
    let period = (longest / MOST_IDLE_TIMES).max(SHORTEST_KEEPALIVE);
    let period = Duration::from_secs(period.as_secs_f64().ceil() as u64);
    let mut wanted: Vec<_> = idle_times
        .iter()
        .flat_map(|idle| [(*idle, None), (*idle, Some(period))])
        .collect();
    // Use the first connection for the longest trial without keepalive.
    let first = wanted.iter().rposition(|(_, keepalive)| keepalive.is_none());
    let first = first.map(|at| wanted.remove(at));
    let mut connections: Vec<_> = first.map(|wanted| (wanted, connection)).into_iter().collect();
    for some in wanted.chunks(AT_A_TIME) {
        let opened = some.iter().map(|wanted| async move {
            let until = Deadline::after(timeout / 4);
            let mut connection = reconnect.logged_in(SegmentSize::Default, until).await?;
            // A server at its client limit accepts the connection but does not reply.
            let response = ping::observe(&mut connection, until).await;
            response.is_pong().then_some((*wanted, connection))
        });
        connections.extend(join_all(opened).await.into_iter().flatten());
    }
    let trials = connections
        .into_iter()
        .map(|((idle, keepalive), connection)| staggered(connection, idle, keepalive, timeout / 2));
    join_all(trials).await
}

/// Runs one trial. A trial with TCP keepalive starts a little later, so that the idle times show whether one
/// event, such as a proxy restart, ended all connections.
async fn staggered(
    mut connection: ProbeConnection,
    idle: Duration,
    keepalive: Option<Duration>,
    timeout: Duration,
) -> IdleTrial {
    if keepalive.is_some() {
        Deadline::after(STAGGER).sleep(STAGGER).await;
        // The idle time begins again with this PING. The reply to PING does not matter: if the connection is
        // broken, the trial fails anyway.
        let _ = ping::observe(&mut connection, Deadline::after(timeout)).await;
    }
    trial(connection, idle, keepalive, timeout).await
}

/// Returns evenly spaced times up to `longest`. The interval is at most half a second, unless that would give
/// more than [`MOST_IDLE_TIMES`] times.
fn idle_times(longest: Duration) -> Vec<Duration> {
    let count = (longest.as_secs_f64() * 2.0)
        .ceil()
        .clamp(2.0, f64::from(MOST_IDLE_TIMES)) as u32;
    (1..=count).map(|part| longest * part / count).collect()
}

/// Leaves a connection idle, then sends PING. Returns early if the connection ends while it is idle.
pub(super) async fn trial(
    mut connection: ProbeConnection,
    idle: Duration,
    keepalive: Option<Duration>,
    timeout: Duration,
) -> IdleTrial {
    if let (Some(period), Some(tcp)) = (keepalive, connection.stream().tcp()) {
        // If keepalive cannot be enabled, the trial simply runs without keepalive.
        let _ = SockRef::from(tcp)
            .set_tcp_keepalive(&TcpKeepalive::new().with_time(period).with_interval(period));
    }
    let started = Instant::now();
    let until = Deadline::after(idle);
    let end = loop {
        match receive(&mut connection, until).await {
            Response::Timeout(_) => {
                break match ping::observe(&mut connection, Deadline::after(timeout)).await {
                    Response::Reply(_) => IdleEnd::Survived,
                    Response::Timeout(_) => IdleEnd::Silent,
                    Response::Reset(_) => IdleEnd::ResetOnUse,
                    _ => IdleEnd::Closed,
                };
            }
            // A proxy may send an error before it closes the connection, so continue to wait.
            Response::Reply(_) => {}
            Response::Reset(_) => break IdleEnd::Reset,
            _ => break IdleEnd::Closed,
        }
    };
    IdleTrial {
        idle: started.elapsed().min(idle),
        keepalive,
        end,
    }
}

impl<'a> Reconnect<'a> {
    /// Returns the parameters of additional connections to the address in `seen`.
    pub(super) fn after(
        target: &'a crate::redis_url::Target,
        trust: &'a crate::redis_url::Trust,
        seen: &Observations,
    ) -> Self {
        Self {
            target,
            trust,
            address: seen.tcp.connected_address(),
            connecting: seen.tcp.round_trip(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_times_are_spread_up_to_the_longest() {
        let seconds = |longest| {
            let times = idle_times(Duration::from_secs(longest));
            (
                times.len(),
                times[0].as_secs_f64(),
                times.last().unwrap().as_secs(),
            )
        };
        assert_eq!(seconds(8), (16, 0.5, 8));
        assert_eq!(seconds(1), (2, 0.5, 1));
        assert_eq!(seconds(1600), (16, 100.0, 1600));
    }
}

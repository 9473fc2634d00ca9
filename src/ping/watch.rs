//! `--watch`: sends one PING per interval on an open connection. If there is no connection, runs all checks.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use tokio::time::sleep_until;

use super::causes::Cause;
use super::history::ProbeHistory;
use super::modes::Check;
use super::observation::{Exchange, Observations};
use super::response::Response;
use super::rungs::{dns, ping, role};
use super::verdict::{Verdict, judge_answer};
use super::{climb, experiments};
use crate::deadline::Deadline;
use crate::redis_client::ProbeConnection;

/// Probes once per interval, and passes each result to `show`. Ends with the error of `show`, for example if the
/// output is closed.
pub(crate) async fn watch(
    check: &Check<'_>,
    history: &mut ProbeHistory,
    mut show: impl FnMut(&ProbeResult, &ProbeHistory) -> io::Result<()>,
) -> io::Result<()> {
    let mut watch = Watch {
        check,
        connection: None,
        seen: Observations::default(),
        state: WatchState::Unknown,
        server: Identity::default(),
        addresses: Vec::new(),
        next_lookup: Instant::now() + LOOKUP_INTERVAL,
    };
    loop {
        let started = Instant::now();
        let result = watch.probe().await;
        history.add(result.round_trip);
        if result.is_connection_lost {
            history.lost_connections += 1;
        }
        show(&result, history)?;
        // The interval starts with the probe, so slow replies do not make probes rarer.
        sleep_until((started + check.interval).into()).await;
    }
}

/// The time between two lookups of the host name. The lookup is repeated because a failover may give the name
/// a new address while the old connection is still open.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(5);
/// The time limit for a repeated lookup of the host name.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);

struct Watch<'a> {
    check: &'a Check<'a>,
    connection: Option<ProbeConnection>,
    seen: Observations,
    state: WatchState,
    /// The properties of the server at its last response.
    server: Identity,
    /// The host name's addresses at the last lookup, sorted.
    addresses: Vec<IpAddr>,
    next_lookup: Instant,
}

/// Properties that differ between servers, and so show that a server was replaced. A property is `None` if
/// the server does not report it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Identity {
    role: Option<String>,
    address: Option<SocketAddr>,
    run_id: Option<String>,
}

/// A change that was noticed while Redis was responding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WatchEvent {
    /// The server's role has changed. The texts come from the reply to ROLE.
    Role { from: String, to: String },
    /// The new connection uses a different address.
    Address { from: SocketAddr, to: SocketAddr },
    /// The server's run ID has changed, because the server restarted or was replaced.
    RunId,
    /// The host name has new addresses, but the connection still uses an old address.
    Name { to: Vec<IpAddr> },
}

impl Identity {
    fn of(seen: &Observations) -> Self {
        Self {
            role: seen.server.role_name(),
            address: seen.tcp.connected_address(),
            run_id: seen.server.field("run_id").map(str::to_owned),
        }
    }

    /// Stores the new values, and returns what has changed.
    fn update(&mut self, now: Self) -> Vec<WatchEvent> {
        let address = changed(&self.address, &now.address).map(|(from, to)| WatchEvent::Address { from, to });
        let run_id = changed(&self.run_id, &now.run_id).map(|_| WatchEvent::RunId);
        let role = changed(&self.role, &now.role).map(|(from, to)| WatchEvent::Role { from, to });
        let events = address.into_iter().chain(run_id).chain(role).collect();
        self.role = now.role.or(self.role.take());
        self.address = now.address.or(self.address);
        self.run_id = now.run_id.or(self.run_id.take());
        events
    }
}

/// Returns both values of a property if they are known and differ.
fn changed<T: Clone + PartialEq>(before: &Option<T>, now: &Option<T>) -> Option<(T, T)> {
    let (before, now) = (before.as_ref()?, now.as_ref()?);
    (before != now).then(|| (before.clone(), now.clone()))
}

/// The result of the previous probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WatchState {
    Unknown,
    Up,
    Down(Cause),
}

#[derive(Debug)]
pub(crate) struct ProbeResult {
    /// The observations of the last run of the checks, with the PING of this probe.
    pub seen: Observations,
    pub verdict: Verdict,
    /// When the probe started.
    pub at: SystemTime,
    /// The round trip time, or `None` if Redis did not respond.
    pub round_trip: Option<Duration>,
    /// How long the whole probe took.
    pub took: Duration,
    pub change: Change,
    pub events: Vec<WatchEvent>,
    /// Whether the open connection was lost.
    pub is_connection_lost: bool,
}

/// The difference from the previous probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    /// There is no previous probe.
    First,
    /// Redis no longer responds.
    Down,
    /// Redis responds again.
    Up,
    /// Redis still does not respond, but for a different reason.
    OtherCause,
    /// The connection was lost, but Redis responds on a new connection.
    Reconnected,
}

impl Change {
    /// Returns the name of the change in JSON, or `None` if nothing has changed.
    pub(crate) fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::None => return None,
            Self::First => "first",
            Self::Down => "down",
            Self::Up => "up",
            Self::OtherCause => "other-cause",
            Self::Reconnected => "reconnected",
        })
    }
}

impl Watch<'_> {
    /// Probes once. If the connection is lost, opens a new connection or finds the cause of the failure.
    async fn probe(&mut self) -> ProbeResult {
        let at = SystemTime::now();
        let deadline = Deadline::after(self.check.timeout);
        let had_connection = self.connection.is_some();
        let (round_trip, is_new) = match self.connection.take() {
            Some(connection) => self.ping(connection, deadline).await,
            None => (self.climb(deadline).await, true),
        };
        let verdict = judge_answer(self.check.target, &self.seen);
        let state = match &verdict.finding {
            None => WatchState::Up,
            Some(finding) => WatchState::Down(finding.cause),
        };
        if state != WatchState::Up {
            self.connection = None;
        }
        let mut events = Vec::new();
        if state == WatchState::Up {
            events = self.server.update(Identity::of(&self.seen));
            events.extend(self.look_up_again(deadline).await);
        }
        let change = change(self.state, state, is_new);
        self.state = state;
        // Without a measured round trip, use the time of the first PING.
        let round_trip = round_trip.or(Some(self.seen.ping.took));
        ProbeResult {
            seen: self.seen.clone(),
            round_trip: round_trip.filter(|_| state == WatchState::Up),
            verdict,
            at,
            took: deadline.elapsed(),
            change,
            events,
            is_connection_lost: had_connection && is_new,
        }
    }

    /// Looks up the host name, at most once per [`LOOKUP_INTERVAL`]. Returns an event if the addresses have
    /// changed and no longer include the address of the connection.
    async fn look_up_again(&mut self, deadline: Deadline) -> Option<WatchEvent> {
        let host = self.check.target.host().filter(|_| self.seen.dns.is_some())?;
        let in_use = self.seen.tcp.connected_address()?.ip();
        if Instant::now() < self.next_lookup {
            return None;
        }
        self.next_lookup = Instant::now() + LOOKUP_INTERVAL;
        let mut addresses = dns::observe(host, deadline.within(LOOKUP_TIMEOUT))
            .await
            .addresses;
        addresses.sort_unstable();
        let is_new = !addresses.is_empty() && addresses != self.addresses;
        if is_new {
            self.addresses.clone_from(&addresses);
        }
        (is_new && !addresses.contains(&in_use)).then_some(WatchEvent::Name { to: addresses })
    }

    /// Sends PING on the open connection. If the reply is late, also runs the checks to find the cause.
    ///
    /// Returns the round trip time, and whether the connection is new.
    async fn ping(
        &mut self,
        mut connection: ProbeConnection,
        deadline: Deadline,
    ) -> (Option<Duration>, bool) {
        let sent = Instant::now();
        let mut pong = Box::pin(async {
            let response = ping::observe(&mut connection, deadline).await;
            (response, sent.elapsed())
        });
        let patience = deadline.within(experiments::patience(deadline));
        let (response, took) = match patience.bound(&mut pong).await {
            Ok(prompt) => prompt,
            Err(_) => tokio::select! {
                biased;
                round_trip = self.climb(deadline) => return (round_trip, true),
                late = &mut pong => late,
            },
        };
        drop(pong);
        if !matches!(response, Response::Reply(_)) {
            return (self.climb(deadline).await, true);
        }
        self.seen.ping.response = Some(response);
        self.seen.ping.took = took;
        self.seen.ping.round_trips = vec![took];
        if self.update_server(&mut connection, deadline).await {
            self.connection = Some(connection);
        }
        (Some(took), false)
    }

    /// Queries the role and the run ID, because a failover can turn the same server into a replica. Returns
    /// whether the connection still works.
    async fn update_server(&mut self, connection: &mut ProbeConnection, deadline: Deadline) -> bool {
        let exchanges = ping::Requests::about_the_server()
            .pipeline(connection, deadline)
            .await;
        let now = role::server_info(&exchanges);
        self.seen.server.role = now.role.or(self.seen.server.role.take());
        if !now.fields.is_empty() {
            self.seen.server.fields = now.fields;
        }
        exchanges.iter().all(Exchange::is_answered) && !exchanges.is_empty()
    }

    async fn climb(&mut self, deadline: Deadline) -> Option<Duration> {
        let check = self.check;
        let climbed = climb(check.target, check.trust, &check.options, deadline, &mut |_| {}).await;
        self.seen = climbed.observations;
        if let Some(lookup) = &self.seen.dns {
            self.addresses.clone_from(&lookup.addresses);
            self.addresses.sort_unstable();
        }
        self.connection = climbed.connection;
        // The first round trip includes extra work for a new client, so the last one is more typical.
        self.seen.ping.round_trips.last().copied()
    }
}

fn change(before: WatchState, now: WatchState, is_new: bool) -> Change {
    match (before, now) {
        (WatchState::Unknown, _) => Change::First,
        (WatchState::Up, WatchState::Up) if is_new => Change::Reconnected,
        (WatchState::Up, WatchState::Down(_)) => Change::Down,
        (WatchState::Down(_), WatchState::Up) => Change::Up,
        (WatchState::Down(before), WatchState::Down(now)) if before != now => Change::OtherCause,
        _ => Change::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_the_server_is_an_event_unless_it_was_unknown() {
        let identity = |role: &str, address: &str, run_id: Option<&str>| Identity {
            role: Some(role.to_owned()),
            address: Some(address.parse().unwrap()),
            run_id: run_id.map(str::to_owned),
        };
        let mut server = Identity::default();
        let primary = identity("master", "10.0.0.1:6379", Some("a"));
        assert_eq!(server.update(primary.clone()), []);
        assert_eq!(server.update(primary), []);
        let demoted = server.update(identity("slave", "10.0.0.1:6379", None));
        assert_eq!(
            demoted,
            [WatchEvent::Role {
                from: "master".into(),
                to: "slave".into()
            }]
        );
        let replaced = server.update(identity("slave", "10.0.0.2:6379", Some("b")));
        assert!(
            matches!(replaced[..], [WatchEvent::Address { .. }, WatchEvent::RunId]),
            "{replaced:?}"
        );
    }

    #[test]
    fn only_differences_are_changes() {
        let (refused, timeout) = (
            WatchState::Down(Cause::TcpRefused),
            WatchState::Down(Cause::TcpTimeout),
        );
        for (before, now, is_new, expected) in [
            (WatchState::Unknown, WatchState::Up, true, Change::First),
            (WatchState::Unknown, refused, true, Change::First),
            (WatchState::Up, WatchState::Up, false, Change::None),
            (WatchState::Up, WatchState::Up, true, Change::Reconnected),
            (WatchState::Up, refused, true, Change::Down),
            (refused, refused, true, Change::None),
            (refused, timeout, true, Change::OtherCause),
            (timeout, WatchState::Up, true, Change::Up),
        ] {
            assert_eq!(change(before, now, is_new), expected, "{before:?} {now:?}");
        }
    }
}

//! Probe after probe: a PING on the connection that stands, and a whole climb wherever none does.

use std::time::{Duration, Instant};

use redis::cmd;

use super::causes::Cause;
use super::observation::Observations;
use super::response::Response;
use super::rungs::auth;
use super::verdict::{Verdict, judge};
use super::{ClimbOptions, climb};
use crate::deadline::Deadline;
use crate::redis_client::{Connection, Stream};
use crate::redis_url::{Target, Trust};

/// Part of the time after which silence is met by a climb beside it.
const PATIENCE: u32 = 4;

/// A Redis that is watched.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    target: &'a Target,
    trust: &'a Trust,
    options: ClimbOptions,
    patience: Duration,
    connection: Option<Connection<Stream>>,
    seen: Observations,
    state: State,
}

/// What the last probe came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    Up,
    Down(Cause),
}

/// What one probe came to.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Everything that is known after it: that of the last climb, and this probe's own PING.
    pub seen: Observations,
    /// The verdict on that.
    pub verdict: Verdict,
    /// How long the server took to answer; none where it did not.
    pub round_trip: Option<Duration>,
    /// How long the probe took.
    pub took: Duration,
    /// What is new since the probe before it.
    pub change: Change,
}

/// What is new since the probe before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// This is the first probe.
    First,
    /// It answered, and no longer does.
    Fell,
    /// It did not answer, and does again.
    Rose,
    /// It still does not answer, for another cause.
    OtherCause,
    /// It answers, but on a new connection: the old one was lost.
    Reconnected,
}

impl<'a> Watch<'a> {
    /// Nothing is probed yet; a probe gives up after `patience`.
    #[must_use]
    pub(crate) fn new(
        target: &'a Target,
        trust: &'a Trust,
        options: ClimbOptions,
        patience: Duration,
    ) -> Self {
        Self {
            target,
            trust,
            options,
            patience,
            connection: None,
            seen: Observations::default(),
            state: State::Unknown,
        }
    }

    /// Probes once. A connection that turns out to be lost is replaced within the same probe, or the cause named.
    pub(crate) async fn probe(&mut self) -> Probe {
        let deadline = Deadline::after(self.patience);
        let (round_trip, is_new) = match self.connection.take() {
            Some(connection) => self.probe_on(connection, deadline).await,
            None => (self.climb(deadline).await, true),
        };
        let verdict = judge(self.target, &self.seen);
        let now = verdict
            .finding
            .as_ref()
            .map_or(State::Up, |finding| State::Down(finding.cause));
        if now != State::Up {
            self.connection = None;
        }
        let change = change(self.state, now, is_new);
        self.state = now;
        // Where PING is forbidden, another command was answered: its way there and back took no less.
        let round_trip = round_trip.or(Some(self.seen.ping_took));
        Probe {
            seen: self.seen.clone(),
            round_trip: round_trip.filter(|_| now == State::Up),
            verdict,
            took: deadline.elapsed(),
            change,
        }
    }

    /// PING on the connection that stands; where it stays silent or is lost, a climb beside it tells why.
    async fn probe_on(
        &mut self,
        mut connection: Connection<Stream>,
        deadline: Deadline,
    ) -> (Option<Duration>, bool) {
        let sent = Instant::now();
        let mut answer = Box::pin(async {
            let heard = auth::ask(&mut connection, &cmd("PING"), deadline).await;
            (heard, sent.elapsed())
        });
        let mut answered = deadline
            .within(self.patience / PATIENCE)
            .bound(&mut answer)
            .await
            .ok();
        if answered.is_none() {
            tokio::select! {
                biased;
                round_trip = self.climb(deadline) => return (round_trip, true),
                late = &mut answer => answered = Some(late),
            }
        }
        drop(answer);
        match answered {
            Some((heard @ Response::Reply(_), took)) => {
                self.seen.ping = Some(heard);
                self.seen.ping_took = took;
                self.seen.round_trips = vec![took];
                self.connection = Some(connection);
                (Some(took), false)
            }
            _ => (self.climb(deadline).await, true),
        }
    }

    async fn climb(&mut self, deadline: Deadline) -> Option<Duration> {
        let climbed = climb(self.target, self.trust, &self.options, deadline, &mut |_| {}).await;
        self.seen = climbed.observations;
        self.connection = climbed.connection;
        // The first round trip has the server's greeting of a new client in it: the last is the typical one.
        self.seen.round_trips.last().copied()
    }
}

fn change(before: State, now: State, is_new: bool) -> Change {
    match (before, now) {
        (State::Unknown, _) => Change::First,
        (State::Up, State::Up) if is_new => Change::Reconnected,
        (State::Up, State::Down(_)) => Change::Fell,
        (State::Down(_), State::Up) => Change::Rose,
        (State::Down(before), State::Down(now)) if before != now => Change::OtherCause,
        _ => Change::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_a_change() {
        let (refused, silent) = (State::Down(Cause::TcpRefused), State::Down(Cause::TcpTimeout));
        for (before, now, is_new, expected) in [
            (State::Unknown, State::Up, true, Change::First),
            (State::Unknown, refused, true, Change::First),
            (State::Up, State::Up, false, Change::None),
            (State::Up, State::Up, true, Change::Reconnected),
            (State::Up, refused, true, Change::Fell),
            (refused, refused, true, Change::None),
            (refused, silent, true, Change::OtherCause),
            (silent, State::Up, true, Change::Rose),
        ] {
            assert_eq!(change(before, now, is_new), expected, "{before:?} {now:?}");
        }
    }
}

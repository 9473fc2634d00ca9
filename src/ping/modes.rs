//! Runs the modes of `ping` that end with one diagnosis: a single run of the checks, `--wait`, `--hold`,
//! `--idle` and `--count`.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::causes::Cause;
use super::experiments::Reconnect;
use super::observation::{Exchange, IdleEnd, IdleTest, IdleTrial, Observations, Repeat};
use super::response::Response;
use super::rungs::ping;
use super::verdict::{Verdict, judge, judge_answer};
use super::{Climb, ClimbEvent, ClimbOptions, climb, idle};
use crate::deadline::Deadline;
use crate::redis_client::ProbeConnection;
use crate::redis_url::{Target, Trust};

#[derive(Debug)]
pub(crate) struct Check<'a> {
    pub target: &'a Target,
    pub trust: &'a Trust,
    pub options: ClimbOptions,
    /// The time limit for one run of the checks. Half of it limits each later PING.
    pub timeout: Duration,
    /// The pause between two runs of the checks with `--wait`, and between two PINGs with `--count` and
    /// `--watch`.
    pub interval: Duration,
}

/// A mode of `ping`. Each variant says when `ping` ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    /// Ends after one run of the checks.
    Once,
    /// Ends when Redis responds, or after this time.
    Wait(Duration),
    /// Ends after one connection has been idle for this time, and PING has tested it.
    Hold(Duration),
    /// Ends after several connections have been idle for different times, up to this time.
    Idle(Duration),
    /// Ends after this number of PINGs on one connection.
    Count(u32),
}

/// An event while a mode is running.
#[derive(Debug)]
pub(crate) enum ModeEvent<'a> {
    Climb(ClimbEvent<'a>),
    /// `--wait`: a run of the checks failed with a new cause. The checks are repeated until the deadline.
    Failed(Cause, Deadline),
    /// `--wait`: a pause before the next run of the checks. The checks are repeated until the deadline.
    Paused(Deadline),
    /// `--hold`, `--idle`: the connections are idle until the deadline.
    Idle(Deadline),
    /// `--hold`, `--idle`: an idle connection was lost.
    Dropped,
    /// `--count`: a PING got a reply. Contains its number and its round trip time.
    Pong(u32, Duration),
    /// `--count`: a PING got no reply, so the run ends.
    Missed,
    /// A run of the checks has ended, after this duration.
    Attempt(&'a Observations, &'a Verdict, Duration),
}

#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub observations: Observations,
    pub verdict: Verdict,
    pub elapsed: Duration,
    /// Whether Ctrl-C ended the run early.
    pub is_interrupted: bool,
}

impl Diagnosis {
    pub(crate) fn new(observations: Observations, verdict: Verdict, deadline: Deadline) -> Self {
        Self {
            observations,
            verdict,
            elapsed: deadline.elapsed(),
            is_interrupted: false,
        }
    }
}

/// The pause between two runs of the checks while the server may be restarting.
const RESTART_PAUSE: Duration = Duration::from_millis(200);

/// The shortest pause between two PINGs that may be longer than the limit for idle connections.
const SHORTEST_IDLE: Duration = Duration::from_secs(1);

/// Whether the server was restarted between two runs, according to its run IDs.
fn is_restarted(before: &Observations, after: &Observations) -> bool {
    let run_ids = before.server.field("run_id").zip(after.server.field("run_id"));
    run_ids.is_some_and(|(old, new)| old != new)
}

type Tell<'t> = &'t mut (dyn FnMut(ModeEvent<'_>) + Send);

impl Check<'_> {
    /// Runs `mode` until it ends. `deadline` limits the first run of the checks, but has no effect on
    /// [`Mode::Wait`].
    pub(crate) async fn run(&self, mode: Mode, deadline: Deadline, tell: Tell<'_>) -> Diagnosis {
        if let Mode::Wait(patience) = mode {
            return self.wait(Deadline::after(patience), tell).await;
        }
        let Climb {
            observations: mut seen,
            connection,
        } = self.climb(deadline, tell).await;
        let verdict = judge(self.target, &seen);
        tell(ModeEvent::Attempt(&seen, &verdict, deadline.elapsed()));
        let is_answered = judge_answer(self.target, &seen).finding.is_none();
        let Some(connection) = connection.filter(|_| is_answered) else {
            return Diagnosis::new(seen, verdict, deadline);
        };
        match mode {
            Mode::Hold(idle) => self.idle(&mut seen, connection, idle, false, tell).await,
            Mode::Idle(longest) => self.idle(&mut seen, connection, longest, true, tell).await,
            Mode::Count(count) => self.count(&mut seen, connection, count, tell).await,
            Mode::Once | Mode::Wait(_) => return Diagnosis::new(seen, verdict, deadline),
        }
        let verdict = judge(self.target, &seen);
        Diagnosis::new(seen, verdict, deadline)
    }

    async fn climb(&self, deadline: Deadline, tell: Tell<'_>) -> Climb {
        let mut tell = |event: ClimbEvent<'_>| tell(ModeEvent::Climb(event));
        climb(self.target, self.trust, &self.options, deadline, &mut tell).await
    }

    /// Repeats the checks until Redis responds, or until the deadline passes.
    async fn wait(&self, until: Deadline, tell: Tell<'_>) -> Diagnosis {
        let mut last_cause = None;
        loop {
            let deadline = Deadline::after(self.timeout.min(until.left()).max(Duration::from_millis(1)));
            let seen = self.climb(deadline, tell).await.observations;
            let verdict = judge_answer(self.target, &seen);
            let cause = verdict.finding.as_ref().map(|finding| finding.cause);
            tell(ModeEvent::Attempt(&seen, &verdict, deadline.elapsed()));
            let diagnosis = Diagnosis::new(seen, verdict, deadline);
            let Some(cause) = cause else {
                return diagnosis;
            };
            if !until.is_over() && last_cause.replace(cause) != Some(cause) {
                tell(ModeEvent::Failed(cause, until));
            }
            tell(ModeEvent::Paused(until));
            until.sleep(self.interval).await;
            // If no time is left, another run would report a timeout instead of the real cause.
            if until.is_over() {
                return diagnosis;
            }
        }
    }

    /// Leaves connections idle and then tests them, because a NAT gateway or load balancer may drop idle
    /// connections. After a loss, runs the checks again to show whether a new connection works.
    async fn idle(
        &self,
        seen: &mut Observations,
        connection: ProbeConnection,
        longest: Duration,
        is_search: bool,
        tell: Tell<'_>,
    ) {
        tell(ModeEvent::Idle(Deadline::after(longest)));
        let trials = if is_search {
            let reconnect = Reconnect::after(self.target, self.trust, seen);
            idle::search(&reconnect, connection, longest, self.timeout).await
        } else {
            vec![idle::trial(connection, longest, None, self.timeout / 2).await]
        };
        let mut test = IdleTest {
            trials,
            is_restarted: false,
        };
        if test.any_lost().is_some() {
            tell(ModeEvent::Dropped);
            let deadline = Deadline::after(self.timeout / 2);
            let again = self.climb_to_restarting_server(deadline).await;
            test.is_restarted = is_restarted(seen, &again);
            *seen = again;
        }
        seen.idle = Some(test);
    }

    /// Runs the checks again. If the server may be restarting, repeats the checks until Redis responds or the
    /// deadline passes. If Redis never responds, returns the observations of the first run.
    async fn climb_to_restarting_server(&self, deadline: Deadline) -> Observations {
        let mut first = None;
        loop {
            let climb = climb(self.target, self.trust, &self.options, deadline, &mut |_| {}).await;
            let seen = climb.observations;
            let cause = judge_answer(self.target, &seen)
                .finding
                .map(|finding| finding.cause);
            let may_restart = matches!(
                cause,
                Some(Cause::TcpRefused | Cause::ProtoClosed | Cause::ServerLoading)
            );
            if !may_restart {
                return match cause {
                    None => seen,
                    Some(_) => first.unwrap_or(seen),
                };
            }
            let first = first.get_or_insert(seen);
            deadline.sleep(RESTART_PAUSE).await;
            if deadline.is_over() {
                return std::mem::take(first);
            }
        }
    }

    /// Sends PING `count` times. If a PING gets no reply, stops and tries a new connection.
    async fn count(
        &self,
        seen: &mut Observations,
        mut connection: ProbeConnection,
        count: u32,
        tell: Tell<'_>,
    ) {
        seen.ping.round_trips.clear();
        for number in 1..=count {
            let took = self.ping(seen, &mut connection).await;
            if !matches!(seen.ping.response, Some(Response::Reply(_))) {
                tell(ModeEvent::Missed);
                return self.explain_loss(seen, number).await;
            }
            seen.ping.round_trips.push(took);
            tell(ModeEvent::Pong(number, took));
            if number < count {
                sleep(self.interval).await;
            }
        }
    }

    /// Runs the checks again after PING number `number` got no reply. If they fail too, or if the pause
    /// before the PING or a restart of the server explains the loss, replaces the observations with those of
    /// the new connection.
    async fn explain_loss(&self, seen: &mut Observations, number: u32) {
        let end = match &seen.ping.response {
            Some(Response::Timeout(_)) => IdleEnd::Silent,
            Some(Response::Reset(_)) => IdleEnd::ResetOnUse,
            Some(Response::Closed(_)) => IdleEnd::Closed,
            _ => return,
        };
        let again = self
            .climb_to_restarting_server(Deadline::after(self.timeout / 2))
            .await;
        let works = judge_answer(self.target, &again).finding.is_none();
        let is_restarted = is_restarted(seen, &again);
        // Later pauses are not longer than the first pause, which the connection survived.
        let may_be_idle = number == 2 && self.interval >= SHORTEST_IDLE;
        if works && !is_restarted && !may_be_idle {
            let exchange = again.ping.response.map(|response| Exchange {
                command: "PING",
                response,
            });
            seen.experiments.repeat = Some(Repeat {
                exchanges: exchange.into_iter().collect(),
            });
            return;
        }
        let round_trips = std::mem::replace(seen, again).ping.round_trips;
        if works {
            seen.ping.round_trips = round_trips;
        }
        seen.idle = (number > 1).then(|| IdleTest {
            trials: vec![IdleTrial {
                idle: self.interval,
                keepalive: None,
                end,
            }],
            is_restarted,
        });
    }

    async fn ping(&self, seen: &mut Observations, connection: &mut ProbeConnection) -> Duration {
        let sent = Instant::now();
        seen.ping.response = Some(ping::observe(connection, Deadline::after(self.timeout / 2)).await);
        seen.ping.took = sent.elapsed();
        seen.ping.took
    }
}

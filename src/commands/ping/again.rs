//! The modes of `ping` that do more than one climb: `--watch`, `--wait`, `--hold`, `--count`.

use std::time::{Duration, Instant};

use redis::cmd;

use super::{Call, Outcome};
use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::ping::history::ProbeHistory;
use crate::ping::report::json;
use crate::ping::response::Response;
use crate::ping::rungs::auth;
use crate::ping::watch::{Probe, Watch};
use crate::ui;
use crate::ui::ping::Lines;

impl Call<'_> {
    /// Probes until Ctrl-C, and sums up then; also ends, in silence, where nobody reads any more.
    pub(super) async fn watch(&self) -> anyhow::Result<Exit> {
        let started = Instant::now();
        let mut history = ProbeHistory::default();
        let exit = tokio::select! {
            _ = tokio::signal::ctrl_c() => Exit::Interrupted,
            () = self.probe_on(started, &mut history) => Exit::Ok,
        };
        if exit == Exit::Interrupted && !self.args.json {
            ui::watch::summary(&history, started.elapsed());
        }
        Ok(exit)
    }

    async fn probe_on(&self, started: Instant, history: &mut ProbeHistory) {
        let mut watch = Watch::new(self.target, self.trust, self.options(), self.args.timeout);
        loop {
            let begun = Instant::now();
            let probe = watch.probe().await;
            history.note(probe.round_trip);
            if self.show(&probe, history, started.elapsed()).is_err() {
                return;
            }
            // By the clock, not by the pause: slow answers do not make the probes fewer.
            tokio::time::sleep_until((begun + self.args.interval).into()).await;
        }
    }

    fn show(&self, probe: &Probe, history: &ProbeHistory, elapsed: Duration) -> std::io::Result<()> {
        if !self.args.json {
            return ui::watch::probe(self.target, probe, history, elapsed, self.lines());
        }
        let mut report = json::render(self.target, &probe.seen, &probe.verdict, probe.took);
        report["probe"] = history.probes().into();
        ui::ping::json_line(&report)
    }

    /// Climbs until Redis answers, and says how long that took.
    pub(super) async fn wait(&self, patience: Duration) -> anyhow::Result<Exit> {
        let until = Deadline::after(patience);
        let mut told = None;
        loop {
            let one = Deadline::after(self.args.timeout.min(until.left()).max(Duration::from_millis(1)));
            let outcome = self.climb(one, Lines::Hidden).await;
            let cause = outcome.verdict.finding.as_ref().map(|finding| finding.cause);
            if cause.is_none() || until.is_over() {
                let exit = self.conclude(&outcome);
                if cause.is_none() {
                    ui::note(&format!(
                        "it answers after {:.1} s",
                        until.elapsed().as_secs_f64()
                    ));
                }
                return Ok(exit);
            }
            if told != cause {
                told = cause;
                let code = cause.map_or("", crate::ping::causes::Cause::code);
                ui::note(&format!(
                    "{code}: trying again for {:.0} s more",
                    until.left().as_secs_f64()
                ));
            }
            ui::ping::pause(until, self.args.interval).await;
        }
    }

    /// Stays idle on the connection, then pings again: a NAT or a load balancer may have dropped it meanwhile.
    pub(super) async fn hold(&self, idle: Duration, deadline: Deadline) -> anyhow::Result<Exit> {
        let mut outcome = self.climb(deadline, self.lines()).await;
        let Some(mut connection) = outcome
            .climb
            .connection
            .take()
            .filter(|_| outcome.verdict.finding.is_none())
        else {
            return Ok(self.conclude(&outcome));
        };
        ui::note(&format!(
            "connected; staying idle for {:.0} s",
            idle.as_secs_f64()
        ));
        ui::countdown("idle", idle).await;
        let again = Deadline::after(self.args.timeout);
        let sent = Instant::now();
        outcome.climb.observations.ping = Some(auth::ask(&mut connection, &cmd("PING"), again).await);
        outcome.climb.observations.ping_took = sent.elapsed();
        outcome.elapsed = deadline.elapsed();
        outcome.verdict = crate::ping::judge(self.target, &outcome.climb.observations);
        if outcome.verdict.finding.is_some() {
            ui::note(
                "the connection worked, and no longer does after the idle time: something dropped it meanwhile",
            );
        }
        Ok(self.conclude(&outcome))
    }

    /// Pings `count` times on one connection; the round trips of all make one report.
    pub(super) async fn count(&self, count: u32, deadline: Deadline) -> anyhow::Result<Exit> {
        let mut outcome = self.climb(deadline, self.lines()).await;
        if outcome.verdict.finding.is_none() {
            self.sample(&mut outcome, count).await;
            outcome.elapsed = deadline.elapsed();
        }
        Ok(self.conclude(&outcome))
    }

    async fn sample(&self, outcome: &mut Outcome, count: u32) {
        let Some(mut connection) = outcome.climb.connection.take() else {
            return;
        };
        let seen = &mut outcome.climb.observations;
        seen.round_trips.clear();
        for sample in 1..=count {
            let deadline = Deadline::after(self.args.timeout);
            let sent = Instant::now();
            let heard = auth::ask(&mut connection, &cmd("PING"), deadline).await;
            let took = sent.elapsed();
            let is_answered = matches!(heard, Response::Reply(_));
            seen.ping = Some(heard);
            if !is_answered {
                seen.ping_took = took;
                break;
            }
            seen.round_trips.push(took);
            if !self.args.json && !self.args.quiet {
                ui::answer(&format!("ping {sample}: {:.3} ms", took.as_secs_f64() * 1000.0));
            }
            if sample < count {
                tokio::time::sleep(self.args.interval).await;
            }
        }
        outcome.verdict = crate::ping::judge(self.target, &outcome.climb.observations);
    }
}

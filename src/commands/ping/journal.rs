//! The record of one run of `ping`.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::deadline::Deadline;
use crate::ping::history::ProbeHistory;
use crate::ping::modes::{Diagnosis, ModeEvent};
use crate::ping::report::json;
use crate::ping::watch::{Change, ProbeResult};
use crate::ping::{ClimbEvent, Observations, Verdict};

/// The maximum number of attempts (`--wait`) or changes (`--watch`) in a report.
const MOST_ATTEMPTS: usize = 1000;

/// The results of a run so far, for the report, for the summary of `--count`, and for an interrupted run.
pub(super) struct Journal {
    pub(super) started: SystemTime,
    pub(super) seen: Observations,
    pub(super) attempts: Vec<Value>,
    pub(super) history: ProbeHistory,
    round_trips: Vec<Duration>,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            started: SystemTime::now(),
            seen: Observations::default(),
            attempts: Vec::new(),
            history: ProbeHistory::default(),
            round_trips: Vec::new(),
        }
    }
}

impl Journal {
    pub(super) fn record(&mut self, event: &ModeEvent<'_>) {
        match event {
            ModeEvent::Climb(ClimbEvent::Finished(_, seen)) => self.seen = (*seen).clone(),
            ModeEvent::Attempt(seen, verdict, took) => self.add_attempt(seen, verdict, *took),
            ModeEvent::Pong(_, took) => {
                self.history.add(Some(*took));
                self.round_trips.push(*took);
            }
            ModeEvent::Missed => self.history.add(None),
            _ => {}
        }
    }

    fn add_attempt(&mut self, seen: &Observations, verdict: &Verdict, took: Duration) {
        if self.attempts.len() < MOST_ATTEMPTS {
            self.seen = seen.clone();
            self.attempts.push(json::attempt(seen, verdict, took));
        }
    }

    /// Records a probe of `--watch` if the probe found a change or an event.
    pub(super) fn add_probe(&mut self, probe: &ProbeResult) {
        if probe.change != Change::None || !probe.events.is_empty() {
            self.add_attempt(&probe.seen, &probe.verdict, probe.took);
        }
    }

    /// Returns the diagnosis of an interrupted run, without a verdict.
    pub(super) fn interrupted(&self, deadline: Deadline) -> Diagnosis {
        let mut observations = self.seen.clone();
        if !self.round_trips.is_empty() {
            observations.ping.round_trips.clone_from(&self.round_trips);
        }
        Diagnosis {
            observations,
            verdict: Verdict::default(),
            elapsed: deadline.elapsed(),
            is_interrupted: true,
        }
    }
}

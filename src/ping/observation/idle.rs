//! Defines the observations about connections that were left idle and then used.

use std::time::Duration;

/// The results of `--idle` or `--hold`, or the loss of a connection with `--count`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdleTest {
    pub trials: Vec<IdleTrial>,
    /// Whether the run ID of the server changed during the test. If so, the server restarted.
    pub is_restarted: bool,
}

/// How much later a trial with TCP keepalive starts than a trial without it.
pub(in crate::ping) const STAGGER: Duration = Duration::from_millis(400);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleTrial {
    /// How long the connection was idle.
    pub idle: Duration,
    /// The TCP keepalive interval, or `None` without TCP keepalive.
    pub keepalive: Option<Duration>,
    pub end: IdleEnd,
}

/// What happened to an idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleEnd {
    Survived,
    /// The server closed the connection while it was idle.
    Closed,
    /// The server reset the connection while it was idle.
    Reset,
    /// The PING after the idle time got an RST.
    ResetOnUse,
    /// The PING after the idle time got no reply.
    Silent,
}

impl IdleEnd {
    pub fn name(self) -> &'static str {
        match self {
            Self::Survived => "survived",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::ResetOnUse => "reset-on-use",
            Self::Silent => "silent",
        }
    }
}

impl IdleTest {
    fn with(&self, keepalive: Option<Duration>) -> impl Iterator<Item = &IdleTrial> {
        self.trials
            .iter()
            .filter(move |trial| trial.keepalive == keepalive)
    }

    /// Returns the trial with the shortest idle time among those that lost their connection. Considers only
    /// trials with this keepalive interval.
    pub fn shortest_lost(&self, keepalive: Option<Duration>) -> Option<&IdleTrial> {
        let lost = self
            .with(keepalive)
            .filter(|trial| trial.end != IdleEnd::Survived);
        lost.min_by_key(|trial| trial.idle)
    }

    /// Returns the trial with the shortest idle time among those that lost their connection, with or without
    /// keepalive.
    pub fn any_lost(&self) -> Option<&IdleTrial> {
        let lost = self.trials.iter().filter(|trial| trial.end != IdleEnd::Survived);
        lost.min_by_key(|trial| trial.idle)
    }

    /// Returns the longest idle time that a connection survived. Considers only trials with this keepalive
    /// interval.
    pub fn longest_survived(&self, keepalive: Option<Duration>) -> Option<Duration> {
        let survived = self
            .with(keepalive)
            .filter(|trial| trial.end == IdleEnd::Survived);
        survived.map(|trial| trial.idle).max()
    }
}

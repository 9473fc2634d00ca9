//! Observations of connections that were left idle and then used.

use std::time::Duration;

/// The results of `--idle` or `--hold`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdleTest {
    pub trials: Vec<IdleTrial>,
    /// Whether the server's run ID changed during the test, which shows that the server was restarted.
    pub is_restarted: bool,
}

/// How much later the trials with TCP keepalive start than those without it.
pub(in crate::ping) const STAGGER: Duration = Duration::from_millis(400);

/// A connection that was left idle and then used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleTrial {
    /// How long the connection was idle before it was used or ended.
    pub idle: Duration,
    /// The interval of TCP keepalive, if it was enabled.
    pub keepalive: Option<Duration>,
    pub end: IdleEnd,
}

/// What happened to an idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleEnd {
    Survived,
    /// The connection was closed while it was idle.
    Closed,
    /// The connection was reset while it was idle.
    Reset,
    /// The PING after the idle time got an RST.
    ResetOnUse,
    /// The PING after the idle time got no reply.
    Silent,
}

impl IdleEnd {
    /// Returns the value in JSON.
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

    /// Returns the failed trial with the shortest idle time. Considers only trials with this keepalive
    /// setting.
    pub fn shortest_lost(&self, keepalive: Option<Duration>) -> Option<&IdleTrial> {
        let lost = self
            .with(keepalive)
            .filter(|trial| trial.end != IdleEnd::Survived);
        lost.min_by_key(|trial| trial.idle)
    }

    /// Returns the failed trial with the shortest idle time. Considers all trials, with and without
    /// keepalive.
    pub fn any_lost(&self) -> Option<&IdleTrial> {
        let lost = self.trials.iter().filter(|trial| trial.end != IdleEnd::Survived);
        lost.min_by_key(|trial| trial.idle)
    }

    /// Returns the longest idle time that a connection survived. Considers only trials with this keepalive
    /// setting.
    pub fn longest_survived(&self, keepalive: Option<Duration>) -> Option<Duration> {
        let survived = self
            .with(keepalive)
            .filter(|trial| trial.end == IdleEnd::Survived);
        survived.map(|trial| trial.idle).max()
    }
}

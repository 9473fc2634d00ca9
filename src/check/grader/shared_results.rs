//! Results that several checks use. Each result is determined only once, because the visits for it take a
//! long time.

use std::time::Duration;

use crate::check::exchange::Exchange;

/// The visits of an idle visitor and an active visitor before, during and after a shared wait.
pub(crate) struct Waits {
    /// The idle visitor's visit after the wait.
    pub(crate) idle: Exchange,
    pub(crate) idle_name: String,
    /// The visit count that the idle visitor saw before the wait, or `None` if the page showed no count.
    pub(crate) before: Option<i64>,
    /// The active visitor's visits during the wait.
    pub(crate) active: Vec<ActiveVisit>,
    /// The app's TTL, or `None` if it is equal to `--ttl` or unknown.
    pub(crate) other_ttl: Option<Duration>,
}

#[derive(Clone)]
pub(crate) struct ActiveVisit {
    /// The time since the active visitor's previous visit.
    pub(crate) pause: Duration,
    /// The time from the start of the wait to this visit.
    pub(crate) at: Duration,
    pub(crate) exchange: Exchange,
}

/// How the app behaved while Redis did not reply.
#[derive(Clone)]
pub(crate) struct Silence {
    pub(crate) visit: Exchange,
    pub(crate) login: Exchange,
    /// Whether the response to the login set a new session cookie.
    pub(crate) has_new_cookie: bool,
    /// Whether the app worked again without a restart.
    pub(crate) has_recovered: bool,
    pub(crate) last: Exchange,
}

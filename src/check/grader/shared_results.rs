//! Results that several checks use. Each of them takes time to determine, so it is determined only once.

use std::time::Duration;

use crate::check::exchange::Exchange;

/// What the visitors saw before, during and after the wait.
pub(crate) struct Waits {
    /// The visit of the idle visitor after the TTL has passed.
    pub(crate) idle: Exchange,
    pub(crate) idle_name: String,
    /// The idle visitor's number of visits before the wait, as shown by the app.
    pub(crate) before: Option<i64>,
    /// The active visitor's visits during the wait.
    pub(crate) active: Vec<ActiveVisit>,
    /// The TTL that the app uses, if it differs from `--ttl`.
    pub(crate) other_ttl: Option<Duration>,
}

#[derive(Clone)]
pub(crate) struct ActiveVisit {
    /// The time since this visitor's previous visit.
    pub(crate) pause: Duration,
    /// The time since the wait began.
    pub(crate) at: Duration,
    pub(crate) exchange: Exchange,
}

/// What the app did while Redis did not reply.
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

//! Provides the clock of the Redis server. All instances of `serve` use this clock, because the clocks of
//! their hosts might differ.

use std::time::{SystemTime, UNIX_EPOCH};

/// The clock of the Redis server, stored as an offset from the local clock. The default is the local clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// How many seconds the clock of Redis is ahead of the local clock.
    ahead: i64,
}

impl Clock {
    /// Creates the clock of a Redis server that has just reported the time `seconds`, in seconds since 1970.
    pub fn of_redis(seconds: i64) -> Self {
        Self {
            ahead: seconds.saturating_sub(local()),
        }
    }

    /// Returns the current time according to this clock, in seconds since 1970.
    pub fn now(self) -> u64 {
        local().saturating_add(self.ahead).try_into().unwrap_or(0)
    }
}

fn local() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}

//! Waiting for an event, never for a time to pass.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long something that should happen at once may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Looks until `event` returns something; panics with `what` when [`PATIENCE`] has passed.
#[track_caller]
pub fn wait_for<T>(what: &str, event: impl FnMut() -> Option<T>) -> T {
    match within(PATIENCE, event) {
        Some(happened) => happened,
        None => panic!("waited {} s in vain for {what}", PATIENCE.as_secs()),
    }
}

/// Looks until `event` returns something; `None` when `limit` has passed.
pub fn within<T>(limit: Duration, mut event: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(happened) = event() {
            return Some(happened);
        }
        if Instant::now() >= end {
            return None;
        }
        sleep(BETWEEN_LOOKS);
    }
}

//! Waits for events, never for a fixed time.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Time limit for an event that should happen immediately. The limit is long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Polls `event` until it returns a value. After [`PATIENCE`], panics with a message that contains `what`.
#[track_caller]
pub fn wait_for<T>(what: &str, event: impl FnMut() -> Option<T>) -> T {
    match within(PATIENCE, event) {
        Some(happened) => happened,
        None => panic!("waited {} s for {what}", PATIENCE.as_secs()),
    }
}

/// Polls `event` until it returns a value. After `limit`, returns `None`.
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

//! Defines time limits. A deadline is an absolute time, which is set once and passed to every function that
//! waits.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

/// Default time limit for connecting to Redis and for each reply, and the default of `ping --timeout`.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// A time limit, and the time at which it was set.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    started: Instant,
    at: Instant,
}

/// The error that is returned if a deadline passed before the work was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no time left")]
pub struct Elapsed;

impl Deadline {
    /// Creates a deadline `span` from now.
    #[must_use]
    pub fn after(span: Duration) -> Self {
        let started = Instant::now();
        // A span that overflows the clock means "never", so use a century.
        let at = started.checked_add(span).unwrap_or_else(|| started + CENTURY);
        Self { started, at }
    }

    /// Returns a deadline for a part of the work: `span` from now, but not later than `self`.
    #[must_use]
    pub fn within(self, span: Duration) -> Self {
        let at = Instant::now()
            .checked_add(span)
            .map_or(self.at, |budget| budget.min(self.at));
        Self {
            started: self.started,
            at,
        }
    }

    /// Returns the time between setting the deadline and the deadline itself.
    #[must_use]
    pub fn span(self) -> Duration {
        self.at.saturating_duration_since(self.started)
    }

    /// Returns the remaining time, which is zero after the deadline.
    #[must_use]
    pub fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Returns the time since the deadline was set.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.started.elapsed()
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }

    /// Returns the deadline as an instant.
    #[must_use]
    pub fn at(self) -> Instant {
        self.at
    }

    /// Waits for `work`, but not beyond the deadline.
    ///
    /// # Errors
    ///
    /// Returns [`Elapsed`] if the deadline passes first. `work` is then dropped.
    pub async fn bound<F: Future>(self, work: F) -> Result<F::Output, Elapsed> {
        timeout_at(self.at.into(), work).await.map_err(|_| Elapsed)
    }

    /// Sleeps for `span`, but not beyond the deadline.
    pub async fn sleep(self, span: Duration) {
        // Skip a sleep of zero, because it would take a millisecond, which is longer than a local connection
        // attempt.
        if span.is_zero() {
            return;
        }
        tokio::time::sleep_until(self.within(span).at.into()).await;
    }
}

/// How long work may take before the user is told about the wait.
const UNNOTICED: Duration = Duration::from_secs(1);

/// Returns the result of `work`, or `None` if `work` takes longer than a second. The caller can then tell the
/// user about the wait.
pub(crate) async fn if_quick<T>(work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    tokio::time::timeout(UNNOTICED, work).await.ok()
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_ends_at_the_deadline_and_says_so() {
        let deadline = Deadline::after(Duration::from_millis(5));
        assert_eq!(deadline.bound(std::future::pending::<()>()).await, Err(Elapsed));
        assert!(deadline.is_over());
    }

    #[test]
    fn a_part_never_gets_more_than_the_whole_has_left() {
        let whole = Deadline::after(Duration::from_secs(1));
        assert!(whole.within(Duration::from_secs(60)).at() <= whole.at());
        assert!(whole.within(Duration::from_millis(1)).left() <= Duration::from_millis(1));
    }

    #[test]
    fn an_endless_span_does_not_overflow_the_clock() {
        assert!(!Deadline::after(Duration::MAX).is_over());
    }
}

//! One absolute instant that a command must not outlive; made once, handed down to every wait.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

/// A moment in time, and when the clock towards it was started.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    started: Instant,
    at: Instant,
}

/// The deadline passed before the work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no time left")]
pub struct Elapsed;

impl Deadline {
    /// A deadline that lies `span` from now.
    #[must_use]
    pub fn after(span: Duration) -> Self {
        let started = Instant::now();
        // A span too long for the clock means "never" to whoever asked for it: a century is as good.
        let at = started.checked_add(span).unwrap_or_else(|| started + CENTURY);
        Self { started, at }
    }

    /// The same clock, but never later than `span` from now: the budget of one part of the work.
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

    /// The whole span from the start of the clock to the deadline.
    #[must_use]
    pub fn span(self) -> Duration {
        self.at.saturating_duration_since(self.started)
    }

    /// What is left; zero once it has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// How long the clock has been running.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.started.elapsed()
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }

    /// The instant itself, for interfaces that want one.
    #[must_use]
    pub fn at(self) -> Instant {
        self.at
    }

    /// Waits for `work`, but not beyond the deadline.
    ///
    /// # Errors
    /// [`Elapsed`] when the deadline passes first; the work is dropped then.
    pub async fn bound<F: Future>(self, work: F) -> Result<F::Output, Elapsed> {
        timeout_at(self.at.into(), work).await.map_err(|_| Elapsed)
    }

    /// Sleeps for `span`, or until the deadline where that comes first.
    pub async fn sleep(self, span: Duration) {
        tokio::time::sleep_until(self.within(span).at.into()).await;
    }
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

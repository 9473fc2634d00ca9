//! Shows what a run is waiting for.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::deadline::{Deadline, if_quick};

/// How often the displayed countdown is updated.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// A function that is called when a wait begins, with the purpose and the length of the wait. It returns
/// another function, which shows the remaining time.
pub(crate) type OnWait = Box<dyn Fn(&str, Duration) -> Box<dyn FnMut(Duration)> + Send + Sync>;

/// Shows the user what the program is waiting for, one wait at a time.
pub(crate) struct Progress {
    on_wait: OnWait,
    is_shown: AtomicBool,
}

impl Progress {
    pub(crate) fn new(on_wait: OnWait) -> Self {
        Self {
            on_wait,
            is_shown: AtomicBool::new(false),
        }
    }

    /// Starts a countdown. The remaining time is shown after `what`, as in "waiting: the TTL ends in 2.0 s".
    pub(crate) fn countdown(&self, what: &str, span: Duration) -> Countdown {
        Countdown {
            show: (self.on_wait)(what, span),
            end: Deadline::after(span),
        }
    }

    /// Waits for `work`. If it takes longer than a second, shows `what`, followed by the time that `left`
    /// returns.
    pub(crate) async fn during<T>(
        &self,
        what: &str,
        left: impl Fn() -> Duration,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = pin!(work);
        if let Some(done) = if_quick(work.as_mut()).await {
            return done;
        }
        // If there are several waits at the same time, or one wait within another, only the first is shown.
        if self.is_shown.swap(true, Ordering::Relaxed) {
            return work.await;
        }
        let _shown = Shown(&self.is_shown);
        let mut show = (self.on_wait)(what, left());
        loop {
            match Deadline::after(SHOW_EVERY).bound(work.as_mut()).await {
                Ok(done) => return done,
                Err(_) => show(left()),
            }
        }
    }
}

/// When dropped, records that no wait is shown any more. It is also dropped if the wait is cancelled.
struct Shown<'a>(&'a AtomicBool);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A countdown that spans several waits, such as the pauses between visits.
pub(crate) struct Countdown {
    show: Box<dyn FnMut(Duration)>,
    end: Deadline,
}

impl Countdown {
    /// Waits for `span`, and meanwhile shows the time until the whole countdown ends.
    pub(crate) async fn wait(&mut self, span: Duration) {
        let deadline = Deadline::after(span);
        while !deadline.is_over() {
            (self.show)(self.end.left());
            deadline.sleep(SHOW_EVERY).await;
        }
    }
}

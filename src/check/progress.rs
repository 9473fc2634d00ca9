//! Shows what a run is waiting for.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::deadline::{Deadline, if_quick};

/// The pause between two updates of a countdown on the screen.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// A callback for the start of a wait. The arguments are the purpose and the length of the wait. The returned
/// callback shows the remaining time.
pub(crate) type OnWait = Box<dyn Fn(&str, Duration) -> Box<dyn FnMut(Duration)> + Send + Sync>;

/// Shows what the program is waiting for. Only one wait is shown at a time.
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

    /// Starts a countdown. The remaining time is shown after `what`, as in "waiting until the TTL has expired; continuing in 2.0 s".
    pub(crate) fn countdown(&self, what: &str, span: Duration) -> Countdown {
        Countdown {
            show: (self.on_wait)(what, span),
            end: Deadline::after(span),
        }
    }

    /// Waits for `work`. If `work` takes more than one second, shows `what`, followed by the time that `left`
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
        // If several waits overlap, only the first is shown.
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

/// A wait that is shown. When this value is dropped, [`Progress`] can show the next wait.
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
    /// Waits for `span`. Meanwhile, shows the remaining time of the whole countdown.
    pub(crate) async fn wait(&mut self, span: Duration) {
        let deadline = Deadline::after(span);
        while !deadline.is_over() {
            (self.show)(self.end.left());
            deadline.sleep(SHOW_EVERY).await;
        }
    }
}

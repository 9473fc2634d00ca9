//! What is done beside a rung that waits: never in its place, and never longer than it.

use std::future::Future;

use super::response::Response;

use super::observation::Experiment;
use crate::deadline::Deadline;

/// Part of the time after which silence is met by an experiment beside it.
pub(super) const PATIENCE: u32 = 4;

/// Waits for `work` alone; `company` is asked meanwhile, and heard if it is done first.
pub(super) async fn with_company<T, C>(
    work: impl Future<Output = T>,
    company: impl Future<Output = C>,
) -> (T, Option<C>) {
    tokio::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => (done, None),
        heard = company => (work.await, Some(heard)),
    }
}

/// Waits for `rung`; after a quarter of the time in silence `experiment` starts beside it, and the rung goes on.
///
/// A decisive experiment ends the wait: then no rung is returned.
pub(super) async fn beside<T>(
    rung: impl Future<Output = T>,
    experiment: impl Future<Output = Experiment>,
    deadline: Deadline,
) -> (Option<T>, Option<Experiment>) {
    tokio::pin!(rung);
    if let Ok(done) = deadline.within(deadline.span() / PATIENCE).bound(&mut rung).await {
        return (Some(done), None);
    }
    tokio::pin!(experiment);
    tokio::select! {
        biased;
        done = &mut rung => (Some(done), None),
        shown = &mut experiment => {
            if shown.is_decisive() { (None, Some(shown)) } else { (Some(rung.await), Some(shown)) }
        }
    }
}

/// What an answer says about the need for an experiment.
pub(super) trait Answered {
    fn heard(&self) -> Option<&Response>;

    fn may_be_tls(&self) -> bool {
        matches!(self.heard(), Some(Response::Closed(_) | Response::Reset(_)))
            || matches!(self.heard(), Some(Response::NotResp(bytes)) if bytes.first() == Some(&TLS_ALERT))
    }

    fn was_cut_short(&self) -> bool {
        matches!(self.heard(), Some(Response::Closed(bytes) | Response::Reset(bytes)) if bytes.is_empty())
    }
}

/// Content type of a TLS alert (RFC 8446, B.1).
const TLS_ALERT: u8 = 0x15;

impl Answered for Response {
    fn heard(&self) -> Option<&Response> {
        Some(self)
    }
}

impl Answered for Option<Response> {
    fn heard(&self) -> Option<&Response> {
        self.as_ref()
    }
}

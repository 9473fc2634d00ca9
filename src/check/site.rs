//! The learner's app as all visitors see it: its address, its settings, and whether it responds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_rustls::TlsConnector;

use super::progress::Progress;
use super::proxy::Proxy;
use super::settings::Settings;

/// The app and its settings, shared by all visitors.
pub(crate) struct Site {
    pub(crate) settings: Settings,
    pub(crate) address: SocketAddr,
    pub(crate) proxy: Option<Proxy>,
    /// The TLS configuration if the app uses HTTPS, otherwise `None`.
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) answered: Arc<Answered>,
}

/// Counts the requests with and without a response. Requests that got no response while Redis did not reply
/// are not counted.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    answered: AtomicUsize,
    /// The number of requests without a response since the last [`Self::take_unanswered`].
    unanswered: AtomicUsize,
}

impl Answered {
    /// Whether the app has answered at least one request.
    pub(crate) fn has_any(&self) -> bool {
        self.answered.load(Ordering::Relaxed) > 0
    }

    /// Counts a request as answered or unanswered.
    pub(super) fn count(&self, is_answered: bool) {
        let counter = if is_answered {
            &self.answered
        } else {
            &self.unanswered
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of requests without a response since the last call.
    pub(crate) fn take_unanswered(&self) -> usize {
        self.unanswered.swap(0, Ordering::Relaxed)
    }
}

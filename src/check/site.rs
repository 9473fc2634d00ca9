//! The learner's app: its address, its settings, and whether it responds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_rustls::TlsConnector;

use super::progress::Progress;
use super::proxy::Proxy;
use super::settings::Settings;

/// The app and its settings, which all visitors share.
pub(crate) struct Site {
    pub(crate) settings: Settings,
    pub(crate) address: SocketAddr,
    pub(crate) proxy: Option<Proxy>,
    /// The TLS connector for an HTTPS app. `None` for HTTP.
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) answered: Arc<Answered>,
}

/// Counts requests with and without a response.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    answered: AtomicUsize,
    /// The number of requests without a response since [`Self::take_unanswered`] was last called.
    unanswered: AtomicUsize,
}

impl Answered {
    /// Whether the app has responded to at least one request.
    pub(crate) fn has_any(&self) -> bool {
        self.answered.load(Ordering::Relaxed) > 0
    }

    pub(super) fn count(&self, is_answered: bool) {
        let counter = if is_answered {
            &self.answered
        } else {
            &self.unanswered
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of requests without a response since the last call, and resets the number.
    pub(crate) fn take_unanswered(&self) -> usize {
        self.unanswered.swap(0, Ordering::Relaxed)
    }
}

//! Opens additional connections to the server of the first connection.

use std::net::SocketAddr;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::ping::observation::TlsResult;
use crate::ping::rungs::tcp::SegmentSize;
use crate::ping::rungs::{ping, tcp, tls};
use crate::redis_client::{ProbeConnection, Stream};
use crate::redis_url::{Address, Target, Trust};

/// The parameters of additional connections to the server of the first connection.
#[derive(Clone, Copy)]
pub(in crate::ping) struct Reconnect<'a> {
    pub(in crate::ping) target: &'a Target,
    pub(in crate::ping) trust: &'a Trust,
    /// The address of the first connection, or `None` for a unix socket.
    pub(in crate::ping) address: Option<SocketAddr>,
    /// How long it took to open the first connection.
    pub(in crate::ping) connecting: Duration,
}

impl Reconnect<'_> {
    pub(super) fn host(&self) -> &str {
        self.target.host().unwrap_or_default()
    }

    /// Connects again, with TLS if the URL requires it. Returns `None` if the connection fails.
    pub(super) async fn connect(&self, segments: SegmentSize, deadline: Deadline) -> Option<ProbeConnection> {
        let stream = match (&self.target.address, self.address) {
            (Address::Unix(path), _) => tcp::observe_unix(path, deadline).await.0?,
            (Address::Tcp { .. }, Some(address)) => {
                let stream = tcp::dial(address, segments, deadline).await.0?;
                if self.target.tls {
                    tls::observe(stream, self.host(), self.trust, deadline).await.0?
                } else {
                    Stream::Tcp(stream)
                }
            }
            (Address::Tcp { .. }, None) => return None,
        };
        Some(ProbeConnection::new(stream))
    }

    /// Connects again, and logs in if the URL contains a password. Returns `None` if the connection or the
    /// login fails.
    pub(in crate::ping) async fn logged_in(
        &self,
        segments: SegmentSize,
        deadline: Deadline,
    ) -> Option<ProbeConnection> {
        let mut connection = self.connect(segments, deadline).await?;
        let login = ping::log_in_to(self.target, &mut connection, deadline).await;
        login
            .is_none_or(|response| response.is_ok())
            .then_some(connection)
    }

    /// Performs the TLS handshake again, on a new connection. Returns `None` if the connection fails.
    pub(in crate::ping) async fn handshake(
        &self,
        segments: SegmentSize,
        deadline: Deadline,
    ) -> Option<TlsResult> {
        let (stream, _) = tcp::dial(self.address?, segments, deadline).await;
        let (_, handshake) = tls::observe(stream?, self.host(), self.trust, deadline).await;
        Some(handshake.result)
    }
}

//! Tests whether a port expects a PROXY protocol header.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::Reconnect;
use super::plain_ping::{BANNER, surplus_reply};
use crate::deadline::Deadline;
use crate::ping::response::{Response, receive, rejects_proxy_header};
use crate::ping::rungs::tcp::SegmentSize;
use crate::ping::rungs::{ping, tcp, tls};
use crate::redis_client::{ProbeConnection, Stream};

impl Reconnect<'_> {
    /// Connects, and sends a PROXY protocol header, because some ports accept only proxies that send this
    /// header. Returns `None` if either step fails.
    ///
    /// Specification: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, 2.1.
    async fn with_proxy_header(&self, address: SocketAddr, deadline: Deadline) -> Option<TcpStream> {
        let mut stream = tcp::dial(address, SegmentSize::Default, deadline).await.0?;
        deadline
            .bound(stream.write_all(b"PROXY UNKNOWN\r\n"))
            .await
            .ok()?
            .ok()?;
        Some(stream)
    }

    /// Whether the login or PING gets a reply after a PROXY header. An error reply to the header itself does
    /// not count.
    pub(super) async fn answers_after_proxy_header(&self, address: SocketAddr, deadline: Deadline) -> bool {
        let Some(stream) = self.with_proxy_header(address, deadline).await else {
            return false;
        };
        let mut connection = ProbeConnection::new(Stream::Tcp(stream));
        // A reply before the next request belongs to the header, or is a banner.
        let round_trips = BANNER.max(self.connecting * 4);
        if !matches!(receive(&mut connection, deadline.within(round_trips)).await, Response::Timeout(received) if received.is_empty())
        {
            return false;
        }
        if let Some(login) = ping::log_in_to(self.target, &mut connection, deadline).await
            && !login.is_ok()
        {
            return is_the_only_reply(&login, &mut connection, deadline).await;
        }
        let response = ping::observe(&mut connection, deadline).await;
        is_the_only_reply(&response, &mut connection, deadline).await
    }

    /// Whether a ClientHello gets a TLS reply after a PROXY header.
    pub(in crate::ping) async fn speaks_tls_after_proxy_header(
        &self,
        address: SocketAddr,
        deadline: Deadline,
    ) -> bool {
        match self.with_proxy_header(address, deadline).await {
            Some(stream) => tls::handshake_unverified(stream, self.host(), deadline)
                .await
                .1
                .is_tls(),
            None => false,
        }
    }
}

/// Whether `response` is a PONG, or an error reply that no second reply follows. A second reply would mean
/// that the error was the reply to the PROXY header.
async fn is_the_only_reply(
    response: &Response,
    connection: &mut ProbeConnection,
    deadline: Deadline,
) -> bool {
    let is_error = response
        .error()
        .is_some_and(|error| !rejects_proxy_header(&error));
    response.is_pong() || is_error && surplus_reply(connection, deadline).await.is_none()
}

//! Sends a ClientHello that offers more TLS features than the first ClientHello.

use std::net::SocketAddr;

use crate::deadline::Deadline;
use crate::ping::observation::WiderOffer;
use crate::ping::rungs::tcp::{self, SegmentSize};
use crate::ping::rungs::tls;

/// Sends a ClientHello that offers more TLS features than the first ClientHello, and returns what the server
/// chose.
pub(in crate::ping) async fn wider_offer(
    address: SocketAddr,
    name: &str,
    clock: i64,
    deadline: Deadline,
) -> Option<WiderOffer> {
    let mut offer = tls::wider_offer(address, name, clock, deadline).await?;
    if offer.certificate.is_none() {
        // In TLS 1.3, the certificate is encrypted, so only a full handshake can show it.
        let (stream, _) = tcp::dial(address, SegmentSize::Default, deadline).await;
        if let Some(stream) = stream {
            let chain = tls::unverified_chain(stream, name, deadline).await;
            offer.certificate = chain.into_iter().next();
        }
    }
    Some(offer)
}

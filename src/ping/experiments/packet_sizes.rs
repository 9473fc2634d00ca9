//! Finds the packet sizes that get through to the server and back.

use std::time::Duration;

use futures_util::future::{join, join_all};

use super::Reconnect;
use crate::deadline::Deadline;
use crate::ping::observation::{PacketSizes, TlsResult};
use crate::ping::rungs::ping::Requests;
use crate::ping::rungs::tcp::SegmentSize;

/// The minimum time to wait for the reply to a packet, even on a fast connection.
const SHORTEST_WAIT: Duration = Duration::from_millis(150);

/// The smallest packet size to try, in bytes. Every host must accept packets of this size (RFC 9293, 3.7.1).
pub(in crate::ping) const SMALLEST_PACKET: u16 = 576;

/// The search for the packet size limit ends when the range of possible limits is at most this many bytes.
const PRECISION: u16 = 8;

/// How many packet sizes are tried at the same time, each on its own connection.
const SIZES_AT_ONCE: u16 = 4;

/// The results of handshakes on additional connections, which run while the first handshake waits for a
/// reply.
#[derive(Debug)]
pub(in crate::ping) struct MoreHandshakes {
    /// The result of the handshake with packets of the default size.
    pub(in crate::ping) usual: Option<TlsResult>,
    pub(in crate::ping) small: Option<TlsResult>,
    pub(in crate::ping) sizes: Option<PacketSizes>,
}

/// Which packet sizes get through to the server and back.
pub(super) enum Sizes {
    /// All sizes up to a limit get through.
    Limited(PacketSizes),
    /// A large packet got through although a smaller packet was lost, so the packet size does not explain
    /// missing replies.
    Unlimited,
    /// No packet gets through, or the search took too long.
    Unknown,
}

/// The large request that tests whether packets of a certain size get through.
#[derive(Clone, Copy)]
pub(super) enum Large<'a> {
    /// An ECHO of a large value, after a login.
    Echo(&'a Requests),
    /// An ECHO of a large value, without a login. A server that requires a login replies with an error.
    WithoutLogin(&'a Requests),
    /// A TLS handshake, whose largest part is the server's certificate.
    Handshake,
}

impl Reconnect<'_> {
    /// Waits for `delay`, then tries two handshakes at the same time: in packets of the default size, and in
    /// small packets. If only small packets get a reply, also searches for the packet size limit. `path_mtu`
    /// is the largest packet size that this host uses for the server.
    pub(in crate::ping) async fn small_packets(
        &self,
        path_mtu: Option<u16>,
        delay: Duration,
        deadline: Deadline,
    ) -> MoreHandshakes {
        deadline.sleep(delay).await;
        let half = deadline.within(deadline.left() / 2);
        let (mut usual, small) = join(
            self.handshake(SegmentSize::Default, half),
            self.handshake(SegmentSize::Small, deadline),
        )
        .await;
        let only_small =
            small.as_ref().is_some_and(TlsResult::is_tls) && !usual.as_ref().is_some_and(TlsResult::is_tls);
        let mut sizes = None;
        if let (true, Some(largest)) = (only_small, path_mtu) {
            match self.packet_sizes(Large::Handshake, largest, deadline).await {
                Sizes::Limited(found) => sizes = Some(found),
                Sizes::Unlimited => usual.clone_from(&small),
                Sizes::Unknown => {}
            }
        }
        MoreHandshakes { usual, small, sizes }
    }

    /// Searches for the packet size limit, after a long AUTH got no reply. Does not log in, because a server
    /// may count failed logins. `path_mtu` is the largest packet size that this host uses for the server.
    pub(super) async fn sizes_without_login(&self, path_mtu: u16, deadline: Deadline) -> Option<PacketSizes> {
        let requests = Requests::of(self.target);
        let large = Large::WithoutLogin(&requests);
        // Leave most of the time for the search.
        let third = deadline.within(deadline.left() / 3);
        let (usual, small) = join(
            self.gets_through(large, SegmentSize::Default, third),
            self.gets_through(large, SegmentSize::Small, third),
        )
        .await;
        if usual || !small {
            return None;
        }
        match self.packet_sizes(large, path_mtu, deadline).await {
            Sizes::Limited(sizes) => Some(sizes),
            Sizes::Unlimited | Sizes::Unknown => None,
        }
    }

    /// Searches for the largest packet size that gets through. Each round tries several sizes at the same
    /// time, and so narrows the range.
    ///
    /// `largest` is the size of the packets that were lost on the first connection.
    pub(super) async fn packet_sizes(&self, large: Large<'_>, largest: u16, deadline: Deadline) -> Sizes {
        let Some(address) = self.address else {
            return Sizes::Unknown;
        };
        // The segment size does not include the IP and TCP headers.
        let headers = if address.is_ipv6() { 60 } else { 40 };
        let (mut passed, mut lost) = (SMALLEST_PACKET, largest);
        let mut sizes = vec![SMALLEST_PACKET];
        let mut has_passed = false;
        let shortest = SHORTEST_WAIT.max(self.connecting * 8);
        while lost.saturating_sub(passed) > PRECISION && deadline.left() > shortest {
            let step = (lost - passed) / (SIZES_AT_ONCE + 1);
            sizes.extend((1..=SIZES_AT_ONCE).map(|number| passed + number * step));
            let until = deadline.within(shortest.max(deadline.left() / 3));
            let tries = sizes
                .iter()
                .map(|size| self.gets_through(large, SegmentSize::AtMost(size - headers), until));
            let results = join_all(tries).await;
            let count = results.iter().take_while(|got_through| **got_through).count();
            if results[count..].contains(&true) {
                return Sizes::Unlimited;
            }
            has_passed |= count > 0;
            if !has_passed {
                return Sizes::Unknown;
            }
            passed = count.checked_sub(1).map_or(passed, |last| sizes[last]);
            lost = sizes.get(count).copied().unwrap_or(lost);
            sizes.clear();
        }
        if has_passed {
            Sizes::Limited(PacketSizes { passed, lost })
        } else {
            Sizes::Unknown
        }
    }

    async fn gets_through(&self, large: Large<'_>, segments: SegmentSize, deadline: Deadline) -> bool {
        match large {
            Large::Echo(requests) => match self.logged_in(segments, deadline).await {
                Some(mut connection) => requests.is_echoed(&mut connection, deadline).await,
                None => false,
            },
            Large::WithoutLogin(requests) => match self.connect(segments, deadline).await {
                Some(mut connection) => requests.is_echoed(&mut connection, deadline).await,
                None => false,
            },
            Large::Handshake => {
                let result = self.handshake(segments, deadline).await;
                result.as_ref().is_some_and(TlsResult::is_tls)
            }
        }
    }
}

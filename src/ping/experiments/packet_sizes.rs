//! An experiment that finds which packet sizes get through.

use std::time::Duration;

use futures_util::future::{join, join_all};

use super::Reconnect;
use crate::deadline::Deadline;
use crate::ping::observation::{PacketSizes, TlsResult};
use crate::ping::rungs::ping::Requests;
use crate::ping::rungs::tcp::SegmentSize;

/// The minimum time to wait for the reply to one packet size, even if the connection is fast.
const SHORTEST_WAIT: Duration = Duration::from_millis(150);

/// The smallest packet size that is tried. Every host must accept packets of this size (RFC 9293, 3.7.1).
pub(in crate::ping) const SMALLEST_PACKET: u16 = 576;

/// The search ends when the largest size that gets through and the smallest size that is lost differ by no
/// more than this.
const PRECISION: u16 = 8;

/// How many sizes are tried at the same time, each on its own connection.
const SIZES_AT_ONCE: u16 = 4;

/// The results of further handshakes, which run while the first handshake gets no reply.
#[derive(Debug)]
pub(in crate::ping) struct MoreHandshakes {
    /// The result of the handshake in packets of the default size.
    pub(in crate::ping) usual: Option<TlsResult>,
    pub(in crate::ping) small: Option<TlsResult>,
    pub(in crate::ping) sizes: Option<PacketSizes>,
}

/// Which packet sizes get through.
pub(super) enum Sizes {
    /// Packets up to a limit get through.
    Limited(PacketSizes),
    /// Some sizes get through although a smaller size does not, so the packet size is not the reason.
    Unlimited,
    /// No packet gets through, or there was not enough time to find the limit.
    Unknown,
}

/// The data that is sent in packets of each size.
#[derive(Clone, Copy)]
pub(super) enum Large<'a> {
    /// An ECHO of a large value.
    Echo(&'a Requests),
    /// The same ECHO without a login. A server that requires a login replies with an error.
    WithoutLogin(&'a Requests),
    /// A TLS handshake. Its largest part is the server's certificate.
    Handshake,
}

impl Reconnect<'_> {
    /// Waits for `delay`, then tries two more handshakes: one in packets of the default size, and one in
    /// small packets. If only the handshake in small packets gets a reply, the path drops large packets. The
    /// function then also finds which sizes get through. `path_mtu` is the size of the packets that this host
    /// sends.
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

    /// Finds which packet sizes get through, if a long AUTH got no reply and large requests are lost. Does
    /// not log in, because a server may count failed logins. `path_mtu` is the size of the packets that this
    /// host sends.
    pub(super) async fn sizes_without_login(&self, path_mtu: u16, deadline: Deadline) -> Option<PacketSizes> {
        let requests = Requests::of(self.target);
        let large = Large::WithoutLogin(&requests);
        // The search for the size needs most of the time.
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

    /// Finds which packet sizes get through. First tries several sizes at once, then sizes between the
    /// largest that got through and the smallest that was lost.
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

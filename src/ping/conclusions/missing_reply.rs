//! Determines why a request or a TLS handshake got no reply on an open connection.

use std::time::Duration;

use super::latency::median;
use crate::clock::seconds;
use crate::os::PacketCounts;
use crate::ping::observation::{Observations, TlsResult};
use crate::ping::response::Response;

/// If the wait for a reply was shorter than this number of round trips, the timeout may be too short.
const FEW_ROUND_TRIPS: u32 = 3;

/// The reason for a missing reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ping) enum NoReply {
    /// The timeout was probably too short. Contains the round trip time.
    ShortTimeout(Duration),
    /// The request was lost on the way to the server.
    LostPackets,
    /// This host could not send the request.
    Unsent,
    /// The server received the request, but did not reply.
    SilentServer,
}

impl NoReply {
    pub(in crate::ping) fn of(seen: &Observations) -> Self {
        let packets = seen.packets_after_timeout();
        match unanswered(seen) {
            Some((waited, round_trip)) if waited < round_trip.saturating_mul(FEW_ROUND_TRIPS) => {
                Self::ShortTimeout(round_trip)
            }
            _ if packets.is_some_and(|packets| packets.unacknowledged > 0) => Self::LostPackets,
            _ if packets.is_some_and(|packets| packets.unsent_bytes > 0) => Self::Unsent,
            _ => Self::SilentServer,
        }
    }

    /// Returns a summary of the reason. Returns `None` for a silent server.
    pub(in crate::ping) fn summary(self) -> Option<&'static str> {
        match self {
            Self::ShortTimeout(_) => Some("no reply before the timeout"),
            Self::LostPackets => {
                Some("the server accepts the connection, but later packets to the server are lost")
            }
            Self::Unsent => Some("this host's own firewall drops the data of the connection"),
            Self::SilentServer => None,
        }
    }

    /// Describes the round trip time if the timeout was too short. Otherwise, describes which packets were
    /// acknowledged, or returns `None` if that is unknown.
    pub(in crate::ping) fn fact(self, seen: &Observations) -> Option<String> {
        match self {
            Self::ShortTimeout(round_trip) => Some(format!(
                "a round trip took {}, so the server may just be far away; try a longer --timeout",
                seconds(round_trip)
            )),
            _ => seen.packets_after_timeout().map(describe_packets),
        }
    }
}

/// Returns how long this program waited for the missing reply, and the round trip time. If no round trip was
/// measured, the TCP handshake counts as one. Returns `None` if no reply is missing.
fn unanswered(seen: &Observations) -> Option<(Duration, Duration)> {
    let connecting = seen.tcp.round_trip();
    let is_silent = |response: &Response| matches!(response, Response::Timeout(_));
    if let Some(stopped) = &seen.requests.stopped_at {
        let round_trip = match seen.ping.round_trips.as_slice() {
            [] => connecting,
            round_trips => median(round_trips),
        };
        return is_silent(&stopped.response).then_some((seen.requests.took, round_trip));
    }
    let waited = if let Some(tls) = &seen.tls.handshake
        && tls.result == TlsResult::TimedOut
    {
        tls.took
    } else if seen.ping.response.as_ref().is_some_and(is_silent) {
        seen.ping.took
    } else if seen.auth.response.as_ref().is_some_and(is_silent) {
        seen.auth.took
    } else {
        return None;
    };
    Some((waited, connecting))
}

/// Explains what the kernel's packet counts show about a connection without a reply.
pub(in crate::ping) fn describe_packets(packets: PacketCounts) -> String {
    match packets {
        PacketCounts {
            unacknowledged: 1.., ..
        } => "the data was never acknowledged, so packets are lost after the TCP handshake".into(),
        PacketCounts {
            out_of_order: 1.., ..
        } => "the server sent data, but a packet of it was lost on the way: only packets after it arrived"
            .into(),
        PacketCounts {
            unsent_bytes: bytes @ 1..,
            ..
        } => format!(
            "the kernel of this host could not send {bytes} bytes of data: a local firewall or the network interface drops them"
        ),
        _ => "every packet was acknowledged, so the packets arrive at the server's host".into(),
    }
}

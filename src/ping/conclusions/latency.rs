//! Draws conclusions from round trip times.

use std::time::Duration;

use crate::ping::observation::Observations;

/// If the median round trip takes longer than this, `ping` reports the warning `latency.high`.
pub(in crate::ping) const SLOW_MEDIAN: Duration = Duration::from_millis(20);

/// An outlier takes longer than this, and longer than [`OUTLIER_FACTOR`] times the median round trip.
const OUTLIER: Duration = Duration::from_millis(10);

const OUTLIER_FACTOR: u32 = 5;

/// If there are at least this many round trips, a single outlier is ignored.
const MANY_ROUND_TRIPS: usize = 6;

/// A round trip that takes this long is not ignored, even if it is the only outlier.
const STALL: Duration = Duration::from_millis(500);

/// The time before the kernel first retransmits a SYN (RFC 6298, 2).
pub(in crate::ping) const FIRST_RETRANSMISSION: Duration = Duration::from_secs(1);

/// The part of a connection that makes round trips slow. Connecting shows the network delay alone, because
/// the server's kernel accepts connections even while Redis is busy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SlowPart {
    Network,
    Server,
    /// Lost packets, which the warning `path.loss` reports.
    Loss,
    #[default]
    Unknown,
}

impl SlowPart {
    pub(in crate::ping) fn of(seen: &Observations) -> Self {
        let slow = match median(&seen.ping.round_trips) {
            median if median > SLOW_MEDIAN => median,
            _ => seen.ping.round_trips.iter().max().copied().unwrap_or_default(),
        };
        match seen.tcp.connect_time() {
            _ if lost_packets(seen) > 0 => Self::Loss,
            // A tunnel on this host accepts the connection, so the connect time does not show the network's
            // delay.
            Some(_) if seen.tcp.leads_to_this_host() => Self::Unknown,
            Some(connecting) if connecting > slow / 2 => Self::Network,
            Some(_) => Self::Server,
            None => Self::Unknown,
        }
    }
}

/// Whether several round trips are outliers. If there are fewer than [`MANY_ROUND_TRIPS`] round trips, or if
/// an outlier takes longer than [`STALL`], one is enough.
pub(crate) fn is_uneven(round_trips: &[Duration]) -> bool {
    let median = median(round_trips);
    let outliers = round_trips
        .iter()
        .filter(|took| **took > OUTLIER && **took > median * OUTLIER_FACTOR);
    let has_stalled = outliers.clone().any(|took| *took > STALL);
    has_stalled || outliers.count() > usize::from(round_trips.len() >= MANY_ROUND_TRIPS)
}

/// Returns the median round trip time, or zero if there are no round trips.
pub(crate) fn median(round_trips: &[Duration]) -> Duration {
    let mut sorted = round_trips.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Returns how many packets were lost and retransmitted. Returns 0 for very long round trips, because the
/// kernel then retransmits packets that are not lost.
pub(in crate::ping) fn lost_packets(seen: &Observations) -> u32 {
    match median(&seen.ping.round_trips) > FIRST_RETRANSMISSION {
        true => 0,
        false => seen.retransmissions,
    }
}

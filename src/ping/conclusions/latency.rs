//! What round trip times show about the connection.

use std::time::Duration;

use crate::ping::observation::Observations;

/// If the median of the round trips is above this, they are reported as slow.
pub(in crate::ping) const SLOW_MEDIAN: Duration = Duration::from_millis(20);

/// A round trip is an outlier if it took longer than this, and more than [`OUTLIER_FACTOR`] times the median.
const OUTLIER: Duration = Duration::from_millis(10);

const OUTLIER_FACTOR: u32 = 5;

/// If there are at least this many round trips, a single outlier is ignored.
const MANY_ROUND_TRIPS: usize = 6;

/// How long the kernel waits before it retransmits the first SYN (RFC 6298, 2).
pub(in crate::ping) const FIRST_RETRANSMISSION: Duration = Duration::from_secs(1);

/// What makes round trips slow. The time that it takes to connect shows the delay of the network alone,
/// because the server's kernel accepts connections even while Redis is busy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SlowPart {
    Network,
    Server,
    /// Packets had to be retransmitted. The warning `path.loss` reports this.
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
            // A tunnel accepts the connection on this host, so the time to connect shows nothing.
            Some(_) if seen.tcp.leads_to_this_host() => Self::Unknown,
            Some(connecting) if connecting > slow / 2 => Self::Network,
            Some(_) => Self::Server,
            None => Self::Unknown,
        }
    }
}

/// Whether the round trips contain too many outliers.
#[must_use]
pub(crate) fn is_uneven(round_trips: &[Duration]) -> bool {
    let median = median(round_trips);
    let outliers = round_trips
        .iter()
        .filter(|took| **took > OUTLIER && **took > median * OUTLIER_FACTOR)
        .count();
    outliers > usize::from(round_trips.len() >= MANY_ROUND_TRIPS)
}

/// Returns the median, or zero if there are no round trips.
#[must_use]
pub(crate) fn median(round_trips: &[Duration]) -> Duration {
    let mut sorted = round_trips.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Returns how many packets were lost and retransmitted. If round trips take longer than the kernel's first
/// retransmission timeout, returns 0, because packets are then retransmitted even if none is lost.
pub(in crate::ping) fn lost_packets(seen: &Observations) -> u32 {
    match median(&seen.ping.round_trips) > FIRST_RETRANSMISSION {
        true => 0,
        false => seen.retransmissions,
    }
}

//! Warnings about slow round trips, and where the time is lost.

use std::time::Duration;

use super::finding::{Found, seconds};
use super::tcp;
use crate::ping::causes::Cause;
use crate::ping::observation::Observations;

/// If the median of the round trips is above this, they are reported as slow.
const SLOW_MEDIAN: Duration = Duration::from_millis(20);

/// A round trip is an outlier if it took longer than this, and more than [`OUTLIER_FACTOR`] times the median.
const OUTLIER: Duration = Duration::from_millis(10);

const OUTLIER_FACTOR: u32 = 5;

/// If there are at least this many round trips, a single outlier is ignored.
const MANY_ROUND_TRIPS: usize = 6;

/// Returns a warning if most round trips are slow.
pub(super) fn slow(seen: &Observations) -> Option<Found> {
    let median = median(&seen.ping.round_trips);
    (median > SLOW_MEDIAN).then(|| {
        let blame = match SlowPart::of(seen) {
            SlowPart::Network => "the delay is in the network",
            SlowPart::Server => "the delay is in the server, or behind it if it is a proxy",
            SlowPart::Loss | SlowPart::Unknown => {
                return (
                    Cause::LatencyHigh,
                    format!("the median round trip takes {}", seconds(median)),
                );
            }
        };
        let connecting = seconds(seen.tcp.connect_time().unwrap_or_default());
        let summary = format!(
            "the median round trip takes {}, and connecting took {connecting}: {blame}",
            seconds(median)
        );
        (Cause::LatencyHigh, summary)
    })
}

/// Returns a warning if some round trips take much longer than others.
pub(super) fn uneven(seen: &Observations) -> Option<Found> {
    let slowest = seen.ping.round_trips.iter().max()?;
    is_uneven(&seen.ping.round_trips).then(|| {
        let (slowest, median) = (seconds(*slowest), seconds(median(&seen.ping.round_trips)));
        let summary = format!("the slowest round trip took {slowest}, but the median is {median}");
        (Cause::LatencyJitter, summary)
    })
}

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
            _ if tcp::lost_packets(seen) > 0 => Self::Loss,
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

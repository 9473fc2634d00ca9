//! Finds warnings about slow round trips.

use super::finding::Found;
use crate::clock::seconds;
use crate::ping::causes::Cause;
use crate::ping::conclusions::{SLOW_MEDIAN, SlowPart, is_uneven, median};
use crate::ping::observation::Observations;

/// Returns a warning if the median round trip is slow.
pub(super) fn slow(seen: &Observations) -> Option<Found> {
    let median = median(&seen.ping.round_trips);
    (median > SLOW_MEDIAN).then(|| {
        let blame = match SlowPart::of(seen) {
            SlowPart::Network => "the delay is in the network",
            SlowPart::Server => "the delay is in the server (or, if the server is a proxy, behind the proxy)",
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

//! Collects statistics for `--watch` and `--count`: probes, round trips and outages.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

/// The number of round trips that are kept for percentiles: one per second for a day.
const MOST_ROUND_TRIPS: usize = 86_400;
/// The number of outages that are kept for the report of `--watch`.
const MOST_OUTAGES: usize = 10;
/// The number of probes that are kept for the graph of round trips.
const MOST_RECENT: usize = 60;

/// The bars of the round trip graph, from the lowest to the highest.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The mark in the round trip graph for a probe without a response.
const MISSED: char = '×';

/// The statistics of all probes so far. Memory use is bounded, even in a long watch.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProbeHistory {
    pub answered: u64,
    missed: u64,
    /// The number of outages so far, including the current one.
    pub outages: u64,
    recent_outages: VecDeque<Outage>,
    /// How often the connection was lost.
    pub lost_connections: u64,
    is_down: bool,
    round_trips: VecDeque<Duration>,
    recent: VecDeque<Option<Duration>>,
}

/// A period in which Redis did not respond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    /// The end of the first probe without a response.
    pub began: SystemTime,
    since: Instant,
    /// The time until a probe got a response again. `None` if the outage is not over.
    lasted: Option<Duration>,
}

impl Outage {
    fn now() -> Self {
        Self {
            began: SystemTime::now(),
            since: Instant::now(),
            lasted: None,
        }
    }

    /// Returns the length of the outage so far, and whether the outage is over.
    pub(crate) fn duration(&self) -> (Duration, bool) {
        (self.lasted.unwrap_or(self.since.elapsed()), self.lasted.is_some())
    }
}

/// Percentiles of the round trips, computed by the nearest-rank method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Percentiles {
    pub min: Duration,
    pub p50: Duration,
    pub p90: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl ProbeHistory {
    /// Records one probe. `round_trip` is `None` if Redis did not respond.
    pub(crate) fn add(&mut self, round_trip: Option<Duration>) {
        match round_trip {
            Some(took) => {
                self.answered += 1;
                keep(&mut self.round_trips, took, MOST_ROUND_TRIPS);
                if let Some(outage) = self.recent_outages.back_mut().filter(|_| self.is_down) {
                    outage.lasted = Some(outage.since.elapsed());
                }
            }
            None => {
                self.missed += 1;
                if !self.is_down {
                    self.outages += 1;
                    keep(&mut self.recent_outages, Outage::now(), MOST_OUTAGES);
                }
            }
        }
        self.is_down = round_trip.is_none();
        keep(&mut self.recent, round_trip, MOST_RECENT);
    }

    pub(crate) fn probes(&self) -> u64 {
        self.answered + self.missed
    }

    /// Returns the most recent outages, oldest first.
    pub(crate) fn recent_outages(&self) -> impl Iterator<Item = &Outage> {
        self.recent_outages.iter()
    }

    /// Returns the percentiles, or `None` if Redis has never responded.
    pub(crate) fn percentiles(&self) -> Option<Percentiles> {
        let mut sorted: Vec<Duration> = self.round_trips.iter().copied().collect();
        sorted.sort_unstable();
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let at = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
        Some(Percentiles {
            min,
            p50: at(50),
            p90: at(90),
            p99: at(99),
            max,
        })
    }

    /// Draws the last `width` probes as a graph in one line. The slowest probe has the full height.
    pub(crate) fn graph(&self, width: usize) -> String {
        let shown: Vec<_> = self
            .recent
            .iter()
            .skip(self.recent.len().saturating_sub(width))
            .collect();
        let slowest = shown.iter().filter_map(|probe| **probe).max().unwrap_or_default();
        shown
            .iter()
            .map(|probe| probe.map_or(MISSED, |took| height(took, slowest)))
            .collect()
    }
}

/// Appends the item. If the queue already has `most` items, drops the oldest one.
fn keep<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(item);
}

fn height(took: Duration, slowest: Duration) -> char {
    let (took, slowest) = (took.as_micros(), slowest.as_micros().max(1));
    let step = (took * HEIGHTS.len() as u128).div_ceil(slowest).max(1) - 1;
    HEIGHTS[usize::try_from(step).unwrap_or(0).min(HEIGHTS.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(milliseconds: &[Option<u64>]) -> ProbeHistory {
        let mut history = ProbeHistory::default();
        for span in milliseconds {
            history.add(span.map(Duration::from_millis));
        }
        history
    }

    #[test]
    fn percentiles_are_measured_round_trips() {
        let spans: Vec<Option<u64>> = (1..=200).map(Some).collect();
        let found = history(&spans).percentiles().unwrap();
        let expected = [1, 100, 180, 198, 200].map(Duration::from_millis);
        assert_eq!([found.min, found.p50, found.p90, found.p99, found.max], expected);
        assert_eq!(history(&[None]).percentiles(), None);
    }

    #[test]
    fn an_outage_counts_once_however_long_it_is() {
        let history = history(&[Some(1), None, None, None, Some(1), None]);
        assert_eq!((history.probes(), history.answered, history.outages), (6, 2, 2));
    }

    #[test]
    fn the_graph_shows_the_latest_probes_and_the_missed_ones() {
        let history = history(&[Some(900), Some(1), Some(4), None, Some(8)]);
        assert_eq!(history.graph(4), "▁▄×█");
        assert_eq!(ProbeHistory::default().graph(4), "");
    }

    #[test]
    fn the_history_of_a_long_watch_stays_small() {
        let mut history = ProbeHistory::default();
        for _ in 0..MOST_ROUND_TRIPS + 10 {
            history.add(Some(Duration::from_millis(1)));
        }
        assert_eq!(
            (history.round_trips.len(), history.recent.len()),
            (MOST_ROUND_TRIPS, MOST_RECENT)
        );
    }
}

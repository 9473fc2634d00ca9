//! What many probes come to: counts, percentiles, outages; bounded, however long the watch.

use std::collections::VecDeque;
use std::time::Duration;

/// Round trips that percentiles are taken from at most, the latest: a day of one a second.
const MOST_ROUND_TRIPS: usize = 86_400;
/// Probes that a graph can show.
const MOST_RECENT: usize = 60;

/// Eight heights of a graph, lowest first.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// A probe without an answer, in a graph.
const MISSED: char = '×';

/// The probes so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProbeHistory {
    answered: u64,
    missed: u64,
    outages: u64,
    is_down: bool,
    round_trips: VecDeque<Duration>,
    recent: VecDeque<Option<Duration>>,
}

/// Round trips, from the fastest to the slowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Percentiles {
    /// The fastest.
    pub min: Duration,
    /// Half are as fast as this, or faster.
    pub p50: Duration,
    /// Nine of ten are.
    pub p90: Duration,
    /// 99 of a hundred are.
    pub p99: Duration,
    /// The slowest.
    pub max: Duration,
}

impl ProbeHistory {
    /// Notes one probe: the server's answer took so long, or none came.
    pub(crate) fn note(&mut self, round_trip: Option<Duration>) {
        match round_trip {
            Some(took) => {
                self.answered += 1;
                keep(&mut self.round_trips, took, MOST_ROUND_TRIPS);
            }
            None => {
                self.missed += 1;
                self.outages += u64::from(!self.is_down);
            }
        }
        self.is_down = round_trip.is_none();
        keep(&mut self.recent, round_trip, MOST_RECENT);
    }

    /// Probes in all.
    #[must_use]
    pub(crate) fn probes(&self) -> u64 {
        self.answered + self.missed
    }

    /// Probes that were answered.
    #[must_use]
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// How often it fell silent, or was so from the start.
    #[must_use]
    pub(crate) fn outages(&self) -> u64 {
        self.outages
    }

    /// The round trips' percentiles, by the nearest rank; none without an answer.
    #[must_use]
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

    /// The last `width` probes as a graph of one line, scaled to what it shows.
    #[must_use]
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
            history.note(span.map(Duration::from_millis));
        }
        history
    }

    #[test]
    fn percentiles_are_round_trips_that_were_measured() {
        let spans: Vec<Option<u64>> = (1..=200).map(Some).collect();
        let found = history(&spans).percentiles().unwrap();
        let expected = [1, 100, 180, 198, 200].map(Duration::from_millis);
        assert_eq!([found.min, found.p50, found.p90, found.p99, found.max], expected);
        assert_eq!(history(&[None]).percentiles(), None);
    }

    #[test]
    fn an_outage_is_counted_once_however_long() {
        let history = history(&[Some(1), None, None, None, Some(1), None]);
        assert_eq!(
            (history.probes(), history.answered(), history.outages()),
            (6, 2, 2)
        );
    }

    #[test]
    fn the_graph_shows_the_latest_and_what_was_missed() {
        let history = history(&[Some(900), Some(1), Some(4), None, Some(8)]);
        assert_eq!(history.graph(4), "▁▄×█");
        assert_eq!(ProbeHistory::default().graph(4), "");
    }

    #[test]
    fn a_watch_of_days_stays_small() {
        let mut history = ProbeHistory::default();
        for _ in 0..MOST_ROUND_TRIPS + 10 {
            history.note(Some(Duration::from_millis(1)));
        }
        assert_eq!(
            (history.round_trips.len(), history.recent.len()),
            (MOST_ROUND_TRIPS, MOST_RECENT)
        );
    }
}

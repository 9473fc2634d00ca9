//! The Redis commands of a request, as the page shows them, and the last ones of each session.
//!
//! For display only: bounded, and lost when the process ends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::redis_client::RecordedCommand;

/// Commands that are kept per session.
const KEPT: usize = 20;
/// Sessions that are remembered; a new one replaces the one that was not used for longest.
const MOST_SESSIONS: usize = 256;
/// The commands of one request.
#[derive(Debug, Default)]
pub(super) struct Commands {
    pub(super) rows: Vec<RecordedCommand>,
    /// Time of the slowest: commands of one round trip share its time.
    pub(super) took: Option<Duration>,
}

impl Commands {
    pub(super) fn new(rows: Vec<RecordedCommand>) -> Self {
        let took = rows.iter().map(|row| row.took).max();
        Self { rows, took }
    }
}

/// The last commands of the sessions that were used last; the newest session is at the end.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<VecDeque<(String, Requests)>>);

/// The commands of a session's requests, oldest first.
type Requests = Vec<Arc<Commands>>;

impl History {
    /// Adds the commands of a request for the session at `key`; returns the earlier ones, oldest first.
    pub(super) fn add(&self, key: &str, commands: &Arc<Commands>) -> Vec<Arc<Commands>> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = sessions.iter().rposition(|(other, _)| other == key);
        let (key, earlier) = found
            .and_then(|found| sessions.remove(found))
            .unwrap_or_else(|| (key.to_owned(), Vec::new()));
        if sessions.len() == MOST_SESSIONS {
            sessions.pop_front();
        }
        let mut kept = earlier.clone();
        kept.push(commands.clone());
        // Whole requests, as many as fit.
        while kept.iter().map(|request| request.rows.len()).sum::<usize>() > KEPT {
            kept.remove(0);
        }
        sessions.push_back((key, kept));
        earlier
    }

    /// Forgets a session that has ended.
    pub(super) fn forget(&self, key: &str) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|(other, _)| other != key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: usize) -> Arc<Commands> {
        let command = RecordedCommand {
            command: format!("ECHO {number}"),
            reply: None,
            took: Duration::from_micros(70),
            ends_round_trip: true,
        };
        Arc::new(Commands::new(vec![command]))
    }

    #[test]
    fn the_last_twenty_of_a_session_are_kept_apart_from_others() {
        let history = History::default();
        assert!(history.add("a", &numbered(0)).is_empty());
        for number in 1..=25 {
            history.add("a", &numbered(number));
        }
        assert!(history.add("b", &numbered(99)).is_empty());
        let earlier = history.add("a", &numbered(26));
        assert_eq!(earlier.len(), KEPT);
        assert_eq!(earlier[0].rows[0].command, "ECHO 6");
    }

    #[test]
    fn a_flood_of_sessions_is_forgotten_oldest_first() {
        let history = History::default();
        for number in 0..MOST_SESSIONS + 10 {
            history.add(&number.to_string(), &numbered(1));
        }
        assert_eq!(history.0.lock().unwrap().len(), MOST_SESSIONS);
        assert!(history.add("0", &numbered(1)).is_empty());
    }
}

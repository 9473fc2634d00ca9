//! Stores the Redis commands that the home page shows: the commands of the current request, and the most
//! recent commands of each session.
//!
//! The commands are stored only for display. Their number is limited, and they are lost when the process
//! ends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;

use super::pages::Rendered;
use crate::clock::seconds;
use crate::redis_client::RoundTrip;

/// The maximum number of commands to keep for each session.
const KEPT: usize = 20;
/// The maximum number of sessions whose commands are kept. Above this number, a new session replaces the
/// least recently used one.
const MOST_SESSIONS: usize = 256;

/// The commands of one request, as rows of a table with one `tbody` per round trip. They are rendered only
/// once, because later pages of the session show them again.
#[derive(Debug)]
pub(super) struct Commands {
    pub(super) rows: Rendered,
    count: usize,
}

#[derive(Template)]
#[template(path = "commands.html")]
struct Rows<'a> {
    round_trips: &'a [RoundTrip],
}

impl Commands {
    pub(super) fn new(round_trips: &[RoundTrip]) -> Arc<Self> {
        Arc::new(Self {
            rows: Rendered::of(&Rows { round_trips }),
            count: round_trips.iter().map(|trip| trip.commands.len()).sum(),
        })
    }
}

/// The recent commands of the recently used sessions. The most recently used session is last.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<VecDeque<(String, Requests)>>);

/// The commands of a session's requests, oldest first.
type Requests = Vec<Arc<Commands>>;

impl History {
    /// Adds the commands of a request to the session at `key`. Returns the session's earlier commands, oldest
    /// first.
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
        // All commands of a request are removed together.
        while kept.iter().map(|request| request.count).sum::<usize>() > KEPT {
            kept.remove(0);
        }
        sessions.push_back((key, kept));
        earlier
    }

    /// Removes the session at `key`.
    pub(super) fn forget(&self, key: &str) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|(other, _)| other != key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::redis_client::RecordedCommand;

    fn numbered(number: usize) -> Arc<Commands> {
        let command = RecordedCommand {
            command: format!("ECHO {number}").into(),
            reply: None,
        };
        Commands::new(&[RoundTrip {
            sent: Instant::now(),
            took: Duration::from_micros(70),
            commands: vec![command],
        }])
    }

    #[test]
    fn the_last_twenty_commands_of_each_session_are_kept() {
        let history = History::default();
        assert!(history.add("a", &numbered(0)).is_empty());
        for number in 1..=25 {
            history.add("a", &numbered(number));
        }
        assert!(history.add("b", &numbered(99)).is_empty());
        let earlier = history.add("a", &numbered(26));
        assert_eq!(earlier.len(), KEPT);
        assert!(earlier[0].rows.0.contains("<code>ECHO 6</code>"));
    }

    #[test]
    fn above_the_limit_the_oldest_sessions_are_forgotten() {
        let history = History::default();
        for number in 0..MOST_SESSIONS + 10 {
            history.add(&number.to_string(), &numbered(1));
        }
        assert_eq!(history.0.lock().unwrap().len(), MOST_SESSIONS);
        assert!(history.add("0", &numbered(1)).is_empty());
    }
}

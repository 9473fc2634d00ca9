//! What Redis was asked for a session: the rows of a page, and the last ones of each session.
//!
//! A view for people, lost with the process and bounded: nothing of a session depends on it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use askama::Template;

use super::page::ExchangeRow;
use crate::wire::{Exchange, command_line, reply_lines};

/// Commands that are kept for a session.
const KEPT: usize = 20;
/// Sessions that are remembered; the one not seen for longest makes way.
const MOST_SESSIONS: usize = 256;
/// Characters of a command or a reply that are shown: nobody reads more, and a foreign field may be of any size.
const SHOWN: usize = 800;

/// The exchanges of one request, as rows of HTML.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) rows: String,
    /// Where each row ends in `rows`.
    ends: Vec<usize>,
    /// How long the slowest took: commands of one round trip share its time.
    pub(super) took: Option<Duration>,
}

impl Asked {
    pub(super) fn new(exchanges: &[Exchange]) -> Self {
        let mut asked = Self::default();
        for exchange in exchanges {
            let command = command_line(&exchange.command);
            let reply = match &exchange.reply {
                Some(reply) => reply_lines(reply).join("\n"),
                None => "(no reply)".to_owned(),
            };
            let row = ExchangeRow {
                command: shown(&command),
                reply: shown(&reply),
                took: exchange.took.as_micros(),
            };
            // Rendering into a String cannot fail.
            let _ = row.render_into(&mut asked.rows);
            asked.ends.push(asked.rows.len());
        }
        asked.took = exchanges.iter().map(|exchange| exchange.took).max();
        asked
    }
}

/// As much of a text as is shown.
pub(super) fn shown(text: &str) -> &str {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// The last commands of the sessions that were seen last.
#[derive(Debug, Default)]
pub(super) struct History {
    sessions: Mutex<Sessions>,
}

#[derive(Debug, Default)]
struct Sessions {
    kept: HashMap<String, Kept>,
    seen: u64,
}

#[derive(Debug, Default)]
struct Kept {
    rows: String,
    lengths: VecDeque<usize>,
    seen: u64,
}

impl History {
    /// Adds what was asked for the session at `key`; returns what had been asked before.
    pub(super) fn add(&self, key: &str, asked: &Asked) -> String {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.seen += 1;
        let seen = sessions.seen;
        if !sessions.kept.contains_key(key) {
            sessions.make_room();
            sessions.kept.insert(key.to_owned(), Kept::default());
        }
        let Some(kept) = sessions.kept.get_mut(key) else {
            return String::new();
        };
        let earlier = kept.rows.clone();
        kept.seen = seen;
        kept.push(asked);
        earlier
    }

    /// Forgets a session that has ended.
    pub(super) fn forget(&self, key: &str) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.kept.remove(key);
    }
}

impl Sessions {
    fn make_room(&mut self) {
        if self.kept.len() < MOST_SESSIONS {
            return;
        }
        let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.seen);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.kept.remove(&key);
        }
    }
}

impl Kept {
    fn push(&mut self, asked: &Asked) {
        self.rows.push_str(&asked.rows);
        let mut start = 0;
        for &end in &asked.ends {
            self.lengths.push_back(end - start);
            start = end;
        }
        let surplus = self.lengths.len().saturating_sub(KEPT);
        let bytes: usize = self.lengths.drain(..surplus).sum();
        self.rows.drain(..bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::Value;

    fn asked(number: i64) -> Asked {
        Asked::new(&[Exchange {
            command: vec![b"ECHO".to_vec(), number.to_string().into_bytes()],
            reply: Some(Value::BulkString(b"<b>".to_vec())),
            took: Duration::from_micros(70),
        }])
    }

    #[test]
    fn the_last_twenty_of_a_session_are_kept_escaped_and_apart() {
        let history = History::default();
        assert_eq!(history.add("a", &asked(0)), "");
        for number in 1..=25 {
            history.add("a", &asked(number));
        }
        assert_eq!(history.add("b", &asked(99)), "");
        let earlier = history.add("a", &asked(26));
        assert_eq!(earlier.matches("<tr>").count(), KEPT);
        assert!(earlier.starts_with("<tr><td><code>ECHO 6</code>"), "{earlier}");
        assert!(!earlier.contains("<b>"));
    }

    #[test]
    fn a_flood_of_sessions_is_forgotten_oldest_first() {
        let history = History::default();
        for number in 0..MOST_SESSIONS + 10 {
            history.add(&number.to_string(), &asked(1));
        }
        let kept = history.sessions.lock().unwrap().kept.len();
        assert_eq!(kept, MOST_SESSIONS);
        assert_eq!(history.add("0", &asked(1)), "");
    }

    #[test]
    fn a_reply_of_any_size_costs_a_row_of_bounded_size() {
        let long = Asked::new(&[Exchange {
            command: vec![vec![b'x'; 100_000]],
            reply: Some(Value::BulkString(vec![b'\xff'; 100_000])),
            took: Duration::ZERO,
        }]);
        assert!(long.rows.len() < 4 * SHOWN);
    }
}

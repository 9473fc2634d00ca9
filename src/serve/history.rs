//! What Redis was asked for a session: the rows of a page, and the last ones of each session.
//!
//! A view for people, lost with the process and bounded: nothing of a session depends on it.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use askama::filters::{Escaper, Html};

use crate::wire::Trip;

/// Commands that are kept for a session.
const KEPT: usize = 20;
/// Sessions that are remembered; the one not seen for longest makes way.
const MOST_SESSIONS: usize = 256;
/// Bytes of a command or a reply that are shown: nobody reads more, and a foreign field may be of any size.
const SHOWN: usize = 1000;
/// Bytes that the rows of a page view take; the allocator hands out up to so many without searching.
const ROOM: usize = 1024;

/// The commands of one request and what they returned, as rows of HTML: written once, for this page and the next ones.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) rows: String,
    commands: usize,
    /// How long the slowest took: commands of one round trip share its time.
    pub(super) took: Option<Duration>,
}

impl Asked {
    pub(super) fn new(trips: &[Trip]) -> Self {
        let mut asked = Self {
            rows: String::with_capacity(ROOM),
            commands: 0,
            took: trips.iter().map(Trip::took).max(),
        };
        for trip in trips {
            asked.write(trip);
        }
        asked
    }

    fn write(&mut self, trip: &Trip) {
        let rows = &mut self.rows;
        let micros = trip.took().as_micros().to_string();
        for (command, reply) in trip.exchanges() {
            // A row needs no closing tags, and a page has twenty of them.
            rows.push_str("<tr><td><code>");
            // Too long for its cell: it ends there, and the row goes on.
            let _ = command.write(&mut Cell::new(rows));
            rows.push_str("</code><td><code>");
            let _ = reply.write(&mut Cell::new(rows));
            rows.push_str("</code><td>");
            rows.push_str(&micros);
            rows.push('\n');
            self.commands += 1;
        }
    }
}

/// The inside of a table's cell: what is written is escaped, and ends where it gets too long.
struct Cell<'a> {
    rows: &'a mut String,
    room: usize,
}

impl<'a> Cell<'a> {
    fn new(rows: &'a mut String) -> Self {
        Self { rows, room: SHOWN }
    }
}

impl Write for Cell<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = shown(text, self.room);
        let is_markup = |byte: u8| matches!(byte, b'<' | b'>' | b'&' | b'"' | b'\'');
        // Most texts are plain, and then it is cheaper to look first.
        if fits.bytes().fold(false, |found, byte| found | is_markup(byte)) {
            Html.write_escaped_str(&mut *self.rows, fits)?;
        } else {
            self.rows.push_str(fits);
        }
        self.room -= fits.len();
        if fits.len() < text.len() {
            self.rows.push('…');
            return Err(fmt::Error);
        }
        Ok(())
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        match character {
            // Around every field of a hash.
            '"' if self.room > 0 => {
                self.rows.push_str("&#34;");
                self.room -= 1;
                Ok(())
            }
            _ => self.write_str(character.encode_utf8(&mut [0; 4])),
        }
    }
}

/// The beginning of a text, at most `room` bytes of it.
pub(super) fn shown(text: &str, room: usize) -> &str {
    let mut end = room.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
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
    requests: VecDeque<Arc<Asked>>,
    commands: usize,
    seen: u64,
}

impl History {
    /// Adds what was asked for the session at `key`; returns what had been asked before, oldest first.
    pub(super) fn add(&self, key: &str, asked: &Arc<Asked>) -> Vec<Arc<Asked>> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.seen += 1;
        let seen = sessions.seen;
        if !sessions.kept.contains_key(key) {
            sessions.make_room();
            sessions.kept.insert(key.to_owned(), Kept::default());
        }
        let Some(kept) = sessions.kept.get_mut(key) else {
            return Vec::new();
        };
        kept.seen = seen;
        kept.add(asked)
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
    /// Whole requests are kept, as many as fit into [`KEPT`] commands.
    fn add(&mut self, asked: &Arc<Asked>) -> Vec<Arc<Asked>> {
        let earlier = self.requests.iter().cloned().collect();
        self.commands += asked.commands;
        self.requests.push_back(asked.clone());
        while self.commands > KEPT {
            match self.requests.pop_front() {
                Some(oldest) => self.commands -= oldest.commands,
                None => break,
            }
        }
        earlier
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Batch;
    use redis::Value;

    fn asked(number: usize) -> Arc<Asked> {
        let batch = Batch::pipeline().with(&[b"ECHO", number.to_string().as_bytes()]);
        let trip = batch.answered(&[Value::BulkString(b"<b>".to_vec())], Duration::from_micros(70));
        Arc::new(Asked::new(&[trip]))
    }

    fn rows(asked: &[Arc<Asked>]) -> String {
        asked.iter().map(|asked| asked.rows.as_str()).collect()
    }

    #[test]
    fn the_last_twenty_of_a_session_are_kept_escaped_and_apart() {
        let history = History::default();
        assert!(history.add("a", &asked(0)).is_empty());
        for number in 1..=25 {
            history.add("a", &asked(number));
        }
        assert!(history.add("b", &asked(99)).is_empty());
        let earlier = rows(&history.add("a", &asked(26)));
        assert_eq!(earlier.matches("<tr>").count(), KEPT);
        assert!(earlier.starts_with("<tr><td><code>ECHO 6</code>"), "{earlier}");
        assert!(!earlier.contains("<b>") && earlier.contains("b&#62;"));
    }

    #[test]
    fn a_flood_of_sessions_is_forgotten_oldest_first() {
        let history = History::default();
        for number in 0..MOST_SESSIONS + 10 {
            history.add(&number.to_string(), &asked(1));
        }
        let kept = history.sessions.lock().unwrap().kept.len();
        assert_eq!(kept, MOST_SESSIONS);
        assert!(history.add("0", &asked(1)).is_empty());
    }

    #[test]
    fn a_reply_of_any_size_costs_a_row_of_bounded_size() {
        let batch = Batch::pipeline().with(&[&[b'x'; 100_000]]);
        let trip = batch.answered(&[Value::BulkString(vec![b'\xff'; 100_000])], Duration::ZERO);
        let long = Asked::new(&[trip]);
        assert!(long.rows.len() < 4 * SHOWN);
        assert!(long.rows.ends_with("…</code><td>0\n"));
    }
}

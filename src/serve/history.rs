//! What Redis was asked for a session: the rows of a page, and the last ones of each session.
//!
//! A view for people, lost with the process and bounded: nothing of a session depends on it.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use askama::filters::{Escaper, Html};

use crate::redis_client::Trip;

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
    /// HTML.
    pub(super) rows: String,
    commands: usize,
    /// How long the slowest took: commands of one round trip share its time.
    pub(super) took: Option<Duration>,
}

impl Asked {
    pub(super) fn new(trips: &[Trip]) -> Self {
        let mut rows = Vec::with_capacity(ROOM);
        Self {
            commands: trips.iter().map(|trip| write_rows(&mut rows, trip)).sum(),
            took: trips.iter().map(Trip::took).max(),
            // Only a character that was cut off at the end of its cell is none.
            rows: String::from_utf8(rows)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        }
    }
}

/// Writes a row for each command, and returns how many they are.
fn write_rows(rows: &mut Vec<u8>, trip: &Trip) -> usize {
    let micros = trip.took().as_micros().to_string();
    let mut count = 0;
    for (command, reply) in trip.exchanges() {
        // A row needs no closing tags, and a page has twenty of them.
        rows.extend_from_slice(b"<tr><td><code>");
        write_cell(rows, |cell| command.write(cell));
        rows.extend_from_slice(b"</code><td><code>");
        write_cell(rows, |cell| reply.write(cell));
        rows.extend_from_slice(b"</code><td>");
        rows.extend_from_slice(micros.as_bytes());
        rows.push(b'\n');
        count += 1;
    }
    count
}

/// Writes the inside of a table's cell, escaped; it ends where it gets too long.
fn write_cell(rows: &mut Vec<u8>, write: impl FnOnce(&mut Cell) -> io::Result<()>) {
    let start = rows.len();
    let written = write(&mut Cell { rows, room: SHOWN });
    // Most cells are plain, and then it is cheaper to look first.
    let is_markup = |byte: &u8| matches!(byte, b'<' | b'>' | b'&' | b'"' | b'\'');
    if rows[start..]
        .iter()
        .fold(false, |found, byte| found | is_markup(byte))
    {
        let text = rows.split_off(start);
        let mut escaped = String::with_capacity(2 * text.len());
        // A String takes all that it is given.
        let _ = Html.write_escaped_str(&mut escaped, &String::from_utf8_lossy(&text));
        rows.append(&mut escaped.into_bytes());
    }
    if written.is_err() {
        rows.extend_from_slice("…".as_bytes());
    }
}

/// So many bytes more, and then it is full.
struct Cell<'a> {
    rows: &'a mut Vec<u8>,
    room: usize,
}

impl Write for Cell<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let fits = text.len().min(self.room);
        self.rows.extend_from_slice(&text[..fits]);
        self.room -= fits;
        // Nothing taken is an error to whoever has more to write.
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
    use crate::redis_client::Batch;
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
        assert!(!earlier.contains("<b>") && earlier.contains("&#60;b&#62;"));
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

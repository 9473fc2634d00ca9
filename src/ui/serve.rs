//! Prints the output of `sessiontut serve`: the URL to standard output, notes and the access log to standard
//! error.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::writer;
use crate::redis_client::fault::RedisFault;
use crate::sanitize;
use crate::serve::LogEntry;

/// Prints the only line on standard output, which shows that the server is ready.
pub(crate) fn ready(line: &str) {
    // The server keeps running even if standard output is closed.
    super::told(line);
    let _ = io::stdout().flush();
}

/// The maximum number of log lines that wait to be written.
const MOST_WAITING: usize = 1024;
/// The maximum time that the program waits before it exits, so that all log lines are written.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

/// Prints messages as text or as one JSON object per line, and the access log as JSON.
///
/// A separate thread writes JSON lines, so the server keeps running if the reader stops reading.
#[derive(Clone)]
pub(crate) struct Log(Option<Arc<Queue>>);

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<String>,
    /// The number of lines that were dropped because the queue was full.
    dropped: u64,
    is_writing: bool,
}

impl Log {
    pub(crate) fn text() -> Self {
        Self(None)
    }

    pub(crate) fn json() -> Self {
        let queue = Arc::new(Queue::default());
        let writer = Arc::clone(&queue);
        thread::spawn(move || writer.write());
        Self(Some(queue))
    }

    /// Prints a message that does not belong to a request.
    pub(crate) fn note(&self, text: &str) {
        match &self.0 {
            None => super::note(text),
            Some(queue) => queue.add(&note(text)),
        }
    }

    /// Prints why Redis is unavailable.
    pub(crate) fn fault(&self, fault: &RedisFault) {
        for line in super::fault_lines(fault) {
            self.note(&line);
        }
    }

    /// Logs a request in a JSON log. In a text log, does nothing.
    pub(crate) fn request(&self, entry: &LogEntry) {
        if let Some(queue) = &self.0 {
            queue.add(&request(entry));
        }
    }

    /// Waits until all log lines have been written, but no longer than [`FINISH_WITHIN`].
    pub(crate) fn finish(&self) {
        if let Some(queue) = &self.0 {
            let is_busy = |waiting: &mut Waiting| {
                waiting.is_writing || !waiting.lines.is_empty() || waiting.dropped > 0
            };
            let _ = queue
                .changed
                .wait_timeout_while(queue.waiting(), FINISH_WITHIN, is_busy);
        }
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, entry: &Value) {
        let line = writer::json(entry, false);
        let mut waiting = self.waiting();
        if waiting.lines.len() < MOST_WAITING {
            waiting.lines.push_back(line);
        } else {
            waiting.dropped += 1;
        }
        self.changed.notify_all();
    }

    fn write(&self) {
        loop {
            let waiting = self.waiting();
            let is_idle = |waiting: &mut Waiting| waiting.lines.is_empty() && waiting.dropped == 0;
            let waiting = self.changed.wait_while(waiting, is_idle);
            let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
            let line = waiting
                .lines
                .pop_front()
                .unwrap_or_else(|| writer::json(&dropped(std::mem::take(&mut waiting.dropped)), false));
            waiting.is_writing = true;
            drop(waiting);
            writer::err_json(&line);
            self.waiting().is_writing = false;
            self.changed.notify_all();
        }
    }
}

fn note(text: &str) -> Value {
    json!({ "event": "note", "time": now(SystemTime::now()), "text": sanitize::line(text) })
}

/// Returns the log line that replaces `count` dropped lines.
fn dropped(count: u64) -> Value {
    let mut entry = note("the reader of the log was too slow, so lines were dropped");
    entry["dropped"] = count.into();
    entry
}

/// Returns the log line for a request, whose path and method are already printable ASCII.
fn request(entry: &LogEntry) -> Value {
    json!({
        "event": "request",
        "time": now(entry.at),
        "peer": entry.peer.to_string(),
        "method": entry.method,
        "path": entry.path,
        "status": entry.status,
        "bytes": entry.bytes,
        "us": u64::try_from(entry.took.as_micros()).unwrap_or(u64::MAX),
    })
}

/// Returns the seconds since 1970, with milliseconds.
fn now(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_do_not_fit_are_counted() {
        let queue = Queue::default();
        for number in 0..MOST_WAITING + 3 {
            queue.add(&json!(number));
        }
        let waiting = queue.waiting();
        assert_eq!((waiting.lines.len(), waiting.dropped), (MOST_WAITING, 3));
        assert_eq!(dropped(3)["dropped"], 3);
    }
}

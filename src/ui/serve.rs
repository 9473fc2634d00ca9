//! Output of `sessiontut serve`: the URL on standard output, notes and the access log on standard error.

use std::io::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::{whole_note, writer};
use crate::cli::LogFormat;
use crate::redis_client::fault::RedisFault;
use crate::serve::LogEntry;

/// Prints the only line on standard output, which shows that the server is ready.
pub(crate) fn ready(line: &str) {
    // The server keeps running even if standard output is closed.
    super::told(line);
    let _ = io::stdout().flush();
}

/// Prints a message that does not belong to a request: as text, or as one JSON object per line.
pub(crate) fn note(log: Option<LogFormat>, text: &str) {
    match log {
        None => super::note(text),
        Some(LogFormat::Json) => {
            let note = json!({ "event": "note", "time": now(SystemTime::now()), "text": text });
            whole_note(&writer::json(&note, false));
        }
    }
}

/// Prints why Redis is unavailable.
pub(crate) fn fault(log: Option<LogFormat>, fault: &RedisFault) {
    for line in super::fault_lines(fault) {
        note(log, &line);
    }
}

/// Logs a request as one line of JSON.
pub(crate) fn request(entry: &LogEntry) {
    let entry = json!({
        "event": "request",
        "time": now(entry.at),
        "peer": entry.peer.to_string(),
        "method": entry.method.as_str(),
        "path": entry.path,
        "status": entry.status,
        "bytes": entry.bytes,
        "us": u64::try_from(entry.took.as_micros()).unwrap_or(u64::MAX),
    });
    whole_note(&writer::json(&entry, false));
}

/// Returns the seconds since 1970, with milliseconds.
fn now(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1000.0).round() / 1000.0
}

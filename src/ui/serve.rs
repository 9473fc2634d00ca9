//! Output of `sessiontut serve`: the URL on standard output, notes and the access log on standard error.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use dialoguer::console::Term;
use serde_json::json;

use super::window;
use crate::cli::LogFormat;
use crate::redis_client::fault::RedisFault;
use crate::sanitize;
use crate::serve::LogEntry;

/// Prints the one line on standard output: the server is ready.
pub(crate) fn ready(line: &str) {
    // Keep serving even if the reader of standard output is gone.
    super::told(line);
    let _ = io::stdout().flush();
}

/// Prints a message that does not belong to a request: as text, or as one JSON object per line.
pub(crate) fn note(log: Option<LogFormat>, text: &str) {
    match log {
        None => {
            let columns = window::columns(&Term::stderr());
            line(&window::lines(&sanitize::line(text), columns).join("\n"));
        }
        Some(LogFormat::Json) => {
            line(&json!({ "event": "note", "time": now(SystemTime::now()), "text": text }).to_string());
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
    line(&entry.to_string());
}

/// Seconds since 1970, with milliseconds.
fn now(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 fit into 53 bits"
    )]
    let milliseconds = since.as_millis() as f64;
    milliseconds / 1000.0
}

fn line(text: &str) {
    // One write per line, so that lines of several threads never mix.
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

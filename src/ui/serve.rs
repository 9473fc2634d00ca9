//! What `sessiontut serve` says: the address to open on standard output, notes and the access log on standard error.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use dialoguer::console::Term;
use serde_json::json;

use super::window;
use crate::sanitize;
use crate::serve::{Fault, LogEntry};

/// How notes and requests are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogStyle {
    /// Notes as text, requests not at all.
    Notes,
    /// A JSON object a line, for notes and for requests.
    Json,
}

/// The one line on standard output: the server is ready.
pub(crate) fn ready(line: &str) {
    // A reader that has gone away is no reason to stop serving.
    super::told(line);
    let _ = io::stdout().flush();
}

/// A line about something that happens outside of any request.
pub(crate) fn note(style: LogStyle, text: &str) {
    match style {
        LogStyle::Notes => {
            let columns = window::columns(&Term::stderr());
            line(&window::lines(&sanitize::line(text), columns).join("\n"));
        }
        LogStyle::Json => {
            line(&json!({ "event": "note", "time": now(SystemTime::now()), "text": text }).to_string());
        }
    }
}

/// Redis does not serve us: ping's verdict.
pub(crate) fn fault(style: LogStyle, fault: &Fault) {
    note(style, &format!("{} ({})", fault.summary, fault.code));
    for fact in &fault.evidence {
        note(style, &format!("  {fact}"));
    }
    for fix in &fault.fixes {
        match &fix.command {
            Some(command) => note(style, &format!("  {}: `{command}`", fix.text)),
            None => note(style, &format!("  {}", fix.text)),
        }
    }
}

/// A request, as a line of JSON.
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

/// Seconds since 1970, to the millisecond.
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
    // One write a line, so that lines of several threads never mix.
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

//! The only place where text leaves the program. Every line passes through [`shown`].

use std::io::{self, Write as _};

use serde_json::Value;

use crate::sanitize;

/// Returns the text as it may be written to a terminal or a file: without control characters, except for line ends,
/// tabs, and the colours of this program.
pub(super) fn shown(text: &str) -> String {
    sanitize::painted(text).into_owned()
}

/// Writes lines to standard output.
///
/// # Errors
/// Returns an error if standard output is closed.
pub(super) fn out(lines: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(format!("{}\n", shown(lines)).as_bytes())?;
    out.flush()
}

/// Writes lines to standard error. One write, so that the lines of several threads never mix.
pub(super) fn err(lines: &str) {
    // Nothing can be reported if standard error is closed.
    let _ = io::stderr().write_all(format!("{}\n", shown(lines)).as_bytes());
}

/// Returns a JSON value as text. Control characters in its strings are escaped as JSON requires or allows.
pub(super) fn json(value: &Value, is_indented: bool) -> String {
    let text = if is_indented {
        format!("{value:#}")
    } else {
        value.to_string()
    };
    sanitize::json(&text).into_owned()
}

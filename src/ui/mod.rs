//! The only place that prints, colours, prompts and draws.
//!
//! Standard output is the answer; standard error is progress and notes.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::sanitize;

mod highlight;
pub mod learn;
pub mod markdown;
pub mod ping;
pub mod prompt;
pub mod serve;

/// Prints a fault and its causes on standard error, in one line.
pub fn error(fault: &anyhow::Error) {
    eprintln!("sessiontut: {}", sanitize::line(&format!("{fault:#}")));
}

/// Prints one line of the answer. A reader that has gone away (`| head -1`) is no fault of ours.
pub fn answer(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints one line beside the answer, on standard error.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Says what is wrong with the command line, in one line.
pub fn usage(words: &str) {
    note(&format!("sessiontut: {}", sanitize::line(words)));
}

/// Waits for `span`: a bar on a terminal, nothing elsewhere.
pub async fn countdown(what: &str, span: Duration) {
    let bar = ProgressBar::new(span.as_secs());
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    // The template is a constant of ours; should it ever be wrong, the default one serves.
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} s") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    for second in 0..=span.as_secs() {
        bar.set_position(second);
        let left = span.saturating_sub(Duration::from_secs(second));
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
    }
    bar.finish_and_clear();
}

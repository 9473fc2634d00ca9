//! The only place that prints, colours, prompts and draws.
//!
//! Standard output is the answer; standard error is progress and notes.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use crate::sanitize;

mod highlight;
pub mod learn;
pub mod markdown;
pub mod prompt;
pub mod serve;

/// Prints a fault and its causes on standard error, in one line.
pub fn error(fault: &anyhow::Error) {
    eprintln!("sessiontut: {}", sanitize::line(&format!("{fault:#}")));
}

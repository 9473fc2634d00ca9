//! Parses the command line, runs the command, prints its error, and exits with its status.

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let outcome = sessiontut::parse(&words).and_then(sessiontut::run);
    let exit = outcome.unwrap_or_else(|error| sessiontut::report_for(&words, &error));
    exit.into()
}

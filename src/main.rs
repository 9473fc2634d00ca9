//! Parses the command line and runs the command. If the command fails, prints the error. Exits with the
//! command's status.

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let outcome = sessiontut::parse(&words).and_then(sessiontut::run);
    let exit = outcome.unwrap_or_else(|error| sessiontut::report_for(&words, &error));
    exit.into()
}

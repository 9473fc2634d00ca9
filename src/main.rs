//! Parses the command line, runs the command, prints its error, and exits with its status.

use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = sessiontut::parse(std::env::args_os()).and_then(sessiontut::run);
    let exit = outcome.unwrap_or_else(|error| sessiontut::report(&error));
    exit.into()
}

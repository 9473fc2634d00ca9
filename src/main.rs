//! Parses the command line, dispatches, and maps the result to an exit status.

use std::process::ExitCode;

use clap::Parser;
use sessiontut::Cli;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => sessiontut::run(cli),
        Err(answer) => sessiontut::parsed(&answer),
    }
    .into()
}

//! Parses the command line, dispatches, and maps the result to an exit status.

use std::process::ExitCode;

use clap::Parser;
use sessiontut::cli::Cli;
use sessiontut::{commands, ui};

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => commands::run(cli),
        Err(answer) => ui::parsed(&answer),
    }
    .into()
}

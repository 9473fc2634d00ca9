//! Parses the command line, dispatches, and maps the result to an exit status.

use std::process::ExitCode;

use clap::Parser;
use sessiontut::cli::Cli;
use sessiontut::commands;

fn main() -> ExitCode {
    let cli = Cli::parse();
    commands::run(cli).into()
}

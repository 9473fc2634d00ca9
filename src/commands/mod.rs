//! The subcommands, one file each: parse the arguments, do the job, and turn its result into an exit status.

mod chosen;
mod drill;
mod error;
mod learn;
mod menu;
mod ping;
mod practice;
mod serve;
mod session;

use std::ffi::OsString;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::ui;
pub use error::Error;

/// Parses the command line.
///
/// # Errors
/// [`Error::CommandLine`]; `--help` and `--version` are among them, with exit status 0.
pub fn parse<W: Into<OsString> + Clone>(words: impl IntoIterator<Item = W>) -> Result<Cli, Error> {
    Cli::try_parse_from(words).map_err(Error::from)
}

/// Runs a subcommand, or shows the menu if none was given.
///
/// # Errors
/// Whatever kept the command from doing its job. It has not been printed yet: see [`report`].
pub fn run(cli: Cli) -> Result<Exit, Error> {
    match cli.command {
        Some(Command::Learn(args)) => learn::run(&args),
        Some(Command::Ping(args)) => ping::run(&args),
        Some(Command::Practice(args)) => practice::run(args),
        Some(Command::Drill(args)) => drill::run(&args),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Login(args)) => session::login(&args),
        Some(Command::Visits(args)) => session::visits(&args),
        Some(Command::Expire(args)) => session::expire(&args),
        Some(Command::Session(args)) => session::session(&args),
        Some(Command::Logout(args)) => session::logout(&args),
        Some(Command::Completions { shell }) => Ok(ui::completions(shell)),
        None => menu::run(),
    }
}

/// Prints an error, and returns the exit status that goes with it.
#[must_use]
pub fn report(error: &Error) -> Exit {
    ui::error(error);
    error.exit()
}

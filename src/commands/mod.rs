//! One file a subcommand: from its arguments to the job behind it, and from the job's result to an exit status.

mod chosen;
mod drill;
mod learn;
mod menu;
mod ping;
mod practice;
mod serve;
mod session;

use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::ui;

/// Runs the subcommand that was asked for.
#[must_use]
pub fn run(cli: Cli) -> Exit {
    let outcome = match cli.command {
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
        None => Ok(menu::run()),
    };
    outcome.unwrap_or_else(|fault| {
        ui::error(&fault);
        Exit::No
    })
}

//! The command line. Each subcommand defines its arguments in its own file in `src/commands/`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::check::CheckArgs;
use super::drill::DrillArgs;
use super::learn::LearnArgs;
use super::ping::PingArgs;
use super::practice::PracticeArgs;
use super::serve::ServeArgs;
use super::session::{ExpireArgs, LoginArgs, StepArgs, VisitsArgs};
use super::values::suggesting;
use crate::ping::causes::Cause;

/// Learn how server-side sessions in Redis work, and find out why a Redis connection fails.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// Subcommand to run (without one: a menu on a terminal, this help elsewhere)
    #[command(subcommand)]
    pub command: Option<Command>,
}

const AFTER_HELP: &str = "\
Environment:
  REDIS_URL       Redis to use (default: the built-in practice Redis)
  REDISCLI_AUTH   Password to use if the URL has none
  REDIS_HOST      Host for `ping` if REDIS_URL is not set; `ping` then also reads REDIS_PORT,
                  REDIS_USERNAME, REDIS_PASSWORD and REDIS_TLS
  NO_COLOR        Set this variable to turn off colours

`sessiontut --version --verbose` prints the details to include in a bug report.

Exit status: 0 success · 1 failure · 2 wrong option or URL · 3 DNS failed · 4 TCP failed
             5 TLS failed · 6 login failed · 7 server unusable · 130 interrupted";

/// The subcommands, in the order of the help.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Test the connection to Redis, and if it fails, report the cause
    Ping(PingArgs),
    /// Take the lessons, starting where you left off
    Learn(LearnArgs),
    /// Simulate a login: create a session, and show its cookie and its Redis hash
    Login(LoginArgs),
    /// Count a visit: run HINCRBY on the current session
    Visits(VisitsArgs),
    /// Set a short TTL on the current session, and show the countdown
    Expire(ExpireArgs),
    /// Show the cookie, Redis hash and TTL of the current session (the TTL is not reset)
    Session(StepArgs),
    /// Log out: delete the current session
    Logout(StepArgs),
    /// Run the example app from the lessons, and use it in your browser
    Serve(ServeArgs),
    /// Grade your own app: visit its pages, and check its Redis commands
    Check(CheckArgs),
    /// Run the built-in practice Redis as a server for other programs
    Practice(PracticeArgs),
    /// Practise finding the fault in a server that is broken on purpose
    Drill(DrillArgs),
    /// Explain a cause or warning that `ping` reports
    Explain {
        /// Code, for example tcp.timeout (`sessiontut ping --codes` lists all codes)
        #[arg(hide_possible_values = true, value_parser = suggesting(|| Cause::ALL.iter().map(|cause| cause.code()).collect()))]
        code: String,
    },
    /// Print the completion script for a shell
    Completions {
        /// Shell to print the script for
        shell: clap_complete::Shell,
    },
    /// Print the details to include in a bug report, like `--version --verbose`
    #[command(hide = true)]
    Version,
    /// Write the man pages, one for each subcommand, to a folder
    #[command(hide = true)]
    Man {
        /// Folder for the man pages; it is created if it does not exist
        folder: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::DEFAULT_TIMEOUT;
    use crate::session::DEFAULT_MAX_AGE;

    #[test]
    fn defaults_are_those_of_the_other_commands() {
        let command = |words: &str| Cli::parse_from(words.split(' ')).command;
        let Some(Command::Ping(ping)) = command("sessiontut ping") else {
            panic!("not ping");
        };
        assert_eq!(ping.timeout, DEFAULT_TIMEOUT);
        let Some(Command::Serve(serve)) = command("sessiontut serve") else {
            panic!("not serve");
        };
        assert_eq!(serve.max_age, DEFAULT_MAX_AGE);
    }
}

//! The subcommands, one per file. Each subcommand processes its arguments, does its work, and returns an exit
//! status.

mod check;
mod chosen;
mod cli;
mod drill;
mod explain;
mod guest;
mod learn;
mod man;
mod ping;
mod practice;
mod serve;
mod session;
mod values;
mod version;

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};

use crate::error::Error;
use crate::exit::Exit;
use crate::ping::report::json;
use crate::redis_url::Target;
use crate::signals::Stop;
use crate::ui;
use crate::ui::menu::{KeyReader, Menu, Selected};
pub use cli::Cli;
use cli::Command;

/// Parses the command line.
///
/// # Errors
/// Returns [`Error::CommandLine`] for an invalid command line, and for `--help` and `--version`. The error
/// for `--help` or `--version` has exit status 0.
pub fn parse<W: Into<OsString> + Clone>(words: impl IntoIterator<Item = W>) -> Result<Cli, Error> {
    #[cfg(unix)]
    crate::os::memory::require();
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    mask_passwords_of(&words);
    ui::set_cli(Cli::command);
    if words.len() == 3 && words[1] == "--version" && words[2] == "--verbose" {
        return Ok(Cli {
            command: Some(Command::Version),
        });
    }
    Cli::try_parse_from(&words).map_err(|error| with_ttl_suggested(error, &words).into())
}

/// Suggests `--ttl` after an unexpected number, as in `expire 5`, if the command has this option.
fn with_ttl_suggested(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let unexpected = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if error.kind() == ErrorKind::UnknownArgument => word.clone(),
        _ => return error,
    };
    let cli = Cli::command();
    let mut commands = words.iter().filter_map(|word| cli.find_subcommand(word));
    let has_ttl = |command: &clap::Command| command.get_arguments().any(|arg| arg.get_id() == "ttl");
    if unexpected.parse::<u32>().is_ok() && commands.next().is_some_and(has_ttl) {
        let tip = StyledStr::from(format!("to set the TTL, use '--ttl {unexpected}'"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

/// Masks the passwords of URLs on the command line, because an error message may repeat any argument.
fn mask_passwords_of(words: &[OsString]) {
    for word in words.iter().filter_map(|word| word.to_str()) {
        let url = word.strip_prefix("--redis=").unwrap_or(word);
        if url.contains("://") {
            // Parsing a URL masks its password. The command itself reports an invalid URL.
            drop(Target::parse(url));
        }
    }
}

/// Runs a subcommand, or shows the menu if none was given.
///
/// # Errors
/// Returns the reason for the failure. The caller must print the reason with `report`.
pub fn run(cli: Cli) -> Result<Exit, Error> {
    run_command(cli).map(ui::check_output)
}

fn run_command(cli: Cli) -> Result<Exit, Error> {
    match cli.command {
        Some(Command::Learn(args)) => learn::run(&args),
        Some(Command::Ping(args)) => ping::run(&args),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Practice(args)) => practice::run(&args),
        Some(Command::Drill(args)) => drill::run(&args),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Login(args)) => session::login(&args),
        Some(Command::Visits(args)) => session::visits(&args),
        Some(Command::Expire(args)) => session::expire(&args),
        Some(Command::Session(args)) => session::session(&args),
        Some(Command::Logout(args)) => session::logout(&args),
        Some(Command::Explain { code }) => explain::run(&code),
        Some(Command::Completions { shell }) => Ok(ui::completions(shell)),
        Some(Command::Version) => Ok(version::run()),
        Some(Command::Man { folder }) => man::run(&folder),
        None => menu(),
    }
}

/// The menu items, each a subcommand and a description.
const MENU: [(&str, &str); 6] = [
    ("learn", "take the lessons, starting where you left off"),
    ("ping", "find out whether Redis is reachable, and if not, why"),
    ("serve", "see the finished app in a browser"),
    ("check", "have your own app graded"),
    ("drill", "practise diagnosing a broken endpoint"),
    ("help", "show all commands"),
];

/// Shows the menu on a terminal, and the help elsewhere.
fn menu() -> Result<Exit, Error> {
    if !ui::is_interactive() {
        return Ok(ui::help(Exit::Usage));
    }
    let stop = Stop::on_signals()?;
    ui::told_behind("Redis: ", &redis());
    let items = MENU.map(|(command, about)| (format!("{command:<7}"), about));
    let menu = Menu {
        prompt: "Press a letter, or use the arrow keys and Enter:",
        items: &items,
        keys: &[('q', "quit")],
        first: Some(0),
    };
    let mut keys = KeyReader::default();
    loop {
        let Selected::Item(index) = ui::menu::select(&menu, &mut keys, &stop)? else {
            return Ok(Exit::Ok);
        };
        match MENU[index].0 {
            "help" => ui::learn::page_help(&stop)?,
            // Parse the choice like a typed command line, so that every option has its default.
            command => return parse(["sessiontut", command]).and_then(run),
        }
    }
}

fn redis() -> String {
    match std::env::var("REDIS_URL") {
        Ok(url) => Target::parse(&url).map_or_else(
            |_| "REDIS_URL is not a valid Redis URL; `sessiontut ping` shows why".to_owned(),
            |target| format!("{target} (REDIS_URL)"),
        ),
        Err(_) => "the built-in practice Redis (export REDIS_URL to use yours)".to_owned(),
    }
}

/// Prints an error, and returns its exit status.
pub(crate) fn report(error: &Error) -> Exit {
    ui::error(error);
    error.exit()
}

/// Prints an error, and returns its exit status. If the error is a usage error of `ping --json`, prints it as
/// JSON as well.
#[must_use]
pub fn report_for(words: &[OsString], error: &Error) -> Exit {
    let is_given = |word: &str| words.iter().any(|given| given == word);
    if error.exit() == Exit::Usage && is_given("ping") && is_given("--json") {
        ui::ping::json(&json::render_usage(&ui::usage_message(error)));
    }
    report(error)
}

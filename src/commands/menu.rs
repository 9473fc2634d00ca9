//! `sessiontut` without a subcommand: a menu on a terminal, the help elsewhere.

use super::Error;
use crate::exit::Exit;
use crate::redis_url::Target;
use crate::signals::Stop;
use crate::ui::{self, menu::Item};

const ITEMS: [Item; 5] = [
    item("learn", "take the lessons, starting where you left off"),
    item("ping", "find out whether Redis is reachable, and if not, why"),
    item("serve", "run the finished app in a browser"),
    item("drill", "practise diagnosing a broken endpoint"),
    item("help", "show all commands"),
];

const fn item(command: &'static str, about: &'static str) -> Item {
    Item { command, about }
}

pub(super) fn run() -> Result<Exit, Error> {
    if !ui::is_interactive() {
        return Ok(ui::help(Exit::Usage));
    }
    let stop = Stop::on_signals()?;
    match ui::menu::choose(&redis(), &ITEMS, &stop)? {
        None => Ok(Exit::Ok),
        Some(item) if item.command == "help" => Ok(ui::help(Exit::Ok)),
        // Parsed like a typed command line, so that every option has its default.
        Some(item) => super::parse(["sessiontut", item.command]).and_then(super::run),
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

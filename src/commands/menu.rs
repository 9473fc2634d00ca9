//! A bare `sessiontut`: on a terminal a menu of what one can do next, elsewhere the help.

use super::Error;
use crate::exit::Exit;
use crate::redis_url::Target;
use crate::ui::{self, menu::Item};

const ITEMS: [Item; 5] = [
    item('l', "learn", "lessons, step by step; goes on where you left"),
    item('p', "ping", "is Redis reachable, and if not, why?"),
    item('s', "serve", "the finished app in a browser"),
    item('d', "drill", "a broken endpoint: can you name what is wrong?"),
    item('h', "help", "all commands"),
];

const fn item(key: char, command: &'static str, about: &'static str) -> Item {
    Item { key, command, about }
}

pub(super) fn run() -> Result<Exit, Error> {
    if !ui::menu::is_possible() {
        return Ok(ui::help(Exit::Usage));
    }
    match ui::menu::choose(&redis(), &ITEMS) {
        Ok(Some(item)) if item.command == "help" => Ok(ui::help(Exit::Ok)),
        // As if it had been typed, so that every option has its default.
        Ok(Some(item)) => super::parse(["sessiontut", item.command]).and_then(super::run),
        Ok(None) => Ok(Exit::Ok),
        Err(_) => Err(Error::Interrupted),
    }
}

fn redis() -> String {
    match std::env::var("REDIS_URL") {
        Ok(url) => Target::parse(&url).map_or_else(
            |_| "REDIS_URL holds something that is not a Redis URL; `ping` says what".to_owned(),
            |target| format!("{target} (REDIS_URL)"),
        ),
        Err(_) => "the built-in practice Redis (export REDIS_URL to use yours)".to_owned(),
    }
}

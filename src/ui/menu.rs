//! What a bare `sessiontut` shows on a terminal: what one can do next, by a single key.

use std::io::IsTerminal as _;

use colored::Colorize as _;
use dialoguer::console::{Key, Term};

use super::{prompt, window};
use crate::learn::stop::{Interrupted, Stop};

/// A line of the menu.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    /// The key that chooses it.
    pub key: char,
    /// The subcommand behind it.
    pub command: &'static str,
    /// What it does.
    pub about: &'static str,
}

/// Whether somebody sits in front of a terminal, who can choose.
#[must_use]
pub(crate) fn is_possible() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Shows the menu and waits for a key: an item's own, Enter for the first one, or `q` for none.
///
/// # Errors
/// [`Interrupted`] by Ctrl-C or the end of the input.
pub(crate) fn choose(redis: &str, items: &[Item]) -> Result<Option<Item>, Interrupted> {
    let term = Term::stdout();
    let columns = Some(window::width(&term));
    let mut lines = window::fitted("Redis: ", redis, columns);
    lines.push(String::new());
    for item in items {
        let lead = format!("  {}  {:<9}", item.key.to_string().bold(), item.command);
        lines.extend(window::fitted(&lead, item.about, columns));
    }
    lines.push(format!("  {}  quit", "q".bold()));
    lines.push(String::new());
    let first = items.first().map_or("", |item| item.command);
    let shown = term
        .write_line(&lines.join("\n"))
        .and_then(|()| term.write_str(&format!("a key, or Enter for {first}: ")));
    if shown.is_err() {
        return Err(Interrupted);
    }
    let chosen = wait_for_key(&term, items);
    let _ = term.write_line("");
    chosen
}

fn wait_for_key(term: &Term, items: &[Item]) -> Result<Option<Item>, Interrupted> {
    // The signals keep what they do for the command that follows.
    let stop = Stop::without_signals().map_err(|_| Interrupted)?;
    loop {
        let key = match prompt::key(term, &stop)? {
            Key::Enter => return Ok(items.first().copied()),
            Key::Escape => return Ok(None),
            Key::Char(key) => key.to_ascii_lowercase(),
            _ => continue,
        };
        if key == 'q' {
            return Ok(None);
        }
        if let Some(item) = items.iter().find(|item| item.key == key) {
            return Ok(Some(*item));
        }
    }
}

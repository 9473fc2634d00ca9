//! Menus.

use std::io;
use std::io::IsTerminal as _;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use dialoguer::Select;
use dialoguer::console::Term;

use super::echo::TerminalModes;
use super::{told_behind, window};
use crate::signals::{Interrupted, Stop};

/// How often a menu checks for a signal.
const SIGNAL_CHECK: Duration = Duration::from_millis(100);
/// Columns of the mark before the selected item.
const MARK: usize = 2;

/// An item of the main menu: a subcommand and what it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) command: &'static str,
    pub(crate) about: &'static str,
}

/// Whether standard input and output are a terminal.
#[must_use]
pub(crate) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Shows the main menu; returns `None` for `q` or Esc.
///
/// # Errors
/// Ctrl-C, a signal, or a closed terminal.
pub(crate) fn choose<'i>(
    redis: &str,
    items: &'i [Item],
    stop: &Stop,
) -> Result<Option<&'i Item>, Interrupted> {
    told_behind("Redis: ", redis);
    let rows = items
        .iter()
        .map(|item| (format!("{:<7}", item.command), item.about));
    let chosen = select("Choose with arrows and Enter (q quits)", rows, stop)?;
    Ok(chosen.and_then(|index| items.get(index)))
}

/// Lets the user select one of the items, each a name and a text; returns its index, or `None` for `q` or Esc.
///
/// # Errors
/// Ctrl-C, a signal, or a closed terminal.
pub(crate) fn select<'i>(
    prompt: &str,
    items: impl Iterator<Item = (String, &'i str)>,
    stop: &Stop,
) -> Result<Option<usize>, Interrupted> {
    let columns = window::width(&Term::stdout()) - MARK;
    let margin = format!("\n{}", " ".repeat(MARK));
    let items: Vec<String> = items
        .map(|(name, text)| window::fitted(&format!("{name} "), text, Some(columns)).join(&margin))
        .collect();
    let prompt = prompt.to_owned();
    interruptible(stop, move || {
        let menu = Select::new().with_prompt(prompt).report(false);
        menu.items(items).default(0).interact_on_opt(&Term::stdout())
    })
}

/// Waits for the answer to a question, or for a signal: dialoguer would notice no other than Ctrl-C.
fn interruptible(
    stop: &Stop,
    ask: impl FnOnce() -> dialoguer::Result<Option<usize>> + Send + 'static,
) -> Result<Option<usize>, Interrupted> {
    let _restored = TerminalModes::save();
    let (sender, answer) = mpsc::channel();
    thread::spawn(move || sender.send(ask()));
    let answer = loop {
        match answer.recv_timeout(SIGNAL_CHECK) {
            Ok(answer) => break answer.map_err(|_| Interrupted),
            Err(RecvTimeoutError::Timeout) if !stop.is_asked() => {}
            Err(_) => break Err(Interrupted),
        }
    };
    if answer.is_err() {
        // A closed terminal needs no cursor.
        let _ = Term::stdout().show_cursor();
    }
    answer
}

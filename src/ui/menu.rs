//! Menus. Unlike those of dialoguer, they end when a signal arrives, and have a letter or a number for each item.

use colored::Colorize as _;
use dialoguer::console::Term;

use super::prompt::{self, Key, WithoutEcho};
use super::{answer, window};
use crate::signals::{Interrupted, Stop};

/// Columns of the mark before the selected item.
const MARK: usize = 2;

/// Lets the user select an item with the arrow keys and Enter, or with the first character of its name. Each item is
/// a name and a text. Returns the index of the item, or `None` for `q` or Esc.
///
/// # Errors
/// Returns [`Interrupted`] on Ctrl-C, on a signal, or if the terminal is closed.
pub(crate) fn select(
    prompt: &str,
    items: &[(String, &str)],
    stop: &Stop,
) -> Result<Option<usize>, Interrupted> {
    let term = Term::stdout();
    let _without_echo = WithoutEcho::start();
    let mut selected = 0;
    loop {
        let rows = rows(prompt, items, selected, window::width(&term));
        rows.iter().for_each(|row| answer(row));
        let key = prompt::key(stop);
        // If the terminal has been closed, there is nothing to clear.
        let _ = term.clear_last_lines(rows.len());
        match key? {
            Key::Up => selected = selected.checked_sub(1).unwrap_or(items.len() - 1),
            Key::Down | Key::Tab => selected = (selected + 1) % items.len(),
            Key::Enter => return Ok(Some(selected)),
            Key::Esc | Key::Char('q' | 'Q') => return Ok(None),
            Key::Char(typed) => {
                let typed = typed.to_ascii_lowercase();
                let chosen = items.iter().position(|(name, _)| name.starts_with(typed));
                if chosen.is_some() {
                    return Ok(chosen);
                }
            }
            _ => {}
        }
    }
}

/// Returns the lines of a menu that is `columns` wide.
fn rows(prompt: &str, items: &[(String, &str)], selected: usize, columns: usize) -> Vec<String> {
    let mut rows = window::lines(prompt, Some(columns));
    for (index, (name, text)) in items.iter().enumerate() {
        let mut mark = if index == selected {
            ">".green()
        } else {
            " ".normal()
        };
        for line in window::fitted(&format!("{name} "), text, Some(columns - MARK)) {
            rows.push(format!("{mark} {line}"));
            mark = " ".normal();
        }
    }
    rows.push("  q quit".dimmed().to_string());
    rows
}

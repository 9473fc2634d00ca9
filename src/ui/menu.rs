//! Menus. Unlike the menus of dialoguer, they end when a signal arrives, and each item has a letter or
//! number.

use colored::Colorize as _;
use dialoguer::console::{Term, measure_text_width};

use super::prompt::{Key, KeyReader, Press, TEXT_IGNORED, WithoutEcho};
use super::{answer, window};
use crate::signals::{Interrupted, Stop};

/// The width in columns of the mark before the selected item.
const MARK: usize = 2;

/// A menu: a question, items with a name and a description, and additional keys with descriptions. One of
/// these keys is always `q`.
pub(crate) struct Menu<'a> {
    pub prompt: &'a str,
    pub items: &'a [(String, &'a str)],
    pub keys: &'a [(char, &'a str)],
}

/// What the user selected in a menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selected {
    /// The index of an item.
    Item(usize),
    /// One of the additional keys.
    Key(char),
    Quit,
}

/// Lets the user select an item with the arrow keys and Enter or with the first character of its name, or
/// press one of the additional keys.
///
/// # Errors
/// Returns [`Interrupted`] after Ctrl-C or a signal, or if the terminal is closed.
pub(crate) fn select(menu: &Menu<'_>, stop: &Stop) -> Result<Selected, Interrupted> {
    let Menu { items, keys, .. } = menu;
    let term = Term::stdout();
    let _without_echo = WithoutEcho::start();
    let mut reader = KeyReader::default();
    let mut selected = 0;
    let mut message = None;
    loop {
        let rows = rows(menu, selected, message, window::width(&term));
        rows.iter().for_each(|row| answer(row));
        let press = reader.read(stop);
        clear(&term, &rows);
        message = None;
        match press? {
            Press::Key(Key::Up) => selected = selected.checked_sub(1).unwrap_or(items.len() - 1),
            Press::Key(Key::Down | Key::Tab) => selected = (selected + 1) % items.len(),
            Press::Key(Key::Enter) => return Ok(Selected::Item(selected)),
            Press::Key(Key::Esc | Key::Char('q' | 'Q')) => return Ok(Selected::Quit),
            Press::Key(Key::Char(typed)) => {
                let typed = typed.to_ascii_lowercase();
                if let Some(item) = items.iter().position(|(name, _)| name.starts_with(typed)) {
                    return Ok(Selected::Item(item));
                }
                if keys.iter().any(|(key, _)| *key == typed) {
                    return Ok(Selected::Key(typed));
                }
                message = Some("not a key here");
            }
            Press::Text => message = Some(TEXT_IGNORED),
            _ => {}
        }
    }
}

/// Clears the menu. Takes into account that the terminal has wrapped rows if the window has become narrower.
fn clear(term: &Term, rows: &[String]) {
    let columns = usize::from(term.size().1).max(1);
    let shown = rows
        .iter()
        .map(|row| measure_text_width(row).div_ceil(columns).max(1));
    // If the terminal has been closed, there is nothing to clear.
    let _ = term.clear_last_lines(shown.sum());
}

/// Returns the lines of a menu that is `columns` wide.
fn rows(menu: &Menu<'_>, selected: usize, message: Option<&str>, columns: usize) -> Vec<String> {
    let mut rows = window::lines(menu.prompt, Some(columns));
    for (index, (name, text)) in menu.items.iter().enumerate() {
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
    let keys = menu.keys.iter().map(|(key, does)| format!("{key} {does}  "));
    let keys = format!("  {}q quit", keys.collect::<String>());
    rows.extend(
        window::lines(&keys, Some(columns))
            .iter()
            .map(|row| row.dimmed().to_string()),
    );
    if let Some(message) = message {
        rows.extend(window::fitted("! ", message, Some(columns)));
    }
    rows
}

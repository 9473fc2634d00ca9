//! Menus of items that are selected with a letter or a number. Unlike dialoguer's menus, they end when a
//! signal arrives.

use colored::Colorize as _;
use dialoguer::console::{Term, measure_text_width};

use super::prompt::{Key, Press, TEXT_IGNORED, WithoutEcho};
use super::{answer, window};
use crate::signals::{Interrupted, Stop};
pub(crate) use crate::ui::prompt::KeyReader;

/// The width in columns of the mark before the selected item.
const MARK: usize = 2;

/// The message if Enter is pressed while no item is selected.
const NOTHING_CHOSEN: &str = "press the number of an item, or select an item with the arrow keys first";

/// A menu: a question, items, and additional keys. Items and keys have descriptions. The key `q` always quits.
pub(crate) struct Menu<'a> {
    pub prompt: &'a str,
    pub items: &'a [(String, &'a str)],
    pub keys: &'a [(char, &'a str)],
    /// The index of the item that is selected at first, or `None` if no item is.
    pub first: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selected {
    /// The index of an item.
    Item(usize),
    /// One of the additional keys.
    Key(char),
    Esc,
    Quit,
}

/// Lets the user select an item or press one of the additional keys. Items are selected with the arrow keys
/// and Enter, or with the first character of their name.
///
/// Pass the same `reader` to successive menus, so that Enter directly after a number does not answer the next
/// menu. Returns [`Interrupted`] after Ctrl-C or a signal, or if the terminal is closed.
pub(crate) fn select(menu: &Menu<'_>, reader: &mut KeyReader, stop: &Stop) -> Result<Selected, Interrupted> {
    let Menu { items, keys, .. } = menu;
    let term = Term::stdout();
    let _without_echo = WithoutEcho::start();
    let mut selected = menu.first;
    let mut message = None;
    loop {
        let rows = rows(menu, selected, message, window::width(&term));
        rows.iter().for_each(|row| answer(row));
        let press = reader.read(stop);
        clear(&term, &rows);
        message = None;
        match press? {
            Press::Key(Key::Up) => {
                selected = Some(selected.unwrap_or(0).checked_sub(1).unwrap_or(items.len() - 1));
            }
            Press::Key(Key::Down | Key::Tab) => {
                selected = Some(selected.map_or(0, |selected| (selected + 1) % items.len()));
            }
            Press::Key(Key::Enter) => match selected {
                Some(selected) => return Ok(Selected::Item(selected)),
                None => message = Some(NOTHING_CHOSEN),
            },
            Press::Key(Key::Esc) => return Ok(Selected::Esc),
            Press::Key(Key::Char('q' | 'Q')) => return Ok(Selected::Quit),
            Press::Key(Key::Char(typed)) => {
                let typed = typed.to_ascii_lowercase();
                if let Some(item) = items.iter().position(|(name, _)| name.starts_with(typed)) {
                    reader.ignore_next_enter();
                    return Ok(Selected::Item(item));
                }
                if keys.iter().any(|(key, _)| *key == typed) {
                    return Ok(Selected::Key(typed));
                }
                message = Some("unknown key");
            }
            Press::Text(_) => message = Some(TEXT_IGNORED),
            _ => {}
        }
    }
}

/// Asks whether the user wants to leave `what`. Returns false if the user answers with Esc.
pub(crate) fn is_leaving(what: &str, reader: &mut KeyReader, stop: &Stop) -> Result<bool, Interrupted> {
    let menu = Menu {
        prompt: &format!("leave {what}?"),
        items: &[("y".to_owned(), "leave"), ("n".to_owned(), "stay")],
        keys: &[],
        first: Some(1),
    };
    let selected = select(&menu, reader, stop)?;
    Ok(matches!(selected, Selected::Item(0) | Selected::Quit))
}

/// Clears the menu, even if the terminal has wrapped its rows because the window has become narrower.
fn clear(term: &Term, rows: &[String]) {
    let columns = usize::from(term.size().1).max(1);
    let shown = rows
        .iter()
        .map(|row| measure_text_width(row).div_ceil(columns).max(1));
    // If the terminal has been closed, there is nothing to clear.
    let _ = term.clear_last_lines(shown.sum());
}

/// Returns the lines of a menu that is `columns` wide.
fn rows(menu: &Menu<'_>, selected: Option<usize>, message: Option<&str>, columns: usize) -> Vec<String> {
    let mut rows = window::lines(menu.prompt, Some(columns));
    for (index, (name, text)) in menu.items.iter().enumerate() {
        let mut mark = if Some(index) == selected {
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
    let keys = format!("  {}", keys.collect::<String>());
    if !menu.keys.is_empty() {
        let keys = window::lines(keys.trim_end(), Some(columns));
        rows.extend(keys.iter().map(|row| row.dimmed().to_string()));
    }
    if let Some(message) = message {
        rows.extend(window::fitted("! ", message, Some(columns)));
    }
    rows
}

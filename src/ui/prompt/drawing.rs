//! Draws a prompt and the edited line.

use std::io::{self, Write as _};

use crossterm::cursor::{MoveToColumn, MoveUp};
use crossterm::style::Print;
use crossterm::terminal::{self, Clear, ClearType};
use crossterm::{execute, queue};
use dialoguer::console::{measure_text_width, style};
use tui_input::Input;

use crate::sanitize;
use crate::ui::window;

fn columns() -> usize {
    terminal::size().map_or(80, |(columns, _)| usize::from(columns).max(10))
}

/// Clears a line of `width` columns. If the window has become narrower, the terminal may have wrapped the
/// line.
pub(crate) fn clear_wrapped(width: usize) {
    let rows = width.div_ceil(columns()).max(1);
    let mut out = io::stdout();
    // If the terminal has been closed, there is nothing to clear.
    let _ = queue!(out, MoveToColumn(0));
    if let Ok(above @ 1..) = u16::try_from(rows - 1) {
        let _ = queue!(out, MoveUp(above));
    }
    let _ = execute!(out, Clear(ClearType::FromCursorDown));
}

/// Draws the prompt and the edited line. Returns their width in columns.
pub(super) fn draw(prompt: &str, input: &Input) -> io::Result<usize> {
    let start = measure_text_width(prompt);
    let room = columns().saturating_sub(start + 1).max(4);
    let scroll = input.visual_scroll(room);
    let mut visible = String::new();
    let mut column = 0;
    // A completion may be a key whose name contains control characters.
    let value: String = input.value().chars().map(sanitize::visible).collect();
    for character in value.chars() {
        let end = column + measure_text_width(character.encode_utf8(&mut [0; 4]));
        if column >= scroll && end <= scroll + room {
            visible.push(character);
        }
        column = end;
    }
    let cursor = start + input.visual_cursor().max(scroll) - scroll;
    let width = start + measure_text_width(&visible);
    execute!(
        io::stdout(),
        MoveToColumn(0),
        Clear(ClearType::CurrentLine),
        Print(prompt),
        Print(visible),
        MoveToColumn(u16::try_from(cursor).unwrap_or(u16::MAX))
    )?;
    Ok(width)
}

/// Writes text below the edited line.
pub(super) fn below(text: &str) -> io::Result<()> {
    let text = sanitize::line(text).into_owned();
    let mut out = io::stdout();
    for row in window::lines(&text, Some(columns())) {
        queue!(out, Print("\r\n"), Print(style(row).dim()))?;
    }
    queue!(out, Print("\r\n"))?;
    out.flush()
}

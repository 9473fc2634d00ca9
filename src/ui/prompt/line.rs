//! Reads a line that can be edited, with history and completion.

use std::io::{self, Write as _};

use crossterm::event::Event;
use tui_input::Input;
use tui_input::backend::crossterm::to_input_request;

use super::Key;
use super::completion::{before_cursor, complete_word};
use super::drawing::{below, clear_wrapped, draw};
use super::events::{Events, is_end};
use super::paste::{self, insert_or_say};
use crate::signals::{Interrupted, Stop};

const LONGEST_HISTORY: usize = 200;

/// The person's input at a prompt for a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Line(String),
    /// Esc on an empty line.
    Esc,
}

/// Functions that complete words and accept or reject pasted text.
pub(crate) struct Assistance<'a> {
    /// Returns all possible completions of the last word before the cursor.
    pub complete: &'a dyn Fn(&str) -> Vec<String>,
    /// Returns whether the prompt accepts a pasted line.
    pub accepts: &'a dyn Fn(&str) -> bool,
}

impl Assistance<'_> {
    /// Neither completes words nor accepts pasted lines.
    pub(crate) const NONE: Assistance<'static> = Assistance {
        complete: &|_| Vec::new(),
        accepts: &|_| false,
    };
}

/// Reads lines, and keeps them as a history.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineEditor {
    /// The previous lines, oldest first.
    history: Vec<String>,
}

impl LineEditor {
    /// Reads a line. A line that is wider than the window scrolls sideways. Returns [`Interrupted`] after
    /// Ctrl-C, Ctrl-D or a signal, or if the terminal is closed.
    pub(crate) fn read(
        &mut self,
        prompt: &str,
        stop: &Stop,
        assistance: &Assistance<'_>,
    ) -> Result<Entry, Interrupted> {
        let line = {
            let mut events = Events::start(stop)?;
            self.edit(prompt, &mut events, assistance)
        };
        // The next output must start on a new line.
        let _ = writeln!(io::stdout());
        if let Ok(Entry::Line(line)) = &line {
            self.remember(line);
        }
        line
    }

    fn edit(
        &self,
        prompt: &str,
        events: &mut Events<'_>,
        assistance: &Assistance<'_>,
    ) -> Result<Entry, Interrupted> {
        let mut input = Input::default();
        // The index of the displayed history entry. The index after the last entry is the line that is being
        // typed.
        let mut shown = self.history.len();
        loop {
            let drawn = draw(prompt, &input).map_err(|_| Interrupted)?;
            let event = events.next_or_end()?;
            match &event {
                Event::Resize(..) => clear_wrapped(drawn),
                Event::Paste(text) => insert_or_say(&mut input, text, assistance.accepts)?,
                event if is_end(event) && input.value().is_empty() => return Err(Interrupted),
                Event::Key(key) => match key.code {
                    Key::Enter => {
                        if paste::ends_line(&mut input, events, assistance.accepts)? {
                            return Ok(Entry::Line(input.value().to_owned()));
                        }
                    }
                    Key::Esc if input.value().is_empty() => return Ok(Entry::Esc),
                    Key::Esc => input.reset(),
                    Key::Up | Key::Down => {
                        shown = match key.code {
                            Key::Up => shown.saturating_sub(1),
                            _ => (shown + 1).min(self.history.len()),
                        };
                        input = Input::new(self.history.get(shown).cloned().unwrap_or_default());
                    }
                    Key::Tab => {
                        let completions = (assistance.complete)(before_cursor(&input));
                        if !complete_word(&mut input, &completions) && completions.len() > 1 {
                            below(&completions.join("  ")).map_err(|_| Interrupted)?;
                        }
                    }
                    _ => {
                        if let Some(request) = to_input_request(&event) {
                            input.handle(request);
                        }
                    }
                },
                _ => {}
            }
        }
    }

    fn remember(&mut self, line: &str) {
        if line.trim().is_empty() || self.history.last().is_some_and(|last| last == line) {
            return;
        }
        self.history.push(line.to_owned());
        if self.history.len() > LONGEST_HISTORY {
            self.history.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_keeps_no_empty_line_and_no_line_twice_in_a_row() {
        let mut editor = LineEditor::default();
        for line in ["GET a", "GET a", " ", "TTL a"] {
            editor.remember(line);
        }
        assert_eq!(editor.history, ["GET a", "TTL a"]);
    }
}

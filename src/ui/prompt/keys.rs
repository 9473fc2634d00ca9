//! Reads single keys from a terminal.

use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyModifiers};

use super::Key;
use super::events::Events;
use crate::signals::{Interrupted, Stop};

/// If two events arrive within this time, they were not typed one after the other by a person.
const BURST: Duration = Duration::from_millis(20);
/// How long a letter is held back. If another one follows within this time, the person is typing a word.
const HOLD: Duration = Duration::from_millis(200);
/// Further characters that arrive within this time after the last one belong to the same line.
const TYPING: Duration = Duration::from_millis(500);
/// If Enter arrives within this time after the last character, it ends the line.
const ENTER_AFTER_TEXT: Duration = Duration::from_secs(5);

/// What the person did at a prompt for a single key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Press {
    Key(Key),
    /// The person typed or pasted several characters, which are therefore not treated as keys.
    Text,
    /// The person resized the window or resumed the program, so the prompt must be drawn again.
    Redraw,
}

/// Reads single keys. It recognises text by the time between characters, because not every terminal marks
/// pasted text.
#[derive(Debug, Default)]
pub(crate) struct KeyReader {
    /// When the last character of a text arrived, if it has not been followed by Enter yet.
    text_at: Option<Instant>,
    /// A key, such as an arrow key, that followed a letter so quickly that it could not be returned together
    /// with it.
    next: Option<Key>,
}

impl KeyReader {
    /// Waits for a key.
    ///
    /// # Errors
    ///
    /// Returns [`Interrupted`] after Ctrl-C, Ctrl-D or a signal, or if the terminal is closed.
    pub(crate) fn read(&mut self, stop: &Stop) -> Result<Press, Interrupted> {
        if let Some(next) = self.next.take() {
            return Ok(Press::Key(next));
        }
        let mut events = Events::start(stop)?;
        loop {
            match events.next()? {
                Event::Resize(..) => return Ok(Press::Redraw),
                Event::Paste(text) => {
                    self.skip_text(&mut events, !text.ends_with(['\r', '\n']))?;
                    return Ok(Press::Text);
                }
                Event::Key(key) if (key.modifiers - KeyModifiers::SHIFT).is_empty() => {
                    let is_text = match key.code {
                        Key::Char(_) => self.text_within(TYPING) || self.starts_text(&mut events)?,
                        Key::Enter if self.text_within(ENTER_AFTER_TEXT) => {
                            self.text_at = None;
                            return Ok(Press::Redraw);
                        }
                        Key::Enter => follows_enter(&mut events)?,
                        _ => false,
                    };
                    if is_text {
                        self.skip_text(&mut events, true)?;
                        return Ok(Press::Text);
                    }
                    self.text_at = None;
                    return Ok(Press::Key(key.code));
                }
                _ => {}
            }
        }
    }

    fn text_within(&self, span: Duration) -> bool {
        self.text_at.is_some_and(|at| at.elapsed() < span)
    }

    /// Whether the letter that was just read is the start of a text. An Enter directly after it belongs to
    /// the letter.
    fn starts_text(&mut self, events: &mut Events<'_>) -> Result<bool, Interrupted> {
        loop {
            match events.next_within(HOLD)? {
                Some(Event::Key(key)) => match key.code {
                    Key::Enter => return follows_enter(events),
                    Key::Char(_) => return Ok(true),
                    other => {
                        self.next = Some(other);
                        return Ok(false);
                    }
                },
                Some(Event::Paste(_)) => return Ok(true),
                Some(_) => {}
                None => return Ok(false),
            }
        }
    }

    /// Skips the rest of a text. `is_open` says whether the last line of the text still has to be ended by
    /// Enter.
    fn skip_text(&mut self, events: &mut Events<'_>, mut is_open: bool) -> Result<(), Interrupted> {
        loop {
            let within = if is_open { TYPING } else { 5 * BURST };
            match events.next_within(within)? {
                Some(Event::Key(key)) => is_open = key.code != Key::Enter,
                Some(Event::Paste(text)) => is_open = !text.ends_with(['\r', '\n']),
                Some(_) => {}
                None => break,
            }
        }
        self.text_at = is_open.then(Instant::now);
        Ok(())
    }
}

/// Whether text follows the Enter that was just read. If so, the Enter is part of a paste.
fn follows_enter(events: &mut Events<'_>) -> Result<bool, Interrupted> {
    loop {
        match events.next_within(BURST)? {
            Some(Event::Key(key)) if key.code == Key::Enter => {}
            Some(Event::Key(_) | Event::Paste(_)) => return Ok(true),
            Some(_) => {}
            None => return Ok(false),
        }
    }
}

//! Waits for key presses, pastes and changes of the window size. Handles Ctrl-C, Ctrl-D and Ctrl-Z, which
//! have the same meaning at every prompt.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal;

use super::Key;
use super::modes::{self, RawMode};
use crate::signals::{Interrupted, Stop};

/// The interval between checks for a signal while waiting for a key press.
const SIGNAL_CHECK: Duration = Duration::from_millis(100);

/// Reads events from the terminal, which is in raw mode until this value is dropped.
pub(super) struct Events<'a> {
    stop: &'a Stop,
    /// The terminal's raw mode, or `None` while the program is suspended.
    mode: Option<RawMode>,
}

impl<'a> Events<'a> {
    pub(super) fn start(stop: &'a Stop) -> Result<Self, Interrupted> {
        let mode = Some(RawMode::enable().map_err(|_| Interrupted)?);
        Ok(Self { stop, mode })
    }

    /// Returns the next event. Ctrl-Z suspends the program. When the program resumes, this function returns a
    /// `Resize`.
    pub(super) fn next(&mut self) -> Result<Event, Interrupted> {
        match self.next_or_end()? {
            event if is_end(&event) => Err(Interrupted),
            event => Ok(event),
        }
    }

    /// Like [`Events::next`], but returns Ctrl-D as an event, not as an error.
    pub(super) fn next_or_end(&mut self) -> Result<Event, Interrupted> {
        loop {
            if let Some(event) = self.any_within(None)? {
                return Ok(event);
            }
        }
    }

    /// Like [`Events::next`], but returns `None` if no event arrives within the time `within`.
    pub(super) fn next_within(&mut self, within: Duration) -> Result<Option<Event>, Interrupted> {
        match self.any_within(Some(within))? {
            Some(event) if is_end(&event) => Err(Interrupted),
            event => Ok(event),
        }
    }

    /// Returns the next event, including Ctrl-D, or `None` if no event arrives within the time `within`.
    fn any_within(&mut self, within: Option<Duration>) -> Result<Option<Event>, Interrupted> {
        let end = within.map(|within| Instant::now() + within);
        loop {
            self.stop.check()?;
            // If the terminal is closed, crossterm reports neither an event nor an error.
            if !io::stdin().is_terminal() {
                return Err(Interrupted);
            }
            let left = end.map_or(SIGNAL_CHECK, |end| end.saturating_duration_since(Instant::now()));
            if !event::poll(left.min(SIGNAL_CHECK)).map_err(|_| Interrupted)? {
                if left.is_zero() {
                    return Ok(None);
                }
                continue;
            }
            let key = match event::read().map_err(|_| Interrupted)? {
                Event::Key(key) if key.kind == KeyEventKind::Release => continue,
                Event::Key(key) => key,
                event => return Ok(Some(event)),
            };
            return Ok(Some(match (key.modifiers, key.code) {
                (KeyModifiers::CONTROL, Key::Char('c')) => return Err(Interrupted),
                #[cfg(unix)]
                (KeyModifiers::CONTROL, Key::Char('z')) => {
                    self.mode = None;
                    // The shell's message must start on a new line.
                    let _ = writeln!(io::stdout());
                    modes::suspend();
                    self.mode = Some(RawMode::enable().map_err(|_| Interrupted)?);
                    let (columns, rows) = terminal::size().unwrap_or_default();
                    Event::Resize(columns, rows)
                }
                // An Enter that was typed before raw mode was on arrives as a line feed, which is Ctrl-J.
                (KeyModifiers::CONTROL, Key::Char('j')) => {
                    Event::Key(KeyEvent::new(Key::Enter, KeyModifiers::NONE))
                }
                _ => Event::Key(key),
            }));
        }
    }
}

/// Whether the event is Ctrl-D. A Ctrl-D that was typed before raw mode was on arrives as NUL, which is
/// Ctrl-Space.
pub(super) fn is_end(event: &Event) -> bool {
    matches!(event, Event::Key(key) if key.modifiers == KeyModifiers::CONTROL
        && matches!(key.code, Key::Char('d' | ' ')))
}

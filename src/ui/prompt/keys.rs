//! Reads single key presses from a terminal.

use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyModifiers};

use super::Key;
use super::events::Events;
use crate::signals::{Interrupted, Stop};

/// The maximum time between Enter and the next event of the same paste. Once text is being skipped, five
/// times as long is allowed.
const BURST: Duration = Duration::from_millis(20);
/// The maximum time between two letters of a typed word. The letters of a word do not count as single key
/// presses.
const HOLD: Duration = Duration::from_millis(200);
/// The maximum time between two characters of the same typed line.
const TYPING: Duration = Duration::from_millis(500);
/// The maximum time between the last character of an ignored text and the Enter that ends the text.
const ENTER_AFTER_TEXT: Duration = Duration::from_secs(5);
/// The key that people press several times quickly, to show the code in one language after the other.
const REPEATED: char = 'l';
/// How long [`KeyReader::ignore_next_enter`] ignores an Enter.
const ENTER_AFTER_KEY: Duration = Duration::from_secs(1);
/// The maximum length of the text in [`Press::Text`], in bytes.
const LONGEST_BEGINNING: usize = 200;

/// What the person did at a prompt that expects a single key press.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Press {
    Key(Key),
    /// The person typed or pasted several characters, which do not count as single key presses. Contains the
    /// beginning of the text.
    Text(String),
    /// The person pressed Enter after a [`Press::Text`].
    EndOfText,
    /// The person resized the window or resumed the program, so the prompt must be drawn again.
    Redraw,
}

/// Reads single key presses. The time between characters distinguishes key presses from text, because not
/// every terminal marks pasted text.
#[derive(Debug, Default)]
pub(crate) struct KeyReader {
    /// When the last character of an unfinished text arrived, or `None` without an unfinished text.
    text_at: Option<Instant>,
    /// A key press, such as an arrow key, that quickly followed a letter. The next call of [`Self::read`]
    /// returns this key press.
    next: Option<Key>,
    /// The time until which Enter is ignored, or `None` if Enter is not ignored.
    enter_ignored_until: Option<Instant>,
}

/// The beginning of a text that does not count as a single key press.
#[derive(Default)]
struct Beginning(String);

impl Beginning {
    fn push(&mut self, character: char) {
        if self.0.len() < LONGEST_BEGINNING {
            self.0.push(character);
        }
    }

    fn push_key(&mut self, key: Key) {
        match key {
            Key::Char(character) => self.push(character),
            Key::Enter => self.push('\n'),
            _ => {}
        }
    }
}

impl KeyReader {
    /// Waits for a key press, or for text. Returns [`Interrupted`] after Ctrl-C, Ctrl-D or a signal, or if
    /// the terminal is closed.
    pub(crate) fn read(&mut self, stop: &Stop) -> Result<Press, Interrupted> {
        if let Some(next) = self.next.take() {
            return Ok(Press::Key(next));
        }
        let mut events = Events::start(stop)?;
        let mut text = Beginning::default();
        let enter_ignored_until = self.enter_ignored_until.take();
        loop {
            match events.next()? {
                Event::Resize(..) => {
                    self.text_at = None;
                    return Ok(Press::Redraw);
                }
                Event::Paste(pasted) => {
                    pasted.chars().for_each(|character| text.push(character));
                    self.skip_text(&mut events, !pasted.ends_with(['\r', '\n']), &mut text)?;
                    return Ok(Press::Text(text.0));
                }
                Event::Key(key) if (key.modifiers - KeyModifiers::SHIFT).is_empty() => {
                    text.push_key(key.code);
                    let is_text = match key.code {
                        Key::Char(_) => {
                            self.text_within(TYPING) || self.starts_text(&mut events, &mut text)?
                        }
                        Key::Enter if self.text_within(ENTER_AFTER_TEXT) => {
                            self.text_at = None;
                            return Ok(Press::EndOfText);
                        }
                        Key::Enter if enter_ignored_until.is_some_and(|until| Instant::now() < until) => {
                            return Ok(Press::Redraw);
                        }
                        Key::Enter => follows_enter(&mut events)?,
                        _ => false,
                    };
                    if is_text {
                        self.skip_text(&mut events, true, &mut text)?;
                        return Ok(Press::Text(text.0));
                    }
                    self.text_at = None;
                    return Ok(Press::Key(key.code));
                }
                _ => {}
            }
        }
    }

    /// Makes the next call of [`Self::read`] ignore an Enter that soon follows, because many people press
    /// Enter after a single key.
    pub(crate) fn ignore_next_enter(&mut self) {
        self.enter_ignored_until = Some(Instant::now() + ENTER_AFTER_KEY);
    }

    fn text_within(&self, span: Duration) -> bool {
        self.text_at.is_some_and(|at| at.elapsed() < span)
    }

    /// Whether the letter that was just read starts a text. If only Enter follows, the letter is a single key
    /// press, and the Enter is discarded.
    fn starts_text(&mut self, events: &mut Events<'_>, text: &mut Beginning) -> Result<bool, Interrupted> {
        loop {
            match events.next_within(HOLD)? {
                Some(Event::Key(key)) => match key.code {
                    Key::Enter => return follows_enter(events),
                    Key::Char(REPEATED) if text.0 == REPEATED.to_string() => {
                        self.next = Some(key.code);
                        return Ok(false);
                    }
                    Key::Char(character) => {
                        text.push(character);
                        return Ok(true);
                    }
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

    /// Skips the remaining characters of a text. If `is_open`, the last line of the text has not ended with
    /// Enter yet.
    fn skip_text(
        &mut self,
        events: &mut Events<'_>,
        mut is_open: bool,
        skipped: &mut Beginning,
    ) -> Result<(), Interrupted> {
        loop {
            let within = if is_open { TYPING } else { 5 * BURST };
            match events.next_within(within)? {
                Some(Event::Key(key)) => {
                    skipped.push_key(key.code);
                    is_open = key.code != Key::Enter;
                }
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

//! Writes lines to a terminal, and pauses when the window is full.

use colored::Colorize as _;
use dialoguer::console::{Term, measure_text_width};

use super::keys::{explained, explained_key, key_line, meaning, others};
use super::terminal::is_command;
use crate::learn::learner::{Key as LessonKey, Offer};
use crate::signals::{Interrupted, Stop};
use crate::ui::prompt::{self, Key, KeyReader, Press, TEXT_IGNORED};
use crate::ui::{window, writer};

/// The number of rows to keep free for the prompt.
const PROMPT_ROWS: usize = 2;

/// The keys at a pause, unless the lesson offers more keys.
const AT_PAUSE: &[Offer] = &[
    Offer {
        key: LessonKey::Next,
        does: "more",
    },
    Offer {
        key: LessonKey::Quit,
        does: "quit",
    },
];

/// The message about a Redis command that was typed or pasted at a prompt for a single key.
const COMMAND_IGNORED: &str =
    "not sent: here, Enter runs the commands of the lesson; type your own commands at the prompt redis>";
/// The message if Enter was pressed at the end of an ignored text.
const ENTER_IGNORED: &str = "the ignored text ends here; now press one of the keys below";

pub(super) struct Screen {
    pub(super) term: Term,
    pub(super) stop: Stop,
    keys: KeyReader,
    /// The number of rows since the last pause.
    rows: usize,
    /// The total number of rows that have been written.
    pub(super) written: usize,
    /// The width of the temporary text on the bottom line, or `None` if there is no such text.
    drawn: Option<usize>,
    /// Whether the last written line is empty.
    after_gap: bool,
    /// The learner's choice at the last pause, which applies until the next question.
    at_last_pause: AfterPause,
    /// The keys that the learner can press at a pause.
    offers: Vec<Offer>,
    /// Whether complete source files are shown, which the learner can close at a pause.
    shows_files: bool,
    /// The error after Ctrl-C at a pause. The next question returns this error.
    pub(super) interrupted: Result<(), Interrupted>,
}

/// What to do after a pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AfterPause {
    /// Write the next part.
    #[default]
    More,
    /// Write all text up to the next prompt without a pause.
    All,
    /// Omit the remaining source files.
    NoFiles,
    /// Write nothing more, because the learner has pressed a key that the lesson obeys.
    Pressed(LessonKey),
}

impl Screen {
    pub(super) fn new(stop: Stop) -> Self {
        Self {
            term: Term::stdout(),
            stop,
            keys: KeyReader::default(),
            rows: 0,
            written: 0,
            drawn: None,
            after_gap: true,
            at_last_pause: AfterPause::More,
            offers: AT_PAUSE.to_vec(),
            shows_files: false,
            interrupted: Ok(()),
        }
    }

    /// Returns the number of columns for text.
    pub(super) fn width(&self) -> usize {
        window::width(&self.term)
    }

    /// Writes a line. Pauses first if the line would scroll unread text out of the window.
    pub(super) fn put(&mut self, line: &str) {
        let is_closed = matches!(self.at_last_pause, AfterPause::NoFiles | AfterPause::Pressed(_));
        if self.interrupted.is_err() || is_closed {
            return;
        }
        self.clear_line();
        let (height, columns) = self.term.size();
        let rows = measure_text_width(line)
            .div_ceil(usize::from(columns).max(1))
            .max(1);
        let most = usize::from(height).saturating_sub(PROMPT_ROWS).max(3);
        if self.rows + rows > most && self.at_last_pause != AfterPause::All {
            // An empty line is no reason for a pause: perhaps nothing else follows.
            if line.is_empty() {
                return;
            }
            self.pause();
            return self.put(line);
        }
        self.rows += rows;
        self.written += rows;
        self.after_gap = line.is_empty();
        // If the terminal has been closed, the next question returns an error.
        let _ = writer::out(line);
    }

    pub(super) fn put_all(&mut self, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            self.put(&line);
        }
    }

    /// Writes an empty line, unless the last line is empty.
    pub(super) fn gap(&mut self) {
        if !self.after_gap {
            self.put("");
        }
    }

    /// Writes an empty line after the output of a command.
    pub(super) fn gap_after_others(&mut self) {
        self.after_gap = false;
        self.gap();
    }

    /// Deletes the rows after `mark`, an earlier value of `written`. Does nothing if some of the rows have
    /// left the screen.
    pub(super) fn take_back(&mut self, mark: usize) {
        let rows = self.written - mark;
        if rows < usize::from(self.term.size().0) && self.term.clear_last_lines(rows).is_ok() {
            self.written = mark;
            self.rows = self.rows.saturating_sub(rows);
        }
    }

    /// Sets the keys that the learner can press at a pause. The first key continues.
    pub(super) fn offer_at_pause(&mut self, offers: Option<&[Offer]>) {
        self.offers = offers.unwrap_or(AT_PAUSE).to_vec();
    }

    /// Removes and returns the key that the learner pressed at the last pause, if the lesson has not obeyed
    /// the key yet. Keeps other choices. For example, the choice to see all text applies until the next
    /// question.
    pub(super) fn take_key(&mut self) -> Option<LessonKey> {
        match self.at_last_pause {
            AfterPause::Pressed(key) => {
                self.at_last_pause = AfterPause::More;
                Some(key)
            }
            _ => None,
        }
    }

    /// Starts the display of complete source files.
    pub(super) fn begin_files(&mut self) {
        self.shows_files = true;
    }

    /// Ends the display of source files. Text after the files is shown even if the learner skipped some of
    /// the files.
    pub(super) fn end_files(&mut self) {
        self.shows_files = false;
        if !matches!(self.at_last_pause, AfterPause::Pressed(_)) {
            self.at_last_pause = AfterPause::More;
        }
    }

    /// Records that the learner has read everything so far.
    pub(super) fn read(&mut self) {
        self.rows = 0;
        if self.at_last_pause == AfterPause::All {
            self.at_last_pause = AfterPause::More;
        }
    }

    /// Writes temporary text on the bottom line, until [`Screen::clear_line`] is called.
    pub(super) fn draw(&mut self, text: &str) {
        let text = writer::shown(text);
        self.drawn = Some(measure_text_width(&text));
        let _ = self
            .term
            .clear_line()
            .and_then(|()| self.term.write_str(&text))
            .and_then(|()| self.term.flush());
    }

    pub(super) fn clear_line(&mut self) {
        if let Some(width) = self.drawn.take() {
            prompt::clear_wrapped(width);
        }
    }

    /// Shows `line` on the bottom line, and waits for a key press. Returns `None` if the prompt must be shown
    /// again. After typed or pasted text, shows a message and returns `None`.
    pub(super) fn key(&mut self, line: &str) -> Result<Option<Key>, Interrupted> {
        self.draw(&line.dimmed().to_string());
        let press = self.keys.read(&self.stop);
        self.clear_line();
        Ok(match press? {
            Press::Key(key) => Some(key),
            Press::Redraw => None,
            Press::Text(text) if is_command(&text) => self.warn(COMMAND_IGNORED),
            Press::Text(_) => self.warn(TEXT_IGNORED),
            Press::EndOfText => self.warn(ENTER_IGNORED),
        })
    }

    fn warn<T>(&mut self, text: &str) -> Option<T> {
        self.rows = 0;
        let lead = format!("{} ", "!".yellow().bold());
        self.put_all(window::fitted(&lead, text, Some(self.width())));
        None
    }

    /// Asks whether the learner wants to leave the lesson. If the learner stays, shows a message.
    pub(super) fn is_leaving(&mut self) -> Result<bool, Interrupted> {
        let leaves = self.confirms_leaving()?;
        if !leaves {
            self.put(&"you stay in the lesson".dimmed().to_string());
        }
        Ok(leaves)
    }

    fn confirms_leaving(&mut self) -> Result<bool, Interrupted> {
        const QUESTION: &str = "leave the lesson?  y leave  n stay";
        // Forget earlier key presses, so that Enter answers this question.
        self.keys = KeyReader::default();
        let mut line = QUESTION.to_owned();
        loop {
            match self.key(&line)? {
                Some(Key::Char('y' | 'Y' | 'q' | 'Q')) => return Ok(true),
                Some(Key::Char('n' | 'N')) => {
                    self.keys.ignore_next_enter();
                    return Ok(false);
                }
                Some(Key::Enter | Key::Esc) => return Ok(false),
                Some(Key::Char(_)) => line = format!("press y or n:  {QUESTION}"),
                _ => {}
            }
        }
    }

    fn pause(&mut self) {
        let ended = self.wait_for_more();
        match ended {
            Ok(after) => self.at_last_pause = after,
            Err(interrupted) => self.interrupted = Err(interrupted),
        }
        self.rows = 0;
    }

    /// Waits until the learner chooses how to continue.
    fn wait_for_more(&mut self) -> Result<AfterPause, Interrupted> {
        let mut lead = "";
        loop {
            let line = format!("{lead}{}", self.keys_at_pause(lead.len()));
            lead = "";
            let Some(pressed) = self.key(&line)? else {
                continue;
            };
            match pressed {
                Key::Char(' ') | Key::Down | Key::PageDown => return Ok(AfterPause::More),
                Key::Char('x' | 'X') if self.shows_files => return Ok(AfterPause::NoFiles),
                Key::Char('e' | 'E') if !self.shows_files => return Ok(AfterPause::All),
                Key::Char('?') => self.explain_at_pause(),
                Key::Esc if self.shows_files => return Ok(AfterPause::NoFiles),
                Key::Esc if self.is_leaving()? => return Ok(AfterPause::Pressed(LessonKey::Quit)),
                _ => match meaning(&pressed, &self.offers) {
                    Some(LessonKey::Next) => return Ok(AfterPause::More),
                    Some(key) => return Ok(AfterPause::Pressed(key)),
                    None if matches!(pressed, Key::Char(_)) => lead = "unknown key  ",
                    None => {}
                },
            }
        }
    }

    /// Returns the keys that are special at a pause, and what they do.
    fn special_keys(&self) -> &'static str {
        match self.shows_files {
            true => "x back to the lesson",
            false => "e show all",
        }
    }

    /// Returns the line that lists the keys at a pause, with `lead` columns left free.
    fn keys_at_pause(&self, lead: usize) -> String {
        let start = format!("Enter more  {}  ", self.special_keys());
        let room = self.width().saturating_sub(lead + start.len() + 1);
        let keys = key_line(others(&self.offers), room);
        format!("{start}{keys}").trim_end().to_owned()
    }

    /// Lists all keys at a pause.
    fn explain_at_pause(&mut self) {
        self.rows = 0;
        let before = std::mem::replace(&mut self.at_last_pause, AfterPause::All);
        let (sign, does) = self.special_keys().split_once(' ').unwrap_or_default();
        let mut lines = explained(&self.offers);
        lines.insert(1, explained_key(sign, does));
        self.put_all(lines);
        self.at_last_pause = before;
        self.rows = 0;
    }
}

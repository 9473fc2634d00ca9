//! Writes lines to a terminal, and pauses when the window is full.

use colored::Colorize as _;
use dialoguer::console::{Term, measure_text_width};

use crate::signals::{Interrupted, Stop};
use crate::ui::prompt::{self, Key, KeyReader, Press, TEXT_IGNORED};
use crate::ui::{window, writer};

/// The number of rows that are left free for the prompt.
const PROMPT_ROWS: usize = 2;

/// The text that lists the keys that the learner can press at a pause in a lesson.
pub(super) const AT_PAUSE: &str = "Enter more  q quit";

pub(super) struct Screen {
    pub(super) term: Term,
    pub(super) stop: Stop,
    keys: KeyReader,
    /// The number of rows written since the last pause.
    rows: usize,
    /// The number of rows written in total.
    pub(super) written: usize,
    /// The width of the text on the bottom line, if it contains text that will be cleared.
    drawn: Option<usize>,
    /// Whether the last line is empty.
    after_gap: bool,
    /// Whether `q` was pressed at a pause. If so, nothing more is written, and the next question returns `q`.
    quits: bool,
    /// The text that lists the keys at a pause.
    pub(super) at_pause: &'static str,
    /// An error if Ctrl-C was pressed at a pause. It is returned by the next question.
    pub(super) interrupted: Result<(), Interrupted>,
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
            quits: false,
            at_pause: AT_PAUSE,
            interrupted: Ok(()),
        }
    }

    /// Returns the number of columns that are available for text.
    pub(super) fn width(&self) -> usize {
        window::width(&self.term)
    }

    /// Writes a line. If this would scroll unread text out of the window, pauses first.
    pub(super) fn put(&mut self, line: &str) {
        if self.interrupted.is_err() || self.quits {
            return;
        }
        self.clear_line();
        let (height, columns) = self.term.size();
        let rows = measure_text_width(line)
            .div_ceil(usize::from(columns).max(1))
            .max(1);
        let most = usize::from(height).saturating_sub(PROMPT_ROWS).max(3);
        if self.rows + rows > most {
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

    /// Deletes the rows that were written after `written` was `mark`, if they are still on the screen.
    pub(super) fn take_back(&mut self, mark: usize) {
        let rows = self.written - mark;
        if rows < usize::from(self.term.size().0) && self.term.clear_last_lines(rows).is_ok() {
            self.written = mark;
            self.rows = self.rows.saturating_sub(rows);
        }
    }

    /// Returns whether `q` was pressed at a pause since the last question, and resets this.
    pub(super) fn take_quit(&mut self) -> bool {
        std::mem::take(&mut self.quits)
    }

    /// Records that the learner has read everything so far.
    pub(super) fn read(&mut self) {
        self.rows = 0;
    }

    /// Writes text on the bottom line. It stays there until [`Screen::clear_line`].
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

    /// Shows `line` on the bottom line, and waits for a key. If text is typed or pasted instead, shows a
    /// message.
    pub(super) fn key(&mut self, line: &str) -> Result<Option<Key>, Interrupted> {
        self.draw(&line.dimmed().to_string());
        let press = self.keys.read(&self.stop);
        self.clear_line();
        Ok(match press? {
            Press::Key(key) => Some(key),
            Press::Redraw => None,
            Press::Text => {
                self.rows = 0;
                let lead = "!".yellow().bold().to_string();
                self.put_all(window::fitted(
                    &format!("{lead} "),
                    TEXT_IGNORED,
                    Some(self.width()),
                ));
                None
            }
        })
    }

    /// Asks whether the learner wants to leave the lesson.
    pub(super) fn is_leaving(&mut self) -> Result<bool, Interrupted> {
        const QUESTION: &str = "leave the lesson?  y leave  n stay";
        let mut line = QUESTION.to_owned();
        loop {
            match self.key(&line)? {
                Some(Key::Char('y' | 'Y' | 'q' | 'Q')) => return Ok(true),
                Some(Key::Char('n' | 'N') | Key::Enter | Key::Esc) => return Ok(false),
                Some(Key::Char(_)) => line = format!("press y or n:  {QUESTION}"),
                _ => {}
            }
        }
    }

    fn pause(&mut self) {
        let ended = self.wait_for_more();
        match ended {
            Ok(quits) => self.quits = quits,
            Err(interrupted) => self.interrupted = Err(interrupted),
        }
        self.rows = 0;
    }

    /// Waits until the learner continues. Returns whether the learner quits instead.
    fn wait_for_more(&mut self) -> Result<bool, Interrupted> {
        let mut line = self.at_pause.to_owned();
        loop {
            match self.key(&line)? {
                Some(Key::Enter | Key::Char(' ') | Key::Down | Key::PageDown) => return Ok(false),
                Some(Key::Char('q' | 'Q')) => return Ok(true),
                Some(Key::Esc) if self.at_pause != AT_PAUSE || self.is_leaving()? => return Ok(true),
                Some(Key::Char(_)) => line = format!("read on first:  {}", self.at_pause),
                _ => {}
            }
        }
    }
}

//! Lines on a terminal, a window full at a time.

use std::io::{self, Write as _};

use colored::Colorize as _;
use dialoguer::console::{Key, Term, measure_text_width};

use crate::learn::stop::{Interrupted, Stop};
use crate::ui::{prompt, window};

/// Lines that stay free for the prompt.
const PROMPT_ROWS: usize = 2;

/// The line below all text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bottom {
    Empty,
    Drawn,
}

/// Whether the learner has had enough of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quits {
    No,
    Yes,
}

pub(super) struct Screen {
    pub(super) term: Term,
    pub(super) stop: Stop,
    /// Rows written since the learner was last asked.
    rows: usize,
    /// Rows written in all: tells whether anything came after something else.
    pub(super) written: usize,
    /// Whether something is drawn on the bottom line.
    bottom: Bottom,
    /// Whether the last line is empty: two of them in a row say no more than one.
    after_gap: bool,
    /// `q` at a pause: nothing more is written, and the next question has its answer.
    quits: Quits,
    /// Ctrl-C at a pause: said at the next question.
    pub(super) interrupted: Result<(), Interrupted>,
}

impl Screen {
    pub(super) fn new(stop: Stop) -> Self {
        Self {
            term: Term::stdout(),
            stop,
            rows: 0,
            written: 0,
            bottom: Bottom::Empty,
            after_gap: true,
            quits: Quits::No,
            interrupted: Ok(()),
        }
    }

    /// Columns for text.
    pub(super) fn width(&self) -> usize {
        window::width(&self.term)
    }

    /// Writes a line; pauses first where it would push unread text out of the window.
    pub(super) fn put(&mut self, line: &str) {
        if self.interrupted.is_err() || self.quits == Quits::Yes {
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
        // A terminal that went away is met at the next question.
        let _ = writeln!(io::stdout(), "{line}");
    }

    pub(super) fn put_all(&mut self, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            self.put(&line);
        }
    }

    /// An empty line between two things.
    pub(super) fn gap(&mut self) {
        if !self.after_gap {
            self.put("");
        }
    }

    /// An empty line after what somebody else has written.
    pub(super) fn gap_after_others(&mut self) {
        self.after_gap = false;
        self.gap();
    }

    /// Takes back the rows written since `written` stood at `mark`, where they are still on the screen.
    pub(super) fn take_back(&mut self, mark: usize) {
        let rows = self.written - mark;
        if rows < usize::from(self.term.size().0) && self.term.clear_last_lines(rows).is_ok() {
            self.written = mark;
            self.rows = self.rows.saturating_sub(rows);
        }
    }

    /// Whether `q` was pressed at a pause since the last question.
    pub(super) fn take_quit(&mut self) -> bool {
        std::mem::replace(&mut self.quits, Quits::No) == Quits::Yes
    }

    /// What was written has been read: a new window full begins.
    pub(super) fn read(&mut self) {
        self.rows = 0;
    }

    /// Draws on the bottom line; [`Screen::clear_line`] takes it away again.
    pub(super) fn draw(&mut self, text: &str) {
        self.bottom = Bottom::Drawn;
        let _ = self
            .term
            .clear_line()
            .and_then(|()| self.term.write_str(text))
            .and_then(|()| self.term.flush());
    }

    pub(super) fn clear_line(&mut self) {
        if std::mem::replace(&mut self.bottom, Bottom::Empty) == Bottom::Drawn {
            let _ = self.term.clear_line();
        }
    }

    fn pause(&mut self) {
        self.draw(&"Enter more".dimmed().to_string());
        loop {
            match prompt::key(&self.term, &self.stop) {
                Ok(Key::Char('q' | 'Q') | Key::Escape) => {
                    self.quits = Quits::Yes;
                    break;
                }
                Ok(Key::Enter | Key::Char(_) | Key::ArrowDown | Key::PageDown) => break,
                Ok(_) => {}
                Err(interrupted) => {
                    self.interrupted = Err(interrupted);
                    break;
                }
            }
        }
        self.clear_line();
        self.rows = 0;
    }
}

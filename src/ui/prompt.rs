//! One line at the bottom of the terminal: single keys, or a line to edit with history and completion.

use std::io::{self, IsTerminal as _};

use dialoguer::console::{Key, Term, measure_text_width, style};

use crate::learn::stop::{Interrupted, Stop};
use crate::os::Muted;

/// A line being typed, and where the cursor is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Line {
    text: Vec<char>,
    cursor: usize,
}

/// What a learner typed before, newest last.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Vec<String>);

/// Lines kept: more than anyone looks back for.
const MOST_HISTORY: usize = 200;

/// One key.
///
/// # Errors
/// [`Interrupted`] by Ctrl-C, a signal, or the end of the input.
pub(crate) fn key(term: &Term, stop: &Stop) -> Result<Key, Interrupted> {
    let input = io::stdin();
    // From here on Ctrl-C is a key like others, which waits its turn: it cannot come unnoticed before the read.
    let _raw = Muted::raw(&input);
    loop {
        // The terminal itself is read where standard input is something else.
        if input.is_terminal() {
            stop.await_key(&input)?;
        }
        match term.read_key_raw() {
            Ok(Key::CtrlC) => return Err(Interrupted),
            // Ctrl-D; the kernel keeps one that came before this wait as a zero.
            Ok(Key::Char('\x04' | '\0')) => return Err(Interrupted),
            Ok(Key::UnknownEscSeq(_) | Key::Unknown) => {}
            Ok(key) => return Ok(key),
            Err(_) => return Err(Interrupted),
        }
    }
}

/// A line, edited in place; longer than the window, it moves sideways under it.
///
/// `complete` returns how the text before the cursor can end: its last word, completed in every way there is.
///
/// # Errors
/// [`Interrupted`].
pub(crate) fn line(
    term: &Term,
    stop: &Stop,
    lead: &str,
    history: &mut History,
    complete: &dyn Fn(&str) -> Vec<String>,
) -> Result<String, Interrupted> {
    let mut line = Line::default();
    let mut past = history.0.len();
    loop {
        draw(term, lead, &line).map_err(|_| Interrupted)?;
        match key(term, stop) {
            Ok(Key::Enter) => break,
            Ok(Key::ArrowUp) if past > 0 => {
                past -= 1;
                line = Line::of(&history.0[past]);
            }
            Ok(Key::ArrowDown) if past < history.0.len() => {
                past += 1;
                line = history
                    .0
                    .get(past)
                    .map_or_else(Line::default, |text| Line::of(text));
            }
            Ok(Key::Tab) => {
                let ways = complete(&line.before_cursor());
                if let Some(several) = line.complete(&ways) {
                    show_ways(term, &several).map_err(|_| Interrupted)?;
                }
            }
            Ok(key) => line.edit(&key),
            Err(interrupted) => {
                // The next thing written belongs on a line of its own.
                let _ = term.write_line("");
                return Err(interrupted);
            }
        }
    }
    let _ = term.write_line("");
    let text: String = line.text.iter().collect();
    history.add(&text);
    Ok(text)
}

impl History {
    fn add(&mut self, text: &str) {
        if text.trim().is_empty() || self.0.last().is_some_and(|last| last == text) {
            return;
        }
        self.0.push(text.to_owned());
        if self.0.len() > MOST_HISTORY {
            self.0.remove(0);
        }
    }
}

impl Line {
    fn of(text: &str) -> Self {
        let text: Vec<char> = text.chars().collect();
        Self {
            cursor: text.len(),
            text,
        }
    }

    fn before_cursor(&self) -> String {
        self.text[..self.cursor].iter().collect()
    }

    fn edit(&mut self, key: &Key) {
        match key {
            Key::ArrowLeft => self.cursor = self.cursor.saturating_sub(1),
            Key::ArrowRight => self.cursor = (self.cursor + 1).min(self.text.len()),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.text.len(),
            Key::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            Key::Del if self.cursor < self.text.len() => {
                self.text.remove(self.cursor);
            }
            // Ctrl-U, Ctrl-K and Ctrl-W, as in a shell.
            Key::Char('\x15') => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            Key::Char('\x0b') => self.text.truncate(self.cursor),
            Key::Char('\x17') => {
                let is_space = |character: &char| character.is_whitespace();
                let word = self.text[..self.cursor]
                    .iter()
                    .rev()
                    .skip_while(|character| is_space(character));
                let letters = word.clone().take_while(|character| !is_space(character)).count();
                let start = word.count() - letters;
                self.text.drain(start..self.cursor);
                self.cursor = start;
            }
            Key::Char(character) if !character.is_control() => {
                self.text.insert(self.cursor, *character);
                self.cursor += 1;
            }
            _ => {}
        }
    }

    /// Completes the last word as far as all ways agree; returns them where they do not go further together.
    fn complete(&mut self, ways: &[String]) -> Option<Vec<String>> {
        let before = self.before_cursor();
        let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        let common = common_start(ways);
        let typed = word.chars().count();
        let is_further = common.chars().count() > typed;
        if is_further || ways.len() == 1 {
            let mut completed: Vec<char> = common.chars().collect();
            if ways.len() == 1
                && self
                    .text
                    .get(self.cursor)
                    .is_none_or(|next| !next.is_whitespace())
            {
                completed.push(' ');
            }
            let start = self.cursor - typed;
            self.cursor = start + completed.len();
            self.text.splice(start..start + typed, completed);
        }
        (!is_further && ways.len() > 1).then(|| ways.to_vec())
    }
}

fn common_start(ways: &[String]) -> String {
    let Some((first, others)) = ways.split_first() else {
        return String::new();
    };
    let agree = |at: usize, character: char| {
        others
            .iter()
            .all(|other| other.chars().nth(at) == Some(character))
    };
    first
        .chars()
        .enumerate()
        .take_while(|(at, character)| agree(*at, *character))
        .map(|(_, character)| character)
        .collect()
}

fn draw(term: &Term, lead: &str, line: &Line) -> io::Result<()> {
    let columns = usize::from(term.size().1).max(10);
    let room = columns.saturating_sub(measure_text_width(lead) + 1).max(4);
    // The part of the line that holds the cursor, a few characters before it included.
    let first = if line.cursor < room {
        0
    } else {
        line.cursor - room + 1
    };
    let shown: String = line.text.iter().skip(first).take(room).collect();
    term.clear_line()?;
    term.write_str(lead)?;
    term.write_str(&shown)?;
    let behind: String = line
        .text
        .iter()
        .skip(line.cursor)
        .take(room - (line.cursor - first))
        .collect();
    let back = measure_text_width(&behind);
    if back > 0 {
        term.move_cursor_left(back)?;
    }
    term.flush()
}

fn show_ways(term: &Term, ways: &[String]) -> io::Result<()> {
    let columns = usize::from(term.size().1).max(10);
    let mut row = String::new();
    term.write_line("")?;
    for way in ways {
        if measure_text_width(&row) + measure_text_width(way) + 2 >= columns {
            term.write_line(&style(&row).dim().to_string())?;
            row.clear();
        }
        row.push_str(way);
        row.push_str("  ");
    }
    term.write_line(&style(&row).dim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Line {
        Line::of(text)
    }

    #[test]
    fn a_line_is_edited_as_in_a_shell() {
        let mut line = typed("HGET sessiontut:a vists");
        line.edit(&Key::Char('\x17'));
        assert_eq!(line.before_cursor(), "HGET sessiontut:a ");
        line.edit(&Key::Home);
        line.edit(&Key::Del);
        line.edit(&Key::Char('h'));
        line.edit(&Key::ArrowRight);
        line.edit(&Key::Backspace);
        assert_eq!(line.text.iter().collect::<String>(), "hET sessiontut:a ");
        line.edit(&Key::Char('\x0b'));
        assert_eq!(line.text, ['h']);
        line.edit(&Key::Char('\x15'));
        assert_eq!(line, Line::default());
        line.edit(&Key::Backspace);
        line.edit(&Key::Char('\x17'));
        line.edit(&Key::Char('\x01'));
        assert_eq!(line, Line::default());
    }

    #[test]
    fn completion_goes_as_far_as_all_ways_agree() {
        let ways = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut line = typed("hi");
        assert_eq!(line.complete(&ways(&["HINCRBY"])), None);
        assert_eq!(line.before_cursor(), "HINCRBY ");
        let mut line = typed("EXP");
        assert_eq!(line.complete(&ways(&["EXPIRE", "EXPIRETIME"])), None);
        assert_eq!(line.before_cursor(), "EXPIRE");
        assert_eq!(line.complete(&ways(&["EXPIRE", "EXPIRETIME"])).unwrap().len(), 2);
        assert_eq!(line.complete(&[]), None);
        assert_eq!(line.before_cursor(), "EXPIRE");
    }
}

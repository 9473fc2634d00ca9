//! Terminal input: single keys, and a line to edit with history and completion.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use crossterm::cursor::MoveToColumn;
use crossterm::event::{
    self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyEvent, KeyEventKind, KeyModifiers,
};
use crossterm::style::Print;
use crossterm::terminal::{self, Clear, ClearType};
use crossterm::{execute, queue};
use dialoguer::console::{measure_text_width, style};
#[cfg(unix)]
use rustix::process::{Signal, kill_current_process_group};
#[cfg(unix)]
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};
use tui_input::backend::crossterm::to_input_request;
use tui_input::{Input, InputRequest};

pub(crate) use crossterm::event::KeyCode as Key;

use crate::sanitize;
use crate::signals::{Interrupted, Stop};

/// How often a wait for a key checks for a signal.
const SIGNAL_CHECK: Duration = Duration::from_millis(100);
const LONGEST_HISTORY: usize = 200;

/// Raw mode with bracketed paste, in which Ctrl-C and Ctrl-Z arrive as keys, and pasted text as a single event.
struct RawMode;

impl RawMode {
    fn enable() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let mode = Self;
        execute!(io::stdout(), EnableBracketedPaste)?;
        Ok(mode)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Nothing can be restored on a terminal that has been closed.
        let _ = execute!(io::stdout(), DisableBracketedPaste);
        let _ = terminal::disable_raw_mode();
    }
}

/// The terminal's modes before typed text was hidden. Dropping this restores them.
#[derive(Debug)]
pub(crate) struct WithoutEcho(#[cfg(unix)] Termios);

impl WithoutEcho {
    /// Turns off the echo of typed text. Returns `None` if standard input is not a terminal. Nothing else changes, so
    /// Ctrl-C still sends a signal.
    pub(crate) fn start() -> Option<Self> {
        #[cfg(unix)]
        return set_echo(false).map(Self);
        #[cfg(not(unix))]
        None
    }
}

#[cfg(unix)]
impl Drop for WithoutEcho {
    fn drop(&mut self) {
        // Nothing can be restored on a terminal that has been closed.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// Returns the previous modes. crossterm cannot change only the echo, without all other modes.
#[cfg(unix)]
fn set_echo(on: bool) -> Option<Termios> {
    let modes = tcgetattr(io::stdin()).ok()?;
    let mut changed = modes.clone();
    changed.local_modes.set(LocalModes::ECHO, on);
    tcsetattr(io::stdin(), OptionalActions::Drain, &changed).ok()?;
    Some(modes)
}

/// Discards text that was typed but not read.
pub(crate) fn discard_typed() {
    // If standard input is not a terminal, nothing was typed.
    #[cfg(unix)]
    let _ = tcflush(io::stdin(), QueueSelector::IFlush);
}

/// Suspends the program as Ctrl-Z does, and returns when it is resumed. Meanwhile, echo is on for the shell.
#[cfg(unix)]
fn suspend() {
    let _modes = set_echo(true).map(WithoutEcho);
    // If this fails, the program continues.
    let _ = kill_current_process_group(Signal::TSTP);
}

/// Waits for a key, and ignores pasted text. Returns `Key::Null` if the screen must be drawn again.
///
/// # Errors
/// Returns [`Interrupted`] on Ctrl-C or Ctrl-D, on a signal, or if the terminal is closed.
pub(crate) fn key(stop: &Stop) -> Result<Key, Interrupted> {
    let mut mode = Some(RawMode::enable().map_err(|_| Interrupted)?);
    loop {
        match event(stop, &mut mode)? {
            Event::Key(key) if (key.modifiers - KeyModifiers::SHIFT).is_empty() => return Ok(key.code),
            Event::Resize(..) => return Ok(Key::Null),
            _ => {}
        }
    }
}

/// Returns the next event. Ctrl-Z suspends the program; when it is resumed, this returns a `Resize`.
fn event(stop: &Stop, mode: &mut Option<RawMode>) -> Result<Event, Interrupted> {
    loop {
        stop.check()?;
        // crossterm reports neither an event nor an error when the terminal is closed.
        if !io::stdin().is_terminal() {
            return Err(Interrupted);
        }
        if !event::poll(SIGNAL_CHECK).map_err(|_| Interrupted)? {
            continue;
        }
        let key = match event::read().map_err(|_| Interrupted)? {
            Event::Key(key) if key.kind == KeyEventKind::Release => continue,
            Event::Key(key) => key,
            event => return Ok(event),
        };
        match (key.modifiers, key.code) {
            // A Ctrl-D that was typed before raw mode arrives as NUL, which is Ctrl-Space.
            (KeyModifiers::CONTROL, Key::Char('c' | 'd' | ' ')) => return Err(Interrupted),
            #[cfg(unix)]
            (KeyModifiers::CONTROL, Key::Char('z')) => {
                *mode = None;
                suspend();
                *mode = Some(RawMode::enable().map_err(|_| Interrupted)?);
                let (columns, rows) = terminal::size().unwrap_or_default();
                return Ok(Event::Resize(columns, rows));
            }
            // An Enter that was typed before raw mode arrives as a line feed, which is Ctrl-J.
            (KeyModifiers::CONTROL, Key::Char('j')) => {
                return Ok(Event::Key(KeyEvent::new(Key::Enter, KeyModifiers::NONE)));
            }
            _ => return Ok(Event::Key(key)),
        }
    }
}

/// Reads lines, and remembers them.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineEditor {
    /// The previous lines, the newest last.
    history: Vec<String>,
    /// The lines of a paste after the first. Each is filled in at one of the next prompts.
    pasted: VecDeque<String>,
}

impl LineEditor {
    /// Reads a line. A line that is longer than the window scrolls sideways.
    ///
    /// `complete` returns all completions of the last word of the text before the cursor.
    ///
    /// # Errors
    /// Returns [`Interrupted`] on Ctrl-C or Ctrl-D, on a signal, or if the terminal is closed.
    pub(crate) fn read(
        &mut self,
        prompt: &str,
        stop: &Stop,
        complete: &dyn Fn(&str) -> Vec<String>,
    ) -> Result<String, Interrupted> {
        let line = {
            let mut mode = Some(RawMode::enable().map_err(|_| Interrupted)?);
            self.edit(prompt, stop, &mut mode, complete)
        };
        // Start the next output on a new line.
        let _ = writeln!(io::stdout());
        if let Ok(line) = &line {
            self.remember(line);
        }
        line
    }

    fn edit(
        &mut self,
        prompt: &str,
        stop: &Stop,
        mode: &mut Option<RawMode>,
        complete: &dyn Fn(&str) -> Vec<String>,
    ) -> Result<String, Interrupted> {
        let mut input = Input::new(self.pasted.pop_front().unwrap_or_default());
        // The index of the history entry that is shown. The index after the last entry means the line being typed.
        let mut shown = self.history.len();
        loop {
            draw(prompt, &input).map_err(|_| Interrupted)?;
            let event = event(stop, mode)?;
            match &event {
                Event::Paste(text) => self.paste(&mut input, text),
                Event::Key(key) => match key.code {
                    Key::Enter => return Ok(input.value().to_owned()),
                    Key::Esc => input.reset(),
                    Key::Up | Key::Down => {
                        shown = match key.code {
                            Key::Up => shown.saturating_sub(1),
                            _ => (shown + 1).min(self.history.len()),
                        };
                        input = Input::new(self.history.get(shown).cloned().unwrap_or_default());
                    }
                    Key::Tab => {
                        let completions = complete(before_cursor(&input));
                        if !complete_word(&mut input, &completions) && completions.len() > 1 {
                            list(&completions).map_err(|_| Interrupted)?;
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

    /// Inserts the first line, and keeps the others for later, so that nothing runs before the learner presses Enter.
    fn paste(&mut self, input: &mut Input, text: &str) {
        let mut lines = text
            .split(['\r', '\n'])
            .map(|line| line.replace('\t', " ").replace(char::is_control, ""))
            .filter(|line| !line.trim().is_empty());
        insert(input, &lines.next().unwrap_or_default());
        self.pasted.extend(lines);
    }
}

fn insert(input: &mut Input, text: &str) {
    for character in text.chars() {
        input.handle(InputRequest::InsertChar(character));
    }
}

fn before_cursor(input: &Input) -> &str {
    let text = input.value();
    let end = text.char_indices().nth(input.cursor());
    &text[..end.map_or(text.len(), |(end, _)| end)]
}

/// Extends the word before the cursor by the text that all completions have in common. Returns whether it changed.
fn complete_word(input: &mut Input, completions: &[String]) -> bool {
    let before = before_cursor(input);
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    let typed = word.chars().count();
    let common = common_prefix(completions);
    let is_only_one = completions.len() == 1;
    if common.chars().count() <= typed && !is_only_one {
        return false;
    }
    let after = input.value()[before.len()..].chars().next();
    let needs_space = is_only_one && !after.is_some_and(char::is_whitespace);
    for _ in 0..typed {
        input.handle(InputRequest::DeletePrevChar);
    }
    insert(input, common);
    if needs_space {
        insert(input, " ");
    }
    true
}

fn common_prefix(words: &[String]) -> &str {
    let Some((first, others)) = words.split_first() else {
        return "";
    };
    let mut prefix = first.as_str();
    while !others.iter().all(|other| other.starts_with(prefix)) {
        let mut characters = prefix.chars();
        characters.next_back();
        prefix = characters.as_str();
    }
    prefix
}

fn columns() -> usize {
    terminal::size().map_or(80, |(columns, _)| usize::from(columns).max(10))
}

fn draw(prompt: &str, input: &Input) -> io::Result<()> {
    let start = measure_text_width(prompt);
    let room = columns().saturating_sub(start + 1).max(4);
    let scroll = input.visual_scroll(room);
    let mut visible = String::new();
    let mut column = 0;
    // A completion may be a key with control characters in its name.
    let value: String = input.value().chars().map(sanitize::visible).collect();
    for character in value.chars() {
        let end = column + measure_text_width(character.encode_utf8(&mut [0; 4]));
        if column >= scroll && end <= scroll + room {
            visible.push(character);
        }
        column = end;
    }
    let cursor = start + input.visual_cursor().max(scroll) - scroll;
    execute!(
        io::stdout(),
        MoveToColumn(0),
        Clear(ClearType::CurrentLine),
        Print(prompt),
        Print(visible),
        MoveToColumn(u16::try_from(cursor).unwrap_or(u16::MAX))
    )
}

/// Lists completions below the line.
fn list(completions: &[String]) -> io::Result<()> {
    let text = sanitize::line(&completions.join("  ")).into_owned();
    let mut out = io::stdout();
    for row in super::window::lines(&text, Some(columns())) {
        queue!(out, Print("\r\n"), Print(style(row).dim()))?;
    }
    queue!(out, Print("\r\n"))?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(text: &str, completions: &[&str]) -> (bool, String) {
        let mut input = Input::new(text.to_owned());
        let completions: Vec<String> = completions.iter().map(|word| (*word).to_owned()).collect();
        (complete_word(&mut input, &completions), input.value().to_owned())
    }

    #[test]
    fn a_word_is_completed_as_far_as_all_completions_agree() {
        assert_eq!(completed("hi", &["HINCRBY"]), (true, "HINCRBY ".to_owned()));
        assert_eq!(
            completed("TTL EXP", &["EXPIRE", "EXPIRETIME"]),
            (true, "TTL EXPIRE".to_owned())
        );
        let unchanged = (false, "EXPIRE".to_owned());
        assert_eq!(completed("EXPIRE", &["EXPIRE", "EXPIRETIME"]), unchanged);
        assert_eq!(completed("EXPIRE", &[]), unchanged);
    }

    #[test]
    fn a_paste_of_several_lines_fills_in_one_line_per_prompt() {
        let mut editor = LineEditor::default();
        let mut input = Input::new("> ".to_owned());
        editor.paste(&mut input, "MULTI\r\n\nINCR\tn\x1b\nEXEC");
        assert_eq!(input.value(), "> MULTI");
        assert_eq!(editor.pasted, ["INCR n", "EXEC"]);
    }

    #[test]
    fn the_history_keeps_no_empty_line_and_no_line_twice_in_a_row() {
        let mut editor = LineEditor::default();
        for line in ["GET a", "GET a", " ", "TTL a"] {
            editor.remember(line);
        }
        assert_eq!(editor.history, ["GET a", "TTL a"]);
    }
}

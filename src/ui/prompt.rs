//! Reads single keys from a terminal, or a line that can be edited, with history and completion.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crossterm::cursor::{MoveToColumn, MoveUp};
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

/// How often a signal is checked for while waiting for a key.
const SIGNAL_CHECK: Duration = Duration::from_millis(100);
/// If two events arrive within this time, they were not typed one after the other by a person.
const BURST: Duration = Duration::from_millis(20);
/// Like [`BURST`], at a prompt for lines, where fast typing is normal.
const LINE_BURST: Duration = Duration::from_millis(2);
/// How long a letter is held back. If another one follows within this time, the person is typing a word.
const HOLD: Duration = Duration::from_millis(200);
/// Further characters that arrive within this time after the last one belong to the same line.
const TYPING: Duration = Duration::from_millis(500);
/// If Enter arrives within this time after the last character, it ends the line.
const ENTER_AFTER_TEXT: Duration = Duration::from_secs(5);
const LONGEST_HISTORY: usize = 200;

/// The message about text at a prompt that does not accept text.
pub(crate) const TEXT_IGNORED: &str = "ignored: type or paste shell commands in another terminal";
/// The message about a paste of several lines.
const ONLY_FIRST_LINE: &str = "only the first pasted line is kept: paste the others one at a time";

/// The terminal's raw mode with bracketed paste. Ctrl-C and Ctrl-Z arrive as keys, and pasted text arrives as
/// a single event.
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
        // If the terminal has been closed, nothing can be restored.
        let _ = execute!(io::stdout(), DisableBracketedPaste);
        let _ = terminal::disable_raw_mode();
    }
}

/// The terminal's modes before the echo was turned off. They are restored when this is dropped.
#[derive(Debug)]
pub(crate) struct WithoutEcho(#[cfg(unix)] Termios);

impl WithoutEcho {
    /// Turns off the echo of typed text. Returns `None` if standard input is not a terminal. All other modes
    /// stay the same, so Ctrl-C still sends a signal.
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
        // If the terminal has been closed, nothing can be restored.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// Turns the echo on or off, and returns the previous modes. crossterm cannot change the echo alone.
#[cfg(unix)]
fn set_echo(on: bool) -> Option<Termios> {
    let modes = tcgetattr(io::stdin()).ok()?;
    let mut changed = modes.clone();
    changed.local_modes.set(LocalModes::ECHO, on);
    tcsetattr(io::stdin(), OptionalActions::Drain, &changed).ok()?;
    Some(modes)
}

/// Discards text that was typed but has not been read.
pub(crate) fn discard_typed() {
    // If standard input is not a terminal, there is no typed text.
    #[cfg(unix)]
    let _ = tcflush(io::stdin(), QueueSelector::IFlush);
}

/// Suspends the program, as Ctrl-Z does, and returns when it is resumed. Meanwhile, the echo is on for the
/// shell.
#[cfg(unix)]
fn suspend() {
    let _modes = set_echo(true).map(WithoutEcho);
    // If suspending fails, the program simply continues.
    let _ = kill_current_process_group(Signal::TSTP);
}

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
        let mut mode = Some(RawMode::enable().map_err(|_| Interrupted)?);
        loop {
            match event(stop, &mut mode)? {
                Event::Resize(..) => return Ok(Press::Redraw),
                Event::Paste(text) => {
                    self.skip_text(stop, &mut mode, !text.ends_with(['\r', '\n']))?;
                    return Ok(Press::Text);
                }
                Event::Key(key) if (key.modifiers - KeyModifiers::SHIFT).is_empty() => {
                    let is_text = match key.code {
                        Key::Char(_) => self.text_within(TYPING) || self.starts_text(stop, &mut mode)?,
                        Key::Enter if self.text_within(ENTER_AFTER_TEXT) => {
                            self.text_at = None;
                            return Ok(Press::Redraw);
                        }
                        Key::Enter => follows_enter(stop, &mut mode)?,
                        _ => false,
                    };
                    if is_text {
                        self.skip_text(stop, &mut mode, true)?;
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
    fn starts_text(&mut self, stop: &Stop, mode: &mut Option<RawMode>) -> Result<bool, Interrupted> {
        loop {
            match event_within(stop, mode, Some(HOLD))? {
                Some(Event::Key(key)) => match key.code {
                    Key::Enter => return follows_enter(stop, mode),
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
    fn skip_text(
        &mut self,
        stop: &Stop,
        mode: &mut Option<RawMode>,
        mut is_open: bool,
    ) -> Result<(), Interrupted> {
        loop {
            let within = if is_open { TYPING } else { 5 * BURST };
            match event_within(stop, mode, Some(within))? {
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
fn follows_enter(stop: &Stop, mode: &mut Option<RawMode>) -> Result<bool, Interrupted> {
    loop {
        match event_within(stop, mode, Some(BURST))? {
            Some(Event::Key(key)) if key.code == Key::Enter => {}
            Some(Event::Key(_) | Event::Paste(_)) => return Ok(true),
            Some(_) => {}
            None => return Ok(false),
        }
    }
}

/// Returns the next event. Ctrl-Z suspends the program. When the program is resumed, this function returns a
/// `Resize`.
fn event(stop: &Stop, mode: &mut Option<RawMode>) -> Result<Event, Interrupted> {
    loop {
        if let Some(event) = event_within(stop, mode, None)? {
            return Ok(event);
        }
    }
}

/// Like [`event()`], but also returns Ctrl-D.
fn event_or_end(stop: &Stop, mode: &mut Option<RawMode>) -> Result<Event, Interrupted> {
    loop {
        if let Some(event) = any_event_within(stop, mode, None)? {
            return Ok(event);
        }
    }
}

/// Like [`event()`], but returns `None` if there is no event within this time.
fn event_within(
    stop: &Stop,
    mode: &mut Option<RawMode>,
    within: Option<Duration>,
) -> Result<Option<Event>, Interrupted> {
    match any_event_within(stop, mode, within)? {
        Some(event) if is_end(&event) => Err(Interrupted),
        event => Ok(event),
    }
}

/// Whether the key is Ctrl-D. If it was typed before raw mode was on, it arrives as NUL, which is Ctrl-Space.
fn is_end(event: &Event) -> bool {
    matches!(event, Event::Key(key) if key.modifiers == KeyModifiers::CONTROL
        && matches!(key.code, Key::Char('d' | ' ')))
}

/// Like [`event_within`], but also returns Ctrl-D.
fn any_event_within(
    stop: &Stop,
    mode: &mut Option<RawMode>,
    within: Option<Duration>,
) -> Result<Option<Event>, Interrupted> {
    let end = within.map(|within| Instant::now() + within);
    loop {
        stop.check()?;
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
                *mode = None;
                // The message of the shell must start on a new line.
                let _ = writeln!(io::stdout());
                suspend();
                *mode = Some(RawMode::enable().map_err(|_| Interrupted)?);
                let (columns, rows) = terminal::size().unwrap_or_default();
                Event::Resize(columns, rows)
            }
            // If Enter was typed before raw mode was on, it arrives as a line feed, which is Ctrl-J.
            (KeyModifiers::CONTROL, Key::Char('j')) => {
                Event::Key(KeyEvent::new(Key::Enter, KeyModifiers::NONE))
            }
            _ => Event::Key(key),
        }));
    }
}

/// What the person entered at a prompt for a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Line(String),
    /// The person pressed Esc on an empty line.
    Esc,
}

/// Functions that complete words and decide which pasted text is accepted.
pub(crate) struct Assistance<'a> {
    /// Returns all possible completions of the last word before the cursor.
    pub complete: &'a dyn Fn(&str) -> Vec<String>,
    /// Returns whether a pasted line may be entered at this prompt.
    pub accepts: &'a dyn Fn(&str) -> bool,
}

impl Assistance<'_> {
    /// No completions. Pasted lines are not accepted.
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
    /// Reads a line. If the line is longer than the window is wide, it scrolls sideways.
    ///
    /// # Errors
    ///
    /// Returns [`Interrupted`] after Ctrl-C, Ctrl-D or a signal, or if the terminal is closed.
    pub(crate) fn read(
        &mut self,
        prompt: &str,
        stop: &Stop,
        assistance: &Assistance<'_>,
    ) -> Result<Entry, Interrupted> {
        let line = {
            let mut mode = Some(RawMode::enable().map_err(|_| Interrupted)?);
            self.edit(prompt, stop, &mut mode, assistance)
        };
        // The next output must start on a new line.
        let _ = writeln!(io::stdout());
        if let Ok(Entry::Line(line)) = &line {
            self.remember(line);
        }
        line
    }

    fn edit(
        &mut self,
        prompt: &str,
        stop: &Stop,
        mode: &mut Option<RawMode>,
        assistance: &Assistance<'_>,
    ) -> Result<Entry, Interrupted> {
        let mut input = Input::default();
        // The index of the history entry that is shown. The index after the last entry stands for the line
        // that is being typed.
        let mut shown = self.history.len();
        loop {
            let drawn = draw(prompt, &input).map_err(|_| Interrupted)?;
            let event = event_or_end(stop, mode)?;
            match &event {
                Event::Resize(..) => clear_wrapped(drawn),
                Event::Paste(text) => paste_or_say(&mut input, text, assistance)?,
                event if is_end(event) && input.value().is_empty() => return Err(Interrupted),
                Event::Key(key) => match key.code {
                    Key::Enter => {
                        let rest = rest_of_burst(stop, mode)?;
                        if rest.trim().is_empty() {
                            return Ok(Entry::Line(input.value().to_owned()));
                        }
                        // The line before is empty, so the next line was typed quickly, not pasted.
                        if input.value().trim().is_empty() && pasted_lines(&rest).count() == 1 {
                            input = Input::new(rest.trim().to_owned());
                            if rest.ends_with('\n') {
                                return Ok(Entry::Line(input.value().to_owned()));
                            }
                            continue;
                        }
                        let text = format!("{}\n{rest}", input.value());
                        input.reset();
                        paste_or_say(&mut input, &text, assistance)?;
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

/// Inserts the first pasted line, so that nothing runs before the person presses Enter. If one of the lines is not
/// accepted at this prompt, ignores the text. A part of a line, such as a key, is always accepted. Returns a message if
/// text was discarded.
fn paste(input: &mut Input, text: &str, assistance: &Assistance<'_>) -> Option<&'static str> {
    let lines: Vec<String> = pasted_lines(text).collect();
    let is_part = lines.len() == 1 && !input.value().is_empty();
    if !is_part && !lines.iter().all(|line| (assistance.accepts)(line)) {
        return Some(TEXT_IGNORED);
    }
    insert(input, lines.first().map_or("", String::as_str));
    (lines.len() > 1).then_some(ONLY_FIRST_LINE)
}

fn paste_or_say(input: &mut Input, text: &str, assistance: &Assistance<'_>) -> Result<(), Interrupted> {
    match paste(input, text, assistance) {
        Some(message) => below(message).map_err(|_| Interrupted),
        None => Ok(()),
    }
}

/// Returns the non-blank lines of a text, without control characters.
fn pasted_lines(text: &str) -> impl Iterator<Item = String> {
    text.split(['\r', '\n'])
        .map(|line| line.replace('\t', " ").replace(char::is_control, ""))
        .filter(|line| !line.trim().is_empty())
}

/// Returns the text that arrived together with an Enter. This is a paste if the terminal does not mark
/// pastes.
fn rest_of_burst(stop: &Stop, mode: &mut Option<RawMode>) -> Result<String, Interrupted> {
    let mut text = String::new();
    while let Some(event) = event_within(stop, mode, Some(LINE_BURST))? {
        match event {
            Event::Key(key) => match key.code {
                Key::Char(character) => text.push(character),
                Key::Tab => text.push(' '),
                Key::Enter => text.push('\n'),
                _ => {}
            },
            Event::Paste(pasted) => text.push_str(&pasted),
            _ => {}
        }
    }
    Ok(text)
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

/// Extends the word before the cursor with the text that all completions have in common. Returns whether the
/// word has changed.
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

/// Clears a line of `width` columns that the terminal has wrapped because the window has become narrower.
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

/// Draws the prompt and the line. Returns their width.
fn draw(prompt: &str, input: &Input) -> io::Result<usize> {
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

/// Writes text below the line that is being edited.
fn below(text: &str) -> io::Result<()> {
    let text = sanitize::line(text).into_owned();
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
    fn a_paste_of_several_lines_fills_in_only_the_first() {
        let mut input = Input::new("> ".to_owned());
        let accepting = Assistance {
            accepts: &|_| true,
            ..Assistance::NONE
        };
        let text = "MULTI\r\n\nINCR\tn\x1b\nEXEC";
        assert_eq!(paste(&mut input, text, &accepting), Some(ONLY_FIRST_LINE));
        assert_eq!(input.value(), "> MULTI");
    }

    #[test]
    fn a_paste_with_a_line_that_is_not_accepted_is_ignored() {
        let mut input = Input::default();
        let commands = Assistance {
            accepts: &|line| line.starts_with("GET"),
            ..Assistance::NONE
        };
        for text in ["GET a\nls -l\n", "exit\n"] {
            assert_eq!(paste(&mut input, text, &commands), Some(TEXT_IGNORED));
            assert_eq!(input.value(), "");
        }
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

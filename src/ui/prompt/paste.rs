//! Handles pasted text at a prompt for a line, even if the terminal does not mark pastes.

use std::time::Duration;

use crossterm::event::Event;
use tui_input::{Input, InputRequest};

use super::Key;
use super::drawing::below;
use super::events::Events;
use crate::signals::Interrupted;

/// The maximum time between Enter and the next text of the same paste. The time is short, because people type
/// fast.
const BURST: Duration = Duration::from_millis(2);

/// The message if text was typed or pasted at a prompt that waits for a single key.
pub(crate) const TEXT_IGNORED: &str = "ignored: type or paste shell commands in another terminal";
/// The message about a paste of several lines.
const ONLY_FIRST_LINE: &str = "only the first pasted line is used; paste the other lines one at a time";

/// Handles Enter, and returns whether Enter ends the line. If text arrived with Enter, both are part of a
/// paste, so the text is inserted.
pub(super) fn ends_line(
    input: &mut Input,
    events: &mut Events<'_>,
    accepts: &dyn Fn(&str) -> bool,
) -> Result<bool, Interrupted> {
    let rest = rest_of_burst(events)?;
    if rest.trim().is_empty() {
        return Ok(true);
    }
    // The line before Enter is empty, so the next line was typed quickly, not pasted.
    if input.value().trim().is_empty() && pasted_lines(&rest).count() == 1 {
        *input = Input::new(rest.trim().to_owned());
        return Ok(rest.ends_with('\n'));
    }
    let text = format!("{}\n{rest}", input.value());
    input.reset();
    insert_or_say(input, &text, accepts)?;
    Ok(false)
}

/// Inserts pasted text. If part of the text is discarded, shows a message below the line.
pub(super) fn insert_or_say(
    input: &mut Input,
    text: &str,
    accepts: &dyn Fn(&str) -> bool,
) -> Result<(), Interrupted> {
    match insert_first_line(input, text, accepts) {
        Some(message) => below(message).map_err(|_| Interrupted),
        None => Ok(()),
    }
}

/// Inserts only the first pasted line, so that nothing runs before the person presses Enter. Ignores the
/// whole text if `accepts` rejects one of the lines. Never rejects a single line that completes a typed line.
/// Returns a message if text was discarded.
fn insert_first_line(input: &mut Input, text: &str, accepts: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    let lines: Vec<String> = pasted_lines(text).collect();
    let is_part = lines.len() == 1 && !input.value().is_empty();
    if !is_part && !lines.iter().all(|line| accepts(line)) {
        return Some(TEXT_IGNORED);
    }
    insert(input, lines.first().map_or("", String::as_str));
    (lines.len() > 1).then_some(ONLY_FIRST_LINE)
}

/// Returns the non-blank lines of a text, without control characters.
fn pasted_lines(text: &str) -> impl Iterator<Item = String> {
    text.split(['\r', '\n'])
        .map(|line| line.replace('\t', " ").replace(char::is_control, ""))
        .filter(|line| !line.trim().is_empty())
}

/// Returns the text that arrived together with Enter. Such text was pasted, even if the terminal does not
/// mark pastes.
fn rest_of_burst(events: &mut Events<'_>) -> Result<String, Interrupted> {
    let mut text = String::new();
    while let Some(event) = events.next_within(BURST)? {
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

pub(super) fn insert(input: &mut Input, text: &str) {
    for character in text.chars() {
        input.handle(InputRequest::InsertChar(character));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paste_of_several_lines_fills_in_only_the_first() {
        let mut input = Input::new("> ".to_owned());
        let text = "MULTI\r\n\nINCR\tn\x1b\nEXEC";
        assert_eq!(
            insert_first_line(&mut input, text, &|_| true),
            Some(ONLY_FIRST_LINE)
        );
        assert_eq!(input.value(), "> MULTI");
    }

    #[test]
    fn a_paste_with_a_line_that_is_not_accepted_is_ignored() {
        let mut input = Input::default();
        for text in ["GET a\nls -l\n", "exit\n"] {
            let message = insert_first_line(&mut input, text, &|line| line.starts_with("GET"));
            assert_eq!(message, Some(TEXT_IGNORED));
            assert_eq!(input.value(), "");
        }
    }
}

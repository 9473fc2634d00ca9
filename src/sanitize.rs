//! Makes text from outside safe to display. All such text passes through here.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes control characters (`\x1b`, `\u{202e}`), so that the text cannot control the terminal.
///
/// Also escapes newlines and tabs, so that the result is always a single line.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Like [`line()`], but keeps newlines and tabs, for text of several lines such as a lesson.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |character| matches!(character, '\n' | '\t'))
}

/// Escapes bytes from the network, and returns at most the first `most` characters. If some are left out, `…`
/// follows.
#[must_use]
pub fn excerpt(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text.chars().take(most).collect();
    let is_cut = shown.len() < text.len();
    shown = line(&shown).into_owned();
    if is_cut {
        shown.push('…');
    }
    shown
}

fn escape(text: &str, allowed: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text
        .chars()
        .any(|character| is_control(character) && !allowed(character))
    {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            _ if !is_control(character) || allowed(character) => safe.push(character),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            '\0'..='\x7f' => write_escape(&mut safe, format_args!("\\x{:02x}", u32::from(character))),
            _ => write_escape(&mut safe, format_args!("\\u{{{:x}}}", u32::from(character))),
        }
    }
    Cow::Owned(safe)
}

fn write_escape(safe: &mut String, escape: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = safe.write_fmt(escape);
}

/// Returns whether this is a control character, or a mark that reorders or hides text (Unicode TR 36, section 2.3).
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        for (text, shown) in [
            ("plain text, ünïcödé", "plain text, ünïcödé"),
            ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
            ("two\r\nlines\t", "two\\r\\nlines\\t"),
            ("\u{9b}31m and \u{202e}olleh", "\\u{9b}31m and \\u{202e}olleh"),
            ("\u{7f}", "\\x7f"),
        ] {
            assert_eq!(line(text), shown);
        }
    }

    #[test]
    fn text_of_several_lines_keeps_its_lines() {
        assert_eq!(lines("a\n\tb\x07"), "a\n\tb\\x07");
    }

    #[test]
    fn an_excerpt_is_short_and_says_that_it_was_cut() {
        assert_eq!(excerpt(b"HTTP/1.1 400 Bad Request\r\n", 12), "HTTP/1.1 400…");
        assert_eq!(excerpt(b"\xff\xfe", 12), "\u{fffd}\u{fffd}");
    }
}

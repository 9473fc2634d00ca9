//! Makes text from outside safe to display.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes control characters (`\x1b`, `\u{202e}`), so that the text cannot control the terminal.
///
/// Newlines and tabs are escaped as well, so that the result is a single line.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Like [`line()`], but keeps newlines and tabs.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |character| matches!(character, '\n' | '\t'))
}

/// Like [`lines()`], but keeps the colours and styles that this program uses. The start of all other escape
/// sequences is escaped, so that they cannot move the cursor, hide text or set a window title.
#[must_use]
pub fn painted(text: &str) -> Cow<'_, str> {
    if !text.contains('\x1b') {
        return lines(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    // Each part except the first begins with an escape character.
    let starts = text.match_indices('\x1b').map(|(at, _)| at);
    let mut from = 0;
    for to in starts.chain([text.len()]) {
        let part = &text[from..to];
        let style = style(part).unwrap_or_default();
        safe.push_str(style);
        safe.push_str(&lines(&part[style.len()..]));
        from = to;
    }
    Cow::Owned(safe)
}

/// Returns the SGR sequence (ECMA-48, 8.3.117) at the start of the text. Returns `None` if it sets anything
/// other than a colour or style that this program uses.
fn style(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\x1b[")?;
    let parameters = &parameters[..parameters.find('m')?];
    let is_used = |code: &str| {
        matches!(
            code.as_bytes(),
            [b'0'..=b'4' | b'9'] | [b'3' | b'9', b'1'..=b'7'] | b"90"
        )
    };
    let is_style = parameters.len() <= LONGEST_STYLE && parameters.split(';').all(is_used);
    is_style.then(|| &text[.."\x1b[m".len() + parameters.len()])
}

/// The maximum number of characters in the parameters of a style, such as `1;3;4;9;97`.
const LONGEST_STYLE: usize = 16;

/// Escapes control characters in JSON text except newlines. This includes characters that JSON allows
/// unescaped, such as U+009B.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    let must_be_escaped = |character: char| is_control(character) && character != '\n';
    if !text.contains(must_be_escaped) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if must_be_escaped(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                write_escape(&mut safe, format_args!("\\u{unit:04x}"));
            }
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Replaces a control character with `\u{fffd}`, so that all other characters keep their positions.
#[must_use]
pub fn visible(character: char) -> char {
    if is_control(character) {
        char::REPLACEMENT_CHARACTER
    } else {
        character
    }
}

/// Escapes bytes from the network. A text of more than `most` characters is cut off and ends with `…`.
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

/// Whether a character must be escaped. This applies to:
///
/// - control characters
/// - characters that reorder text (Unicode TR 36, section 2.3)
/// - invisible characters (`Default_Ignorable_Code_Point` in Unicode's DerivedCoreProperties), except the
///   variation selectors of emoji
/// - noncharacters (Unicode, section 23.7), which XML does not allow
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || u32::from(character) & 0xfffe == 0xfffe
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
            ("a\u{61c}b\u{ad}c", "a\\u{61c}b\\u{ad}c"),
            ("\u{e0041}\u{3164}", "\\u{e0041}\\u{3164}"),
            ("⚠\u{fe0f}", "⚠\u{fe0f}"),
            (
                "\u{fffd}\u{fffe}\u{fdd0}\u{1ffff}",
                "\u{fffd}\\u{fffe}\\u{fdd0}\\u{1ffff}",
            ),
        ] {
            assert_eq!(line(text), shown);
        }
    }

    #[test]
    fn text_of_several_lines_keeps_its_lines() {
        assert_eq!(lines("a\n\tb\x07"), "a\n\tb\\x07");
    }

    #[test]
    fn only_the_styles_of_this_program_are_kept() {
        for (text, shown) in [
            ("\x1b[1;31mred\x1b[0m\n", "\x1b[1;31mred\x1b[0m\n"),
            ("a\x1b[90mb", "a\x1b[90mb"),
            ("\x1b[5mblink", "\\x1b[5mblink"),
            ("\x1b[8mhidden", "\\x1b[8mhidden"),
            ("\x1b[30mblack", "\\x1b[30mblack"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("\x1b[2J\x1b[1mbold", "\\x1b[2J\x1b[1mbold"),
            ("one\rtwo\u{9b}1m", "one\\rtwo\\u{9b}1m"),
            ("\x1b[", "\\x1b["),
            ("\x1b[1", "\\x1b[1"),
        ] {
            assert_eq!(painted(text), shown);
        }
    }

    #[test]
    fn json_stays_valid_without_control_characters() {
        let value = serde_json::json!({ "a": "\u{9b}1m\u{202e}\x1b\n\u{e0041}" });
        let text = value.to_string();
        let safe = json(&text);
        assert!(!safe.contains(is_control), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }

    #[test]
    fn an_excerpt_is_short_and_says_that_it_was_cut() {
        assert_eq!(excerpt(b"HTTP/1.1 400 Bad Request\r\n", 12), "HTTP/1.1 400…");
        assert_eq!(excerpt(b"\xff\xfe", 12), "\u{fffd}\u{fffd}");
    }
}

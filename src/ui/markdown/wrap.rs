//! Breaks styled text into lines.

use colored::{ColoredString, Colorize as _};
use dialoguer::console::measure_text_width;
use unicode_width::UnicodeWidthStr as _;

/// Text in one style.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) text: String,
    pub(super) look: Look,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) strong: bool,
    pub(super) emphasis: bool,
    pub(super) code: bool,
    pub(super) link: bool,
    pub(super) struck: bool,
}

pub(super) fn plain_width(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.text.width()).sum()
}

/// Breaks text at spaces. A word that is wider than the page gets its own line.
pub(super) fn wrap(spans: &[Span], width: usize) -> Vec<String> {
    wrap_behind(spans, width, width)
}

/// Breaks text whose first line has a separate width, because something precedes it.
pub(super) fn wrap_behind(spans: &[Span], first: usize, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut room = first;
    let mut column = 0;
    // Write a space only when a word follows on the same line.
    let mut space: Option<Look> = None;
    for word in words(spans) {
        match word {
            Word::Space(look) => space = space.or(Some(look)),
            Word::Break => {
                lines.push(String::new());
                room = width;
                column = 0;
                space = None;
            }
            Word::Letters(parts) => {
                let length: usize = parts.iter().map(|(text, _)| measure_text_width(text)).sum();
                if column > 0 && column + usize::from(space.is_some()) + length > room {
                    lines.push(String::new());
                    room = width;
                    column = 0;
                    space = None;
                }
                let Some(line) = lines.last_mut() else {
                    continue;
                };
                if let Some(look) = space.take()
                    && column > 0
                {
                    line.push_str(&painted(" ", look).to_string());
                    column += 1;
                }
                for (text, look) in parts {
                    line.push_str(&painted(text, look).to_string());
                }
                column += length;
            }
        }
    }
    lines
}

enum Word<'s> {
    Letters(Vec<(&'s str, Look)>),
    Space(Look),
    Break,
}

/// A word can have several styles: `**bo**ld` is one word.
fn words(spans: &[Span]) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    for span in spans {
        let mut rest = span.text.as_str();
        while let Some(first) = rest.chars().next() {
            if first == '\n' {
                words.push(Word::Break);
                rest = &rest[1..];
            } else if first == ' ' || first == '\t' {
                words.push(Word::Space(span.look));
                rest = &rest[1..];
            } else {
                let end = word_length(rest);
                match words.last_mut() {
                    Some(Word::Letters(parts)) => parts.push((&rest[..end], span.look)),
                    _ => words.push(Word::Letters(vec![(&rest[..end], span.look)])),
                }
                rest = &rest[end..];
            }
        }
    }
    words
}

/// Returns the length of the first word in `text`. Text between two backticks is a command, which counts as one word.
fn word_length(text: &str) -> usize {
    let mut at = 0;
    while let Some(found) = text[at..].find([' ', '\t', '\n', '`']) {
        at += found;
        if !text[at..].starts_with('`') {
            return at;
        }
        at += 1;
        at += text[at..].find('`').map_or(0, |close| close + 1);
    }
    text.len()
}

pub(super) fn painted(text: &str, look: Look) -> ColoredString {
    let mut painted = ColoredString::from(text);
    if look.code {
        painted = painted.cyan();
    }
    if look.strong {
        painted = painted.bold();
    }
    if look.emphasis {
        painted = painted.italic();
    }
    if look.link {
        painted = painted.underline();
    }
    if look.struck {
        painted = painted.strikethrough();
    }
    painted
}

//! Styled text.

use colored::{ColoredString, Colorize as _};
use unicode_width::UnicodeWidthStr as _;

use crate::ui::window;

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

/// Wraps text between words.
pub(super) fn wrap(spans: &[Span], width: usize) -> Vec<String> {
    let text: String = spans.iter().map(painted_words).collect();
    window::wrapped(&text, "", "", width)
}

/// Paints each word separately, so that no colour extends over the end of a line.
fn painted_words(span: &Span) -> String {
    let paint_word = |word: &str| match word {
        "" => String::new(),
        _ => painted(word, span.look).to_string(),
    };
    let paint_line = |line: &str| {
        let words: Vec<String> = line.split([' ', '\t']).map(paint_word).collect();
        words.join(" ")
    };
    let lines: Vec<String> = span.text.split('\n').map(paint_line).collect();
    lines.join("\n")
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

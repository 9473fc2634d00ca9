//! Text in several looks, broken into lines.

use colored::{ColoredString, Colorize as _};
use unicode_width::UnicodeWidthStr as _;

/// Text in one look.
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

/// Breaks at spaces; a word that is wider than the page stands alone on its line, whole.
pub(super) fn wrap(spans: &[Span], width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut column = 0;
    // A space is only written once a word follows on the same line.
    let mut space: Option<Look> = None;
    for word in words(spans) {
        match word {
            Word::Space(look) => space = space.or(Some(look)),
            Word::Break => {
                lines.push(String::new());
                column = 0;
                space = None;
            }
            Word::Letters(parts) => {
                let length: usize = parts.iter().map(|(text, _)| text.width()).sum();
                if column > 0 && column + usize::from(space.is_some()) + length > width {
                    lines.push(String::new());
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

/// Words can have several looks: `**bo**ld` is one.
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
                let end = rest.find([' ', '\t', '\n']).unwrap_or(rest.len());
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

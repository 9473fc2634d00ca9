//! Splits a Markdown document into its top-level pieces.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// The Markdown extensions in lessons, for both parsing and display.
pub(crate) const MARKDOWN: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_STRIKETHROUGH);

/// A top-level piece of the document.
pub(super) struct Piece {
    pub(super) range: Range<usize>,
    pub(super) content: Content,
}

pub(super) enum Content {
    Heading(HeadingLevel, String),
    Quote(String),
    Fence {
        info: String,
        body: String,
    },
    /// `<details>` … `</details>`, possibly across several pieces.
    Details {
        is_closed: bool,
    },
    Prose {
        /// The fences inside lists and quotes. Each is an offset and the words after the backticks.
        nested: Vec<(usize, String)>,
    },
}

/// Splits a document into its top-level pieces.
pub(super) fn pieces(source: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut depth = 0_usize;
    let mut text = String::new();
    let mut nested = Vec::new();
    let mut info: Option<String> = None;
    for (event, range) in Parser::new_ext(source, MARKDOWN).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if depth == 0 {
                    text.clear();
                    nested.clear();
                    info = None;
                }
                if let Tag::CodeBlock(CodeBlockKind::Fenced(words)) = &tag {
                    if depth == 0 {
                        info = Some(words.to_string());
                    } else {
                        nested.push((range.start, words.to_string()));
                    }
                }
                depth += 1;
            }
            Event::End(tag) => {
                depth -= 1;
                if depth > 0 {
                    continue;
                }
                let content = match (tag, info.take()) {
                    (TagEnd::Heading(level), _) => Content::Heading(level, text.trim().to_owned()),
                    (TagEnd::BlockQuote(_), _) if nested.is_empty() => Content::Quote(text.trim().to_owned()),
                    (TagEnd::CodeBlock, Some(info)) => Content::Fence {
                        info,
                        body: text.clone(),
                    },
                    (TagEnd::HtmlBlock, _) if is_details_start(&source[range.clone()]) => Content::Details {
                        is_closed: source[range.clone()].contains("</details>"),
                    },
                    _ => Content::Prose {
                        nested: std::mem::take(&mut nested),
                    },
                };
                add(&mut pieces, Piece { range, content }, source);
            }
            Event::Text(more) | Event::Code(more) => text.push_str(&more),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            // This is a horizontal rule.
            _ if depth == 0 => add(
                &mut pieces,
                Piece {
                    range,
                    content: Content::Prose { nested: Vec::new() },
                },
                source,
            ),
            _ => {}
        }
    }
    pieces
}

fn is_details_start(html: &str) -> bool {
    html.trim_start().starts_with("<details")
}

/// Adds a piece. If the last piece is an open `<details>`, extends the last piece instead of adding a new
/// piece.
fn add(pieces: &mut Vec<Piece>, piece: Piece, source: &str) {
    match pieces.last_mut() {
        Some(Piece {
            range,
            content: Content::Details { is_closed },
        }) if !*is_closed => {
            let is_html = matches!(piece.content, Content::Prose { .. })
                && source[piece.range.clone()].trim_start().starts_with('<');
            if matches!(
                piece.content,
                Content::Heading(HeadingLevel::H1 | HeadingLevel::H2, _)
            ) {
                pieces.push(piece);
                return;
            }
            *is_closed = is_html && source[piece.range.clone()].contains("</details>");
            range.end = piece.range.end;
        }
        _ => pieces.push(piece),
    }
}

/// Describes the problem if a fence is not closed. Otherwise, returns `None`.
pub(super) fn unclosed(fence: &str, line: usize) -> Option<String> {
    let unindented = fence.trim_start();
    let sign = unindented.chars().next()?;
    let ticks = &unindented[..unindented.len() - unindented.trim_start_matches(sign).len()];
    let advice = format!("this fence is not closed: add a line with {ticks} after it");
    let rows = fence.lines().enumerate().skip(1);
    let starts_fence = |row: &str| {
        let rest = row.strip_prefix(ticks).map(|rest| rest.trim_start_matches(sign));
        rest.is_some_and(|rest| !rest.trim().is_empty() && !rest.contains(sign))
    };
    if let Some((row, _)) = rows.clone().find(|(_, row)| starts_fence(row)) {
        let line = line + row;
        return Some(format!("{advice} (line {line} starts another fence inside it)"));
    }
    let is_end = |row: &str| row.trim().starts_with(ticks) && row.trim().trim_matches(sign).is_empty();
    let is_closed = rows.last().is_some_and(|(_, row)| is_end(row));
    (!is_closed).then_some(advice)
}

/// Returns the text inside `<details><summary>Hint</summary>` … `</details>`.
pub(super) fn hint_text(details: &str) -> String {
    let inside = details.split_once('>').map_or("", |(_, inside)| inside);
    let inside = inside
        .rsplit_once("</details>")
        .map_or(inside, |(inside, _)| inside);
    let inside = inside.split_once("</summary>").map_or(inside, |(_, text)| text);
    inside.trim().to_owned()
}

//! Renders Markdown for a terminal, with tables, lists and code, wrapped to a width. Without colours, the
//! result is plain text.

mod table;

use colored::{Color, ColoredString, Style, Styles};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};
use unicode_width::UnicodeWidthStr as _;

use super::{highlight, window};
use crate::learn::MARKDOWN;
use crate::sanitize;
use table::{Table, table_lines};

/// Returns the lines of a Markdown text, which are at most `width` columns wide. Long words and code may be
/// wider.
#[must_use]
pub fn lines(text: &str, width: usize) -> Vec<String> {
    let text = sanitize::lines(text);
    let mut page = Page {
        width: width.max(NARROWEST),
        ..Page::default()
    };
    for event in Parser::new_ext(&text, MARKDOWN) {
        page.take(event);
    }
    page.lines
}

#[must_use]
/// Wraps text at spaces, to at most `width` columns.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    window::wrapped(&sanitize::line(text), "", "", width.max(NARROWEST))
}

/// The minimum width of wrapped text, in columns. In a narrower window, each line would contain only one
/// word.
const NARROWEST: usize = 16;

/// The text at the start of each line, which may differ for the first line of a block.
#[derive(Clone, Debug)]
struct Margin {
    first: String,
    rest: String,
}

/// A piece of text in one style.
type Span = ColoredString;

#[derive(Default)]
struct Page {
    width: usize,
    lines: Vec<String>,
    spans: Vec<Span>,
    style: Style,
    margins: Vec<Margin>,
    /// For each open list, the number of the next item, or `None` for a bulleted list.
    lists: Vec<Option<u64>>,
    code: Option<(String, String)>,
    table: Option<Table>,
    link: Option<String>,
    /// Whether an empty line must precede the next block.
    gap_due: bool,
}

impl Page {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.open(tag),
            Event::End(tag) => self.close(tag),
            Event::Text(text) => match &mut self.code {
                Some((code, _)) => code.push_str(&sanitize::lines(&text)),
                None => self.add(&text),
            },
            Event::Code(text) => {
                self.add(&text);
                if let Some(span) = self.spans.last_mut() {
                    span.fgcolor = Some(Color::Cyan);
                }
            }
            Event::SoftBreak => self.add(" "),
            Event::HardBreak => self.break_line(),
            Event::Rule => {
                self.begin_block();
                let rule = "─".repeat(self.room().min(40));
                self.push_line(&rule);
                self.gap_due = true;
            }
            Event::TaskListMarker(done) => self.add(if done { "[x] " } else { "[ ] " }),
            Event::InlineHtml(html) => self.add_html(&html),
            Event::Html(html) => self.add_html(&html),
            _ => {}
        }
    }

    fn open(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Strong => self.style.add(Styles::Bold),
            Tag::Emphasis => self.style.add(Styles::Italic),
            Tag::Strikethrough => self.style.add(Styles::Strikethrough),
            Tag::Link { dest_url, .. } => {
                self.style.add(Styles::Underline);
                self.link = Some(dest_url.into_string());
            }
            Tag::Heading { .. } => self.begin_block(),
            Tag::BlockQuote(_) => {
                self.begin_block();
                let bar = "│ ".to_owned();
                self.margins.push(Margin {
                    first: bar.clone(),
                    rest: bar,
                });
            }
            Tag::CodeBlock(kind) => {
                self.begin_block();
                let language = match kind {
                    CodeBlockKind::Fenced(info) => {
                        info.split_whitespace().next().unwrap_or("text").to_owned()
                    }
                    CodeBlockKind::Indented => "text".to_owned(),
                };
                self.code = Some((String::new(), language));
            }
            Tag::List(start) => {
                self.flush();
                if self.lists.is_empty() {
                    self.begin_block();
                }
                self.lists.push(start);
            }
            Tag::Item => {
                self.gap_due = false;
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ => "• ".to_owned(),
                };
                let rest = " ".repeat(mark.width());
                self.margins.push(Margin { first: mark, rest });
            }
            Tag::Table(_) => {
                self.begin_block();
                self.table = Some(Table::default());
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(table) = &mut self.table {
                    table.push(Vec::new());
                }
            }
            Tag::Paragraph => self.begin_block(),
            _ => {}
        }
    }

    fn close(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Strong => self.style.remove(Styles::Bold),
            TagEnd::Emphasis => self.style.remove(Styles::Italic),
            TagEnd::Strikethrough => self.style.remove(Styles::Strikethrough),
            TagEnd::Link => self.close_link(),
            TagEnd::Heading(level) => {
                for span in &mut self.spans {
                    span.style.add(Styles::Bold);
                    span.style.remove(Styles::Underline);
                    if level == HeadingLevel::H1 {
                        span.style.add(Styles::Underline);
                    }
                }
                self.end_block();
            }
            TagEnd::Paragraph => self.end_block(),
            TagEnd::Item => {
                self.flush();
                self.margins.pop();
                self.gap_due = false;
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.gap_due = self.lists.is_empty();
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.margins.pop();
                self.gap_due = true;
            }
            TagEnd::CodeBlock => {
                if let Some((code, language)) = self.code.take() {
                    for line in highlight::lines(code.trim_end(), &language) {
                        let line = format!("  {line}");
                        if language == "text" {
                            let lines = window::lines(&line, Some(self.width));
                            lines.iter().for_each(|line| self.push_line(line));
                        } else {
                            self.push_line(&line);
                        }
                    }
                }
                self.gap_due = true;
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.spans);
                if let Some(row) = self.table.as_mut().and_then(|table| table.last_mut()) {
                    row.push(cell);
                }
            }
            TagEnd::TableHead => {
                for span in self.table.iter_mut().flatten().flatten().flatten() {
                    span.style.add(Styles::Bold);
                }
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    for line in table_lines(&table, self.room()) {
                        self.push_line(&line);
                    }
                }
                self.gap_due = true;
            }
            _ => {}
        }
    }

    /// Adds text, without control characters. The parser can create control characters, for example from
    /// `&#27;` in a link address.
    fn add(&mut self, text: &str) {
        let mut span = Span::from(sanitize::line(text).as_ref());
        span.style = self.style;
        self.spans.push(span);
    }

    fn break_line(&mut self) {
        self.spans.push(Span::from("\n"));
    }

    /// Adds HTML. Only `<br>` has an effect. Comments and all other tags are omitted.
    fn add_html(&mut self, html: &str) {
        if html.starts_with("<br") {
            self.break_line();
        }
    }

    fn close_link(&mut self) {
        self.style.remove(Styles::Underline);
        let Some(address) = self.link.take() else {
            return;
        };
        let is_shown = self.spans.last().is_some_and(|span| span.input == address);
        if address.contains("://") && !is_shown {
            self.add(&format!(" ({address})"));
        }
    }

    /// Returns the number of columns between the margins.
    fn room(&self) -> usize {
        let margin: usize = self.margins.iter().map(|margin| margin.rest.width()).sum();
        self.width.saturating_sub(margin).max(NARROWEST)
    }

    fn begin_block(&mut self) {
        self.flush();
        if self.gap_due && !self.lines.is_empty() {
            let bars: String = self.margins.iter().map(|margin| margin.rest.as_str()).collect();
            self.lines.push(bars.trim_end().to_owned());
        }
        self.gap_due = false;
    }

    fn end_block(&mut self) {
        self.flush();
        self.gap_due = true;
    }

    fn flush(&mut self) {
        let spans = std::mem::take(&mut self.spans);
        if spans.iter().any(|span| !span.input.trim().is_empty()) {
            for line in wrap(&spans, self.room()) {
                self.push_line(&line);
            }
        }
    }

    fn push_line(&mut self, line: &str) {
        let mut margin = String::new();
        for part in &mut self.margins {
            margin.push_str(&part.first);
            part.first.clone_from(&part.rest);
        }
        self.lines.push(format!("{margin}{line}").trim_end().to_owned());
    }
}

/// Wraps text between words. Each word is coloured separately, so that no colour continues beyond the end of
/// a line.
fn wrap(spans: &[Span], width: usize) -> Vec<String> {
    let mut text = String::new();
    for span in spans {
        for part in span.input.split_inclusive([' ', '\t', '\n']) {
            let word = part.trim_end_matches([' ', '\t', '\n']);
            if !word.is_empty() {
                let mut painted = span.clone();
                word.clone_into(&mut painted.input);
                text.push_str(&painted.to_string());
            }
            text.push_str(&part[word.len()..]);
        }
    }
    window::wrapped(&text, "", "", width)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "A *word* about `HINCRBY` and **keys**, with [a link](https://redis.io/x) in it, long enough to \
                        be wrapped.\n\n- one\n- two, which is rather long and goes on over the end of the line\n  1. inner\n\n> \
                        quoted\n\n| command | does |\n| --- | --- |\n| `TTL` | says how long a key has left to live |\n\n```python\nif \
                        x:\n    y()\n```\n";

    fn plain(text: &str, width: usize) -> Vec<String> {
        colored::control::set_override(false);
        lines(text, width)
    }

    #[test]
    fn text_is_wrapped_to_wide_and_to_narrow_windows() {
        for width in [40, 80] {
            for line in plain(TEXT, width) {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
        let narrow = plain(TEXT, 40);
        assert!(narrow.contains(&"command: TTL".to_owned()), "{narrow:#?}");
        let wide = plain(TEXT, 80);
        assert!(
            wide.contains(&"TTL      says how long a key has left to live".to_owned()),
            "{wide:#?}"
        );
        assert!(
            wide.contains(&"• one".to_owned()) && wide.contains(&"  1. inner".to_owned()),
            "{wide:#?}"
        );
        assert!(
            wide.contains(&"│ quoted".to_owned()) && wide.contains(&"      y()".to_owned()),
            "{wide:#?}"
        );
        assert!(
            wide.iter()
                .any(|line| line.contains("a link (https://redis.io/x)")),
            "{wide:#?}"
        );
    }

    #[test]
    fn blocks_are_separated_by_empty_lines_but_list_items_are_not() {
        assert_eq!(
            plain("a\n\nb\n\n- c\n- d\n\ne", 40),
            ["a", "", "b", "", "• c", "• d", "", "e"]
        );
        assert_eq!(plain("- a\n\n- b\n", 40), ["• a", "• b"]);
    }

    #[test]
    fn decoded_entities_cannot_steer_the_terminal() {
        for escape in [
            "&#27;",
            "&#x1b;",
            "&#155;",
            "&#13;",
            "&#8238;",
            "&NewLine;",
            "\x1b",
        ] {
            for text in [
                "[a](https://a.example/ESC]0;x)",
                "<https://a.example/ESC[5m>",
                "![altESC[5m](https://a.example/i.png \"titleESC\")",
                "[a][r]\n\n[r]: https://a.example/ESC[5m \"tESC\"",
                "`codeESC[5m`",
                "    codeESC[5m",
                "```shESC[5m\nESC[5m\n```",
                "# headingESC[5m",
                "| ESC[5m |\n| --- |\n| [a](https://b/ESC[5m) |",
                "- [x] ESC[5m",
                "> ~~*ESC[5m*~~",
                "<b title=\"ESC[5m\">x</b>",
            ] {
                let shown = plain(&text.replace("ESC", escape), 40);
                let is_plain = |line: &String| !line.contains(|c: char| c.is_control() || c == '\u{202e}');
                assert!(shown.iter().all(is_plain), "{text} {escape}: {shown:?}");
            }
        }
    }

    #[test]
    fn text_from_a_file_cannot_steer_the_terminal() {
        let shown = plain("a \x1b[31mred\x07\n\n```\n\x1b]0;title\x07\n```\n", 40).join("\n");
        assert!(!shown.contains(['\x1b', '\x07']), "{shown:?}");
    }
}

//! Draws a sequence diagram as text, or lists its messages if the window is too narrow.
//!
//! ```text
//!  Browser                app
//!     │ POST /login        │
//!     ├───────────────────▶│
//!     │ 303, Set-Cookie    │
//!     │◀╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┤
//! ```

use std::borrow::Cow;

use colored::Colorize as _;
use textwrap::{Options, WordSplitter};
use unicode_width::UnicodeWidthStr as _;

use crate::learn::{DiagramEvent, SequenceDiagram};
use crate::sanitize;

/// The minimum number of columns for text between two lifelines.
const LEAST_TEXT: usize = 10;
/// The maximum number of columns between two lifelines. Longer arrows are hard to follow.
const WIDEST_GAP: usize = 34;

/// Returns the lines of the diagram, which are at most `width` columns wide.
pub(super) fn lines(diagram: &SequenceDiagram, width: usize) -> Vec<String> {
    match Lifelines::fit(diagram, width) {
        Some(lifelines) => lifelines.draw(diagram),
        None => list(diagram, width),
    }
}

/// The vertical lines below the participants.
struct Lifelines {
    names: Vec<String>,
    /// The column of each lifeline, counted from 0.
    columns: Vec<usize>,
}

impl Lifelines {
    /// Distributes the lifelines over the width. Returns `None` if the width is too small.
    fn fit(diagram: &SequenceDiagram, width: usize) -> Option<Self> {
        let names: Vec<String> = diagram.participants.iter().map(|name| plain(name)).collect();
        let half = |name: &String| name.width() / 2;
        let (first, last) = (half(names.first()?), names.last()?.width().div_ceil(2));
        let gaps = names.len() - 1;
        let gap = (width.checked_sub(first + last + 1)? / gaps).min(WIDEST_GAP);
        let names_fit = names
            .windows(2)
            .all(|pair| pair[0].width().div_ceil(2) + half(&pair[1]) < gap);
        if gap < LEAST_TEXT + 3 || !names_fit {
            return None;
        }
        let columns = (0..names.len()).map(|place| first + place * gap).collect();
        Some(Self { names, columns })
    }

    fn draw(&self, diagram: &SequenceDiagram) -> Vec<String> {
        let mut lines = vec![self.header()];
        for event in &diagram.events {
            match event {
                DiagramEvent::Message {
                    from,
                    to,
                    text,
                    is_reply,
                } => {
                    let (left, right) = (*from.min(to), *from.max(to));
                    lines.extend(self.text(left, right, text));
                    lines.push(self.arrow(left, right, from < to, *is_reply));
                }
                DiagramEvent::Note { first, last, text } => {
                    let last_place = self.columns.len() - 1;
                    let left = (*first).min(last_place - 1);
                    let note = self.text(left, (*last).max(left + 1), &format!("({text})"));
                    lines.extend(note.into_iter().map(|line| line.italic().to_string()));
                }
            }
        }
        lines
    }

    fn header(&self) -> String {
        let mut header = String::new();
        for (name, column) in self.names.iter().zip(&self.columns) {
            pad(&mut header, column - name.width() / 2);
            header.push_str(name);
        }
        header.bold().to_string()
    }

    /// Wraps text to the space between the lifelines `left` and `right`.
    fn text(&self, left: usize, right: usize, text: &str) -> Vec<String> {
        let room = self.columns[right] - self.columns[left] - 3;
        let row = |line: &String| {
            let mut row = self.lifelines(0..left + 1);
            row.push(' ');
            row.push_str(line);
            self.continue_with(&mut row, right);
            row
        };
        wrapped(text, room, "").iter().map(row).collect()
    }

    fn arrow(&self, left: usize, right: usize, points_right: bool, is_dashed: bool) -> String {
        let mut row = self.lifelines(0..left);
        pad(&mut row, self.columns[left]);
        row.push_str(if points_right { "├" } else { "│◀" });
        let stroke = if is_dashed { '╌' } else { '─' };
        let end = self.columns[right] - usize::from(points_right);
        while row.width() < end {
            row.push(stroke);
        }
        row.push_str(if points_right { "▶" } else { "┤" });
        self.continue_with(&mut row, if points_right { right } else { right + 1 });
        row
    }

    /// Returns a row that contains only the lifelines in `places`.
    fn lifelines(&self, places: std::ops::Range<usize>) -> String {
        let mut row = String::new();
        for place in places {
            pad(&mut row, self.columns[place]);
            row.push('│');
        }
        row
    }

    /// Appends the lifelines from index `place` to the row.
    fn continue_with(&self, row: &mut String, place: usize) {
        for column in &self.columns[place..] {
            pad(row, *column);
            row.push('│');
        }
    }
}

fn pad(row: &mut String, column: usize) {
    let missing = column.saturating_sub(row.width());
    row.push_str(&" ".repeat(missing));
}

fn plain(text: &str) -> String {
    sanitize::line(text).into_owned()
}

/// Wraps text between words. Only words that are longer than a line are split. Lines after the first start
/// with `further`.
fn wrapped(text: &str, width: usize, further: &str) -> Vec<String> {
    let options = Options::new(width)
        .subsequent_indent(further)
        .word_splitter(WordSplitter::NoHyphenation);
    let text = plain(text);
    let lines = textwrap::wrap(&text, options).into_iter();
    lines.map(Cow::into_owned).collect()
}

/// Lists the messages, one per line.
fn list(diagram: &SequenceDiagram, width: usize) -> Vec<String> {
    let name = |place: &usize| &diagram.participants[*place];
    let mut lines = Vec::new();
    for event in &diagram.events {
        let text = match event {
            DiagramEvent::Message { from, to, text, .. } => format!("{} → {}: {text}", name(from), name(to)),
            DiagramEvent::Note { text, .. } => format!("({text})"),
        };
        lines.extend(wrapped(&text, width, "  "));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagram() -> SequenceDiagram {
        let message = |from, to, text: &str, is_reply| DiagramEvent::Message {
            from,
            to,
            text: text.to_owned(),
            is_reply,
        };
        let note = |first, last, text: &str| DiagramEvent::Note {
            first,
            last,
            text: text.to_owned(),
        };
        SequenceDiagram {
            participants: ["Browser", "app", "Redis"].map(str::to_owned).into(),
            events: vec![
                message(0, 1, "POST /login name=ada", false),
                note(1, 1, "creates a token"),
                message(1, 2, "HSET sessiontut:session:kQ7… username ada", false),
                message(2, 1, "(integer) 1", true),
                message(1, 0, "303, Set-Cookie", true),
                message(0, 2, "a message across", false),
                note(0, 2, "the browser has only the token"),
                note(2, 2, "TTL 900"),
            ],
        }
    }

    #[test]
    fn wording_of_a_diagram_at_three_widths() {
        colored::control::set_override(false);
        let drawn: String = [80, 40, 30]
            .iter()
            .map(|width| format!("{width} columns:\n{}\n\n", lines(&diagram(), *width).join("\n")))
            .collect();
        crate::golden::assert_golden("learn/diagram.txt", &drawn);
    }

    #[test]
    fn no_line_is_wider_than_the_window() {
        colored::control::set_override(false);
        for width in 20..100 {
            for line in lines(&diagram(), width) {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
    }
}

//! Renders tables: in columns if they fit, otherwise row by row.

use super::span::{Look, Span, painted, plain_width, wrap};

/// Rows of cells; the first row contains the column names.
#[derive(Default)]
pub(super) struct Table {
    pub(super) rows: Vec<Vec<Vec<Span>>>,
}

impl Table {
    /// Renders columns if they fit, otherwise each row as a list of column names and cells.
    pub(super) fn lines(&self, width: usize) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| plain_width(cell))
                    .max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        let total = widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1);
        if total > width {
            return self.cards(width);
        }
        let mut lines = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let padding = " ".repeat(widths[column] - plain_width(cell) + 2);
                line.push_str(&painted_all(cell, number == 0));
                line.push_str(&padding);
            }
            lines.push(line.trim_end().to_owned());
            if number == 0 {
                lines.push(
                    widths
                        .iter()
                        .map(|width| "─".repeat(*width))
                        .collect::<Vec<_>>()
                        .join("  "),
                );
            }
        }
        lines
    }

    fn cards(&self, width: usize) -> Vec<String> {
        let Some((header, rows)) = self.rows.split_first() else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        for row in rows {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            for (column, cell) in row.iter().enumerate() {
                let mut spans = header.get(column).cloned().unwrap_or_default();
                let is_named = plain_width(&spans) > 0;
                for span in &mut spans {
                    span.look.strong = true;
                }
                if is_named {
                    spans.push(Span {
                        text: ": ".into(),
                        look: Look::default(),
                    });
                }
                spans.extend(cell.iter().cloned());
                lines.extend(wrap(&spans, width));
            }
        }
        lines
    }
}

fn painted_all(spans: &[Span], strong: bool) -> String {
    spans
        .iter()
        .map(|span| {
            painted(
                &span.text,
                Look {
                    strong: strong || span.look.strong,
                    ..span.look
                },
            )
            .to_string()
        })
        .collect()
}

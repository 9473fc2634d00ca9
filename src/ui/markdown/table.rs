//! Renders tables in columns, or as lists in a narrow window.

use super::{Span, wrap};
use unicode_width::UnicodeWidthStr as _;

/// The rows of a table. Each row is a list of cells, and the first row contains the column names.
pub(super) type Table = Vec<Vec<Vec<Span>>>;

/// Renders a table in columns if they fit, otherwise as a list per row.
pub(super) fn table_lines(table: &Table, width: usize) -> Vec<String> {
    let mut widths = Vec::new();
    for row in table {
        widths.resize(widths.len().max(row.len()), 0);
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = plain_width(cell).max(*widest);
        }
    }
    if widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1) > width {
        return cards(table, width);
    }
    let mut lines = Vec::new();
    for row in table {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.extend(cell.iter().map(ToString::to_string));
            line.push_str(&" ".repeat(width - plain_width(cell) + 2));
        }
        lines.push(line.trim_end().to_owned());
    }
    let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    lines.insert(1.min(lines.len()), rules.join("  "));
    lines
}

/// Renders each row as a list of column names and values.
fn cards(table: &Table, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for row in table.iter().skip(1) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        for (name, cell) in table[0].iter().zip(row) {
            let mut spans = name.clone();
            if plain_width(name) > 0 {
                spans.push(": ".into());
            }
            spans.extend(cell.iter().cloned());
            lines.extend(wrap(&spans, width));
        }
    }
    lines
}

fn plain_width(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.input.width()).sum()
}

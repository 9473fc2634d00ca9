//! Wraps lines between words to fit the terminal's window. Lines for pipes and files are not wrapped.

use std::borrow::Cow;
use std::iter;

use dialoguer::console::{Term, measure_text_width};
use textwrap::{WordSeparator, WordSplitter, WrapAlgorithm, core::Word};

/// The maximum width of text, in columns. Longer lines are hard to read, even in a wider window.
const WIDEST: usize = 88;

/// The minimum width of text, in columns.
const NARROWEST: usize = 20;

/// The indentation of text that starts on the line below its lead, because the lead is too wide.
const BELOW: usize = 4;

/// Returns the width for text in the terminal's window, between [`NARROWEST`] and [`WIDEST`] columns.
pub(super) fn width(term: &Term) -> usize {
    usize::from(term.size().1).clamp(NARROWEST, WIDEST)
}

/// Like [`width`], but returns `None` if the output is not a terminal.
pub(super) fn columns(term: &Term) -> Option<usize> {
    term.is_term().then(|| width(term))
}

/// Wraps a sentence. Later lines have the same indentation as the first line.
pub(super) fn lines(text: &str, columns: Option<usize>) -> Vec<String> {
    let words = text.trim_start_matches(' ');
    fitted(&text[..text.len() - words.len()], words, columns)
}

/// Wraps a sentence that follows `lead`. Later lines are indented by the width of the lead.
pub(super) fn fitted(lead: &str, text: &str, columns: Option<usize>) -> Vec<String> {
    hanging(lead, measure_text_width(lead), text, columns)
}

/// Wraps a sentence that follows `lead`. Later lines are indented by `further` columns.
pub(super) fn hanging(lead: &str, further: usize, text: &str, columns: Option<usize>) -> Vec<String> {
    let Some(columns) = columns else {
        return vec![format!("{lead}{text}")];
    };
    if measure_text_width(lead) > columns / 2 {
        let margin = " ".repeat(BELOW);
        let mut lines = vec![lead.trim_end().to_owned()];
        lines.extend(wrapped(text, &margin, &margin, columns));
        return lines;
    }
    wrapped(text, lead, &" ".repeat(further.min(columns / 2)), columns)
}

/// Wraps text between words. The first line starts with `first`, and later lines start with `rest`. A word
/// that is wider than a line gets its own line.
pub(super) fn wrapped(text: &str, first: &str, rest: &str, width: usize) -> Vec<String> {
    if text.is_empty() {
        return vec![first.to_owned()];
    }
    let options = textwrap::Options::new(width)
        .initial_indent(first)
        .subsequent_indent(rest)
        .break_words(false)
        .word_separator(WordSeparator::Custom(words))
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::wrap(text, options)
        .into_iter()
        .map(Cow::into_owned)
        .collect()
}

/// Splits a line into words, each with the spaces after it.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let mut rest = line;
    Box::new(iter::from_fn(move || {
        let after = rest[word_length(rest)..].trim_start_matches(' ');
        let (word, after) = rest.split_at(rest.len() - after.len());
        rest = after;
        (!word.is_empty()).then(|| Word::from(word))
    }))
}

/// Returns the length of the first word in `text`. Text between two backquotes is a command and counts as a
/// single word.
fn word_length(text: &str) -> usize {
    let mut at = 0;
    while let Some(found) = text[at..].find([' ', '`']) {
        at += found;
        if !text[at..].starts_with('`') {
            return at;
        }
        at += 1;
        at += text[at..].find('`').map_or(0, |close| close + 1);
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_wrapped_between_words_and_keeps_its_indentation() {
        assert_eq!(
            lines("  the port is closed, the host is there", Some(24)),
            ["  the port is closed,", "  the host is there"]
        );
        assert_eq!(
            fitted("[ok] ", "connected to 127.0.0.1:6379", Some(24)),
            ["[ok] connected to", "     127.0.0.1:6379"]
        );
        assert_eq!(
            hanging("", 4, "tcp.refused: nothing listens there", Some(24)),
            ["tcp.refused: nothing", "    listens there"]
        );
    }

    #[test]
    fn lines_are_not_wrapped_without_a_terminal() {
        let text = "two  blanks, ".repeat(20);
        assert_eq!(fitted("  - ", &text, None), [format!("  - {text}")]);
    }

    #[test]
    fn a_command_in_backquotes_and_an_address_are_not_wrapped() {
        assert_eq!(
            lines(
                "on your computer run `ssh -N -L 5000:127.0.0.1:5000 ec2-user@host`, then open http://127.0.0.1:5000/ there",
                Some(40)
            ),
            [
                "on your computer run",
                "`ssh -N -L 5000:127.0.0.1:5000 ec2-user@host`,",
                "then open http://127.0.0.1:5000/ there"
            ]
        );
        assert_eq!(
            lines("it's a lone ` that opens nothing", Some(20)),
            ["it's a lone ` that", "opens nothing"]
        );
    }

    #[test]
    fn a_lead_that_leaves_no_room_gets_its_own_line() {
        assert_eq!(
            fitted("expired-certificate  ", "the certificate is old", Some(30)),
            ["expired-certificate", "    the certificate is old"]
        );
    }
}

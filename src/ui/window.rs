//! Fits lines to the terminal's window, breaking them between words. Pipes and files get whole lines.

use dialoguer::console::{Term, measure_text_width};

use super::markdown::broken;

/// Maximum width of text, even in a wider window, because longer lines are hard to read.
const WIDEST: usize = 88;

/// Minimum width that is supported.
const NARROWEST: usize = 20;

/// Indentation of a text that does not fit next to its lead.
const BELOW: usize = 4;

/// Returns the width for text in a terminal's window.
pub(super) fn width(term: &Term) -> usize {
    usize::from(term.size().1).clamp(NARROWEST, WIDEST)
}

/// Returns the same width, or `None` if the output is not a terminal.
pub(super) fn columns(term: &Term) -> Option<usize> {
    term.is_term().then(|| width(term))
}

/// Wraps a sentence, and indents its further lines like the first.
pub(super) fn lines(text: &str, columns: Option<usize>) -> Vec<String> {
    let words = text.trim_start_matches(' ');
    fitted(&text[..text.len() - words.len()], words, columns)
}

/// Wraps a sentence after `lead`, and indents its further lines by the width of the lead.
pub(super) fn fitted(lead: &str, text: &str, columns: Option<usize>) -> Vec<String> {
    hanging(lead, measure_text_width(lead), text, columns)
}

/// Wraps a sentence after `lead`, and indents its further lines by `further` columns.
pub(super) fn hanging(lead: &str, further: usize, text: &str, columns: Option<usize>) -> Vec<String> {
    let Some(columns) = columns else {
        return vec![format!("{lead}{text}")];
    };
    let taken = measure_text_width(lead);
    if taken > columns / 2 {
        let below = indented(BELOW, broken(text, columns - BELOW, columns - BELOW));
        return [lead.trim_end().to_owned()].into_iter().chain(below).collect();
    }
    let further = further.min(columns / 2);
    let mut broken = broken(text, columns - taken, columns - further).into_iter();
    let first = format!("{lead}{}", broken.next().unwrap_or_default());
    [first].into_iter().chain(indented(further, broken)).collect()
}

fn indented(columns: usize, lines: impl IntoIterator<Item = String>) -> impl Iterator<Item = String> {
    lines
        .into_iter()
        .map(move |line| format!("{}{line}", " ".repeat(columns)))
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

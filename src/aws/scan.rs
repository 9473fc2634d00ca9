//! Finds the documents in text from a terminal, which also contains prompts, commands and escape sequences.

use serde_json::{Deserializer, Value};

#[derive(Debug, PartialEq)]
pub(super) enum Part<'a> {
    /// A complete JSON object.
    Document(Value),
    /// A line such as `### aws ec2 describe-vpcs`. The output of this command follows.
    Command(&'a str),
    /// A line outside any document.
    Noise(&'a str),
    /// A JSON object that could not be parsed.
    Damaged,
}

/// The start of a line with a command, which precedes the output of this command. The line `### end` ends the
/// text.
pub(super) const MARKER: &str = "### ";

/// The maximum number of damaged documents. A text with more damaged documents is probably not output of
/// `aws`, so the rest of the text is ignored.
const MOST_DAMAGED: usize = 1000;

/// Removes escape sequences (ECMA-48) and carriage returns.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' | '\0' => {}
            '\x1b' => match characters.next_if(|next| !next.is_control()) {
                // A control sequence ends with the first character from `@` to `~`.
                Some('[') => {
                    while characters.next_if(|next| (' '..='?').contains(next)).is_some() {}
                    characters.next_if(|next| ('@'..='~').contains(next));
                }
                // An operating system command (for example, to set the window title) ends with BEL or ESC,
                // and never spans lines.
                Some(']') => {
                    while characters.next_if(|next| !"\x07\x1b\n".contains(*next)).is_some() {}
                    characters.next_if_eq(&'\x07');
                }
                _ => {}
            },
            _ => plain.push(character),
        }
    }
    plain
}

/// Splits the text into documents and other lines. Stops at the line `### end`.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut damaged = 0;
    let mut is_inside_damaged = false;
    while !rest.is_empty() {
        let line = rest.lines().next().unwrap_or_default();
        let after_line = rest.get(line.len() + 1..).unwrap_or_default();
        if let Some(command) = line.trim_start().strip_prefix(MARKER) {
            is_inside_damaged = false;
            if command.trim() == "end" {
                break;
            }
            parts.push(Part::Command(command));
            rest = after_line;
            continue;
        }
        // After a damaged document, indented lines are its continuation.
        let brace = line.find('{').filter(|at| !is_inside_damaged || *at == 0);
        let Some(start) = brace else {
            parts.push(Part::Noise(line));
            rest = after_line;
            continue;
        };
        let mut values = Deserializer::from_str(&rest[start..]).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                is_inside_damaged = false;
                rest = &rest[start + values.byte_offset()..];
                parts.push(Part::Document(value));
            }
            _ => {
                parts.push(Part::Noise(line));
                // A lone brace in a line of text does not start a document.
                let after_brace = line[start + 1..].trim_start();
                let is_document = after_brace.is_empty() || after_brace.starts_with('"');
                if is_document {
                    parts.push(Part::Damaged);
                    is_inside_damaged = true;
                    damaged += 1;
                }
                rest = after_line;
            }
        }
        if damaged > MOST_DAMAGED {
            break;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Vec<Value> {
        let text = plain(text);
        let found = parts(&text).into_iter().filter_map(|part| match part {
            Part::Document(value) => Some(value),
            _ => None,
        });
        found.collect()
    }

    #[test]
    fn documents_are_found_between_prompts_and_escape_sequences() {
        let text = "[user@host ~]$ aws ec2 …\r\n\x1b[?2004l\r{\r\n \"A\": [\r\n  {\"x\": 1}\r\n ]\r\n}\r\n\x1b]0;title\x07\x1b[32muser\x1b[0m$ \
                    echo ${HOME}\r\n/home/user\r\n{\"B\": {}}{\"C\": 1}\r\n### end\r\n{\"D\": 1}\r\n";
        let found = documents(text);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0]["A"].is_array() && found[1]["B"].is_object() && found[2]["C"].is_number());
    }

    #[test]
    fn a_document_that_was_cut_off_does_not_hide_the_next_one() {
        let text = "### aws one\n{\n \"A\": [\n  {\"x\": 1},\n### aws two\n{\n \"B\": 2\n}\n";
        assert_eq!(documents(text), [serde_json::json!({"B": 2})]);
        assert!(parts(text).contains(&Part::Damaged));
        let without_marker = "{\n \"A\": [\n  {\"x\": 1},\n$ \n{\n \"B\": 2\n}\n";
        assert_eq!(documents(without_marker), [serde_json::json!({"B": 2})]);
    }

    #[test]
    fn four_megabytes_without_a_document_are_read_quickly() {
        for unit in ["{\n", "{\"a\":\n", "[", "{\"a\": [", "{}\n", "\x1b[", "x{"] {
            let text = unit.repeat(4 * 1024 * 1024 / unit.len());
            let began = std::time::Instant::now();
            documents(&text);
            assert!(began.elapsed().as_secs() < 10, "{unit:?}");
        }
    }
}

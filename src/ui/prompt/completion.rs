//! Completes the word before the cursor.

use tui_input::{Input, InputRequest};

use super::paste::insert;

pub(super) fn before_cursor(input: &Input) -> &str {
    let text = input.value();
    let end = text.char_indices().nth(input.cursor());
    &text[..end.map_or(text.len(), |(end, _)| end)]
}

/// Extends the word before the cursor by the common prefix of all completions. Returns whether the word has
/// changed.
pub(super) fn complete_word(input: &mut Input, completions: &[String]) -> bool {
    let before = before_cursor(input);
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    let typed = word.chars().count();
    let common = common_prefix(completions);
    let is_only_one = completions.len() == 1;
    if common.chars().count() <= typed && !is_only_one {
        return false;
    }
    let after = input.value()[before.len()..].chars().next();
    let needs_space = is_only_one && !after.is_some_and(char::is_whitespace);
    for _ in 0..typed {
        input.handle(InputRequest::DeletePrevChar);
    }
    insert(input, common);
    if needs_space {
        insert(input, " ");
    }
    true
}

fn common_prefix(words: &[String]) -> &str {
    let Some((first, others)) = words.split_first() else {
        return "";
    };
    let mut prefix = first.as_str();
    while !others.iter().all(|other| other.starts_with(prefix)) {
        let mut characters = prefix.chars();
        characters.next_back();
        prefix = characters.as_str();
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(text: &str, completions: &[&str]) -> (bool, String) {
        let mut input = Input::new(text.to_owned());
        let completions: Vec<String> = completions.iter().map(|word| (*word).to_owned()).collect();
        (complete_word(&mut input, &completions), input.value().to_owned())
    }

    #[test]
    fn a_word_is_completed_as_far_as_all_completions_agree() {
        assert_eq!(completed("hi", &["HINCRBY"]), (true, "HINCRBY ".to_owned()));
        assert_eq!(
            completed("TTL EXP", &["EXPIRE", "EXPIRETIME"]),
            (true, "TTL EXPIRE".to_owned())
        );
        let unchanged = (false, "EXPIRE".to_owned());
        assert_eq!(completed("EXPIRE", &["EXPIRE", "EXPIRETIME"]), unchanged);
        assert_eq!(completed("EXPIRE", &[]), unchanged);
    }
}

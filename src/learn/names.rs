//! The same lesson for a second learner on the same Redis: under a name of their own.

use super::guard::PREFIX;

/// Who the lessons are written for.
pub(crate) const FIRST_NAME: &str = "ada";

/// Longest name that a learner can choose, in characters.
const LONGEST: usize = 20;

/// Whether a learner can go by this name: it becomes a part of keys and of command lines.
#[must_use]
pub(crate) fn is_name(name: &str) -> bool {
    let is_plain =
        |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
    name.starts_with(|character: char| character.is_ascii_lowercase())
        && name.len() <= LONGEST
        && name.chars().all(is_plain)
}

/// A lesson's source for another name: `ada` becomes `name` wherever it is a word, and keys without a name in them get
/// one behind the prefix, so that no two learners share a key.
#[must_use]
pub(crate) fn under(source: &str, name: &str) -> String {
    if name == FIRST_NAME {
        return source.to_owned();
    }
    let mut text = String::with_capacity(source.len() + source.len() / 16);
    let mut rest = source;
    while let Some(at) = rest.find(PREFIX) {
        text.push_str(&renamed(&rest[..at], name));
        let key = &rest[at..];
        let end = key.find(ends_a_key).unwrap_or(key.len());
        let (key, behind) = key.split_at(end);
        text.push_str(&renamed_key(key, name));
        rest = behind;
    }
    text.push_str(&renamed(rest, name));
    text
}

fn ends_a_key(character: char) -> bool {
    character.is_whitespace() || "\"'`()<>,;|".contains(character)
}

fn renamed_key(key: &str, name: &str) -> String {
    let own = key.strip_prefix(PREFIX).unwrap_or(key);
    if own.split([':', '.']).any(|part| part == FIRST_NAME) {
        renamed(key, name)
    } else {
        format!("{PREFIX}{name}:{own}")
    }
}

/// Replaces the first name where it is a whole word.
fn renamed(text: &str, name: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(FIRST_NAME) {
        let (before, behind) = (&rest[..at], &rest[at + FIRST_NAME.len()..]);
        let joins = |character: char| character.is_alphanumeric() || character == '_';
        let is_word = !before.ends_with(joins) && !behind.starts_with(joins);
        result.push_str(before);
        result.push_str(if is_word { name } else { FIRST_NAME });
        rest = behind;
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesson_under_another_name_shares_no_key_with_the_first() {
        for (source, theirs) in [
            (
                "> HGET sessiontut:user:ada visits",
                "> HGET sessiontut:user:grace visits",
            ),
            (
                "`sessiontut:user:ada`, said ada. Canada!",
                "`sessiontut:user:grace`, said grace. Canada!",
            ),
            ("> GET sessiontut:counter", "> GET sessiontut:grace:counter"),
            ("sessiontut login ada", "sessiontut login grace"),
            ("SCAN 0 MATCH sessiontut:*", "SCAN 0 MATCH sessiontut:grace:*"),
            (
                "\"ada\" watch=sessiontut:user:ada",
                "\"grace\" watch=sessiontut:user:grace",
            ),
        ] {
            assert_eq!(under(source, "grace"), theirs);
            assert_eq!(under(source, FIRST_NAME), source);
        }
    }

    #[test]
    fn a_name_is_short_and_plain() {
        assert!(is_name("grace-2"));
        for name in ["", "Grace", "a b", "a:b", "-a", "*", &"a".repeat(21)] {
            assert!(!is_name(name), "{name}");
        }
    }
}

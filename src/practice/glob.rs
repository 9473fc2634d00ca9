//! Matches glob patterns, as KEYS and SCAN do.

/// Whether `text` matches a glob pattern. The syntax is that of Redis's `stringmatchlen`: `*`, `?`, `[a-z]`,
/// `[^a]`, and a backslash that escapes the next character.
///
/// The running time is at most proportional to the product of both lengths, because the function backtracks
/// only to the last star. Regularly calls `gives_up`, and returns false if `gives_up` returns true.
pub(super) fn matches(pattern: &[u8], text: &[u8], gives_up: impl Fn() -> bool) -> bool {
    let (mut at, mut pos) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut steps = 0;
    while pos < text.len() {
        if steps > STEPS_PER_LOOK {
            if gives_up() {
                return false;
            }
            steps = 0;
        }
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, pos));
            at += 1;
            continue;
        }
        let (length, is_match) = one(&pattern[at..], text[pos]);
        steps += 1 + length;
        if is_match {
            at += length;
            pos += 1;
            continue;
        }
        let Some((after, from)) = star else {
            return false;
        };
        star = Some((after, from + 1));
        (at, pos) = (after, from + 1);
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How many bytes [`matches`] compares between two calls of `gives_up`.
const STEPS_PER_LOOK: usize = 1 << 16;

/// Matches one byte against the first element of the pattern. Returns the length of this element in bytes,
/// and whether the byte matched.
fn one(pattern: &[u8], byte: u8) -> (usize, bool) {
    match pattern {
        [] => (0, false),
        [b'?', ..] => (1, true),
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', literal, ..] => (2, *literal == byte),
        [literal, ..] => (1, *literal == byte),
    }
}

/// Like [`one`], but for a character class. `pattern` starts after the opening bracket.
fn class(pattern: &[u8], byte: u8) -> (usize, bool) {
    let is_negated = pattern.first() == Some(&b'^');
    let mut at = usize::from(is_negated);
    let mut is_in = false;
    loop {
        match &pattern[at..] {
            // If there is no closing bracket, the class ends with the pattern.
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', literal, ..] => {
                is_in |= *literal == byte;
                at += 2;
            }
            [low, b'-', high, ..] => {
                let (low, high) = (*low.min(high), *low.max(high));
                is_in |= (low..=high).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                is_in |= *literal == byte;
                at += 1;
            }
        }
    }
    (1 + at, is_in != is_negated)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("h?llo", "hello", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[a-b]llo", "hbllo", true),
            ("h\\*llo", "h*llo", true),
            ("h\\*llo", "hello", false),
            ("sessiontut:*:x", "sessiontut:a:b:x", true),
            ("a", "", false),
            ("", "a", false),
            ("*a*b*c", "xxaxxbxxc", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes(), || false),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer_than_another() {
        let pattern = b"a*".repeat(2000);
        let mut text = b"a".repeat(10_000);
        text.push(b'b');
        assert!(!matches(&[&pattern[..], b"c"].concat(), &text, || false));
    }

    #[test]
    fn a_pattern_that_takes_too_long_is_given_up() {
        let text = b"a".repeat(1 << 20);
        for pattern in [
            [&b"*"[..], &b"a".repeat(1 << 19), b"b"].concat(),
            [&b"*["[..], &b"b".repeat(1 << 20)].concat(),
        ] {
            let asked = Cell::new(0);
            let gives_up = || asked.replace(asked.get() + 1) == 3;
            assert!(!matches(&pattern, &text, gives_up));
            assert_eq!(asked.get(), 4);
        }
    }
}

//! An expected reply: lines in the format of redis-cli, with wildcards.
//!
//! `[..]` matches any text in a line. `[1-10]` matches a number in that range. A line `...` matches any
//! number of lines.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex, RegexBuilder, escape};

#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    source: Vec<String>,
}

static WILDCARD: LazyLock<Regex> = LazyLock::new(|| {
    let wildcard = Regex::new(r"\[\.\.\]|\[ *(-?\d+) *- *(-?\d+) *\]");
    wildcard.expect("this constant is a valid regex")
});

impl Pattern {
    pub(crate) fn new<S: AsRef<str>>(lines: &[S]) -> Self {
        let lines = lines.iter().map(|line| line.as_ref().trim_end().to_owned());
        Self {
            source: lines.collect(),
        }
    }

    /// Returns the pattern as a regular expression, with the allowed range of each captured number. The
    /// expression expects a newline after each line of the reply. Compiling is slow, so the expression is
    /// compiled only when needed.
    fn compiled(&self) -> (Regex, Vec<RangeInclusive<i64>>) {
        let mut regex = "^".to_owned();
        let mut ranges = Vec::new();
        for line in &self.source {
            if line.trim() == "..." {
                regex.push_str(r"(?:.*\n)*");
                continue;
            }
            let mut rest = 0;
            for found in WILDCARD.captures_iter(line) {
                let Some(place) = found.get(0) else { continue };
                let part = if place.as_str() == "[..]" {
                    ".*?"
                } else if let Some(range) = range(&found) {
                    ranges.push(range);
                    r"(-?\d+)"
                } else {
                    continue;
                };
                regex.push_str(&escape(&line[rest..place.start()]));
                regex.push_str(part);
                rest = place.end();
            }
            regex.push_str(&escape(&line[rest..]));
            regex.push_str(r"\n");
        }
        regex.push('$');
        let regex = RegexBuilder::new(&regex).size_limit(usize::MAX).build();
        (regex.expect("all text in it is escaped"), ranges)
    }

    /// Whether the lines of a reply match this pattern.
    pub(crate) fn matches<S: AsRef<str>>(&self, reply: &[S]) -> bool {
        let lines = reply.iter().map(|line| format!("{}\n", line.as_ref().trim_end()));
        let lines: String = lines.collect();
        let (regex, ranges) = self.compiled();
        let Some(found) = regex.captures(&lines) else {
            return false;
        };
        let mut numbers = found.iter().skip(1).flatten().zip(&ranges);
        numbers.all(|(number, range)| {
            number
                .as_str()
                .parse()
                .is_ok_and(|number| range.contains(&number))
        })
    }

    /// Returns the lines as written in the lesson.
    pub(crate) fn source(&self) -> &[String] {
        &self.source
    }

    pub(crate) fn is_error(&self) -> bool {
        self.source
            .first()
            .is_some_and(|line| line.starts_with("(error)"))
    }
}

/// Parses a wildcard such as `[1-10]`. Returns `None` for other wildcards.
fn range(wildcard: &Captures<'_>) -> Option<RangeInclusive<i64>> {
    let (least, most) = (wildcard.get(1)?.as_str(), wildcard.get(2)?.as_str());
    let range = least.parse().ok()?..=most.parse().ok()?;
    (!range.is_empty()).then_some(range)
}

/// Returns an example of a matching line, such as `(integer) 5` for `(integer) [1-10]`.
pub(crate) fn example(line: &str) -> String {
    without_wildcards(line, |range| range.start().midpoint(*range.end()).to_string())
}

/// Describes an expected line in words, such as `(integer) a number from 1 to 10` for `(integer) [1-10]`.
pub(crate) fn in_words(line: &str) -> String {
    without_wildcards(line, |range| {
        format!("a number from {} to {}", range.start(), range.end())
    })
}

/// Replaces the ranges in a line with the text that `shown` returns, and other wildcards with an ellipsis.
fn without_wildcards(line: &str, shown: fn(RangeInclusive<i64>) -> String) -> String {
    if line.trim() == "..." {
        return "…".to_owned();
    }
    let part = |found: &Captures<'_>| match range(found) {
        Some(range) => shown(range),
        None => found[0].replace("[..]", "…"),
    };
    WILDCARD.replace_all(line, part).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_the_format_describes() {
        for (pattern, reply, matches) in [
            (&["OK"][..], &["OK"][..], true),
            (&["OK"], &["KO"], false),
            (&["(integer) [1-10]"], &["(integer) 10"], true),
            (&["(integer) [1-10]"], &["(integer) 11"], false),
            (&["(integer) [1-10]"], &["(integer) 1"], true),
            (&["(integer) [-2--1]"], &["(integer) -1"], true),
            (&["(integer) [0-5]"], &["(integer) -1"], false),
            (&["\"[1-9]\""], &["\"7\""], true),
            (&["\"[1-9]\""], &["\"77\""], false),
            (
                &["(error) WRONGTYPE [..]"],
                &["(error) WRONGTYPE Operation against"],
                true,
            ),
            (&["(error) WRONGTYPE [..]"], &["(error) ERR no"], false),
            (&["[..]"], &[""], true),
            (&["[..]"], &["a", "b"], false),
            (&["a[..]b[..]c"], &["a--b--b-c"], true),
            (&["[abc] literal"], &["[abc] literal"], true),
            (&["..."], &[], true),
            (&["..."], &["1) \"a\"", "2) \"b\""], true),
            (
                &["1) \"a\"", "...", "4) \"d\""],
                &["1) \"a\"", "2) \"b\"", "3) \"c\"", "4) \"d\""],
                true,
            ),
            (&["...", "4) \"d\"", "..."], &["1) \"a\"", "4) \"d\""], true),
            (&["...", "5) \"d\"", "..."], &["1) \"a\"", "4) \"d\""], false),
            (&["1) \"a\""], &["1) \"a\"", "2) \"b\""], false),
            (&["[..]é[1-3]"], &["üé2"], true),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(reply),
                matches,
                "{pattern:?} {reply:?}"
            );
        }
    }

    #[test]
    fn an_example_matches_its_pattern() {
        for line in ["(integer) [60-400]", "(integer) [-2--1]", "\"[1-9]\"", "OK"] {
            let example = example(line);
            assert!(!example.contains('['), "{example}");
            assert!(Pattern::new(&[line]).matches(&[example]), "{line}");
        }
    }

    #[test]
    fn a_hostile_reply_costs_no_more_than_its_square() {
        let many = "[..]a".repeat(200);
        assert!(!Pattern::new(&[many]).matches(&["a".repeat(199)]));
        let lines: Vec<&str> = [["...", "a"]; 100].concat();
        assert!(!Pattern::new(&lines).matches(&["a"; 99]));
    }
}

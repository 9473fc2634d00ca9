//! An expected reply: lines as redis-cli prints them, with wildcards.
//!
//! `[..]` is any text in a line, `[1-10]` is a number in that range, and a line `...` is any number of lines.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    source: Vec<String>,
    lines: Vec<PatternLine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PatternLine {
    AnyLines,
    Parts(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    AnyText,
    Number { least: i64, most: i64 },
}

impl Pattern {
    pub(crate) fn new<S: AsRef<str>>(lines: &[S]) -> Self {
        let lines = lines.iter().map(|line| line.as_ref().trim_end().to_owned());
        let source: Vec<String> = lines.collect();
        let lines = source.iter().map(|line| parse_line(line)).collect();
        Self { source, lines }
    }

    /// Whether the lines of a reply match.
    pub(crate) fn matches<S: AsRef<str>>(&self, reply: &[S]) -> bool {
        let reply: Vec<&str> = reply.iter().map(|line| line.as_ref().trim_end()).collect();
        // Whether the pattern so far can end before a row of the reply: the cost is bounded, unlike with backtracking.
        let mut ends = start(reply.len());
        for line in &self.lines {
            ends = match line {
                PatternLine::AnyLines => after_any(&ends),
                PatternLine::Parts(parts) => {
                    let matching = |row: usize| {
                        let text = reply.get(row)?;
                        parts_match(parts, text).then_some(row + 1)
                    };
                    after(&ends, matching)
                }
            };
        }
        ends[reply.len()]
    }

    /// The lines as the lesson has them.
    #[must_use]
    pub(crate) fn source(&self) -> &[String] {
        &self.source
    }

    #[must_use]
    pub(crate) fn is_error(&self) -> bool {
        self.source
            .first()
            .is_some_and(|line| line.starts_with("(error)"))
    }
}

/// A line of an expected reply for people: `(integer) [1-10]` becomes `(integer) 1 to 10`.
#[must_use]
pub(crate) fn in_words(line: &str) -> String {
    let part = |part: Part| match part {
        Part::Text(text) => text,
        Part::AnyText => "…".to_owned(),
        Part::Number { least, most } => format!("{least} to {most}"),
    };
    match parse_line(line) {
        PatternLine::AnyLines => "…".to_owned(),
        PatternLine::Parts(parts) => parts.into_iter().map(part).collect(),
    }
}

fn parse_line(line: &str) -> PatternLine {
    if line.trim() == "..." {
        return PatternLine::AnyLines;
    }
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = line;
    while let Some(open) = rest.find('[') {
        text.push_str(&rest[..open]);
        rest = &rest[open..];
        let close = rest.find(']').unwrap_or(0);
        if let Some(part) = rest.get(1..close).and_then(wildcard) {
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(part);
            rest = &rest[close + 1..];
        } else {
            text.push('[');
            rest = &rest[1..];
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    PatternLine::Parts(parts)
}

fn wildcard(inside: &str) -> Option<Part> {
    if inside == ".." {
        return Some(Part::AnyText);
    }
    // A dash at the start is a sign.
    let mut dashes = inside.match_indices('-').map(|(at, _)| at);
    let dash = dashes.find(|at| *at > 0)?;
    let least = inside[..dash].trim().parse().ok()?;
    let most = inside[dash + 1..].trim().parse().ok()?;
    (least <= most).then_some(Part::Number { least, most })
}

fn parts_match(parts: &[Part], text: &str) -> bool {
    let mut ends = start(text.len());
    for part in parts {
        ends = match part {
            Part::AnyText => after_any(&ends),
            Part::Text(literal) => after(&ends, |at| {
                let is_here = text.as_bytes()[at..].starts_with(literal.as_bytes());
                is_here.then_some(at + literal.len())
            }),
            Part::Number { least, most } => after(&ends, |at| number_end(text, at, *least, *most)),
        };
    }
    ends[text.len()]
}

/// Only position 0 of `len` is reached.
fn start(len: usize) -> Vec<bool> {
    let mut ends = vec![false; len + 1];
    ends[0] = true;
    ends
}

/// The positions that can be reached from `ends` by one step.
fn after(ends: &[bool], step: impl Fn(usize) -> Option<usize>) -> Vec<bool> {
    let mut next = vec![false; ends.len()];
    for at in (0..ends.len()).filter(|at| ends[*at]) {
        if let Some(end) = step(at) {
            next[end] = true;
        }
    }
    next
}

fn after_any(ends: &[bool]) -> Vec<bool> {
    let first = ends.iter().position(|end| *end).unwrap_or(ends.len());
    (0..ends.len()).map(|at| at >= first).collect()
}

/// The end of a whole number that starts at `at`, if it is in the range. Part of a longer number does not count.
fn number_end(text: &str, at: usize, least: i64, most: i64) -> Option<usize> {
    let bytes = text.as_bytes();
    if at > 0 && bytes[at - 1].is_ascii_digit() {
        return None;
    }
    let sign = usize::from(bytes.get(at) == Some(&b'-'));
    let digits = bytes
        .iter()
        .skip(at + sign)
        .take_while(|byte| byte.is_ascii_digit());
    let end = at + sign + digits.count();
    let number: i64 = text.get(at..end)?.parse().ok()?;
    (least..=most).contains(&number).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_what_the_format_says() {
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
    fn a_hostile_reply_costs_no_more_than_its_square() {
        let many = "[..]a".repeat(200);
        assert!(!Pattern::new(&[many]).matches(&["a".repeat(199)]));
        let lines: Vec<&str> = [["...", "a"]; 100].concat();
        assert!(!Pattern::new(&lines).matches(&["a"; 99]));
    }
}

//! The expected reply of a lesson: redis-cli's words with wildcards.
//!
//! `[..]` is any text in a line, a line `...` any number of lines, `[1-10]` a whole number in that range.

/// An expected reply, line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    source: Vec<String>,
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    AnyLines,
    Pieces(Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    AnyText,
    Number { least: i64, most: i64 },
}

impl Pattern {
    /// The pattern that these lines of a lesson describe.
    pub fn new<S: AsRef<str>>(lines: &[S]) -> Self {
        let source: Vec<String> = lines
            .iter()
            .map(|line| line.as_ref().trim_end().to_owned())
            .collect();
        let lines = source.iter().map(|line| line_of(line)).collect();
        Self { source, lines }
    }

    /// Whether a reply, as redis-cli prints it, is the one expected.
    pub fn matches<S: AsRef<str>>(&self, reply: &[S]) -> bool {
        let reply: Vec<&str> = reply.iter().map(|line| line.as_ref().trim_end()).collect();
        lines_match(&self.lines, &reply)
    }

    /// The lines as the lesson has them.
    #[must_use]
    pub fn source(&self) -> &[String] {
        &self.source
    }

    /// Whether it describes an error reply.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.source
            .first()
            .is_some_and(|line| line.starts_with("(error)"))
    }
}

/// A line of an expected reply, for people: `(integer) [1-10]` is `(integer) 1 to 10`.
#[must_use]
pub(crate) fn in_words(line: &str) -> String {
    let piece = |piece: Piece| match piece {
        Piece::Text(text) => text,
        Piece::AnyText => "…".to_owned(),
        Piece::Number { least, most } => format!("{least} to {most}"),
    };
    match line_of(line) {
        Line::AnyLines => "…".to_owned(),
        Line::Pieces(pieces) => pieces.into_iter().map(piece).collect(),
    }
}

fn line_of(line: &str) -> Line {
    if line.trim() == "..." {
        return Line::AnyLines;
    }
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = line;
    while let Some(open) = rest.find('[') {
        text.push_str(&rest[..open]);
        rest = &rest[open..];
        let wildcard = rest
            .find(']')
            .and_then(|close| Some((wildcard(&rest[1..close])?, close)));
        if let Some((piece, close)) = wildcard {
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(piece);
            rest = &rest[close + 1..];
        } else {
            text.push('[');
            rest = &rest[1..];
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Line::Pieces(pieces)
}

fn wildcard(inside: &str) -> Option<Piece> {
    if inside == ".." {
        return Some(Piece::AnyText);
    }
    // The first character may be a sign, so the dash in the middle is looked for behind it.
    let dash = inside
        .char_indices()
        .skip(1)
        .find(|(_, character)| *character == '-')?
        .0;
    let least = inside[..dash].trim().parse().ok()?;
    let most = inside[dash + 1..].trim().parse().ok()?;
    (least <= most).then_some(Piece::Number { least, most })
}

/// Wildcards are tried from the shortest match on. Cost is bounded by lines² and characters² of one reply:
/// of several wildcards in a row only the last one ever needs another try.
fn lines_match(pattern: &[Line], reply: &[&str]) -> bool {
    let (mut at, mut row) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while row < reply.len() {
        match pattern.get(at) {
            Some(Line::AnyLines) => {
                retry = Some((at + 1, row));
                at += 1;
                continue;
            }
            Some(Line::Pieces(pieces)) if pieces_match(pieces, reply[row]) => {
                at += 1;
                row += 1;
                continue;
            }
            _ => {}
        }
        let Some((after, from)) = retry else {
            return false;
        };
        retry = Some((after, from + 1));
        at = after;
        row = from + 1;
    }
    pattern[at..].iter().all(|line| *line == Line::AnyLines)
}

fn pieces_match(pieces: &[Piece], text: &str) -> bool {
    // Positions in `text` that the pieces so far can end at, as flags: no backtracking, so no blow-up.
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    for piece in pieces {
        let mut next = vec![false; text.len() + 1];
        match piece {
            Piece::AnyText => {
                let first = ends.iter().position(|end| *end).unwrap_or(next.len());
                next[first..].fill(true);
            }
            Piece::Text(literal) => {
                for start in positions(&ends) {
                    if text.as_bytes()[start..].starts_with(literal.as_bytes()) {
                        next[start + literal.len()] = true;
                    }
                }
            }
            Piece::Number { least, most } => {
                for start in positions(&ends) {
                    if let Some(end) = number_end(text, start, *least, *most) {
                        next[end] = true;
                    }
                }
            }
        }
        ends = next;
    }
    ends[text.len()]
}

fn positions(ends: &[bool]) -> impl Iterator<Item = usize> + '_ {
    ends.iter().enumerate().filter(|(_, end)| **end).map(|(at, _)| at)
}

/// Where a whole number that starts at `start` ends, if it lies in the range: never a part of a longer number.
fn number_end(text: &str, start: usize, least: i64, most: i64) -> Option<usize> {
    let bytes = text.as_bytes();
    if start > 0 && bytes[start - 1].is_ascii_digit() {
        return None;
    }
    let signed = usize::from(bytes.get(start) == Some(&b'-'));
    let digits = bytes[start + signed..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let end = start + signed + digits;
    let number: i64 = text.get(start..end)?.parse().ok()?;
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

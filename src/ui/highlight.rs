//! Colours the code in lessons: keywords, strings, comments and numbers of the few languages shown.
//!
//! A highlighting crate would add grammars, a regex engine and a megabyte; four kinds of words are enough here.

use colored::Colorize as _;
use unicode_width::UnicodeWidthStr as _;

/// A kind of word with a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Keyword,
    Text,
    Comment,
    Number,
}

/// The syntax of a language.
struct Grammar {
    comment: &'static str,
    /// Opening and closing quotes, longest first.
    quotes: &'static [(&'static str, &'static str)],
    keywords: &'static [&'static str],
}

const PYTHON: Grammar = Grammar {
    comment: "#",
    quotes: &[("\"\"\"", "\"\"\""), ("'''", "'''"), ("\"", "\""), ("'", "'")],
    keywords: &[
        "and", "as", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except",
        "False", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "None",
        "nonlocal", "not", "or", "pass", "raise", "return", "True", "try", "while", "with", "yield",
    ],
};

const JAVASCRIPT: Grammar = Grammar {
    comment: "//",
    quotes: &[("/*", "*/"), ("`", "`"), ("\"", "\""), ("'", "'")],
    keywords: &[
        "async",
        "await",
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "default",
        "delete",
        "else",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "from",
        "function",
        "if",
        "import",
        "in",
        "instanceof",
        "let",
        "new",
        "null",
        "of",
        "return",
        "static",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "undefined",
        "var",
        "while",
        "yield",
    ],
};

const RUST: Grammar = Grammar {
    comment: "//",
    quotes: &[("/*", "*/"), ("\"", "\"")],
    keywords: &[
        "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "false", "fn",
        "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return",
        "self", "Self", "static", "struct", "super", "trait", "true", "type", "use", "where", "while",
    ],
};

const SHELL: Grammar = Grammar {
    comment: "#",
    quotes: &[("\"", "\""), ("'", "'")],
    keywords: &[
        "case", "cd", "do", "done", "elif", "else", "esac", "exit", "export", "fi", "for", "function", "if",
        "in", "sudo", "then", "while",
    ],
};

const PLAIN: Grammar = Grammar {
    comment: "",
    quotes: &[],
    keywords: &[],
};

/// Returns the lines of `code`, coloured if colours are on. Wraps lines wider than `width`, and indents their rest.
///
/// Does not wrap shell commands, so that they can be pasted.
pub(super) fn lines(code: &str, language: &str, width: usize) -> Vec<String> {
    let mut page = Lines {
        lines: vec![String::new()],
        column: 0,
        indentation: 0,
        width: if language == "sh" { usize::MAX } else { width },
        word: Vec::new(),
    };
    for (kind, text) in words(code, grammar(language)) {
        for (row, part) in text.split('\n').enumerate() {
            if row > 0 {
                page.begin_line();
            }
            for chunk in part.split_inclusive(' ') {
                page.word.push((kind, chunk));
                if chunk.ends_with(' ') {
                    page.end_word();
                }
            }
        }
    }
    page.end_word();
    page.lines
}

/// Additional indentation of the rest of a line.
const HANGING: usize = 4;

struct Lines<'c> {
    lines: Vec<String>,
    column: usize,
    indentation: usize,
    width: usize,
    /// The text since the last space.
    word: Vec<(Kind, &'c str)>,
}

impl Lines<'_> {
    fn begin_line(&mut self) {
        self.end_word();
        self.lines.push(String::new());
        self.column = 0;
        self.indentation = 0;
    }

    /// Writes the word. Breaks it between its parts only if it is wider than a line.
    fn end_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        let whole: usize = word.iter().map(|(_, chunk)| chunk.trim_end().width()).sum();
        self.make_room(whole);
        for (kind, chunk) in word {
            self.make_room(chunk.trim_end().width());
            if chunk.trim().is_empty() && self.column == self.indentation {
                self.indentation += chunk.len();
            }
            self.column += chunk.width();
            if let Some(line) = self.lines.last_mut() {
                line.push_str(&painted(kind, chunk));
            }
        }
    }

    fn make_room(&mut self, columns: usize) {
        let margin = self.indentation + HANGING;
        if self.column > margin && self.column + columns > self.width {
            self.lines.push(" ".repeat(margin));
            self.column = margin;
        }
    }
}

fn painted(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Plain => text.to_owned(),
        Kind::Keyword => text.magenta().to_string(),
        Kind::Text => text.green().to_string(),
        Kind::Comment => text.bright_black().to_string(),
        Kind::Number => text.cyan().to_string(),
    }
}

fn grammar(language: &str) -> &'static Grammar {
    match language {
        "python" => &PYTHON,
        "javascript" | "typescript" | "json" => &JAVASCRIPT,
        "rust" => &RUST,
        "sh" | "toml" | "yaml" | "dockerfile" => &SHELL,
        _ => &PLAIN,
    }
}

/// Splits code into words of one kind each; joined, they are the code again.
fn words<'c>(code: &'c str, grammar: &Grammar) -> Vec<(Kind, &'c str)> {
    let mut words = Vec::new();
    let mut rest = code;
    // Whether the previous character belongs to a name, in which digits and keywords have no meaning.
    let mut in_name = false;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = next_word(rest, first, in_name, grammar);
        words.push((kind, &rest[..length]));
        in_name = kind == Kind::Plain && is_of_name(first);
        rest = &rest[length..];
    }
    words
}

fn next_word(rest: &str, first: char, in_name: bool, grammar: &Grammar) -> (Kind, usize) {
    if !grammar.comment.is_empty() && rest.starts_with(grammar.comment) {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if let Some((open, close)) = grammar.quotes.iter().find(|(open, _)| rest.starts_with(open)) {
        let kind = if *open == "/*" { Kind::Comment } else { Kind::Text };
        return (kind, quoted_length(rest, open, close));
    }
    if !is_of_name(first) {
        return (Kind::Plain, first.len_utf8());
    }
    let length = rest
        .find(|character| !is_of_name(character))
        .unwrap_or(rest.len());
    let kind = match &rest[..length] {
        word if !in_name && grammar.keywords.contains(&word) => Kind::Keyword,
        _ if !in_name && first.is_ascii_digit() && !grammar.comment.is_empty() => Kind::Number,
        _ => Kind::Plain,
    };
    (kind, length)
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Returns the length of the string literal at the start of `text`. An unclosed one ends with its line, or with the text
/// if it may span lines.
fn quoted_length(text: &str, open: &str, close: &str) -> usize {
    let spans_lines = open.len() > 1 || open == "`";
    let mut at = open.len();
    while let Some(next) = text[at..].chars().next() {
        if text[at..].starts_with(close) {
            return at + close.len();
        }
        if next == '\n' && !spans_lines {
            return at;
        }
        at += next.len_utf8();
        if next == '\\'
            && let Some(escaped) = text[at..].chars().next()
        {
            at += escaped.len_utf8();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn special(code: &str, language: &str) -> Vec<(Kind, String)> {
        words(code, grammar(language))
            .into_iter()
            .filter(|(kind, _)| *kind != Kind::Plain)
            .map(|(kind, text)| (kind, text.to_owned()))
            .collect()
    }

    #[test]
    fn the_words_that_matter_are_found() {
        let word = |kind, text: &str| (kind, text.to_owned());
        assert_eq!(
            special(
                "def visits(n1):  # count\n    return \"a \\\" def\" + '10' + 10\n",
                "python"
            ),
            [
                word(Kind::Keyword, "def"),
                word(Kind::Comment, "# count"),
                word(Kind::Keyword, "return"),
                word(Kind::Text, "\"a \\\" def\""),
                word(Kind::Text, "'10'"),
                word(Kind::Number, "10"),
            ]
        );
        assert_eq!(
            special("const x = `a\nb`; /* two\nlines */ undefine", "javascript"),
            [
                word(Kind::Keyword, "const"),
                word(Kind::Text, "`a\nb`"),
                word(Kind::Comment, "/* two\nlines */"),
            ]
        );
        assert_eq!(special("fn 10 \"x\"", "text"), []);
    }

    #[test]
    fn a_wide_line_goes_on_further_in() {
        colored::control::set_override(false);
        let code = "if x:\n    name = session.get(\"username\")  # signed, not secret";
        assert_eq!(lines(code, "python", 80).join("\n"), code);
        assert_eq!(
            lines(code, "python", 40),
            [
                "if x:",
                "    name = session.get(\"username\")  # ",
                "        signed, not secret"
            ]
        );
    }

    #[test]
    fn a_word_of_code_is_broken_only_where_it_is_wider_than_a_line() {
        colored::control::set_override(false);
        assert_eq!(
            lines("visits = redis.hincrby(key,\"visits\",1)", "python", 36),
            ["visits = ", "    redis.hincrby(key,\"visits\",1)"]
        );
        assert_eq!(
            lines("page(`Logged~in+as~${escape(name)}+again`)", "text", 24),
            ["page(`Logged~in+as~${", "    escape(name)}+again`", "    )"]
        );
    }

    #[test]
    fn what_a_shell_is_to_run_stays_whole() {
        colored::control::set_override(false);
        let line = "export REDIS_URL='redis://my-cache.abc.ng.0001.use1.cache.amazonaws.com:6379/0'";
        assert_eq!(lines(line, "sh", 30), [line]);
    }

    #[test]
    fn no_character_is_lost_whatever_the_code() {
        for code in ["\"open\nnext", "é\\", "'\\", "\"\"\"a", "", "\n\n", "// é\n\"ü"] {
            for language in ["python", "javascript", "rust", "sh", "text"] {
                let joined: String = words(code, grammar(language))
                    .iter()
                    .map(|(_, text)| *text)
                    .collect();
                assert_eq!(joined, code);
            }
        }
    }
}

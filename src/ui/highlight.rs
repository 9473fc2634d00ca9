//! Colours the code in lessons: keywords, strings, comments and numbers of the few languages shown.
//!
//! A highlighting crate would add grammars, a regex engine and a megabyte; four kinds of tokens are enough here.

use colored::Colorize as _;

/// A kind of token, each with its own colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenKind {
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
    /// Separated by spaces.
    keywords: &'static str,
}

const PYTHON: Grammar = Grammar {
    comment: "#",
    quotes: &[("\"\"\"", "\"\"\""), ("'''", "'''"), ("\"", "\""), ("'", "'")],
    keywords: "and as async await break class continue def del elif else except False finally for from global \
               if import in is lambda None nonlocal not or pass raise return True try while with yield",
};

const JAVASCRIPT: Grammar = Grammar {
    comment: "//",
    quotes: &[("/*", "*/"), ("`", "`"), ("\"", "\""), ("'", "'")],
    keywords: "async await break case catch class const continue default delete else export extends false \
               finally for from function if import in instanceof let new null of return static switch this \
               throw true try typeof undefined var while yield",
};

const RUST: Grammar = Grammar {
    comment: "//",
    quotes: &[("/*", "*/"), ("\"", "\"")],
    keywords: "as async await break const continue crate dyn else enum false fn for if impl in let loop match \
               mod move mut pub ref return self Self static struct super trait true type use where while",
};

const SHELL: Grammar = Grammar {
    comment: "#",
    quotes: &[("\"", "\""), ("'", "'")],
    keywords: "case cd do done elif else esac exit export fi for function if in sudo then while",
};

const PLAIN: Grammar = Grammar {
    comment: "",
    quotes: &[],
    keywords: "",
};

/// Returns the lines of `code`, coloured if colours are on. Does not wrap them, so that they can be copied.
pub(super) fn lines(code: &str, language: &str) -> Vec<String> {
    let mut painted = String::new();
    for (token, text) in tokens(code, grammar(language)) {
        // A token can span lines, which are printed separately.
        let parts: Vec<String> = text.split('\n').map(|part| paint(token, part)).collect();
        painted.push_str(&parts.join("\n"));
    }
    painted.split('\n').map(str::to_owned).collect()
}

fn paint(token: TokenKind, text: &str) -> String {
    match token {
        TokenKind::Plain => text.to_owned(),
        TokenKind::Keyword => text.magenta().to_string(),
        TokenKind::Text => text.green().to_string(),
        TokenKind::Comment => text.bright_black().to_string(),
        TokenKind::Number => text.cyan().to_string(),
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

/// Splits code into tokens; joined, they are the code again.
fn tokens<'c>(code: &'c str, grammar: &Grammar) -> Vec<(TokenKind, &'c str)> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let (token, length) = next_token(rest, first, grammar);
        let (text, after) = rest.split_at(length);
        tokens.push((token, text));
        rest = after;
    }
    tokens
}

fn next_token(rest: &str, first: char, grammar: &Grammar) -> (TokenKind, usize) {
    if !grammar.comment.is_empty() && rest.starts_with(grammar.comment) {
        return (TokenKind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if let Some((open, close)) = grammar.quotes.iter().find(|(open, _)| rest.starts_with(open)) {
        let token = if *open == "/*" {
            TokenKind::Comment
        } else {
            TokenKind::Text
        };
        return (token, quoted_length(rest, open, close));
    }
    if !is_of_name(first) {
        return (TokenKind::Plain, first.len_utf8());
    }
    let word = rest
        .split(|character| !is_of_name(character))
        .next()
        .unwrap_or(rest);
    let token = if grammar.keywords.split(' ').any(|keyword| keyword == word) {
        TokenKind::Keyword
    } else if first.is_ascii_digit() && !grammar.comment.is_empty() {
        TokenKind::Number
    } else {
        TokenKind::Plain
    };
    (token, word.len())
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

    fn special(code: &str, language: &str) -> Vec<(TokenKind, String)> {
        tokens(code, grammar(language))
            .into_iter()
            .filter(|(token, _)| *token != TokenKind::Plain)
            .map(|(token, text)| (token, text.to_owned()))
            .collect()
    }

    #[test]
    fn tokens_are_found() {
        let word = |token, text: &str| (token, text.to_owned());
        assert_eq!(
            special(
                "def visits(n1):  # count\n    return \"a \\\" def\" + '10' + 10\n",
                "python"
            ),
            [
                word(TokenKind::Keyword, "def"),
                word(TokenKind::Comment, "# count"),
                word(TokenKind::Keyword, "return"),
                word(TokenKind::Text, "\"a \\\" def\""),
                word(TokenKind::Text, "'10'"),
                word(TokenKind::Number, "10"),
            ]
        );
        assert_eq!(
            special("const x = `a\nb`; /* two\nlines */ undefine", "javascript"),
            [
                word(TokenKind::Keyword, "const"),
                word(TokenKind::Text, "`a\nb`"),
                word(TokenKind::Comment, "/* two\nlines */"),
            ]
        );
        assert_eq!(special("fn 10 \"x\"", "text"), []);
    }

    #[test]
    fn no_character_is_lost_whatever_the_code() {
        for code in ["\"open\nnext", "é\\", "'\\", "\"\"\"a", "", "\n\n", "// é\n\"ü"] {
            for language in ["python", "javascript", "rust", "sh", "text"] {
                let joined: String = tokens(code, grammar(language))
                    .iter()
                    .map(|(_, text)| *text)
                    .collect();
                assert_eq!(joined, code);
            }
        }
    }
}

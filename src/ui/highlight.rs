//! Colours keywords, strings, comments and numbers in the code of lessons.
//!
//! Uses one regular expression per language, because a highlighting crate would enlarge the program by a
//! megabyte.

use colored::Colorize as _;
use regex_lite::{Captures, Regex};

/// The width of a tab. A terminal's default of eight columns would make Go code too wide for many windows.
const TAB: &str = "    ";

/// Returns the lines of `code`, in colour if colours are enabled. The lines are not wrapped, so that users
/// can copy them. Tabs become spaces.
pub(super) fn lines(code: &str, language: &str) -> Vec<String> {
    let code = code.replace('\t', TAB);
    let painted = match tokens(language) {
        Some(tokens) => tokens.replace_all(&code, painted).into_owned(),
        None => code,
    };
    painted.split('\n').map(str::to_owned).collect()
}

/// Returns a regular expression for the tokens of a language, with one group per kind of token. Returns
/// `None` if the language is unknown.
fn tokens(language: &str) -> Option<Regex> {
    const SLASHES: &str = r"//.*|/\*(?s:.*?)(?:\*/|\z)";
    let (comments, quotes, keywords): (_, &[&str], _) = match language {
        "python" => (
            "#.*",
            &["\"\"\"", "'''", "\"", "'"],
            "and as async await break class continue def del elif else except False finally for from global if \
             import in is lambda None nonlocal not or pass raise return True try while with yield",
        ),
        "javascript" | "typescript" | "json" => (
            SLASHES,
            &["`", "\"", "'"],
            "async await break case catch class const continue default delete else export extends false finally \
             for from function if import in instanceof let new null of return static switch this throw true try \
             typeof undefined var while yield",
        ),
        "rust" => (
            SLASHES,
            &["\""],
            "as async await break const continue crate dyn else enum false fn for if impl in let loop match mod \
             move mut pub ref return self Self static struct super trait true type use where while",
        ),
        "php" => (
            r"//.*|\#.*|/\*(?s:.*?)(?:\*/|\z)",
            &["\"", "'"],
            "abstract as break case catch class const continue default echo else elseif extends false final finally fn \
             for foreach function if implements instanceof match namespace new null private protected public return \
             static switch throw true try use while",
        ),
        "go" => (
            SLASHES,
            &["`", "\"", "'"],
            "any break case chan const continue default defer else error fallthrough false for func go goto if import \
             interface map nil package range return select struct switch true type var",
        ),
        "ruby" => (
            "#.*",
            &["\"", "'"],
            "alias and begin break case class def do else elsif end ensure false for if in module next nil not or raise \
             redo rescue retry return self super then true undef unless until when while yield",
        ),
        "sh" | "toml" | "yaml" | "dockerfile" => (
            "#.*",
            &["\"", "'"],
            "case cd do done elif else esac exit export fi for function if in sudo then while",
        ),
        _ => return None,
    };
    // An unclosed string ends at the end of the line or, if strings of this kind may contain line breaks, at
    // the end of the text.
    let string = |quote: &&str| match *quote {
        "\"" | "'" => format!(r"{quote}(?:\\(?s:.)|[^\\\n])*?(?:{quote}|$)"),
        _ => format!(r"{quote}(?:\\(?s:.)|[^\\])*?(?:{quote}|\z)"),
    };
    let strings: Vec<String> = quotes.iter().map(string).collect();
    let (strings, keywords) = (strings.join("|"), keywords.replace(' ', "|"));
    let tokens = format!(
        r"(?m)(?<comment>{comments})|(?<string>{strings})|\b(?<keyword>{keywords})\b|\b(?<number>\d\w*)"
    );
    Regex::new(&tokens).ok()
}

fn kind(token: &Captures<'_>) -> &'static str {
    let mut kinds = ["comment", "string", "keyword", "number"].into_iter();
    kinds.find(|kind| token.name(kind).is_some()).unwrap_or_default()
}

/// Colours each line of a token separately, because lines are printed separately.
fn painted(token: &Captures<'_>) -> String {
    let paint = |line: &str| match kind(token) {
        "comment" => line.bright_black(),
        "string" => line.green(),
        "keyword" => line.magenta(),
        _ => line.cyan(),
    };
    let lines: Vec<String> = token[0].split('\n').map(|line| paint(line).to_string()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn special(code: &str, language: &str) -> Vec<(&'static str, String)> {
        let tokens = tokens(language).unwrap();
        let found = tokens.captures_iter(code);
        found.map(|token| (kind(&token), token[0].to_owned())).collect()
    }

    #[test]
    fn tokens_are_found() {
        let word = |kind, text: &str| (kind, text.to_owned());
        assert_eq!(
            special(
                "def visits(n1):  # count\n    return \"a \\\" def\" + '10' + 10\n",
                "python"
            ),
            [
                word("keyword", "def"),
                word("comment", "# count"),
                word("keyword", "return"),
                word("string", "\"a \\\" def\""),
                word("string", "'10'"),
                word("number", "10"),
            ]
        );
        assert_eq!(
            special("const x = `a\nb`; /* two\nlines */ undefine", "javascript"),
            [
                word("keyword", "const"),
                word("string", "`a\nb`"),
                word("comment", "/* two\nlines */"),
            ]
        );
        assert_eq!(
            special("\"open\nlet", "rust"),
            [word("string", "\"open"), word("keyword", "let")]
        );
        assert_eq!(
            special("var x = `a\nb` // c", "go"),
            [
                word("keyword", "var"),
                word("string", "`a\nb`"),
                word("comment", "// c"),
            ]
        );
        assert!(tokens("text").is_none());
    }

    #[test]
    fn tabs_are_four_columns_wide() {
        colored::control::set_override(false);
        assert_eq!(lines("if x {\n\ty()\n}", "rust"), ["if x {", "    y()", "}"]);
    }

    #[test]
    fn no_character_is_lost_whatever_the_code() {
        colored::control::set_override(false);
        for code in ["\"open\nnext", "é\\", "'\\", "\"\"\"a", "", "\n\n", "// é\n\"ü"] {
            for language in ["python", "javascript", "rust", "ruby", "php", "go", "sh", "text"] {
                assert_eq!(lines(code, language).join("\n"), code);
            }
        }
    }
}

//! Writes lines and JSON to standard output and standard error. Masks secrets with [`shown`] and [`json`],
//! unless a function's documentation says otherwise.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, Write as _};
use std::ops::Range;
use std::sync::LazyLock;

use serde_json::Value;

use crate::ping::causes::{Cause, ErrorReply};
use crate::sanitize;
use crate::secret::{self, Found};

/// Makes text safe for a terminal or a file. Masks the secrets of this run, and escapes all control
/// characters except line ends, tabs and the program's own colours.
pub(super) fn shown(text: &str) -> String {
    sanitize::painted(&masked(text)).into_owned()
}

/// Masks the secrets of this run. Does not mask the program's own words, because a masked word would reveal
/// that the word is the secret.
fn masked(text: &str) -> Cow<'_, str> {
    secret::mask(text, |found| is_own_word(text, found))
}

/// Whether the found text is a URL scheme, a cause code, an error code, or one of the program's own words. A
/// word counts only in a sentence, because a word from a server is usually in quotes or alone.
fn is_own_word(text: &str, found: &Found) -> bool {
    let Range { start, end } = found.place;
    let is_part = |one: char| one.is_alphanumeric() || matches!(one, '.' | '-' | '_');
    if SCHEMES.iter().any(|scheme| is_in(text, scheme, &found.place)) {
        return true;
    }
    if !text[start..end].chars().all(is_part) {
        return false;
    }
    // The text may be coloured.
    let style = text[..start].rfind('\x1b');
    let style = style
        .and_then(|at| Some(at + text[at..start].find('m')? + 1))
        .unwrap_or(0);
    let from = text[..start].trim_end_matches(is_part).len().max(style);
    let to = text.len() - text[end..].trim_start_matches(is_part).len();
    let word = text[from..to].trim_end_matches('.');
    let (before, after) = (&text[style..from], &text[from + word.len()..]);
    if Cause::ALL.iter().any(|cause| cause.code() == word) || ErrorReply::is_code(word) {
        return true;
    }
    // A short secret may be part of a longer word or number by chance.
    if found.is_short && word.len() > end - start {
        return true;
    }
    let is_alone = before.is_empty() && after.is_empty();
    let starts = before.is_empty() || before.ends_with([' ', '(', '\n']);
    let rest = after.trim_start_matches([',', '.', ';', ':', ')']);
    let ends = after.len() - rest.len() <= 2 && (rest.is_empty() || rest.starts_with([' ', '\n', '\x1b']));
    !is_alone && starts && ends && WORDS.contains(word)
}

/// URL schemes, which are not masked, even if a user has pasted a URL as a password.
const SCHEMES: &[&str] = &[
    "redis://",
    "rediss://",
    "redis+sentinel://",
    "unix://",
    "http://",
    "https://",
];

/// Whether `place` is within an occurrence of `word`.
fn is_in(text: &str, word: &str, place: &Range<usize>) -> bool {
    let mut occurrences = text.match_indices(word);
    occurrences.any(|(at, _)| at <= place.start && place.end <= at + word.len())
}

/// The program's own words: words in its help, its causes, and its description.
static WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let mut texts = vec![include_str!("../../README.md").to_owned()];
    let mut cli = super::cli();
    texts.push(cli.render_long_help().to_string());
    texts.extend(
        cli.get_subcommands_mut()
            .map(|command| command.render_long_help().to_string()),
    );
    texts.extend(Cause::ALL.iter().map(|cause| cause.meaning().to_owned()));
    let words = texts
        .iter()
        .flat_map(|text| text.split(|one: char| !one.is_alphanumeric() && one != '-'));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
});

/// The names of JSON members whose values are usually the program's own words.
const NAMES_OF_WORDS: &[&str] = &[
    "cause",
    "certainty",
    "code",
    "end",
    "event",
    "flavor",
    "kind",
    "mode",
    "name",
    "result",
    "role",
    "status",
];

/// Masks the secrets of this run in the strings of a JSON value, but not in member names.
fn mask_strings(value: &mut Value, masked: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = masked(text),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_strings(item, masked)),
        Value::Object(members) => {
            for (name, value) in members {
                let is_word =
                    |text: &str| WORDS.contains(text) || Cause::ALL.iter().any(|it| it.code() == text);
                let is_own = NAMES_OF_WORDS.contains(&name.as_str()) && value.as_str().is_some_and(is_word);
                if !is_own {
                    mask_strings(value, masked);
                }
            }
        }
        _ => {}
    }
}

/// Writes lines to standard output.
pub(super) fn out(lines: &str) -> io::Result<()> {
    write_out(&shown(lines))
}

/// Writes one line of JSON, as returned by [`json`], to standard output.
pub(super) fn out_json(json: &str) -> io::Result<()> {
    write_out(json)
}

/// Writes a line to standard output without masking secrets, for example the URL of a server that this
/// program has started.
pub(super) fn out_with_secrets(line: &str) -> io::Result<()> {
    write_out(&sanitize::painted(line))
}

fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(format!("{text}\n").as_bytes())?;
    out.flush()
}

/// Writes one line of JSON, as returned by [`json`], to standard error.
pub(super) fn err_json(json: &str) {
    // If standard error is closed, the failure cannot be reported.
    let _ = io::stderr().write_all(format!("{json}\n").as_bytes());
}

/// Writes lines to standard error together, so that lines of different threads never mix.
pub(super) fn err(lines: &str) {
    err_json(&shown(lines));
}

/// Returns a JSON value as text, with the secrets of this run masked. Control characters in strings are
/// escaped as JSON requires or allows.
pub(crate) fn json(value: &Value, is_indented: bool) -> String {
    let mut value = value.clone();
    mask_strings(&mut value, &|text| masked(text).into_owned());
    let text = if is_indented {
        format!("{value:#}")
    } else {
        value.to_string()
    };
    sanitize::json(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::Filter;

    #[test]
    fn what_others_repeat_is_masked_and_words_of_this_program_are_not() {
        let mut filter = Filter::default();
        for secret in ["certificate", "tcp.refused", "zq7", "Quuxly-9931", "redis://host"] {
            filter.add(secret);
        }
        let masked = |text: &str| filter.mask(text, |found| is_own_word(text, found)).into_owned();
        for (text, shown) in [
            ("the certificate is old", "the certificate is old"),
            ("ERR unknown command 'certificate'", "ERR unknown command '***'"),
            ("redis://:certificate@host", "redis://:***@host"),
            ("tcp.refused: nothing listens", "tcp.refused: nothing listens"),
            ("x (tcp.refused)", "x (tcp.refused)"),
            ("\x1b[1mcertificate\x1b[0m:", "\x1b[1mcertificate\x1b[0m:"),
            ("'zq7' and azq7b", "'***' and azq7b"),
            ("Quuxly-9931 or Quuxly-9 or 517575786c79", "*** or *** or ***"),
        ] {
            assert_eq!(masked(text), shown);
        }
        let mut report = json!({
            "certificate": "ok", "cause": "tcp.refused", "summary": "a 'certificate'",
            "fixes": [{"text": "Quuxly-9931"}],
        });
        mask_strings(&mut report, &masked);
        let expected = json!({
            "certificate": "ok", "cause": "tcp.refused", "summary": "a '***'", "fixes": [{"text": "***"}],
        });
        assert_eq!(report, expected);
    }
}

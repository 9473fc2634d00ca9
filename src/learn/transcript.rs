//! The body of a `redis` fence: `> COMMAND`, its reply as redis-cli prints it, and `! reply: why` lines.

use super::guard;
use super::lesson::{Exchange, Expected, Needs, Transcript, Wait, WrongReply};
use super::pattern::Pattern;

/// What is wrong, on which line of the body (from 0).
pub(super) type Wrong = (usize, String);

/// How complete the replies of a transcript must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replies {
    /// Every command has one.
    Written,
    /// They may be left out: something else judges.
    Optional,
}

/// Reads the body of a `redis` fence that stands at `line`.
///
/// # Errors
/// What is wrong with the body, line by line.
pub(super) fn read(
    body: &str,
    line: usize,
    expected: Expected,
    replies: Replies,
    wait: Option<Wait>,
    needs: Needs,
) -> Result<Transcript, Vec<Wrong>> {
    let mut wrongs = Vec::new();
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut reply: Vec<&str> = Vec::new();
    for (row, text) in body.lines().enumerate() {
        if let Some(source) = text.strip_prefix('>') {
            close(&mut exchanges, &mut reply);
            match exchange(source.trim(), line + 1 + row) {
                Ok(exchange) => exchanges.push(exchange),
                Err(what) => wrongs.push((row, what)),
            }
        } else if let Some(explained) = text.strip_prefix('!') {
            match (wrong_reply(explained.trim()), exchanges.last_mut()) {
                (Some(explained), Some(exchange)) => exchange.wrong.push(explained),
                (None, _) => wrongs.push((row, "write a wrong reply as `! (integer) -1: why`".into())),
                (_, None) => wrongs.push((
                    row,
                    "a wrong reply stands under a command: `> COMMAND` first".into(),
                )),
            }
        } else if exchanges
            .last()
            .is_some_and(|exchange| !exchange.wrong.is_empty())
            && !text.trim().is_empty()
        {
            wrongs.push((row, "the reply stands before its `!` lines".into()));
        } else if exchanges.is_empty() && wrongs.is_empty() && !text.trim().is_empty() {
            wrongs.push((row, "a `redis` fence begins with `> COMMAND`".into()));
        } else {
            reply.push(text);
        }
    }
    close(&mut exchanges, &mut reply);
    if exchanges.is_empty() && wrongs.is_empty() {
        wrongs.push((
            0,
            "an empty `redis` fence: write `> COMMAND` and its reply".into(),
        ));
    }
    let transcript = Transcript {
        line,
        exchanges,
        expected,
        wait,
        needs,
    };
    missing_replies(&transcript, replies, &mut wrongs);
    if wrongs.is_empty() {
        Ok(transcript)
    } else {
        Err(wrongs)
    }
}

fn exchange(source: &str, line: usize) -> Result<Exchange, String> {
    let words = words(source).ok_or_else(|| format!("a quote that never closes in `{source}`"))?;
    if words.is_empty() {
        return Err("a command is missing after `>`".into());
    }
    guard::keys_of(&words).map_err(|forbidden| forbidden.to_string())?;
    Ok(Exchange {
        line,
        source: source.to_owned(),
        words,
        reply: None,
        wrong: Vec::new(),
    })
}

fn close(exchanges: &mut [Exchange], reply: &mut Vec<&str>) {
    let is_blank = |text: &&str| text.trim().is_empty();
    while reply.last().is_some_and(is_blank) {
        reply.pop();
    }
    let leading = reply.iter().take_while(|text| is_blank(text)).count();
    if let Some(exchange) = exchanges.last_mut()
        && leading < reply.len()
    {
        exchange.reply = Some(Pattern::new(&reply[leading..]));
    }
    reply.clear();
}

fn missing_replies(transcript: &Transcript, replies: Replies, wrongs: &mut Vec<Wrong>) {
    let row = |exchange: &Exchange| exchange.line - transcript.line - 1;
    if transcript.expected == Expected::Error {
        let is_open = |exchange: &Exchange| exchange.reply.as_ref().is_none_or(Pattern::is_error);
        if let (false, Some(last)) = (
            transcript.exchanges.iter().any(is_open),
            transcript.exchanges.last(),
        ) {
            wrongs.push((
                row(last),
                "`fails` expects an error: write `(error) WRONGTYPE [..]`".into(),
            ));
        }
    } else if replies == Replies::Written {
        for exchange in transcript
            .exchanges
            .iter()
            .filter(|exchange| exchange.reply.is_none())
        {
            let what = format!(
                "no reply to `{}`: write what redis-cli prints, or `...` for anything",
                exchange.source
            );
            wrongs.push((row(exchange), what));
        }
    }
}

/// `(integer) -1: why`: the reply ends at the first `: ` that is not inside quotes.
fn wrong_reply(text: &str) -> Option<WrongReply> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ':' if !quoted && text[at + 1..].starts_with(' ') => {
                let (reply, why) = (text[..at].trim(), text[at + 1..].trim());
                if reply.is_empty() || why.is_empty() {
                    return None;
                }
                return Some(WrongReply {
                    reply: Pattern::new(&[reply]),
                    why: why.to_owned(),
                });
            }
            _ => {}
        }
    }
    None
}

/// The commands of a `sh run` fence, each one of ours.
pub(super) fn own_commands(body: &str) -> Result<Vec<Vec<String>>, Vec<Wrong>> {
    let mut commands = Vec::new();
    let mut wrongs = Vec::new();
    for (row, text) in body.lines().enumerate() {
        let text = text.trim().strip_prefix("$ ").unwrap_or(text.trim());
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let words: Option<Vec<String>> = words(text).map(|words| {
            words
                .into_iter()
                .map(|word| String::from_utf8_lossy(&word).into_owned())
                .collect()
        });
        match words.as_deref() {
            Some([name, arguments @ ..]) if name == "sessiontut" => commands.push(arguments.to_vec()),
            _ => wrongs.push((
                row,
                "`sh run` runs commands of ours alone: write `sessiontut …`, or `sh` to show it".into(),
            )),
        }
    }
    if commands.is_empty() && wrongs.is_empty() {
        wrongs.push((0, "nothing to run: write `sessiontut …`".into()));
    }
    if wrongs.is_empty() {
        Ok(commands)
    } else {
        Err(wrongs)
    }
}

/// Splits a command line as redis-cli does (`sdssplitargs`): quotes, and escapes within double quotes.
///
/// `None` when a quote never closes, or is closed in the middle of a word.
#[must_use]
pub(crate) fn words(line: &str) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, length) = match first {
            '"' => double_quoted(rest)?,
            '\'' => single_quoted(rest)?,
            _ => {
                let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (rest.as_bytes()[..length].to_vec(), length)
            }
        };
        words.push(word);
        rest = &rest[length..];
        if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
            return None;
        }
        rest = rest.trim_start();
    }
    Some(words)
}

fn single_quoted(text: &str) -> Option<(Vec<u8>, usize)> {
    let mut word = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'\'' => return Some((word, at + 1)),
            b'\\' if bytes.get(at + 1) == Some(&b'\'') => {
                word.push(b'\'');
                at += 1;
            }
            byte => word.push(*byte),
        }
        at += 1;
    }
}

fn double_quoted(text: &str) -> Option<(Vec<u8>, usize)> {
    let mut word = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some((word, at + 1)),
            b'\\' => {
                at += 1;
                let hex = text
                    .get(at + 1..at + 3)
                    .and_then(|pair| u8::from_str_radix(pair, 16).ok());
                match (bytes.get(at)?, hex) {
                    (b'x', Some(byte)) => {
                        word.push(byte);
                        at += 2;
                    }
                    (b'n', _) => word.push(b'\n'),
                    (b'r', _) => word.push(b'\r'),
                    (b't', _) => word.push(b'\t'),
                    (b'a', _) => word.push(0x07),
                    (b'b', _) => word.push(0x08),
                    (other, _) => word.push(*other),
                }
            }
            byte => word.push(*byte),
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(body: &str) -> Result<Transcript, Vec<Wrong>> {
        read(
            body,
            10,
            Expected::Replies,
            Replies::Written,
            None,
            Needs::AnyRedis,
        )
    }

    #[test]
    fn a_transcript_is_commands_and_their_replies() {
        let body = "> HSET sessiontut:a name \"Ada L.\"\n(integer) 1\n\n> HGETALL sessiontut:a\n1) \"name\"\n2) \"Ada L.\"\n\
                    > TTL sessiontut:a\n(integer) 10\n! (integer) -1: no TTL\n! \"a: b\": odd\n";
        let transcript = plain(body).unwrap();
        let lines: Vec<usize> = transcript
            .exchanges
            .iter()
            .map(|exchange| exchange.line)
            .collect();
        assert_eq!(lines, [11, 14, 17]);
        assert_eq!(transcript.exchanges[0].words[3], b"Ada L.");
        assert!(
            transcript.exchanges[1]
                .reply
                .as_ref()
                .unwrap()
                .matches(&["1) \"name\"", "2) \"Ada L.\""])
        );
        assert_eq!(transcript.exchanges[2].wrong[0].why, "no TTL");
        assert!(transcript.exchanges[2].wrong[1].reply.matches(&["\"a: b\""]));
    }

    /// Invalid bodies, and the rows of their first errors.
    const INVALID: &[(&str, usize)] = &[
        ("", 0),
        ("PING\nPONG\n", 0),
        ("> PING\n> PING\nPONG\n", 0),
        (">\nPONG\n", 0),
        ("> GET \"sessiontut:a\n(nil)\n", 0),
        ("> PING\nPONG\n! no\n", 2),
        ("! (nil): why\n", 0),
        ("> PING\n! (nil): why\nPONG\n", 2),
        ("> PING\nPONG\n> SET other 1\nOK\n", 2),
        ("> FLUSHALL\nOK\n", 0),
        ("> KEYS *\n...\n", 0),
        ("> CONFIG GET requirepass\n...\n", 0),
    ];

    #[test]
    fn an_invalid_body_is_an_error_in_its_line() {
        for (body, row) in INVALID {
            assert_eq!(plain(body).unwrap_err()[0].0, *row, "{body}");
        }
    }

    #[test]
    fn wording_of_errors() {
        let message = |(body, _): &(&str, usize)| format!("{body}  {}\n\n", plain(body).unwrap_err()[0].1);
        let messages: String = INVALID.iter().map(message).collect();
        crate::golden::assert_golden("learn/transcript-errors.txt", &messages);
    }

    #[test]
    fn words_are_split_as_redis_cli_splits_them() {
        let split = |line| {
            words(line).map(|words| {
                words
                    .iter()
                    .map(|word| String::from_utf8_lossy(word).into_owned())
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(split("  SET  a 'b c' ").unwrap(), ["SET", "a", "b c"]);
        assert_eq!(split(r#"SET a "b\"c\x41\n""#).unwrap(), ["SET", "a", "b\"cA\n"]);
        assert_eq!(split("").unwrap(), [""; 0]);
        assert_eq!(split("SET \"a\"b"), None);
        assert_eq!(split("SET 'a"), None);
        assert_eq!(split("SET \"é").as_deref(), None);
    }
}

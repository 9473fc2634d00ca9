//! Parses the bodies of `redis` and `sh run` fences.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::Problem;
use super::fence::{Fence, FenceKind};
use crate::learn::guard;
use crate::learn::lesson::{LessonExchange, Transcript, WrongReply};
use crate::learn::pattern::Pattern;
use crate::practice::split;

/// Parses the body of a `redis` fence: `> COMMAND`, its reply as redis-cli prints it, and `! reply: why` lines.
///
/// # Errors
/// Returns the problems, with their rows in the body (from 0).
pub(super) fn parse(body: &str, fence: &Fence) -> Result<Transcript, Vec<Problem>> {
    let line = fence.options.line;
    let mut problems = Vec::new();
    let mut exchanges: Vec<LessonExchange> = Vec::new();
    let mut reply: Vec<&str> = Vec::new();
    for (row, text) in body.lines().enumerate() {
        let mut problem = |what: &str| problems.push((row, what.to_owned()));
        if let Some(source) = text.strip_prefix('>') {
            end_reply(&mut exchanges, &mut reply);
            match exchange(source.trim(), line + 1 + row) {
                Ok(exchange) => exchanges.push(exchange),
                Err(what) => problem(&what),
            }
        } else if let Some(explained) = text.strip_prefix('!') {
            match (wrong_reply(explained.trim()), exchanges.last_mut()) {
                (Some(explained), Some(exchange)) => exchange.wrong.push(explained),
                (None, _) => problem("explain a wrong reply like this: `! (integer) -1: why`"),
                (_, None) => problem("a `!` line must follow a command: `> COMMAND`"),
            }
        } else if text.trim().is_empty() {
            reply.push(text);
        } else if exchanges
            .last()
            .is_some_and(|exchange| !exchange.wrong.is_empty())
        {
            problem("the reply must come before its `!` lines");
        } else if exchanges.is_empty() && problems.is_empty() {
            problems.push((row, "a `redis` fence must start with `> COMMAND`".into()));
        } else {
            reply.push(text);
        }
    }
    end_reply(&mut exchanges, &mut reply);
    if exchanges.is_empty() && problems.is_empty() {
        problems.push((
            0,
            "this `redis` fence is empty: add `> COMMAND` and its reply".into(),
        ));
    }
    let transcript = Transcript {
        fence: fence.options.clone(),
        exchanges,
    };
    problems.extend(missing_replies(&transcript, &fence.kind));
    if problems.is_empty() {
        Ok(transcript)
    } else {
        Err(problems)
    }
}

fn exchange(source: &str, line: usize) -> Result<LessonExchange, String> {
    let words = split(source.as_bytes()).ok_or_else(|| format!("a quote is not closed in `{source}`"))?;
    if words.is_empty() {
        return Err("a command is missing after `>`".into());
    }
    guard::keys_of(&words).map_err(|forbidden| forbidden.to_string())?;
    Ok(LessonExchange {
        line,
        source: source.to_owned(),
        words,
        reply: None,
        wrong: Vec::new(),
    })
}

/// Adds the lines of a reply, without blank lines around them, to the last exchange.
fn end_reply(exchanges: &mut [LessonExchange], reply: &mut Vec<&str>) {
    let is_text = |text: &&str| !text.trim().is_empty();
    if let Some(exchange) = exchanges.last_mut()
        && let (Some(first), Some(last)) = (reply.iter().position(is_text), reply.iter().rposition(is_text))
    {
        exchange.reply = Some(Pattern::new(&reply[first..=last]));
    }
    reply.clear();
}

fn missing_replies(transcript: &Transcript, kind: &FenceKind) -> Vec<Problem> {
    let row = |exchange: &LessonExchange| exchange.line - transcript.fence.line - 1;
    let mut exchanges = transcript.exchanges.iter();
    if transcript.fence.fails {
        let may_fail = |exchange: &LessonExchange| exchange.reply.as_ref().is_none_or(Pattern::is_error);
        let what = "`fails` needs an error reply, for example `(error) WRONGTYPE [..]`";
        let last = transcript.exchanges.last().filter(|_| !exchanges.any(may_fail));
        return last.map(|last| (row(last), what.into())).into_iter().collect();
    }
    let what = |exchange: &LessonExchange| {
        let source = &exchange.source;
        format!("`{source}` has no reply: add what redis-cli prints, or `...` for any reply")
    };
    // In a `try`, checks may be used instead.
    let missing = exchanges.filter(|exchange| exchange.reply.is_none() && *kind != FenceKind::RedisTry);
    missing.map(|exchange| (row(exchange), what(exchange))).collect()
}

/// Parses `(integer) -1: why`. The reply ends at the first `: ` that is not inside quotes.
fn wrong_reply(text: &str) -> Option<WrongReply> {
    static EXPLAINED: LazyLock<Regex> = LazyLock::new(|| {
        let explained = Regex::new(r#"^((?:"(?:\\.|[^"\\])*"|[^"])+?): +(\S.*)$"#);
        explained.expect("this constant is a valid regex")
    });
    let found = EXPLAINED.captures(text)?;
    Some(WrongReply {
        reply: Pattern::new(&[found[1].trim()]),
        why: found[2].to_owned(),
    })
}

/// Returns the commands of a `sh run` fence, without `sessiontut`.
///
/// # Errors
/// Returns the problems, with their rows in the body (from 0).
pub(super) fn own_commands(body: &str) -> Result<Vec<Vec<String>>, Vec<Problem>> {
    let mut commands = Vec::new();
    let mut problems = Vec::new();
    for (row, text) in body.lines().enumerate() {
        let text = text.trim().strip_prefix("$ ").unwrap_or(text.trim());
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let words = split(text.as_bytes()).unwrap_or_default();
        let words = words
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned());
        match words.collect::<Vec<_>>().as_slice() {
            [name, arguments @ ..] if name == "sessiontut" => commands.push(arguments.to_vec()),
            _ => {
                let what = "`sh run` can run only `sessiontut …`; use `sh` to show another command";
                problems.push((row, what.into()));
            }
        }
    }
    if commands.is_empty() && problems.is_empty() {
        problems.push((0, "this `sh run` fence is empty: add `sessiontut …`".into()));
    }
    if problems.is_empty() {
        Ok(commands)
    } else {
        Err(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(body: &str) -> Result<Transcript, Vec<Problem>> {
        parse(body, &Fence::parse("redis", 10).unwrap())
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
}

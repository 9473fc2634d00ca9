//! Parses the bodies of `redis`, `sh run`, `sh try` and `quiz` fences.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::fence::{Fence, FenceKind};
use super::{MayRun, Problem};
use crate::learn::guard;
use crate::learn::lesson::{Answer, LessonExchange, Quiz, Transcript, WrongCommand, WrongReply};
use crate::learn::pattern::Pattern;
use crate::practice::split;

/// Parses the body of a `redis` fence. Its lines are `> COMMAND`, replies in the format of redis-cli, `!
/// reply: why` and `!> command: why`. The line numbers of problems start at 0 in the body.
pub(super) fn transcript(body: &str, fence: &Fence) -> Result<Transcript, Vec<Problem>> {
    let line = fence.options.line;
    let mut problems = Vec::new();
    let mut exchanges: Vec<LessonExchange> = Vec::new();
    let mut wrong_commands = Vec::new();
    let mut reply: Vec<&str> = Vec::new();
    for (row, text) in body.lines().enumerate() {
        let mut problem = |what: &str| problems.push((row, what.to_owned()));
        if let Some(explained) = text.strip_prefix("!>") {
            match explanation(explained.trim()) {
                _ if fence.kind != FenceKind::RedisTry => {
                    problem("explain a wrong command only in a `redis try` fence");
                }
                Some((command, why)) => wrong_commands.push(WrongCommand { command, why }),
                None => problem("explain a wrong command like this: `!> HSET [..]: why`"),
            }
        } else if let Some(source) = text.strip_prefix('>') {
            end_reply(&mut exchanges, &mut reply);
            match exchange(source.trim(), line + 1 + row) {
                Ok(exchange) => exchanges.push(exchange),
                Err(what) => problem(&what),
            }
        } else if let Some(explained) = text.strip_prefix('!') {
            match (explanation(explained.trim()), exchanges.last_mut()) {
                (Some((reply, why)), Some(exchange)) => exchange.wrong.push(WrongReply { reply, why }),
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
        wrong_commands,
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

/// Adds the lines of a reply to the last exchange, without leading and trailing blank lines.
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
    // A `try` may have checks instead of expected replies.
    let missing = exchanges.filter(|exchange| exchange.reply.is_none() && *kind != FenceKind::RedisTry);
    missing.map(|exchange| (row(exchange), what(exchange))).collect()
}

/// Parses `(integer) -1: why` or `HSET [..]: why`. The pattern ends at the first `: ` outside quotes.
fn explanation(text: &str) -> Option<(Pattern, String)> {
    static EXPLAINED: LazyLock<Regex> = LazyLock::new(|| {
        let explained = Regex::new(r#"^((?:"(?:\\.|[^"\\])*"|[^"])+?): +(\S.*)$"#);
        explained.expect("this constant is a valid regex")
    });
    let found = EXPLAINED.captures(text)?;
    Some((Pattern::new(&[found[1].trim()]), found[2].to_owned()))
}

/// The maximum number of sessiontut commands in a lesson, because it takes time to parse and check each
/// command.
pub(super) const MOST_OWN_COMMANDS: usize = 100;

/// Returns the commands of a `sh run` or `sh try` fence, without `sessiontut`. `left` is the number of
/// commands that the lesson may still contain. The line numbers of problems start at 0 in the body.
pub(super) fn own_commands(
    body: &str,
    may_run: MayRun,
    left: &mut usize,
) -> Result<Vec<Vec<String>>, Vec<Problem>> {
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
            [name, ..] if name == "sessiontut" && *left == 0 => {
                let what = format!("a lesson may run at most {MOST_OWN_COMMANDS} commands of `sessiontut`");
                problems.push((row, what));
            }
            [name, arguments @ ..] if name == "sessiontut" => {
                *left -= 1;
                match may_run(arguments) {
                    Ok(()) => commands.push(arguments.to_vec()),
                    Err(what) => problems.push((row, what)),
                }
            }
            _ => {
                let what =
                    "`sh run` and `sh try` can run only `sessiontut …`; use `sh` to show another command";
                problems.push((row, what.into()));
            }
        }
    }
    if commands.is_empty() && problems.is_empty() {
        problems.push((0, "this `sh` fence is empty: add `sessiontut …`".into()));
    }
    if problems.is_empty() {
        Ok(commands)
    } else {
        Err(problems)
    }
}

/// Parses the body of a `quiz` fence: a question, and a task list of answers. Each answer is followed by `:
/// why`. The line numbers of problems start at 0 in the body.
pub(super) fn quiz(body: &str) -> Result<Quiz, Vec<Problem>> {
    let mut question = String::new();
    let mut answers: Vec<(usize, Answer)> = Vec::new();
    let mut problems = Vec::new();
    for (row, text) in body.lines().enumerate() {
        let text = text.trim();
        if let Some((is_right, text)) = task_item(text) {
            let (text, why) = (text.to_owned(), String::new());
            answers.push((row, Answer { text, is_right, why }));
        } else if text.starts_with("- ") || text.starts_with("* ") {
            let what = "an answer must start with `- [x]` (right) or `- [ ]` (wrong)";
            problems.push((row, what.into()));
        } else if let Some(why) = text.strip_prefix(':') {
            match answers.last_mut() {
                Some((_, answer)) => append(&mut answer.why, why),
                None => problems.push((row, "`: why` must follow an answer".into())),
            }
        } else {
            match answers.last_mut() {
                None => append(&mut question, text),
                Some((_, answer)) if answer.why.is_empty() => append(&mut answer.text, text),
                Some((_, answer)) => append(&mut answer.why, text),
            }
        }
    }
    for (row, answer) in &mut answers {
        split_why(answer);
        if !answer.is_right && answer.why.is_empty() {
            problems.push((
                *row,
                "a wrong answer needs an explanation: add `: why` below it".into(),
            ));
        }
    }
    let answers: Vec<Answer> = answers.into_iter().map(|(_, answer)| answer).collect();
    if question.is_empty() {
        problems.push((0, "the question is missing; it comes before the answers".into()));
    }
    if !answers.iter().any(|answer| answer.is_right) {
        problems.push((0, "there is no right answer: mark one with `- [x]`".into()));
    }
    problems.sort();
    if problems.is_empty() {
        Ok(Quiz { question, answers })
    } else {
        Err(problems)
    }
}

/// Parses an item of a task list. Returns whether the item is ticked, and its text. Returns `None` for other
/// lines.
fn task_item(text: &str) -> Option<(bool, &str)> {
    let item = text.strip_prefix("- ").or_else(|| text.strip_prefix("* "))?;
    let (mark, text) = item.trim_start().split_at_checked("[ ]".len())?;
    matches!(mark, "[ ]" | "[x]" | "[X]").then(|| (mark != "[ ]", text.trim()))
}

/// Moves an explanation on the answer's own line to `why`, as in `- [ ] it is gone: that would be -2`.
fn split_why(answer: &mut Answer) {
    if answer.why.is_empty()
        && let Some((text, why)) = answer.text.split_once(": ")
        && !text.trim().is_empty()
    {
        answer.why = why.trim().to_owned();
        answer.text = text.trim().to_owned();
    }
}

fn append(text: &mut String, more: &str) {
    let more = more.trim();
    if !text.is_empty() && !more.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(body: &str) -> Result<Transcript, Vec<Problem>> {
        transcript(body, &Fence::parse("redis", 10).unwrap())
    }

    #[test]
    fn a_transcript_is_commands_and_their_replies() {
        let body = "> HSET sessiontut:a name \"Ada L.\"\n(integer) 1\n\n> HGETALL sessiontut:a\n1) \"name\"\n2) \"Ada L.\"\n\
                    > TTL sessiontut:a\n(integer) 10\n! (integer) -1: no TTL\n! \"a: b\": odd\n";
        let parsed = plain(body).unwrap();
        let lines: Vec<usize> = parsed.exchanges.iter().map(|exchange| exchange.line).collect();
        assert_eq!(lines, [11, 14, 17]);
        assert_eq!(parsed.exchanges[0].words[3], b"Ada L.");
        assert!(
            parsed.exchanges[1]
                .reply
                .as_ref()
                .unwrap()
                .matches(&["1) \"name\"", "2) \"Ada L.\""])
        );
        assert_eq!(parsed.exchanges[2].wrong[0].why, "no TTL");
        assert!(parsed.exchanges[2].wrong[1].reply.matches(&["\"a: b\""]));
    }

    /// Invalid transcripts with the line of the first error.
    const INVALID_TRANSCRIPTS: &[(&str, usize)] = &[
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
        for (body, row) in INVALID_TRANSCRIPTS {
            assert_eq!(plain(body).unwrap_err()[0].0, *row, "{body}");
        }
    }

    #[test]
    fn wording_of_transcript_errors() {
        let message = |(body, _): &(&str, usize)| format!("{body}  {}\n\n", plain(body).unwrap_err()[0].1);
        let messages: String = INVALID_TRANSCRIPTS.iter().map(message).collect();
        crate::golden::assert_golden("learn/transcript-errors.txt", &messages);
    }

    #[test]
    fn a_quiz_is_a_question_and_answers_with_reasons() {
        let body = "What does a TTL\nof -1 mean?\n\n- [x] it stays for ever\n  : nothing ends it\n- [ ] the key\n  is gone\n  : that would\n  be -2\n- [ ] an error: TTL never fails\n";
        let parsed = quiz(body).unwrap();
        assert_eq!(parsed.question, "What does a TTL of -1 mean?");
        let answers: Vec<_> = parsed
            .answers
            .iter()
            .map(|answer| (answer.is_right, answer.text.as_str(), answer.why.as_str()))
            .collect();
        assert_eq!(
            answers,
            [
                (true, "it stays for ever", "nothing ends it"),
                (false, "the key is gone", "that would be -2"),
                (false, "an error", "TTL never fails"),
            ]
        );
    }

    /// Invalid quizzes with the line of the first error.
    const INVALID_QUIZZES: &[(&str, usize)] = &[
        ("Q?\n- [x] a\n- [ ] b\n", 2),
        ("Q?\n- [ ] b\n: why\n", 0),
        ("- [x] a\n", 0),
        ("Q?\n- a\n- [x] b\n", 1),
        ("Q?\n: why\n- [x] b\n", 1),
    ];

    #[test]
    fn a_quiz_without_reasons_or_a_right_answer_is_an_error() {
        for (body, row) in INVALID_QUIZZES {
            assert_eq!(quiz(body).unwrap_err()[0].0, *row, "{body}");
        }
    }

    #[test]
    fn wording_of_quiz_errors() {
        let message = |(body, _): &(&str, usize)| format!("{body}  {}\n\n", quiz(body).unwrap_err()[0].1);
        let messages: String = INVALID_QUIZZES.iter().map(message).collect();
        crate::golden::assert_golden("learn/quiz-errors.txt", &messages);
    }
}

//! Runs a transcript, compares every reply with the expected reply, and explains differences.

use redis::Value;

use super::connection::SendError;
use super::lesson::{LessonExchange, Transcript};
use super::pattern::Pattern;
use super::sandbox::Sandbox;
use crate::redis_client;
use crate::sanitize;

/// A command, its reply, and the result of comparing the reply with the lesson.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The line number of the command in the lesson file.
    pub line: usize,
    /// The command as written in the lesson.
    pub command: String,
    /// The reply, as lines in the format of redis-cli.
    pub got: Vec<String>,
    pub verdict: ReplyVerdict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReplyVerdict {
    /// The reply matches the expected reply.
    Held,
    Differs {
        /// The expected reply, which may contain wildcards.
        expected: Vec<String>,
        /// An explanation of the actual reply, if known.
        why: Option<String>,
    },
}

impl Outcome {
    pub(crate) fn held(&self) -> bool {
        self.verdict == ReplyVerdict::Held
    }
}

/// Sends the commands of a transcript in order, and passes each outcome to `show`.
pub(crate) fn run(
    sandbox: &mut Sandbox,
    transcript: &Transcript,
    show: &mut dyn FnMut(&Outcome),
) -> Result<(), SendError> {
    for exchange in &transcript.exchanges {
        let reply = sandbox.send(&exchange.words)?;
        show(&judge(exchange, transcript.fence.fails, &reply));
    }
    Ok(())
}

/// Returns the lines of a reply in the format of redis-cli. A report, such as the reply to INFO, is plain
/// text.
pub(crate) fn printed(words: &[Vec<u8>], reply: &Value) -> Vec<String> {
    let word = |at: usize| {
        words
            .get(at)
            .map_or(String::new(), |word| String::from_utf8_lossy(word).to_uppercase())
    };
    let is_report = matches!(
        (word(0).as_str(), word(1).as_str()),
        ("INFO", _)
            | ("CLIENT", "LIST" | "INFO")
            | ("CLUSTER", "INFO" | "NODES")
            | ("MEMORY" | "LATENCY", "DOCTOR")
    );
    match reply {
        Value::BulkString(text) if is_report => String::from_utf8_lossy(text)
            .lines()
            .map(|line| sanitize::line(line).into_owned())
            .collect(),
        _ => redis_client::reply_lines(reply),
    }
}

/// Compares a reply with the expected reply in the lesson. If there is no expected reply, accepts any reply
/// or, with `fails`, only an error.
pub(crate) fn judge(exchange: &LessonExchange, fails: bool, reply: &Value) -> Outcome {
    let got = printed(&exchange.words, reply);
    let unwritten = || Pattern::new(&[if fails { "(error) [..]" } else { "..." }]);
    let wanted = exchange.reply.clone().unwrap_or_else(unwritten);
    let verdict = if wanted.matches(&got) {
        ReplyVerdict::Held
    } else {
        ReplyVerdict::Differs {
            expected: wanted.source().to_vec(),
            why: why(exchange, &got),
        }
    };
    Outcome {
        line: exchange.line,
        command: exchange.source.clone(),
        got,
        verdict,
    }
}

/// Returns the lesson's explanation of a wrong reply or a general explanation, or `None` if neither exists.
fn why(exchange: &LessonExchange, got: &[String]) -> Option<String> {
    if let Some(why) = exchange.explanation(got) {
        return Some(why.to_owned());
    }
    let command = String::from_utf8_lossy(&exchange.words[0]).to_uppercase();
    explanation(&command, got.first()?).map(str::to_owned)
}

/// Returns a general explanation of an unexpected reply, if there is one.
pub(crate) fn explanation(command: &str, got: &str) -> Option<&'static str> {
    let meaning = match (command, got) {
        ("TTL" | "PTTL" | "EXPIRETIME" | "PEXPIRETIME", "(integer) -1") => {
            "the key exists but has no TTL: EXPIRE was sent before the key existed, or a later command removed the TTL"
        }
        ("TTL" | "PTTL" | "EXPIRETIME" | "PEXPIRETIME", "(integer) -2") => {
            "-2 means that the key does not exist"
        }
        ("PERSIST", "(integer) 0") => "there is no such key, or it has no TTL",
        ("EXPIRE" | "PEXPIRE" | "EXISTS" | "DEL" | "UNLINK", "(integer) 0") => {
            "there is no such key, so the command did nothing"
        }
        ("GET" | "HGET" | "GETDEL" | "GETEX", "(nil)") => "there is no such key or field: check the names",
        ("HGETALL" | "HKEYS" | "HVALS" | "SMEMBERS" | "LRANGE", "(empty array)") => "there is no such key",
        ("TYPE", "none") => "there is no such key",
        _ if got.starts_with("(error) WRONGTYPE") => {
            "the value of this key has another type, so the command has changed nothing; TYPE shows the type of a value"
        }
        _ if got.starts_with("(error) NOPERM") => "this user's ACL does not allow the command",
        ("SET", _) if got.starts_with("(error) ERR syntax error") => {
            "after the key, SET takes one value, and then only options such as EX; HSET sets a field of a hash"
        }
        _ if got.starts_with("(error) ERR syntax error") => {
            "Redis does not recognise one of the arguments after the key: check their order and spelling"
        }
        ("HINCRBY" | "HINCRBYFLOAT", _) if got.starts_with("(error) ERR hash value is not") => {
            "the field does not contain a number, so nothing can be added to it"
        }
        ("INCR" | "DECR", _) if got.starts_with("(error) ERR value is not") => {
            "the value of the key is not a number, so nothing can be added to it"
        }
        _ if got.starts_with("(error) ERR value is not an integer") => {
            "one of the arguments must be a whole number, such as 1 or -1: check the arguments after the key"
        }
        _ if got.starts_with("(error) ERR invalid expire time") => "a TTL must be greater than zero",
        _ if got.starts_with("(error) ERR no such key") => "there is no such key: check the name",
        ("EXEC" | "DISCARD", _) if got.contains("without MULTI") => {
            "MULTI must come first: it starts the transaction"
        }
        ("MULTI", _) if got.starts_with("(error)") => {
            "a transaction has already started; EXEC runs its commands"
        }
        ("EXEC", _) if got.starts_with("(error) EXECABORT") => {
            "Redis rejected one of the queued commands, so it ran none of them; start again with MULTI"
        }
        _ if got.starts_with("(error) ERR wrong number of arguments") => {
            "an argument is missing, or there are too many arguments"
        }
        _ => return None,
    };
    Some(meaning)
}

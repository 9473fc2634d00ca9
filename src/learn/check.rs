//! Runs a transcript and judges every reply; says why a wrong one came where that can be told.

use redis::Value;

use super::connection::SendError;
use super::lesson::{Exchange, Expected, Transcript};
use super::pattern::Pattern;
use super::sandbox::Sandbox;
use crate::redis_client;
use crate::sanitize;

/// A command that was sent, what came back, and whether it was that which the lesson expects.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The line of the command in its file.
    pub line: usize,
    /// The command as the lesson writes it.
    pub command: String,
    /// The reply as redis-cli prints it.
    pub got: Vec<String>,
    /// What the lesson makes of it.
    pub verdict: Verdict,
}

/// Whether a reply was the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was.
    Held,
    /// It was not.
    Differs {
        /// The expected reply, with its wildcards.
        expected: Vec<String>,
        /// Why the one that came did, where the lesson or Redis's own rules tell.
        why: Option<String>,
    },
}

impl Outcome {
    /// Whether the reply was the expected one.
    #[must_use]
    pub(crate) fn held(&self) -> bool {
        self.verdict == Verdict::Held
    }
}

/// Sends the commands of a transcript one by one, and shows each with its reply.
///
/// # Errors
/// [`SendError`].
pub(crate) fn run(
    sandbox: &mut Sandbox,
    transcript: &Transcript,
    show: &mut dyn FnMut(&Outcome),
) -> Result<(), SendError> {
    for (index, exchange) in transcript.exchanges.iter().enumerate() {
        let reply = sandbox.send_at(transcript, index)?;
        show(&judge(exchange, transcript.expected, &reply));
    }
    Ok(())
}

/// A reply as redis-cli prints it: reports that are text for people as they stand, all else by its type.
#[must_use]
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

/// What a lesson makes of a reply.
#[must_use]
pub(crate) fn judge(exchange: &Exchange, expected: Expected, reply: &Value) -> Outcome {
    let got = printed(&exchange.words, reply);
    let wanted = match (&exchange.reply, expected) {
        (Some(pattern), _) => pattern.clone(),
        (None, Expected::Error) => Pattern::new(&["(error) [..]"]),
        (None, Expected::Replies) => Pattern::new(&["..."]),
    };
    let verdict = if wanted.matches(&got) {
        Verdict::Held
    } else {
        Verdict::Differs {
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

/// The lesson's own explanation of a wrong reply; else what Redis's rules tell.
fn why(exchange: &Exchange, got: &[String]) -> Option<String> {
    let told = exchange.wrong.iter().find(|wrong| wrong.reply.matches(got));
    if let Some(wrong) = told {
        return Some(wrong.why.clone());
    }
    let command = String::from_utf8_lossy(&exchange.words[0]).to_uppercase();
    explanation(&command, got.first()?).map(str::to_owned)
}

/// What a reply to a command means when another one was expected.
#[must_use]
pub(crate) fn explanation(command: &str, got: &str) -> Option<&'static str> {
    let meaning = match (command, got) {
        ("TTL" | "PTTL" | "EXPIRETIME" | "PEXPIRETIME", "(integer) -1") => {
            "the key is there, but has no TTL: EXPIRE came before the key existed, or something took the TTL away"
        }
        ("TTL" | "PTTL" | "EXPIRETIME" | "PEXPIRETIME", "(integer) -2") => {
            "there is no such key: it was never made, or its time is over"
        }
        ("EXPIRE" | "PEXPIRE" | "PERSIST" | "EXISTS" | "DEL" | "UNLINK", "(integer) 0") => {
            "there is no such key, so there was nothing to do"
        }
        ("GET" | "HGET" | "GETDEL" | "GETEX", "(nil)") => {
            "nothing is stored there: look at the name of the key and field"
        }
        ("HGETALL" | "HKEYS" | "HVALS" | "SMEMBERS" | "LRANGE", "(empty array)") => "there is no such key",
        ("TYPE", "none") => "there is no such key",
        _ if got.starts_with("(error) WRONGTYPE") => {
            "the key holds another type of value: DEL it, then begin again"
        }
        _ if got.starts_with("(error) READONLY") => "this is a replica: only the primary takes writes",
        _ if got.starts_with("(error) NOPERM") => "this user's ACL does not allow that",
        _ if got.starts_with("(error) OOM") => "Redis is out of memory, and its policy evicts nothing",
        _ if got.starts_with("(error) ERR wrong number of arguments") => "a word is missing, or one too many",
        _ => return None,
    };
    Some(meaning)
}

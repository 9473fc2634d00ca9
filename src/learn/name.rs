//! The user name in a lesson's keys: `ada`, or a different name if two learners share a Redis server. A lock
//! in Redis reserves the name.

use std::sync::LazyLock;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use redis::Value;
use regex_lite::{Captures, Regex};

use super::connection::{LessonConnection, SendError};
use super::guard::PREFIX;
use crate::deadline::Deadline;
use crate::random;

/// The name in the source text of the lessons.
pub(crate) const FIRST_NAME: &str = "ada";

const LONGEST: usize = 20;

/// The TTL of the lock on a name, in seconds. After a crash, the name is free again within this time.
const LOCK_TTL: &str = "30";

/// The interval between renewals of the lock on a name. The lock survives one failed renewal.
const RENEW_EVERY: Duration = Duration::from_secs(10);

const RELEASE_WITHIN: Duration = Duration::from_secs(1);

/// A name that this process has reserved on a Redis server.
#[derive(Debug)]
pub(crate) struct NameLock {
    key: String,
    token: String,
    /// Dropping this sender ends the thread that renews the lock.
    _renewing: Sender<()>,
}

#[derive(Debug)]
pub(crate) enum Taken {
    Yes(NameLock),
    /// Another learner uses the name.
    InUse,
    /// Redis rejects the lock. The lesson continues without a lock.
    NotPossible,
}

impl NameLock {
    /// Acquires the lock on `name` if the name is free.
    pub(crate) fn take(connection: &mut LessonConnection, name: &str) -> Result<Taken, SendError> {
        let key = lock_key(name);
        let token = random::hexadecimal::<8>();
        match connection.ask(&["SET", &key, &token, "NX", "EX", LOCK_TTL])? {
            Value::Okay => {}
            Value::Nil => return Ok(Taken::InUse),
            _ => return Ok(Taken::NotPossible),
        }
        let (renewing, ended) = mpsc::channel();
        let lock = Self {
            key,
            token,
            _renewing: renewing,
        };
        let (key, token) = (lock.key.clone(), lock.token.clone());
        let another = connection.another();
        let renewer = move || {
            if let Ok(mut connection) = another {
                while ended.recv_timeout(RENEW_EVERY) == Err(RecvTimeoutError::Timeout) {
                    renew(&mut connection, &key, &token);
                    // Close the connection, because the server may close an idle connection between two
                    // renewals.
                    connection.close();
                }
            }
        };
        // Without a thread, the lock expires, so a different learner may choose the same name.
        let _ = thread::Builder::new().name("lesson lock".into()).spawn(renewer);
        Ok(Taken::Yes(lock))
    }

    pub(crate) fn release(self, connection: &mut LessonConnection) {
        let deadline = Deadline::after(RELEASE_WITHIN);
        if connection.ask_at_the_end(&["GET", &self.key], deadline) == Some(text(&self.token)) {
            connection.ask_at_the_end(&["DEL", &self.key], deadline);
        }
    }
}

/// Whether another learner has reserved the name.
pub(crate) fn is_in_use(connection: &mut LessonConnection, name: &str) -> Result<bool, SendError> {
    Ok(connection.ask(&["EXISTS", &lock_key(name)])? == Value::Int(1))
}

fn lock_key(name: &str) -> String {
    format!("{PREFIX}lesson:{name}")
}

/// Extends the lock, or acquires the lock again if Redis has lost it.
fn renew(connection: &mut LessonConnection, key: &str, token: &str) {
    // If Redis fails here, the lesson's own commands report the same error.
    let _ = match connection.ask(&["GET", key]) {
        Ok(Value::Nil) => connection.ask(&["SET", key, token, "NX", "EX", LOCK_TTL]),
        Ok(value) if value == text(token) => connection.ask(&["EXPIRE", key, LOCK_TTL]),
        other => other,
    };
}

fn text(token: &str) -> Value {
    Value::BulkString(token.as_bytes().to_vec())
}

/// Whether a name is allowed as part of keys and command lines.
pub(crate) fn is_valid(name: &str) -> bool {
    let is_plain =
        |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
    name.starts_with(|character: char| character.is_ascii_lowercase())
        && name.len() <= LONGEST
        && name.chars().all(is_plain)
}

/// A pattern that matches lesson keys, and `ada` as a separate word.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    let named = Regex::new(&format!(r#"{PREFIX}[^\s"'`()<>,;|]*|\b{FIRST_NAME}\b"#));
    named.expect("this constant is a valid regex")
});

/// Replaces the name `ada` in a lesson's source. Adds the new name to keys without `ada`, so that two
/// learners never share a key.
pub(crate) fn rename(source: &str, name: &str) -> String {
    let renamed = |found: &Captures<'_>| match found[0].strip_prefix(PREFIX) {
        None => name.to_owned(),
        Some(own) if own.split([':', '.']).any(|part| part == FIRST_NAME) => {
            format!("{PREFIX}{}", NAMED.replace_all(own, name))
        }
        Some(own) => format!("{PREFIX}{name}:{own}"),
    };
    if name == FIRST_NAME {
        return source.to_owned();
    }
    NAMED.replace_all(source, renamed).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesson_under_another_name_shares_no_key_with_the_first() {
        for (source, theirs) in [
            (
                "> HGET sessiontut:user:ada visits",
                "> HGET sessiontut:user:grace visits",
            ),
            (
                "`sessiontut:user:ada`, said ada. Canada!",
                "`sessiontut:user:grace`, said grace. Canada!",
            ),
            ("> GET sessiontut:counter", "> GET sessiontut:grace:counter"),
            ("sessiontut login ada", "sessiontut login grace"),
            ("SCAN 0 MATCH sessiontut:*", "SCAN 0 MATCH sessiontut:grace:*"),
            (
                "\"ada\" watch=sessiontut:user:ada",
                "\"grace\" watch=sessiontut:user:grace",
            ),
        ] {
            assert_eq!(rename(source, "grace"), theirs);
            assert_eq!(rename(source, FIRST_NAME), source);
        }
    }

    #[test]
    fn a_name_is_short_and_plain() {
        assert!(is_valid("grace-2"));
        for name in ["", "Grace", "a b", "a:b", "-a", "*", &"a".repeat(21)] {
            assert!(!is_valid(name), "{name}");
        }
    }
}

//! The key that says "somebody is in a lesson here", renewed while that is so.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use redis::Value;
use ring::rand::{SecureRandom, SystemRandom};

use super::guard::PREFIX;
use super::link::{Link, Trouble};
use crate::deadline::Deadline;

/// What the key has to live: a lesson that died without a word blocks its name no longer than that.
const TTL_SECONDS: &str = "30";

/// How often it gets a new TTL: two renewals may be lost.
const RENEW_EVERY: Duration = Duration::from_secs(10);

/// For giving it back at the end.
const RELEASE_WITHIN: Duration = Duration::from_secs(1);

/// A name, held on a Redis.
#[derive(Debug)]
pub(crate) struct Lock {
    key: String,
    token: String,
    /// Its end tells the thread that renews to end.
    _renewing: Sender<()>,
}

/// Whether a name was free.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// It is ours now.
    Taken(Lock),
    /// Somebody else has it.
    Busy,
    /// This Redis takes no such key (an ACL, a replica): lessons go on without.
    Impossible,
}

impl Lock {
    /// Takes `name`, where nobody has it.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(crate) fn take(link: &mut Link, name: &str) -> Result<Attempt, Trouble> {
        let key = format!("{PREFIX}lesson:{name}");
        let Some(token) = token() else {
            return Ok(Attempt::Impossible);
        };
        match link.ask_text(&["SET", &key, &token, "NX", "EX", TTL_SECONDS])? {
            Value::Okay => {}
            Value::Nil => return Ok(Attempt::Busy),
            _ => return Ok(Attempt::Impossible),
        }
        let (renewing, ended) = mpsc::channel();
        let held = (key.clone(), token.clone());
        let way = (link.target().clone(), link.trust().clone(), link.stop().clone());
        let renewer = move || {
            if let Ok(mut link) = Link::new(way.0, way.1, way.2) {
                while ended.recv_timeout(RENEW_EVERY) == Err(RecvTimeoutError::Timeout) {
                    renew(&mut link, &held.0, &held.1);
                }
            }
        };
        // Without the thread the name is free again after the TTL: a lesson can live with that.
        let _ = thread::Builder::new().name("lesson lock".into()).spawn(renewer);
        Ok(Attempt::Taken(Self {
            key,
            token,
            _renewing: renewing,
        }))
    }

    /// Gives the name back.
    pub(crate) fn release(self, link: &mut Link) {
        let deadline = Deadline::after(RELEASE_WITHIN);
        if link.ask_at_the_end(&["GET", &self.key], deadline) == Some(text(&self.token)) {
            link.ask_at_the_end(&["DEL", &self.key], deadline);
        }
    }
}

/// Extends what is still ours, and takes it again after a Redis that forgot.
fn renew(link: &mut Link, key: &str, token: &str) {
    // Nothing to tell anybody: the lesson's own commands will meet the same fault.
    let _ = match link.ask_text(&["GET", key]) {
        Ok(Value::Nil) => link.ask_text(&["SET", key, token, "NX", "EX", TTL_SECONDS]),
        Ok(value) if value == text(token) => link.ask_text(&["EXPIRE", key, TTL_SECONDS]),
        other => other,
    };
}

fn text(token: &str) -> Value {
    Value::BulkString(token.as_bytes().to_vec())
}

fn token() -> Option<String> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

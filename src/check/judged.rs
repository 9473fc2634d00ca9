//! The result of a check, and the evidence for a failure.

use std::collections::HashSet;

use super::exchange::Exchange;
use super::redis_command::Key;

/// The result of a check: `Ok` if the check passes, otherwise the reason.
pub(crate) type Judged = Result<(), NotHeld>;

#[derive(Debug)]
pub(crate) enum NotHeld {
    Fails(Box<Failure>),
    /// The check could not be judged. Contains the reason.
    NotJudged(String),
}

/// The evidence for a failed check.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) did: String,
    pub(crate) expected: String,
    pub(crate) got: String,
    /// A reason that is more specific than the check's `why`, if known.
    pub(crate) why: Option<&'static str>,
    /// The requests and their responses, one per line.
    pub(crate) http: Vec<String>,
    /// The Redis commands and their replies, one per line.
    pub(crate) redis: Vec<String>,
    /// The last lines of the app's output, if the app crashed.
    pub(crate) output: Vec<String>,
}

/// Passes if `holds` is true. Otherwise fails with the evidence from these exchanges.
pub(crate) fn require<'a>(
    holds: bool,
    did: impl Into<String>,
    expected: impl Into<String>,
    got: impl Into<String>,
    exchanges: impl IntoIterator<Item = &'a Exchange>,
) -> Judged {
    match holds {
        true => Ok(()),
        false => fails(did, expected, got, exchanges),
    }
}

/// Returns a failed result with the evidence from these exchanges.
pub(crate) fn fails<'a>(
    did: impl Into<String>,
    expected: impl Into<String>,
    got: impl Into<String>,
    exchanges: impl IntoIterator<Item = &'a Exchange>,
) -> Judged {
    let (mut http, mut redis) = (Vec::new(), Vec::new());
    for exchange in exchanges {
        http.extend(exchange.http_lines());
        redis.extend(exchange.redis_lines());
    }
    Err(NotHeld::Fails(Box::new(Failure {
        did: did.into(),
        expected: expected.into(),
        got: got.into(),
        why: None,
        http,
        redis,
        output: Vec::new(),
    })))
}

pub(crate) fn not_judged(why: impl Into<String>) -> NotHeld {
    NotHeld::NotJudged(why.into())
}

/// Joins the distinct keys with commas, for a report.
pub(crate) fn shown_keys(keys: &[Key]) -> String {
    let mut known = HashSet::new();
    let keys = keys.iter().filter(|key| known.insert(*key));
    let keys: Vec<String> = keys
        .map(|key| String::from_utf8_lossy(key).into_owned())
        .collect();
    keys.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_lists_each_key_once() {
        let keys = ["b", "a", "b"].map(|key| key.as_bytes().to_vec());
        assert_eq!(shown_keys(&keys), "b, a");
    }
}

//! Error replies that speak of Redis itself, whatever it was asked: they are no answer to a lesson's command.

use redis::Value;

use super::link::{At, Unanswered};
use crate::ping::catalogue::{Circumstances, Code, fixes};
use crate::sanitize;
use crate::wire::error_text;

/// The first word of such a reply, and what `ping` calls it.
const REFUSALS: &[(&str, Code)] = &[
    ("READONLY", Code::RoleReplica),
    ("MASTERDOWN", Code::RoleMasterDown),
    ("LOADING", Code::ServerLoading),
    ("BUSY", Code::ServerBusy),
    ("OOM", Code::ServerOutOfMemory),
    ("MISCONF", Code::ServerMisconf),
    ("NOREPLICAS", Code::ServerNoReplicas),
    ("CLUSTERDOWN", Code::ClusterDown),
];

/// What a reply says of Redis itself, where it does.
pub(super) fn of(reply: &Value) -> Option<Unanswered> {
    let Value::ServerError(error) = reply else {
        return None;
    };
    let text = error_text(error);
    let word = text.split(' ').next()?;
    let (_, code) = REFUSALS.iter().find(|(known, _)| *known == word)?;
    Some(Unanswered {
        what: format!("it refuses: {}", sanitize::line(&text)),
        fixes: fixes(*code, &Circumstances::default())
            .iter()
            .map(super::link::advice)
            .collect(),
        exit: code.exit(),
        at: At::Connecting,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_redis_says_of_itself_is_told_from_what_it_says_of_a_command() {
        let heard = |line: &str| of(&redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap());
        let refused = heard("READONLY You can't write against a read only replica.").unwrap();
        assert_eq!(refused.exit, Code::RoleReplica.exit());
        assert!(!refused.fixes.is_empty());
        assert!(heard("LOADING Redis is loading the dataset in memory").is_some());
        assert!(heard("WRONGTYPE Operation against a key").is_none());
        assert!(heard("NOPERM this user has no permissions").is_none());
    }
}

//! Error replies that speak of Redis itself, whatever it was asked: they are no answer to a lesson's command.

use redis::Value;

use super::link::{At, Unanswered};
use crate::ping::causes::{Cause, FixContext};
use crate::ping::observation::Observations;
use crate::redis_client::error_text;
use crate::redis_url::Target;
use crate::sanitize;

/// The first word of such a reply, and what `ping` calls it.
const REFUSALS: &[(&str, Cause)] = &[
    ("READONLY", Cause::RoleReplica),
    ("MASTERDOWN", Cause::RoleMasterDown),
    ("LOADING", Cause::ServerLoading),
    ("BUSY", Cause::ServerBusy),
    ("OOM", Cause::ServerOutOfMemory),
    ("MISCONF", Cause::ServerMisconf),
    ("NOREPLICAS", Cause::ServerNoReplicas),
    ("CLUSTERDOWN", Cause::ClusterDown),
];

/// What a reply says of the Redis at `target` itself, where it does.
pub(super) fn of(reply: &Value, target: &Target) -> Option<Unanswered> {
    let Value::ServerError(error) = reply else {
        return None;
    };
    let text = error_text(error);
    let word = text.split(' ').next()?;
    let (_, code) = REFUSALS.iter().find(|(known, _)| *known == word)?;
    Some(Unanswered {
        what: format!("it refuses: {}", sanitize::line(&text)),
        fixes: code
            .fixes(&FixContext::of(target, &Observations::default()))
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
        let target = Target::parse("redis://10.0.0.7:6380").unwrap();
        let heard = |line: &str| {
            let reply = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
            of(&reply, &target)
        };
        let refused = heard("READONLY You can't write against a read only replica.").unwrap();
        assert_eq!(refused.exit, Cause::RoleReplica.exit());
        assert!(!refused.fixes.is_empty());
        let stuck = heard("MISCONF Redis is configured to save RDB snapshots, and cannot").unwrap();
        let fixes = stuck.fixes.join("\n");
        assert!(fixes.contains("-h 10.0.0.7 -p 6380"), "{fixes}");
        assert!(heard("LOADING Redis is loading the dataset in memory").is_some());
        assert!(heard("WRONGTYPE Operation against a key").is_none());
        assert!(heard("NOPERM this user has no permissions").is_none());
    }
}

//! The role of the server, the write test, and warnings.

use std::time::Duration;

use redis::Value;

use super::{cause, connected, dial, reply, target};
use crate::ping::causes::Cause;
use crate::ping::observation::{DialResult, Observations, WriteTest};
use crate::ping::verdict::judge;

#[test]
fn a_sentinel_without_select_is_reported_as_a_sentinel() {
    let mut seen = Observations {
        ping: Some(reply("+PONG")),
        select: Some(reply("-ERR unknown command 'SELECT'")),
        ..connected()
    };
    assert_eq!(cause("redis://10.0.3.17/3", &seen), Some("db.index"));
    seen.server.fields = [("redis_mode".into(), "sentinel".into())].into();
    assert_eq!(cause("redis://10.0.3.17/3", &seen), Some("role.sentinel"));
}

#[test]
fn a_primary_that_redirects_writes_is_not_a_replica() {
    let moved = |role: &str| {
        let mut seen = Observations {
            ping: Some(reply("+PONG")),
            write_test: Some(WriteTest {
                queued: vec![
                    ("MULTI", reply("+OK")),
                    ("HSET", reply("-MOVED 7 10.0.3.18:6379")),
                ],
                executed: reply("-EXECABORT Transaction discarded because of previous errors."),
            }),
            ..connected()
        };
        seen.server.role = Some(Value::Array(vec![Value::BulkString(role.into())]));
        cause("redis://10.0.3.17", &seen)
    };
    assert_eq!(moved("slave"), Some("role.replica"));
    assert_eq!(moved("master"), None);
}

#[test]
fn the_first_refused_command_of_a_write_test_gives_the_cause() {
    for (refusal, expected) in [
        (
            "-OOM command not allowed when used memory > 'maxmemory'.",
            "server.out_of_memory",
        ),
        (
            "-READONLY You can't write against a read only replica.",
            "role.replica",
        ),
        (
            "-NOREPLICAS Not enough good replicas to write.",
            "server.no_replicas",
        ),
        (
            "-MISCONF Redis is configured to save RDB snapshots",
            "server.misconf",
        ),
        ("-NOPERM this user has no permissions", "auth.no_permission"),
        ("-CLUSTERDOWN Hash slot not served", "cluster.down"),
        ("-ERR unknown command 'HSET'", "server.refused"),
    ] {
        let rehearsal = WriteTest {
            queued: vec![("MULTI", reply("+OK")), ("HSET", reply(refusal))],
            executed: reply("-EXECABORT Transaction discarded because of previous errors."),
        };
        let seen = Observations {
            ping: Some(reply("+PONG")),
            write_test: Some(rehearsal),
            ..connected()
        };
        assert_eq!(cause("redis://10.0.3.17", &seen), Some(expected), "{refusal}");
    }
}

#[test]
fn a_redirected_read_reveals_a_cluster_that_forbids_info() {
    let mut seen = Observations {
        ping: Some(reply("+PONG")),
        ..connected()
    };
    seen.server.cluster_read = Some(reply("-MOVED 7 10.0.3.18:6379"));
    let warnings = judge(&target("redis://10.0.3.17"), &seen).warnings;
    assert_eq!(warnings[0].cause, Cause::ClusterMode);
}

#[test]
fn each_observation_on_a_working_connection_has_its_warning() {
    let warned = |url: &str, seen: &Observations| {
        let verdict = judge(&target(url), seen);
        assert!(verdict.finding.is_none());
        verdict
            .warnings
            .iter()
            .map(|warning| warning.cause)
            .collect::<Vec<_>>()
    };
    let mut seen = Observations {
        ping: Some(reply("+PONG")),
        ..connected()
    };
    assert_eq!(warned("redis://10.0.3.17", &seen), []);
    assert_eq!(warned("redis://:p@10.0.3.17", &seen), [Cause::AuthPlaintext]);
    assert_eq!(warned("redis://secret@10.0.3.17", &seen), [Cause::UrlSuspect]);
    seen.round_trips = vec![Duration::from_millis(40); 5];
    assert_eq!(warned("redis://10.0.3.17", &seen), [Cause::LatencyHigh]);
    seen.round_trips = [
        vec![Duration::from_millis(1); 13],
        vec![Duration::from_millis(80); 2],
    ]
    .concat();
    assert_eq!(warned("redis://10.0.3.17", &seen), [Cause::LatencyJitter]);
    seen.round_trips.clear();
    seen.dials.push(dial(DialResult::Timeout { syns: None }));
    assert_eq!(warned("redis://10.0.3.17", &seen), [Cause::DnsPartial]);
    seen.dials.pop();
    seen.server.role = Some(Value::Array(vec![Value::BulkString(b"slave".to_vec())]));
    assert_eq!(warned("redis://10.0.3.17", &seen), [Cause::RoleReplica]);
}

//! Checks the verdicts on the server's role and on the write test.

use std::sync::Arc;

use redis::Value;

use super::{cause, connected, dial, reply, target, warned, with_info};
use crate::ping::causes::Cause;
use crate::ping::observation::{Dial, DialResult, Endpoint, WriteTest};
use crate::ping::verdict::judge;

#[test]
fn a_sentinel_without_select_is_reported_as_a_sentinel() {
    let mut seen = connected().with(|seen| {
        seen.ping.response = Some(reply("+PONG"));
        seen.requests.select = Some(reply("-ERR unknown command 'SELECT'"));
    });
    assert_eq!(cause("redis://10.0.3.17/3", &seen), Some("server.refused"));
    seen.server.fields = Arc::new([("redis_mode".into(), "sentinel".into())].into());
    assert_eq!(cause("redis://10.0.3.17/3", &seen), Some("role.sentinel"));
}

#[test]
fn a_primary_that_redirects_writes_is_not_a_replica() {
    let moved = |role: &str| {
        let mut seen = connected().with(|seen| {
            seen.ping.response = Some(reply("+PONG"));
            seen.write_test = Some(WriteTest {
                queued: vec![
                    ("MULTI", reply("+OK")),
                    ("HSET", reply("-MOVED 7 10.0.3.18:6379")),
                ],
                executed: reply("-EXECABORT Transaction discarded because of previous errors."),
            });
        });
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
        let seen = connected().with(|seen| {
            seen.ping.response = Some(reply("+PONG"));
            seen.write_test = Some(rehearsal);
        });
        assert_eq!(cause("redis://10.0.3.17", &seen), Some(expected), "{refusal}");
    }
}

#[test]
fn a_redirected_read_reveals_a_cluster_that_forbids_info() {
    let mut seen = connected().with(|seen| seen.ping.response = Some(reply("+PONG")));
    seen.server.cluster_read = Some(reply("-MOVED 7 10.0.3.18:6379"));
    let warnings = judge(&target("redis://10.0.3.17"), &seen).warnings;
    assert_eq!(warnings[0].cause, Cause::ClusterMode);
}

#[test]
fn a_cluster_whose_topology_is_forbidden_needs_a_permission() {
    let fixes = |is_forbidden| {
        let mut seen = with_info(&[("cluster_enabled", "1")]);
        seen.server.is_topology_forbidden = is_forbidden;
        let warnings = judge(&target("redis://ada:p@10.0.3.17"), &seen).warnings;
        let warning = warnings
            .iter()
            .find(|warning| warning.cause == Cause::ClusterMode);
        let kinds = warning.unwrap().fixes.iter().map(|fix| fix.kind);
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(fixes(false), ["client"]);
    assert_eq!(fixes(true), ["acl", "client"]);
}

#[test]
fn memory_is_not_what_a_read_only_replica_lacks() {
    let refused = |read_only: &str| {
        let mut seen = with_info(&[("role", "slave"), ("slave_read_only", read_only)]);
        seen.write_test = Some(WriteTest {
            queued: vec![
                ("MULTI", reply("+OK")),
                ("HSET", reply("-OOM command not allowed")),
            ],
            executed: reply("-EXECABORT Transaction discarded because of previous errors."),
        });
        cause("redis://10.0.3.17", &seen)
    };
    assert_eq!(refused("1"), Some("role.replica"));
    assert_eq!(refused("0"), Some("server.out_of_memory"));
}

#[test]
fn a_cluster_without_any_slot_is_not_advised_to_start_nodes() {
    let second_fix = |assigned: &str, failing: &str| {
        let mut seen = with_info(&[("cluster_enabled", "1")]);
        let fields = [
            ("cluster_state", "fail"),
            ("cluster_slots_assigned", assigned),
            ("cluster_slots_pfail", "0"),
            ("cluster_slots_fail", failing),
        ];
        seen.server.cluster = fields.map(|(name, value)| (name.into(), value.into())).into();
        let finding = judge(&target("redis://10.0.3.17"), &seen).finding.unwrap();
        assert_eq!(
            (finding.cause, finding.fixes[0].kind),
            (Cause::ClusterDown, "cluster")
        );
        finding.fixes[1].kind
    };
    assert_eq!(second_fix("0", "0"), "create");
    // Nodes that respond need not be started.
    assert_eq!(second_fix("10923", "0"), "slots");
    assert_eq!(second_fix("16384", "5461"), "nodes");
}

#[test]
fn a_cluster_without_some_nodes_is_partial_and_each_node_has_its_fix() {
    let mut seen = with_info(&[("cluster_enabled", "1")]);
    let fields = [
        ("cluster_state", "ok"),
        ("cluster_slots_assigned", "16384"),
        ("cluster_slots_pfail", "0"),
        ("cluster_slots_fail", "5461"),
    ];
    seen.server.cluster = fields.map(|(name, value)| (name.into(), value.into())).into();
    assert_eq!(warned(&seen), [Cause::ClusterMode, Cause::ClusterPartial]);
    let node = |to: &str, result| Dial {
        to: Endpoint::Ip(to.parse().unwrap()),
        ..dial(result)
    };
    let first_fix = |announced: Vec<Dial>| {
        let seen = seen.clone().with(|seen| seen.server.announced = announced);
        let warnings = judge(&target("redis://10.0.3.17"), &seen).warnings;
        let unreachable = warnings
            .iter()
            .find(|warning| warning.cause == Cause::ClusterUnreachableNodes);
        unreachable.unwrap().fixes[0].kind
    };
    let timeout = || DialResult::Timeout { syns: Some(3) };
    let reached = || node("10.0.3.17:6379", DialResult::Connected);
    assert_eq!(
        first_fix(vec![reached(), node("10.0.3.18:6379", DialResult::Refused)]),
        "node"
    );
    assert_eq!(
        first_fix(vec![reached(), node("10.0.3.18:6379", timeout())]),
        "firewall"
    );
    assert_eq!(first_fix(vec![node("10.0.3.18:6379", timeout())]), "announce");
    let named = Dial {
        to: Endpoint::Named("redis-0.headless:6379".into()),
        ..dial(DialResult::Other("the name cannot be resolved".into()))
    };
    assert_eq!(first_fix(vec![named]), "announce-hostname");
    assert_eq!(
        first_fix(vec![node("10.0.3.17:9379", DialResult::Refused)]),
        "announce-port"
    );
    assert_eq!(
        first_fix(vec![node("10.0.3.17:0", DialResult::Refused)]),
        "tls-cluster"
    );
    assert_eq!(
        first_fix(vec![reached(), node("127.0.0.1:6380", DialResult::Refused)]),
        "announce"
    );
}

#[test]
fn a_write_check_that_passed_is_never_contradicted() {
    let passed = WriteTest {
        queued: vec![("MULTI", reply("+OK"))],
        executed: reply("*1\r\n:1"),
    };
    let summaries = |write_test: Option<WriteTest>| {
        let mut seen = with_info(&[("role", "slave"), ("min_slaves_good_slaves", "0")]);
        seen.write_test = write_test;
        let warnings = judge(&target("redis://10.0.3.17"), &seen).warnings;
        let summaries = warnings
            .into_iter()
            .map(|warning| (warning.cause, warning.summary));
        summaries.collect::<Vec<_>>()
    };
    let (without, with) = (summaries(None), summaries(Some(passed)));
    let causes = |found: &[(Cause, String)]| found.iter().map(|(cause, _)| *cause).collect::<Vec<_>>();
    assert_eq!(causes(&without), [Cause::RoleReplica, Cause::ServerNoReplicas]);
    assert_eq!(causes(&with), [Cause::RoleReplica]);
    assert_ne!(without[0], with[0]);
}

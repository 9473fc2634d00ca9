//! The role of the server, the write test, and warnings.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;

use super::{cause, connected, dial, reply, target};
use crate::ping::causes::Cause;
use crate::ping::observation::{Dial, DialResult, Endpoint, Observations, WriteTest};
use crate::ping::verdict::judge;

#[test]
fn a_sentinel_without_select_is_reported_as_a_sentinel() {
    let mut seen = connected().with(|seen| {
        seen.ping.response = Some(reply("+PONG"));
        seen.requests.select = Some(reply("-ERR unknown command 'SELECT'"));
    });
    assert_eq!(cause("redis://10.0.3.17/3", &seen), Some("db.index"));
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
    let mut seen = connected().with(|seen| seen.ping.response = Some(reply("+PONG")));
    assert_eq!(warned("redis://10.0.3.17", &seen), []);
    assert_eq!(warned("redis://:p@10.0.3.17", &seen), [Cause::AuthPlaintext]);
    assert_eq!(warned("redis://secret@10.0.3.17", &seen), [Cause::UrlSuspect]);
    seen.ping.round_trips = vec![Duration::from_millis(40); 5];
    assert_eq!(warned("redis://10.0.3.17", &seen), [Cause::LatencyHigh]);
    seen.ping.round_trips = [
        vec![Duration::from_millis(1); 13],
        vec![Duration::from_millis(80); 2],
    ]
    .concat();
    assert_eq!(warned("redis://10.0.3.17", &seen), [Cause::LatencyJitter]);
    seen.ping.round_trips.clear();
    seen.tcp.dials.push(dial(DialResult::Timeout { syns: None }));
    assert_eq!(warned("redis://10.0.3.17", &seen), [Cause::DnsPartial]);
    seen.tcp.dials.pop();
    seen.server.role = Some(Value::Array(vec![Value::BulkString(b"slave".to_vec())]));
    assert_eq!(warned("redis://10.0.3.17", &seen), [Cause::RoleReplica]);
}

fn warned(seen: &Observations) -> Vec<Cause> {
    let warnings = judge(&target("redis://10.0.3.17"), seen).warnings;
    warnings.iter().map(|warning| warning.cause).collect()
}

fn with_info(fields: &[(&str, &str)]) -> Observations {
    let mut seen = connected().with(|seen| seen.ping.response = Some(reply("+PONG")));
    let fields = fields
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    seen.server.fields = Arc::new(fields.collect());
    seen
}

#[test]
fn only_an_old_redis_or_a_server_without_hello_is_old() {
    let unknown = || Some(reply("-ERR unknown command 'HELLO'"));
    let version = |version: &str| with_info(&[("redis_version", version)]);
    assert_eq!(warned(&version("5.0.6")), [Cause::ServerOld]);
    assert_eq!(warned(&version("6.0.0")), []);
    assert_eq!(warned(&version("255.255.255")), []);
    let mut without_hello = version("7.0.15");
    without_hello.server.hello = unknown();
    assert_eq!(warned(&without_hello), [Cause::ServerOld]);
    without_hello.server.hello = Some(reply("-NOPERM no"));
    assert_eq!(warned(&without_hello), []);
    // Neither HELLO nor INFO: not an old Redis, but some other service.
    let mut service = with_info(&[]);
    service.server.hello = unknown();
    assert!(!warned(&service).contains(&Cause::ServerOld));
    assert_eq!(
        warned(&with_info(&[("redis_version", "1.2"), ("server_name", "other")])),
        []
    );
}

#[test]
fn a_service_without_multi_or_info_and_hello_is_limited() {
    let unknown = || reply("-ERR unsupported command");
    let mut seen = with_info(&[("redis_version", "7.0.15")]);
    seen.server.hello = Some(unknown());
    seen.server.multi = Some(reply("+OK"));
    assert_eq!(warned(&seen), [Cause::ServerOld]);
    seen.server.multi = Some(unknown());
    assert_eq!(warned(&seen), [Cause::ServerOld, Cause::ProxyLimited]);
    // Redis with a renamed INFO.
    let mut seen = with_info(&[]);
    seen.server.info_error = Some("ERR unknown command 'INFO'".into());
    assert_eq!(warned(&seen), []);
    seen.server.hello = Some(unknown());
    assert_eq!(warned(&seen), [Cause::ProxyLimited]);
    seen.server.info_error = Some("NOPERM no command".into());
    assert_eq!(warned(&seen), []);
}

#[test]
fn the_limits_of_clients_and_replicas_are_warnings_only_when_they_are_near() {
    let clients = |connected| with_info(&[("connected_clients", connected), ("maxclients", "60")]);
    assert_eq!(warned(&clients("54")), []);
    assert_eq!(warned(&clients("55")), [Cause::ServerNearMaxClients]);
    let replicas = |in_sync, wanted: Option<&str>| {
        let mut seen = with_info(&[("min_slaves_good_slaves", in_sync)]);
        let setting = wanted.map(|wanted| ("min-replicas-to-write".into(), wanted.into()));
        seen.server.settings = setting.into_iter().collect();
        warned(&seen)
    };
    assert_eq!(replicas("0", None), [Cause::ServerNoReplicas]);
    assert_eq!(replicas("1", None), []);
    assert_eq!(replicas("1", Some("1")), []);
    assert_eq!(replicas("1", Some("2")), [Cause::ServerNoReplicas]);
}

#[test]
fn a_slow_round_trip_is_the_networks_fault_if_connecting_was_slow_too() {
    let fix = |connecting, to: &str| {
        let mut seen = with_info(&[]);
        seen.ping.round_trips = vec![Duration::from_millis(40); 5];
        seen.tcp.dials[0].took = Duration::from_millis(connecting);
        seen.tcp.dials[0].to = Endpoint::Ip(to.parse().unwrap());
        let warnings = judge(&target("redis://10.0.3.17"), &seen).warnings;
        let kinds = warnings[0].fixes.iter().map(|fix| fix.kind);
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(fix(40, "10.0.3.17:6379"), ["distance"]);
    assert_eq!(fix(1, "10.0.3.17:6379"), ["slow-command"]);
    // Through a tunnel, this host itself accepts the connection.
    assert_eq!(fix(1, "127.0.0.1:6379"), ["distance", "slow-command"]);
}

#[test]
fn a_cluster_without_any_slot_is_not_advised_to_start_nodes() {
    let second_fix = |assigned: &str| {
        let mut seen = with_info(&[("cluster_enabled", "1")]);
        let fields = [
            ("cluster_state", "fail"),
            ("cluster_slots_assigned", assigned),
            ("cluster_slots_pfail", "0"),
            ("cluster_slots_fail", "0"),
        ];
        seen.server.cluster = fields.map(|(name, value)| (name.into(), value.into())).into();
        let finding = judge(&target("redis://10.0.3.17"), &seen).finding.unwrap();
        assert_eq!(
            (finding.cause, finding.fixes[0].kind),
            (Cause::ClusterDown, "cluster")
        );
        finding.fixes[1].kind
    };
    assert_eq!(second_fix("0"), "create");
    assert_eq!(second_fix("10923"), "nodes");
}

#[test]
fn maxmemory_is_raised_at_once_only_if_the_host_certainly_has_the_memory() {
    let kinds = |total: &str| {
        let seen = with_info(&[
            ("maxmemory", "100000000"),
            ("used_memory", "150000000"),
            ("maxmemory_policy", "noeviction"),
            ("total_system_memory", total),
        ]);
        let warnings = judge(&target("redis://10.0.3.17"), &seen).warnings;
        assert_eq!(warnings[0].cause, Cause::ServerEviction);
        let kinds = warnings[0].fixes.iter().map(|fix| fix.kind);
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(kinds("8000000000"), ["memory", "look", "delete"]);
    assert_eq!(kinds("250000000"), ["look", "memory", "delete"]);
    assert_eq!(kinds(""), ["look", "memory", "delete"]);
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

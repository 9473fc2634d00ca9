//! Checks the warnings about a connection that works.

use std::time::Duration;

use redis::Value;

use super::{connected, dial, reply, target, warned, with_info};
use crate::ping::causes::Cause;
use crate::ping::observation::{DialResult, Endpoint, Observations};
use crate::ping::verdict::judge;

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
    // A single slow round trip may be due to chance, but not if it is that slow.
    for (slowest, expected) in [(80, vec![]), (1500, vec![Cause::LatencyJitter])] {
        seen.ping.round_trips = vec![Duration::from_millis(1); 15];
        seen.ping.round_trips[0] = Duration::from_millis(slowest);
        assert_eq!(warned("redis://10.0.3.17", &seen), expected, "{slowest}");
    }
    seen.ping.round_trips.clear();
    seen.tcp.dials.push(dial(DialResult::Timeout { syns: None }));
    assert_eq!(warned("redis://10.0.3.17", &seen), [Cause::DnsPartial]);
    seen.tcp.dials.pop();
    seen.server.role = Some(Value::Array(vec![Value::BulkString(b"slave".to_vec())]));
    assert_eq!(warned("redis://10.0.3.17", &seen), [Cause::RoleReplica]);
}

#[test]
fn addresses_are_partly_broken_only_if_one_of_them_works() {
    let mut seen = connected();
    seen.tcp.dials = vec![dial(DialResult::Refused), dial(DialResult::NoRoute)];
    assert_eq!(warned(&seen), []);
    seen.tcp.dials.push(dial(DialResult::Connected));
    assert_eq!(warned(&seen), [Cause::DnsPartial]);
}

#[test]
fn a_path_slower_than_the_first_retransmission_loses_no_packets() {
    let mut seen = connected().with(|seen| {
        seen.ping.response = Some(reply("+PONG"));
        seen.retransmissions = 1;
        seen.ping.round_trips = vec![Duration::from_millis(1400); 3];
    });
    assert!(!warned(&seen).contains(&Cause::PathLoss));
    seen.ping.round_trips = vec![Duration::from_millis(2); 3];
    assert!(warned(&seen).contains(&Cause::PathLoss));
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
    // Kvrocks reports an old version of Redis.
    let mut with_hello = version("4.0.0");
    with_hello.server.hello = Some(reply("*2\r\n$5\r\nproto\r\n:2"));
    assert_eq!(warned(&with_hello), []);
    // A server without HELLO and INFO is not an old Redis but another service.
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
    // This is a Redis in which INFO is renamed.
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
    // A tunnel on this host accepts the connection, so the connect time does not show the network's delay.
    assert_eq!(fix(1, "127.0.0.1:6379"), ["distance", "slow-command"]);
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

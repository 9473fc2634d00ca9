//! The table of the judge: what was seen, and the one cause that it proves.

use std::net::SocketAddr;
use std::time::Duration;

use redis::Value;

use super::{Certainty, judge};
use crate::os::{Flow, Icmp};
use crate::ping::catalogue::Code;
use crate::ping::observation::{
    By, Certificate, Dial, DialResult, Endpoint, Experiment, Handshake, Heard, Lookup, NameAnswer,
    NameServer, Observations, Rehearsal, StandIn, TlsResult,
};
use crate::ping::place::{Listener, Nearness, Place};
use crate::target::Target;

pub(super) fn target(url: &str) -> Target {
    Target::parse(url).unwrap()
}

pub(super) fn dial(result: DialResult) -> Dial {
    let address: SocketAddr = "10.0.3.17:6379".parse().unwrap();
    Dial {
        to: Endpoint::Ip(address),
        result,
        took: Duration::from_secs(3),
    }
}

pub(super) fn connected() -> Observations {
    Observations {
        dials: vec![dial(DialResult::Connected)],
        ..Observations::default()
    }
}

pub(super) fn reply(text: &str) -> Heard {
    Heard::Reply(redis::parse_redis_value(format!("{text}\r\n").as_bytes()).unwrap())
}

fn cause(url: &str, seen: &Observations) -> Option<&'static str> {
    judge(&target(url), seen)
        .finding
        .map(|finding| finding.code.as_str())
}

#[test]
fn each_answer_of_the_name_servers_has_its_cause() {
    for (answer, expected) in [
        (NameAnswer::NotFound, "dns.not_found"),
        (NameAnswer::DanglingAlias("gone.example".into()), "dns.not_found"),
        (NameAnswer::NoAddress, "dns.no_address"),
        (NameAnswer::Silent, "dns.timeout"),
        (
            NameAnswer::Unreachable("connection refused".into()),
            "dns.timeout",
        ),
        (NameAnswer::Refused("SERVFAIL".into()), "dns.server_failure"),
        (NameAnswer::Refused("REFUSED".into()), "dns.server_failure"),
    ] {
        let server = NameServer {
            address: "10.0.0.2:53".parse().unwrap(),
            answer,
        };
        let dns = Lookup {
            fault: Some("no".into()),
            servers: vec![server],
            ..Lookup::default()
        };
        let seen = Observations {
            dns: Some(dns),
            ..Observations::default()
        };
        assert_eq!(cause("redis://cache.example", &seen), Some(expected));
    }
}

#[test]
fn what_to_do_about_a_name_depends_on_what_is_known_of_it() {
    let first_fix = |lookup: Lookup| {
        let seen = Observations {
            dns: Some(lookup),
            ..Observations::default()
        };
        let finding = judge(&target("redis://cache.example"), &seen).finding.unwrap();
        (finding.code, finding.fixes[0].kind)
    };
    let said = |answer| {
        let address = "10.0.0.2:53".parse().unwrap();
        let servers = vec![NameServer { address, answer }];
        Lookup {
            servers,
            ..Lookup::default()
        }
    };
    assert_eq!(
        first_fix(said(NameAnswer::NotFound)),
        (Code::DnsNotFound, "spelling")
    );
    assert_eq!(
        first_fix(said(NameAnswer::DanglingAlias("gone.example".into()))),
        (Code::DnsNotFound, "alias")
    );
    assert_eq!(
        first_fix(said(NameAnswer::NoAddress)),
        (Code::DnsNoAddress, "spelling")
    );
    let excluded = Lookup {
        addresses: vec!["10.0.3.17".parse().unwrap()],
        ..Lookup::default()
    };
    assert_eq!(first_fix(excluded), (Code::DnsNoAddress, "family"));
}

#[test]
fn an_address_of_the_family_that_is_excluded_was_never_dialled() {
    for url in ["redis://[fd00::1]", "redis://10.0.3.17"] {
        let finding = judge(&target(url), &Observations::default()).finding.unwrap();
        assert_eq!(
            (finding.code, finding.fixes[0].kind),
            (Code::DnsNoAddress, "family")
        );
    }
}

#[test]
fn a_host_without_a_resolver_is_told_so() {
    let dns = Lookup {
        fault: Some("Temporary failure in name resolution".into()),
        is_unconfigured: true,
        ..Lookup::default()
    };
    let seen = Observations {
        dns: Some(dns),
        ..Observations::default()
    };
    let finding = judge(&target("redis://cache.example"), &seen).finding.unwrap();
    assert_eq!(finding.code, Code::DnsTimeout);
    assert!(finding.evidence[1].contains("/etc/resolv.conf"));
}

#[test]
fn each_end_of_a_connection_attempt_has_its_cause() {
    let icmp = |v6, code| {
        By::Icmp(Icmp {
            v6,
            kind: if v6 { 1 } else { 3 },
            code,
            from: None,
        })
    };
    for (result, expected) in [
        (DialResult::Timeout { syns: Some(3) }, "tcp.timeout"),
        (DialResult::Refused, "tcp.refused"),
        (DialResult::Unreachable(icmp(false, 1)), "tcp.unreachable"),
        (DialResult::NoRoute, "tcp.unreachable"),
        (DialResult::NoNeighbour, "tcp.unreachable"),
        (DialResult::Prohibited(icmp(false, 13)), "tcp.prohibited"),
        (
            DialResult::Prohibited(By::ThisHost("permission denied".into())),
            "tcp.prohibited",
        ),
    ] {
        let seen = Observations {
            dials: vec![dial(result)],
            ..Observations::default()
        };
        assert_eq!(cause("redis://10.0.3.17", &seen), Some(expected));
    }
}

#[test]
fn where_addresses_fail_differently_the_most_telling_one_names_the_cause() {
    let timeout = || dial(DialResult::Timeout { syns: Some(3) });
    let seen = Observations {
        dials: vec![timeout(), dial(DialResult::Refused)],
        ..Observations::default()
    };
    assert_eq!(cause("redis://cache.example", &seen), Some("tcp.refused"));
    let seen = Observations {
        dials: vec![dial(DialResult::NoRoute), timeout()],
        ..Observations::default()
    };
    assert_eq!(cause("redis://cache.example", &seen), Some("tcp.timeout"));
}

#[test]
fn a_name_that_leads_astray_is_shown_where_it_is_written() {
    let evidence = |lookup: Lookup, to: &str| {
        let dials = vec![Dial {
            to: Endpoint::Ip(to.parse().unwrap()),
            ..dial(DialResult::Refused)
        }];
        let seen = Observations {
            dns: Some(lookup),
            dials,
            ..Observations::default()
        };
        judge(&target("redis://cache.example"), &seen)
            .finding
            .unwrap()
            .evidence
            .join("\n")
    };
    let found = |address: &str| Lookup {
        addresses: vec![address.parse().unwrap()],
        ..Lookup::default()
    };
    let by_file = Lookup {
        hosts_file: Some("127.0.0.1".parse().unwrap()),
        ..found("127.0.0.1")
    };
    assert!(evidence(by_file, "127.0.0.1:6379").contains("/etc/hosts says that cache.example is 127.0.0.1"));
    assert!(evidence(found("0.0.0.0"), "0.0.0.0:6379").contains("blocked"));
    assert!(!evidence(found("10.0.3.17"), "10.0.3.17:6379").contains("blocked"));
}

#[test]
fn the_order_of_fixes_depends_on_where_we_stand() {
    let kinds = |url: &str, nearness| {
        let place = Some(Place {
            nearness,
            ..Place::default()
        });
        let dials = vec![dial(DialResult::Timeout { syns: Some(3) })];
        let seen = Observations {
            dials,
            place,
            ..Observations::default()
        };
        let finding = judge(&target(url), &seen).finding.unwrap();
        finding.fixes.iter().map(|fix| fix.kind).collect::<Vec<_>>()
    };
    let far = [
        "outside-vpc",
        "security-group",
        "network-acl",
        "route",
        "local-firewall",
    ];
    assert_eq!(kinds("redis://10.0.3.17", Nearness::ForeignPrivate), far);
    assert_eq!(kinds("redis://10.0.3.17", Nearness::SameNetwork), far[1..]);
    assert_eq!(
        kinds("redis://127.0.0.1", Nearness::Loopback),
        ["accept-queue", "local-firewall"]
    );
    assert_eq!(kinds("redis://10.0.3.17", Nearness::Public), far[1..]);
    assert_eq!(kinds("redis://10.0.3.17", Nearness::Unknown), far[1..]);
    let slip = kinds("redis://10.0.3.17:6739", Nearness::ForeignPrivate);
    assert_eq!((slip[0], &slip[1..]), ("port", &far[..]));
    assert_eq!(kinds("redis://10.0.3.17:11211", Nearness::SameNetwork)[0], "port");
}

#[test]
fn a_full_queue_is_told_from_a_firewall_by_who_listens() {
    for (listener, evidence, fixes) in [
        (
            Listener::Waiting(2),
            "does not take those in its queue (2)",
            &["accept-queue", "local-firewall"][..],
        ),
        (
            Listener::Waiting(0),
            "its queue is empty",
            &["local-firewall", "accept-queue"],
        ),
        (Listener::Nobody, "no RST says so", &["local-firewall"]),
    ] {
        let place = Some(Place {
            nearness: Nearness::Loopback,
            listener: Some(listener),
            ..Place::default()
        });
        let seen = Observations {
            dials: vec![dial(DialResult::Timeout { syns: Some(3) })],
            place,
            ..Observations::default()
        };
        let finding = judge(&target("redis://10.0.3.17"), &seen).finding.unwrap();
        assert!(
            finding.evidence.join("\n").contains(evidence),
            "{:?}",
            finding.evidence
        );
        let kinds: Vec<_> = finding.fixes.iter().map(|fix| fix.kind).collect();
        assert_eq!(kinds, fixes);
    }
}

#[test]
fn a_closed_port_is_looked_for_in_the_container_first_where_localhost_is_one() {
    let kinds = |nearness, in_container| {
        let place = Some(Place {
            nearness,
            in_container,
            ..Place::default()
        });
        let seen = Observations {
            dials: vec![dial(DialResult::Refused)],
            place,
            ..Observations::default()
        };
        let finding = judge(&target("redis://127.0.0.1"), &seen).finding.unwrap();
        finding.fixes.iter().map(|fix| fix.kind).collect::<Vec<_>>()
    };
    assert_eq!(
        kinds(Nearness::Loopback, true),
        ["container", "port", "start", "bind"]
    );
    assert_eq!(kinds(Nearness::Loopback, false), ["port", "start", "bind"]);
    assert_eq!(kinds(Nearness::SameNetwork, true), ["port", "start", "bind"]);
}

#[test]
fn a_unix_socket_with_a_full_queue_is_no_matter_of_security_groups() {
    let queue = Dial {
        to: Endpoint::Named("/run/redis.sock".into()),
        ..dial(DialResult::Timeout { syns: None })
    };
    let seen = Observations {
        dials: vec![queue],
        ..Observations::default()
    };
    let finding = judge(&target("unix:///run/redis.sock"), &seen).finding.unwrap();
    assert_eq!(finding.code, Code::TcpTimeout);
    assert_eq!(finding.fixes[0].kind, "accept-queue");
    assert_eq!(finding.fixes.len(), 1);
}

#[test]
fn each_answer_to_ping_has_its_cause() {
    for (answer, expected) in [
        ("-NOAUTH Authentication required.", "auth.required"),
        (
            "-NOPERM this user has no permissions to run the 'ping' command",
            "auth.no_permission",
        ),
        (
            "-DENIED Redis is running in protected mode",
            "server.protected_mode",
        ),
        (
            "-LOADING Redis is loading the dataset in memory",
            "server.loading",
        ),
        ("-BUSY Redis is busy running a script", "server.busy"),
        (
            "-MISCONF Redis is configured to save RDB snapshots",
            "server.misconf",
        ),
        ("-MASTERDOWN Link with MASTER is down", "role.master_down"),
        ("-ERR max number of clients reached", "server.max_clients"),
        ("-ERR operation not permitted", "auth.required"),
        ("+OK POP3 server ready", "proto.not_redis"),
    ] {
        let seen = Observations {
            ping: Some(reply(answer)),
            ..connected()
        };
        assert_eq!(cause("redis://10.0.3.17", &seen), Some(expected), "{answer}");
    }
}

#[test]
fn what_is_no_reply_has_its_cause() {
    for (heard, expected) in [
        (Heard::Silence(vec![]), "server.silent"),
        (Heard::Silence(b"+PO".to_vec()), "server.silent"),
        (Heard::Closed(vec![]), "proto.closed"),
        (Heard::Reset(b"$5\r\nhe".to_vec()), "proto.closed"),
        (
            Heard::Other(b"HTTP/1.1 400 Bad Request".to_vec()),
            "proto.not_redis",
        ),
        (Heard::Alert("CertificateRequired".into()), "tls.client_cert"),
    ] {
        let seen = Observations {
            ping: Some(heard.clone()),
            ..connected()
        };
        assert_eq!(cause("redis://10.0.3.17", &seen), Some(expected), "{heard:?}");
    }
}

#[test]
fn a_plain_url_to_a_tls_port_says_so_and_https_is_no_redis() {
    let hello = |inside| {
        Some(Experiment::TlsHello {
            result: TlsResult::Established,
            inside,
        })
    };
    let silent = || Observations {
        ping: Some(Heard::Silence(vec![])),
        ..connected()
    };
    let seen = Observations {
        experiment: hello(Some(reply("+PONG"))),
        ..silent()
    };
    assert_eq!(cause("redis://10.0.3.17", &seen), Some("tls.required"));
    let seen = Observations {
        experiment: hello(Some(Heard::Other(b"HTTP/1.1 400".to_vec()))),
        ..silent()
    };
    assert_eq!(cause("redis://10.0.3.17", &seen), Some("proto.not_redis"));
}

pub(super) fn shaken(
    result: TlsResult,
    experiment: Option<Heard>,
    certificate: Option<Certificate>,
) -> Observations {
    let tls = Handshake {
        result,
        certificate,
        expected_name: "cache.example".into(),
        version: None,
        took: Duration::from_secs(3),
        flow: None,
    };
    Observations {
        tls: Some(tls),
        experiment: experiment.map(Experiment::PlainPing),
        ..connected()
    }
}

#[test]
fn each_end_of_a_handshake_has_its_cause() {
    for (result, plain, expected) in [
        (
            TlsResult::Untrusted("UnknownIssuer".into()),
            None,
            "tls.untrusted",
        ),
        (TlsResult::OtherName, None, "tls.name_mismatch"),
        (TlsResult::BadName("x".into()), None, "tls.name_mismatch"),
        (TlsResult::Unusable("--ca x: y".into()), None, "tls.untrusted"),
        (TlsResult::Unusable("--key x: y".into()), None, "tls.client_cert"),
        (TlsResult::Expired, None, "tls.expired"),
        (TlsResult::NotValidYet, None, "tls.expired"),
        (
            TlsResult::NothingInCommon("ProtocolVersion".into()),
            None,
            "tls.version",
        ),
        (
            TlsResult::ClientCertificate("CertificateRequired".into()),
            None,
            "tls.client_cert",
        ),
        (TlsResult::TimedOut, Some(reply("+PONG")), "tls.not_offered"),
        (TlsResult::TimedOut, Some(Heard::Silence(vec![])), "server.silent"),
        (TlsResult::TimedOut, Some(Heard::Reset(vec![])), "tls.stalled"),
        (
            TlsResult::NotTls,
            Some(Heard::Other(b"SSH-2.0-x".to_vec())),
            "proto.not_redis",
        ),
        (TlsResult::Closed, Some(Heard::Closed(vec![])), "proto.closed"),
    ] {
        let seen = shaken(result.clone(), plain, None);
        assert_eq!(
            cause("rediss://cache.example", &seen),
            Some(expected),
            "{result:?}"
        );
    }
}

#[test]
fn a_missing_client_certificate_in_tls_1_2_is_told_from_a_missing_cipher() {
    let failure = || TlsResult::NothingInCommon("HandshakeFailure".into());
    assert_eq!(
        cause("rediss://h", &shaken(failure(), None, None)),
        Some("tls.version")
    );
    let with_certificate = shaken(failure(), None, Some(Certificate::default()));
    assert_eq!(cause("rediss://h", &with_certificate), Some("tls.client_cert"));
}

#[test]
fn each_answer_to_auth_and_select_has_its_cause() {
    let login = |answer: &str| Observations {
        login: Some(reply(answer)),
        ..connected()
    };
    let url = "redis://:Plover-4417@10.0.3.17/3";
    assert_eq!(
        cause(url, &login("-WRONGPASS invalid username-password pair")),
        Some("auth.failed")
    );
    let unset = "-ERR AUTH <password> called without any password configured for the default user.";
    assert_eq!(cause(url, &login(unset)), Some("auth.not_configured"));
    let denied = "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user.";
    assert_eq!(cause(url, &login(denied)), Some("server.protected_mode"));
    for (answer, expected) in [
        (reply("-ERR DB index is out of range"), Some("db.index")),
        (reply("-NOPERM no SELECT"), Some("auth.no_permission")),
        (Heard::Closed(vec![]), Some("proto.closed")),
        (Heard::Silence(vec![]), Some("server.silent")),
        (reply("+OK"), None),
    ] {
        let seen = Observations {
            ping: Some(reply("+PONG")),
            select: Some(answer.clone()),
            ..login("+OK")
        };
        assert_eq!(cause(url, &seen), expected, "{answer:?}");
    }
}

#[test]
fn a_server_before_redis_6_refuses_the_user_name_and_not_the_password() {
    let login = |answer: &str| Observations {
        login: Some(reply(answer)),
        ..connected()
    };
    let arguments = "-ERR wrong number of arguments for 'auth' command";
    assert_eq!(
        cause("redis://shop:Plover-4417@10.0.3.17", &login(arguments)),
        Some("auth.failed")
    );
    for (answer, expected) in [
        ("-ERR invalid password", "auth.failed"),
        (
            "-ERR Client sent AUTH, but no password is set",
            "auth.not_configured",
        ),
        ("-ERR unknown command 'AUTH'", "auth.not_configured"),
    ] {
        assert_eq!(
            cause("redis://:Plover-4417@10.0.3.17", &login(answer)),
            Some(expected)
        );
    }
}

#[test]
fn a_sentinel_that_knows_no_databases_is_a_sentinel_first() {
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
fn a_port_that_is_not_for_clients_is_worth_a_hint() {
    let evidence = |url: &str| {
        let seen = Observations {
            ping: Some(Heard::Closed(vec![])),
            ..connected()
        };
        judge(&target(url), &seen).finding.unwrap().evidence.join("\n")
    };
    assert!(evidence("redis://10.0.3.17:16379").contains("clients' port is 6379"));
    assert!(evidence("redis://10.0.3.17:26379").contains("Sentinel"));
    assert!(!evidence("redis://10.0.3.17:6379").contains("as a rule"));
}

#[test]
fn a_climb_that_ended_early_is_never_called_well() {
    assert_eq!(cause("redis://10.0.3.17", &connected()), Some("server.silent"));
    assert_eq!(cause("rediss://10.0.3.17", &connected()), Some("server.silent"));
}

#[test]
fn a_primary_that_sends_writes_elsewhere_is_no_replica() {
    let moved = |role: &str| {
        let mut seen = Observations {
            ping: Some(reply("+PONG")),
            rehearsal: Some(Rehearsal {
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
fn a_forbidden_ping_is_no_failure_where_another_command_answers() {
    let seen = Observations {
        ping: Some(reply("-NOPERM no")),
        stand_in: Some(StandIn {
            name: "ECHO",
            heard: reply("+sessiontut"),
        }),
        ..connected()
    };
    assert_eq!(cause("redis://10.0.3.17", &seen), None);
}

#[test]
fn the_first_refusal_of_a_rehearsal_names_the_cause() {
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
        ("-ERR unknown command 'HSET'", "auth.no_permission"),
    ] {
        let rehearsal = Rehearsal {
            queued: vec![("MULTI", reply("+OK")), ("HSET", reply(refusal))],
            executed: reply("-EXECABORT Transaction discarded because of previous errors."),
        };
        let seen = Observations {
            ping: Some(reply("+PONG")),
            rehearsal: Some(rehearsal),
            ..connected()
        };
        assert_eq!(cause("redis://10.0.3.17", &seen), Some(expected), "{refusal}");
    }
}

#[test]
fn a_working_connection_warns_of_what_it_shows() {
    let warned = |url: &str, seen: &Observations| {
        let verdict = judge(&target(url), seen);
        assert!(verdict.finding.is_none());
        verdict
            .warnings
            .iter()
            .map(|warning| warning.code)
            .collect::<Vec<_>>()
    };
    let mut seen = Observations {
        ping: Some(reply("+PONG")),
        ..connected()
    };
    assert_eq!(warned("redis://10.0.3.17", &seen), []);
    assert_eq!(warned("redis://:p@10.0.3.17", &seen), [Code::AuthPlaintext]);
    assert_eq!(warned("redis://secret@10.0.3.17", &seen), [Code::UrlSuspect]);
    seen.round_trips = vec![Duration::from_millis(40); 5];
    assert_eq!(warned("redis://10.0.3.17", &seen), [Code::LatencyHigh]);
    seen.round_trips = [
        vec![Duration::from_millis(1); 13],
        vec![Duration::from_millis(80); 2],
    ]
    .concat();
    assert_eq!(warned("redis://10.0.3.17", &seen), [Code::LatencyJitter]);
    seen.round_trips.clear();
    seen.dials.push(dial(DialResult::Timeout { syns: None }));
    assert_eq!(warned("redis://10.0.3.17", &seen), [Code::DnsPartial]);
    seen.dials.pop();
    seen.server.role = Some(Value::Array(vec![Value::BulkString(b"slave".to_vec())]));
    assert_eq!(warned("redis://10.0.3.17", &seen), [Code::RoleReplica]);
}

#[test]
fn a_handshake_that_small_packets_pass_has_lost_its_large_ones() {
    let small = |result| Observations {
        small_hello: Some(result),
        ..shaken(TlsResult::TimedOut, Some(Heard::Silence(vec![])), None)
    };
    let verdict = |seen: &Observations| {
        let finding = judge(&target("rediss://cache.example"), seen).finding.unwrap();
        (finding.code, finding.certainty)
    };
    assert_eq!(
        verdict(&small(TlsResult::Established)),
        (Code::TlsStalled, Certainty::Proved)
    );
    assert_eq!(
        verdict(&small(TlsResult::TimedOut)),
        (Code::ServerSilent, Certainty::Likely)
    );
}

#[test]
fn a_silence_tells_lost_packets_from_a_stuck_process() {
    for (flow, expected, first_fix) in [
        (Flow::default(), "the host is there", "server"),
        (
            Flow {
                unacknowledged: 2,
                out_of_order: 0,
            },
            "never acknowledged",
            "firewall",
        ),
        (
            Flow {
                unacknowledged: 0,
                out_of_order: 1,
            },
            "larger one has not",
            "server",
        ),
    ] {
        let seen = Observations {
            ping: Some(Heard::Silence(vec![])),
            flow: Some(flow),
            ..connected()
        };
        let finding = judge(&target("redis://10.0.3.17"), &seen).finding.unwrap();
        assert_eq!(finding.code, Code::ServerSilent);
        assert_eq!(finding.fixes[0].kind, first_fix);
        assert!(
            finding.evidence.last().unwrap().contains(expected),
            "{:?}",
            finding.evidence
        );
    }
}

#[test]
fn silence_that_admits_two_readings_is_called_likely() {
    let seen = shaken(TlsResult::TimedOut, Some(Heard::Silence(vec![])), None);
    let finding = judge(&target("rediss://cache.example"), &seen).finding.unwrap();
    assert_eq!(finding.certainty, Certainty::Likely);
}

#[test]
fn a_syn_that_was_never_repeated_has_not_left_this_host() {
    let one = |syns, took| Dial {
        took: Duration::from_millis(took),
        ..dial(DialResult::Timeout { syns })
    };
    let cause_of = |dial, refused_sends| {
        let seen = Observations {
            dials: vec![dial],
            refused_sends,
            ..Observations::default()
        };
        cause("redis://10.0.3.17", &seen)
    };
    assert_eq!(cause_of(one(Some(1), 3000), 0), Some("tcp.unreachable"));
    assert_eq!(cause_of(one(Some(3), 3000), 2), Some("tcp.prohibited"));
    // What other programs could not send meanwhile proves nothing about this one.
    assert_eq!(cause_of(one(Some(3), 3000), 1), Some("tcp.timeout"));
    assert_eq!(cause_of(one(Some(1), 3000), 1), Some("tcp.unreachable"));
    // Within a second there is nothing to repeat yet.
    assert_eq!(cause_of(one(Some(1), 1000), 0), Some("tcp.timeout"));
    assert_eq!(cause_of(one(None, 3000), 0), Some("tcp.timeout"));
}

#[test]
fn what_stands_in_for_a_forbidden_ping_tells_what_keeps_all_commands_from_being_served() {
    let refused = |ping: &str, stand_in: &str| {
        let seen = Observations {
            ping: Some(reply(ping)),
            stand_in: Some(StandIn {
                name: "HGETALL",
                heard: reply(stand_in),
            }),
            ..connected()
        };
        cause("redis://10.0.3.17", &seen)
    };
    let renamed = "-ERR unknown command 'PING'";
    assert_eq!(
        refused(renamed, "-NOAUTH Authentication required."),
        Some("auth.required")
    );
    assert_eq!(
        refused("-NOPERM ping", "-LOADING Redis is loading"),
        Some("server.loading")
    );
    assert_eq!(
        refused("-NOPERM ping", "-NOPERM hgetall"),
        Some("auth.no_permission")
    );
    assert_eq!(refused("-NOPERM ping", "-MOVED 7 10.0.3.18:6379"), None);
    assert_eq!(refused(renamed, "*0"), None);
}

#[test]
fn whoever_says_ok_or_pong_to_everything_is_no_redis() {
    let seen = Observations {
        login: Some(reply("+OK POP3 server ready")),
        ..connected()
    };
    assert_eq!(cause("redis://:p@10.0.3.17", &seen), Some("proto.not_redis"));
    let mut seen = Observations {
        ping: Some(reply("+PONG")),
        ..connected()
    };
    seen.server.role = Some(Value::SimpleString("PONG".into()));
    assert_eq!(cause("redis://10.0.3.17", &seen), Some("proto.not_redis"));
    let greeted = shaken(TlsResult::NotTls, Some(reply("+OK POP3 server ready")), None);
    assert_eq!(cause("rediss://cache.example", &greeted), Some("proto.not_redis"));
}

#[test]
fn a_cluster_that_forbids_info_is_known_by_where_it_sends_a_read() {
    let mut seen = Observations {
        ping: Some(reply("+PONG")),
        ..connected()
    };
    seen.server.cluster_read = Some(reply("-MOVED 7 10.0.3.18:6379"));
    let warnings = judge(&target("redis://10.0.3.17"), &seen).warnings;
    assert_eq!(warnings[0].code, Code::ClusterMode);
}

#[test]
fn what_there_was_no_time_for_is_not_called_proved() {
    let certainty = |seen: &Observations| {
        judge(&target("redis://10.0.3.17"), seen)
            .finding
            .unwrap()
            .certainty
    };
    let hello = |result| Observations {
        ping: Some(Heard::Reset(vec![])),
        experiment: Some(Experiment::TlsHello { result, inside: None }),
        ..connected()
    };
    assert_eq!(certainty(&hello(TlsResult::TimedOut)), Certainty::Likely);
    assert_eq!(certainty(&hello(TlsResult::Closed)), Certainty::Proved);
    let silent = |connecting| Observations {
        tcp_took: Duration::from_millis(connecting),
        ping: Some(Heard::Silence(vec![])),
        ping_took: Duration::from_secs(1),
        ..connected()
    };
    assert_eq!(certainty(&silent(800)), Certainty::Likely);
    assert_eq!(certainty(&silent(1)), Certainty::Proved);
}

#[test]
fn a_line_to_paste_reaches_the_server_that_was_asked_about_and_holds_no_password() {
    let command = |url: &str, seen: Observations| {
        let finding = judge(&target(url), &seen).finding.unwrap();
        let lines = finding.fixes.into_iter().filter_map(|fix| fix.command);
        lines.collect::<Vec<_>>().join("\n")
    };
    let said = |answer: &str| Observations {
        ping: Some(reply(answer)),
        ..connected()
    };
    let busy = "-BUSY Redis is busy running a script";
    assert_eq!(
        command("redis://10.0.3.17:6380", said(busy)),
        "redis-cli -h 10.0.3.17 -p 6380 SCRIPT KILL"
    );
    assert_eq!(
        command("redis://ada:Plover-4417@cache.example", said(busy)),
        "redis-cli -h cache.example -p 6379 --user ada --askpass SCRIPT KILL"
    );
    assert_eq!(
        command("unix:///run/my%20redis.sock", said(busy)),
        "redis-cli -s '/run/my redis.sock' SCRIPT KILL"
    );
    let plain = Observations {
        experiment: Some(Experiment::PlainPing(reply("+PONG"))),
        ..shaken(TlsResult::TimedOut, None, None)
    };
    assert_eq!(
        command("rediss://ada:Plover-4417@cache.example:6380/3", plain),
        "read -rs REDISCLI_AUTH; export REDISCLI_AUTH; sessiontut ping redis://ada@cache.example:6380/3"
    );
    // `ip route get` knows no names.
    let silent = Observations {
        dials: vec![dial(DialResult::NoRoute)],
        ..Observations::default()
    };
    assert_eq!(command("redis://cache.example", silent), "ip route get 10.0.3.17");
}

#[test]
fn a_user_whose_password_comes_from_elsewhere_is_no_slip() {
    let target =
        target("redis://ada@10.0.3.17").with_password(Some(crate::secret::Secret::new("Plover-4417")));
    let seen = Observations {
        login: Some(reply("+OK")),
        ping: Some(reply("+PONG")),
        ..connected()
    };
    let warned: Vec<Code> = judge(&target, &seen)
        .warnings
        .iter()
        .map(|warning| warning.code)
        .collect();
    assert_eq!(warned, [Code::AuthPlaintext]);
}

#[test]
fn an_expired_intermediate_is_not_told_as_an_age_of_the_servers_own_certificate() {
    let summary = |ends_in| {
        let certificate = Certificate {
            ends_in,
            ..Certificate::default()
        };
        let seen = shaken(TlsResult::Expired, None, Some(certificate));
        judge(&target("rediss://cache.example"), &seen)
            .finding
            .unwrap()
            .summary
    };
    assert_eq!(summary(-3 * 86_400), "the certificate expired 3 days ago");
    assert!(summary(86_400).contains("vouches for the server's own"));
}

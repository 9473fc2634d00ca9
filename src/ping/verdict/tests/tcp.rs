//! Checks the verdicts on failed connection attempts. The fixes depend on the networks of this host.

use std::time::Duration;

use super::situations::listener;
use super::{cause, dial, target};
use crate::os::Icmp;
use crate::ping::causes::Cause;
use crate::ping::observation::{Dial, DialResult, Endpoint, ErrorSource, HostsEntry, Lookup, Observations};
use crate::ping::this_host::{Nearness, Route, ThisHost};
use crate::ping::verdict::{Certainty, judge};

#[test]
fn each_result_of_a_connection_attempt_has_its_cause() {
    let icmp = |v6, code| {
        ErrorSource::Icmp(Icmp {
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
            DialResult::Prohibited(ErrorSource::ThisHost("permission denied".into())),
            "tcp.prohibited",
        ),
    ] {
        let seen = Observations::default().with(|seen| seen.tcp.dials = vec![dial(result)]);
        assert_eq!(cause("redis://10.0.3.17", &seen), Some(expected));
    }
}

#[test]
fn if_addresses_fail_in_different_ways_the_most_specific_gives_the_cause() {
    let timeout = || dial(DialResult::Timeout { syns: Some(3) });
    let seen =
        Observations::default().with(|seen| seen.tcp.dials = vec![timeout(), dial(DialResult::Refused)]);
    assert_eq!(cause("redis://cache.example", &seen), Some("tcp.refused"));
    let seen =
        Observations::default().with(|seen| seen.tcp.dials = vec![dial(DialResult::NoRoute), timeout()]);
    assert_eq!(cause("redis://cache.example", &seen), Some("tcp.timeout"));
}

#[test]
fn the_evidence_shows_where_a_misleading_name_is_defined() {
    let evidence = |lookup: Lookup, to: &str| {
        let dials = vec![Dial {
            to: Endpoint::Ip(to.parse().unwrap()),
            ..dial(DialResult::Refused)
        }];
        let seen = Observations::default().with(|seen| {
            seen.dns = Some(lookup);
            seen.tcp.dials = dials;
        });
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
        hosts_file: Some(HostsEntry {
            line: 3,
            address: "127.0.0.1".parse().unwrap(),
            is_shared: true,
        }),
        ..found("127.0.0.1")
    };
    assert!(evidence(by_file, "127.0.0.1:6379").contains("/etc/hosts"));
    let facts = |address: &str| {
        evidence(found(address), &format!("{address}:6379"))
            .lines()
            .count()
    };
    assert_eq!(facts("0.0.0.0"), facts("10.0.3.17") + 1);
}

#[test]
fn the_order_of_fixes_depends_on_this_hosts_network() {
    let kinds = |url: &str, nearness| {
        let this_host = ThisHost {
            nearness,
            ..ThisHost::default()
        };
        let dials = vec![dial(DialResult::Timeout { syns: Some(3) })];
        let seen = Observations::default().with(|seen| {
            seen.tcp.dials = dials;
            seen.this_host = this_host;
        });
        let finding = judge(&target(url), &seen).finding.unwrap();
        finding.fixes.iter().map(|fix| fix.kind).collect::<Vec<_>>()
    };
    let elasticache = "redis://shop.x1y2z3.ng.0001.use1.cache.amazonaws.com";
    let aws = [
        "outside-vpc",
        "security-group",
        "network-acl",
        "route",
        "local-firewall",
    ];
    assert_eq!(kinds(elasticache, Nearness::ForeignPrivate), aws);
    assert_eq!(kinds(elasticache, Nearness::SameNetwork), aws[1..]);
    let far = [
        "host",
        "firewall",
        "accept-queue",
        "outside-network",
        "route",
        "local-firewall",
    ];
    assert_eq!(kinds("redis://10.0.3.17", Nearness::ForeignPrivate), far);
    let near = [&far[..3], &far[4..]].concat();
    assert_eq!(kinds("redis://10.0.3.17", Nearness::SameNetwork), near);
    assert_eq!(
        kinds("redis://127.0.0.1", Nearness::Loopback),
        ["accept-queue", "local-firewall"]
    );
    assert_eq!(kinds("redis://10.0.3.17", Nearness::Public), near);
    assert_eq!(kinds("redis://10.0.3.17", Nearness::Unknown), near);
    let slip = kinds("redis://10.0.3.17:6739", Nearness::ForeignPrivate);
    assert_eq!((slip[0], &slip[1..]), ("port", &far[..]));
    assert_eq!(kinds("redis://10.0.3.17:11211", Nearness::SameNetwork)[0], "port");
    assert_eq!(kinds("redis://10.0.3.17:6378", Nearness::SameNetwork)[0], "port");
    // 6378 is the TLS port of Google Memorystore.
    let memorystore = [&near[..1], &["provider"], &near[1..]].concat();
    assert_eq!(
        kinds("rediss://10.0.3.17:6378", Nearness::SameNetwork),
        memorystore
    );
}

#[test]
fn a_full_queue_is_distinguished_from_a_firewall_by_the_listener() {
    for (listeners, fixes) in [
        (
            vec![listener("redis-server", "0.0.0.0", 2)],
            &["accept-queue", "local-firewall"][..],
        ),
        (
            vec![listener("redis-server", "0.0.0.0", 0)],
            &["local-firewall", "accept-queue"],
        ),
        (vec![], &["local-firewall"]),
    ] {
        let this_host = ThisHost {
            nearness: Nearness::Loopback,
            listeners: Some(listeners),
            ..ThisHost::default()
        };
        let seen = Observations::default().with(|seen| {
            seen.tcp.dials = vec![dial(DialResult::Timeout { syns: Some(3) })];
            seen.this_host = this_host;
        });
        let finding = judge(&target("redis://10.0.3.17"), &seen).finding.unwrap();
        let kinds: Vec<_> = finding.fixes.iter().map(|fix| fix.kind).collect();
        assert_eq!(kinds, fixes);
    }
}

#[test]
fn in_a_container_the_first_fix_for_a_closed_port_is_the_container() {
    let kinds = |nearness, in_container| {
        let this_host = ThisHost {
            nearness,
            in_container,
            ..ThisHost::default()
        };
        let seen = Observations::default().with(|seen| {
            seen.tcp.dials = vec![dial(DialResult::Refused)];
            seen.this_host = this_host;
        });
        let finding = judge(&target("redis://127.0.0.1"), &seen).finding.unwrap();
        finding.fixes.iter().map(|fix| fix.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(Nearness::Loopback, true), ["container", "server", "port"]);
    assert_eq!(kinds(Nearness::Loopback, false), ["host", "server", "port"]);
    assert_eq!(kinds(Nearness::SameNetwork, true), ["server", "host", "firewall"]);
}

#[test]
fn a_unix_socket_with_a_full_queue_does_not_suggest_security_groups() {
    let queue = Dial {
        to: Endpoint::Named("/run/redis.sock".into()),
        ..dial(DialResult::Timeout { syns: None })
    };
    let seen = Observations::default().with(|seen| seen.tcp.dials = vec![queue]);
    let finding = judge(&target("unix:///run/redis.sock"), &seen).finding.unwrap();
    assert_eq!(finding.cause, Cause::TcpTimeout);
    assert_eq!(finding.fixes[0].kind, "accept-queue");
    assert_eq!(finding.fixes.len(), 1);
}

#[test]
fn a_syn_that_was_never_retransmitted_has_not_left_this_host() {
    let one = |syns, took| Dial {
        took: Duration::from_millis(took),
        ..dial(DialResult::Timeout { syns })
    };
    let cause_of = |dial, blocked_retransmissions| {
        let seen = Observations::default().with(|seen| {
            seen.tcp.dials = vec![dial];
            seen.tcp.blocked_retransmissions = blocked_retransmissions;
        });
        cause("redis://10.0.3.17", &seen)
    };
    assert_eq!(cause_of(one(Some(1), 3000), 0), Some("tcp.unreachable"));
    assert_eq!(cause_of(one(Some(3), 3000), 2), Some("tcp.prohibited"));
    // The counter includes packets of other programs, so a single blocked packet proves nothing.
    assert_eq!(cause_of(one(Some(3), 3000), 1), Some("tcp.timeout"));
    assert_eq!(cause_of(one(Some(1), 3000), 1), Some("tcp.unreachable"));
    // The first retransmission is sent after one second.
    assert_eq!(cause_of(one(Some(1), 1000), 0), Some("tcp.timeout"));
    assert_eq!(cause_of(one(None, 3000), 0), Some("tcp.timeout"));
}

#[test]
fn one_unanswered_syn_proves_nothing() {
    let certainty = |syns, took| {
        let silent = Dial {
            took: Duration::from_millis(took),
            ..dial(DialResult::Timeout { syns: Some(syns) })
        };
        let seen = Observations::default().with(|seen| seen.tcp.dials = vec![silent]);
        judge(&target("redis://10.0.3.17"), &seen)
            .finding
            .unwrap()
            .certainty
    };
    assert_eq!(certainty(1, 300), Certainty::Likely);
    assert_eq!(certainty(2, 2000), Certainty::Proved);
}

#[test]
fn an_icmp_error_from_this_host_is_this_hosts_own_firewall() {
    let own = "10.0.3.99".parse().unwrap();
    let first_fix = |from: &str| {
        let icmp = Icmp {
            v6: false,
            kind: 3,
            code: 3,
            from: from.parse().ok(),
        };
        let seen = Observations::default().with(|seen| {
            seen.tcp.dials = vec![dial(DialResult::Prohibited(ErrorSource::Icmp(icmp)))];
            seen.this_host = ThisHost {
                source: Some(own),
                ..ThisHost::default()
            };
        });
        judge(&target("redis://10.0.3.17"), &seen).finding.unwrap().fixes[0].kind
    };
    assert_eq!(first_fix("10.0.3.99"), "local-firewall");
    assert_eq!(first_fix("127.0.0.1"), "local-firewall");
    assert_eq!(first_fix("10.0.3.1"), "firewall");
}

#[test]
fn advice_about_a_failed_attempt_names_what_is_at_fault_on_this_host() {
    let first_fix = |url: &str, result: DialResult, this_host: ThisHost| {
        let seen = Observations::default().with(|seen| {
            seen.tcp.dials = vec![dial(result)];
            seen.this_host = this_host;
        });
        let finding = judge(&target(url), &seen).finding.unwrap();
        (finding.cause.code(), finding.fixes[0].kind)
    };
    let lo_is_down = || ThisHost {
        nearness: Nearness::Loopback,
        listeners: Some(vec![]),
        is_loopback_down: true,
        ..ThisHost::default()
    };
    for result in [DialResult::Timeout { syns: Some(3) }, DialResult::NoRoute] {
        assert_eq!(
            first_fix("redis://10.0.3.17", result, lo_is_down()),
            ("tcp.unreachable", "loopback")
        );
    }
    let routed = |gateway: Option<&str>| ThisHost {
        source: Some("10.0.3.1".parse().unwrap()),
        route: Some(Route {
            to: "10.0.3.0/24".parse().unwrap(),
            interface: "docker0".into(),
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            has_no_carrier: false,
        }),
        ..ThisHost::default()
    };
    let icmp = |code, from: &str| {
        ErrorSource::Icmp(Icmp {
            v6: false,
            kind: 3,
            code,
            from: Some(from.parse().unwrap()),
        })
    };
    let unreachable = |from| DialResult::Unreachable(icmp(1, from));
    let url = "redis://10.0.3.17";
    let no_carrier = || {
        let mut this_host = routed(None);
        this_host.route.as_mut().unwrap().has_no_carrier = true;
        this_host
    };
    for (result, expected) in [
        (
            DialResult::Timeout { syns: Some(3) },
            ("tcp.unreachable", "carrier"),
        ),
        (DialResult::Refused, ("tcp.refused", "server")),
    ] {
        assert_eq!(first_fix("redis://10.0.3.17", result, no_carrier()), expected);
    }
    for (result, gateway, expected) in [
        (DialResult::RejectedByRoute, Some("10.0.3.254"), "route"),
        (DialResult::NoNeighbour, None, "host"),
        (unreachable("10.0.3.1"), None, "host"),
        (unreachable("10.0.3.1"), Some("10.0.3.254"), "gateway"),
        (unreachable("10.0.3.254"), Some("10.0.3.254"), "host"),
    ] {
        assert_eq!(
            first_fix(url, result, routed(gateway)),
            ("tcp.unreachable", expected)
        );
    }
    let service = "redis://redis.shop.svc.cluster.local";
    let rejected = |code| DialResult::Prohibited(icmp(code, "10.0.3.254"));
    for (url, code, expected) in [
        (service, 3, "endpoints"),
        (service, 13, "firewall"),
        (url, 3, "firewall"),
    ] {
        assert_eq!(
            first_fix(url, rejected(code), routed(None)),
            ("tcp.prohibited", expected)
        );
    }
}

#[test]
fn the_host_name_decides_whose_advice_comes_first() {
    let first_fix = |url: &str, result: DialResult| {
        let seen = Observations::default().with(|seen| seen.tcp.dials = vec![dial(result)]);
        judge(&target(url), &seen).finding.unwrap().fixes[0].kind
    };
    let silence = || DialResult::Timeout { syns: Some(3) };
    assert_eq!(
        first_fix("rediss://shop.redis.cache.windows.net:6380", silence()),
        "provider"
    );
    assert_eq!(first_fix("redis://redis.railway.internal", silence()), "provider");
    // The container's name was resolved, so the name is not the problem.
    assert_eq!(first_fix("redis://redis", silence()), "host");
    assert_eq!(first_fix("redis://cache.example", silence()), "host");
    // The refusal shows that packets reach the server's network.
    assert_eq!(
        first_fix("redis://redis.railway.internal", DialResult::Refused),
        "server"
    );
    assert_eq!(
        first_fix("redis://shop-project.aivencloud.com", DialResult::Refused),
        "provider"
    );
}

#[test]
fn advice_about_a_refused_connection_depends_on_the_url() {
    for (url, expected) in [
        ("redis://10.0.3.17", "server"),
        ("redis://10.0.3.17/6380", "port"),
        ("redis://10.0.3.17/15", "server"),
        ("redis://redis", "server"),
        ("redis://redis:6380", "container-network"),
        ("redis://shop.x1y2z3.cfg.use1.cache.amazonaws.com", "endpoint"),
        ("redis://shop.x1y2z3.ng.0001.use1.cache.amazonaws.com", "host"),
    ] {
        let seen = Observations::default().with(|seen| seen.tcp.dials = vec![dial(DialResult::Refused)]);
        let finding = judge(&target(url), &seen).finding.unwrap();
        assert_eq!(finding.fixes[0].kind, expected, "{url}");
    }
}

#[test]
fn an_unusual_form_of_an_address_is_explained() {
    let is_explained = |url: &str, to: &str| {
        let seen = Observations::default().with(|seen| {
            seen.tcp.dials = vec![Dial {
                to: Endpoint::Ip(to.parse().unwrap()),
                ..dial(DialResult::Refused)
            }];
        });
        let finding = judge(&target(url), &seen).finding.unwrap();
        finding
            .evidence
            .iter()
            .any(|fact| fact.contains("in the URL means"))
    };
    assert!(is_explained("redis://010.0.3.17", "8.0.3.17:6379"));
    assert!(is_explained("redis://10.3", "10.0.0.3:6379"));
    assert!(!is_explained("redis://10.0.3.17", "10.0.3.17:6379"));
    assert!(!is_explained("redis://cache.example", "10.0.3.17:6379"));
    assert!(!is_explained("redis://3cache", "10.0.3.17:6379"));
}

//! Checks the verdicts on host names that cannot be resolved.

use std::time::Duration;

use super::situations::name_server;
use super::{cause, target};
use crate::ping::causes::Cause;
use crate::ping::observation::{FileLine, Lookup, NameAnswer, Observations, SearchDomains};
use crate::ping::verdict::{Certainty, judge};

#[test]
fn each_answer_of_the_name_servers_has_its_cause() {
    for (answer, expected) in [
        (NameAnswer::NotFound, "dns.not_found"),
        (NameAnswer::DanglingAlias("gone.example".into()), "dns.not_found"),
        (NameAnswer::NoAddress, "dns.no_address"),
        (NameAnswer::Timeout, "dns.timeout"),
        (
            NameAnswer::Unreachable("connection refused".into()),
            "dns.timeout",
        ),
        (NameAnswer::Refused("SERVFAIL".into()), "dns.server_failure"),
        (NameAnswer::Refused("REFUSED".into()), "dns.server_failure"),
    ] {
        let server = name_server("10.0.0.2:53".parse().unwrap(), answer);
        let dns = Lookup {
            fault: Some("no".into()),
            servers: vec![server],
            ..Lookup::default()
        };
        let seen = Observations::default().with(|seen| seen.dns = Some(dns));
        assert_eq!(cause("redis://cache.example", &seen), Some(expected));
    }
}

#[test]
fn a_static_binary_says_that_its_resolver_is_another_one() {
    let dns = |other_resolver| Lookup {
        fault: Some("no".into()),
        servers: vec![name_server("10.0.0.2:53".parse().unwrap(), NameAnswer::NotFound)],
        other_resolver,
        ..Lookup::default()
    };
    let evidence = |dns| {
        let seen = Observations::default().with(|seen| seen.dns = Some(dns));
        judge(&target("redis://cache.example"), &seen)
            .finding
            .unwrap()
            .evidence
    };
    let (system, musl) = (evidence(dns(None)), evidence(dns(Some("musl"))));
    assert_eq!(system.len() + 1, musl.len());
    assert!(musl.iter().any(|fact| fact.contains("musl")));
}

#[test]
fn a_short_wait_for_a_name_server_proves_nothing() {
    let certainty = |took| {
        let dns = Lookup {
            system_timed_out: true,
            took: Duration::from_millis(took),
            ..Lookup::default()
        };
        let seen = Observations::default().with(|seen| seen.dns = Some(dns));
        let finding = judge(&target("redis://cache.example"), &seen).finding.unwrap();
        assert_eq!(finding.cause, Cause::DnsTimeout);
        finding.certainty
    };
    assert_eq!(certainty(900), Certainty::Likely);
    assert_eq!(certainty(2700), Certainty::Proved);
}

#[test]
fn name_servers_that_disagree_prove_nothing() {
    let address = || "10.0.0.2:53".parse().unwrap();
    for unknown in [NameAnswer::NotFound, NameAnswer::NoAddress] {
        let known = NameAnswer::Addresses(vec!["10.0.3.17".parse().unwrap()]);
        let dns = Lookup {
            fault: Some("no".into()),
            servers: vec![name_server(address(), unknown), name_server(address(), known)],
            ..Lookup::default()
        };
        let seen = Observations::default().with(|seen| seen.dns = Some(dns));
        let finding = judge(&target("redis://cache.example"), &seen).finding.unwrap();
        assert_eq!(
            (finding.cause, finding.certainty),
            (Cause::DnsNotFound, Certainty::Likely)
        );
        assert_eq!(finding.fixes[0].kind, "resolver");
    }
}

#[test]
fn the_fixes_for_a_name_depend_on_the_lookup() {
    let first_fix = |lookup: Lookup| {
        let seen = Observations::default().with(|seen| seen.dns = Some(lookup));
        let finding = judge(&target("redis://cache.example"), &seen).finding.unwrap();
        (finding.cause, finding.fixes[0].kind)
    };
    let said = |answer| {
        let address = "10.0.0.2:53".parse().unwrap();
        let servers = vec![name_server(address, answer)];
        Lookup {
            servers,
            ..Lookup::default()
        }
    };
    assert_eq!(
        first_fix(said(NameAnswer::NotFound)),
        (Cause::DnsNotFound, "spelling")
    );
    assert_eq!(
        first_fix(said(NameAnswer::DanglingAlias("gone.example".into()))),
        (Cause::DnsNotFound, "alias")
    );
    assert_eq!(
        first_fix(said(NameAnswer::NoAddress)),
        (Cause::DnsNoAddress, "spelling")
    );
    let excluded = Lookup {
        addresses: vec!["10.0.3.17".parse().unwrap()],
        ..Lookup::default()
    };
    assert_eq!(first_fix(excluded), (Cause::DnsNoAddress, "family"));
}

#[test]
fn an_address_of_the_excluded_family_has_no_address_to_dial() {
    for url in ["redis://[fd00::1]", "redis://10.0.3.17"] {
        let finding = judge(&target(url), &Observations::default()).finding.unwrap();
        assert_eq!(
            (finding.cause, finding.fixes[0].kind),
            (Cause::DnsNoAddress, "family")
        );
    }
}

#[test]
fn the_evidence_names_resolv_conf_if_no_resolver_is_configured() {
    let dns = Lookup {
        fault: Some("Temporary failure in name resolution".into()),
        is_unconfigured: true,
        ..Lookup::default()
    };
    let seen = Observations::default().with(|seen| seen.dns = Some(dns));
    let finding = judge(&target("redis://cache.example"), &seen).finding.unwrap();
    assert_eq!(finding.cause, Cause::DnsTimeout);
    assert!(finding.evidence[1].contains("/etc/resolv.conf"));
}

#[test]
fn a_configuration_file_that_cannot_be_read_is_named_first() {
    let dns = Lookup {
        fault: Some("Name or service not known".into()),
        unreadable: vec![("/etc/hosts", "permission denied".into())],
        servers: vec![name_server("10.0.0.2:53".parse().unwrap(), NameAnswer::NotFound)],
        ..Lookup::default()
    };
    let seen = Observations::default().with(|seen| seen.dns = Some(dns));
    let finding = judge(&target("redis://cache.example"), &seen).finding.unwrap();
    assert_eq!(finding.fixes[0].kind, "permission");
    assert!(finding.evidence[1].contains("/etc/hosts"));
}

#[test]
fn the_first_fix_depends_on_what_is_wrong_with_the_lookup() {
    let search = |line: &str| {
        Some(SearchDomains::Line(FileLine {
            number: 2,
            text: line.into(),
        }))
    };
    let pod = "search shop.svc.cluster.local svc.cluster.local cluster.local";
    let no_route = || NameAnswer::Unreachable("network is unreachable".into());
    for (url, answer, search, expected) in [
        ("redis://localhost", NameAnswer::NotFound, None, "hosts-file"),
        ("redis://redis.shop", NameAnswer::NotFound, search(pod), "service"),
        (
            "redis://cache.shop.example",
            NameAnswer::NotFound,
            search(pod),
            "spelling",
        ),
        ("redis://redis.shop", NameAnswer::NotFound, None, "spelling"),
        ("redis://cache.example", no_route(), None, "network"),
    ] {
        let dns = Lookup {
            fault: Some("no".into()),
            servers: vec![name_server("10.0.0.2:53".parse().unwrap(), answer)],
            search,
            ..Lookup::default()
        };
        let seen = Observations::default().with(|seen| seen.dns = Some(dns));
        let finding = judge(&target(url), &seen).finding.unwrap();
        assert_eq!(finding.fixes[0].kind, expected, "{url}");
    }
}

//! Checks the verdicts on TLS handshakes that fail or stall.

use std::time::Duration;

use rustls::{AlertDescription as Alert, NamedGroup, ProtocolVersion};

use super::{cause, connected, handshake, rejected, reply, target};
use crate::os::PacketCounts;
use crate::ping::causes::Cause;
use crate::ping::observation::{
    CertificateProblem, Experiment, Observations, PacketSizes, PeerCertificate, TlsResult, WiderOffer,
};
use crate::ping::response::Response;
use crate::ping::verdict::{Certainty, judge};

#[test]
fn a_plain_url_to_a_tls_port_is_tls_required_unless_it_is_https() {
    let hello = |inside| {
        Some(Experiment::ClientHello {
            result: TlsResult::Established,
            inside,
        })
    };
    let silent = || connected().with(|seen| seen.ping.response = Some(Response::Timeout(vec![])));
    let seen = silent().with(|seen| seen.experiments.other_protocol = hello(Some(reply("+PONG"))));
    assert_eq!(cause("redis://10.0.3.17", &seen), Some("tls.required"));
    let seen = silent().with(|seen| {
        seen.experiments.other_protocol = hello(Some(Response::NotResp(b"HTTP/1.1 400".to_vec())));
    });
    assert_eq!(cause("redis://10.0.3.17", &seen), Some("proto.not_redis"));
}

#[test]
fn each_result_of_a_handshake_has_its_cause() {
    let alert = TlsResult::Alert;
    for (result, plain, expected) in [
        (alert(Alert::UnrecognisedName), None, "tls.name_mismatch"),
        (TlsResult::BadName("x".into()), None, "tls.name_mismatch"),
        (TlsResult::Unusable("--ca x: y".into()), None, "tls.untrusted"),
        (TlsResult::Unusable("--key x: y".into()), None, "tls.client_cert"),
        (alert(Alert::ProtocolVersion), None, "tls.version"),
        (TlsResult::NothingInCommon, None, "tls.version"),
        (alert(Alert::CertificateRequired), None, "tls.client_cert"),
        (TlsResult::TimedOut, Some(reply("+PONG")), "tls.not_offered"),
        (
            TlsResult::TimedOut,
            Some(Response::Timeout(vec![])),
            "server.silent",
        ),
        (TlsResult::TimedOut, Some(Response::Reset(vec![])), "tls.stalled"),
        (
            TlsResult::NotTls,
            Some(Response::NotResp(b"SSH-2.0-x".to_vec())),
            "proto.not_redis",
        ),
        (
            TlsResult::NotTls,
            Some(Response::Timeout(vec![])),
            "proto.not_redis",
        ),
        (
            TlsResult::NotTls,
            Some(Response::Closed(vec![])),
            "tls.not_offered",
        ),
        (TlsResult::NotTls, None, "tls.not_offered"),
        (TlsResult::Closed, Some(Response::Closed(vec![])), "proto.closed"),
    ] {
        let seen = handshake(result.clone(), plain, None);
        assert_eq!(
            cause("rediss://cache.example", &seen),
            Some(expected),
            "{result:?}"
        );
    }
}

#[test]
fn each_problem_of_a_certificate_has_its_cause() {
    for (problem, expected) in [
        (CertificateProblem::UnknownIssuer, "tls.untrusted"),
        (CertificateProblem::WrongSignature, "tls.untrusted"),
        (CertificateProblem::NoTrustedCa, "tls.untrusted"),
        (CertificateProblem::Missing, "tls.untrusted"),
        (CertificateProblem::Invalid("x".into()), "tls.untrusted"),
        (CertificateProblem::InvalidIssuer("x".into()), "tls.untrusted"),
        (CertificateProblem::Unsupported("x".into()), "tls.unsupported"),
        (CertificateProblem::OtherName, "tls.name_mismatch"),
        (CertificateProblem::Expired, "tls.expired"),
        (CertificateProblem::NotValidYet, "tls.expired"),
    ] {
        let seen = rejected(problem.clone(), PeerCertificate::default());
        assert_eq!(
            cause("rediss://cache.example", &seen),
            Some(expected),
            "{problem:?}"
        );
    }
}

#[test]
fn a_missing_client_certificate_in_tls_1_2_is_distinguished_from_a_missing_cipher() {
    let failure = || handshake(TlsResult::Alert(Alert::HandshakeFailure), None, None);
    assert_eq!(cause("rediss://h", &failure()), Some("tls.version"));
    let mut asked = failure();
    asked.tls.handshake.as_mut().unwrap().client_certificate_request = Some(vec![]);
    assert_eq!(cause("rediss://h", &asked), Some("tls.client_cert"));
}

#[test]
fn what_the_server_chooses_from_a_wider_offer_decides() {
    let chosen = |version, cipher_suite: &str, group, unsupported: Option<&str>| {
        let seen = handshake(TlsResult::Alert(Alert::HandshakeFailure), None, None).with(|seen| {
            seen.tls.wider_offer = Some(WiderOffer {
                version,
                cipher_suite: cipher_suite.into(),
                group: Some(group),
                certificate: Some(PeerCertificate {
                    unsupported: unsupported.map(str::to_owned),
                    ..PeerCertificate::default()
                }),
            });
        });
        cause("rediss://h", &seen).unwrap()
    };
    let (new, old) = (ProtocolVersion::TLSv1_3, ProtocolVersion::TLSv1_2);
    let (gcm, p256) = ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", NamedGroup::secp256r1);
    let cbc = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256";
    assert_eq!(chosen(old, cbc, p256, None), "tls.unsupported");
    assert_eq!(chosen(old, gcm, NamedGroup::X448, None), "tls.unsupported");
    let aes = "TLS_AES_128_GCM_SHA256";
    assert_eq!(chosen(new, aes, p256, Some("an RSA-PSS key")), "tls.unsupported");
    // This program supports all of these features, so something else is wrong.
    assert_eq!(chosen(new, aes, p256, None), "tls.version");
    // OpenSSL also rejects TLS 1.1 by default.
    assert_eq!(chosen(ProtocolVersion::TLSv1_1, cbc, p256, None), "tls.version");
}

#[test]
fn a_certificate_that_insecure_accepted_stays_the_cause_unless_a_later_check_fails() {
    let accepted = |ping| {
        let mut seen = rejected(CertificateProblem::UnknownIssuer, PeerCertificate::default());
        seen.tls.handshake.as_mut().unwrap().result = TlsResult::Established;
        seen.ping.response = Some(ping);
        seen
    };
    let target = target("rediss://cache.example");
    let code = |seen: &Observations| judge(&target, seen).finding.unwrap().cause.code();
    assert_eq!(code(&accepted(reply("+PONG"))), "tls.untrusted");
    let mut withheld = accepted(reply("-NOAUTH Authentication required."));
    assert_eq!(code(&withheld), "auth.required");
    withheld.auth.is_password_withheld = true;
    assert_eq!(code(&withheld), "tls.untrusted");
    let loading = judge(
        &target,
        &accepted(reply("-LOADING Redis is loading the dataset in memory")),
    );
    assert_eq!(loading.finding.unwrap().cause.code(), "server.loading");
    assert!(
        loading
            .warnings
            .iter()
            .any(|warning| warning.cause.code() == "tls.untrusted")
    );
}

#[test]
fn a_wrong_clock_is_named_only_if_the_certificate_is_valid_by_the_servers_clock() {
    let first_fix = |ahead| {
        let certificate = PeerCertificate {
            begins_in: -9_000_000,
            ends_in: -3_000_000,
            ..PeerCertificate::default()
        };
        let seen = rejected(CertificateProblem::Expired, certificate)
            .with(|seen| seen.tls.server_clock_ahead = ahead);
        judge(&target("rediss://h"), &seen).finding.unwrap().fixes[0].kind
    };
    assert_eq!(first_fix(Some(0)), "certificate");
    assert_eq!(first_fix(Some(-5_000_000)), "clock");
    assert_eq!(first_fix(None), "clock");
}

#[test]
fn a_handshake_that_works_in_small_packets_has_lost_large_ones() {
    let small = |result| {
        handshake(TlsResult::TimedOut, Some(Response::Timeout(vec![])), None).with(|seen| {
            seen.experiments.packet_sizes = Some(PacketSizes {
                passed: 1396,
                lost: 1404,
            });
            seen.tls.small_packet_handshake = Some(result);
        })
    };
    let verdict = |seen: &Observations| {
        let finding = judge(&target("rediss://cache.example"), seen).finding.unwrap();
        (finding.cause, finding.certainty)
    };
    assert_eq!(
        verdict(&small(TlsResult::Established)),
        (Cause::TlsStalled, Certainty::Proved)
    );
    assert_eq!(
        verdict(&small(TlsResult::TimedOut)),
        (Cause::ServerSilent, Certainty::Likely)
    );
}

#[test]
fn a_timeout_with_two_explanations_is_only_likely() {
    let seen = handshake(TlsResult::TimedOut, Some(Response::Timeout(vec![])), None);
    let finding = judge(&target("rediss://cache.example"), &seen).finding.unwrap();
    assert_eq!(finding.certainty, Certainty::Likely);
}

#[test]
fn a_timeout_over_tls_distinguishes_a_far_server_and_lost_packets_from_a_silent_server() {
    let judged = |tcp_took, unacknowledged| {
        let mut seen = handshake(TlsResult::TimedOut, Some(Response::Timeout(vec![])), None);
        seen.tcp.took = Duration::from_millis(tcp_took);
        seen.tls.handshake.as_mut().unwrap().packets = Some(PacketCounts {
            unacknowledged,
            ..PacketCounts::default()
        });
        let finding = judge(&target("rediss://cache.example"), &seen).finding.unwrap();
        assert_eq!(
            (finding.cause, finding.certainty),
            (Cause::ServerSilent, Certainty::Likely)
        );
        let suggests_a_longer_timeout = finding.evidence.iter().any(|fact| fact.contains("--timeout"));
        (finding.summary, suggests_a_longer_timeout)
    };
    let (far, far_timeout) = judged(1200, 0);
    let (lost, lost_timeout) = judged(5, 2);
    let (silent, silent_timeout) = judged(5, 0);
    assert_eq!((far_timeout, lost_timeout, silent_timeout), (true, false, false));
    assert!(far != lost && far != silent && lost != silent);
}

#[test]
fn an_invalid_certificate_is_not_reported_as_an_unknown_ca() {
    let first_fix = |problem, chain: usize| {
        let mut seen = rejected(problem, PeerCertificate::default());
        seen.tls.handshake.as_mut().unwrap().chain = vec![PeerCertificate::default(); chain];
        judge(&target("rediss://cache.example"), &seen)
            .finding
            .unwrap()
            .fixes[0]
            .kind
    };
    assert_eq!(
        first_fix(CertificateProblem::Invalid("x".into()), 1),
        "certificate"
    );
    assert_eq!(first_fix(CertificateProblem::UnknownIssuer, 2), "ca");
    // An intermediate certificate may be missing.
    assert_eq!(first_fix(CertificateProblem::UnknownIssuer, 1), "ca");
}

#[test]
fn a_missing_certificate_of_an_intermediate_is_the_first_fix_only_if_the_name_shows_one() {
    let first_fix = |issuer: &str| {
        let own = PeerCertificate {
            issuer: issuer.into(),
            ..PeerCertificate::default()
        };
        let seen = rejected(CertificateProblem::UnknownIssuer, own);
        judge(&target("rediss://cache.example"), &seen)
            .finding
            .unwrap()
            .fixes[0]
            .kind
    };
    assert_eq!(first_fix("CN=Shop CA"), "ca");
    assert_eq!(first_fix("CN=Shop Root CA, OU=Issuing"), "ca");
    assert_eq!(first_fix("CN=Shop Intermediate CA"), "chain");
    assert_eq!(first_fix("C=US, O=Let's Encrypt, CN=R11"), "chain");
}

#[test]
fn a_second_fault_of_a_certificate_has_its_own_fact_and_fix() {
    let judged = |names: &[&str], problem| {
        let own = PeerCertificate {
            names: names.iter().map(|&name| name.into()).collect(),
            ends_in: -86_400,
            ..PeerCertificate::default()
        };
        let mut seen = rejected(problem, own);
        let tls = seen.tls.handshake.as_mut().unwrap();
        tls.expected_name = "cache.example".into();
        tls.leads_to_trusted_ca = true;
        let finding = judge(&target("rediss://cache.example"), &seen).finding.unwrap();
        let is_named = finding.fixes.iter().any(|fix| fix.kind == "tls-name");
        (finding.evidence.len(), is_named)
    };
    for problem in [CertificateProblem::Expired, CertificateProblem::UnknownIssuer] {
        let (facts, is_named) = judged(&["CACHE.example"], problem.clone());
        assert!(!is_named);
        assert_eq!(judged(&["*.example"], problem.clone()), (facts, false));
        assert_eq!(judged(&["example", "shop.example"], problem), (facts + 1, true));
    }
}

#[test]
fn an_expired_intermediate_is_not_reported_as_the_age_of_the_servers_own_certificate() {
    let summary = |own, issuer| {
        let certificate = |ends_in| PeerCertificate {
            ends_in,
            ..PeerCertificate::default()
        };
        let mut seen = rejected(CertificateProblem::Expired, certificate(own));
        let mut issuer = certificate(issuer);
        issuer.subject = "CN=Intermediate".into();
        seen.tls.handshake.as_mut().unwrap().chain.push(issuer);
        judge(&target("rediss://cache.example"), &seen)
            .finding
            .unwrap()
            .summary
    };
    assert!(!summary(-3 * 86_400, 86_400).contains("Intermediate"));
    assert!(summary(5 * 86_400, -3 * 86_400).contains("Intermediate"));
}

#[test]
fn advice_about_a_client_certificate_depends_on_the_alert() {
    let kinds = |alert| {
        let mut seen = handshake(TlsResult::Alert(alert), None, None);
        seen.tls.handshake.as_mut().unwrap().client_certificate = Some(PeerCertificate {
            ends_in: 86_400,
            ..PeerCertificate::default()
        });
        let finding = judge(&target("rediss://h"), &seen).finding.unwrap();
        assert_eq!(finding.cause, Cause::TlsClientCert);
        finding.fixes.iter().map(|fix| fix.kind).collect::<Vec<_>>()
    };
    // Only a certificate of a CA that the server does not trust is accepted once the server trusts the CA.
    assert_eq!(
        kinds(Alert::UnknownCA),
        ["client-certificate", "server", "client-certificate"]
    );
    for alert in [
        Alert::CertificateRevoked,
        Alert::AccessDenied,
        Alert::UnsupportedCertificate,
    ] {
        assert_eq!(kinds(alert), ["client-certificate"], "{alert:?}");
    }
}

#[test]
fn a_certificate_of_another_ca_does_not_count_as_the_issuer() {
    let fixes = |sent: &str| {
        let named = |subject: &str, issuer: &str| PeerCertificate {
            subject: subject.into(),
            issuer: issuer.into(),
            ..PeerCertificate::default()
        };
        let own = named("CN=h", "CN=New CA");
        let mut seen = rejected(CertificateProblem::UnknownIssuer, own);
        let chain = &mut seen.tls.handshake.as_mut().unwrap().chain;
        chain.push(named(sent, "CN=Root"));
        judge(&target("rediss://h"), &seen).finding.unwrap().fixes
    };
    let (related, foreign) = (fixes("CN=New CA"), fixes("CN=Old CA"));
    assert!(related[0].kind == "ca" && related[0].text.contains("CN=Root"));
    assert!(foreign[0].kind == "chain" && foreign[1].text.contains("CN=New CA"));
}

#[test]
fn a_url_in_tls_name_is_reduced_to_its_host() {
    let command = |name: &str| {
        let mut seen = handshake(TlsResult::BadName(name.into()), None, None);
        seen.tls.trust.tls_name = Some(name.into());
        judge(&target("rediss://h"), &seen).finding.unwrap().fixes[0]
            .command
            .clone()
    };
    for name in ["rediss://shop.example/0", "shop.example:6379"] {
        assert!(
            command(name).unwrap().contains("--tls-name shop.example "),
            "{name}"
        );
    }
    assert_eq!(command("a b"), None);
}

#[test]
fn a_command_to_paste_accepts_the_same_certificates_as_this_run() {
    let failed = connected().with(|seen| {
        seen.auth.response = Some(reply(
            "-WRONGPASS invalid username-password pair or user is disabled.",
        ));
        seen.tls.trust.is_insecure = true;
        seen.tls.trust.sends_password_insecurely = true;
    });
    let finding = judge(&target("rediss://:wrong@h"), &failed).finding.unwrap();
    let command = finding.fixes[0].command.as_deref().unwrap();
    assert!(command.contains("--insecure --insecure-auth "), "{command}");
    // The certificates must be verified if the command tests them.
    let mut other = rejected(
        CertificateProblem::OtherName,
        PeerCertificate {
            names: vec!["shop.example".into()],
            ..PeerCertificate::default()
        },
    );
    other.tls.trust.is_insecure = true;
    let finding = judge(&target("rediss://h"), &other).finding.unwrap();
    assert!(
        !finding.fixes[0]
            .command
            .as_deref()
            .unwrap()
            .contains("--insecure")
    );
}

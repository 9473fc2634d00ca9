//! TLS handshakes that fail or stall.

use std::time::Duration;

use super::{cause, connected, handshake, reply, target};
use crate::os::PacketCounts;
use crate::ping::causes::Cause;
use crate::ping::observation::{Experiment, Observations, PeerCertificate, TlsResult};
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
    let silent = || Observations {
        ping: Some(Response::Timeout(vec![])),
        ..connected()
    };
    let seen = Observations {
        experiment: hello(Some(reply("+PONG"))),
        ..silent()
    };
    assert_eq!(cause("redis://10.0.3.17", &seen), Some("tls.required"));
    let seen = Observations {
        experiment: hello(Some(Response::NotResp(b"HTTP/1.1 400".to_vec()))),
        ..silent()
    };
    assert_eq!(cause("redis://10.0.3.17", &seen), Some("proto.not_redis"));
}

#[test]
fn each_result_of_a_handshake_has_its_cause() {
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
        (TlsResult::Closed, Some(Response::Closed(vec![])), "proto.closed"),
        (
            TlsResult::InvalidCertificate("CaUsedAsEndEntity".into()),
            None,
            "tls.untrusted",
        ),
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
fn a_missing_client_certificate_in_tls_1_2_is_distinguished_from_a_missing_cipher() {
    let failure = || TlsResult::NothingInCommon("HandshakeFailure".into());
    assert_eq!(
        cause("rediss://h", &handshake(failure(), None, None)),
        Some("tls.version")
    );
    let with_certificate = handshake(failure(), None, Some(PeerCertificate::default()));
    assert_eq!(cause("rediss://h", &with_certificate), Some("tls.client_cert"));
}

#[test]
fn a_handshake_that_works_in_small_packets_has_lost_large_ones() {
    let small = |result| Observations {
        small_packet_handshake: Some(result),
        ..handshake(TlsResult::TimedOut, Some(Response::Timeout(vec![])), None)
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
        seen.tcp_took = Duration::from_millis(tcp_took);
        seen.tls.as_mut().unwrap().packets = Some(PacketCounts {
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
    let finding = |result| {
        let seen = handshake(result, None, Some(PeerCertificate::default()));
        judge(&target("rediss://cache.example"), &seen).finding.unwrap()
    };
    let invalid = finding(TlsResult::InvalidCertificate("CaUsedAsEndEntity".into()));
    assert_eq!(invalid.fixes[0].kind, "certificate");
    let untrusted = finding(TlsResult::Untrusted("UnknownIssuer".into()));
    assert_eq!(untrusted.fixes[0].kind, "ca");
}

#[test]
fn an_expired_intermediate_is_not_reported_as_the_age_of_the_servers_own_certificate() {
    let summary = |ends_in| {
        let certificate = PeerCertificate {
            ends_in,
            ..PeerCertificate::default()
        };
        let seen = handshake(TlsResult::Expired, None, Some(certificate));
        judge(&target("rediss://cache.example"), &seen)
            .finding
            .unwrap()
            .summary
    };
    assert!(summary(-3 * 86_400).contains("3 days"));
    assert!(!summary(86_400).contains("day"));
}

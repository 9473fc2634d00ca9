//! The table of the catalogue: what must be seen for each code. It grows with the catalogue, or does not compile.

use std::time::Duration;

use super::tests::{connected, dial, reply, shaken, target};
use super::{judge, judge_url};
use crate::ping::causes::Cause;
use crate::ping::observation::{
    DialResult, ErrorSource, Experiment, Lookup, NameAnswer, NameServer, Observations, PeerCertificate,
    TlsResult, WriteTest,
};
use crate::ping::response::Response;
use crate::redis_url::Target;

/// What is judged: a URL that cannot be used, or what was seen behind one that can.
enum Judged {
    Url(&'static str),
    Seen(&'static str, Box<Observations>),
}

/// One row for each code of the catalogue: a code without one does not compile.
fn row(cause: Cause) -> Judged {
    const PLAIN: &str = "redis://10.0.3.17";
    const TLS: &str = "rediss://cache.example";
    let seen = |url, seen| Judged::Seen(url, Box::new(seen));
    let dialled = |result| {
        let dials = vec![dial(result)];
        let seen = Observations {
            dials,
            ..Observations::default()
        };
        Judged::Seen(PLAIN, Box::new(seen))
    };
    let named = |answer| {
        let address = "10.0.0.2:53".parse().unwrap();
        let servers = vec![NameServer { address, answer }];
        let dns = Some(Lookup {
            servers,
            ..Lookup::default()
        });
        let seen = Observations {
            dns,
            ..Observations::default()
        };
        Judged::Seen("redis://cache.example", Box::new(seen))
    };
    let shook = |result| Judged::Seen(TLS, Box::new(shaken(result, None, None)));
    let heard = |heard| Observations {
        ping: Some(heard),
        ..connected()
    };
    let said = |answer: &str| Judged::Seen(PLAIN, Box::new(heard(reply(answer))));
    let pong = || heard(reply("+PONG"));
    let login = |answer: &str| Observations {
        login: Some(reply(answer)),
        ..connected()
    };
    let serving = |fields: &[(&str, &str)]| {
        let mut seen = pong();
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        seen.server.fields = fields.collect();
        Judged::Seen(PLAIN, Box::new(seen))
    };
    let refused = |answer: &str| {
        let rehearsal = WriteTest {
            queued: vec![("HSET", reply(answer))],
            executed: reply("-EXECABORT"),
        };
        let seen = Observations {
            write_test: Some(rehearsal),
            ..pong()
        };
        Judged::Seen(PLAIN, Box::new(seen))
    };
    match cause {
        Cause::UrlInvalid => Judged::Url("redis://cache.example:port"),
        Cause::UrlScheme => Judged::Url("http://cache.example:6379"),
        Cause::UrlEncoding => Judged::Url("redis://:Plo#ver@cache.example"),
        Cause::UrlSuspect => seen("redis://secret@10.0.3.17", pong()),
        Cause::DnsNotFound => named(NameAnswer::NotFound),
        Cause::DnsNoAddress => named(NameAnswer::NoAddress),
        Cause::DnsTimeout => named(NameAnswer::Timeout),
        Cause::DnsServerFailure => named(NameAnswer::Refused("SERVFAIL".into())),
        Cause::DnsPartial => {
            let mut partly = pong();
            partly.dials.push(dial(DialResult::Timeout { syns: Some(2) }));
            seen("redis://cache.example", partly)
        }
        Cause::TcpTimeout => dialled(DialResult::Timeout { syns: Some(3) }),
        Cause::TcpRefused => dialled(DialResult::Refused),
        Cause::TcpUnreachable => dialled(DialResult::NoRoute),
        Cause::TcpProhibited => dialled(DialResult::Prohibited(ErrorSource::ThisHost(
            "permission denied".into(),
        ))),
        Cause::TlsRequired => {
            let hello = Experiment::ClientHello {
                result: TlsResult::Established,
                inside: Some(reply("+PONG")),
            };
            let silent = Observations {
                experiment: Some(hello),
                ..heard(Response::Timeout(vec![]))
            };
            seen(PLAIN, silent)
        }
        Cause::TlsNotOffered => seen(TLS, shaken(TlsResult::TimedOut, Some(reply("+PONG")), None)),
        Cause::TlsUntrusted => shook(TlsResult::Untrusted("UnknownIssuer".into())),
        Cause::TlsNameMismatch => shook(TlsResult::OtherName),
        Cause::TlsExpired => shook(TlsResult::Expired),
        Cause::TlsVersion => shook(TlsResult::NothingInCommon("ProtocolVersion".into())),
        Cause::TlsClientCert => shook(TlsResult::ClientCertificate("CertificateRequired".into())),
        Cause::TlsStalled => seen(
            TLS,
            shaken(TlsResult::TimedOut, Some(Response::Reset(vec![])), None),
        ),
        Cause::TlsExpiresSoon => {
            let certificate = PeerCertificate {
                ends_in: 5 * 86_400,
                ..PeerCertificate::default()
            };
            let shaken = shaken(TlsResult::Established, None, Some(certificate));
            let soon = Observations {
                ping: Some(reply("+PONG")),
                ..shaken
            };
            seen(TLS, soon)
        }
        Cause::AuthRequired => said("-NOAUTH Authentication required."),
        Cause::AuthFailed => seen("redis://:p@10.0.3.17", login("-WRONGPASS invalid pair")),
        Cause::AuthNotConfigured => seen(
            "redis://:p@10.0.3.17",
            login("-ERR AUTH <password> called without any password configured for the default user."),
        ),
        Cause::AuthNoPermission => refused("-NOPERM this user has no permissions"),
        Cause::AuthPlaintext => seen("redis://:p@10.0.3.17", pong()),
        Cause::ProtoNotRedis => seen(PLAIN, heard(Response::NotResp(b"SSH-2.0-x".to_vec()))),
        Cause::ProtoClosed => seen(PLAIN, heard(Response::Closed(vec![]))),
        Cause::ServerSilent => seen(PLAIN, heard(Response::Timeout(vec![]))),
        Cause::ServerMaxClients => said("-ERR max number of clients reached"),
        Cause::ServerProtectedMode => said("-DENIED Redis is running in protected mode"),
        Cause::ServerLoading => said("-LOADING Redis is loading the dataset in memory"),
        Cause::ServerBusy => said("-BUSY Redis is busy running a script"),
        Cause::ServerOutOfMemory => refused("-OOM command not allowed when used memory > 'maxmemory'."),
        Cause::ServerMisconf => said("-MISCONF Redis is configured to save RDB snapshots"),
        Cause::ServerNoReplicas => refused("-NOREPLICAS Not enough good replicas to write."),
        Cause::ServerEviction => serving(&[
            ("maxmemory", "1000000"),
            ("used_memory", "1000"),
            ("maxmemory_policy", "allkeys-lru"),
        ]),
        Cause::RoleReplica => refused("-READONLY You can't write against a read only replica."),
        Cause::RoleMasterDown => said("-MASTERDOWN Link with MASTER is down"),
        Cause::RoleSentinel => serving(&[("redis_mode", "sentinel")]),
        Cause::ClusterMode => serving(&[("cluster_enabled", "1")]),
        Cause::ClusterDown => refused("-CLUSTERDOWN Hash slot not served"),
        Cause::ClusterUnreachableNodes => {
            let mut announced = pong();
            announced.server.cluster_state = Some("ok".into());
            announced.announced = vec![dial(DialResult::Refused)];
            seen(PLAIN, announced)
        }
        Cause::DbIndex => {
            let refused = Observations {
                select: Some(reply("-ERR DB index is out of range")),
                ..pong()
            };
            seen("redis://10.0.3.17/99", refused)
        }
        Cause::LatencyHigh => {
            let slow = Observations {
                round_trips: vec![Duration::from_millis(40); 5],
                ..pong()
            };
            seen(PLAIN, slow)
        }
        Cause::LatencyJitter => {
            let mut uneven = pong();
            uneven.round_trips = vec![Duration::from_millis(1); 5];
            uneven.round_trips[2] = Duration::from_millis(80);
            seen(PLAIN, uneven)
        }
    }
}

#[test]
fn every_code_of_the_catalogue_is_reached_with_evidence_and_with_something_to_do() {
    for code in Cause::ALL.iter().copied() {
        let verdict = match row(code) {
            Judged::Url(url) => judge_url(&Target::parse(url).unwrap_err()),
            Judged::Seen(url, seen) => judge(&target(url), &seen),
        };
        let fixes = match &verdict.finding {
            Some(finding) => {
                assert_eq!(finding.cause, code, "{}", finding.summary);
                assert!(
                    !finding.summary.is_empty() && !finding.evidence.is_empty(),
                    "{code:?}"
                );
                &finding.fixes
            }
            None => {
                let codes: Vec<Cause> = verdict.warnings.iter().map(|warning| warning.cause).collect();
                let at = codes.iter().position(|warned| *warned == code);
                &verdict.warnings[at.unwrap_or_else(|| panic!("{code:?} is not in {codes:?}"))].fixes
            }
        };
        assert!(!fixes.is_empty(), "{code:?} says nothing to do");
        assert!(
            fixes
                .iter()
                .all(|fix| !fix.kind.is_empty() && !fix.text.is_empty()),
            "{code:?}"
        );
    }
}

#[test]
fn a_verdict_depends_on_nothing_but_what_was_seen() {
    for code in Cause::ALL.iter().copied() {
        if let Judged::Seen(url, seen) = row(code) {
            let judged = || format!("{:?}", judge(&target(url), &seen));
            assert_eq!(judged(), judged());
        }
    }
}

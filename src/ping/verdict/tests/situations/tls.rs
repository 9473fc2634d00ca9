//! Lists examples with TLS handshakes and certificates.

use super::*;

fn certificate() -> PeerCertificate {
    PeerCertificate {
        names: vec!["shop.example".into(), "*.shop.example".into()],
        subject: "CN=shop.example".into(),
        issuer: "CN=Example CA".into(),
        begins_in: -86_400,
        ends_in: 90 * 86_400,
        ..PeerCertificate::default()
    }
}

fn tls(result: TlsResult) -> Observations {
    handshake(result, None, Some(certificate()))
}

fn tls_change(mut seen: Observations, change: impl FnOnce(&mut Handshake)) -> Observations {
    change(seen.tls.handshake.as_mut().unwrap());
    seen
}

fn wider_offer(version: ProtocolVersion, cipher_suite: &str, unsupported: Option<&str>) -> Observations {
    let certificate = PeerCertificate {
        unsupported: unsupported.map(str::to_owned),
        ..certificate()
    };
    handshake(TlsResult::Alert(AlertDescription::HandshakeFailure), None, None).with(|seen| {
        seen.tls.wider_offer = Some(WiderOffer {
            version,
            cipher_suite: cipher_suite.into(),
            group: Some(NamedGroup::secp256r1),
            certificate: Some(certificate),
        });
    })
}

pub(super) fn tls_required() -> Vec<Situation> {
    let alone = ping(Response::Closed(vec![])).with(|seen| {
        seen.experiments.other_protocol =
            Some(Experiment::NotConnected(DialResult::Timeout { syns: Some(2) }));
    });
    vec![
        seen(
            "no reply",
            IP_WITH_LOGIN,
            second_connection(TlsResult::Established, ping(Response::Timeout(vec![]))),
        ),
        seen(
            "closed",
            IP,
            second_connection(TlsResult::Established, ping(Response::Closed(vec![]))),
        ),
        seen("no second connection", IP, alone),
    ]
}

pub(super) fn tls_not_offered() -> Vec<Situation> {
    let alone = handshake(TlsResult::TimedOut, None, None).with(|seen| {
        seen.experiments.other_protocol =
            Some(Experiment::NotConnected(DialResult::Timeout { syns: Some(2) }));
    });
    vec![
        seen("no reply", TLS, tls_timeout(reply("+PONG"))),
        seen(
            "closed",
            TLS,
            handshake(
                TlsResult::Closed,
                Some(reply("-NOAUTH Authentication required.")),
                None,
            ),
        ),
        seen(
            "not TLS",
            TLS,
            handshake(TlsResult::NotTls, Some(reply("+PONG")), None),
        ),
        seen(
            "not TLS, and a second connection is closed",
            TLS,
            handshake(TlsResult::NotTls, Some(Response::Closed(vec![])), None),
        ),
        seen("no second connection", TLS, alone),
    ]
}

pub(super) fn tls_untrusted() -> Vec<Situation> {
    let problem = |problem| rejected(problem, certificate());
    let self_signed = PeerCertificate {
        is_self_signed: true,
        ..certificate()
    };
    let not_permitted = tls_change(problem(CertificateProblem::NotPermitted), |tls| {
        tls.leads_to_trusted_ca = true;
    });
    let chain = tls_change(problem(CertificateProblem::UnknownIssuer), |tls| {
        tls.chain.push(PeerCertificate {
            subject: "CN=Example CA".into(),
            issuer: "CN=Example Root".into(),
            ..certificate()
        });
    });
    let foreign = tls_change(problem(CertificateProblem::UnknownIssuer), |tls| {
        tls.chain.push(PeerCertificate {
            subject: "CN=Old CA".into(),
            issuer: "CN=Example Root".into(),
            ..certificate()
        });
    });
    let variable = |fault: Option<&str>, count| {
        let found = problem(if count == 0 {
            CertificateProblem::NoTrustedCa
        } else {
            CertificateProblem::UnknownIssuer
        });
        let fault = fault.map(str::to_owned);
        tls_change(found, |tls| {
            tls.trusted = TrustedCas {
                count,
                variable: Some(("SSL_CERT_FILE", "/etc/roots.pem".into())),
                fault,
            };
        })
    };
    let insecure = tls_change(problem(CertificateProblem::UnknownIssuer), |tls| {
        tls.result = TlsResult::Established;
    })
    .with(|seen| seen.ping.response = Some(reply("+PONG")));
    let insecure_login = insecure.clone().with(|seen| {
        seen.auth.is_password_withheld = true;
        seen.ping.response = Some(reply("-NOAUTH Authentication required."));
    });
    vec![
        seen("one certificate", TLS, problem(CertificateProblem::UnknownIssuer)),
        seen("a chain", TLS, chain),
        seen("a chain with a certificate of another CA", TLS, foreign),
        seen("a name that the CA may not sign", TLS, not_permitted),
        seen(
            "a CA that may not sign",
            TLS,
            problem(CertificateProblem::InvalidIssuer(
                "a CA in the chain is not permitted to sign the certificate of another CA (basicConstraints pathlen)"
                    .into(),
            )),
        ),
        seen(
            "self-signed",
            TLS,
            rejected(CertificateProblem::UnknownIssuer, self_signed),
        ),
        seen("another key", TLS, problem(CertificateProblem::WrongSignature)),
        seen(
            "not for servers",
            TLS,
            problem(CertificateProblem::Invalid(
                "the certificate's extendedKeyUsage does not include serverAuth".into(),
            )),
        ),
        seen(
            "no CA",
            TLS,
            tls_change(problem(CertificateProblem::NoTrustedCa), |tls| {
                tls.trusted.count = 0;
            }),
        ),
        seen("no file", TLS, variable(Some("cannot be read: no such file"), 0)),
        seen("another file", TLS, variable(None, 1)),
        seen(
            "no certificate",
            TLS,
            tls_change(handshake(TlsResult::CertificateRejected, None, None), |tls| {
                tls.certificate_problem = Some(CertificateProblem::Missing);
            }),
        ),
        seen(
            "a wrong option",
            TLS,
            handshake(TlsResult::Unusable("--ca x.pem: no such file".into()), None, None),
        ),
        seen("--insecure", TLS, insecure),
        seen("--insecure without the password", TLS, insecure_login),
    ]
}

pub(super) fn tls_unsupported() -> Vec<Situation> {
    let unsupported = |what: &str| rejected(CertificateProblem::Unsupported(what.into()), certificate());
    vec![
        seen(
            "an RSA key",
            TLS,
            unsupported("the server's certificate has an RSA key of 1024 bits"),
        ),
        seen(
            "a curve",
            TLS,
            wider_offer(
                ProtocolVersion::TLSv1_3,
                "TLS_AES_256_GCM_SHA384",
                Some("a key on the curve P-521"),
            ),
        ),
        seen(
            "CBC",
            TLS,
            wider_offer(
                ProtocolVersion::TLSv1_2,
                "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
                None,
            ),
        ),
    ]
}

pub(super) fn tls_name_mismatch() -> Vec<Situation> {
    let listing = |name: &str, expected: &str| {
        let certificate = PeerCertificate {
            names: vec![name.to_owned()],
            ..certificate()
        };
        tls_change(rejected(CertificateProblem::OtherName, certificate), |tls| {
            tls.expected_name = expected.to_owned();
        })
    };
    let other = "10.0.3.18:6379".parse().unwrap();
    let one_address = rejected(CertificateProblem::OtherName, certificate()).with(|seen| {
        seen.tcp.dials.push(Dial {
            to: Endpoint::Ip(other),
            ..dial(DialResult::Connected)
        });
        seen.experiments.second_look = Some(SecondLook {
            address: other,
            result: SecondResult::Handshake(Some(TlsResult::Established)),
        });
    });
    vec![
        seen(
            "other names",
            TLS,
            rejected(CertificateProblem::OtherName, certificate()),
        ),
        seen(
            "an address as a DNS name",
            "rediss://10.0.3.17",
            listing("10.0.3.17", "10.0.3.17"),
        ),
        seen(
            "another name in --tls-name",
            TLS,
            listing("cache.example", "other.example")
                .with(|seen| seen.tls.trust.tls_name = Some("other.example".into())),
        ),
        seen(
            "an alert",
            TLS,
            handshake(TlsResult::Alert(AlertDescription::UnrecognisedName), None, None),
        ),
        seen(
            "an alert without a name",
            TLS,
            tls_change(
                handshake(TlsResult::Alert(AlertDescription::UnrecognisedName), None, None),
                |tls| tls.expected_name = "10.0.3.17".into(),
            ),
        ),
        seen(
            "an impossible name",
            TLS,
            handshake(TlsResult::BadName("not a name".into()), None, None),
        ),
        seen(
            "a URL in --tls-name",
            TLS,
            handshake(TlsResult::BadName("rediss://shop.example".into()), None, None)
                .with(|seen| seen.tls.trust.tls_name = Some("rediss://shop.example".into())),
        ),
        seen(
            "an identity that is not a host name",
            TLS,
            rejected(
                CertificateProblem::OtherName,
                PeerCertificate {
                    names: vec![],
                    other_names: vec!["URI:spiffe://shop/redis".into()],
                    ..certificate()
                },
            ),
        ),
        seen("at one of two addresses", TLS, one_address),
    ]
}

pub(super) fn tls_expired() -> Vec<Situation> {
    let dated = |problem, begins_in, ends_in| {
        let certificate = PeerCertificate {
            begins_in,
            ends_in,
            ..certificate()
        };
        tls_change(rejected(problem, certificate), |tls| {
            tls.leads_to_trusted_ca = true;
        })
    };
    let expired = || dated(CertificateProblem::Expired, -90_000, -7200);
    let clock = |ahead, seen: Observations| seen.with(|seen| seen.tls.server_clock_ahead = Some(ahead));
    let issuer = tls_change(dated(CertificateProblem::Expired, -90_000, 90_000), |tls| {
        tls.chain.push(PeerCertificate {
            subject: "CN=Example Intermediate".into(),
            ends_in: -7200,
            ..certificate()
        });
    });
    vec![
        seen("the server's", TLS, expired()),
        seen("clocks agree", TLS, clock(0, expired())),
        seen("clock ahead", TLS, clock(-10_000, expired())),
        seen("an issuer's", TLS, issuer),
        seen(
            "not yet",
            TLS,
            dated(CertificateProblem::NotValidYet, 90_000, 900_000),
        ),
    ]
}

pub(super) fn tls_version() -> Vec<Situation> {
    vec![
        seen(
            "a version",
            TLS,
            handshake(TlsResult::Alert(AlertDescription::ProtocolVersion), None, None),
        ),
        seen(
            "an old version",
            TLS,
            wider_offer(ProtocolVersion::TLSv1_0, "TLS_RSA_WITH_AES_128_CBC_SHA", None),
        ),
        seen(
            "another alert",
            TLS,
            handshake(TlsResult::Alert(AlertDescription::InternalError), None, None),
        ),
        seen(
            "ALPN",
            TLS,
            handshake(
                TlsResult::Alert(AlertDescription::NoApplicationProtocol),
                None,
                None,
            ),
        ),
        seen(
            "a pre-shared key",
            TLS,
            handshake(TlsResult::Alert(AlertDescription::UnknownPSKIdentity), None, None),
        ),
        seen(
            "a violation",
            TLS,
            handshake(TlsResult::Misbehaved("a wrong message".into()), None, None),
        ),
    ]
}

pub(super) fn tls_client_cert() -> Vec<Situation> {
    let alert = |alert, client_certificate: Option<PeerCertificate>| {
        tls_change(tls(TlsResult::Alert(alert)), |tls| {
            tls.client_certificate = client_certificate;
            tls.client_certificate_request = Some(vec!["CN=Example CA".into()]);
        })
    };
    let foreign = || PeerCertificate {
        issuer: "CN=Another CA".into(),
        ..certificate()
    };
    vec![
        seen(
            "required",
            TLS,
            alert(AlertDescription::CertificateRequired, None),
        ),
        seen(
            "another CA",
            TLS,
            alert(AlertDescription::UnknownCA, Some(foreign())),
        ),
        seen(
            "expired",
            TLS,
            alert(
                AlertDescription::CertificateExpired,
                Some(PeerCertificate {
                    ends_in: -90_000,
                    ..certificate()
                }),
            ),
        ),
        seen(
            "revoked",
            TLS,
            alert(AlertDescription::CertificateRevoked, Some(certificate())),
        ),
        seen(
            "not permitted",
            TLS,
            alert(AlertDescription::AccessDenied, Some(certificate())),
        ),
        seen(
            "not for clients",
            TLS,
            alert(AlertDescription::UnsupportedCertificate, Some(certificate())),
        ),
        seen(
            "a wrong option",
            TLS,
            handshake(
                TlsResult::Unusable("--key x.pem: no such file".into()),
                None,
                None,
            ),
        ),
    ]
}

pub(super) fn tls_stalled() -> Vec<Situation> {
    let one_backend = tls_timeout(Response::Timeout(vec![]))
        .with(|seen| seen.tls.second_handshake = Some(TlsResult::Established));
    let small = tls_timeout(Response::Timeout(vec![])).with(|seen| {
        seen.experiments.packet_sizes = Some(PacketSizes {
            passed: 1396,
            lost: 1404,
        });
        seen.tls.small_packet_handshake = Some(TlsResult::Established);
    });
    let far = tls_timeout(Response::Reset(vec![])).with(|seen| {
        seen.tcp.took = Duration::from_millis(1600);
        seen.tls.handshake.as_mut().unwrap().packets = Some(PacketCounts {
            unacknowledged: 1,
            ..PacketCounts::default()
        });
    });
    let mut not_by_size = handshake(TlsResult::TimedOut, None, None);
    not_by_size.tls.small_packet_handshake = Some(TlsResult::TimedOut);
    vec![
        seen("small packets get through", TLS, small),
        seen("one of two servers", TLS, one_backend),
        seen(
            "plain text is rejected",
            TLS,
            tls_timeout(Response::Reset(vec![])),
        ),
        seen(
            "no second connection",
            TLS,
            handshake(TlsResult::TimedOut, None, None),
        ),
        seen("far away", TLS, far),
        seen("in small packets too", TLS, not_by_size),
    ]
}

pub(super) fn tls_expires_soon() -> Vec<Situation> {
    let mut soon = tls(TlsResult::Established).with(|seen| seen.ping.response = Some(reply("+PONG")));
    soon.tls.handshake.as_mut().unwrap().chain[0].ends_in = 5 * 86_400;
    vec![seen("in 5 days", TLS, soon)]
}

//! Situations that lead to each cause and warning, and the report on each of them.
//!
//! A cause without a situation does not compile. The wording is in `tests/golden/causes/`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::{AlertDescription, NamedGroup, ProtocolVersion};

use super::{connected, dial, handshake, rejected, reply, target};
use crate::exit::Exit;
use crate::golden::{assert_golden, assert_golden_at};
use crate::os::{Icmp, PacketCounts};
use crate::ping::causes::Cause;
use crate::ping::instance::Instance;
use crate::ping::observation::{
    CertificateProblem, CompletedName, Dial, DialResult, Echo, Endpoint, ErrorSource, Exchange, Experiment,
    FileLine, Handshake, HostsEntry, IdleEnd, IdleTest, IdleTrial, Lookup, NameAnswer, NameServer,
    Observations, PacketSizes, PeerCertificate, Repeat, TlsResult, TrustedCas, WiderOffer, WriteTest,
};
use crate::ping::report::text::{self, ReportLine};
use crate::ping::response::Response;
use crate::ping::this_host::{LocalListener, LocalPorts, Nearness, ThisHost};
use crate::ping::verdict::tests::consistency::contradictions;
use crate::ping::verdict::{Verdict, judge, judge_url};
use crate::redis_url::Target;

/// A URL with the observations for it, or `None` if the URL itself is unusable.
struct Situation {
    title: &'static str,
    url: &'static str,
    seen: Option<Box<Observations>>,
}

impl Situation {
    fn judge(&self) -> Verdict {
        match &self.seen {
            Some(seen) => judge(&target(self.url), seen),
            None => judge_url(&Target::parse(self.url).unwrap_err()),
        }
    }

    /// Returns the text of the report before its lines are wrapped.
    fn report(&self) -> String {
        let verdict = self.judge();
        let headline = match &self.seen {
            Some(seen) => text::headline(&target(self.url), seen, &verdict),
            None => text::url_headline(verdict.finding.as_ref().unwrap()),
        };
        let mut report = String::new();
        for line in [vec![headline], text::details(&verdict)].concat() {
            match line {
                ReportLine::Words { lead, text, .. } => writeln!(report, "{lead}{text}").unwrap(),
                ReportLine::Whole(line) => writeln!(report, "{line}").unwrap(),
            }
        }
        report
    }
}

const IP: &str = "redis://10.0.3.17";
const IP_WITH_LOGIN: &str = "redis://ada:Plover-4417@10.0.3.17";
const NAME: &str = "redis://cache.example";
const TLS: &str = "rediss://cache.example";
const SOCKET: &str = "unix:///run/redis.sock";

fn bad_url(title: &'static str, url: &'static str) -> Situation {
    Situation {
        title,
        url,
        seen: None,
    }
}

fn seen(title: &'static str, url: &'static str, mut seen: Observations) -> Situation {
    // PING comes after the login.
    if matches!(seen.ping.response, Some(Response::Reply(_)))
        && seen.auth.response.is_none()
        && target(url).password.is_some()
    {
        seen.auth.response = Some(reply("+OK"));
    }
    let seen = Some(Box::new(seen));
    Situation { title, url, seen }
}

fn lookup(lookup: Lookup) -> Observations {
    Observations::default().with(|seen| seen.dns = Some(lookup))
}

/// A name server that replied at once or, to no query, within 2 seconds.
pub(super) fn name_server(address: SocketAddr, answer: NameAnswer) -> NameServer {
    let took = if answer == NameAnswer::Timeout { 2000 } else { 2 };
    NameServer {
        address,
        answer,
        silent_about: None,
        took: Duration::from_millis(took),
    }
}

fn resolved(title: &'static str, answer: NameAnswer) -> Situation {
    let address = "10.0.0.2:53".parse().unwrap();
    let servers = vec![name_server(address, answer)];
    seen(
        title,
        NAME,
        lookup(Lookup {
            servers,
            ..Lookup::default()
        }),
    )
}

fn dialled(result: DialResult) -> Observations {
    Observations::default().with(|seen| seen.tcp.dials = vec![dial(result)])
}

fn socket(result: DialResult) -> Observations {
    Observations::default().with(|seen| {
        seen.tcp.dials = vec![Dial {
            to: Endpoint::Named("/run/redis.sock".into()),
            ..dial(result)
        }];
    })
}

fn from_here(nearness: Nearness, seen: Observations) -> Observations {
    let this_host = Some(ThisHost {
        nearness,
        ..ThisHost::default()
    });
    seen.with(|seen| seen.this_host = this_host)
}

fn icmp(code: u8) -> ErrorSource {
    ErrorSource::Icmp(Icmp {
        v6: false,
        kind: 3,
        code,
        from: Some("10.0.3.1".parse().unwrap()),
    })
}

const SILENCE: DialResult = DialResult::Timeout { syns: Some(3) };

/// Returns observations of a timeout on this host, with the given listener on the port.
fn silence_here(listeners: Vec<LocalListener>) -> Observations {
    listened_here(listeners, dialled(SILENCE))
}

fn listened_here(listeners: Vec<LocalListener>, seen: Observations) -> Observations {
    let mut seen = from_here(Nearness::Loopback, seen);
    seen.this_host.as_mut().unwrap().listeners = Some(listeners);
    seen
}

/// Returns a listener on the port, on this host.
pub(super) fn listener(process: &str, address: &str, waiting: u32) -> LocalListener {
    LocalListener {
        address: address.parse().unwrap(),
        waiting,
        process: Some(process.into()),
    }
}

fn ping(response: Response) -> Observations {
    connected().with(|seen| {
        seen.ping.response = Some(response);
        seen.ping.took = Duration::from_secs(3);
    })
}

fn error(reply_text: &str) -> Observations {
    ping(reply(reply_text))
}

fn login(reply_text: &str) -> Observations {
    connected().with(|seen| seen.auth.response = Some(reply(reply_text)))
}

fn pong() -> Observations {
    ping(reply("+PONG"))
}

fn fields(fields: &[(&str, &str)]) -> Arc<BTreeMap<String, String>> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Arc::new(fields.iter().map(owned).collect())
}

fn info(info: &[(&str, &str)]) -> Observations {
    let mut seen = pong();
    seen.server.fields = fields(info);
    seen
}

fn read(reply_text: &str) -> Observations {
    pong().with(|seen| seen.requests.read = Some(reply(reply_text)))
}

/// Returns observations of a connection that got no reply to a command after PONG. A second connection got replies to
/// the commands in `answered`, and then failed in the same way.
fn stopped(
    command: &'static str,
    response: Response,
    answered: &[&'static str],
    then: &'static str,
) -> Observations {
    let exchange = |command, response| Exchange { command, response };
    let mut exchanges: Vec<_> = answered
        .iter()
        .map(|command| exchange(*command, reply("+PONG")))
        .collect();
    exchanges.push(exchange(then, response.clone()));
    pong().with(|seen| {
        seen.requests.stopped_at = Some(exchange(command, response));
        seen.requests.took = Duration::from_secs(2);
        seen.experiments.repeat = Some(Repeat { exchanges });
    })
}

fn write_refused(reply_text: &str) -> Observations {
    pong().with(|seen| {
        seen.write_test = Some(WriteTest {
            queued: vec![("HSET", reply(reply_text))],
            executed: reply("-EXECABORT Transaction discarded because of previous errors."),
        });
    })
}

fn permissions(replies: &[(&'static str, &str)]) -> Observations {
    let mut seen = pong();
    seen.write_test = Some(WriteTest {
        queued: Vec::new(),
        executed: reply("-EXECABORT Transaction discarded because of: NOPERM no permission"),
    });
    seen.permissions = replies.iter().map(|(name, text)| (*name, reply(text))).collect();
    seen
}

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

fn tls_timeout(plain_ping: Response) -> Observations {
    handshake(TlsResult::TimedOut, Some(plain_ping), None)
}

fn packets(unacknowledged: u32, out_of_order: u32, mut seen: Observations) -> Observations {
    seen.packets = Some(PacketCounts {
        unacknowledged,
        out_of_order,
    });
    seen
}

fn second_connection(result: TlsResult, seen: Observations) -> Observations {
    let experiment = Some(Experiment::ClientHello { result, inside: None });
    seen.with(|seen| seen.experiments.other_protocol = experiment)
}

#[allow(clippy::too_many_lines, reason = "one arm for each cause")]
fn situations(cause: Cause) -> Vec<Situation> {
    match cause {
        Cause::UrlInvalid => vec![
            bad_url("a port that is not a number", "redis://cache.example:port"),
            bad_url("no scheme", "cache.example:6379"),
        ],
        Cause::UrlScheme => vec![bad_url("a web page", "http://cache.example:6379")],
        Cause::UrlEncoding => vec![bad_url("# in the password", "redis://:Plo#ver@cache.example")],
        Cause::UrlSuspect => vec![
            seen("a user without a password", "redis://secret@10.0.3.17", pong()),
            seen("options", "redis://10.0.3.17?socket_timeout=3", pong()),
        ],
        Cause::DnsNotFound => {
            let files_only = Lookup {
                servers: vec![name_server(
                    "10.0.0.2:53".parse().unwrap(),
                    NameAnswer::Addresses(vec!["10.0.3.17".parse().unwrap()]),
                )],
                nsswitch: Some(FileLine {
                    number: 7,
                    text: "hosts: files".into(),
                }),
                ..Lookup::default()
            };
            vec![
                resolved("NXDOMAIN", NameAnswer::NotFound),
                resolved(
                    "a dangling alias",
                    NameAnswer::DanglingAlias("old.example".into()),
                ),
                seen(
                    "a name of a container network",
                    "redis://redis",
                    *resolved("", NameAnswer::NotFound).seen.unwrap(),
                ),
                seen("a source other than DNS", NAME, lookup(files_only)),
                resolved(
                    "the resolver does not ask the server that knows",
                    NameAnswer::Addresses(vec!["10.0.3.17".parse().unwrap()]),
                ),
            ]
        }
        Cause::DnsNoAddress => vec![
            resolved("no A or AAAA record", NameAnswer::NoAddress),
            seen(
                "a name of the other family",
                NAME,
                lookup(Lookup {
                    addresses: vec!["10.0.3.17".parse().unwrap()],
                    ..Lookup::default()
                }),
            ),
            seen("an address of the other family", IP, Observations::default()),
        ],
        Cause::DnsTimeout => vec![
            resolved("no reply", NameAnswer::Timeout),
            resolved(
                "unreachable",
                NameAnswer::Unreachable("connection refused".into()),
            ),
            seen(
                "a stopped resolver on this host",
                NAME,
                lookup(Lookup {
                    servers: vec![name_server(
                        "127.0.0.53:53".parse().unwrap(),
                        NameAnswer::Unreachable("connection refused".into()),
                    )],
                    ..Lookup::default()
                }),
            ),
            resolved(
                "a rule of this host",
                NameAnswer::Blocked("operation not permitted".into()),
            ),
            seen(
                "a short wait",
                NAME,
                lookup(Lookup {
                    system_timed_out: true,
                    took: Duration::from_millis(900),
                    ..Lookup::default()
                }),
            ),
            seen(
                "no resolver configured",
                NAME,
                lookup(Lookup {
                    fault: Some("Temporary failure in name resolution".into()),
                    is_unconfigured: true,
                    ..Lookup::default()
                }),
            ),
        ],
        Cause::DnsServerFailure => vec![
            resolved("SERVFAIL", NameAnswer::Refused("SERVFAIL".into())),
            resolved("nonsense", NameAnswer::Malformed),
        ],
        Cause::DnsSlow => {
            let slow = |servers: Vec<NameServer>, system_timed_out| {
                let mut seen = pong();
                seen.dns = Some(Lookup {
                    addresses: vec!["10.0.3.17".parse().unwrap()],
                    servers,
                    system_timed_out,
                    took: Duration::from_millis(2004),
                    ..Lookup::default()
                });
                seen
            };
            let found = || NameAnswer::Addresses(vec!["10.0.3.17".parse().unwrap()]);
            let (first, second) = ("10.0.0.2:53".parse().unwrap(), "10.0.0.3:53".parse().unwrap());
            let mut no_aaaa = name_server(first, found());
            no_aaaa.silent_about = Some("AAAA");
            let mut late = name_server(first, found());
            late.took = Duration::from_millis(1500);
            vec![
                seen(
                    "the first of two name servers does not reply",
                    NAME,
                    slow(
                        vec![
                            name_server(first, NameAnswer::Timeout),
                            name_server(second, found()),
                        ],
                        false,
                    ),
                ),
                seen("no reply to AAAA queries", NAME, slow(vec![no_aaaa], true)),
                seen("a slow name server", NAME, slow(vec![late], false)),
                seen(
                    "another reason",
                    NAME,
                    slow(vec![name_server(first, found())], true),
                ),
            ]
        }
        Cause::DnsSearch => {
            let mut completed = pong();
            completed.dns = Some(Lookup {
                addresses: vec!["10.0.3.17".parse().unwrap()],
                completed: Some(CompletedName {
                    name: "cache.staging.example".into(),
                    search: FileLine {
                        number: 2,
                        text: "search staging.example".into(),
                    },
                }),
                ..Lookup::default()
            });
            vec![seen("a short name", "redis://cache", completed)]
        }
        Cause::TcpNoLocalPort => {
            let ports = |first, last, open, time_wait| {
                let mut seen = from_here(Nearness::SameNetwork, dialled(DialResult::NoLocalPort));
                seen.this_host.as_mut().unwrap().local_ports = Some(LocalPorts {
                    first,
                    last,
                    open,
                    time_wait,
                });
                seen
            };
            vec![
                seen("a narrow range", IP, ports(40_000, 40_099, 100, 0)),
                seen("the default range", IP, ports(32_768, 60_999, 31, 28_201)),
            ]
        }
        Cause::LocalOpenFiles => {
            let too_low = Observations::default().with(|seen| seen.open_file_limit = Some(8));
            vec![
                seen("before the first check", IP, too_low),
                seen("a socket", IP, dialled(DialResult::TooManyFiles)),
            ]
        }
        Cause::PathLoss => {
            let lossy = |retransmissions, connecting| {
                pong().with(|seen| {
                    seen.retransmissions = retransmissions;
                    seen.tcp.took = Duration::from_millis(connecting);
                })
            };
            vec![
                seen("a lost SYN", IP, lossy(1, 1020)),
                seen("a lost packet", IP, lossy(1, 2)),
                seen("many lost packets", IP, lossy(7, 2)),
            ]
        }
        Cause::DnsPartial => {
            let mut partly = pong();
            partly.tcp.dials.push(dial(DialResult::Timeout { syns: Some(2) }));
            vec![seen("one of two addresses", NAME, partly)]
        }
        Cause::TcpTimeout => {
            let mut on_ec2 = from_here(Nearness::SameNetwork, dialled(SILENCE));
            on_ec2.this_host.as_mut().unwrap().instance = Some(Instance {
                region: "eu-central-1".into(),
                groups: vec!["sg-0123456789abcdef0".into()],
                ..Instance::default()
            });
            let short = Dial {
                took: Duration::from_millis(300),
                ..dial(DialResult::Timeout { syns: Some(1) })
            };
            let single_syn = Observations::default().with(|seen| seen.tcp.dials = vec![short]);
            vec![
                seen(
                    "a private network",
                    IP_WITH_LOGIN,
                    from_here(Nearness::ForeignPrivate, dialled(SILENCE)),
                ),
                seen("on EC2", IP, on_ec2),
                seen(
                    "an ElastiCache name",
                    "redis://shop.x1y2z3.ng.0001.use1.cache.amazonaws.com",
                    from_here(Nearness::ForeignPrivate, dialled(SILENCE)),
                ),
                seen(
                    "a name of another provider",
                    "rediss://shop.redis.cache.windows.net:6380",
                    from_here(Nearness::Public, dialled(SILENCE)),
                ),
                seen(
                    "a port typo",
                    "redis://10.0.3.17:6739",
                    from_here(Nearness::Public, dialled(SILENCE)),
                ),
                seen("a single SYN", IP, single_syn),
                seen(
                    "a full queue on this host",
                    IP,
                    silence_here(vec![listener("redis-server", "0.0.0.0", 2)]),
                ),
                seen(
                    "an empty queue on this host",
                    IP,
                    silence_here(vec![listener("redis-server", "0.0.0.0", 0)]),
                ),
                seen("no listener on this host", IP, silence_here(vec![])),
                seen(
                    "a unix socket",
                    SOCKET,
                    socket(DialResult::Timeout { syns: None }),
                ),
            ]
        }
        Cause::TcpRefused => {
            let mut container = from_here(Nearness::Loopback, dialled(DialResult::Refused));
            container.this_host.as_mut().unwrap().in_container = true;
            let refused = || dialled(DialResult::Refused);
            let entry = |address: &str| HostsEntry {
                line: 2,
                address: address.parse().unwrap(),
                is_shared: false,
            };
            let named = |hosts_file: Option<&str>, to: &str| {
                Observations::default().with(|seen| {
                    seen.dns = Some(Lookup {
                        addresses: vec![to.parse().unwrap()],
                        hosts_file: hosts_file.map(entry),
                        ..Lookup::default()
                    });
                    seen.tcp.dials = vec![Dial {
                        to: Endpoint::Ip(format!("{to}:6379").parse().unwrap()),
                        ..dial(DialResult::Refused)
                    }];
                })
            };
            let mut stale = named(Some("10.0.9.9"), "10.0.9.9");
            stale.dns.as_mut().unwrap().servers = vec![name_server(
                "10.0.0.2:53".parse().unwrap(),
                NameAnswer::Addresses(vec!["10.0.3.17".parse().unwrap()]),
            )];
            let mut plain_port = dialled(DialResult::Refused);
            plain_port.tcp.other_port = Some(Dial {
                to: Endpoint::Ip("10.0.3.17:6380".parse().unwrap()),
                ..dial(DialResult::Connected)
            });
            vec![
                seen("another host", IP, dialled(DialResult::Refused)),
                seen(
                    "the plain port of a provider",
                    "redis://shop.redis.cache.windows.net",
                    plain_port,
                ),
                seen("this host, in a container", "redis://127.0.0.1", container),
                seen("no listener on this host", IP, listened_here(vec![], refused())),
                seen(
                    "a listener on another address of this host",
                    IP,
                    listened_here(vec![listener("redis-server", "127.0.0.1", 0)], refused()),
                ),
                seen(
                    "a listener on this address",
                    IP,
                    listened_here(vec![listener("redis-server", "0.0.0.0", 0)], refused()),
                ),
                seen("a name in /etc/hosts", NAME, named(Some("10.0.9.9"), "10.0.9.9")),
                seen("a stale name in /etc/hosts", NAME, stale),
                seen("a blocked name", NAME, named(None, "0.0.0.0")),
                seen("a unix socket", SOCKET, socket(DialResult::Refused)),
            ]
        }
        Cause::TcpUnreachable => vec![
            seen("no route", IP, dialled(DialResult::NoRoute)),
            seen("no neighbour", IP, dialled(DialResult::NoNeighbour)),
            seen("an ICMP error", IP, dialled(DialResult::Unreachable(icmp(1)))),
            seen(
                "a SYN that never left",
                IP,
                dialled(DialResult::Timeout { syns: Some(1) }),
            ),
            seen(
                "another error",
                IP,
                dialled(DialResult::Other("protocol not available".into())),
            ),
        ],
        Cause::TcpProhibited => {
            let here = DialResult::Prohibited(ErrorSource::ThisHost("permission denied".into()));
            let blocked = dialled(SILENCE).with(|seen| seen.tcp.blocked_retransmissions = 2);
            vec![
                seen(
                    "a firewall on the way",
                    IP,
                    dialled(DialResult::Prohibited(icmp(13))),
                ),
                seen("a rule of this host", IP, dialled(here.clone())),
                seen("blocked retransmissions", IP, blocked),
                seen("a unix socket", SOCKET, socket(here)),
            ]
        }
        Cause::TlsRequired => vec![
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
        ],
        Cause::TlsNotOffered => vec![
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
        ],
        Cause::TlsUntrusted => {
            let problem = |problem| rejected(problem, certificate());
            let self_signed = PeerCertificate {
                is_self_signed: true,
                ..certificate()
            };
            let chain = tls_change(problem(CertificateProblem::UnknownIssuer), |tls| {
                tls.chain.push(PeerCertificate {
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
                        "its extendedKeyUsage does not include serverAuth".into(),
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
        Cause::TlsUnsupported => {
            let unsupported =
                |what: &str| rejected(CertificateProblem::Unsupported(what.into()), certificate());
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
        Cause::TlsNameMismatch => vec![
            seen(
                "other names",
                TLS,
                rejected(CertificateProblem::OtherName, certificate()),
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
        ],
        Cause::TlsExpired => {
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
            let clock =
                |ahead, seen: Observations| seen.with(|seen| seen.tls.server_clock_ahead = Some(ahead));
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
        Cause::TlsVersion => vec![
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
                "a violation",
                TLS,
                handshake(TlsResult::Misbehaved("a wrong message".into()), None, None),
            ),
        ],
        Cause::TlsClientCert => {
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
        Cause::TlsStalled => {
            let one_backend = tls_timeout(Response::Timeout(vec![]))
                .with(|seen| seen.tls.second_handshake = Some(TlsResult::Established));
            let small = tls_timeout(Response::Timeout(vec![])).with(|seen| {
                seen.experiments.packet_sizes = Some(PacketSizes {
                    passed: 1396,
                    lost: 1404,
                });
                seen.tls.small_packet_handshake = Some(TlsResult::Established);
            });
            vec![
                seen("one of two servers", TLS, one_backend),
                seen(
                    "plain text is rejected",
                    TLS,
                    tls_timeout(Response::Reset(vec![])),
                ),
                seen("small packets get through", TLS, small),
                seen(
                    "no second connection",
                    TLS,
                    handshake(TlsResult::TimedOut, None, None),
                ),
            ]
        }
        Cause::TlsExpiresSoon => {
            let mut soon = tls(TlsResult::Established).with(|seen| seen.ping.response = Some(reply("+PONG")));
            soon.tls.handshake.as_mut().unwrap().chain[0].ends_in = 5 * 86_400;
            vec![seen("in 5 days", TLS, soon)]
        }
        Cause::AuthRequired => vec![
            seen("no password", IP, error("-NOAUTH Authentication required.")),
            seen(
                "a user only",
                "redis://secret@10.0.3.17",
                error("-NOAUTH Authentication required."),
            ),
        ],
        Cause::AuthFailed => vec![
            seen(
                "a user",
                IP_WITH_LOGIN,
                login("-WRONGPASS invalid username-password pair or user is disabled."),
            ),
            seen(
                "encoded twice",
                "redis://:Plover%252F4417@10.0.3.17",
                login("-WRONGPASS invalid pair"),
            ),
            seen(
                "an IAM token",
                "redis://ada:cache%2F%3FAction=connect@10.0.3.17",
                login("-WRONGPASS invalid pair"),
            ),
            seen(
                "before Redis 6",
                IP_WITH_LOGIN,
                login("-ERR wrong number of arguments for 'auth' command"),
            ),
        ],
        Cause::AuthNotConfigured => vec![
            seen(
                "no password set",
                "redis://:Plover-4417@10.0.3.17",
                login("-ERR AUTH <password> called without any password configured for the default user."),
            ),
            seen(
                "no AUTH",
                "redis://:Plover-4417@10.0.3.17",
                login("-ERR unknown command 'AUTH'"),
            ),
        ],
        Cause::AuthNoPermission => vec![
            seen(
                "a forbidden write",
                IP_WITH_LOGIN,
                write_refused("-NOPERM this user has no permissions"),
            ),
            seen(
                "some commands",
                IP_WITH_LOGIN,
                permissions(&[
                    (
                        "HSET",
                        "-NOPERM this user has no permissions to run the 'hset' command",
                    ),
                    ("HGETALL", "*0"),
                    (
                        "EXEC",
                        "-EXECABORT Transaction discarded because of: NOPERM no 'exec' command",
                    ),
                ]),
            ),
            seen(
                "in ElastiCache",
                "rediss://ada:Plover-4417@master.shop.abc123.euc1.cache.amazonaws.com",
                permissions(&[
                    ("HSET", "-NOPERM No permissions to access a key"),
                    ("EXEC", "-NOPERM no command"),
                ]),
            ),
            seen(
                "other keys only",
                IP_WITH_LOGIN,
                permissions(&[("HSET", "-NOPERM No permissions to access a key")]),
            ),
            seen("SELECT", "redis://ada:Plover-4417@10.0.3.17/3", {
                let mut seen = permissions(&[("HGETALL", "*0")]);
                seen.requests.select = Some(reply(
                    "-NOPERM this user has no permissions to run the 'select' command",
                ));
                seen
            }),
        ],
        Cause::AuthPlaintext => vec![seen("a password", "redis://:Plover-4417@10.0.3.17", pong())],
        Cause::ProtoNotRedis => vec![
            seen("SSH", IP, ping(Response::NotResp(b"SSH-2.0-x".to_vec()))),
            seen("unknown", IP, ping(Response::NotResp(b"hello".to_vec()))),
            seen("POP3", IP, error("+OK POP3 server ready")),
            seen(
                "neither TLS nor RESP",
                TLS,
                handshake(TlsResult::NotTls, Some(Response::Timeout(vec![])), None),
            ),
        ],
        Cause::ProtoUnexpected => {
            let mut one_late = pong();
            one_late.requests.echo = Some(Echo::InReplyTo("ROLE"));
            let mut other_value = pong();
            other_value.requests.echo = Some(Echo::Other(reply("+PONG")));
            let mut greeting = error("+OK welcome");
            greeting.ping.surplus_reply = Some(reply("+PONG"));
            vec![
                seen("one request late", IP, one_late),
                seen("another value", IP, other_value),
                seen("a reply too many", IP, greeting),
            ]
        }
        Cause::ProxyNoBackend => {
            let mut login_required = read("-NOAUTH Authentication required.");
            login_required.auth.response = Some(reply("+OK"));
            let silent = stopped("HGETALL", Response::Timeout(vec![]), &["PING"], "HGETALL");
            vec![
                seen("upstream failure", IP, read("-upstream failure")),
                seen("a proxy that accepts the password", IP_WITH_LOGIN, login_required),
                seen("no reply to a read", IP, silent),
            ]
        }
        Cause::ProxyHeader => {
            let mut expected = ping(Response::Closed(vec![]));
            expected.experiments.expects_proxy_header = true;
            let rejected = "-ERR unknown command 'PROXY', with args beginning with: 'TCP4' '10.0.3.9'";
            vec![
                seen("an expected header", IP, expected),
                seen("a header before AUTH", IP_WITH_LOGIN, login(rejected)),
                seen("a header before PING", IP, error(rejected)),
            ]
        }
        Cause::ProxyLimited => {
            let mut unsupported = pong();
            unsupported.server.hello = Some(reply("-ERR unsupported command 'HELLO'"));
            unsupported.server.info_error = Some("ERR unsupported command 'INFO'".into());
            vec![
                seen(
                    "ECHO ends the connection",
                    IP,
                    stopped("HGETALL", Response::Closed(vec![]), &["PING", "HGETALL"], "ECHO"),
                ),
                seen("INFO is not supported", IP, unsupported),
            ]
        }
        Cause::PathIdle => {
            let idle = |trials: &[(u64, bool, IdleEnd)], timeout: Option<&str>| {
                let mut seen = pong();
                let settings = timeout.map(|limit| ("timeout".to_owned(), limit.to_owned()));
                seen.server.settings = settings.into_iter().collect();
                let trials = trials.iter().map(|(idle, keepalive, end)| IdleTrial {
                    idle: Duration::from_secs(*idle),
                    keepalive: keepalive.then_some(Duration::from_secs(1)),
                    end: *end,
                });
                seen.idle = Some(IdleTest {
                    trials: trials.collect(),
                    is_restarted: false,
                });
                seen
            };
            let (survived, closed) = (IdleEnd::Survived, IdleEnd::Closed);
            let trials = |end| [(3, false, survived), (4, false, end), (8, true, survived)];
            let mut restarted = idle(&[(4, false, closed)], None);
            restarted.idle.as_mut().unwrap().is_restarted = true;
            vec![
                seen(
                    "the server",
                    IP,
                    idle(&[(2, false, closed), (2, true, closed)], Some("2")),
                ),
                seen("a proxy", IP, idle(&[(5, false, closed)], Some("0"))),
                seen("unknown", IP, idle(&[(5, false, closed)], None)),
                seen("reset", IP, idle(&trials(IdleEnd::Reset), Some("0"))),
                seen("RST on use", IP, idle(&trials(IdleEnd::ResetOnUse), Some("0"))),
                seen("no reply", IP, idle(&trials(IdleEnd::Silent), Some("0"))),
                seen("a restart", IP, restarted),
            ]
        }
        Cause::PathMtu => {
            let lost = |unacknowledged, out_of_order| {
                packets(
                    unacknowledged,
                    out_of_order,
                    stopped("ECHO", Response::Timeout(vec![]), &["PING", "HGETALL"], "ECHO"),
                )
                .with(|seen| {
                    seen.experiments.packet_sizes = Some(PacketSizes {
                        passed: 1396,
                        lost: 1404,
                    });
                })
            };
            vec![
                seen("lost requests", IP, lost(3, 0)),
                seen("lost replies", IP, lost(0, 1)),
            ]
        }
        Cause::ProtoClosed => vec![
            seen(
                "SELECT ends the connection",
                "redis://10.0.3.17/3",
                stopped("SELECT", Response::Closed(vec![]), &["PING"], "SELECT"),
            ),
            seen("closed", IP, ping(Response::Closed(vec![]))),
            seen(
                "an SSH tunnel",
                IP,
                listened_here(
                    vec![listener("ssh", "0.0.0.0", 0)],
                    ping(Response::Closed(vec![])),
                ),
            ),
            seen(
                "reset in a reply",
                IP,
                ping(Response::Reset(b"$5\r\nhe".to_vec())),
            ),
            seen(
                "no time for TLS",
                IP,
                second_connection(TlsResult::TimedOut, ping(Response::Reset(vec![]))),
            ),
            seen(
                "in the handshake",
                TLS,
                handshake(TlsResult::Closed, Some(Response::Closed(vec![])), None),
            ),
            seen(
                "the port of a cluster's bus",
                "redis://10.0.3.17:16379",
                ping(Response::Closed(vec![])),
            ),
        ],
        Cause::ServerSilent => {
            let mut far = tls_timeout(Response::Timeout(vec![]));
            far.tcp.took = Duration::from_millis(1200);
            let mut one_backend = stopped("HGETALL", Response::Timeout(vec![]), &["PING"], "HGETALL");
            one_backend.experiments.repeat.as_mut().unwrap().exchanges.pop();
            let after_ping = pong().with(|seen| {
                seen.write_test = Some(WriteTest {
                    queued: vec![],
                    executed: Response::Timeout(vec![]),
                });
                seen.ping.round_trips = vec![Duration::from_millis(300); 3];
            });
            vec![
                seen(
                    "no reply",
                    IP,
                    packets(
                        0,
                        0,
                        second_connection(TlsResult::TimedOut, ping(Response::Timeout(vec![]))),
                    ),
                ),
                seen("part of a reply", IP, ping(Response::Timeout(b"+PO".to_vec()))),
                seen(
                    "lost requests",
                    IP,
                    packets(2, 0, ping(Response::Timeout(vec![]))),
                ),
                seen("a lost reply", IP, packets(0, 1, ping(Response::Timeout(vec![])))),
                seen("TLS", TLS, tls_timeout(Response::Timeout(vec![]))),
                seen("far away", TLS, far),
                seen("after PING", IP, after_ping),
                seen(
                    "on both connections after PING",
                    IP,
                    stopped("HGETALL", Response::Timeout(vec![]), &[], "PING"),
                ),
                seen("on one of two connections", IP, one_backend),
                seen("ended before PING", IP, connected()),
            ]
        }
        Cause::ServerRefused => vec![
            seen("an unknown reply", IP, error("-ERR no such service")),
            seen(
                "a quota",
                IP,
                error("-ERR max daily request limit exceeded. Limit: 10000, Usage: 10000."),
            ),
            seen(
                "an address",
                IP,
                error("-DENIED client address 203.0.113.9 is not on the allow list"),
            ),
            seen(
                "an endpoint",
                "rediss://eu1-shop-1.upstash.io",
                error("-ERR unknown database: check the endpoint"),
            ),
            seen(
                "a renamed command",
                IP,
                write_refused("-ERR unknown command 'HSET'"),
            ),
        ],
        Cause::ServerNearMaxClients => vec![seen(
            "57 of 60",
            IP,
            info(&[("connected_clients", "57"), ("maxclients", "60")]),
        )],
        Cause::ServerOld => {
            let mut without_hello = info(&[("redis_version", "7.0.15")]);
            without_hello.server.hello = Some(reply("-ERR unknown command 'HELLO'"));
            vec![
                seen("Redis 5", IP, info(&[("redis_version", "5.0.6")])),
                seen("without HELLO", IP, without_hello),
            ]
        }
        Cause::ServerTimeout => {
            let mut limited = pong();
            limited.server.settings = [("timeout".into(), "300".into())].into();
            vec![seen("300 seconds", IP, limited)]
        }
        Cause::ServerMaxClients => vec![seen(
            "PING",
            IP_WITH_LOGIN,
            error("-ERR max number of clients reached"),
        )],
        Cause::ServerProtectedMode => vec![seen(
            "PING",
            IP,
            error("-DENIED Redis is running in protected mode"),
        )],
        Cause::ServerLoading => {
            let mut half = error("-LOADING Redis is loading the dataset in memory");
            half.server.fields = fields(&[("loading_loaded_perc", "45.12"), ("loading_eta_seconds", "90")]);
            vec![
                seen(
                    "PING",
                    IP_WITH_LOGIN,
                    error("-LOADING Redis is loading the dataset in memory"),
                ),
                seen("with INFO", IP, half),
            ]
        }
        Cause::ServerBusy => vec![
            seen("a script", SOCKET, error("-BUSY Redis is busy running a script")),
            seen(
                "a function",
                IP,
                error(
                    "-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
                ),
            ),
            seen(
                "a module",
                IP,
                error("-BUSY Redis is busy running a module command"),
            ),
        ],
        Cause::ServerOutOfMemory => {
            let mut full = write_refused("-OOM command not allowed when used memory > 'maxmemory'.");
            full.server.fields = fields(&[
                ("maxmemory", "1000000"),
                ("used_memory", "1010000"),
                ("maxmemory_policy", "noeviction"),
            ]);
            vec![seen("HSET", IP, full)]
        }
        Cause::ServerMisconf => {
            let mut failed = error("-MISCONF Redis is configured to save RDB snapshots");
            failed.server.fields =
                fields(&[("rdb_last_bgsave_status", "err"), ("aof_last_write_status", "ok")]);
            vec![seen("PING", IP, failed)]
        }
        Cause::ServerNoReplicas => {
            let mut warned = info(&[("min_slaves_good_slaves", "1")]);
            warned.server.settings = [("min-replicas-to-write".into(), "2".into())].into();
            vec![
                seen(
                    "HSET",
                    IP,
                    write_refused("-NOREPLICAS Not enough good replicas to write."),
                ),
                seen("a warning", IP, warned),
            ]
        }
        Cause::ServerEviction => {
            let policy = |policy, used| {
                info(&[
                    ("maxmemory", "1000000"),
                    ("used_memory", used),
                    ("maxmemory_policy", policy),
                ])
            };
            vec![
                seen("allkeys-lru", IP, policy("allkeys-lru", "1000")),
                seen("noeviction", IP, policy("noeviction", "950000")),
                seen("over the limit", IP, policy("noeviction", "3030000")),
                seen("volatile-lru", IP, policy("volatile-lru", "950000")),
            ]
        }
        Cause::RoleReplica => {
            let mut moved = write_refused("-MOVED 7 10.0.3.18:6379");
            moved.server.role = Some(redis::Value::Array(vec![redis::Value::BulkString(
                "slave".into(),
            )]));
            vec![
                seen(
                    "HSET",
                    IP,
                    write_refused("-READONLY You can't write against a read only replica."),
                ),
                seen("a node of a cluster", IP, moved),
                seen("a warning", IP, info(&[("role", "slave")])),
                seen(
                    "a known primary",
                    IP,
                    info(&[
                        ("role", "slave"),
                        ("master_host", "127.0.0.1"),
                        ("master_port", "6380"),
                    ]),
                ),
            ]
        }
        Cause::RoleMasterDown => vec![
            seen("PING", IP, {
                let mut seen = error("-MASTERDOWN Link with MASTER is down");
                seen.server.fields = fields(&[
                    ("role", "slave"),
                    ("master_host", "10.0.3.18"),
                    ("master_port", "6379"),
                    ("master_link_status", "down"),
                    ("master_link_down_since_seconds", "90"),
                ]);
                seen
            }),
            seen("HSET", IP, write_refused("-MASTERDOWN Link with MASTER is down")),
            seen(
                "a warning",
                IP,
                info(&[("role", "slave"), ("master_link_status", "down")]),
            ),
            seen(
                "the first copy",
                IP,
                info(&[
                    ("role", "slave"),
                    ("master_link_status", "down"),
                    ("master_sync_in_progress", "1"),
                ]),
            ),
        ],
        Cause::RoleSentinel => {
            let mut known = info(&[("redis_mode", "sentinel")]);
            known.server.sentinel_primary = Some(crate::ping::observation::NamedPrimary {
                name: "shop".into(),
                host: "10.0.3.18".into(),
                port: 6379,
            });
            vec![
                seen("a known primary", "redis://10.0.3.17:26379", known),
                seen("no primary", IP, info(&[("redis_mode", "sentinel")])),
            ]
        }
        Cause::ClusterMode => vec![seen("INFO", IP, info(&[("cluster_enabled", "1")]))],
        Cause::ClusterDown => {
            let mut state = info(&[("cluster_enabled", "1")]);
            state.server.cluster = [("cluster_state".into(), "fail".into())].into();
            vec![
                seen(
                    "HSET",
                    IP_WITH_LOGIN,
                    write_refused("-CLUSTERDOWN Hash slot not served"),
                ),
                seen("CLUSTER INFO", IP, state),
            ]
        }
        Cause::ClusterPartial => {
            let mut partial = info(&[("cluster_enabled", "1")]);
            partial.server.cluster = [
                ("cluster_state", "ok"),
                ("cluster_slots_assigned", "16384"),
                ("cluster_slots_pfail", "0"),
                ("cluster_slots_fail", "5461"),
            ]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
            vec![seen("a missing node", IP, partial)]
        }
        Cause::ClusterUnreachableNodes => {
            let node = |to: &str, result| Dial {
                to: to
                    .parse()
                    .map_or_else(|_| Endpoint::Named(to.into()), Endpoint::Ip),
                ..dial(result)
            };
            let mut nameless = pong();
            nameless.server.cluster = [("cluster_state".into(), "ok".into())].into();
            nameless.server.announced = vec![node(
                "?:6379",
                DialResult::Other("the name cannot be resolved".into()),
            )];
            let mut one_node = pong();
            one_node.server.cluster = [("cluster_state".into(), "ok".into())].into();
            one_node.server.announced = vec![
                node("10.0.3.17:6379", DialResult::Connected),
                node("10.0.3.17:6380", DialResult::Refused),
                node("10.0.3.18:6379", SILENCE),
            ];
            let mut announced = pong();
            announced.server.cluster = [("cluster_state".into(), "ok".into())].into();
            announced.server.announced = vec![dial(DialResult::Refused)];
            vec![
                seen("a refused connection", IP, announced),
                seen("no host name", IP, nameless),
                seen("two of three", IP, one_node),
            ]
        }
        Cause::DbIndex => {
            let refused =
                pong().with(|seen| seen.requests.select = Some(reply("-ERR DB index is out of range")));
            vec![seen("SELECT", "redis://10.0.3.17/99", refused)]
        }
        Cause::LatencyHigh => {
            let slow = |connecting| {
                let mut seen = pong().with(|seen| seen.ping.round_trips = vec![Duration::from_millis(40); 5]);
                seen.tcp.dials[0].took = Duration::from_millis(connecting);
                seen
            };
            vec![
                seen("a slow network", IP, slow(40)),
                seen("a slow server", IP, slow(1)),
            ]
        }
        Cause::LatencyJitter => {
            let mut uneven = pong();
            uneven.ping.round_trips = vec![Duration::from_millis(1); 5];
            uneven.ping.round_trips[2] = Duration::from_millis(80);
            uneven.tcp.dials[0].took = Duration::from_millis(1);
            vec![seen("one of 80 ms", IP, uneven)]
        }
    }
}

#[test]
fn every_cause_is_found_with_evidence_and_with_fixes() {
    for cause in Cause::ALL.iter().copied() {
        for situation in situations(cause) {
            let verdict = situation.judge();
            let title = situation.title;
            let fixes = match &verdict.finding {
                Some(finding) => {
                    assert_eq!(finding.cause, cause, "{title}");
                    assert!(!finding.summary.is_empty(), "{cause:?}, {title}");
                    assert_ne!(verdict.exit(), Exit::Ok, "{cause:?}, {title}");
                    assert!(!finding.evidence.is_empty(), "{cause:?}, {title}");
                    &finding.fixes
                }
                None => {
                    let warning = verdict.warnings.iter().find(|warning| warning.cause == cause);
                    &warning.unwrap_or_else(|| panic!("{cause:?}, {title}")).fixes
                }
            };
            let is_complete = |fix: &crate::ping::causes::Fix| !fix.kind.is_empty() && !fix.text.is_empty();
            assert!(
                !fixes.is_empty() && fixes.iter().all(is_complete),
                "{cause:?}, {title}"
            );
        }
    }
}

#[test]
fn no_verdict_contradicts_its_observations() {
    for cause in Cause::ALL.iter().copied() {
        for situation in situations(cause) {
            if let Some(seen) = &situation.seen {
                let found = contradictions(&target(situation.url), seen, &situation.judge());
                assert!(found.is_empty(), "{cause:?}, {}: {found:#?}", situation.title);
            }
        }
    }
}

#[test]
fn the_wording_of_every_cause() {
    for cause in Cause::ALL.iter().copied() {
        let mut text = format!("{}: {}\n", cause.code(), cause.meaning());
        for situation in situations(cause) {
            write!(text, "\n## {}\n{}", situation.title, situation.report()).unwrap();
        }
        assert_golden(&format!("causes/{}.txt", cause.code()), &text);
    }
}

#[test]
fn the_wording_of_the_examples_in_the_documentation() {
    for cause in Cause::ALL.iter().copied() {
        let first = &situations(cause)[0];
        let path = format!("docs/src/causes/examples/{}.txt", cause.code());
        let url = first.url.replace("Plover-4417", "***");
        let example = format!("$ sessiontut ping {url}\n{}", first.report());
        assert_golden_at(&path, &example);
    }
}

#[test]
fn every_page_in_the_documentation_starts_with_the_cause() {
    for cause in Cause::ALL.iter().copied() {
        let page = cause.page();
        let meaning = capitalised(cause.meaning());
        let exit = match cause.exit() {
            Exit::Ok => "A warning: the exit status stays 0.".into(),
            exit => format!("Exit status {}", exit as u8),
        };
        let start = format!("# {}\n\n**{meaning}.** {exit}", cause.code());
        assert!(
            page.starts_with(&start),
            "{} does not start with {start}",
            cause.code()
        );
        assert!(!page.contains("{{"), "{}: the example is missing", cause.code());
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

//! Situations for each cause and warning, and the reports on them.
//!
//! If a cause has no situation, the tests do not compile. Situations about a name or the network are in this
//! file, and all others are in one file per layer. The wording is in `tests/golden/causes/`.

mod login;
mod role;
mod server;
mod tls;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::{AlertDescription, NamedGroup, ProtocolVersion};

use super::{connected, dial, handshake, rejected, reply, target};
use crate::aws::{self, AwsAnswer, Documents, Origin};
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

/// A URL and the observations that belong to it, or `None` if the URL itself is invalid.
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
    // PING is sent after the login.
    if matches!(seen.ping.response, Some(Response::Reply(_)))
        && seen.auth.response.is_none()
        && target(url).password.is_some()
    {
        seen.auth.response = Some(reply("+OK"));
    }
    let seen = Some(Box::new(seen));
    Situation { title, url, seen }
}

/// Returns the verdict on a captured network, as `--aws` adds it.
fn aws(documents: &[&str]) -> Box<AwsAnswer> {
    let mut found = Documents::default();
    documents.iter().for_each(|text| found.add_text(text));
    let facts = found.facts.clone().unwrap_or_default();
    Box::new(AwsAnswer {
        assessment: aws::judge(&facts, &found),
        commands: Vec::new(),
        from: Origin::Documents,
        missing_permissions: found.missing_permissions().into_iter().collect(),
        problems: Vec::new(),
        raw: Vec::new(),
    })
}

macro_rules! captured {
    ($name:literal $(, $file:literal)*) => {
        [$(include_str!(concat!("../../../../tests/aws/networks/", $name, "/", $file, ".json"))),*]
    };
}

const MISSING_RULE: [&str; 6] = captured!(
    "missing-ingress",
    "facts",
    "network-acls",
    "network-interfaces",
    "route-tables",
    "security-groups",
    "subnets"
);
const ALL_ALLOWED: [&str; 6] = captured!(
    "allowed",
    "facts",
    "network-acls",
    "network-interfaces",
    "route-tables",
    "security-groups",
    "subnets"
);
const NO_ACLS: [&str; 5] = captured!(
    "allowed",
    "facts",
    "network-interfaces",
    "route-tables",
    "security-groups",
    "subnets"
);
/// The network ACL comes first, so that it takes precedence over the captured one.
const PARTLY: [&str; 6] = [
    ALL_ALLOWED[0],
    r#"{"NetworkAcls": [{"NetworkAclId": "acl-0a", "Associations": [{"SubnetId": "subnet-7631a4c10074d37f8"}], "Entries": [
        {"Egress": true, "RuleNumber": 100, "Protocol": "-1", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"},
        {"Egress": false, "RuleNumber": 100, "Protocol": "6", "RuleAction": "allow", "CidrBlock": "10.0.0.0/16",
         "PortRange": {"From": 49152, "To": 65535}}]}]}"#,
    ALL_ALLOWED[1],
    ALL_ALLOWED[2],
    ALL_ALLOWED[4],
    ALL_ALLOWED[5],
];

fn lookup(lookup: Lookup) -> Observations {
    Observations::default().with(|seen| seen.dns = Some(lookup))
}

/// Returns a name server that replied at once or, if it did not reply, was queried for 2 seconds.
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

/// Returns observations of a timeout on this host, with these listeners on the port.
fn silence_here(listeners: Vec<LocalListener>) -> Observations {
    listened_here(listeners, dialled(SILENCE))
}

fn listened_here(listeners: Vec<LocalListener>, seen: Observations) -> Observations {
    let mut seen = from_here(Nearness::Loopback, seen);
    seen.this_host.as_mut().unwrap().listeners = Some(listeners);
    seen
}

/// Returns a listener on the target's port, on this host.
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

fn write_refused(reply_text: &str) -> Observations {
    pong().with(|seen| {
        seen.write_test = Some(WriteTest {
            queued: vec![("HSET", reply(reply_text))],
            executed: reply("-EXECABORT Transaction discarded because of previous errors."),
        });
    })
}

fn tls_timeout(plain_ping: Response) -> Observations {
    handshake(TlsResult::TimedOut, Some(plain_ping), None)
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
            resolved("no reply over TCP", NameAnswer::NoTcp("no reply".into())),
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
            let near = on_ec2.clone();
            let on_aws = |documents| near.clone().with(|seen| seen.aws = Some(aws(documents)));
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
                seen(
                    "a public endpoint of a serverless cache",
                    "rediss://shop-x1y2z3.public.serverless.use1.cache.amazonaws.com",
                    dialled(SILENCE),
                ),
                seen("a missing rule on AWS", IP, on_aws(&MISSING_RULE)),
                seen("all rules on AWS allow it", IP, on_aws(&ALL_ALLOWED)),
                seen("the ACLs on AWS are not known", IP, on_aws(&NO_ACLS)),
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
                seen(
                    "a path that is not a socket",
                    SOCKET,
                    socket(DialResult::NoSocket("no file has this path")),
                ),
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
        Cause::TlsRequired => tls::tls_required(),
        Cause::TlsNotOffered => tls::tls_not_offered(),
        Cause::TlsUntrusted => tls::tls_untrusted(),
        Cause::TlsUnsupported => tls::tls_unsupported(),
        Cause::TlsNameMismatch => tls::tls_name_mismatch(),
        Cause::TlsExpired => tls::tls_expired(),
        Cause::TlsVersion => tls::tls_version(),
        Cause::TlsClientCert => tls::tls_client_cert(),
        Cause::TlsStalled => tls::tls_stalled(),
        Cause::TlsExpiresSoon => tls::tls_expires_soon(),
        Cause::AuthRequired => login::auth_required(),
        Cause::AuthFailed => login::auth_failed(),
        Cause::AuthNotConfigured => login::auth_not_configured(),
        Cause::AuthNoPermission => login::auth_no_permission(),
        Cause::AwsPartly => vec![seen(
            "an ACL with too few ports",
            IP,
            pong().with(|seen| seen.aws = Some(aws(&PARTLY))),
        )],
        Cause::AuthPlaintext => login::auth_plaintext(),
        Cause::ProtoNotRedis => server::proto_not_redis(),
        Cause::ProtoUnexpected => server::proto_unexpected(),
        Cause::ProxyNoBackend => server::proxy_no_backend(),
        Cause::ProxyHeader => server::proxy_header(),
        Cause::ProxyLimited => server::proxy_limited(),
        Cause::PathIdle => server::path_idle(),
        Cause::PathMtu => server::path_mtu(),
        Cause::ProtoClosed => server::proto_closed(),
        Cause::ServerSilent => server::server_silent(),
        Cause::ServerRefused => server::server_refused(),
        Cause::ServerNearMaxClients => server::server_near_max_clients(),
        Cause::ServerOld => server::server_old(),
        Cause::ServerTimeout => server::server_timeout(),
        Cause::ServerMaxClients => server::server_max_clients(),
        Cause::ServerProtectedMode => server::server_protected_mode(),
        Cause::ServerLoading => server::server_loading(),
        Cause::ServerBusy => server::server_busy(),
        Cause::ServerOutOfMemory => server::server_out_of_memory(),
        Cause::ServerMisconf => server::server_misconf(),
        Cause::ServerNoReplicas => server::server_no_replicas(),
        Cause::ServerEviction => server::server_eviction(),
        Cause::RoleReplica => role::role_replica(),
        Cause::RoleMasterDown => role::role_master_down(),
        Cause::RoleSentinel => role::role_sentinel(),
        Cause::ClusterMode => role::cluster_mode(),
        Cause::ClusterDown => role::cluster_down(),
        Cause::ClusterPartial => role::cluster_partial(),
        Cause::ClusterUnreachableNodes => role::cluster_unreachable_nodes(),
        Cause::DbIndex => role::db_index(),
        Cause::LatencyHigh => role::latency_high(),
        Cause::LatencyJitter => role::latency_jitter(),
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

/// The third line of a page contains the meaning and the exit status. Everything below it is written by hand.
#[test]
fn the_wording_of_the_pages_in_the_documentation() {
    for cause in Cause::ALL.iter().copied() {
        let path = format!("docs/src/causes/{}.md", cause.code());
        let page = std::fs::read_to_string(&path).unwrap();
        let text: Vec<&str> = page.lines().skip(3).collect();
        let exit = match cause.exit() {
            Exit::Ok => "A warning: the exit status stays 0.".into(),
            exit => format!("Exit status {}.", exit as u8),
        };
        let meaning = capitalised(cause.meaning());
        let expected = format!("# {}\n\n**{meaning}.** {exit}\n{}", cause.code(), text.join("\n"));
        assert_golden_at(&path, &expected);
        assert!(
            !cause.page().contains("{{"),
            "{}: the example is missing",
            cause.code()
        );
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

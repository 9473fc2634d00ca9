//! Contains one or more examples for each cause and warning, and checks the reports on these examples.
//!
//! A cause without an example is a compile error. There is one file of examples per layer, and the wording is
//! in `tests/golden/causes/`.

mod aws;
mod dns;
mod login;
mod role;
mod server;
mod tcp;
mod tls;

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
use crate::ping::causes::{Cause, FixContext};
use crate::ping::instance::Instance;
use crate::ping::observation::{
    CertificateProblem, CompletedName, Dial, DialResult, Echo, Endpoint, ErrorSource, Exchange, Experiment,
    FileLine, Followed, Handshake, HostsEntry, IdleEnd, IdleTest, IdleTrial, Lookup, NameAnswer, NameServer,
    NamedPrimary, Observations, PacketSizes, PeerCertificate, Repeat, SearchDomains, SecondLook,
    SecondResult, SentinelAnswer, TlsResult, TrustedCas, WiderOffer, WriteTest,
};
use crate::ping::report::text::{self, ReportLine};
use crate::ping::response::Response;
use crate::ping::this_host::{LocalListener, LocalPorts, Nearness, Route, ThisHost};
use crate::ping::verdict::tests::consistency::contradictions;
use crate::ping::verdict::{Verdict, judge, judge_url};
use crate::redis_url::{DEFAULT_PORT, Target};

/// An example of a cause: a URL with the observations of a run. An invalid URL has no observations.
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

    /// Returns the text of the report before lines are wrapped.
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
const SENTINEL: &str = "rediss+sentinel://10.0.3.17/shop";

fn bad_url(title: &'static str, url: &'static str) -> Situation {
    Situation {
        title,
        url,
        seen: None,
    }
}

fn seen(title: &'static str, url: &'static str, mut seen: Observations) -> Situation {
    // PING is sent only after a successful login.
    if matches!(seen.ping.response, Some(Response::Reply(_)))
        && seen.auth.response.is_none()
        && target(url).password.is_some()
    {
        seen.auth.response = Some(reply("+OK"));
    }
    // Most helpers connect to the default port.
    if let Some(port) = target(url).port()
        && target(url).sentinels.is_none()
    {
        for dial in &mut seen.tcp.dials {
            if let Endpoint::Ip(address) = &mut dial.to
                && address.port() == DEFAULT_PORT
            {
                address.set_port(port);
            }
        }
    }
    let seen = Some(Box::new(seen));
    Situation { title, url, seen }
}

/// Returns a name server that replied immediately. For a timeout, the name server was queried for 2 seconds.
pub(super) fn name_server(address: SocketAddr, answer: NameAnswer) -> NameServer {
    let took = if answer == NameAnswer::Timeout { 2000 } else { 2 };
    NameServer {
        address,
        answer,
        silent_about: None,
        took: Duration::from_millis(took),
    }
}

/// Returns a lookup with different addresses in `/etc/hosts` and from a name server.
fn by_hosts_file(address: &str, elsewhere: &str) -> Lookup {
    let address = address.parse().unwrap();
    let found = NameAnswer::Addresses(vec![elsewhere.parse().unwrap()]);
    Lookup {
        addresses: vec![address],
        hosts_file: Some(HostsEntry {
            line: 2,
            address,
            is_shared: false,
        }),
        servers: vec![name_server("10.0.0.2:53".parse().unwrap(), found)],
        ..Lookup::default()
    }
}

/// Adds the reply of the Sentinel in [`SENTINEL`] to the observations.
fn asked(answer: SentinelAnswer, seen: Observations) -> Observations {
    let url = target(SENTINEL);
    let followed = Followed {
        sentinel: "10.0.3.17:26379".into(),
        name: "shop".into(),
        target: url.of_primary("10.0.3.17", 26379),
        answer,
    };
    seen.with(|seen| seen.followed = Some(followed))
}

/// Returns the result on a second connection, with this address and these replies.
pub(super) fn second_look(address: &str, replies: &[(&'static str, &str)]) -> SecondLook {
    let exchanges = replies.iter().map(|(command, text)| Exchange {
        command,
        response: reply(text),
    });
    SecondLook {
        address: address.parse().unwrap(),
        result: SecondResult::Requests {
            repeat: Repeat {
                exchanges: exchanges.collect(),
            },
            needs_primary: false,
        },
    }
}

fn dialled(result: DialResult) -> Observations {
    Observations::default().with(|seen| seen.tcp.dials = vec![dial(result)])
}

/// Adds the route from this host, 10.0.3.1, to the server's address.
fn routed(to: &str, gateway: Option<&str>, seen: Observations) -> Observations {
    let mut seen = from_here(Nearness::SameNetwork, seen);
    let this_host = &mut seen.this_host;
    this_host.source = Some("10.0.3.1".parse().unwrap());
    this_host.route = Some(Route {
        to: to.parse().unwrap(),
        interface: "docker0".into(),
        gateway: gateway.map(|gateway| gateway.parse().unwrap()),
        has_no_carrier: false,
    });
    seen
}

fn from_here(nearness: Nearness, seen: Observations) -> Observations {
    let this_host = ThisHost {
        nearness,
        ..ThisHost::default()
    };
    seen.with(|seen| seen.this_host = this_host)
}

const SILENCE: DialResult = DialResult::Timeout { syns: Some(3) };

fn listened_here(listeners: Vec<LocalListener>, seen: Observations) -> Observations {
    let mut seen = from_here(Nearness::Loopback, seen);
    seen.this_host.listeners = Some(listeners);
    seen
}

/// Returns a process on this host that listens on the target's port.
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
        Cause::DnsNotFound => dns::dns_not_found(),
        Cause::DnsNoAddress => dns::dns_no_address(),
        Cause::DnsTimeout => dns::dns_timeout(),
        Cause::DnsServerFailure => dns::dns_server_failure(),
        Cause::DnsSlow => dns::dns_slow(),
        Cause::DnsSearch => dns::dns_search(),
        Cause::TcpNoLocalPort => tcp::tcp_no_local_port(),
        Cause::LocalOpenFiles => tcp::local_open_files(),
        Cause::PathLoss => tcp::path_loss(),
        Cause::DnsPartial => dns::dns_partial(),
        Cause::TcpTimeout => tcp::tcp_timeout(),
        Cause::TcpRefused => tcp::tcp_refused(),
        Cause::TcpUnreachable => tcp::tcp_unreachable(),
        Cause::TcpProhibited => tcp::tcp_prohibited(),
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
        Cause::AwsPartly => aws::aws_partly(),
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
        let seen = first.seen.as_deref();
        let option = match seen {
            Some(seen) if seen.idle.is_some() => "--idle 8 ",
            Some(seen) if seen.write_test.is_some() => "--write-check ",
            Some(seen) if seen.aws.is_some() => "--aws ",
            _ => "",
        };
        let example = format!("$ sessiontut ping {option}{url}\n{}", first.report());
        assert_golden_at(&path, &example);
    }
}

/// The first three lines of the page about a cause contain the code, the meaning and the exit status. The
/// rest of the page is written by hand.
#[test]
fn the_wording_of_the_pages_in_the_documentation() {
    for cause in Cause::ALL.iter().copied() {
        let path = format!("docs/src/causes/{}.md", cause.code());
        let page = std::fs::read_to_string(&path).unwrap();
        let text: Vec<&str> = page.lines().skip(3).collect();
        let exit = match cause.exit() {
            Exit::Ok => "This is a warning, so the exit status is 0.".into(),
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

/// Fixes must work with the address in the URL, but a unix socket has no host and no port.
#[test]
fn the_fixes_for_a_unix_socket_contain_no_host_or_port() {
    let socket = target(SOCKET);
    let other_layers = ["url.", "dns.", "tcp.", "tls.", "path.", "aws."];
    for cause in Cause::ALL.iter().copied() {
        let is_for_hosts = other_layers.iter().any(|layer| cause.code().starts_with(layer))
            // Protected mode does not affect clients of a unix socket.
            || matches!(cause, Cause::ServerProtectedMode | Cause::ClusterUnreachableNodes);
        for situation in situations(cause).into_iter().filter(|_| !is_for_hosts) {
            let Some(seen) = situation.seen.filter(|seen| seen.followed.is_none()) else {
                continue;
            };
            for fix in cause.fixes(&FixContext::of(&socket, &seen)) {
                let shown = format!("{} {}", fix.text, fix.command.unwrap_or_default());
                for wrong in [":0", "port 0", "-p 0", "-h ''", "on ''", "on  ", "redis://:"] {
                    assert!(!shown.contains(wrong), "{cause:?}, {}: {shown}", situation.title);
                }
            }
        }
    }
}

/// ACL SETUSER would create a missing user, so a fix must first check that the user exists.
#[test]
fn no_fix_for_a_failed_login_creates_a_user() {
    for situation in situations(Cause::AuthFailed) {
        for command in situation
            .judge()
            .finding
            .unwrap()
            .fixes
            .iter()
            .filter_map(|fix| fix.command.as_ref())
        {
            let is_checked = command.contains("if redis-cli") && command.contains("ACL GETUSER");
            assert!(!command.contains("SETUSER") || is_checked, "{command}");
        }
    }
}

#[test]
fn a_fix_for_a_sentinel_keeps_the_sentinels_and_the_name_of_the_primary() {
    let seen = asked(SentinelAnswer::None, tls_timeout(reply("+PONG")));
    let verdict = judge(&target(SENTINEL), &seen);
    let finding = verdict.finding.unwrap();
    assert_eq!(finding.cause, Cause::TlsNotOffered);
    let command = finding.fixes[0].command.as_deref();
    assert_eq!(
        command,
        Some("sessiontut ping 'redis+sentinel://10.0.3.17:26379/shop/0'")
    );
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

//! Checks that no statement in a verdict contradicts an observation of the same run.
//!
//! The tests do this for all situations and all random worlds.

use crate::ping::causes::{Cause, Fix};
use crate::ping::conclusions::{is_iam_token, median};
use crate::ping::observation::{
    DialResult, Echo, Exchange, Experiment, Observations, SentinelAnswer, TlsResult,
};
use crate::ping::response::Response;
use crate::ping::verdict::{Certainty, Finding, Verdict};
use crate::redis_url::Target;
use crate::secret::Secret;

/// Returns every statement in the verdict that contradicts an observation of the same run.
pub(in crate::ping) fn contradictions(
    target: &Target,
    seen: &Observations,
    verdict: &Verdict,
) -> Vec<String> {
    let run = Run {
        target,
        seen,
        verdict,
    };
    let finding = verdict.finding.iter().flat_map(|finding| run.in_finding(finding));
    let warnings = verdict.warnings.iter().flat_map(|warning| {
        let cause = warning.cause;
        run.in_warning(cause)
            .into_iter()
            .map(move |what| format!("the warning {}: {what}", cause.code()))
    });
    let texts = run.texts();
    let claims = texts.iter().filter_map(|text| run.in_text(text));
    let fixes = run.fixes().into_iter().filter_map(|(cause, fix)| {
        let what = run.in_fix(cause, fix)?;
        Some(format!(
            "the fix {} of {}: {what}: {fix:?}",
            fix.kind,
            cause.code()
        ))
    });
    finding.chain(warnings).chain(claims).chain(fixes).collect()
}

/// Phrases that claim something about the run, each with a function that checks the claim. A text may contain
/// a phrase only if its claim is true.
const CLAIMS: &[(&str, Holds)] = &[
    ("nothing was received before", |run| {
        run.first_replies().next().is_none()
    }),
    ("PING had got PONG", has_pong),
    ("PING got PONG", has_pong),
    ("PING gets PONG", has_pong),
    ("answers PING", has_pong),
    ("AUTH got OK", |run| is_ok(run.seen.auth.response.as_ref())),
    ("the login works", |run| is_ok(run.seen.auth.response.as_ref())),
    ("small requests get replies", has_pong),
    ("simple commands work", |run| {
        !run.responses()
            .any(|(command, response)| command == "HGETALL" && response.refusal().is_some())
    }),
    ("a second connection works, so", |run| {
        run.seen.fails_only_on_first_connection() || run.seen.experiments.other_server().is_some()
    }),
    ("the same requests got replies on a second connection", |run| {
        run.seen.second_connection_works()
    }),
    ("never replies; a second connection got no reply either", |run| {
        run.seen
            .experiments
            .repeat
            .as_ref()
            .is_some_and(|repeat| repeat.stopped_at().is_some())
    }),
    ("a second connection could not be made", |run| {
        let repeat = run.seen.experiments.repeat.as_ref();
        repeat.is_some_and(|repeat| repeat.exchanges.is_empty())
            || matches!(
                run.seen.experiments.other_protocol,
                Some(Experiment::NotConnected(_))
            )
    }),
    (
        "a TLS handshake on another connection got no reply",
        |run| matches!(&run.seen.experiments.other_protocol, Some(Experiment::ClientHello { result, .. }) if !result.is_tls()),
    ),
    (
        "on a second connection, a TLS ClientHello got a TLS reply",
        |run| matches!(&run.seen.experiments.other_protocol, Some(Experiment::ClientHello { result, .. }) if result.is_tls()),
    ),
    (
        "a plain-text PING on a second connection got no reply",
        |run| matches!(&run.seen.experiments.other_protocol, Some(Experiment::PlainPing(Response::Timeout(bytes))) if bytes.is_empty()),
    ),
    ("every packet was acknowledged", |run| {
        let packets = run
            .seen
            .packets
            .or(run.seen.tls.handshake.as_ref().and_then(|tls| tls.packets));
        packets.is_some_and(|packets| packets.unacknowledged == 0 && packets.unsent_bytes == 0)
    }),
    ("the data was never acknowledged", |run| {
        let packets = run
            .seen
            .packets
            .or(run.seen.tls.handshake.as_ref().and_then(|tls| tls.packets));
        packets.is_some_and(|packets| packets.unacknowledged > 0)
    }),
    ("the delay is in the server", |run| {
        run.seen
            .tcp
            .connect_time()
            .is_some_and(|connecting| connecting < run.median())
    }),
    ("the delay is in the network", |run| {
        run.seen
            .tcp
            .connect_time()
            .is_some_and(|connecting| connecting * 4 > run.median())
    }),
    ("a round trip took", |run| {
        let connecting = run
            .seen
            .tcp
            .connected()
            .map(|dial| dial.took)
            .unwrap_or_default()
            .max(run.median());
        let waited = [run.seen.auth.took, run.seen.ping.took, run.seen.requests.took];
        let tls = run.seen.tls.handshake.as_ref().map(|tls| tls.took);
        waited
            .into_iter()
            .chain(tls)
            .any(|waited| !waited.is_zero() && connecting * 4 > waited)
    }),
    ("INFO reports", has_info),
    ("according to INFO", has_info),
];

type Holds = fn(&Run<'_>) -> bool;

struct Run<'a> {
    target: &'a Target,
    seen: &'a Observations,
    verdict: &'a Verdict,
}

impl Run<'_> {
    fn in_finding(&self, finding: &Finding) -> Vec<String> {
        let (seen, cause) = (self.seen, finding.cause);
        let code = cause.code();
        let layer = code.split('.').next().unwrap_or_default();
        let is_connected = seen.tcp.connected().is_some();
        let is_logged_in = is_ok(seen.auth.response.as_ref());
        let is_proved = finding.certainty == Certainty::Proved;
        let mut found = Vec::new();
        let mut rule = |holds: bool, what: &str| {
            if !holds {
                found.push(format!("{code} ({:?}): {what}", finding.certainty));
            }
        };
        match layer {
            "dns" => rule(seen.tcp.dials.is_empty(), "an address was found and dialled"),
            "tcp" => rule(!is_connected, "the connection was made"),
            "tls" if cause == Cause::TlsRequired => rule(!self.target.tls, "the URL asks for TLS"),
            "tls" => rule(self.target.tls, "the URL does not ask for TLS"),
            "proto" | "proxy" | "server" | "role" | "cluster" | "db" => {
                rule(is_connected, "there was no connection");
            }
            _ => {}
        }
        match cause {
            Cause::TlsUntrusted | Cause::TlsExpired | Cause::TlsNameMismatch | Cause::TlsVersion => {
                let tls = seen.tls.handshake.as_ref();
                let is_fine = tls.is_some_and(|tls| {
                    tls.result == TlsResult::Established && tls.certificate_problem.is_none()
                });
                rule(!is_fine, "the handshake succeeded");
            }
            Cause::AuthRequired | Cause::AuthFailed | Cause::AuthNotConfigured => {
                rule(!is_logged_in, "the login succeeded");
            }
            Cause::AuthNoPermission => rule(self.is_forbidden(), "no reply forbids anything"),
            Cause::ProtoNotRedis => rule(
                !self.has_pong() && self.errors().next().is_none(),
                "Redis replied with PONG or an error",
            ),
            Cause::ProtoClosed => rule(self.has_ended(), "no connection was closed"),
            Cause::ServerSilent => rule(
                seen.ping.response.is_none()
                    || self
                        .responses()
                        .any(|(_, response)| matches!(response, Response::Timeout(_))),
                "every request got its reply",
            ),
            Cause::RoleSentinel => rule(seen.server.is_sentinel(), "it is not a Sentinel"),
            Cause::RoleReplica => rule(
                seen.server.is_replica() || self.has_error("READONLY"),
                "nothing shows a replica",
            ),
            Cause::TlsRequired if is_proved => rule(
                matches!(&seen.experiments.other_protocol, Some(Experiment::ClientHello { result, .. }) if result.is_tls()),
                "no TLS reply came",
            ),
            Cause::TlsNotOffered if is_proved => rule(
                matches!(
                    &seen.experiments.other_protocol,
                    Some(Experiment::PlainPing(Response::Reply(_)))
                ),
                "no plain reply came",
            ),
            Cause::TcpTimeout if is_proved => rule(
                seen.tcp
                    .dials
                    .iter()
                    .any(|dial| matches!(dial.result, DialResult::Timeout { syns } if syns != Some(1))),
                "only one SYN was sent",
            ),
            Cause::PathMtu => rule(seen.experiments.packet_sizes.is_some(), "no sizes were compared"),
            Cause::ProxyNoBackend if is_proved => rule(self.errors().next().is_some(), "no error reply came"),
            _ => {}
        }
        if matches!(cause, Cause::ServerSilent | Cause::ProtoClosed) && is_proved {
            rule(
                !seen.fails_only_on_first_connection(),
                "a second connection works",
            );
        }
        found
    }

    fn in_warning(&self, cause: Cause) -> Option<&'static str> {
        let server = &self.seen.server;
        let contradicted = match cause {
            Cause::RoleReplica => !server.is_replica(),
            Cause::ClusterMode | Cause::ClusterPartial | Cause::ClusterUnreachableNodes => {
                !server.is_cluster()
            }
            Cause::TlsExpiresSoon | Cause::TlsUntrusted | Cause::TlsExpired => !self.target.tls,
            Cause::AuthPlaintext => self.target.tls || self.target.password.is_none(),
            Cause::LatencyHigh | Cause::LatencyJitter => self.seen.ping.round_trips.is_empty(),
            Cause::DnsPartial => self.seen.tcp.dials.len() < 2,
            _ => false,
        };
        contradicted.then_some("the run observed the contrary")
    }

    fn in_text(&self, text: &str) -> Option<String> {
        let (phrase, _) = CLAIMS
            .iter()
            .find(|(phrase, holds)| text.contains(phrase) && !holds(self))?;
        Some(format!("\"{phrase}\" is not true: {text}"))
    }

    fn in_fix(&self, cause: Cause, fix: &Fix) -> Option<String> {
        let command = fix.command.as_deref().unwrap_or_default();
        let text = format!("{} {command}", fix.text).to_lowercase();
        if !self.is_aws()
            && let Some(term) = AWS_TERMS.iter().find(|term| text.contains(*term))
        {
            return Some(format!("nothing shows AWS, but it mentions {term}"));
        }
        if command.contains("***") {
            return Some("it contains a mask".into());
        }
        if is_ok(self.seen.auth.response.as_ref())
            && fix.kind == "password"
            && cause.code().starts_with("auth.")
        {
            return Some("the login succeeded".into());
        }
        if let Some(refused) = self.refused_command(cause, fix) {
            return Some(refused);
        }
        let url = command
            .split_whitespace()
            .find(|word| word.trim_matches('\'').starts_with("redis"))
            .filter(|_| command.contains("sessiontut ping"))?;
        let url = Target::parse(url.trim_matches('\'')).ok()?;
        self.lost_in_url(cause, fix, &url)
    }

    /// Returns the reason why the redis-cli command in a fix cannot work, for example because the server has
    /// refused this command. Returns `None` if the command can work.
    fn refused_command(&self, cause: Cause, fix: &Fix) -> Option<String> {
        let command = fix.command.as_deref()?;
        let (_, arguments) = command.split_once("redis-cli")?;
        let is_on_its_host =
            fix.text.contains("on the Redis host") || fix.text.contains("on the Sentinel's host");
        let is_unusable = matches!(
            cause.code().split('.').next(),
            Some("dns" | "tcp" | "tls" | "path" | "proto" | "proxy" | "local")
        ) || matches!(
            cause,
            Cause::ServerMaxClients | Cause::ServerSilent | Cause::ServerProtectedMode
        );
        let is_unusable = is_unusable && !self.seen.holds_back_writes();
        // With path.idle, the next connection works. With tls.unsupported, clients that use OpenSSL may be
        // able to connect.
        let is_unusable = is_unusable && !matches!(cause, Cause::PathIdle | Cause::TlsUnsupported);
        if is_unusable && !is_on_its_host && self.verdict.finding.as_ref().is_some_and(|it| it.cause == cause)
        {
            return Some("redis-cli cannot use this connection either".into());
        }
        let logs_in = arguments.contains("--askpass") || command.contains("export REDISCLI_AUTH");
        if arguments.contains(" ACL ") && !logs_in {
            return Some("an administrator must log in, and this command does not".into());
        }
        // Commands for an administrator use a different login.
        let is_same_user = !matches!(fix.kind, "acl" | "user");
        let name = arguments
            .split_whitespace()
            .find(|word| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase()))?;
        let refused = self.responses().find(|(asked, response)| {
            asked.split(' ').next() == Some(name)
                && response.error().is_some()
                && (is_same_user || !response.is_forbidden())
        });
        refused.map(|(_, response)| format!("the server refused {name}: {response:?}"))
    }

    fn lost_in_url(&self, cause: Cause, fix: &Fix, url: &Target) -> Option<String> {
        let target = self.target;
        let changes_tls = matches!(cause, Cause::TlsRequired | Cause::TlsNotOffered) || fix.kind == "port";
        let changes_login = matches!(fix.kind, "user" | "password" | "endpoint");
        let changes_db = matches!(fix.kind, "db" | "endpoint");
        let changes_host = matches!(
            fix.kind,
            "endpoint" | "primary" | "port" | "bind" | "name" | "address"
        );
        // A final dot does not change the host, but prevents search domains.
        let without_dot = |host: Option<&str>| host.map(|host| host.trim_end_matches('.').to_owned());
        let lost = [
            (target.tls && !url.tls && !changes_tls, "TLS"),
            (
                target.password.is_some() && url.user != target.user && !changes_login,
                "the user",
            ),
            (url.db != target.db && !changes_db, "the database"),
            (
                without_dot(url.host()) != without_dot(target.host()) && !changes_host,
                "the host",
            ),
            (url.port() != target.port() && !changes_host, "the port"),
        ];
        let (_, what) = lost.into_iter().find(|(is_lost, _)| *is_lost)?;
        Some(format!("the URL loses {what}"))
    }

    /// Whether the observations show that the server runs on AWS.
    fn is_aws(&self) -> bool {
        let is_named = self
            .target
            .host()
            .is_some_and(|host| host.contains(".amazonaws.com"));
        let password = self.target.password.as_ref().map_or("", Secret::reveal);
        is_named
            || is_iam_token(password)
            || self.seen.this_host.instance.is_some()
            || self.seen.aws.is_some()
    }

    fn fixes(&self) -> Vec<(Cause, &Fix)> {
        let finding = self.verdict.finding.iter();
        let finding = finding.flat_map(|finding| finding.fixes.iter().map(|fix| (finding.cause, fix)));
        let warnings = self.verdict.warnings.iter();
        let warnings = warnings.flat_map(|warning| warning.fixes.iter().map(|fix| (warning.cause, fix)));
        finding.chain(warnings).collect()
    }

    /// Returns all texts in which the verdict states facts.
    fn texts(&self) -> Vec<&str> {
        let finding = self.verdict.finding.iter();
        let finding = finding.flat_map(|finding| [&finding.summary].into_iter().chain(&finding.evidence));
        let warnings = self.verdict.warnings.iter().map(|warning| &warning.summary);
        finding.chain(warnings).map(String::as_str).collect()
    }

    /// Returns every response on the first connection, with its command.
    fn first_responses(&self) -> impl Iterator<Item = (&'static str, Response)> {
        let seen = self.seen;
        let role = seen.server.role.clone().map(Response::Reply);
        let info = seen.server.info_error.as_ref().and_then(|error| {
            let value = redis::parse_redis_value(format!("-{error}\r\n").as_bytes()).ok()?;
            Some(Response::Reply(value))
        });
        let single = [
            ("AUTH", seen.auth.response.clone()),
            ("PING", seen.ping.response.clone()),
            ("SELECT", seen.requests.select.clone()),
            ("HGETALL", seen.requests.read.clone()),
            ("HELLO", seen.server.hello.clone()),
            ("ROLE", role),
            ("INFO", info),
            ("MULTI", seen.server.multi.clone()),
        ];
        let echo = seen.requests.echo.iter().filter_map(|echo| match echo {
            Echo::Refused(error) => {
                let value = redis::parse_redis_value(format!("-{error}\r\n").as_bytes()).ok()?;
                Some(("ECHO", Response::Reply(value)))
            }
            _ => None,
        });
        let exchange = |exchange: &Exchange| (exchange.command, exchange.response.clone());
        let test = seen.write_test.iter();
        let test = test.flat_map(|test| {
            test.queued
                .iter()
                .cloned()
                .chain([("EXEC", test.executed.clone())])
        });
        let single = single
            .into_iter()
            .filter_map(|(name, response)| Some((name, response?)));
        single
            .chain(echo)
            .chain(seen.requests.stopped_at.iter().map(exchange))
            .chain(test)
            .chain(seen.permissions.iter().cloned())
    }

    /// Returns every response on all connections, with its command.
    fn responses(&self) -> impl Iterator<Item = (&'static str, Response)> {
        let repeat = self
            .seen
            .experiments
            .repeat
            .iter()
            .flat_map(|repeat| &repeat.exchanges);
        let repeat = repeat.map(|exchange| (exchange.command, exchange.response.clone()));
        let experiment = match &self.seen.experiments.other_protocol {
            Some(Experiment::PlainPing(response)) => Some(("PING", response.clone())),
            Some(Experiment::ClientHello { inside, .. }) => inside.clone().map(|response| ("PING", response)),
            _ => None,
        };
        let handshakes = self
            .seen
            .tls
            .handshake
            .iter()
            .map(|tls| &tls.result)
            .chain(&self.seen.tls.second_handshake);
        let handshakes = handshakes.filter_map(|result| match result {
            TlsResult::Closed => Some(("", Response::Closed(Vec::new()))),
            TlsResult::TimedOut => Some(("", Response::Timeout(Vec::new()))),
            _ => None,
        });
        let followed = self.seen.followed.iter();
        let sentinel = followed.filter_map(|followed| match &followed.answer {
            SentinelAnswer::Other(response) => Some(("SENTINEL", response.clone())),
            _ => None,
        });
        self.first_responses()
            .chain(sentinel)
            .chain(repeat)
            .chain(experiment)
            .chain(handshakes)
    }

    fn first_replies(&self) -> impl Iterator<Item = Response> {
        let responses = self.first_responses().map(|(_, response)| response);
        responses.filter(|response| matches!(response, Response::Reply(_)))
    }

    fn errors(&self) -> impl Iterator<Item = String> {
        self.responses().filter_map(|(_, response)| response.error())
    }

    fn has_error(&self, code: &str) -> bool {
        self.errors().any(|error| error.starts_with(code))
    }

    fn is_forbidden(&self) -> bool {
        self.responses().any(|(_, response)| response.is_forbidden())
    }

    fn has_pong(&self) -> bool {
        self.responses().any(|(_, response)| response.is_pong())
    }

    fn has_ended(&self) -> bool {
        self.responses().any(|(_, response)| {
            matches!(
                response,
                Response::Closed(_) | Response::Reset(_) | Response::Alert(_)
            )
        })
    }

    fn median(&self) -> std::time::Duration {
        median(&self.seen.ping.round_trips)
    }
}

fn has_pong(run: &Run<'_>) -> bool {
    run.has_pong()
}

/// Whether INFO or CLUSTER INFO got a reply.
fn has_info(run: &Run<'_>) -> bool {
    let server = &run.seen.server;
    !server.fields.is_empty() || server.cluster_state().is_some()
}

fn is_ok(response: Option<&Response>) -> bool {
    response.is_some_and(Response::is_ok)
}

/// Terms that only AWS uses.
const AWS_TERMS: [&str; 9] = [
    "aws",
    "amazon",
    "ec2",
    "vpc",
    "elasticache",
    "memorydb",
    "security group",
    "security-group",
    "network acl",
];

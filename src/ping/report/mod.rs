//! Renders a verdict as text for people and as JSON for scripts. Both formats contain the same checks with
//! the same statuses.

pub mod json;
pub mod text;
pub(crate) mod ticket;

use std::time::Duration;

use crate::ping::Rung;
use crate::ping::causes::Cause;
use crate::ping::observation::{Dial, DialResult, Echo, Endpoint, ErrorSource, Observations, TlsResult};
use crate::ping::verdict::Verdict;
use crate::redis_url::{Address, Target, UrlWarning};
use crate::sanitize;

/// A check in the report.
#[derive(Clone, Debug)]
pub struct ReportStep {
    pub rung: Rung,
    pub status: Status,
    /// How long the check took. `None` if the check was skipped, or if this is only a hint about the URL.
    pub took: Option<Duration>,
    /// The result of the check in a few words.
    pub detail: String,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    /// The check passed, but there is a warning about it.
    Warn,
    Fail,
    /// The check was not needed or was not reached.
    Skipped,
}

impl Status {
    /// Returns the status as `--json` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
        }
    }
}

/// Returns all checks. The verdict determines which check failed and which checks have warnings.
pub fn steps(target: &Target, seen: &Observations, verdict: &Verdict) -> Vec<ReportStep> {
    let mut steps: Vec<ReportStep> = Rung::ALL
        .iter()
        .map(|rung| observed(*rung, target, seen))
        .collect();
    for warning in &verdict.warnings {
        let rung = rung_of(warning.cause.code());
        let passed = steps.iter_mut().filter(|step| step.status == Status::Ok);
        for step in passed.filter(|step| step.rung == rung) {
            step.status = Status::Warn;
        }
    }
    // If no check shows a failure by itself, the last attempted check has failed.
    if let Some(finding) = &verdict.finding
        && !steps.iter().any(|step| step.status == Status::Fail)
        && let Some(last) = steps.iter_mut().rev().find(|step| step.took.is_some())
    {
        last.status = Status::Fail;
        last.detail.clone_from(&finding.summary);
    }
    steps
}

/// Returns the check to which the warning with this code belongs.
fn rung_of(code: &str) -> Rung {
    match code.split('.').next().unwrap_or_default() {
        "url" => Rung::Url,
        // This warning is about the connection attempts.
        "dns" if code == Cause::DnsPartial.code() => Rung::Tcp,
        "dns" => Rung::Dns,
        "tcp" | "aws" => Rung::Tcp,
        "tls" => Rung::Tls,
        "auth" => Rung::Auth,
        "latency" => Rung::Ping,
        _ => Rung::Role,
    }
}

/// Returns the result of one check. The result depends only on the observations, not on the verdict.
pub(crate) fn observed(rung: Rung, target: &Target, seen: &Observations) -> ReportStep {
    let given = target;
    let target = seen.target(given);
    let (status, took, detail) = match rung {
        Rung::Url => {
            let primary = seen
                .primary()
                .map(|primary| format!(", which leads to {primary}"));
            let detail = format!("{given}{}", primary.unwrap_or_default());
            let is_suspect = |warning: &UrlWarning| *warning != UrlWarning::EncodedTwice;
            let is_suspect = given.warnings.iter().any(is_suspect);
            let status = if is_suspect { Status::Warn } else { Status::Ok };
            (status, Some(Duration::ZERO), detail)
        }
        Rung::Dns => dns(target, seen),
        Rung::Tcp => tcp(seen),
        Rung::Tls => tls(target, seen),
        Rung::Auth => auth(target, seen),
        Rung::Ping => ping(target, seen),
        Rung::Role => role(seen),
    };
    ReportStep {
        rung,
        status,
        took,
        detail,
    }
}

/// Returns a step that shows a hint about the host name as a warning of the URL check.
pub(crate) fn hint(text: &str) -> ReportStep {
    ReportStep {
        rung: Rung::Url,
        status: Status::Warn,
        took: None,
        detail: text.to_owned(),
    }
}

type Outcome = (Status, Option<Duration>, String);

fn skipped(why: &str) -> Outcome {
    (Status::Skipped, None, why.to_owned())
}

fn passed(took: Duration, detail: impl Into<String>) -> Outcome {
    (Status::Ok, Some(took), detail.into())
}

fn failed(took: Duration, detail: impl Into<String>) -> Outcome {
    (Status::Fail, Some(took), detail.into())
}

fn dns(target: &Target, seen: &Observations) -> Outcome {
    let Some(lookup) = &seen.dns else {
        return skipped(match target.address {
            Address::Unix(_) => "a unix socket has no host name",
            Address::Tcp { .. } => "the host is an IP address",
        });
    };
    if lookup.addresses.is_empty() {
        return failed(lookup.took, "no address");
    }
    let addresses: Vec<_> = lookup.addresses.iter().map(ToString::to_string).collect();
    passed(lookup.took, addresses.join(", "))
}

fn tcp(seen: &Observations) -> Outcome {
    if seen.tcp.dials.is_empty() {
        return skipped("not reached");
    }
    match seen.tcp.connected() {
        Some(connected) => {
            let is_other = |dial: &&Dial| !matches!(dial.result, DialResult::Connected | DialResult::NoRoute);
            let others = seen.tcp.dials.iter().filter(is_other);
            let others: String = others.map(|dial| format!(", but {}", outcome(dial))).collect();
            let status = if others.is_empty() {
                Status::Ok
            } else {
                Status::Warn
            };
            // The total time of all attempts may include a wait for other addresses, so use the time of this
            // attempt.
            let took = seen.tcp.round_trip();
            (
                status,
                Some(took),
                format!("connected to {}{others}", connected.to),
            )
        }
        None => {
            let results: Vec<_> = seen.tcp.dials.iter().map(outcome).collect();
            failed(seen.tcp.took, results.join(", "))
        }
    }
}

/// Describes the result of one connection attempt in a few words.
fn outcome(dial: &Dial) -> String {
    let result = match (&dial.result, &dial.to) {
        (DialResult::Prohibited(ErrorSource::ThisHost(_)), Endpoint::Named(_)) => "permission denied".into(),
        (result, _) => result.name().replace('-', " "),
    };
    format!("{} {result}", dial.to)
}

fn tls(target: &Target, seen: &Observations) -> Outcome {
    if !target.tls {
        return skipped("the URL is not rediss://");
    }
    let Some(tls) = &seen.tls.handshake else {
        return if seen.experiments.other_protocol.is_some() {
            // An experiment got a plain-text reply before the handshake ended.
            failed(
                Duration::ZERO,
                "no TLS handshake: the server speaks only plain text",
            )
        } else {
            skipped("not reached")
        };
    };
    if tls.result != TlsResult::Established {
        return failed(tls.took, "the handshake failed");
    }
    if tls.certificate_problem.is_some() {
        return failed(
            tls.took,
            "the certificate cannot be verified; continuing because of --insecure",
        );
    }
    // rustls names TLS 1.3 `TLSv1_3`.
    let version = tls.version.as_deref().unwrap_or_default();
    let version = version.replace("TLSv", "TLS ").replace('_', ".");
    passed(
        tls.took,
        format!("{version}, certificate for {}", tls.expected_name),
    )
}

fn auth(target: &Target, seen: &Observations) -> Outcome {
    match &seen.auth.response {
        Some(response) if response.is_ok() => {
            let user = target.user.as_deref().unwrap_or("default");
            passed(seen.auth.took, format!("logged in as {}", sanitize::line(user)))
        }
        Some(_) => failed(seen.auth.took, "the login failed"),
        None if seen.requires_login() => failed(seen.ping.took, "a password is required"),
        None if target.password.is_none() => skipped("the URL has no password"),
        None if seen.shows_tls() => failed(Duration::ZERO, "no reply in plain text"),
        None => skipped("not reached"),
    }
}

fn ping(target: &Target, seen: &Observations) -> Outcome {
    let Some(response) = &seen.ping.response else {
        return if seen.shows_tls() && target.password.is_none() {
            failed(Duration::ZERO, "no reply in plain text")
        } else {
            skipped("not reached")
        };
    };
    if let (Some(command), true) = (seen.unanswered(), response.is_pong()) {
        let detail = format!("PONG, but no reply to {command}");
        (Status::Warn, Some(seen.ping.took), detail)
    } else if let (Some(error), true) = (seen.refused_read(), response.is_pong()) {
        // The reply to PING may come from a proxy.
        let error = sanitize::excerpt(error.as_bytes(), 60);
        failed(seen.ping.took, format!("PONG, but a read (HGETALL) got {error}"))
    } else if response.is_pong() {
        let detail = match &seen.requests.echo {
            Some(Echo::Refused(_)) if !seen.server.is_sentinel() => {
                "PONG; large packets were not tested, because the server refuses ECHO"
            }
            _ => "PONG",
        };
        passed(seen.ping.took, detail)
    } else if seen.serves_without_ping() {
        passed(seen.ping.took, "the server refuses PING, but allows HGETALL")
    } else if seen.requires_login() {
        // The login check already shows the failure.
        skipped("login required")
    } else {
        failed(seen.ping.took, "no PONG")
    }
}

fn role(seen: &Observations) -> Outcome {
    if seen.server.role.is_none() {
        return skipped("not reached");
    }
    let Some(role) = seen.server.role_text() else {
        return skipped("the server does not report its role");
    };
    match &seen.write_test {
        Some(test) if test.has_passed() => {
            let commands: String = test.queued.iter().map(|(name, _)| format!("{name}, ")).collect();
            passed(Duration::ZERO, format!("{role}; writing works ({commands}EXEC)"))
        }
        _ => passed(Duration::ZERO, role),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::observation::Experiment;
    use crate::ping::response::Response;

    #[test]
    fn tls_check_claims_no_reply_to_the_client_hello_if_only_the_experiment_got_one() {
        let target = Target::parse("rediss://127.0.0.1:6379").unwrap();
        let seen = Observations::default().with(|seen| {
            seen.experiments.other_protocol = Some(Experiment::PlainPing(Response::Reply(
                redis::Value::SimpleString("PONG".into()),
            )));
        });
        let step = observed(Rung::Tls, &target, &seen);
        assert_eq!(step.status, Status::Fail);
        assert!(!step.detail.contains("ClientHello"), "{}", step.detail);
    }
}

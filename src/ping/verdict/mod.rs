//! Determines the verdict: a pure function from observations to one cause, with evidence, fixes and warnings.

pub(crate) mod aws;
mod dns;
mod error_reply;
mod finding;
mod hints;
mod idle;
mod latency;
mod no_reply;
mod other_protocol;
mod ping;
mod reply;
mod role;
mod second_look;
mod sentinel;
mod service;
mod tcp;
mod tls;
mod warnings;

#[cfg(test)]
pub(in crate::ping) mod tests;

use super::causes::{Cause, FixContext, url_fixes};
use super::observation::Observations;
use super::this_host::LocalListener;
use crate::redis_url::{Target, UrlError, UrlErrorKind};
use crate::sanitize;

pub use finding::Verdict;
pub(crate) use finding::{Certainty, Finding, either};

/// Returns the cause that explains the observations, if there is one, and the warnings.
#[must_use]
pub fn judge(given: &Target, seen: &Observations) -> Verdict {
    let target = seen.target(given);
    let context = FixContext::of(given, seen);
    let finding = tcp::judge_open_files(seen)
        .or_else(|| sentinel::judge(seen))
        .or_else(|| dns::judge(target, seen))
        .or_else(|| tcp::judge(target, seen))
        .or_else(|| service::proxy_header(target, seen))
        .or_else(|| tls::judge(target, seen))
        .or_else(|| service::out_of_step(target, seen))
        .or_else(|| ping::judge(target, seen))
        .or_else(|| service::judge(seen))
        .or_else(|| role::judge(seen))
        .or_else(|| ping::judge_missing(seen))
        .or_else(|| idle::judge(seen));
    let (finding, accepted) = with_accepted_certificate(finding, seen);
    let finding = finding.map(|mut finding| {
        let cause = finding.cause;
        let may_be_behind = matches!(
            cause,
            Cause::ServerSilent | Cause::ProtoClosed | Cause::TlsStalled
        );
        let forwarder = seen
            .listener_of_the_connection()
            .and_then(LocalListener::forwarder);
        if let Some(forwarder) = forwarder.filter(|_| may_be_behind) {
            let note = format!(" (through {forwarder})");
            finding.summary.push_str(&note);
        }
        let finding = idle::with_lost_connection(finding, seen);
        second_look::with_second_look(finding, seen)
            .facts(dns::hosts_file(target, seen))
            .facts(tcp::describe_listener(seen))
            .facts(hints::all(target, cause, seen))
            .facts(sentinel::facts(given, seen))
            .fixed(&context)
    });
    let mut warnings = warnings::all(target, seen, &context);
    warnings.extend(accepted.map(|accepted| accepted.fixed(&context).into()));
    if let Some(finding) = &finding {
        warnings.retain(|warning| !repeats(warning.cause, finding.cause));
    }
    let mut verdict = Verdict { finding, warnings };
    if let Some(finding) = verdict
        .finding
        .as_mut()
        .filter(|finding| finding.cause == Cause::TcpTimeout)
    {
        finding.evidence.extend(aws::other_region(target, seen));
    }
    if let Some(answer) = &seen.aws {
        aws::add(answer, &mut verdict);
    }
    verdict
}

/// Whether a warning would only repeat what the cause already says.
fn repeats(warning: Cause, cause: Cause) -> bool {
    warning == cause
        || matches!(
            (warning, cause),
            (Cause::ServerEviction, Cause::ServerOutOfMemory)
                // Either the retransmitted data is the request without a reply, or the finding is about the
                // packet loss itself.
                | (Cause::PathLoss, Cause::TlsRequired | Cause::ServerSilent | Cause::PathMtu | Cause::TlsStalled)
                // The finding already contains the server's limit.
                | (Cause::ServerTimeout, Cause::PathIdle)
                | (Cause::RoleReplica, Cause::RoleMasterDown)
                | (Cause::ClusterPartial, Cause::ClusterDown)
        )
}

/// Handles a certificate problem that `--insecure` accepted. Returns the finding and, if a later check failed
/// for a different reason, a warning about the certificate. Otherwise, the certificate problem is the
/// finding.
fn with_accepted_certificate(
    finding: Option<Finding>,
    seen: &Observations,
) -> (Option<Finding>, Option<Finding>) {
    let Some(accepted) = tls::judge_accepted(seen) else {
        return (finding, None);
    };
    let is_login_withheld =
        |finding: &Finding| seen.auth.is_password_withheld && finding.cause == Cause::AuthRequired;
    let answer = match finding {
        None => "on this connection, Redis answers PING",
        Some(finding) if is_login_withheld(&finding) => {
            "on this connection, Redis answers but requires the password, which `ping` sends only with --insecure-auth"
        }
        Some(finding) => {
            let fact = format!(
                "--insecure accepted a certificate that cannot be verified: {}",
                accepted.summary
            );
            return (Some(finding.fact(fact)), Some(accepted));
        }
    };
    let fact =
        "because of --insecure, the connection was used although the server's certificate cannot be verified";
    (Some(accepted.fact(fact).fact(answer)), None)
}

/// Like [`judge`], but for modes that only test whether Redis responds. A certificate problem that
/// `--insecure` allows is only a warning.
#[must_use]
pub(crate) fn judge_answer(target: &Target, seen: &Observations) -> Verdict {
    let mut verdict = judge(target, seen);
    let accepted = tls::judge_accepted(seen).filter(|_| !seen.requires_login());
    let is_accepted =
        |finding: &mut Finding| accepted.is_some_and(|accepted| accepted.cause == finding.cause);
    if let Some(finding) = verdict.finding.take_if(is_accepted) {
        verdict.warnings.push(finding.into());
    }
    verdict
}

/// Returns the verdict if a cluster node works, but a client cannot connect to the node's cluster. `why` is
/// the client's error message.
#[must_use]
pub fn judge_cluster(target: &Target, seen: &Observations, verdict: &Verdict, why: &str) -> Verdict {
    let cause = Cause::ClusterUnreachableNodes;
    let (unreachable, warnings): (Vec<_>, Vec<_>) = verdict
        .warnings
        .iter()
        .cloned()
        .partition(|warning| warning.cause == cause);
    let finding = Finding::likely(cause)
        .summary("clients cannot connect to the cluster of this node")
        .fact(format!("{target} itself answers"))
        .facts(unreachable.into_iter().map(|warning| warning.summary))
        .fact(format!(
            "the attempt to connect to the cluster failed: {}",
            sanitize::line(why)
        ));
    Verdict {
        finding: Some(finding.fixed(&FixContext::of(target, seen))),
        warnings,
    }
}

/// Returns the verdict on an invalid URL.
#[must_use]
pub fn judge_url(error: &UrlError) -> Verdict {
    let cause = match error.kind {
        UrlErrorKind::Invalid => Cause::UrlInvalid,
        UrlErrorKind::Scheme => Cause::UrlScheme,
        UrlErrorKind::Encoding => Cause::UrlEncoding,
    };
    let finding = Finding::proved(cause)
        .summary(error.message.as_str())
        .fact("no packet was sent, because the URL cannot be used");
    Verdict {
        finding: Some(Finding {
            fixes: url_fixes(error),
            ..finding
        }),
        warnings: Vec::new(),
    }
}

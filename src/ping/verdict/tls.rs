//! Determines the verdict on the TLS handshake.

mod certificate;
mod client_certificate;
mod offers;

use std::net::IpAddr;

use rustls::AlertDescription;

use self::certificate::{certificate, certificate_facts};
use self::offers::{nothing_in_common, without_name};
use super::finding::{Finding, alert_name, packet_sizes};
use super::no_reply::ONLY_THIS_CONNECTION;
use super::other_protocol::{not_redis, unexpected_reply};
use crate::clock::seconds;
use crate::ping::causes::Cause;
use crate::ping::conclusions::{NoReply, describe_packets};
use crate::ping::observation::{
    CertificateProblem, DialResult, Experiment, Handshake, Observations, TlsResult,
};
use crate::ping::response::{Response, looks_like_tls};
use crate::redis_url::Target;
use crate::sanitize;

pub(super) use client_certificate::client_certificate;

pub(super) fn judge(target: &Target, seen: &Observations) -> Option<Finding> {
    let handshake = seen.tls.handshake.as_ref();
    let is_established = handshake.is_some_and(|tls| tls.result == TlsResult::Established);
    if !target.tls || is_established {
        return None;
    }
    let plain_ping = match &seen.experiments.other_protocol {
        Some(Experiment::PlainPing(response)) => Some(response),
        _ => None,
    };
    // A plain-text reply determines the cause, however the handshake failed.
    match plain_ping {
        Some(response @ Response::Reply(_)) if response.is_pong() || response.error().is_some() => {
            Some(not_offered(handshake, response))
        }
        Some(response @ Response::Reply(_)) => Some(unexpected_reply(
            response,
            "a plain-text PING on a second connection",
        )),
        Some(Response::NotResp(received)) if !looks_like_tls(received) => Some(not_redis(
            received,
            "in reply to a plain-text PING on a second connection",
        )),
        _ => Some(judge_handshake(handshake?, plain_ping, seen)),
    }
}

fn not_offered(handshake: Option<&Handshake>, plain_ping: &Response) -> Finding {
    Finding::proved(Cause::TlsNotOffered)
        .fact(match handshake.map(|tls| &tls.result) {
            Some(TlsResult::NotTls) => "the reply to the TLS ClientHello was not TLS",
            Some(TlsResult::Closed) => "the server closed the connection after the TLS ClientHello",
            _ => "the TLS ClientHello got no reply",
        })
        .fact(match plain_ping.error() {
            Some(error) => format!(
                "on a second connection, a plain-text PING got a Redis error: {}",
                sanitize::line(&error)
            ),
            None => "on a second connection, a plain-text PING got PONG".to_owned(),
        })
}

fn judge_handshake(tls: &Handshake, plain_ping: Option<&Response>, seen: &Observations) -> Finding {
    match &tls.result {
        TlsResult::TimedOut | TlsResult::Established => stalled(tls, plain_ping, seen),
        TlsResult::NotTls => not_tls(plain_ping),
        TlsResult::Closed => closed(plain_ping, seen).facts(without_name(tls)),
        TlsResult::CertificateRejected => {
            let problem = tls.certificate_problem.as_ref();
            certificate(problem.unwrap_or(&CertificateProblem::UnknownIssuer), tls, seen)
        }
        TlsResult::Alert(AlertDescription::UnrecognisedName) => Finding::proved(Cause::TlsNameMismatch)
            .summary(if is_address(&tls.expected_name) {
                format!(
                    "the server requires a host name in the TLS handshake (SNI), but the URL contains the address {}",
                    tls.expected_name
                )
            } else {
                format!("the server has no certificate for {}", tls.expected_name)
            })
            .fact(format!(
                "the server sent the TLS alert {}, and no certificate",
                alert_name(AlertDescription::UnrecognisedName)
            ))
            .facts(without_name(tls)),
        TlsResult::Alert(alert) => match client_certificate(*alert, Some(tls)) {
            Some(finding) => finding.facts(certificate_facts(tls)),
            None => nothing_in_common(Some(*alert), tls, seen.tls.wider_offer.as_ref()),
        },
        TlsResult::NothingInCommon => nothing_in_common(None, tls, seen.tls.wider_offer.as_ref()),
        TlsResult::Misbehaved(error) => Finding::likely(Cause::TlsVersion)
            .summary("the server violates the TLS protocol during the handshake")
            .fact(format!("the handshake ended with: {error}"))
            .facts(certificate_facts(tls)),
        TlsResult::BadName(name) => Finding::proved(Cause::TlsNameMismatch)
            .summary(match seen.tls.trust.tls_name {
                Some(_) => format!("a certificate cannot contain the name in --tls-name (\"{name}\")"),
                None => format!(
                    "a certificate cannot contain the name \"{name}\"; use --tls-name to pass the name in the certificate"
                ),
            })
            .fact("no handshake was tried, because a handshake needs a valid name"),
        TlsResult::Unusable(error) => {
            let is_ca = error.starts_with("--ca ");
            Finding::proved(if is_ca {
                Cause::TlsUntrusted
            } else {
                Cause::TlsClientCert
            })
            .summary(error)
            .fact("no handshake was tried, because a TLS option cannot be used")
        }
    }
}

/// Returns the finding about a certificate problem that `--insecure` allowed.
pub(super) fn judge_accepted(seen: &Observations) -> Option<Finding> {
    let tls = seen.tls.handshake.as_ref()?;
    let problem = tls.certificate_problem.as_ref()?;
    let is_accepted = tls.result == TlsResult::Established;
    is_accepted.then(|| certificate(problem, tls, seen))
}

fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

fn stalled(tls: &Handshake, plain_ping: Option<&Response>, seen: &Observations) -> Finding {
    let waited = format!(
        "TCP connected, but the TLS handshake was not complete within {}",
        seconds(tls.took)
    );
    if seen.tls.second_handshake.as_ref().is_some_and(TlsResult::is_tls) {
        return Finding::likely(Cause::TlsStalled)
            .summary(format!(
                "the TLS handshake got no reply, but {ONLY_THIS_CONNECTION}"
            ))
            .fact(waited)
            .fact("a second TLS handshake got a reply");
    }
    if seen
        .tls
        .small_packet_handshake
        .as_ref()
        .is_some_and(TlsResult::is_tls)
    {
        let out_of_order = tls.packets.filter(|packets| packets.out_of_order > 0);
        // Another server behind the same address may have replied by chance, unless the packet size is proved
        // to be the reason.
        return Finding::proved_if(seen.experiments.packet_sizes.is_some(), Cause::TlsStalled)
            .summary("the TLS handshake starts, but its large packets are lost on the way")
            .fact(waited)
            .fact("on another connection, a handshake in small packets (segments of 536 bytes) got a reply")
            .facts(seen.experiments.packet_sizes.map(packet_sizes))
            .facts(out_of_order.map(describe_packets));
    }
    let reason = NoReply::of(seen);
    if let (NoReply::Unsent, Some(summary)) = (reason, reason.summary()) {
        return Finding::likely(Cause::ServerSilent)
            .summary(summary)
            .fact(waited)
            .facts(reason.fact(seen));
    }
    let is_untested = matches!(
        seen.experiments.other_protocol,
        Some(Experiment::NotConnected(DialResult::Timeout { .. }))
    ) && seen.tls.small_packet_handshake.is_none();
    if is_untested && reason == NoReply::SilentServer {
        return Finding::likely(Cause::TlsNotOffered)
            .summary(
                "the server probably does not speak TLS, because it did not reply to the TLS ClientHello",
            )
            .fact(waited)
            .fact("if a port expects plain text, Redis does not reply to a ClientHello")
            .fact("plain text was not tested, because the attempt to open a second connection got no reply")
            .facts(reason.fact(seen));
    }
    let finding = match plain_ping {
        Some(Response::Timeout(received)) if received.is_empty() => Finding::likely(Cause::ServerSilent)
            .summary(reason.summary().unwrap_or(Cause::ServerSilent.meaning()))
            .fact(waited)
            .fact("a plain-text PING on a second connection got no reply either"),
        Some(Response::Closed(_) | Response::Reset(_) | Response::NotResp(_)) => {
            let is_short = matches!(reason, NoReply::ShortTimeout(_));
            let summary = reason.summary().filter(|_| is_short);
            Finding::proved_if(!is_short, Cause::TlsStalled)
                .summary(summary.unwrap_or(Cause::TlsStalled.meaning()))
                .fact(waited)
                .fact(
                    "a plain-text PING on a second connection was rejected at once, so small packets arrive",
                )
        }
        _ => Finding::likely(Cause::TlsStalled)
            .summary(reason.summary().unwrap_or(Cause::TlsStalled.meaning()))
            .fact(waited),
    };
    finding.facts(reason.fact(seen))
}

/// Returns the finding about a reply that is not TLS, if a plain-text PING did not show the cause.
fn not_tls(plain_ping: Option<&Response>) -> Finding {
    // A Redis server without TLS would reply to PING, unless it cannot accept a second connection.
    let is_silent = matches!(plain_ping, Some(Response::Timeout(_) | Response::NotResp(_)));
    let finding = if is_silent {
        Finding::likely(Cause::ProtoNotRedis).summary("the server speaks neither TLS nor the Redis protocol")
    } else {
        Finding::likely(Cause::TlsNotOffered)
    };
    finding
        .fact("TCP connected; the reply to the TLS ClientHello was not TLS")
        .fact(on_a_second_connection(plain_ping))
}

fn closed(plain_ping: Option<&Response>, seen: &Observations) -> Finding {
    if seen.tls.second_handshake.as_ref().is_some_and(TlsResult::is_tls) {
        return Finding::likely(Cause::ProtoClosed)
            .summary(format!(
                "the connection was closed during the TLS handshake, but {ONLY_THIS_CONNECTION}"
            ))
            .fact(
                "TCP connected; the server closed or reset the connection before the handshake was complete",
            )
            .fact("a second TLS handshake got a reply");
    }
    Finding::proved(Cause::ProtoClosed)
        .summary("the server accepts the connection, but closes it during the TLS handshake")
        .fact("TCP connected; the server closed or reset the connection before the handshake was complete")
        .fact(on_a_second_connection(plain_ping))
}

fn on_a_second_connection(plain_ping: Option<&Response>) -> &'static str {
    match plain_ping {
        Some(Response::Timeout(received)) if !received.is_empty() => {
            "a plain-text PING on a second connection got no complete reply"
        }
        Some(Response::Timeout(_)) => "a plain-text PING on a second connection got no reply",
        Some(_) => "a plain-text PING on a second connection was rejected too",
        None => "there was no time for a second connection",
    }
}

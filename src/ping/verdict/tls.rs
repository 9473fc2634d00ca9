//! The verdict on the TLS handshake.

use super::finding::{Finding, age, describe_packets, seconds};
use super::reply::{NoReply, client_certificate, far_away, not_redis, unexpected_reply};
use crate::ping::causes::Cause;
use crate::ping::experiments::looks_like_tls;
use crate::ping::observation::{Experiment, Handshake, Observations, PeerCertificate, TlsResult};
use crate::ping::response::Response;
use crate::redis_url::Target;
use crate::sanitize;

pub(super) fn judge(target: &Target, seen: &Observations) -> Option<Finding> {
    let handshake = seen.tls.as_ref();
    let is_established = handshake.is_some_and(|tls| tls.result == TlsResult::Established);
    if !target.tls || is_established {
        return None;
    }
    let plain_ping = match &seen.experiment {
        Some(Experiment::PlainPing(response)) => Some(response),
        _ => None,
    };
    // A plain-text reply decides, however the handshake failed.
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
            Some(TlsResult::NotTls) => "the reply to the ClientHello was not TLS",
            Some(TlsResult::Closed) => "the server closed the connection after the ClientHello",
            _ => "the ClientHello got no reply",
        })
        .fact(match plain_ping.error() {
            Some(error) => format!(
                "a plain-text PING on a second connection got a Redis error: {}",
                sanitize::line(&error)
            ),
            None => "a plain-text PING on a second connection got PONG".to_owned(),
        })
}

fn judge_handshake(tls: &Handshake, plain_ping: Option<&Response>, seen: &Observations) -> Finding {
    let finding = match &tls.result {
        TlsResult::TimedOut | TlsResult::Established => return stalled(tls, plain_ping, seen),
        TlsResult::NotTls => return not_tls(plain_ping),
        TlsResult::Closed => return closed(plain_ping),
        TlsResult::Untrusted(error) => untrusted(tls).fact(format!("certificate check: {error}")),
        TlsResult::InvalidCertificate(error) => Finding::proved(Cause::TlsUntrusted)
            .summary("the certificate, or an issuer's, is not valid for server authentication")
            .fact(format!("certificate check: {error}"))
            .fact("the issuer is not the problem; a less strict client may accept it"),
        TlsResult::OtherName => Finding::proved(Cause::TlsNameMismatch)
            .summary(format!("the certificate is not for {}", tls.expected_name))
            .fact("its names were compared with the URL's host or --tls-name"),
        TlsResult::Expired => expired(tls, "has expired", |certificate| {
            (certificate.ends_in < 0)
                .then(|| format!("the certificate expired {} ago", age(-certificate.ends_in)))
        }),
        TlsResult::NotValidYet => expired(tls, "is not valid yet", |certificate| {
            (certificate.begins_in > 0).then(|| {
                format!(
                    "the certificate is not valid yet: it begins in {}",
                    age(certificate.begins_in)
                )
            })
        }),
        // With TLS 1.2, OpenSSL sends this alert for a missing client certificate, after its own certificate.
        TlsResult::NothingInCommon(alert) if alert == "HandshakeFailure" && tls.certificate.is_some() => {
            client_certificate(alert)
        }
        TlsResult::NothingInCommon(error) => {
            Finding::proved(Cause::TlsVersion).fact(format!("the handshake ended with: {error}"))
        }
        TlsResult::ClientCertificate(alert) => client_certificate(alert),
        TlsResult::Refused(alert) if alert == "UnrecognisedName" => Finding::proved(Cause::TlsNameMismatch)
            .summary(format!("the server has no certificate for {}", tls.expected_name))
            .fact(format!("the server sent the TLS alert {alert}")),
        TlsResult::Refused(error) => Finding::likely(Cause::TlsVersion)
            .summary("the server ends the TLS handshake with an alert")
            .fact(format!("the handshake ended with: {error}")),
        TlsResult::BadName(error) => Finding::proved(Cause::TlsNameMismatch)
            .summary(error)
            .fact("no handshake was tried: it needs a valid name"),
        TlsResult::Unusable(error) => {
            let is_ca = error.starts_with("--ca ");
            Finding::proved(if is_ca {
                Cause::TlsUntrusted
            } else {
                Cause::TlsClientCert
            })
            .summary(error)
            .fact("no handshake was tried: a TLS option cannot be used")
        }
    };
    finding.facts(certificate_facts(tls))
}

fn untrusted(tls: &Handshake) -> Finding {
    Finding::proved(Cause::TlsUntrusted).summary(match &tls.certificate {
        Some(found) if found.is_self_signed => "the certificate is self-signed".to_owned(),
        Some(found) => format!(
            "the certificate is signed by {}, which is not trusted here",
            found.issuer
        ),
        None => "the certificate chain does not end at a CA that is trusted here".to_owned(),
    })
}

/// `state` describes what is wrong with the dates of the server's certificate. It returns `None` if the dates of an
/// issuer's certificate are wrong instead.
fn expired(tls: &Handshake, what: &str, state: fn(&PeerCertificate) -> Option<String>) -> Finding {
    let summary = match &tls.certificate {
        Some(certificate) => {
            state(certificate).unwrap_or_else(|| format!("an issuer certificate in the chain {what}"))
        }
        None => format!("the certificate {what}"),
    };
    Finding::proved(Cause::TlsExpired)
        .summary(summary)
        .fact("its dates were checked against this host's clock")
}

fn certificate_facts(tls: &Handshake) -> Vec<String> {
    let Some(certificate) = &tls.certificate else {
        return Vec::new();
    };
    let ends = if certificate.ends_in < 0 {
        format!("expired {} ago", age(-certificate.ends_in))
    } else {
        format!("expires in {}", age(certificate.ends_in))
    };
    vec![
        format!("certificate for {}", certificate.names.join(", ")),
        format!("signed by {}; {ends}", certificate.issuer),
    ]
}

fn stalled(tls: &Handshake, plain_ping: Option<&Response>, seen: &Observations) -> Finding {
    let waited = format!(
        "TCP connected, but the TLS handshake was not complete within {}",
        seconds(tls.took)
    );
    if seen
        .small_packet_handshake
        .as_ref()
        .is_some_and(TlsResult::is_tls)
    {
        let out_of_order = tls.packets.filter(|packets| packets.out_of_order > 0);
        return Finding::proved(Cause::TlsStalled)
            .summary("the TLS handshake starts, but its large packets are lost on the way")
            .fact(waited)
            .fact("a handshake in small packets (536-byte segments) on another connection got a reply")
            .facts(out_of_order.map(describe_packets));
    }
    let reason = NoReply::of(tls.took, seen.tcp_took, tls.packets);
    let finding = match plain_ping {
        Some(Response::Timeout(received)) if received.is_empty() => Finding::likely(Cause::ServerSilent)
            .summary(reason.summary().unwrap_or(Cause::ServerSilent.meaning()))
            .fact(waited)
            .fact("a plain-text PING on a second connection got no reply either"),
        Some(Response::Closed(_) | Response::Reset(_) | Response::NotResp(_)) => {
            Finding::proved(Cause::TlsStalled).fact(waited).fact(
                "a plain-text PING on a second connection was rejected at once, so small packets get through",
            )
        }
        _ => Finding::likely(Cause::TlsStalled)
            .summary(reason.summary().unwrap_or(Cause::TlsStalled.meaning()))
            .fact(waited),
    };
    finding
        .facts((reason == NoReply::ShortTimeout).then(|| far_away(seen.tcp_took)))
        .facts(tls.packets.map(describe_packets))
}

/// Judges a reply that is not TLS, from a server that does not answer a plain-text PING either.
fn not_tls(plain_ping: Option<&Response>) -> Finding {
    Finding::likely(Cause::ProtoNotRedis)
        .summary("the server speaks neither TLS nor the Redis protocol")
        .fact("TCP connected; the reply to the ClientHello was not TLS")
        .fact(on_a_second_connection(plain_ping))
}

fn closed(plain_ping: Option<&Response>) -> Finding {
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

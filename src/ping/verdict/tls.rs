//! The verdict on a TLS handshake.

use super::Blame;
use super::foreign::{not_redis, not_redis_reply};
use super::ping::{Wait, far_away};
use super::words::{age, packets, seconds};
use crate::ping::causes::Cause;
use crate::ping::experiments::looks_like_tls;
use crate::ping::observation::{Experiment, Handshake, Observations, TlsResult};
use crate::ping::response::Response;
use crate::redis_url::Target;

pub(super) fn judge(target: &Target, seen: &Observations) -> Option<Blame> {
    if !target.tls {
        return None;
    }
    let plain = match &seen.experiment {
        Some(Experiment::PlainPing(heard)) => Some(heard),
        _ => None,
    };
    // What answers a plain PING decides, however the handshake failed.
    let is_established = seen
        .tls
        .as_ref()
        .is_some_and(|tls| tls.result == TlsResult::Established);
    if !is_established {
        match plain {
            Some(heard @ Response::Reply(_)) if heard.is_pong() || heard.error().is_some() => {
                return Some(not_offered(seen));
            }
            Some(heard @ Response::Reply(_)) => {
                return Some(not_redis_reply(heard, "a plain PING on a second connection"));
            }
            Some(Response::NotResp(received)) if !looks_like_tls(received) => {
                return Some(not_redis(received, "to a plain PING on a second connection"));
            }
            _ => {}
        }
    }
    blame_handshake(seen.tls.as_ref()?, plain, seen)
}

fn not_offered(seen: &Observations) -> Blame {
    let handshake = match seen.tls.as_ref().map(|tls| &tls.result) {
        Some(TlsResult::NotTls) => "the TLS hello was answered with something that is no TLS",
        Some(TlsResult::Closed) => "the TLS hello was answered by closing the connection",
        _ => "the TLS hello was met with silence",
    };
    Blame::proved(
        Cause::TlsNotOffered,
        "the URL asks for TLS, and the server speaks plain Redis there",
    )
    .because(handshake)
    .because(match &seen.experiment {
        Some(Experiment::PlainPing(heard)) if heard.error().is_some() => format!(
            "a plain PING on a second connection was answered in Redis's way: {}",
            crate::sanitize::line(&heard.error().unwrap_or_default())
        ),
        _ => "a plain PING on a second connection was answered by Redis".to_owned(),
    })
}

fn blame_handshake(tls: &Handshake, plain: Option<&Response>, seen: &Observations) -> Option<Blame> {
    let blame = match &tls.result {
        TlsResult::Established => return None,
        TlsResult::Untrusted(words) => untrusted(tls, words),
        TlsResult::InvalidCertificate(words) => Blame::proved(
            Cause::TlsUntrusted,
            "the certificate, or one that vouches for it, is not fit for a server",
        )
        .because(format!("the check said: {words}"))
        .because("this is no matter of who signed it: a client that checks less may take it"),
        TlsResult::OtherName => Blame::proved(
            Cause::TlsNameMismatch,
            format!("the certificate is not for {}", tls.expected_name),
        )
        .because("the names in it were held against the host of the URL, or --tls-name"),
        TlsResult::Expired => Blame::proved(
            Cause::TlsExpired,
            match tls.certificate.as_ref().map(|found| found.ends_in) {
                Some(ends_in) if ends_in < 0 => format!("the certificate expired {} ago", age(-ends_in)),
                Some(_) => "a certificate that vouches for the server's own has expired".into(),
                None => "the certificate has expired".into(),
            },
        )
        .because("its dates were held against the clock of this host"),
        TlsResult::NotValidYet => Blame::proved(
            Cause::TlsExpired,
            match tls.certificate.as_ref().map(|found| found.begins_in) {
                Some(begins_in) if begins_in > 0 => {
                    format!(
                        "the certificate is not valid yet: it begins in {}",
                        age(begins_in)
                    )
                }
                Some(_) => "a certificate that vouches for the server's own is not valid yet".into(),
                None => "the certificate is not valid yet".into(),
            },
        )
        .because("its dates were held against the clock of this host"),
        // OpenSSL's answer to a missing client certificate in TLS 1.2: after its own certificate was shown.
        TlsResult::NothingInCommon(alert) if alert == "HandshakeFailure" && tls.certificate.is_some() => {
            client_certificate(alert)
        }
        TlsResult::NothingInCommon(words) => Blame::proved(
            Cause::TlsVersion,
            "server and client have no TLS version or cipher in common",
        )
        .because(format!("the handshake ended with: {words}")),
        TlsResult::ClientCertificate(alert) => client_certificate(alert),
        TlsResult::Refused(alert) if alert == "UnrecognisedName" => Blame::proved(
            Cause::TlsNameMismatch,
            format!("the server has no certificate for {}", tls.expected_name),
        )
        .because(format!("the server sent the TLS alert {alert}")),
        TlsResult::Refused(words) => Blame::likely(
            Cause::TlsVersion,
            "the server ends the TLS handshake with an alert",
        )
        .because(format!("the handshake ended with: {words}")),
        TlsResult::BadName(words) => Blame::proved(Cause::TlsNameMismatch, words.clone())
            .because("no handshake was tried: it needs a name to ask for"),
        TlsResult::Unusable(words) => {
            let code = if words.starts_with("--ca ") {
                Cause::TlsUntrusted
            } else {
                Cause::TlsClientCert
            };
            Blame::proved(code, words.clone())
                .because("no handshake was tried: an option for TLS cannot be used")
        }
        TlsResult::TimedOut => return Some(stalled(tls, plain, seen)),
        TlsResult::NotTls => return Some(neither(plain)),
        TlsResult::Closed => return Some(closed(plain)),
    };
    Some(blame.because_all(certificate_evidence(tls)))
}

fn untrusted(tls: &Handshake, words: &str) -> Blame {
    let certificate = tls.certificate.as_ref();
    let signer = match certificate {
        Some(found) if found.is_self_signed => "is signed by itself".to_owned(),
        Some(found) => format!("is signed by {}, which is not trusted here", found.issuer),
        None => "ends at no root that is trusted here".to_owned(),
    };
    Blame::proved(Cause::TlsUntrusted, format!("the certificate {signer}"))
        .because(format!("the check said: {words}"))
}

/// What the server says when it wants a client certificate, before or after the handshake.
pub(super) fn client_certificate(alert: &str) -> Blame {
    Blame::proved(
        Cause::TlsClientCert,
        "the server wants a client certificate that it trusts",
    )
    .because(format!("the server sent the TLS alert {alert}"))
}

fn certificate_evidence(tls: &Handshake) -> Vec<String> {
    let Some(found) = &tls.certificate else {
        return Vec::new();
    };
    let ends = if found.ends_in < 0 {
        format!("expired {} ago", age(-found.ends_in))
    } else {
        format!("ends in {}", age(found.ends_in))
    };
    vec![
        format!("certificate for {}", found.names.join(", ")),
        format!("signed by {}; {ends}", found.issuer),
    ]
}

fn stalled(tls: &Handshake, plain: Option<&Response>, seen: &Observations) -> Blame {
    let waited = format!(
        "TCP connected, and the TLS handshake was not done within {}",
        seconds(tls.took)
    );
    if seen
        .small_packet_handshake
        .as_ref()
        .is_some_and(TlsResult::is_tls)
    {
        return Blame::proved(
            Cause::TlsStalled,
            "the TLS handshake starts, and its large packets are lost on the way",
        )
        .because(waited)
        .because("a handshake in small packets (segments of 536 bytes), on another connection, was answered")
        .because_all(tls.packets.filter(|flow| flow.out_of_order > 0).map(packets));
    }
    let wait = Wait::of(tls.took, seen.tcp_took, tls.packets);
    let blame = match plain {
        Some(Response::Timeout(received)) if received.is_empty() => Blame::likely(
            Cause::ServerSilent,
            wait.came_to("the server accepts connections and never says anything"),
        )
        .because(waited)
        .because("a plain PING on a second connection stayed unanswered too"),
        Some(Response::Closed(_) | Response::Reset(_) | Response::NotResp(_)) => {
            Blame::proved(Cause::TlsStalled, "the TLS handshake starts and never ends")
                .because(waited)
                .because("a plain PING on a second connection was turned away at once: small packets pass")
        }
        _ => Blame::likely(
            Cause::TlsStalled,
            wait.came_to("the TLS handshake starts and never ends"),
        )
        .because(waited),
    };
    blame
        .because_all((wait == Wait::TooShort).then(|| far_away(seen.tcp_took)))
        .because_all(tls.packets.map(packets))
}

/// Something answers, and what it is has shown on neither connection.
fn neither(plain: Option<&Response>) -> Blame {
    Blame::likely(
        Cause::ProtoNotRedis,
        "something that speaks neither TLS nor Redis's protocol answers there",
    )
    .because("TCP connected; the TLS hello was answered with something that is no TLS")
    .because(on_a_second_connection(plain))
}

fn closed(plain: Option<&Response>) -> Blame {
    Blame::proved(
        Cause::ProtoClosed,
        "the server accepts the connection and ends it in the TLS handshake",
    )
    .because("TCP connected; the server closed or broke off before a session was made")
    .because(on_a_second_connection(plain))
}

fn on_a_second_connection(plain: Option<&Response>) -> &'static str {
    match plain {
        Some(Response::Timeout(received)) if !received.is_empty() => {
            "a plain PING on a second connection got no complete answer"
        }
        Some(Response::Timeout(_)) => "a plain PING on a second connection stayed unanswered",
        Some(_) => "a plain PING on a second connection was turned away too",
        None => "there was no time left for a second connection",
    }
}

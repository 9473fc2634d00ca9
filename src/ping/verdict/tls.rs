//! The verdict on the TLS handshake.

use std::net::IpAddr;

use super::finding::{Finding, age, describe_packets, seconds};
use super::reply::{NoReply, ONLY_THIS_CONNECTION, far_away, not_redis, unexpected_reply};
use super::service::packet_sizes;
use crate::clock::utc_minute;
use crate::ping::causes::Cause;
use crate::ping::causes::tls::{faulty, is_valid_after};
use crate::ping::experiments::looks_like_tls;
use crate::ping::observation::{
    CertificateProblem, Experiment, Handshake, Observations, PeerCertificate, TlsResult, WiderOffer,
};
use crate::ping::response::Response;
use crate::redis_url::Target;
use crate::sanitize;
use rustls::{AlertDescription, NamedGroup, ProtocolVersion};

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
                    "the server requires a host name in the TLS handshake (SNI), but the URL has the address {}",
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
    }
}

/// Judges the problem of a certificate that `--insecure` accepted, if the handshake has one.
pub(super) fn judge_accepted(seen: &Observations) -> Option<Finding> {
    let tls = seen.tls.handshake.as_ref()?;
    let problem = tls.certificate_problem.as_ref()?;
    let is_accepted = tls.result == TlsResult::Established;
    is_accepted.then(|| certificate(problem, tls, seen))
}

fn certificate(problem: &CertificateProblem, tls: &Handshake, seen: &Observations) -> Finding {
    use CertificateProblem as Problem;
    let own = tls.certificate();
    let untrusted = || Finding::proved(Cause::TlsUntrusted);
    let finding = match problem {
        Problem::UnknownIssuer => untrusted()
            .summary(match own {
                Some(own) if own.is_self_signed => {
                    "the certificate is self-signed, and not trusted here".to_owned()
                }
                Some(own) => format!(
                    "the certificate is signed by {}, which is not trusted here",
                    own.issuer
                ),
                None => "the certificate is not signed by a CA that is trusted here".to_owned(),
            })
            .fact(format!(
                "the server sent {}",
                match tls.chain.as_slice() {
                    [own] if own.is_self_signed => "one certificate, signed by itself".to_owned(),
                    [_] => "only its own certificate, not its issuer's".to_owned(),
                    [.., last] => format!("{} certificates; the last is signed by {}", tls.chain.len(), last.issuer),
                    [] => "a certificate that cannot be read".to_owned(),
                }
            ))
            .fact(trusted_cas(tls)),
        Problem::WrongSignature => untrusted()
            .summary(match own {
                Some(own) => format!(
                    "the certificate names {} as its issuer, but the CA of that name that is trusted here has \
                     another key",
                    own.issuer
                ),
                None => Cause::TlsUntrusted.meaning().into(),
            })
            .fact("a CA with the issuer's name is trusted here, but it did not sign this certificate"),
        Problem::NoTrustedCa => untrusted().summary(no_trusted_ca(tls)).fact(trusted_cas(tls)),
        Problem::Missing => untrusted()
            .summary("the server sent no certificate")
            .fact("the handshake ended without a certificate, so nothing shows which server this is"),
        Problem::Invalid(reason) => untrusted()
            .summary("the certificate, or an issuer's, is not valid for server authentication")
            .fact(format!("certificate check: {reason}"))
            .fact("the issuer is not the problem: clients that check certificates reject this one too"),
        Problem::Unsupported(what) => Finding::proved(Cause::TlsUnsupported)
            .summary(format!(
                "{what}, which this program does not support; clients based on OpenSSL may connect"
            ))
            .fact("this program ended the handshake, not the server"),
        Problem::OtherName => Finding::proved(Cause::TlsNameMismatch)
            .summary(format!(
                "the certificate is not for {}{}",
                tls.expected_name,
                match own.map(|own| own.names.as_slice()) {
                    Some([name, ..]) => format!(", but for {name}"),
                    _ => String::new(),
                }
            ))
            .fact("its names were compared with the URL's host or --tls-name"),
        Problem::Expired | Problem::NotValidYet => dates(*problem == Problem::Expired, tls, seen),
    };
    let is_for_another_name = finding.cause != Cause::TlsNameMismatch
        && own.is_some_and(|own| !own.names.is_empty() && !own.is_for(&tls.expected_name));
    let other_name =
        is_for_another_name.then(|| format!("a second fault: it is not for {}", tls.expected_name));
    let is_also_untrusted =
        !tls.chain.is_empty() && !tls.leads_to_trusted_ca && finding.cause != Cause::TlsUntrusted;
    finding
        .facts(certificate_facts(tls))
        .facts(other_name)
        .facts(is_also_untrusted.then(|| "a second fault: no CA that is trusted here has signed it".into()))
}

fn no_trusted_ca(tls: &Handshake) -> String {
    match replaced_cas(tls) {
        Some(replaced) => format!("this host trusts no CA: {replaced}"),
        None => "this host trusts no CA: the package ca-certificates is missing".into(),
    }
}

fn trusted_cas(tls: &Handshake) -> String {
    let cas = match tls.trusted.count {
        1 => "1 CA is trusted here".to_owned(),
        count => format!("{count} CAs are trusted here"),
    };
    match (&tls.trusted.variable, replaced_cas(tls)) {
        (Some(_), Some(replaced)) if tls.trusted.fault.is_some() => format!("{replaced}; {cas}"),
        (Some((name, path)), _) => format!("{cas}, from {path} ({name})"),
        _ => cas,
    }
}

/// The variable that replaces the system's CAs, if it is set.
fn replaced_cas(tls: &Handshake) -> Option<String> {
    let (name, path) = tls.trusted.variable.as_ref()?;
    let fault = tls.trusted.fault.as_ref();
    Some(format!(
        "{name} is {path}{}",
        fault.map_or_else(String::new, |fault| format!(", which {fault}"))
    ))
}

/// Judges a certificate in the chain that has expired, or is not valid yet.
fn dates(is_expired: bool, tls: &Handshake, seen: &Observations) -> Finding {
    let faulty = faulty(tls).and_then(|at| Some((at, tls.chain.get(at)?)));
    let state = |one: &PeerCertificate| {
        if one.ends_in < 0 {
            format!("expired {} ago", age(-one.ends_in))
        } else {
            format!(
                "is not valid until {}",
                utc_minute(tls.clock.saturating_add(one.begins_in))
            )
        }
    };
    let summary = match faulty {
        Some((0, own)) => format!("the certificate {}", state(own)),
        Some((_, issuer)) => format!(
            "the CA certificate {} in the chain {}",
            issuer.subject,
            state(issuer)
        ),
        None if is_expired => "a certificate in the chain has expired".into(),
        None => "a certificate in the chain is not valid yet".into(),
    };
    let ahead = seen.tls.server_clock_ahead;
    let clock_is_wrong = ahead.is_some_and(|ahead| is_valid_after(tls, ahead));
    let clocks = ahead.map_or_else(
        || "no other clock was available for comparison".into(),
        |ahead| {
            let then = utc_minute(tls.clock.saturating_add(ahead));
            let conclusion = if clock_is_wrong {
                ": then the certificate is valid, so this host's clock is probably wrong"
            } else {
                ""
            };
            format!("the server's clock (TIME, on a second connection) says {then}{conclusion}")
        },
    );
    let summary = if clock_is_wrong {
        format!("by this host's clock, which is probably wrong, {summary}")
    } else {
        summary
    };
    Finding::proved(Cause::TlsExpired)
        .summary(summary)
        .facts(faulty.map(|(at, one)| {
            format!(
                "{} is valid from {} to {}",
                if at == 0 { "it" } else { "the CA certificate" },
                utc_minute(tls.clock.saturating_add(one.begins_in)),
                utc_minute(tls.clock.saturating_add(one.ends_in))
            )
        }))
        .fact(format!("this host's clock says {}", utc_minute(tls.clock)))
        .fact(clocks)
}

fn certificate_facts(tls: &Handshake) -> Vec<String> {
    let Some(certificate) = tls.certificate() else {
        return Vec::new();
    };
    let ends = if certificate.ends_in < 0 {
        format!("expired {} ago", age(-certificate.ends_in))
    } else {
        format!("expires in {}", age(certificate.ends_in))
    };
    let names = match (certificate.names.as_slice(), certificate.common_names.as_slice()) {
        ([], []) => "certificate without any name".to_owned(),
        ([], common) => format!(
            "certificate without subjectAltName; common name {}",
            common.join(", ")
        ),
        (names, _) => format!("certificate for {}", names.join(", ")),
    };
    let is_requested = tls.client_certificate_request.is_some() && tls.client_certificate.is_none();
    let request = is_requested.then(|| {
        "the server also requests a client certificate (--cert FILE --key FILE), and may require it".into()
    });
    let signed = format!("it is signed by {}, and {ends}", certificate.issuer);
    [names, signed].into_iter().chain(request).collect()
}

/// Judges a TLS alert that is about the client's certificate, during or after the handshake; `None` for other alerts.
pub(super) fn client_certificate(alert: AlertDescription, tls: Option<&Handshake>) -> Option<Finding> {
    use AlertDescription as Alert;
    let request = tls.and_then(|tls| tls.client_certificate_request.as_ref());
    let sent = tls.and_then(|tls| tls.client_certificate.as_ref());
    let is_missing = match alert {
        // RFC 8446, 6.2
        Alert::CertificateRequired
        | Alert::BadCertificate
        | Alert::UnknownCA
        | Alert::CertificateUnknown
        | Alert::AccessDenied
        | Alert::UnsupportedCertificate => true,
        // TLS 1.2 servers send this alert if the client has no certificate (RFC 5246, 7.4.6).
        Alert::HandshakeFailure => request.is_some(),
        _ => false,
    };
    let summary = match sent {
        Some(sent) => why_rejected(alert, sent)?,
        None if is_missing => "the server requires a client certificate, but none was given".into(),
        None => return None,
    };
    let is_proved = request.is_some() || alert == Alert::CertificateRequired;
    let finding = Finding::proved_if(is_proved, Cause::TlsClientCert);
    let accepted = request.filter(|names| !names.is_empty());
    Some(
        finding
            .summary(summary)
            .fact(format!("the server sent the TLS alert {}", alert_name(alert)))
            .facts(sent.map(|sent| {
                format!(
                    "the client certificate {} is signed by {}",
                    sent.subject, sent.issuer
                )
            }))
            .facts(accepted.map(|names| {
                format!(
                    "the server asks for a client certificate signed by {}",
                    names.join("; ")
                )
            })),
    )
}

/// Why the server rejects the client certificate that was sent; `None` if the alert is not about it.
fn why_rejected(alert: AlertDescription, sent: &PeerCertificate) -> Option<String> {
    use AlertDescription as Alert;
    Some(match alert {
        Alert::CertificateRequired => {
            "the server requires a client certificate, but does not support the key of the one given".into()
        }
        Alert::UnknownCA => format!(
            "the server does not trust the CA that signed the client certificate: {}",
            sent.issuer
        ),
        Alert::CertificateExpired if sent.ends_in < 0 => {
            format!("the client certificate expired {} ago", age(-sent.ends_in))
        }
        Alert::CertificateExpired => {
            "the server says that the client certificate has expired, but by this host's clock it has not"
                .into()
        }
        Alert::CertificateRevoked => "the client certificate has been revoked".into(),
        Alert::UnsupportedCertificate => {
            "the server does not accept this kind of client certificate: it may be for servers only".into()
        }
        Alert::BadCertificate | Alert::CertificateUnknown | Alert::AccessDenied if sent.begins_in > 0 => {
            let begins = age(sent.begins_in);
            format!("the client certificate is not valid yet: it begins in {begins}")
        }
        Alert::BadCertificate | Alert::CertificateUnknown | Alert::AccessDenied | Alert::DecryptError => {
            "the server rejects the client certificate that was given".into()
        }
        _ => return None,
    })
}

/// Judges a handshake that the server, or this host, ended before a certificate was sent.
fn nothing_in_common(
    alert: Option<AlertDescription>,
    tls: &Handshake,
    offer: Option<&WiderOffer>,
) -> Finding {
    use AlertDescription as Alert;
    let ended = match alert {
        Some(alert) => format!("the server sent the TLS alert {}", alert_name(alert)),
        None => "the server chose something that this program had not offered".to_owned(),
    };
    if let Some(offer) = offer
        && let Some(finding) = judge_offer(offer)
    {
        return finding.fact(ended);
    }
    let is_about_offers = matches!(
        alert,
        None | Some(Alert::ProtocolVersion | Alert::InsufficientSecurity | Alert::HandshakeFailure)
    );
    let finding = if is_about_offers {
        Finding::proved(Cause::TlsVersion)
    } else {
        Finding::likely(Cause::TlsVersion).summary("the server ends the TLS handshake with an alert")
    };
    finding
        .fact(ended)
        .fact("TLS 1.2 and 1.3 were offered, with ECDHE and AES-GCM or ChaCha20")
        .facts(without_name(tls))
}

/// Judges the server's choice from a wider offer; `None` if this program supports all of it.
fn judge_offer(offer: &WiderOffer) -> Option<Finding> {
    let version = version_name(offer.version);
    let seen = format!(
        "on another connection, which offered more, the server chose {version} with {}",
        offer.cipher_suite
    );
    if !matches!(offer.version, ProtocolVersion::TLSv1_2 | ProtocolVersion::TLSv1_3) {
        let finding = Finding::proved(Cause::TlsVersion).summary(format!(
            "the server supports no TLS version newer than {version}, which is obsolete"
        ));
        return Some(finding.fact(seen));
    }
    let certificate = offer.certificate.as_ref().and_then(|one| one.unsupported.clone());
    let what = certificate
        .map(|what| format!("the server's certificate has {what}"))
        .or_else(|| {
            (!is_supported_suite(&offer.cipher_suite))
                .then(|| format!("the server requires {}", suite_kind(&offer.cipher_suite)))
        })
        .or_else(|| {
            let group = offer.group.filter(|group| !SUPPORTED_GROUPS.contains(group))?;
            Some(format!("the server requires the key exchange group {group:?}"))
        })?;
    Some(
        Finding::proved(Cause::TlsUnsupported)
            .summary(format!(
                "{what}, which this program does not support; clients based on OpenSSL may connect"
            ))
            .fact(seen),
    )
}

const SUPPORTED_GROUPS: [NamedGroup; 3] = [NamedGroup::X25519, NamedGroup::secp256r1, NamedGroup::secp384r1];

/// Whether rustls supports the cipher suite: those of TLS 1.3, and those with ECDHE and AES-GCM or ChaCha20.
fn is_supported_suite(name: &str) -> bool {
    (!name.contains("_WITH_") || name.starts_with("TLS_ECDHE_"))
        && (name.contains("_GCM_") || name.contains("CHACHA20"))
}

fn suite_kind(name: &str) -> &'static str {
    match () {
        () if name.contains("_CBC_") => "a CBC cipher suite",
        () if name.contains("_CCM") => "a CCM cipher suite",
        () if name.starts_with("TLS_RSA_") => "a cipher suite with RSA key exchange",
        () if name.starts_with("TLS_DHE_") => "a cipher suite with DHE key exchange",
        () => "an unusual cipher suite",
    }
}

fn version_name(version: ProtocolVersion) -> String {
    format!("{version:?}").replace("TLSv", "TLS ").replace('_', ".")
}

/// A server that has several certificates selects one by the name, and an address is not sent as a name.
fn without_name(tls: &Handshake) -> Option<String> {
    is_address(&tls.expected_name)
        .then(|| "no server name was sent, because an address is not a name; some servers require one".into())
}

fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

/// The name of an alert in RFC 8446, 6.
pub(super) fn alert_name(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    match alert {
        // rustls spells these differently.
        Alert::UnknownCA => "unknown_ca".into(),
        Alert::UnrecognisedName => "unrecognized_name".into(),
        Alert::Unknown(number) => format!("number {number}"),
        alert => {
            let mut name = String::new();
            for letter in format!("{alert:?}").chars() {
                if letter.is_ascii_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.push(letter.to_ascii_lowercase());
            }
            name
        }
    }
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
            .fact("a second handshake got a reply");
    }
    if seen
        .tls
        .small_packet_handshake
        .as_ref()
        .is_some_and(TlsResult::is_tls)
    {
        let out_of_order = tls.packets.filter(|packets| packets.out_of_order > 0);
        // One of several servers may have replied by chance, unless the size decides.
        return Finding::proved_if(seen.experiments.packet_sizes.is_some(), Cause::TlsStalled)
            .summary("the TLS handshake starts, but its large packets are lost on the way")
            .fact(waited)
            .fact("a handshake in small packets (536-byte segments) on another connection got a reply")
            .facts(seen.experiments.packet_sizes.map(packet_sizes))
            .facts(out_of_order.map(describe_packets));
    }
    let reason = NoReply::of(tls.took, seen.tcp.round_trip(), tls.packets);
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
        .facts((reason == NoReply::ShortTimeout).then(|| far_away(seen.tcp.round_trip())))
        .facts(tls.packets.map(describe_packets))
}

/// Judges a reply that is not TLS, from a server that does not answer a plain-text PING either.
fn not_tls(plain_ping: Option<&Response>) -> Finding {
    Finding::likely(Cause::ProtoNotRedis)
        .summary("the server speaks neither TLS nor the Redis protocol")
        .fact("TCP connected; the reply to the ClientHello was not TLS")
        .fact(on_a_second_connection(plain_ping))
}

fn closed(plain_ping: Option<&Response>, seen: &Observations) -> Finding {
    if seen.tls.second_handshake.as_ref().is_some_and(TlsResult::is_tls) {
        return Finding::likely(Cause::ProtoClosed)
            .summary(format!(
                "the connection was closed in the TLS handshake, but {ONLY_THIS_CONNECTION}"
            ))
            .fact(
                "TCP connected; the server closed or reset the connection before the handshake was complete",
            )
            .fact("a second handshake got a reply");
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

//! Determines the verdict on the server's certificate.

use crate::clock::{age, utc_minute};
use crate::ping::causes::Cause;
use crate::ping::causes::tls::{faulty, is_valid_after};
use crate::ping::observation::{CertificateProblem, Handshake, Observations, PeerCertificate};
use crate::ping::verdict::finding::Finding;

pub(super) fn certificate(problem: &CertificateProblem, tls: &Handshake, seen: &Observations) -> Finding {
    use CertificateProblem as Problem;
    let own = tls.certificate();
    let untrusted = || Finding::proved(Cause::TlsUntrusted);
    let finding = match problem {
        Problem::UnknownIssuer => untrusted()
            .summary(match own {
                Some(own) if own.is_self_signed => {
                    "the certificate is self-signed, and this host does not trust it".to_owned()
                }
                Some(own) => format!(
                    "the certificate is signed by {}, which this host does not trust",
                    own.issuer
                ),
                None => "the certificate is not signed by a CA that this host trusts".to_owned(),
            })
            .fact(format!(
                "the server sent {}",
                match tls.chain.as_slice() {
                    [own] if own.is_self_signed => "one certificate, which is self-signed".to_owned(),
                    [_] => "only its own certificate, not the certificate of the CA".to_owned(),
                    [own, ..] if tls.foreign_issuer().is_some() => format!(
                        "{} certificates, but not the certificate of {}",
                        tls.chain.len(),
                        own.issuer
                    ),
                    [.., last] => format!(
                        "{} certificates; the last is signed by {}",
                        tls.chain.len(),
                        last.issuer
                    ),
                    [] => "a certificate that cannot be read".to_owned(),
                }
            ))
            .fact(trusted_cas(tls)),
        Problem::WrongSignature => untrusted()
            .summary(match own {
                Some(own) => format!(
                    "the issuer of the certificate is {}, but this host trusts a CA with the same name and a \
                     different key",
                    own.issuer
                ),
                None => Cause::TlsUntrusted.meaning().into(),
            })
            .fact("the CA that this host trusts did not sign this certificate"),
        Problem::NoTrustedCa => untrusted().summary(no_trusted_ca(tls)).fact(trusted_cas(tls)),
        Problem::Missing => untrusted()
            .summary("the server sent no certificate")
            .fact("the handshake ended without a certificate, so it is not known which server this is"),
        Problem::Invalid(reason) => untrusted()
            .summary(
                "the certificate, or a CA certificate in its chain, is not valid for server authentication",
            )
            .fact(format!("certificate check: {reason}"))
            .fact("other clients that check certificates also reject this certificate"),
        Problem::InvalidIssuer(reason) => untrusted()
            .summary("a CA certificate in the chain is not valid for the certificate that it signed")
            .fact(format!("certificate check: {reason}"))
            .fact("other clients that check certificates also reject this certificate"),
        Problem::NotPermitted => untrusted()
            .summary(format!(
                "a CA in the chain is not permitted to sign a certificate for {}",
                tls.expected_name
            ))
            .fact("the CA's own certificate limits the names that it may sign (name constraints)"),
        Problem::Unsupported(what) => Finding::proved(Cause::TlsUnsupported)
            .summary(format!(
                "{what}, which this program does not support; clients that use OpenSSL may support it"
            ))
            .fact("this program, not the server, ended the handshake"),
        Problem::OtherName if own.is_some_and(|own| own.is_for(&tls.expected_name)) => {
            Finding::proved(Cause::TlsNameMismatch)
                .summary(format!(
                    "the certificate contains the address {} only as a DNS name, which clients do not accept",
                    tls.expected_name
                ))
                .fact("an address must be in subjectAltName as IP:…, not as DNS:…")
        }
        Problem::OtherName => Finding::proved(Cause::TlsNameMismatch)
            .summary(format!(
                "the certificate is not for {}{}",
                tls.expected_name,
                match own.map(|own| own.names.as_slice()) {
                    Some([name, ..]) => format!(", but for {name}"),
                    _ => String::new(),
                }
            ))
            .fact("the certificate must contain the host in the URL, or the name in --tls-name"),
        Problem::Expired | Problem::NotValidYet => dates(*problem == Problem::Expired, tls, seen),
    };
    let is_for_another_name = finding.cause != Cause::TlsNameMismatch
        && own.is_some_and(|own| !own.names.is_empty() && !own.is_for(&tls.expected_name));
    let other_name = is_for_another_name
        .then(|| format!("another fault: the certificate is not for {}", tls.expected_name));
    let is_also_untrusted =
        !tls.chain.is_empty() && !tls.leads_to_trusted_ca && finding.cause != Cause::TlsUntrusted;
    let is_requested =
        own.is_some() && tls.client_certificate_request.is_some() && tls.client_certificate.is_none();
    finding
        .facts(certificate_facts(tls))
        .facts(is_requested.then_some(
            "the server also requests a client certificate (to send one, add --cert FILE --key FILE)",
        ))
        .facts(other_name)
        .facts(
            is_also_untrusted
                .then_some("another fault: the certificate is not signed by a CA that this host trusts"),
        )
}

fn no_trusted_ca(tls: &Handshake) -> String {
    match replaced_cas(tls) {
        Some(replaced) => format!("this host trusts no CA, because {replaced}"),
        None => "this host trusts no CA, because the package ca-certificates is missing".into(),
    }
}

fn trusted_cas(tls: &Handshake) -> String {
    let cas = match tls.trusted.count {
        1 => "this host trusts 1 CA".to_owned(),
        count => format!("this host trusts {count} CAs"),
    };
    match (&tls.trusted.variable, replaced_cas(tls)) {
        (Some(_), Some(replaced)) if tls.trusted.fault.is_some() => format!("{replaced}; {cas}"),
        (Some((name, path)), _) => format!("{cas}, from {path} ({name})"),
        _ => cas,
    }
}

/// Returns a note if an environment variable replaces the system's CAs.
fn replaced_cas(tls: &Handshake) -> Option<String> {
    let (name, path) = tls.trusted.variable.as_ref()?;
    let fault = tls.trusted.fault.as_ref();
    Some(format!(
        "{name} is {path}{}",
        fault.map_or_else(String::new, |fault| format!(", which {fault}"))
    ))
}

/// Returns the finding about a certificate in the server's chain that is expired or not yet valid.
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
                "; at this time, the certificate is valid, so this host's clock is probably wrong"
            } else {
                ""
            };
            format!("the server's clock (TIME, on a second connection) says {then}{conclusion}")
        },
    );
    let summary = if clock_is_wrong {
        format!("this host's clock is probably wrong: according to this clock, {summary}")
    } else {
        summary
    };
    Finding::proved(Cause::TlsExpired)
        .summary(summary)
        .facts(faulty.map(|(at, one)| {
            format!(
                "{} is valid from {} to {}",
                if at == 0 {
                    "the certificate"
                } else {
                    "the CA certificate"
                },
                utc_minute(tls.clock.saturating_add(one.begins_in)),
                utc_minute(tls.clock.saturating_add(one.ends_in))
            )
        }))
        .fact(format!("this host's clock says {}", utc_minute(tls.clock)))
        .fact(clocks)
}

pub(super) fn certificate_facts(tls: &Handshake) -> Vec<String> {
    let Some(certificate) = tls.certificate() else {
        return Vec::new();
    };
    let ends = if certificate.ends_in < 0 {
        format!("expired {} ago", age(-certificate.ends_in))
    } else {
        format!("expires in {}", age(certificate.ends_in))
    };
    let common = &certificate.common_names;
    let names = match (certificate.names.as_slice(), certificate.other_names.as_slice()) {
        ([], []) if common.is_empty() => "the server's certificate contains no name".to_owned(),
        ([], []) => format!(
            "the server's certificate has no subjectAltName; its common name is {}",
            common.join(", ")
        ),
        ([], others) => format!(
            "the server's certificate lists no host name, only {}{}",
            others.join(", "),
            match common.as_slice() {
                [] => String::new(),
                common => format!("; its common name is {}", common.join(", ")),
            }
        ),
        ([name], _) => format!("the server's certificate lists the name {name}"),
        (names, _) => format!("the server's certificate lists the names {}", names.join(", ")),
    };
    let signed = format!(
        "the server's certificate is signed by {}, and {ends}",
        certificate.issuer
    );
    vec![names, signed]
}

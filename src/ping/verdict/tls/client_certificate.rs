//! Determines the verdict on a server that requires a client certificate, or that rejects this host's client
//! certificate.

use rustls::AlertDescription;

use crate::clock::age;
use crate::ping::causes::Cause;
use crate::ping::observation::{Handshake, PeerCertificate};
use crate::ping::verdict::finding::{Finding, alert_name};

/// Returns the finding about a TLS alert that concerns the client certificate. Returns `None` for other
/// alerts.
pub(in crate::ping::verdict) fn client_certificate(
    alert: AlertDescription,
    tls: Option<&Handshake>,
) -> Option<Finding> {
    use AlertDescription as Alert;
    let request = tls.and_then(|tls| tls.client_certificate_request.as_ref());
    let sent = tls.and_then(|tls| tls.client_certificate.as_ref());
    let is_missing = match alert {
        // These alerts are defined in RFC 8446, 6.2.
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
                    "the server asks for a client certificate that is signed by {}",
                    names.join("; ")
                )
            })),
    )
}

/// Returns why the server rejected the client certificate. Returns `None` if the alert is about something
/// else.
fn why_rejected(alert: AlertDescription, sent: &PeerCertificate) -> Option<String> {
    use AlertDescription as Alert;
    Some(match alert {
        Alert::CertificateRequired => {
            "the server requires a client certificate, but does not support the key of the certificate that was sent".into()
        }
        Alert::UnknownCA => format!(
            "the server does not trust the CA that signed the client certificate: {}",
            sent.issuer
        ),
        Alert::CertificateExpired if sent.ends_in < 0 => {
            format!("the client certificate expired {} ago", age(-sent.ends_in))
        }
        Alert::CertificateExpired => {
            "the server reports that the client certificate has expired, but according to this host's clock, it is \
             still valid"
                .into()
        }
        Alert::CertificateRevoked => "the client certificate has been revoked".into(),
        Alert::UnsupportedCertificate => {
            "the server does not accept this kind of client certificate; perhaps the certificate is only for servers".into()
        }
        Alert::BadCertificate | Alert::CertificateUnknown | Alert::AccessDenied if sent.begins_in > 0 => {
            let begins = age(sent.begins_in);
            format!("the client certificate is not valid yet; it becomes valid in {begins}")
        }
        Alert::BadCertificate | Alert::CertificateUnknown | Alert::AccessDenied | Alert::DecryptError => {
            "the server rejects the client certificate".into()
        }
        _ => return None,
    })
}

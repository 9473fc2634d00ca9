//! What a certificate says about itself: rustls tells neither its names nor its dates.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::ping::observation::PeerCertificate;
use crate::sanitize;

/// Names of a certificate that are kept; some carry thousands.
const MOST_NAMES: usize = 12;

/// What the certificate says, as it can be shown; none where it cannot be read at all.
pub(super) fn read(der: &CertificateDer<'_>) -> Option<PeerCertificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().cast_signed());
    let mut names: Vec<String> = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|extension| extension.value.general_names.iter().filter_map(name).collect())
        .unwrap_or_default();
    if names.is_empty() {
        names.extend(
            certificate
                .subject()
                .iter_common_name()
                .filter_map(|name| name.as_str().ok())
                .map(safe),
        );
    }
    names.truncate(MOST_NAMES);
    Some(PeerCertificate {
        names,
        issuer: safe(&certificate.issuer().to_string()),
        is_self_signed: certificate.issuer() == certificate.subject(),
        begins_in: certificate.validity().not_before.timestamp().saturating_sub(now),
        ends_in: certificate.validity().not_after.timestamp().saturating_sub(now),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(safe(name)),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|bytes| IpAddr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|bytes| IpAddr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn safe(text: &str) -> String {
    sanitize::excerpt(text.as_bytes(), 120)
}

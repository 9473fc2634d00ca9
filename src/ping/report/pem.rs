//! Certificates as PEM (RFC 7468), and their fingerprints.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};

use crate::ping::observation::PeerCertificate;

/// The length of a line.
const LINE: usize = 64;

/// The certificates, each after its subject, issuer and fingerprint.
pub(crate) fn bundle(chain: &[PeerCertificate]) -> String {
    chain.iter().map(certificate).collect()
}

fn certificate(one: &PeerCertificate) -> String {
    let text = BASE64_STANDARD.encode(&one.der);
    let mut lines = vec![
        format!("# subject: {}", one.subject),
        format!("# issuer: {}", one.issuer),
        format!("# SHA-256: {}", fingerprint(one)),
        "-----BEGIN CERTIFICATE-----".to_owned(),
    ];
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, further) = rest.split_at(rest.len().min(LINE));
        lines.push(line.to_owned());
        rest = further;
    }
    lines.push("-----END CERTIFICATE-----\n".to_owned());
    lines.join("\n")
}

/// SHA-256 in the form that OpenSSL prints: `AB:CD:…`.
pub(crate) fn fingerprint(one: &PeerCertificate) -> String {
    let digest = digest(&SHA256, &one.der);
    let bytes: Vec<_> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

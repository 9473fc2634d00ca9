//! Parses certificates, and finds features that this program's TLS library does not support.

use std::collections::HashSet;
use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate, X509Version};
use x509_parser::public_key::PublicKey;

use crate::ping::observation::PeerCertificate;
use crate::sanitize;

/// The maximum number of names that are kept from a certificate. Some certificates have thousands of names.
const MOST_NAMES: usize = 12;
/// The maximum number of certificates that are parsed in a chain. Real chains have two to four certificates.
const MOST_CERTIFICATES: usize = 10;
/// The lengths of RSA keys that ring supports, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Parses the certificates that a server has sent, starting with its own.
pub(super) fn read_chain<'a>(
    chain: impl IntoIterator<Item = &'a CertificateDer<'a>>,
    clock: i64,
) -> Vec<PeerCertificate> {
    let chain = chain.into_iter().take(MOST_CERTIFICATES);
    chain.map(|der| read(der, clock).unwrap_or_default()).collect()
}

/// Parses a certificate, because rustls does not expose its names and dates. All text is made safe to print.
pub(super) fn read(der: &CertificateDer<'_>, clock: i64) -> Option<PeerCertificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let alternatives = alternatives.map(|extension| extension.value.general_names.clone());
    let names = alternatives.unwrap_or_default();
    let common_names = certificate.subject().iter_common_name();
    let is_self_signed = certificate.issuer() == certificate.subject();
    Some(PeerCertificate {
        names: names
            .iter()
            .filter_map(alternative_name)
            .take(MOST_NAMES)
            .collect(),
        other_names: names.iter().filter_map(other_name).take(MOST_NAMES).collect(),
        common_names: common_names
            .filter_map(|name| name.as_str().ok())
            .map(safe)
            .take(MOST_NAMES)
            .collect(),
        subject: safe(&certificate.subject().to_string()),
        issuer: safe(&certificate.issuer().to_string()),
        is_self_signed,
        begins_in: certificate
            .validity()
            .not_before
            .timestamp()
            .saturating_sub(clock),
        ends_in: certificate.validity().not_after.timestamp().saturating_sub(clock),
        // A root certificate's own signature is not verified, so its algorithm does not matter.
        unsupported: unsupported(&certificate)
            .or_else(|| unsupported_signature(&certificate).filter(|_| !is_self_signed)),
        der: der.to_vec(),
    })
}

/// Parses arbitrary bytes as a certificate and as a CA name. Used by [`crate::untrusted`].
pub(crate) fn read_any_certificate(bytes: &[u8]) {
    let _ = read(&CertificateDer::from(bytes), 0);
    let _ = read_names(&[bytes]);
}

/// Parses the names (DER) of the CAs whose client certificates a server accepts.
pub(super) fn read_names(names: &[&[u8]]) -> Vec<String> {
    names
        .iter()
        .filter_map(|der| x509_parser::x509::X509Name::from_der(der).ok())
        .map(|(_, name)| safe(&name.to_string()))
        .take(MOST_NAMES)
        .collect()
}

/// The result of following the issuer names, starting at the server's certificate.
pub(super) struct NamePath {
    /// Whether the issuer names lead to a trusted CA.
    pub(super) is_trusted: bool,
    /// The certificate of the trusted CA, if the server did not send it.
    pub(super) root: Option<CertificateDer<'static>>,
    /// The first feature that this program does not support, in any certificate from the server's own to the
    /// trusted CA's.
    pub(super) unsupported: Option<String>,
}

impl NamePath {
    /// Follows the issuer names from the server's certificate to a trusted CA. Does not verify signatures,
    /// because their algorithms may be unsupported.
    pub(super) fn of(
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        trusted: &[CertificateDer<'_>],
    ) -> Self {
        let parsed = |der| {
            X509Certificate::from_der(der)
                .ok()
                .map(|(_, certificate)| certificate)
        };
        let others: Vec<_> = intermediates
            .iter()
            .take(MOST_CERTIFICATES)
            .filter_map(|der| parsed(der))
            .collect();
        let mut path = Self {
            is_trusted: trusted.contains(end_entity),
            root: None,
            unsupported: None,
        };
        let Some(mut current) = parsed(end_entity) else {
            return path;
        };
        let mut visited = HashSet::new();
        let mut whose = "the server's certificate";
        loop {
            let found = unsupported(&current).or_else(|| unsupported_signature(&current));
            let found = found.map(|what| format!("{whose} has {what}"));
            path.unsupported = path.unsupported.or(found);
            let issuer = current.issuer().as_raw();
            if path.is_trusted || !visited.insert(issuer.to_vec()) {
                return path;
            }
            whose = "an issuer's certificate";
            let is_issuer = |other: &X509Certificate<'_>| is_issuer(other, &current);
            // Parse only a few of the many trusted certificates.
            let is_candidate = |der: &&CertificateDer<'_>| memmem(der, issuer);
            let roots = trusted
                .iter()
                .filter(is_candidate)
                .filter_map(|der| Some((der, parsed(der)?)));
            let mut roots: Vec<_> = roots.filter(|(_, root)| is_issuer(root)).collect();
            // A CA that has renewed its certificate may have several certificates with the same key. Use the
            // one that expires last.
            roots.sort_by_key(|(_, root)| root.validity().not_after.timestamp());
            if let Some((der, root)) = roots.pop() {
                let found =
                    unsupported_key(&root).map(|what| format!("the trusted CA's certificate has {what}"));
                return Self {
                    is_trusted: true,
                    root: Some(der.clone().into_owned()),
                    unsupported: path.unsupported.or(found),
                };
            }
            let Some(next) = others.iter().find(|other| is_issuer(other)) else {
                return path;
            };
            current = next.clone();
        }
    }
}

fn memmem(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len().max(1)).any(|part| part == needle)
}

/// Whether `issuer` may have signed the certificate. Compares the names and the key identifiers (RFC 5280,
/// 4.2.1.1), because several CAs may have the same name.
fn is_issuer(issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> bool {
    let is_self_signed = certificate.issuer() == certificate.subject();
    let is_key = match (authority_key(certificate), subject_key(issuer)) {
        _ if is_self_signed => issuer.public_key().raw == certificate.public_key().raw,
        (Some(expected), Some(found)) => expected == found,
        _ => true,
    };
    is_key && issuer.subject().as_raw() == certificate.issuer().as_raw()
}

fn authority_key<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(found) => found.key_identifier.as_ref().map(|key| key.0),
            _ => None,
        })
}

fn subject_key<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(found) => Some(found.0),
            _ => None,
        })
}

fn unsupported(certificate: &X509Certificate<'_>) -> Option<String> {
    match certificate.version() {
        X509Version::V3 => unsupported_key(certificate),
        version => Some(format!("the format X.509 version {}, not 3", version.0 + 1)),
    }
}

/// Returns the type of the key if ring does not support it. The identifiers are from RFC 3279, 5480, 5639,
/// 8410 and SEC 2.
fn unsupported_key(certificate: &X509Certificate<'_>) -> Option<String> {
    let key = certificate.public_key();
    let curve = || {
        let parameters = key.algorithm.parameters.as_ref()?;
        parameters.as_oid().ok().map(|oid| oid.to_id_string())
    };
    match key.algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" => match key.parsed() {
            Ok(PublicKey::RSA(rsa)) if !RSA_BITS.contains(&rsa.key_size()) => Some(format!(
                "an RSA key of {} bits (supported: {} to {})",
                rsa.key_size(),
                RSA_BITS.start(),
                RSA_BITS.end()
            )),
            _ => None,
        },
        "1.2.840.113549.1.1.10" => Some("an RSA-PSS key".into()),
        "1.2.840.10045.2.1" => match curve().as_deref() {
            Some("1.2.840.10045.3.1.7" | "1.3.132.0.34") => None,
            Some("1.3.132.0.35") => Some("a key on the curve P-521".into()),
            Some("1.3.132.0.10") => Some("a key on the curve secp256k1".into()),
            Some(other) => Some(format!("a key on an unusual curve ({other})")),
            None => Some("a key with explicit curve parameters".into()),
        },
        "1.3.101.112" => None,
        "1.3.101.113" => Some("an Ed448 key".into()),
        "1.2.840.10040.4.1" => Some("a DSA key".into()),
        other => Some(format!("an unusual kind of key ({other})")),
    }
}

/// Returns the name of the signature algorithm if webpki does not support it with ring.
fn unsupported_signature(certificate: &X509Certificate<'_>) -> Option<String> {
    let name = match certificate.signature_algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.4" => "MD5 with RSA",
        "1.2.840.113549.1.1.5" => "SHA-1 with RSA",
        "1.2.840.10045.4.1" => "SHA-1 with ECDSA",
        "1.2.840.113549.1.1.14" => "SHA-224 with RSA",
        "1.2.840.10045.4.3.1" => "SHA-224 with ECDSA",
        "1.2.840.10045.4.3.4" => "SHA-512 with ECDSA",
        "1.3.101.113" => "Ed448",
        _ => return None,
    };
    Some(format!("a signature with an unsupported algorithm, {name}"))
}

fn alternative_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(safe(name)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

fn other_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::URI(uri) => Some(format!("URI:{}", safe(uri))),
        GeneralName::RFC822Name(address) => Some(format!("email:{}", safe(address))),
        _ => None,
    }
}

fn safe(text: &str) -> String {
    sanitize::excerpt(text.as_bytes(), 120)
}

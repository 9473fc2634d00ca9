//! Certificate verification: which CAs are trusted, and what the server's certificate says.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::ping::observation::PeerCertificate;
use crate::redis_url::Trust;
use crate::sanitize;

/// The TLS configuration of all our connections. Trusts the system's CAs (or `SSL_CERT_FILE`) and those in `--ca`.
///
/// # Errors
/// Returns a message if the file in `--ca`, `--cert` or `--key` cannot be used.
pub(crate) fn config(trust: &Trust) -> Result<ClientConfig, String> {
    client_config(trust, Verification::Full, &Arc::default())
}

/// How to check the server's certificate.
#[derive(Clone, Copy)]
pub(super) enum Verification {
    /// Against the trusted CAs, the name and the dates.
    Full,
    /// Not at all, to find out whether the server speaks TLS.
    None,
}

pub(super) fn client_config(
    trust: &Trust,
    verification: Verification,
    seen: &Arc<SeenCertificate>,
) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Verifier {
        inner: match verification {
            Verification::Full => verifier_for(roots(trust)?, &provider)?,
            Verification::None => InnerVerifier::AcceptAll,
        },
        trust: trust.clone(),
        seen: seen.clone(),
        algorithms: provider.signature_verification_algorithms,
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match (&trust.cert, &trust.key) {
        (Some(cert), Some(key)) => {
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("--key {}: {}", shown(key), pem_fault("private key", &error)))?;
            builder
                .with_client_auth_cert(certificates("--cert", cert)?, key)
                .map_err(|error| format!("--cert and --key do not match: {error}"))
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

/// webpki needs at least one root, but minimal containers have none.
fn verifier_for(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<InnerVerifier, String> {
    if roots.is_empty() {
        return Ok(InnerVerifier::NoRoots);
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map(InnerVerifier::WebPki)
        .map_err(|error| format!("cannot use the trusted CAs: {error}"))
}

/// Whether the certificate itself, not only its issuer, is among the trusted ones.
fn is_trusted_itself(certificate: &CertificateDer<'_>, trust: &Trust) -> bool {
    let own = trust.ca.as_ref().and_then(|path| certificates("--ca", path).ok());
    own.unwrap_or_default()
        .iter()
        .chain(&rustls_native_certs::load_native_certs().certs)
        .any(|trusted| trusted == certificate)
}

fn roots(trust: &Trust) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    // A system CA that cannot be parsed is skipped. If it was needed, the handshake ends as untrusted.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &trust.ca {
        for certificate in certificates("--ca", path)? {
            roots
                .add(certificate)
                .map_err(|error| format!("--ca {}: {error}", shown(path)))?;
        }
    }
    Ok(roots)
}

fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let fault = |words: String| format!("{option} {}: {words}", shown(path));
    let all: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| fault(pem_fault("certificate", &error)))?;
    if all.is_empty() {
        Err(fault("the file contains no PEM certificate".into()))
    } else {
        Ok(all)
    }
}

/// Says whether the file cannot be read or contains something else.
fn pem_fault(wanted: &str, error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!(
            "cannot be read: {}; check the path and its permissions",
            crate::ping::rungs::tcp::errno_text(error)
        ),
        other => format!("the file contains no PEM {wanted} ({other})"),
    }
}

fn shown(path: &Path) -> String {
    sanitize::line(&path.display().to_string()).into_owned()
}

/// The server's certificate, kept for the report whether or not it is accepted.
#[derive(Debug, Default)]
pub(super) struct SeenCertificate(Mutex<Option<PeerCertificate>>);

impl SeenCertificate {
    pub(super) fn get(&self) -> Option<PeerCertificate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What decides whether a certificate is accepted.
#[derive(Debug)]
enum InnerVerifier {
    WebPki(Arc<WebPkiServerVerifier>),
    NoRoots,
    AcceptAll,
}

/// Why every certificate is rejected.
#[derive(Debug, thiserror::Error)]
#[error("this host trusts no CA: ca-certificates is missing, or SSL_CERT_FILE is wrong")]
pub(super) struct NoRoots;

/// Records the certificate, then delegates to the inner verifier.
#[derive(Debug)]
struct Verifier {
    inner: InnerVerifier,
    trust: Trust,
    seen: Arc<SeenCertificate>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner) = read_certificate(end_entity);
        let inner = match &self.inner {
            InnerVerifier::WebPki(inner) => inner,
            InnerVerifier::NoRoots => {
                return Err(CertificateError::Other(OtherError(Arc::new(NoRoots))).into());
            }
            InnerVerifier::AcceptAll => return Ok(ServerCertVerified::assertion()),
        };
        let verified = inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // `openssl req -x509` makes a CA certificate. webpki rejects those as server certificates, even if trusted.
        if verified.is_err() && is_trusted_itself(end_entity, &self.trust) {
            return self.verify_name_and_dates(end_entity, server_name);
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl Verifier {
    fn verify_name_and_dates(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Result<ServerCertVerified, Error> {
        let certificate_info = self.seen.get().unwrap_or_default();
        if certificate_info.ends_in < 0 {
            return Err(CertificateError::Expired.into());
        }
        if certificate_info.begins_in > 0 {
            return Err(CertificateError::NotValidYet.into());
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

/// Most names to keep; some certificates have thousands.
const MOST_NAMES: usize = 12;

/// What the certificate says, made safe to print, because rustls does not show names or dates.
fn read_certificate(der: &CertificateDer<'_>) -> Option<PeerCertificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().cast_signed());
    let mut names: Vec<String> = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|extension| {
            extension
                .value
                .general_names
                .iter()
                .filter_map(alternative_name)
                .collect()
        })
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

fn safe(text: &str) -> String {
    sanitize::excerpt(text.as_bytes(), 120)
}

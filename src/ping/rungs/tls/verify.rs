//! Certificate verification: which CAs are trusted, and what the server's certificate contains.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WantsClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
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
    recording_config(trust, &Arc::default())
}

/// The same configuration, which also records the server's certificate.
pub(super) fn recording_config(trust: &Trust, seen: &Arc<SeenCertificate>) -> Result<ClientConfig, String> {
    let builder = builder(Some(Trusted::load(trust)?), seen)?;
    match (&trust.cert, &trust.key) {
        (Some(cert), Some(key)) => {
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("--key {}: {}", shown(key), pem_error("private key", &error)))?;
            builder
                .with_client_auth_cert(certificates("--cert", cert)?, key)
                .map_err(|error| format!("--cert and --key do not match: {error}"))
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

/// A configuration that accepts any certificate, to find out whether a server speaks TLS.
pub(super) fn unverified_config() -> Result<ClientConfig, String> {
    Ok(builder(None, &Arc::default())?.with_no_client_auth())
}

fn builder(
    trusted: Option<Trusted>,
    seen: &Arc<SeenCertificate>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier {
        trusted,
        seen: seen.clone(),
        algorithms: provider.signature_verification_algorithms,
    };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?.dangerous();
    Ok(builder.with_custom_certificate_verifier(Arc::new(verifier)))
}

/// The trusted certificates: the system's and those in `--ca`.
#[derive(Debug)]
struct Trusted {
    certificates: Vec<CertificateDer<'static>>,
    /// `None` if this host trusts no CA, as in minimal containers, because webpki needs at least one.
    verifier: Option<Arc<WebPkiServerVerifier>>,
}

impl Trusted {
    fn load(trust: &Trust) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let mut all = rustls_native_certs::load_native_certs().certs;
        // A system CA that cannot be parsed is skipped. If it was needed, the handshake ends as untrusted.
        roots.add_parsable_certificates(all.iter().cloned());
        if let Some(path) = &trust.ca {
            for certificate in certificates("--ca", path)? {
                let added = roots.add(certificate.clone());
                added.map_err(|error| format!("--ca {}: {error}", shown(path)))?;
                all.push(certificate);
            }
        }
        let verifier = (!roots.is_empty()).then(|| {
            let provider = Arc::new(ring::default_provider());
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()
        });
        Ok(Self {
            certificates: all,
            verifier: verifier
                .transpose()
                .map_err(|error| format!("cannot use the trusted CAs: {error}"))?,
        })
    }
}

fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let error = |message: String| format!("{option} {}: {message}", shown(path));
    let all: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|cause| error(pem_error("certificate", &cause)))?;
    if all.is_empty() {
        Err(error("the file contains no PEM certificate".into()))
    } else {
        Ok(all)
    }
}

/// Describes why the file cannot be used: it cannot be read, or it contains something else.
fn pem_error(wanted: &str, error: &pem::Error) -> String {
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

/// The reason why every certificate is rejected.
#[derive(Debug, thiserror::Error)]
#[error("this host trusts no CA: ca-certificates is missing, or SSL_CERT_FILE is wrong")]
pub(super) struct NoRoots;

/// Records the certificate, then verifies it with webpki.
#[derive(Debug)]
struct Verifier {
    /// `None`: accept any certificate.
    trusted: Option<Trusted>,
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
        let Some(trusted) = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        let Some(inner) = &trusted.verifier else {
            return Err(CertificateError::Other(OtherError(Arc::new(NoRoots))).into());
        };
        let verified = inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // `openssl req -x509` makes a CA certificate. webpki rejects those as server certificates, even if trusted.
        if verified.is_err() && trusted.certificates.contains(end_entity) {
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

/// The most names to keep, because some certificates have thousands.
const MOST_NAMES: usize = 12;

/// Reads the names and dates of the certificate, which rustls does not provide, and makes them safe to print.
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

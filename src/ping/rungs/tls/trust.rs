//! Whom a handshake trusts, and the certificate that it was shown.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::certificate;
use crate::ping::observation::PeerCertificate;
use crate::redis_url::Trust;
use crate::sanitize;

/// The configuration that every TLS connection of ours uses: the system's roots, `SSL_CERT_FILE` and `--ca`.
///
/// # Errors
/// In words, when a file of `--ca`, `--cert` or `--key` cannot be used.
pub(crate) fn config(trust: &Trust) -> Result<ClientConfig, String> {
    client_config(trust, Judge::Roots, &Arc::default())
}

/// Who judges the server's certificate.
#[derive(Clone, Copy)]
pub(super) enum Judge {
    /// The system's roots and `--ca`.
    Roots,
    /// Nobody: to hear whether TLS is spoken at all.
    Nobody,
}

pub(super) fn client_config(trust: &Trust, judge: Judge, seen: &Arc<Seen>) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Verifier {
        judge: match judge {
            Judge::Roots => held_against(roots(trust)?, &provider)?,
            Judge::Nobody => Checked::NotAtAll,
        },
        trust: trust.clone(),
        seen: seen.clone(),
        provider: provider.clone(),
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
                .map_err(|error| format!("--cert and --key do not go together: {error}"))
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

/// Minimal containers have no roots at all; webpki builds nothing of none.
fn held_against(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Checked, String> {
    if roots.is_empty() {
        return Ok(Checked::ByNoRoots);
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map(Checked::By)
        .map_err(|error| format!("no authority to trust: {error}"))
}

/// Whether this very certificate, and not only its signer, is among those to trust.
fn is_trusted_itself(certificate: &CertificateDer<'_>, trust: &Trust) -> bool {
    let own = trust.ca.as_ref().and_then(|path| certificates("--ca", path).ok());
    own.unwrap_or_default()
        .iter()
        .chain(&rustls_native_certs::load_native_certs().certs)
        .any(|trusted| trusted == certificate)
}

fn roots(trust: &Trust) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    // What cannot be read among the system's is reported as untrusted later, with the certificate's issuer.
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
        Err(fault(
            "the file holds no certificate in PEM form; name one that does".into(),
        ))
    } else {
        Ok(all)
    }
}

/// A file that cannot be read is another matter than one that holds something else.
fn pem_fault(wanted: &str, error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!(
            "cannot be read: {}; name a PEM file that this user may read",
            crate::ping::rungs::tcp::words(error)
        ),
        other => format!("no {wanted} in PEM form ({other}); name a file that holds one"),
    }
}

fn shown(path: &Path) -> String {
    sanitize::line(&path.display().to_string()).into_owned()
}

/// The certificate that was shown, kept for the report.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Option<PeerCertificate>>);

impl Seen {
    pub(super) fn certificate(&self) -> Option<PeerCertificate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a certificate is held against.
#[derive(Debug)]
enum Checked {
    By(Arc<WebPkiServerVerifier>),
    ByNoRoots,
    NotAtAll,
}

/// Why nobody is trusted.
#[derive(Debug, thiserror::Error)]
#[error("this host trusts no authority at all: ca-certificates is missing, or SSL_CERT_FILE leads nowhere")]
pub(super) struct NoRoots;

/// Notes the certificate, then lets the real verifier judge it.
#[derive(Debug)]
struct Verifier {
    judge: Checked,
    trust: Trust,
    seen: Arc<Seen>,
    provider: Arc<CryptoProvider>,
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
        *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner) = certificate::read(end_entity);
        let inner = match &self.judge {
            Checked::By(inner) => inner,
            Checked::ByNoRoots => return Err(CertificateError::Other(OtherError(Arc::new(NoRoots))).into()),
            Checked::NotAtAll => return Ok(ServerCertVerified::assertion()),
        };
        let judged = inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // What `openssl req -x509` makes is an authority, which webpki takes for no server's, even where it is trusted.
        if judged.is_err() && is_trusted_itself(end_entity, &self.trust) {
            return self.judge_by_name_and_dates(end_entity, server_name);
        }
        judged
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl Verifier {
    fn judge_by_name_and_dates(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Result<ServerCertVerified, Error> {
        let shown = self.seen.certificate().unwrap_or_default();
        if shown.ends_in < 0 {
            return Err(CertificateError::Expired.into());
        }
        if shown.begins_in > 0 {
            return Err(CertificateError::NotValidYet.into());
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

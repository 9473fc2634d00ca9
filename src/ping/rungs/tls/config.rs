//! Builds the configuration of TLS connections: the trusted CAs and the client certificate.

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, Error, SignatureScheme};

use super::certificate;
use super::pem_file::{certificates, private_key};
use super::trusted_cas::Trusted;
use super::verify::{SeenTls, Verifier};
use crate::clock::unix_now;
use crate::redis_url::Trust;

/// Returns the TLS configuration of all connections. It trusts the CAs in `--ca` and the CAs of the system,
/// which `SSL_CERT_FILE` can replace. An error message names the option whose file cannot be used.
pub(crate) fn config(trust: &Trust) -> Result<ClientConfig, String> {
    recording_config(trust, &Arc::default())
}

/// Like [`config`], but the returned configuration also records what the server sends.
pub(super) fn recording_config(trust: &Trust, seen: &Arc<SeenTls>) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let client =
        match (&trust.cert, &trust.key) {
            (Some(cert), Some(path)) => {
                let key = private_key("--key", path)?;
                let certified = CertifiedKey::from_der(certificates("--cert", cert)?, key, &provider)
                    .map_err(|error| match error {
                        Error::InconsistentKeys(_) => {
                            "--cert and --key do not match: the key does not belong to the certificate"
                                .to_owned()
                        }
                        other => format!("--cert and --key cannot be used: {other}"),
                    })?;
                Some(Arc::new(certified))
            }
            _ => None,
        };
    seen.update(|seen| {
        let certificate = client.as_ref().and_then(|client| client.cert.first());
        seen.client_certificate = certificate.and_then(|der| certificate::read(der, unix_now()));
    });
    let trusted = Trusted::load(trust)?;
    seen.update(|seen| seen.trusted = trusted.summary.clone());
    let verifier = Verifier {
        trusted: Some(trusted),
        accepts_all: trust.is_insecure,
        seen: seen.clone(),
        algorithms: provider.signature_verification_algorithms,
    };
    with_verifier(verifier, client)
}

/// Returns a configuration that accepts any certificate, to find out whether a server speaks TLS.
pub(super) fn unverified_config(seen: &Arc<SeenTls>) -> Result<ClientConfig, String> {
    let verifier = Verifier {
        trusted: None,
        accepts_all: true,
        seen: seen.clone(),
        algorithms: ring::default_provider().signature_verification_algorithms,
    };
    with_verifier(verifier, None)
}

fn with_verifier(verifier: Verifier, client: Option<Arc<CertifiedKey>>) -> Result<ClientConfig, String> {
    let seen = verifier.seen.clone();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    Ok(builder
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(ClientCertificate { client, seen })))
}

/// Sends the certificate in `--cert` if the server requests a client certificate, and records the server's
/// request.
#[derive(Debug)]
struct ClientCertificate {
    client: Option<Arc<CertifiedKey>>,
    seen: Arc<SeenTls>,
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, issuers: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.seen
            .update(|seen| seen.client_certificate_request = Some(certificate::read_names(issuers)));
        self.client.clone()
    }

    fn has_certs(&self) -> bool {
        self.client.is_some()
    }
}

//! Reads the trusted CAs: those of the system, and those in `--ca`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;

use super::pem_file::{certificates, shown};
use crate::ping::observation::TrustedCas;
use crate::ping::rungs::tcp::errno_text;
use crate::redis_url::Trust;

/// The trusted CA certificates, and a verifier for them.
#[derive(Debug)]
pub(super) struct Trusted {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) summary: TrustedCas,
    /// `None` if no CA is trusted, as in minimal containers, because webpki needs at least one CA.
    pub(super) verifier: Option<Arc<WebPkiServerVerifier>>,
}

impl Trusted {
    pub(super) fn load(trust: &Trust) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let mut all = rustls_native_certs::load_native_certs().certs;
        // Skip certificates that cannot be parsed. If one of them was needed, the server's certificate is
        // reported as untrusted.
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
            summary: summary(all.len()),
            certificates: all,
            verifier: verifier
                .transpose()
                .map_err(|error| format!("cannot use the trusted CAs: {error}"))?,
        })
    }
}

/// Describes where the trusted CAs come from. `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's CAs
/// (`openssl-env(7)`).
fn summary(count: usize) -> TrustedCas {
    let variables = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(|name| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
        let fault = unreadable(name, &value);
        let fault = fault.or_else(|| (count == 0).then(|| "contains no PEM certificate".into()));
        Some(((name, shown(Path::new(&value))), fault))
    });
    // The stable sort puts a variable with a fault first.
    let mut variables: Vec<_> = variables.collect();
    variables.sort_by_key(|(_, fault)| fault.is_none());
    let (variable, fault) = variables.into_iter().next().unzip();
    TrustedCas {
        count,
        variable,
        fault: fault.flatten(),
    }
}

/// Returns the reason why the file or folder in an environment variable cannot be read. Returns `None` if it
/// can be read.
fn unreadable(variable: &str, value: &OsStr) -> Option<String> {
    let found = if variable == "SSL_CERT_FILE" {
        File::open(value)
            .and_then(|file| file.metadata())
            .map(|found| found.is_file())
    } else {
        // The value may list several folders. The first is enough for the message.
        let first = std::env::split_paths(value).next().unwrap_or_default();
        fs::read_dir(first).map(|_| true)
    };
    match found {
        Ok(true) => None,
        Ok(false) => Some("is not a file".into()),
        Err(error) => Some(format!("cannot be read: {}", errno_text(&error))),
    }
}

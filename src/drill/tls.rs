//! Certificates for drills, signed by a new CA that no client trusts without `--ca`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::practice::random;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Which certificate the server uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certificate {
    /// Valid, for this endpoint.
    Right,
    /// Expired a month ago, for this endpoint.
    Expired,
    /// Valid, for another host.
    Misnamed,
}

/// The file with the CA's certificate, removed when dropped.
#[derive(Debug)]
pub(super) struct AuthorityFile(pub(super) PathBuf);

impl Drop for AuthorityFile {
    fn drop(&mut self) {
        // It may already have been removed.
        let _ = fs::remove_file(&self.0);
    }
}

/// Creates a CA and the TLS configuration of a server with a certificate from it.
pub(super) fn server(certificate: Certificate) -> io::Result<(AuthorityFile, Arc<ServerConfig>)> {
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, "sessiontut drill");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority_key = KeyPair::generate().map_err(io::Error::other)?;
    let pem = authority
        .self_signed(&authority_key)
        .map_err(io::Error::other)?
        .pem();
    let issuer = Issuer::new(authority, authority_key);

    let names: &[&str] = match certificate {
        Certificate::Misnamed => &["cache.example.com"],
        Certificate::Right | Certificate::Expired => &["127.0.0.1", "localhost"],
    };
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    let now = SystemTime::now();
    let (from, until) = match certificate {
        Certificate::Expired => (now - 60 * DAY, now - 30 * DAY),
        Certificate::Right | Certificate::Misnamed => (now - DAY, now + 60 * DAY),
    };
    params.not_before = from.into();
    params.not_after = until.into();
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let issued = params.signed_by(&key, &issuer).map_err(io::Error::other)?;
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![issued.der().clone()], secret)
        })
        .map_err(io::Error::other)?;
    Ok((write(&pem)?, Arc::new(config)))
}

fn write(pem: &str) -> io::Result<AuthorityFile> {
    let path = std::env::temp_dir().join(format!("sessiontut-drill-{}.pem", random::hexadecimal::<6>()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path)?.write_all(pem.as_bytes())?;
    Ok(AuthorityFile(path))
}

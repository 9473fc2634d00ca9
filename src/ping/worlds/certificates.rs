//! Creates the certificates of the scripted servers.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::NamedTempFile;

use super::parts::Port;

/// The host name in the certificates.
pub(super) const NAME: &str = "cache.example";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A CA that `ping` trusts, and the servers' TLS configurations.
pub(super) struct Certificates {
    ca: NamedTempFile,
    usual: Arc<ServerConfig>,
    expires_soon: Arc<ServerConfig>,
    untrusted: Arc<ServerConfig>,
    wrong_name: Arc<ServerConfig>,
    expired: Arc<ServerConfig>,
    not_yet_valid: Arc<ServerConfig>,
    expired_wrong_name: Arc<ServerConfig>,
    untrusted_expired: Arc<ServerConfig>,
    wants_client_certificate: Arc<ServerConfig>,
}

impl Certificates {
    pub(super) fn new() -> Self {
        let (trusted, own, pem) = ca("trusted CA");
        let (unknown, _, _) = ca("unknown CA");
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(pem.as_bytes()).unwrap();
        let now = SystemTime::now();
        let valid = (now - DAY, now + 90 * DAY);
        let past = (now - 60 * DAY, now - 30 * DAY);
        Self {
            ca: file,
            usual: server(&trusted, NAME, valid, None),
            expires_soon: server(&trusted, NAME, (now - DAY, now + 3 * DAY), None),
            untrusted: server(&unknown, NAME, valid, None),
            wrong_name: server(&trusted, "shop.example", valid, None),
            expired: server(&trusted, NAME, past, None),
            expired_wrong_name: server(&trusted, "shop.example", past, None),
            untrusted_expired: server(&unknown, NAME, past, None),
            not_yet_valid: server(&trusted, NAME, (now + 10 * DAY, now + 90 * DAY), None),
            wants_client_certificate: server(&trusted, NAME, valid, Some(own)),
        }
    }

    /// Returns the path of the file with the trusted CA.
    pub(super) fn ca(&self) -> &Path {
        self.ca.path()
    }

    /// Returns the TLS configuration of a server that completes handshakes.
    pub(super) fn server(&self, port: Port) -> Arc<ServerConfig> {
        let config = match port {
            Port::TlsExpiresSoon => &self.expires_soon,
            Port::TlsUntrusted => &self.untrusted,
            Port::TlsWrongName => &self.wrong_name,
            Port::TlsExpired => &self.expired,
            Port::TlsNotYetValid => &self.not_yet_valid,
            Port::TlsExpiredWrongName => &self.expired_wrong_name,
            Port::TlsUntrustedExpired => &self.untrusted_expired,
            Port::TlsWantsClientCertificate => &self.wants_client_certificate,
            _ => &self.usual,
        };
        config.clone()
    }
}

fn ca(name: &str) -> (Issuer<'static, KeyPair>, CertificateDer<'static>, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let (der, pem) = (certificate.der().clone(), certificate.pem());
    (Issuer::new(params, key), der, pem)
}

fn server(
    issuer: &Issuer<'_, KeyPair>,
    name: &str,
    (from, until): (SystemTime, SystemTime),
    ca_of_clients: Option<CertificateDer<'static>>,
) -> Arc<ServerConfig> {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_before = from.into();
    params.not_after = until.into();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap().der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match ca_of_clients {
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    Arc::new(builder.with_single_cert(vec![certificate], key).unwrap())
}

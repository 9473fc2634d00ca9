//! Creates certificate authorities and certificates for tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

/// A certificate authority. Its folder is deleted when the authority and all its certificates have been
/// dropped.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: Arc<TempDir>,
}

/// A certificate, its key and its CA's certificate, as PEM files.
#[derive(Clone, Debug)]
pub struct Certificate {
    name: String,
    folder: Arc<TempDir>,
}

impl Authority {
    /// Creates a new CA.
    pub fn new() -> Self {
        Self::with(CertificateParams::default())
    }

    /// Creates a CA whose own certificate expired yesterday.
    pub fn expired() -> Self {
        let now = SystemTime::now();
        let mut params = CertificateParams::default();
        params.not_before = (now - 90 * DAY).into();
        params.not_after = (now - DAY).into();
        Self::with(params)
    }

    fn with(mut params: CertificateParams) -> Self {
        params
            .distinguished_name
            .push(DnType::CommonName, "The tests' authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let folder = Arc::new(TempDir::new().unwrap());
        fs::write(
            folder.path().join("ca.pem"),
            params.self_signed(&key).unwrap().pem(),
        )
        .unwrap();
        Self {
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    /// Returns the path of the CA's PEM file, for `--ca`.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Issues a certificate that is valid today, for these names and addresses.
    pub fn issue(&self, names: &[&str]) -> Certificate {
        let now = SystemTime::now();
        self.issue_valid(names, now - DAY, now + 365 * DAY)
    }

    /// Issues a certificate for these names and addresses, with this validity period.
    pub fn issue_valid(&self, names: &[&str], from: SystemTime, until: SystemTime) -> Certificate {
        let mut params = leaf(names);
        params.not_before = from.into();
        params.not_after = until.into();
        self.sign(names[0], &params)
    }

    /// Issues a certificate for client authentication only.
    pub fn issue_for_a_client(&self, names: &[&str]) -> Certificate {
        let mut params = leaf(names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(names[0], &params)
    }

    fn sign(&self, name: &str, params: &CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let issued = params.signed_by(&key, &self.issuer).unwrap();
        let number = fs::read_dir(self.folder.path()).unwrap().count();
        let certificate = Certificate {
            name: format!("{number}-{}", name.replace(['*', ':', '/'], "_")),
            folder: Arc::clone(&self.folder),
        };
        fs::write(certificate.cert(), issued.pem()).unwrap();
        fs::write(certificate.key(), key.serialize_pem()).unwrap();
        certificate
    }
}

fn leaf(names: &[&str]) -> CertificateParams {
    let all: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(all).unwrap();
    params.distinguished_name.push(DnType::CommonName, names[0]);
    params
}

impl Certificate {
    /// Issues a certificate for 127.0.0.1, ::1 and localhost from a new CA.
    pub fn for_loopback() -> Self {
        Authority::new().issue(&["localhost", "127.0.0.1", "::1"])
    }

    /// Creates a self-signed CA certificate for these names, as `openssl req -x509` does.
    pub fn signed_by_itself(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = Self {
            name: "itself".to_owned(),
            folder: Arc::new(TempDir::new().unwrap()),
        };
        let pem = params.self_signed(&key).unwrap().pem();
        fs::write(certificate.cert(), &pem).unwrap();
        fs::write(certificate.authority(), pem).unwrap();
        fs::write(certificate.key(), key.serialize_pem()).unwrap();
        certificate
    }

    /// Returns the path of the certificate's PEM file.
    pub fn cert(&self) -> PathBuf {
        self.file("crt")
    }

    /// Returns the path of the private key's PEM file.
    pub fn key(&self) -> PathBuf {
        self.file("key")
    }

    /// Returns the path of the CA's PEM file, for `--ca`.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn file(&self, extension: &str) -> PathBuf {
        let folder: &Path = self.folder.path();
        folder.join(format!("{}.{extension}", self.name))
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

//! Certificate authorities and certificates of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

/// A certificate authority in a folder that lives as long as it and its certificates do.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: Arc<TempDir>,
}

/// A certificate, its key and its authority's certificate, as PEM files.
#[derive(Clone, Debug)]
pub struct Certificate {
    name: String,
    folder: Arc<TempDir>,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
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

    /// Its own certificate: what `--ca` takes.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for these names and addresses, valid today.
    pub fn issue(&self, names: &[&str]) -> Certificate {
        let now = SystemTime::now();
        self.issue_valid(names, now - DAY, now + 365 * DAY)
    }

    /// A certificate for these names and addresses, valid within these times.
    pub fn issue_valid(&self, names: &[&str], from: SystemTime, until: SystemTime) -> Certificate {
        let mut params = leaf(names);
        params.not_before = from.into();
        params.not_after = until.into();
        self.sign(names[0], &params)
    }

    /// A certificate that clients may show, and no server.
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
    /// For 127.0.0.1, ::1 and localhost, by an authority of its own.
    pub fn for_loopback() -> Self {
        Authority::new().issue(&["localhost", "127.0.0.1", "::1"])
    }

    /// What `openssl req -x509` makes: an authority that shows its own certificate, for these names.
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

    /// The certificate's PEM file.
    pub fn cert(&self) -> PathBuf {
        self.file("crt")
    }

    /// The private key's PEM file.
    pub fn key(&self) -> PathBuf {
        self.file("key")
    }

    /// The authority's PEM file: what `--ca` takes.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn file(&self, extension: &str) -> PathBuf {
        let folder: &Path = self.folder.path();
        folder.join(format!("{}.{extension}", self.name))
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

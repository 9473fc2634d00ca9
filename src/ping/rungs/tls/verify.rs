//! Verifies certificates, and records what the server sends. Determines which CAs are trusted.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::certificate::{self, NamePath};
use crate::ping::observation::{CertificateProblem, PeerCertificate, TrustedCas};
use crate::redis_url::Trust;
use crate::sanitize;

/// Returns the TLS configuration of all connections. It trusts the system's CAs (or those in `SSL_CERT_FILE`)
/// and those in `--ca`.
///
/// # Errors
///
/// Returns a message if the file in `--ca`, `--cert` or `--key` cannot be used.
pub(crate) fn config(trust: &Trust) -> Result<ClientConfig, String> {
    recording_config(trust, &Arc::default())
}

/// Returns a client configuration that also records what the server sends.
pub(super) fn recording_config(trust: &Trust, seen: &Arc<SeenTls>) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let client = match (&trust.cert, &trust.key) {
        (Some(cert), Some(path)) => {
            let key = open(path)
                .and_then(PrivateKeyDer::from_pem_reader)
                .map_err(|error| format!("--key {}: {}", shown(path), pem_error("private key", &error)))?;
            let certified = CertifiedKey::from_der(certificates("--cert", cert)?, key, &provider)
                .map_err(|error| format!("--cert and --key do not match: {error}"))?;
            Some(Arc::new(certified))
        }
        _ => None,
    };
    seen.update(|seen| {
        let certificate = client.as_ref().and_then(|client| client.cert.first());
        seen.client_certificate = certificate.and_then(|der| certificate::read(der, clock()));
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

/// Returns a configuration that accepts any certificate. It is used to find out whether a server speaks TLS.
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

/// Returns the time on this host's clock, in seconds since 1970.
pub(in crate::ping) fn clock() -> i64 {
    UnixTime::now().as_secs().cast_signed()
}

/// Sends the certificate in `--cert` if the server requests one, and records the request.
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

/// The trusted certificates: those of the system, and those in `--ca`.
#[derive(Debug)]
struct Trusted {
    certificates: Vec<CertificateDer<'static>>,
    summary: TrustedCas,
    /// `None` if there is no CA at all, as in minimal containers. webpki needs at least one.
    verifier: Option<Arc<WebPkiServerVerifier>>,
}

impl Trusted {
    fn load(trust: &Trust) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let mut all = rustls_native_certs::load_native_certs().certs;
        // Certificates that cannot be parsed are skipped. If one of them was needed, the server's certificate
        // is reported as untrusted.
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

/// Describes where the trusted CAs come from. These variables replace the system's CAs (`openssl-env(7)`).
fn summary(count: usize) -> TrustedCas {
    let variables = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(|name| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
        let fault = unreadable(name, &value);
        let fault = fault.or_else(|| (count == 0).then(|| "contains no PEM certificate".into()));
        Some(((name, shown(Path::new(&value))), fault))
    });
    // The sort is stable, and puts a variable with a fault first.
    let mut variables: Vec<_> = variables.collect();
    variables.sort_by_key(|(_, fault)| fault.is_none());
    let (variable, fault) = variables.into_iter().next().unzip();
    TrustedCas {
        count,
        variable,
        fault: fault.flatten(),
    }
}

/// Returns why the file or folder in a variable cannot be read.
fn unreadable(variable: &str, value: &OsStr) -> Option<String> {
    let found = if variable == "SSL_CERT_FILE" {
        std::fs::File::open(value)
            .and_then(|file| file.metadata())
            .map(|found| found.is_file())
    } else {
        // The value may list several folders. The first is enough for the message.
        let first = std::env::split_paths(value).next().unwrap_or_default();
        std::fs::read_dir(first).map(|_| true)
    };
    match found {
        Ok(true) => None,
        Ok(false) => Some("is not a file".into()),
        Err(error) => Some(format!(
            "cannot be read: {}",
            super::super::tcp::errno_text(&error)
        )),
    }
}

fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let error = |message: String| format!("{option} {}: {message}", shown(path));
    let all: Vec<_> = open(path)
        .and_then(|file| CertificateDer::pem_reader_iter(file).collect())
        .map_err(|cause| error(pem_error("certificate", &cause)))?;
    if all.is_empty() {
        Err(error("the file contains no PEM certificate".into()))
    } else {
        Ok(all)
    }
}

/// Maximum size of a PEM file in bytes. It prevents a device such as /dev/zero from filling the memory.
const MAX_PEM_BYTES: u64 = 16 * 1024 * 1024;

fn open(path: &Path) -> Result<impl BufRead + use<>, pem::Error> {
    let file = File::open(path).map_err(pem::Error::Io)?;
    Ok(BufReader::new(file.take(MAX_PEM_BYTES)))
}

/// Describes why the file cannot be used: it cannot be read, or it does not contain what is needed.
fn pem_error(wanted: &str, error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!(
            "cannot be read ({}); check the path and its permissions",
            super::super::tcp::errno_text(error)
        ),
        other => format!("the file contains no PEM {wanted} ({other})"),
    }
}

fn shown(path: &Path) -> String {
    sanitize::line(&path.display().to_string()).into_owned()
}

/// What the server sent during the handshake, whether or not it is accepted.
#[derive(Debug, Default)]
pub(super) struct SeenTls(Mutex<Seen>);

#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The certificates that the server sent, starting with its own.
    pub(super) chain: Vec<PeerCertificate>,
    pub(super) leads_to_trusted_ca: bool,
    pub(super) problem: Option<CertificateProblem>,
    pub(super) trusted: TrustedCas,
    pub(super) client_certificate: Option<PeerCertificate>,
    pub(super) client_certificate_request: Option<Vec<String>>,
}

impl SeenTls {
    pub(super) fn get(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Records the certificates, then verifies them with webpki.
#[derive(Debug)]
struct Verifier {
    /// The trusted CAs, or `None` if certificates are not verified.
    trusted: Option<Trusted>,
    /// Whether to continue if the certificate is invalid. The problem is recorded nevertheless.
    accepts_all: bool,
    seen: Arc<SeenTls>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Signature algorithms that ring does not support (RFC 8446, 4.2.3): ECDSA with P-521, and RSA-PSS keys.
/// They are offered because a server with such a key sends its certificate only then.
const UNSUPPORTED: [SignatureScheme; 4] = [
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::Unknown(0x0809),
    SignatureScheme::Unknown(0x080a),
    SignatureScheme::Unknown(0x080b),
];

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificates = || std::iter::once(end_entity).chain(intermediates);
        self.seen.update(|seen| {
            seen.chain = certificate::read_chain(certificates(), now.as_secs().cast_signed());
        });
        let Some(trusted) = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified = match &trusted.verifier {
            Some(verifier) => {
                verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        let verified = match verified {
            // `openssl req -x509` creates a CA certificate. webpki rejects such a certificate for a server,
            // even if it is trusted.
            Err(_) if trusted.certificates.contains(end_entity) => {
                self.verify_name_and_dates(end_entity, server_name)
            }
            verified => verified,
        };
        let path = NamePath::of(end_entity, intermediates, &trusted.certificates);
        self.seen
            .update(|seen| seen.leads_to_trusted_ca = path.is_trusted);
        let verified = verified.and_then(|verified| self.check_root(&path, now).map(|()| verified));
        verified.or_else(|error| {
            let problem = if trusted.verifier.is_none() {
                CertificateProblem::NoTrustedCa
            } else {
                problem(&error, &path, self.seen.get().chain.first(), server_name)
            };
            self.reject(problem, error)?;
            Ok(ServerCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.algorithms,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.algorithms,
        ))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.algorithms.supported_schemes();
        if self.accepts_all {
            schemes.extend(UNSUPPORTED);
        }
        schemes
    }
}

impl Verifier {
    fn verify_name_and_dates(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Result<ServerCertVerified, Error> {
        let seen = self.seen.get();
        let dates = seen.chain.first().map(|own| (own.begins_in, own.ends_in));
        let (begins_in, ends_in) = dates.unwrap_or_default();
        if ends_in < 0 {
            return Err(CertificateError::Expired.into());
        }
        if begins_in > 0 {
            return Err(CertificateError::NotValidYet.into());
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    /// Checks whether the trusted CA has expired. webpki does not check this, but OpenSSL and most other
    /// clients do.
    fn check_root(&self, path: &NamePath, now: UnixTime) -> Result<(), Error> {
        let root = path.root.as_ref();
        let root = root.and_then(|der| certificate::read(der, now.as_secs().cast_signed()));
        match root.filter(|root| root.ends_in < 0) {
            Some(root) => {
                self.seen.update(|seen| seen.chain.push(root));
                Err(CertificateError::Expired.into())
            }
            None => Ok(()),
        }
    }

    /// Checks that the server has the private key of the certificate.
    fn check_signature(
        &self,
        verified: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        verified.or_else(|error| {
            let own = self.seen.get().chain.into_iter().next();
            let problem = match own.and_then(|own| own.unsupported) {
                Some(what) => CertificateProblem::Unsupported(format!("the server's certificate has {what}")),
                None => CertificateProblem::Invalid(
                    "the server does not have the certificate's private key".into(),
                ),
            };
            self.reject(problem, error)?;
            Ok(HandshakeSignatureValid::assertion())
        })
    }

    /// Records the problem. Ends the handshake unless all certificates are accepted.
    fn reject(&self, problem: CertificateProblem, error: Error) -> Result<(), Error> {
        self.seen.update(|seen| {
            seen.problem.get_or_insert(problem);
        });
        if self.accepts_all { Ok(()) } else { Err(error) }
    }
}

/// Determines what is wrong with a certificate that webpki has rejected.
fn problem(
    error: &Error,
    path: &NamePath,
    own: Option<&PeerCertificate>,
    name: &ServerName<'_>,
) -> CertificateProblem {
    use CertificateError as Fault;
    let Error::InvalidCertificate(fault) = error else {
        return CertificateProblem::Invalid(plain(error));
    };
    match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => return CertificateProblem::Expired,
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => return CertificateProblem::NotValidYet,
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => {
            return match own {
                Some(own) if names_only_in_subject(own, name) => CertificateProblem::Unsupported(
                    "the certificate has no subjectAltName; its name is only the subject's common name"
                        .into(),
                ),
                _ => CertificateProblem::OtherName,
            };
        }
        Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
            return CertificateProblem::Invalid(
                "the certificate's extendedKeyUsage does not include serverAuth".into(),
            );
        }
        _ => {}
    }
    if !path.is_trusted {
        // A self-signed certificate only needs to be trusted, whatever else is unusual about it.
        let is_signed_by_another = own.is_some_and(|own| !own.is_self_signed);
        return match fault {
            Fault::BadSignature if is_signed_by_another => CertificateProblem::WrongSignature,
            _ => CertificateProblem::UnknownIssuer,
        };
    }
    match (&path.unsupported, fault) {
        (Some(what), _) => CertificateProblem::Unsupported(what.clone()),
        (None, Fault::UnknownIssuer | Fault::BadSignature) => CertificateProblem::WrongSignature,
        (None, Fault::BadEncoding) => CertificateProblem::Unsupported(
            "a certificate in the chain is not encoded as strictly as X.509 requires".into(),
        ),
        (None, Fault::Other(reason)) if reason.to_string().contains("CaUsedAsEndEntity") => {
            CertificateProblem::Unsupported(
                "the server's certificate is a CA certificate (basicConstraints CA:TRUE)".into(),
            )
        }
        (
            None,
            Fault::UnsupportedSignatureAlgorithmContext { .. }
            | Fault::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => CertificateProblem::Unsupported(
            "a certificate in the chain has a signature with an unsupported algorithm".into(),
        ),
        (None, other) => CertificateProblem::Invalid(plain(other)),
    }
}

/// Whether the name is only in the subject's common names, where old clients look for it (RFC 2818, 3.1).
fn names_only_in_subject(own: &PeerCertificate, name: &ServerName<'_>) -> bool {
    let ServerName::DnsName(name) = name else {
        return false;
    };
    let name = name.as_ref();
    let is_match = |common: &String| match common.strip_prefix("*.") {
        Some(parent) => name
            .split_once('.')
            .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => common.eq_ignore_ascii_case(name),
    };
    own.names.is_empty() && own.common_names.iter().any(is_match)
}

/// Returns the library's message. Splits a name such as `UnhandledCriticalExtension` into words.
fn plain(error: &impl ToString) -> String {
    let text = error.to_string();
    let text = sanitize::line(&text);
    if text.contains(' ') {
        return text.into_owned();
    }
    let mut words = String::new();
    for letter in text.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

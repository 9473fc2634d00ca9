//! The TLS rung: one handshake, and the certificate that the server showed, whatever was made of it.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError,
    RootCertStore, SignatureScheme,
};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::deadline::Deadline;
use crate::os;
use crate::ping::observation::{Certificate, Handshake, TlsResult};
use crate::sanitize;
use crate::target::Trust;
use crate::wire::Stream;

/// Names of a certificate that are kept; some carry thousands.
const MOST_NAMES: usize = 12;

/// Shakes hands over a connected stream; the session only where the certificate can be trusted.
pub async fn observe(
    stream: TcpStream,
    host: &str,
    trust: &Trust,
    deadline: Deadline,
) -> (Option<Stream>, Handshake) {
    let expected = trust.tls_name.as_deref().unwrap_or(host).trim_end_matches('.');
    let seen = Arc::new(Seen::default());
    let started = Instant::now();
    let config = match client_config(trust, Judge::Roots, &seen) {
        Ok(config) => config,
        Err(words) => return (None, unusable(expected, words)),
    };
    // The handshake takes the stream with it when its time is over: a second handle outlives that.
    let socket = SockRef::from(&stream).try_clone().ok();
    let (stream, result) = shake(stream, expected, config, deadline).await;
    let flow = socket
        .filter(|_| result == TlsResult::TimedOut)
        .and_then(|socket| os::flow(&SockRef::from(&socket)));
    let handshake = Handshake {
        result,
        certificate: seen.certificate(),
        expected_name: expected.to_owned(),
        version: stream.as_ref().and_then(version),
        took: started.elapsed(),
        flow,
    };
    (stream, handshake)
}

/// Whether a peer speaks TLS at all: trusts whatever certificate it shows, and sends it nothing secret.
pub async fn hello(stream: TcpStream, host: &str, deadline: Deadline) -> (Option<Stream>, TlsResult) {
    match client_config(&Trust::default(), Judge::Nobody, &Arc::default()) {
        Ok(config) => shake(stream, host, config, deadline).await,
        Err(words) => (None, TlsResult::Unusable(words)),
    }
}

/// The alert that an I/O error of a TLS stream stands for: with TLS 1.3 a refused client hears of it when reading.
pub fn alert_in(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::AlertReceived(alert) => Some(format!("{alert:?}")),
        _ => None,
    }
}

/// Whether an alert's name says that the server wants another client certificate, or one at all.
pub fn wants_client_certificate(alert: &str) -> bool {
    // RFC 8446, 6.2; servers of TLS 1.2 say HandshakeFailure, which alone proves nothing.
    [
        "CertificateRequired",
        "BadCertificate",
        "UnknownCA",
        "CertificateUnknown",
        "AccessDenied",
    ]
    .contains(&alert)
        || [
            "CertificateExpired",
            "CertificateRevoked",
            "UnsupportedCertificate",
        ]
        .contains(&alert)
}

async fn shake(
    stream: TcpStream,
    name: &str,
    config: ClientConfig,
    deadline: Deadline,
) -> (Option<Stream>, TlsResult) {
    let name = name.to_owned();
    let Ok(name) = ServerName::try_from(name.clone()) else {
        return (
            None,
            TlsResult::BadName(format!(
                "no certificate can be for {}; --tls-name gives another name",
                sanitize::line(&name)
            )),
        );
    };
    let connector = TlsConnector::from(Arc::new(config));
    match deadline.bound(connector.connect(name, stream)).await {
        Ok(Ok(stream)) => (Some(Stream::Tls(Box::new(stream))), TlsResult::Established),
        Ok(Err(error)) => (None, result_of(&error)),
        Err(_) => (None, TlsResult::TimedOut),
    }
}

fn result_of(error: &io::Error) -> TlsResult {
    let Some(fault) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return TlsResult::Closed;
    };
    match fault {
        Error::InvalidCertificate(fault) => certificate_result(fault),
        // Whoever sends the hello back, as an echo does, says nothing that a server of TLS would.
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. } => TlsResult::NotTls,
        Error::PeerIncompatible(_) => {
            TlsResult::NothingInCommon(sanitize::line(&fault.to_string()).into_owned())
        }
        Error::AlertReceived(alert) => alert_result(*alert),
        Error::NoCertificatesPresented => TlsResult::Untrusted("the server shows no certificate".into()),
        other => TlsResult::Refused(sanitize::line(&other.to_string()).into_owned()),
    }
}

fn certificate_result(fault: &CertificateError) -> TlsResult {
    use CertificateError as Fault;
    match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => TlsResult::Expired,
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => TlsResult::NotValidYet,
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => TlsResult::OtherName,
        Fault::Other(OtherError(reason)) => {
            TlsResult::Untrusted(sanitize::line(&reason.to_string()).into_owned())
        }
        other => TlsResult::Untrusted(sanitize::line(&other.to_string()).into_owned()),
    }
}

fn alert_result(alert: AlertDescription) -> TlsResult {
    use AlertDescription as Alert;
    let name = format!("{alert:?}");
    match alert {
        Alert::ProtocolVersion | Alert::InsufficientSecurity | Alert::HandshakeFailure => {
            TlsResult::NothingInCommon(name)
        }
        _ if wants_client_certificate(&name) => TlsResult::ClientCertificate(name),
        _ => TlsResult::Refused(name),
    }
}

fn unusable(expected: &str, words: String) -> Handshake {
    Handshake {
        result: TlsResult::Unusable(words),
        certificate: None,
        expected_name: expected.to_owned(),
        version: None,
        took: Duration::ZERO,
        flow: None,
    }
}

fn version(stream: &Stream) -> Option<String> {
    match stream {
        Stream::Tls(stream) => stream
            .get_ref()
            .1
            .protocol_version()
            .map(|version| format!("{version:?}")),
        _ => None,
    }
}

/// The configuration that every TLS connection of ours uses: the system's roots, `SSL_CERT_FILE` and `--ca`.
///
/// # Errors
/// In words, when a file of `--ca`, `--cert` or `--key` cannot be used.
pub fn config(trust: &Trust) -> Result<ClientConfig, String> {
    client_config(trust, Judge::Roots, &Arc::default())
}

/// Who judges the server's certificate.
#[derive(Clone, Copy)]
enum Judge {
    /// The system's roots and `--ca`.
    Roots,
    /// Nobody: to hear whether TLS is spoken at all.
    Nobody,
}

fn client_config(trust: &Trust, judge: Judge, seen: &Arc<Seen>) -> Result<ClientConfig, String> {
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
        Err(fault("the file holds no certificate in PEM form".into()))
    } else {
        Ok(all)
    }
}

/// A file that cannot be read is another matter than one that holds something else.
fn pem_fault(wanted: &str, error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!("cannot be read: {}", super::tcp::words(error)),
        other => format!("no {wanted} in PEM form ({other})"),
    }
}

fn shown(path: &Path) -> String {
    sanitize::line(&path.display().to_string()).into_owned()
}

/// The certificate that was shown, kept for the report.
#[derive(Debug, Default)]
struct Seen(Mutex<Option<Certificate>>);

impl Seen {
    fn certificate(&self) -> Option<Certificate> {
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
struct NoRoots;

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
        *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner) = read_certificate(end_entity);
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

fn read_certificate(der: &CertificateDer<'_>) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().cast_signed());
    let mut names: Vec<String> = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|extension| extension.value.general_names.iter().filter_map(name).collect())
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
    Some(Certificate {
        names,
        issuer: safe(&certificate.issuer().to_string()),
        is_self_signed: certificate.issuer() == certificate.subject(),
        begins_in: certificate.validity().not_before.timestamp().saturating_sub(now),
        ends_in: certificate.validity().not_after.timestamp().saturating_sub(now),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(safe(name)),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|bytes| IpAddr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|bytes| IpAddr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn safe(text: &str) -> String {
    sanitize::excerpt(text.as_bytes(), 120)
}

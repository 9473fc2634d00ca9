//! The TLS rung: performs one handshake, and records the server's certificate even if it is rejected.

mod verify;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, OtherError};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::deadline::Deadline;
use crate::os;
use crate::ping::observation::{Handshake, TlsResult};
use crate::redis_client::Stream;
use crate::redis_url::Trust;
use crate::sanitize;
use verify::{NoRoots, SeenCertificate, recording_config, unverified_config};

pub(crate) use verify::config;

/// Performs the handshake. Returns a stream only if the certificate is accepted.
pub(crate) async fn observe(
    stream: TcpStream,
    host: &str,
    trust: &Trust,
    deadline: Deadline,
) -> (Option<Stream>, Handshake) {
    let expected = trust.tls_name.as_deref().unwrap_or(host).trim_end_matches('.');
    let seen = Arc::new(SeenCertificate::default());
    let started = Instant::now();
    let config = match recording_config(trust, &seen) {
        Ok(config) => config,
        Err(message) => return (None, unusable(expected, message)),
    };
    // On a timeout the handshake drops its stream, so keep a second handle for the packet counts.
    let socket = SockRef::from(&stream).try_clone().ok();
    let (stream, mut result) = handshake(stream, expected, config, deadline).await;
    let certificate = seen.get();
    // A self-signed certificate would be accepted if it were trusted, so report it as untrusted, not as invalid.
    if let TlsResult::InvalidCertificate(reason) = &result
        && certificate.as_ref().is_some_and(|one| one.is_self_signed)
    {
        result = TlsResult::Untrusted(reason.clone());
    }
    let packets = socket
        .filter(|_| result == TlsResult::TimedOut)
        .and_then(|socket| os::packet_counts(&SockRef::from(&socket)));
    let handshake = Handshake {
        result,
        certificate,
        expected_name: expected.to_owned(),
        version: stream.as_ref().and_then(version),
        took: started.elapsed(),
        packets,
    };
    (stream, handshake)
}

/// Performs a handshake that accepts any certificate, to find out whether the peer speaks TLS. Callers must not send
/// secrets over the stream.
pub(crate) async fn handshake_unverified(
    stream: TcpStream,
    host: &str,
    deadline: Deadline,
) -> (Option<Stream>, TlsResult) {
    match unverified_config() {
        Ok(config) => handshake(stream, host, config, deadline).await,
        Err(message) => (None, TlsResult::Unusable(message)),
    }
}

/// The name of the alert in an I/O error. In TLS 1.3, a client learns only from its first read that the server has
/// rejected its certificate.
pub(crate) fn alert_in(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::AlertReceived(alert) => Some(format!("{alert:?}")),
        _ => None,
    }
}

/// Whether the alert means that the server requires a client certificate, or rejects the one we sent.
pub(crate) fn requires_client_certificate(alert: &str) -> bool {
    // RFC 8446, 6.2. TLS 1.2 servers send HandshakeFailure, which has other causes too.
    [
        "CertificateRequired",
        "BadCertificate",
        "UnknownCA",
        "CertificateUnknown",
        "AccessDenied",
        "CertificateExpired",
        "CertificateRevoked",
        "UnsupportedCertificate",
    ]
    .contains(&alert)
}

async fn handshake(
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
                "{} cannot be in a certificate; use --tls-name to expect another name",
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
        // An echo server returns our own ClientHello, which no TLS server would send.
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. } => TlsResult::NotTls,
        Error::PeerIncompatible(_) => {
            TlsResult::NothingInCommon(sanitize::line(&fault.to_string()).into_owned())
        }
        Error::AlertReceived(alert) => alert_result(*alert),
        Error::NoCertificatesPresented => TlsResult::Untrusted("the server sent no certificate".into()),
        other => TlsResult::Refused(sanitize::line(&other.to_string()).into_owned()),
    }
}

fn certificate_result(fault: &CertificateError) -> TlsResult {
    use CertificateError as Fault;
    match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => TlsResult::Expired,
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => TlsResult::NotValidYet,
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => TlsResult::OtherName,
        // A wrong signature means a different CA with the same name, such as one that was regenerated.
        Fault::UnknownIssuer | Fault::BadSignature => TlsResult::Untrusted(shown(fault)),
        Fault::Other(OtherError(reason)) if reason.is::<NoRoots>() => TlsResult::Untrusted(shown(reason)),
        Fault::Other(OtherError(reason)) => TlsResult::InvalidCertificate(shown(reason)),
        other => TlsResult::InvalidCertificate(shown(other)),
    }
}

fn shown(fault: &impl ToString) -> String {
    sanitize::line(&fault.to_string()).into_owned()
}

fn alert_result(alert: AlertDescription) -> TlsResult {
    use AlertDescription as Alert;
    let name = format!("{alert:?}");
    match alert {
        Alert::ProtocolVersion | Alert::InsufficientSecurity | Alert::HandshakeFailure => {
            TlsResult::NothingInCommon(name)
        }
        _ if requires_client_certificate(&name) => TlsResult::ClientCertificate(name),
        _ => TlsResult::Refused(name),
    }
}

fn unusable(expected: &str, message: String) -> Handshake {
    Handshake {
        result: TlsResult::Unusable(message),
        certificate: None,
        expected_name: expected.to_owned(),
        version: None,
        took: Duration::ZERO,
        packets: None,
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

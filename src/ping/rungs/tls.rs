//! The TLS rung: one handshake, and the certificate that the server showed, whatever was made of it.

mod certificate;
mod trust;

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
use trust::{Judge, NoRoots, Seen, client_config};

pub(crate) use trust::config;

/// Shakes hands over a connected stream; the session only where the certificate can be trusted.
pub(crate) async fn observe(
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
    let (stream, mut result) = shake(stream, expected, config, deadline).await;
    let certificate = seen.certificate();
    // Whoever vouches for itself is trusted itself, and then need be fit for nothing else.
    if let TlsResult::InvalidCertificate(words) = &result
        && certificate.as_ref().is_some_and(|shown| shown.is_self_signed)
    {
        result = TlsResult::Untrusted(words.clone());
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

/// Whether a peer speaks TLS at all: trusts whatever certificate it shows, and sends it nothing secret.
pub(crate) async fn hello(stream: TcpStream, host: &str, deadline: Deadline) -> (Option<Stream>, TlsResult) {
    match client_config(&Trust::default(), Judge::Nobody, &Arc::default()) {
        Ok(config) => shake(stream, host, config, deadline).await,
        Err(words) => (None, TlsResult::Unusable(words)),
    }
}

/// The alert that an I/O error of a TLS stream stands for: with TLS 1.3 a refused client hears of it when reading.
pub(crate) fn alert_in(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::AlertReceived(alert) => Some(format!("{alert:?}")),
        _ => None,
    }
}

/// Whether an alert's name says that the server wants another client certificate, or one at all.
pub(crate) fn wants_client_certificate(alert: &str) -> bool {
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
        // A wrong signature is that of another authority of the same name, as one made anew.
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

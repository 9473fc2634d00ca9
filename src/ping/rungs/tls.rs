//! Checks the TLS handshake. Records the server's certificate even if the certificate is rejected.

mod certificate;
mod config;
mod pem_file;
mod problem;
mod trusted_cas;
mod verify;
mod wider_offer;

pub(crate) use certificate::read_any_certificate as read_certificate;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Error};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::clock::unix_now;
use crate::deadline::Deadline;
use crate::os;
use crate::ping::observation::{CertificateProblem, Handshake, PeerCertificate, TlsResult};
use crate::redis_client::Stream;
use crate::redis_url::Trust;
use crate::sanitize;
use config::{recording_config, unverified_config};
use verify::SeenTls;

pub(crate) use config::config;
pub(in crate::ping) use wider_offer::observe as wider_offer;

/// Performs the TLS handshake. Returns a stream only if the handshake succeeds, and the certificate is
/// accepted or `--insecure` is set.
pub(crate) async fn observe(
    stream: TcpStream,
    host: &str,
    trust: &Trust,
    deadline: Deadline,
) -> (Option<Stream>, Handshake) {
    let expected = expected_name(host, trust);
    let seen = Arc::new(SeenTls::default());
    let started = Instant::now();
    // A timeout drops the stream, so a second handle is kept for the packet counts.
    let socket = SockRef::from(&stream).try_clone().ok();
    let (stream, result) = match recording_config(trust, &seen) {
        Ok(config) => handshake(stream, expected, config, deadline).await,
        Err(message) => (None, TlsResult::Unusable(message)),
    };
    let packets = socket
        .filter(|_| result == TlsResult::TimedOut)
        .and_then(|socket| os::packet_counts(&SockRef::from(&socket)));
    let mut seen = seen.get();
    if result == TlsResult::CertificateRejected && seen.problem.is_none() {
        seen.problem = Some(CertificateProblem::Missing);
    }
    let handshake = Handshake {
        result,
        certificate_problem: seen.problem,
        chain: seen.chain,
        leads_to_trusted_ca: seen.leads_to_trusted_ca,
        expected_name: expected.to_owned(),
        version: stream.as_ref().and_then(version),
        took: started.elapsed(),
        packets,
        clock: unix_now(),
        trusted: seen.trusted,
        client_certificate: seen.client_certificate,
        client_certificate_request: seen.client_certificate_request,
    };
    (stream, handshake)
}

/// Returns the name that the certificate must contain.
pub(crate) fn expected_name<'a>(host: &'a str, trust: &'a Trust) -> &'a str {
    trust.tls_name.as_deref().unwrap_or(host).trim_end_matches('.')
}

/// Performs a handshake that accepts any certificate, to find out whether the peer speaks TLS. Never send
/// secrets on the returned stream.
pub(crate) async fn handshake_unverified(
    stream: TcpStream,
    host: &str,
    deadline: Deadline,
) -> (Option<Stream>, TlsResult) {
    match unverified_config(&Arc::default()) {
        Ok(config) => handshake(stream, host, config, deadline).await,
        Err(message) => (None, TlsResult::Unusable(message)),
    }
}

/// Like [`handshake_unverified`], but returns the certificates that the server sent, starting with its own.
async fn unverified_chain(stream: TcpStream, name: &str, deadline: Deadline) -> Vec<PeerCertificate> {
    let seen = Arc::new(SeenTls::default());
    if let Ok(config) = unverified_config(&seen) {
        handshake(stream, name, config, deadline).await;
    }
    seen.get().chain
}

async fn handshake(
    stream: TcpStream,
    name: &str,
    config: ClientConfig,
    deadline: Deadline,
) -> (Option<Stream>, TlsResult) {
    let name = name.to_owned();
    let Ok(name) = ServerName::try_from(name.clone()) else {
        return (None, TlsResult::BadName(sanitize::line(&name).into_owned()));
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
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => TlsResult::CertificateRejected,
        // An echo server returns the ClientHello. A TLS server would never send one.
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. } => TlsResult::NotTls,
        Error::PeerIncompatible(_) => TlsResult::NothingInCommon,
        Error::AlertReceived(alert) => TlsResult::Alert(*alert),
        other => TlsResult::Misbehaved(sanitize::line(&other.to_string()).into_owned()),
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

//! Servers that break connections in different ways.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempPath;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::signals;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How a server handles each connection.
#[derive(Clone)]
pub(super) enum Behaviour {
    Close,
    /// Keeps the connection open but never replies.
    Ignore,
    /// Replies like a web server to an invalid request.
    WebServer,
    /// Terminates TLS, and forwards the data to this address.
    TerminateTls(SocketAddr, Arc<ServerConfig>),
    /// Forwards the data to this address, and delays each reply.
    Delay(SocketAddr, Duration),
}

const MOST_CONNECTIONS: usize = 64;

/// A broken server in its own thread. Dropping the server stops the thread.
#[derive(Debug)]
pub(super) struct BrokenServer {
    pub(super) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl BrokenServer {
    pub(super) fn start(behaviour: Behaviour) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = signals::runtime()?;
        std::thread::Builder::new().name("drill".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, behaviour) => {}
                    // Stop even after an error, because an error means that the server was dropped.
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, _stop: stop })
    }
}

async fn accept(listener: std::net::TcpListener, behaviour: Behaviour) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // No file descriptor is left, so wait until a connection closes.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if connections.len() < MOST_CONNECTIONS {
            let behaviour = behaviour.clone();
            connections.spawn(async move {
                // Errors are expected, because the purpose of a drill is to break connections.
                let _ = handle(stream, behaviour).await;
            });
        }
    }
}

async fn handle(mut stream: TcpStream, behaviour: Behaviour) -> io::Result<()> {
    match behaviour {
        Behaviour::Close => Ok(()),
        Behaviour::Ignore => drain(&mut stream).await,
        Behaviour::WebServer => {
            let _request = stream.read(&mut [0; 4096]).await?;
            stream.write_all(BAD_REQUEST).await?;
            stream.shutdown().await?;
            drain(&mut stream).await
        }
        Behaviour::TerminateTls(to, config) => {
            let mut inside = TlsAcceptor::from(config).accept(stream).await?;
            let mut server = TcpStream::connect(to).await?;
            copy_bidirectional(&mut inside, &mut server).await.map(drop)
        }
        Behaviour::Delay(to, delay) => {
            stream.set_nodelay(true)?;
            let server = TcpStream::connect(to).await?;
            let ((from_client, to_client), (from_server, to_server)) = (split(stream), split(server));
            let requests = forward(from_client, to_server, Duration::ZERO);
            let replies = forward(from_server, to_client, delay);
            tokio::try_join!(requests, replies).map(drop)
        }
    }
}

const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nConnection: close\r\n\r\nBad Request\n";

async fn drain(stream: &mut TcpStream) -> io::Result<()> {
    let mut unread = [0; 4096];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    delay: Duration,
) -> io::Result<()> {
    let mut chunk = [0; 16 * 1024];
    loop {
        match from.read(&mut chunk).await? {
            0 => return to.shutdown().await,
            count => {
                tokio::time::sleep(delay).await;
                to.write_all(&chunk[..count]).await?;
            }
        }
    }
}

/// The kind of certificate that a drill's server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certificate {
    /// Valid for this endpoint.
    Right,
    /// Issued for this endpoint, but expired a month ago.
    Expired,
    /// Valid, but for a different host.
    Misnamed,
}

/// Creates a CA and a server certificate. Returns the file with the CA's certificate and the server's TLS
/// configuration. The file is deleted when the `TempPath` is dropped.
pub(super) fn tls_server(certificate: Certificate) -> io::Result<(TempPath, Arc<ServerConfig>)> {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "sessiontut drill");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let ca_key = KeyPair::generate().map_err(io::Error::other)?;
    let pem = ca.self_signed(&ca_key).map_err(io::Error::other)?.pem();
    let issuer = Issuer::new(ca, ca_key);

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
    let mut file = tempfile::Builder::new()
        .prefix("sessiontut-drill-")
        .suffix(".pem")
        .tempfile()?;
    file.write_all(pem.as_bytes())?;
    Ok((file.into_temp_path(), Arc::new(config)))
}

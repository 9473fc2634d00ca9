//! Runs the scripted server of a [`World`], which listens on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::certificates::Certificates;
use super::parts::{Door, Port, Proxy};
use super::scripted_redis::{Next, Session};
use super::world::World;
use crate::practice::{RequestLimits, RequestReader};

/// A scripted server, which stops when this value is dropped.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// The tasks that accept connections.
    _tasks: JoinSet<()>,
}

impl Peer {
    pub(super) async fn start(world: World, certificates: Arc<Certificates>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            let count = Arc::new(AtomicUsize::new(0));
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                let (certificates, count) = (certificates.clone(), count.clone());
                connections.spawn(async move {
                    let connection = Connection {
                        number: count.fetch_add(1, Ordering::Relaxed),
                        address,
                        world,
                    };
                    // An error means that the client has disconnected.
                    let _ = connection.accept(stream, &certificates).await;
                });
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }
}

struct Connection {
    /// The number of the connection, counted from 0.
    number: usize,
    address: SocketAddr,
    world: World,
}

impl Connection {
    async fn accept(self, mut stream: TcpStream, certificates: &Certificates) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream).try_clone()?;
        let reset = || socket.set_linger(Some(Duration::ZERO));
        match self.world.door {
            Door::ClosesAtOnce => return Ok(()),
            Door::ResetsAtOnce => return reset(),
            Door::OneConnectionOnly if self.number > 0 => return Ok(()),
            Door::NeverReplies => return drain(&mut stream).await,
            Door::HalfCloses => return close(&mut stream).await.map(drop),
            Door::ClosesLate => {
                stream.peek(&mut [0]).await?;
                tokio::time::sleep(LATE).await;
                return close(&mut stream).await.map(drop);
            }
            Door::ExpectsProxyHeader if !has_proxy_header(&mut stream).await? => return Ok(()),
            _ => {}
        }
        let ending = match self.world.port {
            Port::PlainPort => self.talk(&mut stream).await?,
            port => {
                let mut first = [0];
                stream.peek(&mut first).await?;
                match port {
                    Port::TlsSilent => return drain(&mut stream).await,
                    Port::TlsCloses => return Ok(()),
                    Port::TlsIgnoresPlain if first != [HANDSHAKE] => return drain(&mut stream).await,
                    _ if first != [HANDSHAKE] => return reset(),
                    Port::TlsStallsMidway => {
                        stream.write_all(START_OF_SERVER_HELLO).await?;
                        return drain(&mut stream).await;
                    }
                    Port::TlsClosesMidway => {
                        let _hello = stream.read(&mut [0; 16 * 1024]).await?;
                        stream.write_all(START_OF_SERVER_HELLO).await?;
                        return close(&mut stream).await.map(drop);
                    }
                    Port::TlsTooOld => return alert(&mut stream, PROTOCOL_VERSION).await,
                    Port::TlsNeedsServerName => return alert(&mut stream, UNRECOGNIZED_NAME).await,
                    _ => {}
                }
                let mut inside = TlsAcceptor::from(certificates.server(port))
                    .accept(stream)
                    .await?;
                self.talk(&mut inside).await?
            }
        };
        match ending {
            Ending::Reset => reset(),
            Ending::Close => Ok(()),
        }
    }

    async fn talk(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<Ending> {
        let first = match self.world.door {
            Door::MaxClients => "-ERR max number of clients reached\r\n",
            Door::Protected => {
                "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set \
                 for the default user.\r\n"
            }
            Door::Allowlist => {
                "-DENIED client address 203.0.113.9 is not in the allowlist of this database\r\n"
            }
            Door::Ssh => "SSH-2.0-OpenSSH_9.6\r\n",
            Door::Mysql => "J\0\0\0\x0a8.0.36\0\x08\0\0\0mysql_native_password\0",
            Door::SmtpLate | Door::HttpUnasked => {
                tokio::time::sleep(LATE).await;
                if self.world.door == Door::SmtpLate {
                    "220 mail.example ESMTP ready\r\n"
                } else {
                    "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"
                }
            }
            Door::Smtp => "220 mail.example ESMTP ready\r\n",
            Door::SendsProxyHeader => {
                "-ERR unknown command 'PROXY', with args beginning with: 'TCP4' '10.0.3.9' '10.0.3.17' '50312' '6379' \r\n"
            }
            _ if self.world.proxy == Proxy::LateReply => "+OK\r\n",
            _ => "",
        };
        stream.write_all(first.as_bytes()).await?;
        if matches!(
            self.world.door,
            Door::MaxClients | Door::Protected | Door::Allowlist | Door::HttpUnasked
        ) {
            return close(stream).await;
        }
        let mut requests = RequestReader::default();
        let mut session = Session::new(self.world, self.address, self.number);
        loop {
            let mut received = Vec::new();
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(Ending::Close);
            }
            match self.world.door {
                Door::Http => {
                    let refused = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
                    stream.write_all(refused).await?;
                    return close(stream).await;
                }
                Door::Ssh | Door::Smtp | Door::SmtpLate | Door::Mysql => return close(stream).await,
                Door::Memcached => stream.write_all(b"ERROR\r\n").await?,
                Door::EchoService => stream.write_all(&received).await?,
                Door::Binary => stream.write_all(b"\0\x07\xffbinary\n").await?,
                _ => {
                    requests.feed(&received);
                    if let Some(ending) = self.answer(&mut requests, &mut session, stream).await? {
                        return Ok(ending);
                    }
                }
            }
        }
    }

    /// Replies to the requests that have arrived. Returns `Some` if the connection ends after these replies.
    async fn answer(
        &self,
        requests: &mut RequestReader,
        session: &mut Session,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> io::Result<Option<Ending>> {
        let limits = RequestLimits {
            bytes: 64 * 1024,
            is_authenticated: true,
        };
        loop {
            let request = match requests.next(limits) {
                Ok(Some(words)) => words,
                Ok(None) => return Ok(None),
                Err(_) => return Ok(Some(Ending::Close)),
            };
            let request: Vec<_> = request.iter().map(|word| String::from_utf8_lossy(word)).collect();
            match session.reply(&request).await {
                Next::Reply(reply) => stream.write_all(reply.as_bytes()).await?,
                Next::HalfReply => {
                    stream.write_all(b"$5").await?;
                    drain(stream).await?;
                }
                Next::Silence => drain(stream).await?,
                Next::Close => return close(stream).await.map(Some),
                Next::Reset => return Ok(Some(Ending::Reset)),
            }
        }
    }
}

/// Closes the connection, and reads the remaining data. If data remained unread, the kernel would send an
/// RST.
async fn close(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<Ending> {
    stream.shutdown().await?;
    drain(stream).await?;
    Ok(Ending::Close)
}

enum Ending {
    Close,
    Reset,
}

/// A delay after which `ping` no longer waits for a banner, and runs experiments. The timeout has not passed
/// yet.
const LATE: Duration = Duration::from_millis(350);

/// The beginning of a handshake record of 122 bytes. The rest is never sent.
const START_OF_SERVER_HELLO: &[u8] = b"\x16\x03\x03\0\x7a\x02\0\0\x76\x03\x03";

/// The content type of TLS handshake records (RFC 8446, B.1).
const HANDSHAKE: u8 = 0x16;
// The codes of two alerts (RFC 8446, B.2).
const PROTOCOL_VERSION: u8 = 70;
const UNRECOGNIZED_NAME: u8 = 112;

async fn alert(stream: &mut TcpStream, description: u8) -> io::Result<()> {
    // If the ClientHello remained unread, the kernel would send an RST at the end of the connection.
    let _hello = stream.read(&mut [0; 16 * 1024]).await?;
    stream.write_all(&[0x15, 3, 1, 0, 2, 2, description]).await?;
    close(stream).await.map(drop)
}

async fn drain(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    while stream.read(&mut [0; 4096]).await? > 0 {}
    Ok(())
}

/// Reads a PROXY header at the start of the data. Returns whether there was one.
async fn has_proxy_header(stream: &mut TcpStream) -> io::Result<bool> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    if first != *b"P" {
        return Ok(false);
    }
    while stream.read_u8().await? != b'\n' {}
    Ok(true)
}

//! A listener that treats whatever connects in one way, in a thread of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How connections are treated.
#[derive(Clone)]
pub(super) enum Conduct {
    /// Closed at once.
    Close,
    /// Kept, and never answered.
    Ignore,
    /// Answered as a web server does that was asked nonsense.
    WebServer,
    /// Handed on, out of TLS.
    Unwrap(SocketAddr, Arc<ServerConfig>),
    /// Handed on, each answer so late.
    Delay(SocketAddr, Duration),
}

/// Connections at a time; a drill needs a few.
const MOST_CONNECTIONS: usize = 64;

/// The listener; it ends when dropped.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    /// Opens it on a free port of loopback.
    pub(super) fn open(conduct: Conduct) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new().name("drill".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, conduct) => {}
                    // An error means that the lane was dropped, which ends it as well.
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A thread that has ended needs no telling.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: std::net::TcpListener, conduct: Conduct) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: some come back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if open.len() < MOST_CONNECTIONS {
            let conduct = conduct.clone();
            open.spawn(async move {
                // How a drill's connection breaks is part of the drill.
                let _ = treat(stream, conduct).await;
            });
        }
    }
}

async fn treat(mut stream: TcpStream, conduct: Conduct) -> io::Result<()> {
    match conduct {
        Conduct::Close => Ok(()),
        Conduct::Ignore => drain(&mut stream).await,
        Conduct::WebServer => {
            let _request = stream.read(&mut [0; 4096]).await?;
            stream.write_all(BAD_REQUEST).await?;
            stream.shutdown().await?;
            drain(&mut stream).await
        }
        Conduct::Unwrap(to, config) => {
            let mut inside = TlsAcceptor::from(config).accept(stream).await?;
            let mut server = TcpStream::connect(to).await?;
            copy_bidirectional(&mut inside, &mut server).await.map(drop)
        }
        Conduct::Delay(to, span) => {
            stream.set_nodelay(true)?;
            let server = TcpStream::connect(to).await?;
            let ((ours, mine), (theirs, yours)) = (split(stream), split(server));
            tokio::try_join!(pass(ours, yours, Duration::ZERO), pass(theirs, mine, span)).map(drop)
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

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    late: Duration,
) -> io::Result<()> {
    let mut chunk = [0; 16 * 1024];
    loop {
        match from.read(&mut chunk).await? {
            0 => return to.shutdown().await,
            count => {
                tokio::time::sleep(late).await;
                to.write_all(&chunk[..count]).await?;
            }
        }
    }
}

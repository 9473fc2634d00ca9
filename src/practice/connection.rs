//! The task of one connection: reads requests, runs them and writes replies.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{ConnectedClient, ConnectionState, Pause};
use super::commands;
use super::reply::Reply;
use super::request::{RequestLimits, RequestReader};
use super::state::SharedState;

/// The number of bytes to read at a time.
const CHUNK: usize = 16 * 1024;
/// The number of requests to run before other connections get their turn.
const REQUESTS_PER_TURN: usize = 128;
/// Time limit for sending the last replies before closing.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// Serves a connection until it ends, and removes it from the server's state.
pub(super) async fn serve(stream: TcpStream, client: Rc<ConnectedClient>, server: SharedState) {
    let mut task = ConnectionTask {
        stream,
        client: Rc::clone(&client),
        reader: RequestReader::default(),
        sending: Vec::new(),
        request_began: None,
    };
    // The client has disconnected, so the error is not reported.
    let _ = task.run(&server).await;
    server.borrow_mut().remove_client(&client);
    if client.state.get() == ConnectionState::Closing {
        // If the client does not read its last reply in time, the reply is lost.
        let _ = tokio::time::timeout(CLOSING_TIME, task.close()).await;
    }
}

struct ConnectionTask {
    stream: TcpStream,
    client: Rc<ConnectedClient>,
    reader: RequestReader,
    /// Bytes taken from the client's output, but not written to the socket yet.
    sending: Vec<u8>,
    /// When the first byte of an incomplete request arrived.
    request_began: Option<Instant>,
}

impl ConnectionTask {
    async fn run(&mut self, server: &SharedState) -> io::Result<()> {
        let client = Rc::clone(&self.client);
        let patience = client.limits.patience;
        let mut chunk = vec![0; CHUNK];
        loop {
            let has_more = self.run_requests(server);
            if self.sending.is_empty() {
                self.sending = client.take_output();
            }
            self.send_without_waiting()?;
            if client.state.get() != ConnectionState::Open {
                return Ok(());
            }
            if has_more {
                tokio::task::yield_now().await;
                continue;
            }
            if self.reader.is_inside_request() {
                self.request_began.get_or_insert_with(Instant::now);
            } else {
                self.request_began = None;
            }
            let pause = client.pause.get();
            let timeout = match pause {
                Some(Pause::Until(moment)) => Some(moment),
                Some(Pause::Forever) => None,
                None => self.request_began.map(|began| began + patience),
            };
            let (mut reading, writing) = self.stream.split();
            tokio::select! {
                () = client.wake.notified() => {}
                ready = writing.writable(), if !self.sending.is_empty() => ready?,
                count = reading.read(&mut chunk), if pause.is_none() => {
                    match count? {
                        0 => return Ok(()),
                        count => self.reader.feed(&chunk[..count]),
                    }
                }
                () = sleep_until(timeout) => {
                    if pause.is_none() {
                        // The rest of a request did not arrive in time.
                        return Ok(());
                    }
                    client.pause.set(None);
                    client.send(&Reply::Int(0));
                }
            }
        }
    }

    /// Runs the complete requests. Returns whether there may be more.
    fn run_requests(&mut self, server: &SharedState) -> bool {
        let client = &self.client;
        for _ in 0..REQUESTS_PER_TURN {
            if client.state.get() != ConnectionState::Open || client.pause.get().is_some() {
                return false;
            }
            let limits = RequestLimits {
                bytes: client.limits.request,
                is_authenticated: client.is_authenticated.get(),
            };
            match self.reader.next(limits) {
                Ok(Some(words)) if words.is_empty() => {}
                Ok(Some(words)) => commands::run(&mut server.borrow_mut(), client, words),
                Ok(None) => return false,
                Err(error) => {
                    let text = format!("ERR Protocol error: {}", error.0);
                    client.send(&Reply::Error(text.into()));
                    client.end(ConnectionState::Closing);
                    return false;
                }
            }
        }
        true
    }

    fn send_without_waiting(&mut self) -> io::Result<()> {
        while !self.sending.is_empty() {
            match self.stream.try_write(&self.sending) {
                Ok(count) => {
                    self.client.note_sent(count);
                    self.sending.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends the remaining replies and closes the connection.
    async fn close(&mut self) -> io::Result<()> {
        self.sending.extend(self.client.take_output());
        self.stream.write_all(&self.sending).await?;
        self.stream.shutdown().await?;
        // Closing with unread bytes would reset the connection, and the client would lose the reply.
        let mut unread = [0; CHUNK];
        while self.stream.read(&mut unread).await? > 0 {}
        Ok(())
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

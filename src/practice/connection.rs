//! Runs the task of one connection, which reads requests, runs them and writes replies.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{ConnectedClient, ConnectionState, Kept, Pause};
use super::commands;
use super::reply::Reply;
use super::request::{RequestLimits, RequestReader};
use super::state::SharedState;

/// The maximum number of bytes to read from a connection at a time.
const CHUNK: usize = 16 * 1024;
/// The maximum number of requests that one connection may run before other connections get their turn.
const REQUESTS_PER_TURN: usize = 128;
const TURN: Duration = Duration::from_millis(5);
/// How long a connection may take to send its last replies before it is closed.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// Serves a client until its connection ends, and then removes the client from the server's state.
pub(super) async fn serve(stream: TcpStream, client: Rc<ConnectedClient>, server: SharedState) {
    let mut task = ConnectionTask {
        stream,
        client: Rc::clone(&client),
        reader: RequestReader::default(),
        blocked_since: None,
        request_began: None,
    };
    // An error means that the client has disconnected, so it is not reported.
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
    /// When sending became blocked because the client does not read. `None` if sending is not blocked.
    blocked_since: Option<Instant>,
    /// When the first byte of an incomplete request arrived. `None` if there is no such request.
    request_began: Option<Instant>,
}

impl ConnectionTask {
    async fn run(&mut self, server: &SharedState) -> io::Result<()> {
        let client = Rc::clone(&self.client);
        let mut chunk = vec![0; CHUNK];
        loop {
            let has_more = self.run_requests(server);
            client.keeps(Kept::Request, self.reader.memory());
            server.borrow().enforce_memory_limit();
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
            let end_of_pause = match pause {
                Some(Pause::Until(moment)) => Some(moment),
                Some(Pause::Forever) | None => None,
            };
            let login = client
                .stranger_since
                .get()
                .map(|since| since + client.time_to_log_in.get());
            let patience = [self.blocked_since, self.request_began.filter(|_| pause.is_none())]
                .map(|since| since.map(|since| since + client.limits.patience));
            let give_up = patience.into_iter().chain([login]).flatten().min();
            let has_room_for_requests = self.reader.memory() < client.limits.request;
            let (mut reading, writing) = self.stream.split();
            tokio::select! {
                () = client.wake.notified() => {}
                ready = writing.writable(), if client.unsent() > 0 => ready?,
                // Read even while WAIT blocks the client, to notice if the client disconnects.
                count = reading.read(&mut chunk), if pause.is_none() || has_room_for_requests => {
                    match count? {
                        0 => return Ok(()),
                        count => self.reader.feed(&chunk[..count]),
                    }
                }
                () = sleep_until(end_of_pause) => {
                    client.pause.set(None);
                    client.send(&Reply::Int(0));
                }
                () = sleep_until(give_up) => return Ok(()),
            }
        }
    }

    /// Runs complete requests until [`TURN`] or [`REQUESTS_PER_TURN`] is reached. Returns whether more
    /// complete requests might be waiting.
    fn run_requests(&mut self, server: &SharedState) -> bool {
        let client = &self.client;
        let end_of_turn = Instant::now() + TURN;
        for _ in 0..REQUESTS_PER_TURN {
            let now = Instant::now();
            if now > end_of_turn {
                return true;
            }
            if client.state.get() != ConnectionState::Open || client.pause.get().is_some() {
                return false;
            }
            let limits = RequestLimits {
                bytes: client.limits.request,
                is_authenticated: client.is_logged_in(),
            };
            match self.reader.next(limits) {
                Ok(Some(words)) if words.is_empty() => {}
                Ok(Some(words)) => {
                    let mut server = server.borrow_mut();
                    commands::run(&mut server, client, words, now);
                    server.enforce_memory_limit();
                }
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
        loop {
            let written = match &*self.client.output() {
                [] => return Ok(()),
                output => self.stream.try_write(output),
            };
            match written {
                Ok(count) => {
                    self.client.note_sent(count);
                    self.blocked_since = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked_since.get_or_insert_with(Instant::now);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends the remaining replies, and closes the connection.
    async fn close(&mut self) -> io::Result<()> {
        while self.client.unsent() > 0 {
            self.stream.writable().await?;
            self.send_without_waiting()?;
        }
        self.stream.shutdown().await?;
        // If the connection were closed with unread bytes, the kernel would reset it, and the client would
        // lose the reply.
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

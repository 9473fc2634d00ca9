//! One connection from its first byte to its last: reads requests, runs them, writes replies.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Client, Course, Pause};
use super::commands;
use super::hub::{Hub, Shared};
use super::reply::Reply;
use super::request::{Bounds, Parsed, Reader};

/// Bytes taken from the kernel at a time.
const CHUNK: usize = 16 * 1024;
/// Requests run before other connections have their turn.
const TURN: usize = 128;
/// How long the last reply before a close may take to be sent.
const FAREWELL: Duration = Duration::from_secs(1);

/// Makes a new connection known to the hub.
pub(super) fn enter(hub: &mut Hub, peer: SocketAddr, local: SocketAddr) -> Rc<Client> {
    let id = hub.next_id();
    let is_known = hub.password.is_none();
    let client = Rc::new(Client::new(id, peer, local, is_known, Rc::clone(&hub.output)));
    hub.clients.insert(id, Rc::clone(&client));
    client
}

/// Serves a connection to its end, and takes it out of the hub.
pub(super) async fn serve(stream: TcpStream, client: Rc<Client>, hub: Shared) {
    let mut session = Session {
        stream,
        reader: Reader::default(),
        sending: Vec::new(),
        begun: None,
    };
    // How a connection breaks is nobody's concern once it has: its place is free again.
    let _ = session.run(&client, &hub).await;
    hub.borrow_mut().leave(&client);
    if client.course.get() == Course::Closing {
        session.part(&client).await;
    }
}

struct Session {
    stream: TcpStream,
    reader: Reader,
    /// Taken out of the outbox and not yet with the kernel.
    sending: Vec<u8>,
    /// When the request began that has not arrived as a whole.
    begun: Option<Instant>,
}

/// Whether complete requests may be left in the reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Over,
    Done,
}

impl Session {
    async fn run(&mut self, client: &Rc<Client>, hub: &Shared) -> io::Result<()> {
        let patience = hub.borrow().limits.patience;
        let mut chunk = vec![0; CHUNK];
        loop {
            let turn = self.answer(client, hub);
            if self.sending.is_empty() {
                self.sending = client.outbox.take();
            }
            self.send_now(client)?;
            match client.course.get() {
                Course::Open => {}
                Course::Closing | Course::Dead => return Ok(()),
            }
            if turn == Turn::Over {
                tokio::task::yield_now().await;
                continue;
            }
            self.note_begin();
            let is_paused = client.pause.get().is_some();
            let wait = Wait::of(client.pause.get(), self.begun, patience);
            let (mut reading, mut writing) = self.stream.split();
            tokio::select! {
                () = client.outbox.wake.notified() => {}
                count = writing.write(&self.sending), if !self.sending.is_empty() => {
                    let count = count?;
                    client.outbox.sent(count);
                    self.sending.drain(..count);
                }
                count = reading.read(&mut chunk), if !is_paused => {
                    match count? {
                        0 => return Ok(()),
                        count => self.reader.feed(&chunk[..count]),
                    }
                }
                over = wait.over() => match over {
                    Over::Pause => {
                        client.pause.set(None);
                        client.send(&Reply::Int(0));
                    }
                    // Half a request and then nothing: its place is for others.
                    Over::Patience => return Ok(()),
                },
            }
        }
    }

    /// Runs the requests that have arrived as a whole.
    fn answer(&mut self, client: &Rc<Client>, hub: &Shared) -> Turn {
        for _ in 0..TURN {
            if client.course.get() != Course::Open || client.pause.get().is_some() {
                return Turn::Done;
            }
            let mut hub = hub.borrow_mut();
            let bounds = Bounds {
                bytes: hub.limits.request,
                stranger: !client.is_known.get(),
            };
            match self.reader.next(bounds) {
                Ok(Parsed::Request(words)) if words.is_empty() => {}
                Ok(Parsed::Request(words)) => commands::run(&mut hub, client, words),
                Ok(Parsed::Partial) => return Turn::Done,
                Err(violation) => {
                    client.send(&Reply::Error(
                        format!("ERR Protocol error: {}", violation.0).into(),
                    ));
                    client.end(Course::Closing);
                    return Turn::Done;
                }
            }
        }
        Turn::Over
    }

    /// Writes what the kernel takes without waiting.
    fn send_now(&mut self, client: &Client) -> io::Result<()> {
        while !self.sending.is_empty() {
            match self.stream.try_write(&self.sending) {
                Ok(count) => {
                    client.outbox.sent(count);
                    self.sending.drain(..count);
                }
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    fn note_begin(&mut self) {
        if self.reader.is_inside_request() {
            self.begun.get_or_insert_with(Instant::now);
        } else {
            self.begun = None;
        }
    }

    /// Sends what is left before a close, so that the reason for it arrives.
    async fn part(&mut self, client: &Client) {
        let rest = async {
            self.sending.extend(client.outbox.take());
            self.stream.write_all(&self.sending).await?;
            self.stream.shutdown().await?;
            // Closing with bytes unread would reset the connection, and the peer would lose the reply.
            let mut unread = [0; CHUNK];
            while self.stream.read(&mut unread).await? > 0 {}
            io::Result::Ok(())
        };
        // A peer that does not take its last reply in time has had its chance.
        let _ = tokio::time::timeout(FAREWELL, rest).await;
    }
}

/// What a connection waits for beside bytes.
struct Wait {
    until: Option<Instant>,
    then: Over,
}

#[derive(Clone, Copy)]
enum Over {
    Pause,
    Patience,
}

impl Wait {
    fn of(pause: Option<Pause>, begun: Option<Instant>, patience: Duration) -> Self {
        match pause {
            Some(Pause::Until(moment)) => Self {
                until: Some(moment),
                then: Over::Pause,
            },
            Some(Pause::Endless) => Self {
                until: None,
                then: Over::Pause,
            },
            None => Self {
                until: begun.map(|begun| begun + patience),
                then: Over::Patience,
            },
        }
    }

    async fn over(&self) -> Over {
        match self.until {
            Some(moment) => tokio::time::sleep_until(moment.into()).await,
            None => std::future::pending().await,
        }
        self.then
    }
}

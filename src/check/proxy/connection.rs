//! Handles one connection from the app: reads commands, sends them to Redis one after the other, and returns
//! the replies in order.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Value, parse_redis_value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use super::disturbance::Mode;
use super::peer::REFUSAL;
use super::{Handle, Shared};
use crate::check::redis_command::{Delayed, Effect, Key, SeenCommand};
use crate::practice::{RequestLimits, RequestReader};
use crate::redis_client::{Limits, Stream, measure};

/// How long to wait after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);
const REQUEST: RequestLimits = RequestLimits {
    bytes: 16 * 1024 * 1024,
    is_authenticated: true,
};
const REPLY: Limits = Limits {
    bytes: 64 * 1024 * 1024,
    depth: 16,
};
/// The maximum number of commands per connection that wait to be sent to Redis.
const MOST_COMMANDS: usize = 256;
/// The maximum memory that the unread replies of one connection use, in bytes.
const MOST_UNREAD: usize = 8 * 1024 * 1024;
/// The memory that a reply uses in addition to its content, in bytes.
const REPLY_OVERHEAD: usize = 128;
/// Commands after which Redis no longer sends exactly one reply per command.
const STREAMING: [&str; 6] = [
    "MONITOR",
    "PSUBSCRIBE",
    "PSYNC",
    "SSUBSCRIBE",
    "SUBSCRIBE",
    "SYNC",
];

/// Accepts connections until the proxy is dropped.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((near, peer)) = listener.accept().await else {
            // The process has no file descriptors left.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let number = {
            let mut state = shared.state();
            if state.mode == Mode::Down {
                continue;
            }
            state.opened += 1;
            state.opened
        };
        tokio::spawn(serve(Arc::clone(&shared), near, peer, number));
    }
}

async fn serve(shared: Arc<Shared>, mut near: TcpStream, peer: SocketAddr, number: u64) {
    let is_admitted = match near.local_addr() {
        Ok(own) => shared.admits(peer, own).await,
        Err(_) => false,
    };
    if !is_admitted {
        let _ = near.write_all(REFUSAL).await;
        return;
    }
    let cut = Arc::new(Notify::new());
    let handle = Handle {
        pending: 0,
        cut: Arc::clone(&cut),
    };
    shared.state().connections.insert(number, handle);
    tokio::select! {
        () = cut.notified() => {}
        () = forward(&shared, near, number) => {}
    }
    shared.state().connections.remove(&number);
}

/// Forwards commands and replies until either side closes the connection.
async fn forward(shared: &Shared, near: TcpStream, number: u64) {
    // Without this option, a small reply would wait until the app has acknowledged the previous reply.
    let _ = near.set_nodelay(true);
    let (commands, execution) = mpsc::channel(MOST_COMMANDS);
    let (replies, answers) = Replies::new();
    let (from_app, to_app) = split(near);
    tokio::select! {
        () = read(shared, from_app, number, commands) => {}
        () = execute(shared, execution, replies) => {}
        () = answer(shared, to_app, number, answers) => {}
    }
}

/// Reads commands from the app, and records each command with its arrival time.
async fn read(
    shared: &Shared,
    mut from_app: impl AsyncRead + Unpin,
    number: u64,
    commands: mpsc::Sender<Incoming>,
) {
    let mut reader = RequestReader::default();
    let mut chunk = vec![0; 64 * 1024];
    let mut round_trip = 0;
    let mut is_streaming = false;
    while let Ok(count @ 1..) = from_app.read(&mut chunk).await {
        if is_streaming {
            let bytes = chunk[..count].to_vec();
            if commands.send(Incoming::Bytes(bytes)).await.is_err() {
                return;
            }
            continue;
        }
        reader.feed(&chunk[..count]);
        let is_new = shared
            .state()
            .connections
            .get(&number)
            .is_some_and(|handle| handle.pending == 0);
        round_trip += u64::from(is_new);
        loop {
            match reader.next(REQUEST) {
                Ok(Some(words)) if words.is_empty() => {}
                Ok(Some(words)) => {
                    let command = SeenCommand::new(words, number, round_trip);
                    is_streaming = STREAMING.contains(&command.name().as_str());
                    let index = {
                        let mut state = shared.state();
                        if let Some(handle) = state.connections.get_mut(&number) {
                            handle.pending += 1;
                        }
                        state.record(command)
                    };
                    let Some(index) = index else { return };
                    shared.notify();
                    if commands.send(Incoming::Command(index)).await.is_err() {
                        return;
                    }
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

enum Incoming {
    /// The index of a command in the proxy's record.
    Command(usize),
    /// Bytes from the app after a command such as SUBSCRIBE.
    Bytes(Vec<u8>),
}

enum Outgoing {
    /// The reply to a recorded command.
    Reply {
        index: usize,
        due: Instant,
        bytes: Vec<u8>,
    },
    /// A message that is not a reply to a command.
    Push(Vec<u8>),
}

/// A queue of replies that the app has not read yet, with limited memory.
#[derive(Clone)]
struct Replies {
    sender: mpsc::UnboundedSender<(Outgoing, OwnedSemaphorePermit)>,
    memory: Arc<Semaphore>,
}

type Answers = mpsc::UnboundedReceiver<(Outgoing, OwnedSemaphorePermit)>;

impl Replies {
    fn new() -> (Self, Answers) {
        let (sender, answers) = mpsc::unbounded_channel();
        let memory = Arc::new(Semaphore::new(MOST_UNREAD));
        (Self { sender, memory }, answers)
    }

    /// Adds a reply, after waiting for free memory if necessary. Returns `None` if the connection is closed.
    async fn send(&self, reply: Outgoing) -> Option<()> {
        let (Outgoing::Reply { bytes, .. } | Outgoing::Push(bytes)) = &reply;
        let memory = (bytes.len() + REPLY_OVERHEAD).min(MOST_UNREAD);
        let memory = u32::try_from(memory).ok()?;
        let memory = Arc::clone(&self.memory).acquire_many_owned(memory).await.ok()?;
        self.sender.send((reply, memory)).ok()
    }
}

/// Sends commands to Redis, and reads the TTLs of the changed keys after each command.
async fn execute(shared: &Shared, mut commands: mpsc::Receiver<Incoming>, replies: Replies) {
    let mut redis = None;
    let mut transaction: Option<Vec<Key>> = None;
    while let Some(incoming) = commands.recv().await {
        if shared.state().mode != Mode::Forward {
            // This connection will be closed when the proxy forwards commands again.
            return pending().await;
        }
        let (upstream, received) = match &mut redis {
            Some(open) => open,
            None => match shared.open_upstream().await {
                Ok(stream) => redis.insert((split(stream), Vec::new())),
                Err(why) => {
                    shared.state().unreachable = Some(why);
                    return;
                }
            },
        };
        let index = match incoming {
            Incoming::Command(index) => index,
            Incoming::Bytes(bytes) => match upstream.1.write_all(&bytes).await {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let command = shared.state().log[index].clone();
        shared.note_keys(&command.keys).await;
        shared.wait_while_held(index, Delayed::Command).await;
        if send(&mut upstream.1, &command.words).await.is_err() {
            return;
        }
        if STREAMING.contains(&command.name().as_str()) {
            return stream(upstream, received, &mut commands, &replies).await;
        }
        let Some(bytes) = reply(&mut upstream.0, received, &replies).await else {
            return;
        };
        let value = parse_redis_value(&bytes).unwrap_or(Value::Nil);
        let touched = touched(&command, &value, &mut transaction);
        let without_ttl = shared.without_ttl(&touched).await;
        let (is_cut, due) = {
            let mut state = shared.state();
            state.record_reply(index, value, bytes.len());
            state.log[index].without_ttl = without_ttl;
            (state.cuts_after(index), Instant::now() + state.delay)
        };
        shared.notify();
        if is_cut
            || replies
                .send(Outgoing::Reply { index, due, bytes })
                .await
                .is_none()
        {
            return;
        }
    }
}

/// Returns the keys that this command may have changed. Returns no keys for a command inside a transaction,
/// and all keys of the transaction for EXEC.
fn touched(command: &SeenCommand, reply: &Value, transaction: &mut Option<Vec<Key>>) -> Vec<Key> {
    let is_refused = matches!(reply, Value::ServerError(_));
    match command.name().as_str() {
        "MULTI" if !is_refused => *transaction = Some(Vec::new()),
        "EXEC" => return transaction.take().unwrap_or_default(),
        "DISCARD" => *transaction = None,
        _ if command.effect == Effect::Write => match transaction {
            Some(keys) => keys.extend(command.keys.iter().cloned()),
            None => return command.keys.clone(),
        },
        _ => {}
    }
    Vec::new()
}

async fn send(upstream: &mut (impl AsyncWrite + Unpin), words: &[Vec<u8>]) -> std::io::Result<()> {
    upstream
        .write_all(&redis::Cmd::new().arg(words).get_packed_command())
        .await?;
    upstream.flush().await
}

/// Reads one reply, and passes on push messages that arrive before it. Returns `None` if a connection is
/// closed.
async fn reply(
    redis: &mut (impl AsyncRead + Unpin),
    received: &mut Vec<u8>,
    replies: &Replies,
) -> Option<Vec<u8>> {
    loop {
        while let Some(length) = measure(received, REPLY).ok()? {
            let bytes: Vec<u8> = received.drain(..length).collect();
            if bytes.first() != Some(&b'>') {
                return Some(bytes);
            }
            replies.send(Outgoing::Push(bytes)).await?;
        }
        if redis.read_buf(received).await.ok()? == 0 {
            return None;
        }
    }
}

/// Forwards bytes in both directions without parsing them.
async fn stream(
    upstream: &mut (ReadHalf<Stream>, WriteHalf<Stream>),
    received: &mut Vec<u8>,
    commands: &mut mpsc::Receiver<Incoming>,
    replies: &Replies,
) {
    loop {
        if !received.is_empty() {
            let bytes = Outgoing::Push(std::mem::take(received));
            if replies.send(bytes).await.is_none() {
                return;
            }
        }
        tokio::select! {
            incoming = commands.recv() => match incoming {
                Some(Incoming::Bytes(bytes)) if upstream.1.write_all(&bytes).await.is_ok() => {}
                _ => return,
            },
            read = upstream.0.read_buf(received) => if !matches!(read, Ok(1..)) {
                return;
            },
        }
    }
}

/// Sends replies to the app, in order.
async fn answer(shared: &Shared, mut to_app: impl AsyncWrite + Unpin, number: u64, mut answers: Answers) {
    // `_memory` is released as soon as the reply has been written.
    while let Some((outgoing, _memory)) = answers.recv().await {
        let bytes = match outgoing {
            Outgoing::Push(bytes) => bytes,
            Outgoing::Reply { index, due, bytes } => {
                tokio::time::sleep_until(due.into()).await;
                shared.wait_while_held(index, Delayed::Reply).await;
                // Count the command as answered before writing the reply, because the app may send the next
                // command immediately.
                if let Some(handle) = shared.state().connections.get_mut(&number) {
                    handle.pending = handle.pending.saturating_sub(1);
                }
                bytes
            }
        };
        if to_app.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

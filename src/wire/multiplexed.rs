//! One connection that many requests share: what they ask goes out in one write, and each gets its own replies.
//!
//! It tells what a caller has to know to stay correct: whether the bytes of a request can have reached the server.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_util::task::AtomicWaker;
use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, Value, parse_redis_value};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::measure::{Gauge, Limits};
use super::trip::{Batch, Trip};

/// Bytes that may wait to be sent: a server that reads nothing must not fill our memory.
const MOST_WAITING: usize = 1024 * 1024;
/// Bytes taken from the kernel at a time.
const READ_CHUNK: usize = 16 * 1024;

/// A shared connection that speaks RESP2; its clones are the same connection.
#[derive(Clone, Debug)]
pub struct Multiplexed(Arc<Handle>);

/// What all clones hold together: with the last of them the connection ends.
#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.queue().is_abandoned = true;
        self.0.driver.wake();
    }
}

/// Why a request has no reply.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Broken {
    /// The connection was no use before any byte of the request was sent: nothing was executed.
    #[error("the connection was closed before anything was sent")]
    NotSent,
    /// It broke afterwards: the server may have executed the request.
    #[error("the connection broke before the answer came: {0}")]
    Lost(Arc<str>),
}

impl From<Broken> for RedisError {
    fn from(broken: Broken) -> Self {
        let kind = match broken {
            Broken::NotSent => io::ErrorKind::NotConnected,
            Broken::Lost(_) => io::ErrorKind::ConnectionReset,
        };
        io::Error::new(kind, broken).into()
    }
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    driver: AtomicWaker,
}

#[derive(Debug, Default)]
struct Queue {
    outgoing: Vec<u8>,
    /// Bytes ever put into `outgoing`.
    queued: u64,
    waiting: VecDeque<Waiting>,
    is_closed: bool,
    /// Nobody is left who could ask, or wait for an answer.
    is_abandoned: bool,
}

#[derive(Debug)]
struct Waiting {
    replies: u64,
    /// Where its first byte stands among all bytes ever queued.
    starts: u64,
    answer: oneshot::Sender<Result<Vec<u8>, Broken>>,
}

impl Multiplexed {
    /// The connection over `stream`, and the driver that somebody has to poll for as long as it is used.
    pub fn new<S>(stream: S) -> (Self, impl Future<Output = ()> + Send)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            driver: AtomicWaker::new(),
        });
        let mut driver = Driver::new(stream, shared.clone());
        let drive = async move {
            let end = poll_fn(|context| driver.poll(context)).await;
            driver.close(&end);
        };
        (Self(Arc::new(Handle(shared))), drive)
    }

    /// Whether nothing that is asked from now on can reach the server.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.0.queue().is_closed
    }

    /// Sends the commands of `batch` in one write and waits for all their replies.
    ///
    /// # Errors
    /// [`Broken`] says whether they can have been executed. An error *reply* is part of the trip.
    pub async fn travel(&self, batch: Batch) -> Result<Trip, Broken> {
        let sent = batch.finish();
        let begun = Instant::now();
        let received = self.exchange(&sent.bytes, sent.replies as u64).await?;
        let took = begun.elapsed();
        Ok(Trip::new(sent, received, took))
    }

    /// Sends bytes that get so many replies.
    async fn exchange(&self, bytes: &[u8], replies: u64) -> Result<Vec<u8>, Broken> {
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = self.0.0.queue();
            if queue.is_closed || queue.outgoing.len() > MOST_WAITING {
                return Err(Broken::NotSent);
            }
            let starts = queue.queued;
            queue.outgoing.extend_from_slice(bytes);
            queue.queued += bytes.len() as u64;
            queue.waiting.push_back(Waiting {
                replies,
                starts,
                answer,
            });
        }
        self.0.0.driver.wake();
        match answered.await {
            Ok(answer) => answer,
            // The driver was dropped with its runtime.
            Err(_) => Err(Broken::Lost("the connection's driver has ended".into())),
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves bytes between the stream and those who wait.
struct Driver<S> {
    stream: S,
    shared: Arc<Shared>,
    writing: Vec<u8>,
    /// How much of `writing` the kernel has taken.
    written: usize,
    /// Bytes that ever left for the server.
    gone: u64,
    received: Vec<u8>,
    chunk: Box<[u8; READ_CHUNK]>,
    front: Option<Waiting>,
    gauge: Gauge,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    fn new(stream: S, shared: Arc<Shared>) -> Self {
        Self {
            stream,
            shared,
            writing: Vec::new(),
            written: 0,
            gone: 0,
            received: Vec::new(),
            chunk: Box::new([0; READ_CHUNK]),
            front: None,
            gauge: Gauge::new(Limits::EXCHANGE),
        }
    }

    /// Ready with the reason when the connection is over.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<String> {
        self.shared.driver.register(context.waker());
        if self.shared.queue().is_abandoned {
            return Poll::Ready("nobody uses the connection any more".to_owned());
        }
        // Replies first: reading goes on while the server does not, or both ends could wait for each other.
        if let Poll::Ready(end) = self.poll_read(context) {
            return Poll::Ready(end);
        }
        match self.poll_write(context) {
            Poll::Ready(Err(error)) => Poll::Ready(error.to_string()),
            _ => Poll::Pending,
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<String> {
        loop {
            let mut chunk = ReadBuf::new(&mut self.chunk[..]);
            if let Err(error) = ready!(Pin::new(&mut self.stream).poll_read(context, &mut chunk)) {
                return Poll::Ready(error.to_string());
            }
            if chunk.filled().is_empty() {
                return Poll::Ready("the server closed the connection".to_owned());
            }
            self.received.extend_from_slice(chunk.filled());
            if let Err(end) = self.deliver() {
                return Poll::Ready(end);
            }
        }
    }

    /// Hands complete replies to those who wait for them.
    fn deliver(&mut self) -> Result<(), String> {
        let mut start = 0;
        loop {
            let Some(front) = self.next_in_line() else {
                if start < self.received.len() {
                    return Err("the server sent something that nobody asked for".to_owned());
                }
                break;
            };
            let rest = &self.received[start..];
            match self.gauge.measure(rest) {
                Ok(Some(length)) => {
                    // Whoever asked may have stopped waiting.
                    let _ = front.answer.send(Ok(rest[..length].to_vec()));
                    start += length;
                }
                Ok(None) => {
                    self.front = Some(front);
                    break;
                }
                Err(malformed) => {
                    self.front = Some(front);
                    return Err(malformed.to_string());
                }
            }
        }
        self.received.drain(..start);
        Ok(())
    }

    fn next_in_line(&mut self) -> Option<Waiting> {
        if let Some(front) = self.front.take() {
            return Some(front);
        }
        let next = self.shared.queue().waiting.pop_front()?;
        self.gauge.begin(next.replies);
        Some(next)
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.written == self.writing.len() {
                self.writing.clear();
                self.written = 0;
                std::mem::swap(&mut self.writing, &mut self.shared.queue().outgoing);
                if self.writing.is_empty() {
                    return Pin::new(&mut self.stream).poll_flush(context);
                }
            }
            let rest = &self.writing[self.written..];
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.gone += count as u64;
        }
    }

    /// Tells everyone who waits that no reply will come, and whether the server can have seen the request.
    fn close(&mut self, reason: &str) {
        let waiting = {
            let mut queue = self.shared.queue();
            queue.is_closed = true;
            std::mem::take(&mut queue.waiting)
        };
        let reason: Arc<str> = reason.into();
        for waiting in self.front.take().into_iter().chain(waiting) {
            let broken = if waiting.starts < self.gone {
                Broken::Lost(reason.clone())
            } else {
                Broken::NotSent
            };
            let _ = waiting.answer.send(Err(broken));
        }
    }
}

impl<S> Drop for Driver<S> {
    /// A driver that is dropped with its runtime leaves a connection on which nothing can be asked.
    fn drop(&mut self) {
        let mut queue = self.shared.queue();
        queue.is_closed = true;
        // Dropping the other ends tells those who wait.
        queue.waiting.clear();
    }
}

impl ConnectionLike for Multiplexed {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let bytes = self.exchange(&command.get_packed_command(), 1).await?;
            parse_redis_value(&bytes)?.extract_error()
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let bytes = self
                .exchange(&pipeline.get_packed_pipeline(), (offset + count) as u64)
                .await?;
            let mut values = Vec::with_capacity(offset + count);
            let mut gauge = Gauge::new(Limits::EXCHANGE);
            let mut rest = bytes.as_slice();
            for _ in 0..offset + count {
                gauge.begin(1);
                let length = gauge.measure(rest).ok().flatten();
                let length = length.ok_or((ErrorKind::Parse, "a reply is cut short"))?;
                values.push(parse_redis_value(&rest[..length])?);
                rest = &rest[length..];
            }
            let wanted = values.split_off(offset);
            // A command that was refused inside MULTI says why; EXEC says only that one was.
            if let Some(Value::ServerError(refusal)) = values
                .into_iter()
                .find(|value| matches!(value, Value::ServerError(_)))
            {
                return Err(refusal.into());
            }
            Ok(wanted)
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    fn connected(room: usize) -> (Multiplexed, DuplexStream) {
        let (near, far) = duplex(room);
        let (connection, driver) = Multiplexed::new(near);
        tokio::spawn(driver);
        (connection, far)
    }

    fn ping() -> Batch {
        Batch::pipeline().with(&[b"PING"])
    }

    const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

    #[tokio::test]
    async fn each_request_gets_its_own_replies_in_order() {
        let (connection, mut far) = connected(64);
        let server = tokio::spawn(async move {
            let mut requests = vec![0; 3 * PING.len()];
            far.read_exact(&mut requests).await.unwrap();
            // Split where it hurts.
            for part in [&b"+on"[..], b"e\r\n$3\r\ntw", b"o\r\n*2\r\n:3\r\n", b":4\r\n"] {
                far.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            far
        });
        let (one, two, three) = tokio::join!(
            connection.travel(ping()),
            connection.travel(ping()),
            connection.travel(ping())
        );
        assert_eq!(one.unwrap().received, b"+one\r\n");
        assert_eq!(two.unwrap().received, b"$3\r\ntwo\r\n");
        assert_eq!(three.unwrap().received, b"*2\r\n:3\r\n:4\r\n");
        drop(server.await.unwrap());
    }

    #[tokio::test]
    async fn a_request_that_left_is_lost_and_one_that_did_not_is_not_sent() {
        // The pipe takes the first request and not the second.
        let (connection, mut far) = connected(PING.len());
        let (first, second, ()) = tokio::join!(connection.travel(ping()), connection.travel(ping()), async {
            tokio::task::yield_now().await;
            // A byte has arrived: the first is on its way, and the pipe is too full for the second.
            let mut byte = [0; 1];
            far.read_exact(&mut byte).await.unwrap();
            drop(far);
        });
        assert!(matches!(first, Err(Broken::Lost(_))), "{first:?}");
        assert!(matches!(second, Err(Broken::NotSent)), "{second:?}");
        assert!(connection.is_closed());
        assert!(matches!(connection.travel(ping()).await, Err(Broken::NotSent)));
    }

    #[tokio::test]
    async fn a_request_nobody_waits_for_any_more_disturbs_no_other() {
        let (connection, mut far) = connected(1024);
        let impatient = tokio::spawn({
            let connection = connection.clone();
            async move { connection.travel(ping()).await }
        });
        let mut request = vec![0; PING.len()];
        far.read_exact(&mut request).await.unwrap();
        impatient.abort();
        far.write_all(b"+first\r\n").await.unwrap();
        let (second, _) = tokio::join!(connection.travel(ping()), async {
            far.read_exact(&mut request).await.unwrap();
            far.write_all(b"+second\r\n").await.unwrap();
        });
        assert_eq!(second.unwrap().received, b"+second\r\n");
    }

    #[tokio::test]
    async fn a_connection_that_nobody_uses_any_more_is_closed() {
        let (connection, mut far) = connected(1024);
        let other = connection.clone();
        drop(connection);
        assert!(!other.is_closed());
        drop(other);
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_nobody_asked_for_ends_the_connection() {
        let (connection, mut far) = connected(1024);
        far.write_all(b"-ERR max number of clients reached\r\n")
            .await
            .unwrap();
        while !connection.is_closed() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_server_that_reads_nothing_does_not_fill_our_memory() {
        let (near, _far) = duplex(16);
        let (connection, _driver_that_never_runs) = Multiplexed::new(near);
        let big = vec![b'x'; MOST_WAITING];
        let batch = || Batch::pipeline().with(&[b"ECHO", &big]);
        tokio::select! {
            biased;
            _ = connection.travel(batch()) => panic!("nobody answers"),
            refused = connection.travel(batch()) => assert!(matches!(refused, Err(Broken::NotSent))),
        }
    }
}

//! What moves the bytes of a shared connection: from the queue to the server, and its replies to those who wait.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::measure::{Gauge, Limits};
use super::queue::{Broken, Shared, Waiting};

/// Bytes taken from the kernel at a time.
const READ_CHUNK: usize = 16 * 1024;

/// Moves bytes between the stream and those who wait.
pub(super) struct Driver<S> {
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
    pub(super) fn new(stream: S, shared: Arc<Shared>) -> Self {
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

    /// Moves bytes until the connection is over, and tells those who then still wait.
    pub(super) async fn drive(mut self) {
        let end = poll_fn(|context| self.poll(context)).await;
        self.close(&end);
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

//! Limits the memory of each reply on a connection that several requests share.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::framing::{Limits, Malformed, Measure, Rest};

/// The maximum number of bytes to read from a stream at a time.
const READ_CHUNK: usize = 16 * 1024;

/// The code of the error reply that replaces an oversized reply.
pub(crate) const REPLY_TOO_LARGE: &str = "REPLYTOOLARGE";

/// The reading half of a stream, which passes on only complete replies within the limits.
///
/// Replaces an oversized reply with an error reply, and discards its bytes as they arrive, so that other
/// requests can still use the connection.
#[derive(Debug)]
pub(super) struct LimitedReplies<S> {
    stream: S,
    limits: Limits,
    /// Received bytes that have not been passed on to the reader.
    held: Vec<u8>,
    /// The number of bytes at the start of `held` that form complete replies.
    complete: usize,
    /// The state of the incomplete reply that follows the complete replies.
    reply: ReplyInProgress,
}

#[derive(Debug)]
enum ReplyInProgress {
    Measured(Measure),
    Discarded(Rest),
}

impl<S> LimitedReplies<S> {
    pub(super) fn new(stream: S, limits: Limits) -> Self {
        Self {
            stream,
            limits,
            held: Vec::new(),
            complete: 0,
            reply: ReplyInProgress::Measured(Measure::new(limits)),
        }
    }

    /// Finds the complete replies among the received bytes, and discards replies above the limits.
    fn advance(&mut self) -> Result<(), Malformed> {
        while self.complete < self.held.len() {
            let received = &self.held[self.complete..];
            match &mut self.reply {
                ReplyInProgress::Measured(measure) => match measure.length(received) {
                    Ok(None) => break,
                    Ok(Some(length)) => {
                        self.complete += length;
                        measure.restart();
                    }
                    Err(Malformed::TooLong | Malformed::TooDeep) => {
                        let (measured, rest) = measure.rest();
                        self.held.drain(self.complete..self.complete + measured);
                        self.reply = ReplyInProgress::Discarded(rest);
                    }
                    Err(not_resp) => return Err(not_resp),
                },
                ReplyInProgress::Discarded(rest) => {
                    let (skipped, is_over) = rest.skip(received)?;
                    self.held.drain(self.complete..self.complete + skipped);
                    if !is_over {
                        break;
                    }
                    let error =
                        format!("-{REPLY_TOO_LARGE} the reply is larger than this client accepts\r\n");
                    self.held.splice(self.complete..self.complete, error.bytes());
                    self.complete += error.len();
                    self.reply = ReplyInProgress::Measured(Measure::new(self.limits));
                }
            }
        }
        Ok(())
    }

    /// Passes on as many bytes of the complete replies as fit into `room`.
    fn pass_on(&mut self, room: &mut ReadBuf<'_>) {
        let count = self.complete.min(room.remaining());
        room.put_slice(&self.held[..count]);
        self.held.drain(..count);
        self.complete -= count;
        if self.held.is_empty() {
            self.held.shrink_to(READ_CHUNK);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LimitedReplies<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.complete == 0 {
            let mut chunk = [MaybeUninit::uninit(); READ_CHUNK];
            let mut chunk = ReadBuf::uninit(&mut chunk);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.held.extend_from_slice(chunk.filled());
            this.advance()
                .map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed))?;
        }
        this.pass_on(room);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const LIMITS: Limits = Limits { bytes: 64, depth: 2 };

    /// Returns the bytes that are passed on if `sent` arrives in pieces of `piece` bytes.
    async fn passed(sent: &[u8], piece: usize) -> io::Result<String> {
        let (near, mut far) = duplex(piece);
        let sent = sent.to_vec();
        let server = tokio::spawn(async move { far.write_all(&sent).await });
        let mut limited = LimitedReplies::new(near, LIMITS);
        let mut text = String::new();
        limited.read_to_string(&mut text).await?;
        assert!(limited.held.capacity() <= READ_CHUNK);
        server.await.unwrap().unwrap();
        Ok(text)
    }

    #[tokio::test]
    async fn a_reply_over_the_limit_becomes_an_error_and_the_next_ones_pass() {
        let long_text = [&b"$100000\r\n"[..], &[b'x'; 100_000], b"\r\n"].concat();
        let many_fields = [&b"*40\r\n"[..], &b"$1\r\na\r\n".repeat(40)].concat();
        let announced = [&b"*3\r\n:1\r\n*2\r\n$1\r\na\r\n"[..], &long_text, b":3\r\n"].concat();
        let deep = [&b"*1\r\n".repeat(50)[..], b"*2\r\n:1\r\n$-1\r\n"].concat();
        let many_empty = [&b"*5000\r\n"[..], &b"*0\r\n".repeat(5000)].concat();
        for large in [&long_text, &many_fields, &announced, &deep, &many_empty] {
            for piece in [1, 7, 64 * 1024] {
                let sent = [&b"+one\r\n"[..], large, b"$3\r\ntwo\r\n", large, b":3\r\n"].concat();
                let text = passed(&sent, piece).await.unwrap();
                let lines: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
                let error = "-REPLYTOOLARGE";
                assert_eq!(lines, ["+one", error, "$3", "two", error, ":3"], "{piece}");
            }
        }
    }

    #[tokio::test]
    async fn other_protocols_and_endless_lines_end_the_connection() {
        for sent in [&b"+OK\r\nHTTP/1.1 400\r\n"[..], &[b'+'; 200_000]] {
            let outcome = passed(sent, 4096).await;
            assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}

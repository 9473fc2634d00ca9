//! Provides the connection that the checks of `ping` use. It sends commands, and reads replies within limits.
//!
//! If the received bytes are not a valid reply, the caller can still read them as evidence.

use std::io;

use redis::{Cmd, Value, cmd, parse_redis_value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::framing::{Limits, Malformed, measure};
use super::stream::Stream;
use crate::deadline::{Deadline, Elapsed};
use crate::secret::Secret;

/// Returns the AUTH command. If `user` is `None`, the password is the only argument.
pub(crate) fn auth_command(user: Option<&str>, password: &Secret) -> Cmd {
    let mut command = cmd("AUTH");
    command.arg(user).arg(password.reveal());
    command
}

/// A RESP connection over a connected stream.
#[derive(Debug)]
pub struct ProbeConnection<S = Stream> {
    stream: S,
    received: Vec<u8>,
}

/// The reason why no reply was read. [`ProbeConnection::received`] still returns the received bytes.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The reply did not arrive before the deadline.
    #[error("no complete reply before the timeout")]
    TimedOut,
    /// The peer closed the connection before the reply was complete.
    #[error("the server closed the connection")]
    Closed,
    /// The received bytes are not RESP, or exceed the limits.
    #[error("the response is not a Redis reply: {0}")]
    Malformed(#[from] Malformed),
    /// Reading or writing failed.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

impl From<Elapsed> for ReadError {
    fn from(_: Elapsed) -> Self {
        Self::TimedOut
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> ProbeConnection<S> {
    /// Creates a connection over `stream`, which must be unused.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Sends `commands` in one write, and returns their replies in order. An error reply is a
    /// [`Value::ServerError`].
    pub async fn ask(&mut self, commands: &[Cmd], deadline: Deadline) -> Result<Vec<Value>, ReadError> {
        self.send(commands, deadline).await?;
        let mut replies = Vec::with_capacity(commands.len());
        for _ in commands {
            replies.push(self.reply(deadline).await?);
        }
        Ok(replies)
    }

    pub async fn send(&mut self, commands: &[Cmd], deadline: Deadline) -> Result<(), ReadError> {
        let mut bytes = Vec::new();
        for command in commands {
            bytes.extend_from_slice(&command.get_packed_command());
        }
        deadline.bound(self.stream.write_all(&bytes)).await??;
        deadline.bound(self.stream.flush()).await??;
        Ok(())
    }

    /// Reads one reply.
    pub async fn reply(&mut self, deadline: Deadline) -> Result<Value, ReadError> {
        loop {
            if let Some(length) = measure(&self.received, Limits::REPLY)? {
                let reply = &self.received[..length];
                let value = parse_redis_value(reply).map_err(|_| Malformed::NotResp(0))?;
                self.received.drain(..length);
                return Ok(value);
            }
            self.received.reserve(READ_CHUNK);
            if deadline.bound(self.stream.read_buf(&mut self.received)).await?? == 0 {
                return Err(ReadError::Closed);
            }
        }
    }

    /// Returns the bytes that arrived after the last complete reply. After an error, these bytes can be shown
    /// as evidence.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// Returns the stream. Received bytes that have not been read as a reply are lost.
    pub fn into_stream(self) -> S {
        self.stream
    }

    pub fn stream(&self) -> &S {
        &self.stream
    }
}

/// The minimum free space in the receive buffer before each read, in bytes.
const READ_CHUNK: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_reply_split_at_every_byte_is_read_whole() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut connection = ProbeConnection::new(near);
        let writer = tokio::spawn(async move {
            for byte in b"*2\r\n$3\r\nfoo\r\n:7\r\n+OK\r\n" {
                far.write_all(&[*byte]).await.unwrap();
            }
            far
        });
        let deadline = Deadline::after(Duration::from_secs(5));
        let first = connection.reply(deadline).await.unwrap();
        assert_eq!(
            first,
            Value::Array(vec![Value::BulkString(b"foo".to_vec()), Value::Int(7)])
        );
        assert_eq!(connection.reply(deadline).await.unwrap(), Value::Okay);
        drop(writer.await.unwrap());
        assert!(matches!(connection.reply(deadline).await, Err(ReadError::Closed)));
    }

    #[tokio::test]
    async fn half_a_reply_is_kept_as_evidence() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut connection = ProbeConnection::new(near);
        far.write_all(b"$5\r\nhe").await.unwrap();
        let deadline = Deadline::after(Duration::from_millis(20));
        assert!(matches!(
            connection.reply(deadline).await,
            Err(ReadError::TimedOut)
        ));
        assert_eq!(connection.received(), b"$5\r\nhe");
    }
}

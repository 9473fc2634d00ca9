//! One connection that many requests share: what they ask goes out in one write, and each gets its own replies.
//!
//! It tells what a caller has to know to stay correct: whether the bytes of a request can have reached the server.

use std::sync::Arc;
use std::time::Instant;

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, Pipeline, RedisFuture, Value, parse_redis_value};
use tokio::io::{AsyncRead, AsyncWrite};

use super::driver::Driver;
use super::measure::{Gauge, Limits};
use super::queue::{Broken, Shared};
use super::trip::{Batch, Trip};

/// A shared connection that speaks RESP2; its clones are the same connection.
#[derive(Clone, Debug)]
pub(crate) struct Multiplexed(Arc<Handle>);

/// What all clones hold together: with the last of them the connection ends.
#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Multiplexed {
    /// The connection over `stream`, and the driver that somebody has to poll for as long as it is used.
    pub(crate) fn new<S>(stream: S) -> (Self, impl Future<Output = ()> + Send)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let shared = Arc::new(Shared::default());
        let driver = Driver::new(stream, shared.clone());
        (Self(Arc::new(Handle(shared))), driver.drive())
    }

    /// Whether nothing that is asked from now on can reach the server.
    #[must_use]
    pub(crate) fn is_closed(&self) -> bool {
        self.0.0.queue().is_closed
    }

    /// Sends the commands of `batch` in one write and waits for all their replies.
    ///
    /// # Errors
    /// [`Broken`] says whether they can have been executed. An error *reply* is part of the trip.
    pub(crate) async fn travel(&self, batch: Batch) -> Result<Trip, Broken> {
        let sent = batch.finish();
        let begun = Instant::now();
        let received = self.exchange(&sent.bytes, sent.replies as u64).await?;
        let took = begun.elapsed();
        Ok(Trip::new(sent, received, took))
    }

    /// Sends bytes that get so many replies.
    async fn exchange(&self, bytes: &[u8], replies: u64) -> Result<Vec<u8>, Broken> {
        let answered = self.0.0.ask(bytes, replies)?;
        match answered.await {
            Ok(answer) => answer,
            // The driver was dropped with its runtime.
            Err(_) => Err(Broken::Lost("the connection's driver has ended".into())),
        }
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
    use crate::redis_client::queue::MOST_WAITING;
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

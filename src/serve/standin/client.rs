//! A shared connection to one Redis over plain TCP, which knows when it has died.

use redis::aio::ConnectionLike;
use redis::{Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo, Pipeline, RedisError, RedisFuture, Value};

use crate::wire::{Batch, Multiplexed, Trip};

/// A shared connection.
#[derive(Clone)]
pub struct Client {
    connection: Multiplexed,
}

impl Client {
    /// Connects and logs in.
    ///
    /// # Errors
    /// The redis crate's, or the system's.
    pub async fn open_url(url: &str) -> Result<Self, RedisError> {
        let information = url.into_connection_info()?;
        let ConnectionAddr::Tcp(host, port) = information.addr().clone() else {
            return Err((ErrorKind::InvalidClientConfig, "only plain TCP for now").into());
        };
        let stream = tokio::net::TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = Multiplexed::new(stream);
        tokio::spawn(driver);
        let client = Self { connection };
        client.greet(information.redis_settings()).await?;
        Ok(client)
    }

    async fn greet(&self, settings: &redis::RedisConnectionInfo) -> Result<(), RedisError> {
        let mut batch = Batch::pipeline().with(&[b"PING"]);
        if let Some(password) = settings.password() {
            let user = settings.username().map(str::as_bytes);
            let words: Vec<&[u8]> = [Some(&b"AUTH"[..]), user, Some(password.as_bytes())]
                .into_iter()
                .flatten()
                .collect();
            batch = Batch::pipeline().with(&words).with(&[b"PING"]);
        }
        let db = settings.db().to_string();
        if db != "0" {
            batch = batch.with(&[b"SELECT", db.as_bytes()]);
        }
        self.travel(batch).await?;
        Ok(())
    }

    /// Asks all of a batch in one round trip.
    ///
    /// # Errors
    /// The connection's, or the first error among the replies.
    pub async fn travel(&self, batch: Batch) -> Result<Trip, RedisError> {
        self.connection.travel(batch).await?.check()
    }

    /// Whether the connection is known to be broken: nothing that is sent now could arrive.
    pub fn is_dead(&self) -> bool {
        self.connection.is_closed()
    }
}

impl ConnectionLike for Client {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.connection.req_packed_command(command)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.connection.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        0
    }
}

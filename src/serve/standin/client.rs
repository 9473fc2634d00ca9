//! One multiplexed connection to one Redis over plain TCP, which knows when it has died.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo, Pipeline, RedisError,
    RedisFuture, Value,
};

/// Silence of a connection is judged by the request's own deadline; this is only an end.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A shared connection.
#[derive(Clone)]
pub struct Client {
    connection: MultiplexedConnection,
    is_dead: Arc<AtomicBool>,
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
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_TIMEOUT));
        let (connection, driver) =
            MultiplexedConnection::new_with_config(information.redis_settings(), stream, config).await?;
        let is_dead = Arc::new(AtomicBool::new(false));
        let flag = is_dead.clone();
        tokio::spawn(async move {
            driver.await;
            flag.store(true, Ordering::Relaxed);
        });
        Ok(Self { connection, is_dead })
    }

    /// Whether the connection is known to be broken: nothing that is sent now could arrive.
    pub fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
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
        self.connection.get_db()
    }
}

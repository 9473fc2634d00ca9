//! Provides a connection to one server, based on the connection type of the `redis` crate.

use std::sync::Arc;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, RedisFuture, RedisResult, Value,
};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use super::error_replies;
use super::framing::Limits;
use super::limited::LimitedReplies;
use super::stream::Stream;
use crate::ping::causes::is_command_unavailable;

/// A connection to one server. All clones use the same connection.
#[derive(Clone)]
pub(super) struct SingleConnection {
    connection: MultiplexedConnection,
    driver: Arc<Driver>,
    /// The error reply to MULTI, or `None` if the server accepts MULTI. Empty until the first transaction.
    multi_refused: Arc<OnceCell<Option<RedisError>>>,
}

impl SingleConnection {
    pub(super) fn is_closed(&self) -> bool {
        self.driver.0.is_finished()
    }

    /// Whether `self` and `other` are clones of the same connection.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.driver, &other.driver)
    }

    /// Whether [`Self::check_multi`] has found that the server supports MULTI.
    fn offers_multi(&self) -> bool {
        matches!(self.multi_refused.get(), Some(None))
    }

    /// Returns an error if the server does not support MULTI. Such a server would run the commands of a
    /// transaction individually, so a key might be left without a TTL.
    async fn check_multi(&self) -> RedisResult<()> {
        let check = async {
            let mut transaction = redis::pipe();
            transaction.cmd("MULTI").cmd("EXEC");
            let mut connection = self.connection.clone();
            let replies = connection.req_packed_commands(&transaction, 0, 2).await;
            let refusal = match replies {
                Ok(replies) => match replies.into_iter().next() {
                    Some(Value::ServerError(reply)) => RedisError::from(reply),
                    _ => return Ok(None),
                },
                Err(error) => error,
            };
            match error_replies(&refusal).first() {
                Some(reply) if is_command_unavailable(reply) => Ok(Some(refusal)),
                Some(_) => Ok(None),
                None => Err(refusal),
            }
        };
        match self.multi_refused.get_or_try_init(|| check).await? {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(()),
        }
    }
}

impl ConnectionLike for SingleConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.connection.req_packed_command(command)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        if !pipeline.is_transaction() || self.offers_multi() {
            return self.connection.req_packed_commands(pipeline, offset, count);
        }
        Box::pin(async move {
            self.check_multi().await?;
            self.connection.req_packed_commands(pipeline, offset, count).await
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

/// The task that reads from and writes to the connection. Its end is the only sign that the connection is
/// closed.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Creates a connection over a logged-in stream. Several requests can use the connection at the same time.
pub(super) async fn share(stream: Stream) -> RedisResult<SingleConnection> {
    // The stream is already logged in, so the crate must not send anything by itself. Each request has its
    // own deadline.
    let info = RedisConnectionInfo::default().set_skip_set_lib_name();
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let (replies, commands) = tokio::io::split(stream);
    let stream = tokio::io::join(LimitedReplies::new(replies, Limits::REPLY), commands);
    let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await?;
    let driver = Arc::new(Driver(tokio::spawn(driver)));
    Ok(SingleConnection {
        connection,
        driver,
        multi_refused: Arc::default(),
    })
}

//! Records the round trips to Redis: the commands, the replies and their times.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use redis::aio::ConnectionLike;
use redis::{Arg, Cmd, Pipeline, RedisFuture, RedisResult, Value};

use super::show::{clipped, write_command, write_reply};

/// The maximum number of bytes of a command or a reply that are recorded. The limit is needed because other
/// programs can write fields of any size.
const MOST_BYTES: usize = 1000;

/// Commands that were sent together, and their replies.
#[derive(Clone, Debug)]
pub(crate) struct RoundTrip {
    pub sent: Instant,
    /// The time between sending the commands and decoding the last reply.
    pub took: Duration,
    pub commands: Vec<RecordedCommand>,
}

impl RoundTrip {
    /// Returns the time at which the last reply was decoded.
    pub(crate) fn end(&self) -> Instant {
        self.sent + self.took
    }
}

/// A command and its reply, as redis-cli prints them. Text that is too long ends with an ellipsis.
#[derive(Clone, Debug)]
pub(crate) struct RecordedCommand {
    /// The command's name and arguments.
    pub command: Cow<'static, str>,
    /// The reply, or `None` if the request returned an error. A nested reply has several lines.
    pub reply: Option<Cow<'static, str>>,
}

impl RecordedCommand {
    fn new(command: impl Into<Cow<'static, str>>, reply: Option<impl Into<Cow<'static, str>>>) -> Self {
        Self {
            command: command.into(),
            reply: reply.map(Into::into),
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.command.split(' ').next().unwrap_or_default()
    }
}

/// A connection that records commands and replies.
#[derive(Clone, Debug)]
pub(crate) struct Recorded<C> {
    connection: C,
    round_trips: Vec<RoundTrip>,
}

impl<C> Recorded<C> {
    pub(crate) fn new(connection: C) -> Self {
        Self {
            connection,
            round_trips: Vec::new(),
        }
    }

    /// Returns the underlying connection, for commands that should not be recorded.
    pub(crate) fn unrecorded(&mut self) -> &mut C {
        &mut self.connection
    }

    /// Returns everything that has been recorded since this function was last called.
    pub(crate) fn take(&mut self) -> Vec<RoundTrip> {
        std::mem::take(&mut self.round_trips)
    }

    fn note(&mut self, sent: Instant, took: Duration, commands: Vec<RecordedCommand>) {
        self.round_trips.push(RoundTrip { sent, took, commands });
    }
}

/// Returns the commands of a transaction, including MULTI and EXEC. Only EXEC's reply is known, so the other
/// replies are reconstructed.
fn transaction(pipeline: &Pipeline, executed: Option<&Value>) -> Vec<RecordedCommand> {
    let queued = |command| RecordedCommand::new(shown(command), executed.map(|_| "QUEUED"));
    let mut commands = vec![RecordedCommand::new("MULTI", executed.map(|_| "OK"))];
    commands.extend(pipeline.cmd_iter().map(queued));
    commands.push(RecordedCommand::new("EXEC", executed.map(shown_reply)));
    commands
}

fn shown(command: &Cmd) -> String {
    let words = command.args_iter().map(|argument| match argument {
        Arg::Simple(bytes) => bytes,
        // The cursor of the first SCAN is 0.
        _ => b"0",
    });
    clipped(MOST_BYTES, |text| write_command(text, words))
}

fn shown_reply(reply: &Value) -> String {
    clipped(MOST_BYTES, |text| write_reply(text, reply))
}

impl<C: ConnectionLike + Send> ConnectionLike for Recorded<C> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let sent = Instant::now();
            let reply = self.connection.req_packed_command(command).await;
            let took = sent.elapsed();
            let recorded = RecordedCommand::new(shown(command), reply.as_ref().ok().map(shown_reply));
            self.note(sent, took, vec![recorded]);
            reply
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let sent = Instant::now();
            let replies = self.connection.req_packed_commands(pipeline, offset, count).await;
            let took = sent.elapsed();
            let commands = if pipeline.is_transaction() {
                transaction(pipeline, reply_at(&replies, 0))
            } else {
                let commands = pipeline.cmd_iter().enumerate();
                let reply = |index| reply_at(&replies, index).map(shown_reply);
                commands
                    .map(|(index, command)| RecordedCommand::new(shown(command), reply(index)))
                    .collect()
            };
            self.note(sent, took, commands);
            replies
        })
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

fn reply_at(replies: &RedisResult<Vec<Value>>, index: usize) -> Option<&Value> {
    replies.as_ref().ok()?.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that returns the same value for every command.
    struct Always(Value);

    impl ConnectionLike for Always {
        fn req_packed_command<'a>(&'a mut self, _: &'a Cmd) -> RedisFuture<'a, Value> {
            Box::pin(async { Ok(self.0.clone()) })
        }

        fn req_packed_commands<'a>(
            &'a mut self,
            _: &'a Pipeline,
            _: usize,
            count: usize,
        ) -> RedisFuture<'a, Vec<Value>> {
            Box::pin(async move { Ok(vec![self.0.clone(); count]) })
        }

        fn get_db(&self) -> i64 {
            0
        }
    }

    #[tokio::test]
    async fn a_reply_of_any_size_is_recorded_in_bounded_size() {
        let mut redis = Recorded::new(Always(Value::BulkString(vec![b'\xff'; 100_000])));
        let command = redis::cmd("ECHO").arg("x".repeat(100_000)).to_owned();
        redis.req_packed_command(&command).await.unwrap();
        let recorded = redis.take().remove(0).commands.remove(0);
        for text in [recorded.command, recorded.reply.unwrap()] {
            assert!(text.len() < MOST_BYTES + 10);
            assert!(text.ends_with('…'));
        }
    }
}

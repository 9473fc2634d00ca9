//! "What Redis was asked": every command and reply, recorded where they are encoded and decoded.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::ConnectionLike;
use redis::{Arg, Cmd, Pipeline, RedisFuture, RedisResult, Value};

/// One command, what Redis answered, and how long that took.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// The command's name and arguments, as sent.
    pub command: Vec<Vec<u8>>,
    /// The reply; a connection that failed before one came has none.
    pub reply: Option<Value>,
    /// From sending to the decoded reply; commands of one pipeline share the time of the whole.
    pub took: Duration,
}

/// A list of exchanges that its clones share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Exchange>>>);

impl Recorder {
    /// Everything recorded since the last call.
    #[must_use]
    pub(crate) fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, command: &Cmd, reply: Option<Value>, took: Duration) {
        let command = command
            .args_iter()
            .map(|argument| argument_bytes(&argument))
            .collect();
        let exchange = Exchange { command, reply, took };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(exchange);
    }
}

fn argument_bytes(argument: &Arg<&[u8]>) -> Vec<u8> {
    match argument {
        Arg::Simple(bytes) => bytes.to_vec(),
        // A SCAN's cursor is kept apart from its other arguments; none is needed here.
        _ => b"0".to_vec(),
    }
}

/// A connection that notes in a [`Recorder`] whatever passes through it.
#[derive(Clone)]
pub(crate) struct Recorded<C> {
    inner: C,
    recorder: Recorder,
}

impl<C> Recorded<C> {
    /// Records what passes through `inner` from now on.
    pub(crate) fn new(inner: C, recorder: Recorder) -> Self {
        Self { inner, recorder }
    }
}

impl<C: ConnectionLike + Send> ConnectionLike for Recorded<C> {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let sent = Instant::now();
            let answer = self.inner.req_packed_command(cmd).await;
            self.recorder.note(cmd, reply_of(&answer), sent.elapsed());
            answer
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
            let answer = self.inner.req_packed_commands(pipeline, offset, count).await;
            let took = sent.elapsed();
            if pipeline.is_transaction() {
                note_transaction(&self.recorder, pipeline, &answer, took);
            } else {
                for (index, command) in pipeline.cmd_iter().enumerate() {
                    let reply = answer
                        .as_ref()
                        .ok()
                        .and_then(|replies| replies.get(index))
                        .cloned();
                    self.recorder.note(command, reply, took);
                }
            }
            answer
        })
    }

    fn get_db(&self) -> i64 {
        self.inner.get_db()
    }
}

/// The crate sends MULTI and EXEC around the commands and hands out EXEC's reply alone.
fn note_transaction(
    recorder: &Recorder,
    pipeline: &Pipeline,
    answer: &RedisResult<Vec<Value>>,
    took: Duration,
) {
    let executed = answer.as_ref().ok().and_then(|replies| replies.last()).cloned();
    recorder.note(&redis::cmd("MULTI"), executed.as_ref().map(|_| Value::Okay), took);
    let queued = executed.as_ref().map(|_| Value::SimpleString("QUEUED".into()));
    for command in pipeline.cmd_iter() {
        recorder.note(command, queued.clone(), took);
    }
    recorder.note(&redis::cmd("EXEC"), executed, took);
}

fn reply_of(answer: &RedisResult<Value>) -> Option<Value> {
    match answer {
        Ok(value) => Some(value.clone()),
        Err(_) => None,
    }
}

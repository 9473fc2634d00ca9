//! What is asked on a shared connection: the bytes that wait to be sent, and those who wait for their replies.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::task::AtomicWaker;
use redis::RedisError;
use tokio::sync::oneshot;

/// Bytes that may wait to be sent: a server that reads nothing must not fill our memory.
pub(super) const MOST_WAITING: usize = 1024 * 1024;

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

/// The queue as those who ask and the one who drives share it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// Who has to be woken when something is asked.
    pub(super) driver: AtomicWaker,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) outgoing: Vec<u8>,
    /// Bytes ever put into `outgoing`.
    queued: u64,
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) is_closed: bool,
    /// Nobody is left who could ask, or wait for an answer.
    pub(super) is_abandoned: bool,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) replies: u64,
    /// Where its first byte stands among all bytes ever queued.
    pub(super) starts: u64,
    pub(super) answer: oneshot::Sender<Result<Vec<u8>, Broken>>,
}

impl Shared {
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts bytes that get so many replies in the queue; the replies come to what is returned.
    pub(super) fn ask(
        &self,
        bytes: &[u8],
        replies: u64,
    ) -> Result<oneshot::Receiver<Result<Vec<u8>, Broken>>, Broken> {
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = self.queue();
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
        self.driver.wake();
        Ok(answered)
    }

    /// Says that nobody will ask any more.
    pub(super) fn abandon(&self) {
        self.queue().is_abandoned = true;
        self.driver.wake();
    }
}

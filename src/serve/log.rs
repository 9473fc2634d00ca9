//! The access log: what a request asked and how it was answered; never a cookie, a query or a body.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::extract::Request;
use axum::http::{Method, StatusCode};

/// Characters of a path that are kept.
const LONGEST_PATH: usize = 200;

/// Takes a finished entry; it must not wait.
pub(crate) type AccessLog = Arc<dyn Fn(Entry) + Send + Sync>;

/// One request and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// When the head of the request had arrived.
    pub at: SystemTime,
    /// Who asked.
    pub peer: SocketAddr,
    /// How.
    pub method: Method,
    /// For what, without the query.
    pub path: String,
    /// How it was answered; 0 while it is not.
    pub status: u16,
    /// Bytes of the answer's body; an event stream has no number.
    pub bytes: Option<u64>,
    /// From the head of the request to the head of the answer.
    pub took: Duration,
    begun: Instant,
}

impl Entry {
    pub(super) fn begin<B>(request: &Request<B>, peer: SocketAddr) -> Self {
        Self {
            at: SystemTime::now(),
            peer,
            method: request.method().clone(),
            path: request.uri().path().chars().take(LONGEST_PATH).collect(),
            status: 0,
            bytes: None,
            took: Duration::ZERO,
            begun: Instant::now(),
        }
    }

    pub(super) fn end(mut self, status: StatusCode, bytes: Option<u64>) -> Self {
        self.status = status.as_u16();
        self.bytes = bytes;
        self.took = self.begun.elapsed();
        self
    }
}

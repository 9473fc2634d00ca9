//! `/events`: a look at the session's hash and its time to live, once a second, as server-sent events.
//!
//! A look only reads. If it refreshed anything, a session whose page is open would never end.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use futures_util::stream;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::sessions::{Look, Sessions, Who};
use crate::deadline::Deadline;

/// Between two looks.
const RHYTHM: Duration = Duration::from_secs(1);
/// For one look.
const LOOK_WITHIN: Duration = Duration::from_millis(1500);
/// Streams open at a time: each asks Redis once a second.
const MOST_STREAMS: usize = 256;
/// When a browser that found no stream free asks again.
const LATER: Duration = Duration::from_secs(10);

/// Opens streams, as many as there may be; a stop ends them all.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    free: Arc<Semaphore>,
    stop: CancellationToken,
}

struct Watcher {
    sessions: Arc<Sessions>,
    who: Who,
    rhythm: Interval,
    stop: CancellationToken,
    is_over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Streams {
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self {
            free: Arc::new(Semaphore::new(MOST_STREAMS)),
            stop,
        }
    }

    /// Answers with the stream of `who`'s session; nobody's session needs none, and 204 tells a browser so.
    pub(super) fn answer(&self, sessions: Arc<Sessions>, who: Option<Who>) -> Response {
        let Some(who) = who else {
            return nobody();
        };
        let Ok(permit) = self.free.clone().try_acquire_owned() else {
            return crowded();
        };
        let mut rhythm = interval(RHYTHM);
        rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watcher = Watcher {
            sessions,
            who,
            rhythm,
            stop: self.stop.clone(),
            is_over: false,
            _permit: permit,
        };
        let events = stream::unfold(watcher, |mut watcher| async move {
            let event = watcher.next().await?;
            Some((Ok::<_, std::convert::Infallible>(event), watcher))
        });
        streaming(Body::from_stream(events))
    }
}

/// A browser does not ask again.
fn nobody() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A stream that ends at once, and not a 503: after one of those a browser would never ask again.
fn crowded() -> Response {
    let again = LATER.as_millis();
    let text = "Too many pages are watched at once: this one stands still until another is closed";
    streaming(format!("retry: {again}\n{}", event("fault", text)).into())
}

fn streaming(events: Body) -> Response {
    let mut response = Response::new(events);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            event = Self::look(&self.sessions, &self.who, &mut self.rhythm) => {
                let (event, is_over) = event;
                self.is_over = is_over;
                Some(event.into())
            }
        }
    }

    /// The next event, and whether it is the last one.
    async fn look(sessions: &Sessions, who: &Who, rhythm: &mut Interval) -> (String, bool) {
        rhythm.tick().await;
        match sessions.look(who, Deadline::after(LOOK_WITHIN)).await {
            Ok(Look::Alive { left, fields }) => {
                let look = json!({ "ttl_ms": left.as_millis(), "fields": fields });
                (format!("event: look\ndata: {look}\n\n"), false)
            }
            Ok(Look::Gone) if who.can_come_back() => {
                let text = "The key is gone: the next visit counts from 1";
                (event("gone", text), false)
            }
            Ok(Look::Gone) => {
                let text = "The session has ended: its key is gone, and the next visit is logged out";
                // `end` tells the script to close: a browser would open a stream that just ended again.
                (event("gone", text) + &event("end", ""), true)
            }
            Err(fault) => (event("fault", &fault.summary), false),
        }
    }
}

fn event(name: &str, text: &str) -> String {
    let data = json!({ "text": text });
    format!("event: {name}\ndata: {data}\n\n")
}

//! `/events`: sends the session's hash and TTL once a second, as server-sent events.
//!
//! The stream only reads. If it reset the TTL, a session would never expire while its page is open.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response, Sse};
use futures_util::StreamExt;
use futures_util::stream::{self, iter};
use serde_json::json;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::pages::shown;
use super::sessions::{Identity, Sessions};
use crate::deadline::Deadline;

/// Interval between two reads.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Time limit for one read.
const READ_WITHIN: Duration = Duration::from_millis(1500);
/// The most streams at a time, because each queries Redis once a second.
const MOST_STREAMS: usize = 256;
/// Time after which a browser tries again if all streams are in use.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The most streams of one session. A fifth closes the oldest one.
const MOST_OF_A_SESSION: usize = 4;

/// Opens streams up to a limit, and ends all of them when the server stops.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    /// The oldest first.
    open: Arc<Mutex<Vec<OpenStream>>>,
    stop: CancellationToken,
}

/// An open stream, as its place among all others. It is given up as soon as `ended` is cancelled, even if the client
/// has stopped reading and the stream itself cannot end yet.
#[derive(Debug)]
struct OpenStream {
    session: String,
    ended: CancellationToken,
}

/// The open stream of one visitor.
struct SessionStream {
    sessions: Arc<Sessions>,
    visitor: Identity,
    ticks: Interval,
    /// Gives the place up when the client disconnects.
    _place: DropGuard,
}

impl Streams {
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self {
            open: Arc::default(),
            stop,
        }
    }

    /// Responds with the stream of the visitor's session.
    pub(super) fn answer(&self, sessions: Arc<Sessions>, visitor: Option<Identity>) -> Response {
        let Some(visitor) = visitor else {
            // After a 204, a browser does not reconnect.
            return StatusCode::NO_CONTENT.into_response();
        };
        let Some(ended) = self.take_place(visitor.session()) else {
            // Not a 503, because after that a browser would never reconnect.
            let text = "Too many pages are open: this one is updated again when another is closed";
            let event = event("fault", text).retry(RETRY_AFTER);
            return Sse::new(iter([Ok::<_, Infallible>(event)])).into_response();
        };
        let mut ticks = interval(READ_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let session = SessionStream {
            sessions,
            visitor,
            ticks,
            _place: ended.clone().drop_guard(),
        };
        let reads = stream::unfold(Some(session), |session| async {
            let mut session = session?;
            session.ticks.tick().await;
            let (events, is_over) = session.read().await;
            Some((
                iter(events).map(Ok::<_, Infallible>),
                (!is_over).then_some(session),
            ))
        });
        let text = "This page is not updated any more, because the session is open in newer pages: reload it";
        let replaced = iter([event("fault", text), event("end", "")]).map(Ok);
        let stopped = self.stop.clone().cancelled_owned();
        let reads = reads.flatten().take_until(ended.cancelled_owned());
        Sse::new(reads.chain(replaced).take_until(stopped)).into_response()
    }

    /// Takes a place for a stream of `session`. Returns `None` if there is none left.
    fn take_place(&self, session: &str) -> Option<CancellationToken> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|stream| !stream.ended.is_cancelled());
        let own = |stream: &OpenStream| stream.session == session;
        if open.iter().filter(|stream| own(stream)).count() >= MOST_OF_A_SESSION
            && let Some(oldest) = open.iter().position(own)
        {
            open.remove(oldest).ended.cancel();
        }
        if open.len() >= MOST_STREAMS {
            return None;
        }
        let ended = CancellationToken::new();
        open.push(OpenStream {
            session: session.to_owned(),
            ended: ended.clone(),
        });
        Some(ended)
    }
}

impl SessionStream {
    /// Reads the session; returns the events to send, and whether they are the last ones.
    async fn read(&self) -> (Vec<Event>, bool) {
        let deadline = Deadline::after(READ_WITHIN);
        match self.sessions.look(&self.visitor, deadline).await {
            Ok(Some((left, fields))) => {
                let fields: Vec<_> = shown(&fields).collect();
                let look = json!({ "ttl_ms": left.as_millis(), "fields": fields });
                (vec![Event::default().event("look").data(look.to_string())], false)
            }
            Ok(None) if self.visitor.outlives_its_hash() => {
                let text = "The key has expired: the next visit counts from 1";
                (vec![event("gone", text)], false)
            }
            Ok(None) => {
                let text = "The session has ended: its key no longer exists, so you must log in again";
                // `end` makes the script close the stream, which a browser would otherwise open again.
                (vec![event("gone", text), event("end", "")], true)
            }
            Err(fault) => (vec![event("fault", &fault.summary)], false),
        }
    }
}

fn event(name: &str, text: &str) -> Event {
    Event::default()
        .event(name)
        .data(json!({ "text": text }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_four_places_and_leaves_the_others_free() {
        let streams = Streams::new(CancellationToken::new());
        let eve: Vec<_> = (0..300).map(|_| streams.take_place("eve").unwrap()).collect();
        let is_open = |ended: &&CancellationToken| !ended.is_cancelled();
        assert_eq!(eve.iter().filter(is_open).count(), MOST_OF_A_SESSION);
        assert!(
            eve[eve.len() - MOST_OF_A_SESSION..]
                .iter()
                .all(|ended| is_open(&ended))
        );
        for other in MOST_OF_A_SESSION..MOST_STREAMS {
            assert!(streams.take_place(&other.to_string()).is_some());
        }
        assert!(streams.take_place("ada").is_none());
        eve[eve.len() - 1].cancel();
        assert!(streams.take_place("ada").is_some());
    }
}

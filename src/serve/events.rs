//! `/events`: sends the session's hash and TTL once a second, as server-sent events.
//!
//! Each stream uses only commands that do not reset the TTL. Otherwise, a session would never expire while
//! its page is open.

use std::convert::Infallible;
use std::net::IpAddr;
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

use super::pages::{sentence, shown};
use super::sessions::{Identity, Sessions};
use crate::deadline::Deadline;

/// How often a stream reads its session.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Time limit for reading a session once.
const READ_WITHIN: Duration = Duration::from_millis(1500);
/// The maximum number of open streams. The limit is needed because each stream queries Redis once a second.
/// Above this number, a new stream replaces an existing one.
const MOST_STREAMS: usize = 256;
/// The maximum number of open streams of one session. Above this number, a new stream replaces the oldest
/// one.
const MOST_OF_A_SESSION: usize = 4;

/// Opens a limited number of streams, and ends all of them when the server stops.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    /// The open streams, oldest first.
    open: Arc<Mutex<Vec<OpenStream>>>,
    stop: CancellationToken,
}

/// A stream that counts towards the limits on open streams. Once `ended` is cancelled, the stream no longer
/// counts, even if its connection is still open.
#[derive(Debug)]
struct OpenStream {
    client: IpAddr,
    session: String,
    ended: CancellationToken,
}

/// The stream of one visitor's session.
struct SessionStream {
    sessions: Arc<Sessions>,
    visitor: Identity,
    ticks: Interval,
    /// Cancelled when a newer stream replaces this stream.
    replaced: CancellationToken,
    /// Dropped when the client disconnects, so that the stream no longer counts towards the limits on open
    /// streams.
    _place: DropGuard,
}

impl Streams {
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self {
            open: Arc::default(),
            stop,
        }
    }

    /// Responds with a stream of the visitor's session, or with the status 204 if `visitor` is `None`.
    pub(super) fn answer(
        &self,
        sessions: Arc<Sessions>,
        client: IpAddr,
        visitor: Option<Identity>,
    ) -> Response {
        let Some(visitor) = visitor else {
            // A browser does not reconnect after a 204.
            return StatusCode::NO_CONTENT.into_response();
        };
        let ended = self.take_place(client, visitor.session());
        let mut ticks = interval(READ_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let session = SessionStream {
            sessions,
            visitor,
            ticks,
            _place: ended.clone().drop_guard(),
            replaced: ended,
        };
        let reads = stream::unfold(Some(session), |session| async {
            let mut session = session?;
            let (events, is_over) = session.next().await;
            Some((
                iter(events).map(Ok::<_, Infallible>),
                (!is_over).then_some(session),
            ))
        });
        let stopped = self.stop.clone().cancelled_owned();
        Sse::new(reads.flatten().take_until(stopped)).into_response()
    }

    /// Adds a stream of `session`. Returns a token that is cancelled when another stream replaces this
    /// stream.
    ///
    /// If the session has too many streams, replaces its oldest stream.
    ///
    /// If there are too many streams in total, finds the client with the most streams. Replaces the oldest
    /// stream of this client's busiest session. A client therefore cannot close the streams of other clients,
    /// even if it uses many sessions. A session cannot close the streams of other visitors behind the same
    /// proxy.
    fn take_place(&self, client: IpAddr, session: &str) -> CancellationToken {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|stream| !stream.ended.is_cancelled());
        let count = |is_counted: &dyn Fn(&OpenStream) -> bool| {
            open.iter().filter(|stream| is_counted(stream)).count()
        };
        let replaced = if count(&|stream| stream.session == session) >= MOST_OF_A_SESSION {
            open.iter().position(|stream| stream.session == session)
        } else if open.len() >= MOST_STREAMS {
            let uses = |stream: &OpenStream| {
                (
                    count(&|other| other.client == stream.client),
                    count(&|other| other.session == stream.session),
                )
            };
            // If several values are equal, `max_by_key` returns the last one, so reverse the order to get the
            // oldest stream.
            (0..open.len()).rev().max_by_key(|index| uses(&open[*index]))
        } else {
            None
        };
        if let Some(replaced) = replaced {
            open.remove(replaced).ended.cancel();
        }
        let ended = CancellationToken::new();
        open.push(OpenStream {
            client,
            session: session.to_owned(),
            ended: ended.clone(),
        });
        ended
    }
}

impl SessionStream {
    /// Waits until the next reading is due, and reads the session. Returns the events to send, and whether
    /// the stream ends after them.
    async fn next(&mut self) -> (Vec<Event>, bool) {
        let replaced = self.replaced.clone();
        let read = async {
            self.ticks.tick().await;
            self.read().await
        };
        tokio::select! {
            () = replaced.cancelled() => {
                let text =
                    "This page is no longer updated, because too many newer pages are open. Reload this page to update it again";
                (vec![event("fault", text), event("end", "")], true)
            }
            events = read => events,
        }
    }

    /// Reads the session. Returns the events to send, and whether the stream ends after them.
    async fn read(&self) -> (Vec<Event>, bool) {
        let deadline = Deadline::after(READ_WITHIN);
        match self.sessions.look(&self.visitor, deadline).await {
            Ok(Some((left, fields))) => {
                let fields: Vec<_> = shown(&fields, self.sessions.now()).collect();
                let look = json!({ "ttl_ms": left.as_millis(), "fields": fields });
                (vec![Event::default().event("look").data(look.to_string())], false)
            }
            Ok(None) if self.visitor.outlives_its_hash() => {
                let text = "The key has expired, so the count starts again at 1 at the next visit";
                (vec![event("gone", text)], false)
            }
            Ok(None) => {
                let text = "The session has ended, because its key no longer exists. You must log in again";
                // Without `end`, the browser would open the stream again.
                (vec![event("gone", text), event("end", "")], true)
            }
            Err(fault) => (vec![event("fault", &sentence(&fault.summary))], false),
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
    use std::net::Ipv4Addr;

    use super::*;

    const EVE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const ADA: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn open(streams: &[CancellationToken]) -> usize {
        streams.iter().filter(|ended| !ended.is_cancelled()).count()
    }

    #[test]
    fn a_session_has_four_places() {
        let streams = Streams::new(CancellationToken::new());
        let eve: Vec<_> = (0..300).map(|_| streams.take_place(EVE, "eve")).collect();
        assert_eq!(open(&eve), MOST_OF_A_SESSION);
        assert_eq!(open(&eve[eve.len() - MOST_OF_A_SESSION..]), MOST_OF_A_SESSION);
    }

    #[test]
    fn a_client_with_many_sessions_closes_only_its_own_streams() {
        let streams = Streams::new(CancellationToken::new());
        let ada = streams.take_place(ADA, "ada");
        let eve: Vec<_> = (0..1000)
            .map(|number| streams.take_place(EVE, &format!("eve-{}", number / 2)))
            .collect();
        assert!(!ada.is_cancelled());
        assert_eq!(open(&eve), MOST_STREAMS - 1);
        // Visitors behind the same proxy have the same address.
        let bob = streams.take_place(EVE, "bob");
        for number in 0..MOST_STREAMS / 4 {
            streams.take_place(EVE, &format!("eve-{number}"));
        }
        assert!(!bob.is_cancelled() && !ada.is_cancelled());
        assert_eq!(streams.open.lock().unwrap().len(), MOST_STREAMS);
    }

    #[test]
    fn the_place_of_a_closed_stream_is_free() {
        let streams = Streams::new(CancellationToken::new());
        let eve: Vec<_> = (0..MOST_STREAMS)
            .map(|number| streams.take_place(EVE, &number.to_string()))
            .collect();
        eve[7].cancel();
        streams.take_place(EVE, "ada");
        assert_eq!(open(&eve), MOST_STREAMS - 1);
        streams.take_place(EVE, "bob");
        assert!(eve[0].is_cancelled());
    }
}

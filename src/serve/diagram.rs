//! Creates the diagram of a request to the home page.

use std::time::Instant;

use super::pages::{CookieView, Visit};
use crate::clock::seconds;
use crate::learn::{DiagramEvent, SequenceDiagram};
use crate::redis_client::RecordedCommand;

const BROWSER: usize = 0;
const APP: usize = 1;
const REDIS: usize = 2;

/// Returns the messages of this visit, with their times since the request arrived.
pub(super) fn of_visit(visit: &Visit, cookie_name: &str, arrived: Instant) -> SequenceDiagram {
    let message = |from, to, at: Instant, text: &str| DiagramEvent::Message {
        from,
        to,
        text: [&seconds(at.saturating_duration_since(arrived)), ": ", text].concat(),
        is_reply: from > to,
    };
    let (cookie, action) = match &visit.cookie {
        CookieView::Absent => ("without a cookie".to_owned(), None),
        CookieView::Ignored(_) => ("with a cookie".to_owned(), None),
        CookieView::Signed { .. } => (
            "with a signed name in the cookie".to_owned(),
            Some("checks the signature"),
        ),
        CookieView::Token(token) => (
            format!("with the cookie {cookie_name}={}…", token.start()),
            Some("derives the key from the token"),
        ),
    };
    let mut events = vec![message(BROWSER, APP, arrived, &format!("GET / {cookie}"))];
    events.extend(action.map(note));
    for trip in &visit.round_trips {
        let names: Vec<&str> = trip.commands.iter().map(RecordedCommand::name).collect();
        let replies = match trip.commands.len() {
            1 => "1 reply".to_owned(),
            count => format!("{count} replies"),
        };
        events.push(message(APP, REDIS, trip.sent, &names.join(", ")));
        events.push(message(REDIS, APP, trip.sent + trip.took, &replies));
    }
    if matches!(visit.cookie, CookieView::Ignored(_)) {
        events.push(note("ignores the cookie"));
    }
    events.push(message(APP, BROWSER, Instant::now(), "200, this page"));
    let mut participants = vec!["Browser".to_owned(), "App".to_owned()];
    if !visit.round_trips.is_empty() {
        participants.push("Redis".to_owned());
    }
    SequenceDiagram { participants, events }
}

fn note(text: &str) -> DiagramEvent {
    DiagramEvent::Note {
        first: APP,
        last: APP,
        text: text.to_owned(),
    }
}

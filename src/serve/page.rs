//! The pages: what they show, and the templates that escape it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::Response;

use super::headers;
use super::history::Asked;
use super::step::Step;
use crate::ping::causes::Fix;
use crate::redis_client::{Replies, Reply};

/// What every page of a running server has in common.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// The step that this server shows, for as long as it runs.
    pub(super) step: Step,
    /// What a visit gives the session to live.
    pub(super) ttl: Duration,
}

impl Frame {
    /// Whether anything on the page changes by itself.
    fn is_live(&self) -> bool {
        self.step >= Step::Ttl
    }

    fn ttl_seconds(&self) -> u64 {
        self.ttl.as_secs()
    }
}

/// What the browser's cookie turned out to hold.
#[derive(Debug)]
pub(super) enum Cookie<'a> {
    /// There was none.
    Absent,
    /// There was one that counts as none.
    Refused {
        /// The reason, as half a sentence.
        why: &'static str,
    },
    /// Steps 1 to 3.
    Signed {
        /// The user name in it.
        name: &'a str,
        /// The beginning of the signature: the whole of it would undo `HttpOnly`.
        signature: &'a str,
    },
    /// Step 4.
    Token {
        /// The first 6 characters.
        start: &'a str,
        /// The Redis key that is derived from the whole.
        key: &'a str,
    },
}

/// The session's hash, as Redis returned it with this page's visit.
#[derive(Debug)]
pub(super) struct Hash<'a> {
    pub(super) key: &'a str,
    /// An HGETALL's reply.
    pub(super) fields: Reply<'a>,
    /// Seconds to live; none: for ever.
    pub(super) left: Option<u64>,
}

impl Hash<'_> {
    /// The fields, as many and as much of them as a page has room for.
    fn shown(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let fields = match self.fields {
            Reply::Array(fields) => fields,
            _ => Replies::new(&[], 0),
        };
        let fields = fields.pairs().take(MOST_FIELDS);
        fields.map(|(name, value)| (beginning(name), beginning(value)))
    }
}

fn beginning(reply: Reply<'_>) -> Cow<'_, str> {
    let bytes = reply.text().unwrap_or_default();
    String::from_utf8_lossy(&bytes[..bytes.len().min(MOST_OF_A_FIELD)])
}

/// Fields of a hash that are shown: a session has three, and anyone with access to Redis can add more.
const MOST_FIELDS: usize = 20;
/// Bytes of a field that are shown; a user name has at most 256.
const MOST_OF_A_FIELD: usize = 400;

/// `GET /`.
#[derive(Template)]
#[template(path = "home.html")]
pub(super) struct Home<'a> {
    pub(super) frame: &'a Frame,
    pub(super) name: Option<&'a str>,
    pub(super) visits: Option<i64>,
    pub(super) cookie: Cookie<'a>,
    pub(super) hash: Option<Hash<'a>>,
    /// What this page asked Redis.
    pub(super) asked: &'a Asked,
    /// What the session's pages asked before.
    pub(super) earlier: &'a [Arc<Asked>],
    /// A rendered [`Elsewhere`].
    pub(super) elsewhere: &'a str,
}

/// How to start the other steps, and where other instances are.
#[derive(Template)]
#[template(path = "elsewhere.html")]
pub(super) struct Elsewhere<'a> {
    pub(super) step: Step,
    pub(super) steps: Vec<OtherStep>,
    pub(super) instances: &'a [Neighbour],
}

/// A step that this server does not show.
#[derive(Debug)]
pub(super) struct OtherStep {
    pub(super) step: Step,
    /// Where its line suggests to listen.
    pub(super) port: u16,
}

/// Another instance on the same Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) url: String,
    /// What it serves: "step 4".
    pub(super) what: String,
}

/// `GET /login`.
#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct Login<'a> {
    pub(super) frame: &'a Frame,
    /// What was wrong with the form that came before.
    pub(super) message: Option<String>,
}

/// A page that only says something: faults, unknown addresses.
#[derive(Template)]
#[template(path = "notice.html")]
pub(super) struct Notice<'a> {
    pub(super) frame: &'a Frame,
    pub(super) title: &'a str,
    /// A sentence without its full stop.
    pub(super) text: &'a str,
    /// What is known about it, and what to do.
    pub(super) trouble: Option<Trouble<'a>>,
    /// The text of the button that leads home.
    pub(super) again: &'a str,
}

/// A fault of Redis, beyond its sentence.
#[derive(Debug)]
pub(super) struct Trouble<'a> {
    pub(super) evidence: &'a [String],
    pub(super) fixes: &'a [Fix],
}

/// `GET /source`.
#[derive(Template)]
#[template(path = "source.html")]
pub(super) struct Source<'a> {
    pub(super) frame: &'a Frame,
    pub(super) step: Step,
    pub(super) languages: Vec<Tab>,
    pub(super) steps: Vec<Tab>,
    pub(super) files: Vec<SourceFile>,
}

/// A file, to read.
#[derive(Debug)]
pub(super) struct SourceFile {
    pub(super) path: &'static str,
    pub(super) text: String,
}

/// One of several to choose from.
#[derive(Debug)]
pub(super) struct Tab {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) is_current: bool,
}

/// The page as an answer.
pub(super) fn answer(status: StatusCode, page: &impl Template) -> Response {
    let mut sheet = Sheet::take();
    // Rendering fails only where a value's Display does, and none of ours can.
    let status = match page.render_into(&mut sheet.0) {
        Ok(()) => status,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = Response::new(Body::from(Bytes::from_owner(sheet)));
    *response.status_mut() = status;
    *response.headers_mut() = headers::page();
    response
}

/// Enough for a page of step 4 with its last commands, so that its buffer never grows.
const ROOM: usize = 8 * 1024;
/// Buffers that a worker keeps for pages to come; more are in use when more are sent at a time.
const KEPT: usize = 64;

thread_local! {
    static SHEETS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// A buffer for a page. It is used again once the page is sent: making and freeing one takes longer than writing it.
struct Sheet(String);

impl Sheet {
    fn take() -> Self {
        let kept = SHEETS.with_borrow_mut(Vec::pop);
        Self(kept.unwrap_or_else(|| String::with_capacity(ROOM)))
    }
}

impl AsRef<[u8]> for Sheet {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Drop for Sheet {
    fn drop(&mut self) {
        let mut text = std::mem::take(&mut self.0);
        // One that had to grow would keep its memory for nothing. The thread, and the list with it, may be at its end.
        if text.capacity() == ROOM {
            text.clear();
            let _ = SHEETS.try_with(|sheets| {
                let mut sheets = sheets.borrow_mut();
                if sheets.len() < KEPT {
                    sheets.push(text);
                }
            });
        }
    }
}

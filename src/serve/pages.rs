//! The pages: what they show, and the templates that escape it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, HeaderValue, RETRY_AFTER};
use axum::response::{Html, IntoResponse, Response};

use super::extractors::FormError;
use super::fault::Fault;
use super::history::Commands;
use super::instances::OtherInstance;
use super::router::RETRY_AFTER_FAULT;
use super::step::Step;
use crate::session::store::Fields;

/// What every page of a running server has in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// The step that this server shows, for as long as it runs.
    pub(super) step: Step,
    /// What a visit gives the session to live.
    pub(super) ttl: Duration,
}

impl Layout {
    /// Whether anything on the page changes by itself.
    fn is_live(&self) -> bool {
        self.step >= Step::Ttl
    }

    fn other_steps(&self) -> impl Iterator<Item = Step> {
        let running = self.step;
        Step::ALL.into_iter().filter(move |step| *step != running)
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
    pub(super) fields: &'a Fields,
    /// Seconds to live; none: for ever.
    pub(super) left: Option<u64>,
}

impl Hash<'_> {
    /// The fields, as many and as much of them as a page has room for.
    fn shown(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let fields = self.fields.iter().take(MOST_FIELDS);
        fields.map(|(name, value)| (beginning(name), beginning(value)))
    }
}

fn beginning(bytes: &[u8]) -> Cow<'_, str> {
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
    pub(super) layout: Layout,
    pub(super) name: Option<&'a str>,
    pub(super) visits: Option<i64>,
    pub(super) cookie: Cookie<'a>,
    pub(super) hash: Option<Hash<'a>>,
    /// What this page asked Redis.
    pub(super) asked: &'a Commands,
    /// What the session's pages asked before.
    pub(super) earlier: &'a [Arc<Commands>],
    /// The other instances on the same Redis.
    pub(super) instances: &'a [OtherInstance],
}

/// `GET /login`.
#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage {
    pub(super) layout: Layout,
    /// Why the form was refused.
    pub(super) message: Option<String>,
}

/// Any response from 400 on, except a login form with a message.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    layout: Layout,
    title: &'a str,
    /// A sentence without its full stop.
    text: &'a str,
    /// Present if Redis is the reason.
    redis: Option<&'a Fault>,
}

/// `GET /source`.
#[derive(Template)]
#[template(path = "source.html")]
pub(super) struct Source {
    pub(super) layout: Layout,
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

/// The response with this page.
pub(super) fn page(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A page with the status and one sentence, without its full stop.
pub(super) fn error(layout: Layout, status: StatusCode, text: &str) -> Response {
    let error = ErrorPage {
        layout,
        title: status.canonical_reason().unwrap_or("Error"),
        text,
        redis: None,
    };
    page(status, &error)
}

/// 500, after a panic.
pub(super) fn internal_error(layout: Layout) -> Response {
    error(
        layout,
        StatusCode::INTERNAL_SERVER_ERROR,
        "This request failed because of an error in sessiontut; the server is still running",
    )
}

/// 403, for a login form from another site.
pub(super) fn cross_site_form(layout: Layout) -> Response {
    let text = "The form came from another site, so the login was refused";
    close_connection(error(layout, StatusCode::FORBIDDEN, text))
}

/// The login page with a message if a field is wrong, or an error page if the whole form is.
pub(super) fn refused_form(layout: Layout, fault: &FormError) -> Response {
    let (status, message) = (fault.status(), fault.to_string());
    if status != StatusCode::UNPROCESSABLE_ENTITY {
        return close_connection(error(layout, status, &message));
    }
    let login = LoginPage {
        layout,
        message: Some(message),
    };
    page(status, &login)
}

/// 503, with ping's explanation.
pub(super) fn unavailable(layout: Layout, fault: &Fault) -> Response {
    let error = ErrorPage {
        layout,
        title: "Redis is unavailable",
        text: &fault.summary,
        redis: Some(fault),
    };
    let retry = [(RETRY_AFTER, RETRY_AFTER_FAULT)];
    (retry, page(StatusCode::SERVICE_UNAVAILABLE, &error)).into_response()
}

/// Makes this the last response on its connection, because the bytes that follow may not be a request.
pub(super) fn close_connection(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

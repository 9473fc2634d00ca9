//! Renders the pages. The templates escape all values.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use askama::filters::HtmlSafe;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, HeaderValue, RETRY_AFTER};
use axum::response::{Html, IntoResponse, Response};

use super::explanations::{Explanations, Topic};
use super::history::Commands;
use super::instances::OtherInstance;
use super::login_form::FormError;
use super::router::RETRY_AFTER_FAULT;
use super::stage::AppStage;
use crate::clock;
use crate::redis_client::RoundTrip;
use crate::redis_client::fault::RedisFault;
use crate::session::Token;
use crate::session::store::Fields;

/// The values that all pages of a running server show.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) stage: AppStage,
    /// The TTL that each visit sets for the hash in Redis.
    pub(super) ttl: Duration,
    /// The name of the session cookie.
    pub(super) cookie_name: Arc<str>,
    /// The links to the sections of lessons that explain the parts of a page.
    pub(super) explanations: Arc<Explanations>,
    /// Instructions for starting the other stages, rendered only once because they are the same for all
    /// visitors.
    pub(super) other_stages: Arc<Rendered>,
}

/// Text that is already HTML. Templates do not escape it again.
#[derive(Debug, Default)]
pub(super) struct Rendered(pub(super) String);

impl Rendered {
    pub(super) fn of(template: &impl Template) -> Self {
        // Writing to a string cannot fail.
        Self(template.render().unwrap_or_default())
    }
}

impl fmt::Display for Rendered {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl HtmlSafe for Rendered {}

impl Layout {
    /// `port` is the port of this server.
    pub(super) fn new(stage: AppStage, port: u16, ttl: Duration, cookie_name: &str) -> Self {
        Self {
            stage,
            ttl,
            cookie_name: cookie_name.into(),
            explanations: Arc::new(Explanations::of(stage)),
            other_stages: Arc::new(Rendered::of(&OtherStages { stage, port })),
        }
    }

    /// Returns a layout for unit tests in which the values do not matter.
    #[cfg(test)]
    pub(super) fn of_any_app() -> Self {
        Self::new(AppStage::Store, 5000, Duration::from_secs(10), "session")
    }

    /// Whether the home page shows a countdown of the TTL.
    fn is_live(&self) -> bool {
        self.stage >= AppStage::Ttl
    }
}

/// The page at `GET /`.
#[derive(Template)]
#[template(path = "home.html")]
pub(super) struct Home<'a> {
    pub(super) layout: &'a Layout,
    pub(super) visit: &'a Visit,
    pub(super) arrived: Instant,
    pub(super) instances: &'a [OtherInstance],
}

impl Home<'_> {
    /// Returns the time from the arrival of the request to `instant`, as text.
    fn at(&self, instant: Instant) -> String {
        clock::seconds(instant.saturating_duration_since(self.arrived))
    }
}

/// What the home page shows about a visit. By default, the visitor has no cookie.
#[derive(Default)]
pub(super) struct Visit {
    /// The user name, if the visitor is logged in.
    pub(super) name: Option<String>,
    /// The number of visits that HINCRBY returned. `None` if no visit was counted.
    pub(super) visits: Option<i64>,
    pub(super) cookie: CookieView,
    /// The number of session cookies in the request.
    pub(super) cookies: usize,
    pub(super) hash: Option<HashView>,
    /// The round trips to Redis during this visit.
    pub(super) round_trips: Vec<RoundTrip>,
    /// The commands of `round_trips` as rows of a table, or `None` if there were none.
    pub(super) commands: Option<Arc<Commands>>,
    /// The earlier commands of the same session.
    pub(super) earlier: Vec<Arc<Commands>>,
}

/// What the home page shows about the cookie.
#[derive(Default)]
pub(super) enum CookieView {
    #[default]
    Absent,
    /// The cookie was ignored. Contains the reason as a clause, without a capital letter or a full stop.
    Ignored(&'static str),
    /// In stages 1 to 3, the beginning of the signature. The rest is not shown, because a script on the page
    /// could then forge the cookie.
    Signed { signature: String },
    /// In stage 4, the token. Only its first characters and its Redis key are shown.
    Token(Token),
}

/// What the home page shows about the hash in Redis.
pub(super) struct HashView {
    pub(super) key: String,
    pub(super) fields: Fields,
    /// The time on the Redis server, in seconds since 1970.
    pub(super) now: u64,
    pub(super) ttl: Option<Duration>,
}

/// The maximum number of fields of a hash to show. A session has three fields, but anyone with access to
/// Redis can add more.
const MOST_FIELDS: usize = 20;
/// The maximum number of bytes to show of the name or value of a field. A user name has at most 256 bytes.
const LONGEST_FIELD: usize = 400;

/// Returns the first fields of a hash, shortened. Adds the age of the session to the value of the field
/// `created`. `now` is in seconds since 1970.
pub(super) fn shown(fields: &Fields, now: u64) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let fields = fields.iter().take(MOST_FIELDS);
    fields.map(move |(name, value)| {
        let value = beginning(value);
        let created = value.parse::<u64>().ok().filter(|_| name == b"created");
        let shown = match created {
            Some(created) => [&value, " (", &age(now, created), " ago)"].concat().into(),
            None => value,
        };
        (beginning(name), shown)
    })
}

/// Returns the time between `created` and `now` in words: `3 minutes`.
fn age(now: u64, created: u64) -> String {
    clock::age(now.saturating_sub(created).try_into().unwrap_or(i64::MAX))
}

fn beginning(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_FIELD)])
}

/// The part of the home page that explains how to start the other stages.
#[derive(Template)]
#[template(path = "other_stages.html")]
struct OtherStages {
    /// The stage of this server.
    stage: AppStage,
    /// The port of this server.
    port: u16,
}

impl OtherStages {
    /// Returns all stages except the stage of this server, each with the port that the page suggests for it.
    fn others(&self) -> impl Iterator<Item = (AppStage, u16)> {
        let others = AppStage::ALL.into_iter().filter(|stage| *stage != self.stage);
        others.map(|stage| match 5000 + u16::from(stage.number()) {
            port if port == self.port => (stage, port + 4),
            port => (stage, port),
        })
    }
}

/// The page at `GET /login`.
#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage<'a> {
    pub(super) layout: &'a Layout,
    /// The reason why the login form was rejected. `None` if it has not been sent.
    pub(super) message: Option<String>,
}

/// The page for every status of 400 or higher. If only a field of the login form is invalid, the login page
/// is shown instead.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    layout: &'a Layout,
    title: &'a str,
    /// The sentence to show, without its full stop.
    text: &'a str,
    /// The fault of Redis that caused the error, if any.
    redis: Option<&'a RedisFault>,
    /// Whether the page contains a logout button.
    offers_logout: bool,
}

pub(super) fn page(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Returns a page that shows the status and one sentence. `text` is the sentence without its full stop.
pub(super) fn error(layout: &Layout, status: StatusCode, text: &str) -> Response {
    let error = ErrorPage {
        layout,
        title: status.canonical_reason().unwrap_or("Error"),
        text,
        redis: None,
        offers_logout: false,
    };
    page(status, &error)
}

/// Returns a 500 response to a request whose handler panicked.
pub(super) fn internal_error(layout: &Layout) -> Response {
    error(
        layout,
        StatusCode::INTERNAL_SERVER_ERROR,
        "This request failed because of an error in sessiontut; the server is still running",
    )
}

/// Returns a 403 response to a form that another site has sent.
pub(super) fn cross_site_form(layout: &Layout) -> Response {
    let text = "The form came from another site, so it was refused";
    close_connection(error(layout, StatusCode::FORBIDDEN, text))
}

/// Returns a 403 response to a logout request that the visitor did not make. The page contains a logout
/// button.
pub(super) fn unintended_logout(layout: &Layout) -> Response {
    let page_without_logout = ErrorPage {
        layout,
        title: "Log out?",
        text: "You are still logged in, because the request for the logout came from another site or from a prefetch",
        redis: None,
        offers_logout: true,
    };
    page(StatusCode::FORBIDDEN, &page_without_logout)
}

/// Returns a 403 response to a browser's request that is not a visit, such as a prefetch.
pub(super) fn not_a_visit(layout: &Layout) -> Response {
    let text = "The app counts a visit only if you open this page in a browser tab, not for a prefetch, a frame or a script";
    error(layout, StatusCode::FORBIDDEN, text)
}

/// Returns a 403 response to a login from a browser that would not store the cookie.
pub(super) fn insecure_origin(layout: &Layout) -> Response {
    let text = "No session was created, because the server is running with --secure-cookies, and your browser would \
                not keep the cookie. Open the page at https://, or on the server's own computer at http://127.0.0.1 or \
                http://localhost";
    error(layout, StatusCode::FORBIDDEN, text)
}

/// Returns the response to an invalid login form. Shows the login page with a message if only a field is
/// invalid. Otherwise, shows an error page.
pub(super) fn refused_form(layout: &Layout, fault: &FormError) -> Response {
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

/// Returns a 503 response with the diagnosis of `ping`.
pub(super) fn unavailable(layout: &Layout, fault: &RedisFault) -> Response {
    let error = ErrorPage {
        layout,
        title: "Redis is unavailable",
        text: &sentence(&fault.summary),
        redis: Some(fault),
        offers_logout: false,
    };
    let retry = [(RETRY_AFTER, RETRY_AFTER_FAULT)];
    (retry, page(StatusCode::SERVICE_UNAVAILABLE, &error)).into_response()
}

/// Changes the first letter to upper case, unless the text starts with a host name or a command.
pub(super) fn sentence(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    match word.bytes().all(|byte| byte.is_ascii_lowercase()) && !word.is_empty() {
        true => format!("{}{}", text[..1].to_uppercase(), &text[1..]),
        false => text.to_owned(),
    }
}

/// Makes the server close the connection after this response, because the next bytes on the connection might
/// not be a valid request.
pub(super) fn close_connection(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_stage_is_suggested_on_the_port_of_this_server() {
        for port in 5000..5006 {
            for stage in AppStage::ALL {
                let others = OtherStages { stage, port };
                let ports: Vec<u16> = others.others().map(|(_, other)| other).collect();
                assert!(!ports.contains(&port), "stage {stage}: {ports:?} on {port}");
            }
        }
    }
}

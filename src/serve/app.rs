//! The app's routes: request ─▶ session ─▶ page, and what each answers when something is in the way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, Method, StatusCode, Version};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use serde_json::json;
use tower::Service;

use super::body::{self, BodyFault};
use super::fault::Fault;
use super::http::Answer;
use super::log::{AccessLog, Entry};
use super::origin::{Sender, sender};
use super::page::{self, Frame, Home, Login, Notice};
use super::sessions::{Sessions, Visit};
use super::{assets, cookies, elsewhere, events, form, headers, source};
use crate::deadline::Deadline;

/// From a request's head to its answer: 0.2 s under the two that a visitor may be kept waiting.
const ANSWER_WITHIN: Duration = Duration::from_millis(1800);
/// Seconds after which it is worth asking again.
const RETRY_AFTER_FAULT: HeaderValue = HeaderValue::from_static("2");

/// A running server's parts, shared by all connections of a worker.
pub(super) struct App {
    pub(super) frame: Frame,
    pub(super) sessions: Arc<Sessions>,
    pub(super) cookies: cookies::Attributes,
    pub(super) elsewhere: Arc<elsewhere::Board>,
    pub(super) streams: events::Streams,
}

/// The app behind its router: what a connection asks.
pub(super) struct Site {
    app: Arc<App>,
    router: Router,
    log: Option<AccessLog>,
}

impl Site {
    /// The routes of `app`.
    pub(super) fn new(app: Arc<App>, log: Option<AccessLog>) -> Self {
        let site_app = app.clone();
        let mut router = Router::new()
            // A HEAD is a question about the page: it must neither count a visit nor end a session.
            .route("/", get(home).head(nothing))
            .route("/login", get(login_page).post(login))
            .route("/logout", get(logout).head(nothing))
            .route("/events", get(watch_session).head(nothing))
            .route("/healthz", get(health))
            .route("/source", get(show_source));
        for asset in &assets::ALL {
            let answer = move |request: Request| async move { asset.answer(request.headers()) };
            router = router.route(asset.path, MethodRouter::new().get(answer));
        }
        let router = router
            .fallback(not_found)
            .method_not_allowed_fallback(not_allowed)
            .with_state(app);
        Self {
            app: site_app,
            router,
            log,
        }
    }
}

impl Answer for Site {
    async fn answer(self: Arc<Self>, request: Request<hyper::body::Incoming>, peer: SocketAddr) -> Response {
        let entry = self.log.as_ref().map(|_| Entry::begin(&request, peer));
        let mut response = match broken_rule(&request) {
            Some(rule) => closing(notice(
                &self.app.frame,
                StatusCode::BAD_REQUEST,
                "Bad request",
                rule,
            )),
            // The page that everyone looks at does without the router's allocations.
            None if request.method() == Method::GET && request.uri().path() == "/" => {
                visit_home(&self.app, request.headers()).await
            }
            None => match self.router.clone().call(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
        };
        headers::complete(&mut response);
        if let (Some(log), Some(entry)) = (&self.log, entry) {
            log(entry.end(response.status(), response.body().size_hint().exact()));
        }
        response
    }
}

/// What RFC 9112 asks of every request and hyper leaves to us (section 3.2).
fn broken_rule<B>(request: &Request<B>) -> Option<&'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Some("The request names two hosts"),
        (None, None) if request.version() == Version::HTTP_11 => Some("The request names no host"),
        (Some(host), None) => match request.uri().authority() {
            Some(authority)
                if !authority
                    .as_str()
                    .as_bytes()
                    .eq_ignore_ascii_case(host.as_bytes()) =>
            {
                Some("The request's address and its Host differ")
            }
            None if !host.as_bytes().iter().all(can_be_in_a_host) => Some("The request's Host is no host"),
            _ => None,
        },
        _ => None,
    }
}

/// RFC 3986, section 3.2.2, and the colon before a port.
fn can_be_in_a_host(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte)
}

async fn home(State(app): State<Arc<App>>, request: Request) -> Response {
    visit_home(&app, request.headers()).await
}

async fn visit_home(app: &App, headers: &HeaderMap) -> Response {
    let deadline = Deadline::after(ANSWER_WITHIN);
    match app.sessions.visit(cookies::session(headers), deadline).await {
        Ok(visit) => home_page(app, &visit),
        Err(fault) => unavailable(app, &fault),
    }
}

fn home_page(app: &App, visit: &Visit) -> Response {
    let elsewhere = app.elsewhere.rendered();
    page::answer(
        StatusCode::OK,
        &Home {
            frame: &app.frame,
            name: visit.name(),
            visits: visit.visits(),
            cookie: visit.cookie_view(),
            hash: visit.hash_view(),
            asked: &visit.asked,
            earlier: &visit.earlier,
            elsewhere: &elsewhere,
        },
    )
}

async fn login_page(State(app): State<Arc<App>>) -> Response {
    login_form(&app, StatusCode::OK, None)
}

async fn login(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if sender(&head.headers) == Sender::Foreign {
        let text = "The form was sent by a page of another site, and logs nobody in";
        return closing(notice(&app.frame, StatusCode::FORBIDDEN, "Not from here", text));
    }
    let body = match body::read(&head.headers, body).await {
        Ok(body) => body,
        Err(fault) => return refused_body(&app, fault),
    };
    let name = match form::user_name(&body) {
        Ok(name) => name,
        Err(fault) => {
            return login_form(&app, StatusCode::UNPROCESSABLE_ENTITY, Some(fault.to_string()));
        }
    };
    let deadline = Deadline::after(ANSWER_WITHIN);
    let before = cookies::session(&head.headers);
    match app.sessions.login(&name, before, deadline).await {
        Ok(cookie) => redirect_home(app.cookies.set(&cookie)),
        Err(fault) => unavailable(&app, &fault),
    }
}

fn login_form(app: &App, status: StatusCode, message: Option<String>) -> Response {
    let frame = &app.frame;
    page::answer(status, &Login { frame, message })
}

fn refused_body(app: &App, fault: BodyFault) -> Response {
    let (status, title, text) = match fault {
        BodyFault::TooLong => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "Too long",
            "A form has at most 16 KiB here",
        ),
        BodyFault::Chunked => (
            StatusCode::LENGTH_REQUIRED,
            "Length required",
            "A form must come with its length, not in chunks",
        ),
        BodyFault::TimedOut => (
            StatusCode::REQUEST_TIMEOUT,
            "Too slow",
            "The form did not arrive within 5 seconds",
        ),
        BodyFault::Broken => (
            StatusCode::BAD_REQUEST,
            "Bad request",
            "The form broke off on its way",
        ),
    };
    closing(notice(&app.frame, status, title, text))
}

async fn logout(State(app): State<Arc<App>>, request: Request) -> Response {
    let Some(cookie) = cookies::session(request.headers()) else {
        return redirect_home(None);
    };
    match app.sessions.logout(cookie, Deadline::after(ANSWER_WITHIN)).await {
        Ok(()) => redirect_home(Some(app.cookies.delete())),
        // The cookie stays: whoever tries again can still end the session.
        Err(fault) => unavailable(&app, &fault),
    }
}

async fn watch_session(State(app): State<Arc<App>>, request: Request) -> Response {
    let who = app.sessions.who(cookies::session(request.headers()));
    app.streams.answer(app.sessions.clone(), who)
}

async fn health(State(app): State<Arc<App>>) -> Response {
    let step = app.frame.step.number();
    let (status, health) = match app.sessions.health(Deadline::after(ANSWER_WITHIN)).await {
        Ok(()) => (StatusCode::OK, json!({ "ok": true, "step": step })),
        Err(fault) => (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "ok": false, "step": step, "cause": fault.code, "summary": fault.summary }),
        ),
    };
    let mut response = Response::new(Body::from(format!("{health}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status != StatusCode::OK {
        headers.insert(RETRY_AFTER, RETRY_AFTER_FAULT);
    }
    response
}

async fn show_source(State(app): State<Arc<App>>, request: Request) -> Response {
    match source::page(&app.frame, request.uri().query().unwrap_or_default()) {
        Some(page) => page::answer(StatusCode::OK, &page),
        None => notice(
            &app.frame,
            StatusCode::NOT_FOUND,
            "No such source",
            "There are four steps, and a list of languages on the page of each",
        ),
    }
}

async fn nothing() -> Response {
    let mut response = Response::new(Body::empty());
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    response
}

async fn not_found(State(app): State<Arc<App>>) -> Response {
    let text = "Nothing is at this address";
    notice(&app.frame, StatusCode::NOT_FOUND, "Not found", text)
}

async fn not_allowed(State(app): State<Arc<App>>) -> Response {
    let text = "This address does not answer to that method";
    notice(
        &app.frame,
        StatusCode::METHOD_NOT_ALLOWED,
        "Method not allowed",
        text,
    )
}

fn redirect_home(cookie: Option<HeaderValue>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static("/"));
    if let Some(cookie) = cookie {
        headers.insert(SET_COOKIE, cookie);
    }
    response
}

/// 503: what is wrong with Redis, in ping's words.
fn unavailable(app: &App, fault: &Fault) -> Response {
    let mut response = page::answer(
        StatusCode::SERVICE_UNAVAILABLE,
        &Notice {
            frame: &app.frame,
            title: "Redis does not serve us now",
            text: &fault.summary,
            trouble: Some(page::Trouble {
                evidence: &fault.evidence,
                fixes: &fault.fixes,
            }),
            again: "Try again",
        },
    );
    response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_FAULT);
    response
}

fn notice(frame: &Frame, status: StatusCode, title: &str, text: &str) -> Response {
    page::answer(
        status,
        &Notice {
            frame,
            title,
            text,
            trouble: None,
            again: "Home",
        },
    )
}

/// The last answer of its connection: what follows on it cannot be trusted to be a request.
fn closing(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

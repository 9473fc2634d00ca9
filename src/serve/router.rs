//! Defines the routes of `serve` and their handlers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use serde_json::json;
use tokio::sync::watch;
use tower_http::csrf::CsrfLayer;

use super::extractors::{Cause, SessionCookies, is_insecure_origin};
use super::health::Unhealthy;
use super::host::OwnHosts;
use super::instances::OtherInstance;
use super::layers::{self, AccessLog};
use super::lessons::{LESSONS, LessonPage, LessonsPage};
use super::login_form::LoginForm;
use super::pages::{self, Home, Layout, LoginPage};
use super::server::Ends;
use super::sessions::Sessions;
use super::source::SourcePage;
use super::{assets, events};
use crate::deadline::Deadline;

/// The maximum time between the head of a request and its response. It is 0.2 s shorter than the maximum time
/// that a visitor should have to wait, which is two seconds.
const ANSWER_WITHIN: Duration = Duration::from_millis(1800);
/// The number of seconds after which a client should repeat a request that failed because of Redis.
pub(super) const RETRY_AFTER_FAULT: HeaderValue = HeaderValue::from_static("2");

/// The state that all handlers share.
pub(super) struct AppState {
    pub(super) layout: Layout,
    pub(super) sessions: Arc<Sessions>,
    /// Whether the cookie is marked Secure, so that browsers send it only over HTTPS.
    pub(super) secure_cookies: bool,
    /// The other instances that use this Redis server, as found by the last announcement.
    pub(super) other_instances: watch::Receiver<Vec<OtherInstance>>,
    pub(super) streams: events::Streams,
}

/// Returns the routes of `app`, with all layers around them.
pub(super) fn router(app: AppState, hosts: OwnHosts, log: Option<AccessLog>) -> Router {
    let layout = app.layout.clone();
    let csrf = {
        let layout = layout.clone();
        CsrfLayer::new().with_rejection_response(move |_| pages::cross_site_form(&layout))
    };
    let mut router = Router::new()
        // A HEAD request must not count a visit or end a session.
        .route("/", get(home).head(empty_page))
        .route("/login", get(login_page).post(log_in).layer(csrf.clone()))
        .route(
            "/logout",
            get(log_out_by_link).head(empty_page).post(log_out).layer(csrf),
        )
        .route("/events", get(watch_session).head(empty_page))
        .route("/healthz", get(health))
        .route("/source", get(show_source))
        .route("/lesson", get(list_lessons))
        .route("/lesson/{id}", get(show_lesson));
    for asset in &assets::ALL {
        router = router.route(asset.path, get(|headers| asset.respond(headers)));
    }
    let router = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(Arc::new(app));
    layers::add(router, layout, hosts, log)
}

async fn home(
    State(app): State<Arc<AppState>>,
    cause: Cause,
    SessionCookies(cookies): SessionCookies,
) -> Response {
    if !cause.is_navigation {
        return pages::not_a_visit(&app.layout);
    }
    let arrived = Instant::now();
    let deadline = Deadline::after(ANSWER_WITHIN);
    let visit = match app.sessions.visit(&cookies, deadline).await {
        Ok(visit) => visit,
        Err(fault) => return pages::unavailable(&app.layout, &fault),
    };
    let home = Home {
        layout: &app.layout,
        visit: &visit,
        arrived,
        instances: &app.other_instances.borrow(),
    };
    pages::page(StatusCode::OK, &home)
}

async fn login_page(State(app): State<Arc<AppState>>) -> Response {
    let page = LoginPage {
        layout: &app.layout,
        message: None,
    };
    pages::page(StatusCode::OK, &page)
}

async fn log_in(
    State(app): State<Arc<AppState>>,
    SessionCookies(previous): SessionCookies,
    headers: HeaderMap,
    LoginForm(name): LoginForm,
) -> Response {
    if app.secure_cookies && is_insecure_origin(&headers) {
        return pages::insecure_origin(&app.layout);
    }
    let deadline = Deadline::after(ANSWER_WITHIN);
    match app.sessions.login(&name, &previous, deadline).await {
        Ok(value) => {
            let cookie = app.session_cookie(value);
            (CookieJar::new().add(cookie), Redirect::to("/")).into_response()
        }
        Err(fault) => pages::unavailable(&app.layout, &fault),
    }
}

/// Handles `GET /logout`, as in the tutorial. This app's own page sends a form instead, because any site can
/// contain a link to `/logout`.
async fn log_out_by_link(app: State<Arc<AppState>>, cause: Cause, cookies: SessionCookies) -> Response {
    if cause.is_navigation && cause.is_own {
        log_out(app, cookies).await
    } else {
        pages::unintended_logout(&app.layout)
    }
}

async fn log_out(State(app): State<Arc<AppState>>, SessionCookies(cookies): SessionCookies) -> Response {
    if cookies.is_empty() {
        return Redirect::to("/").into_response();
    }
    match app
        .sessions
        .logout(&cookies, Deadline::after(ANSWER_WITHIN))
        .await
    {
        Ok(()) => {
            let mut cookie = app.session_cookie(String::new());
            cookie.make_removal();
            (CookieJar::new().add(cookie), Redirect::to("/")).into_response()
        }
        // The cookie is kept, so that the visitor can try again to end the session.
        Err(fault) => pages::unavailable(&app.layout, &fault),
    }
}

impl AppState {
    fn session_cookie(&self, value: String) -> Cookie<'static> {
        Cookie::build((self.layout.cookie_name.to_string(), value))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.secure_cookies)
            .build()
    }
}

async fn watch_session(
    State(app): State<Arc<AppState>>,
    ConnectInfo(ends): ConnectInfo<Ends>,
    SessionCookies(cookies): SessionCookies,
) -> Response {
    let visitor = app.sessions.find(&cookies, Deadline::after(ANSWER_WITHIN)).await;
    app.streams.answer(app.sessions.clone(), ends.peer.ip(), visitor)
}

async fn health(State(app): State<Arc<AppState>>) -> Response {
    let stage = app.layout.stage.number();
    let json = |health: serde_json::Value| ([(CONTENT_TYPE, "application/json")], format!("{health}\n"));
    match app.sessions.health(Deadline::after(ANSWER_WITHIN)).await {
        Ok(()) => json(json!({ "ok": true, "stage": stage, "step": stage })).into_response(),
        Err(Unhealthy { shard, fault }) => {
            let mut body = json!({ "ok": false, "stage": stage, "step": stage, "cause": fault.code, "summary": fault.summary });
            if let Some(shard) = shard {
                body["shard"] = shard.into();
            }
            let status = StatusCode::SERVICE_UNAVAILABLE;
            (status, [(RETRY_AFTER, RETRY_AFTER_FAULT)], json(body)).into_response()
        }
    }
}

async fn show_source(State(app): State<Arc<AppState>>, RawQuery(query): RawQuery) -> Response {
    match SourcePage::new(&app.layout, &query.unwrap_or_default()) {
        Some(page) => pages::page(StatusCode::OK, &page),
        None => pages::error(
            &app.layout,
            StatusCode::NOT_FOUND,
            "There is no such language or stage",
        ),
    }
}

async fn list_lessons(State(app): State<Arc<AppState>>) -> Response {
    let page = LessonsPage {
        layout: &app.layout,
        lessons: &LESSONS,
    };
    pages::page(StatusCode::OK, &page)
}

async fn show_lesson(State(app): State<Arc<AppState>>, id: Result<Path<String>, PathRejection>) -> Response {
    let id = id.map_or_else(|_| String::new(), |Path(id)| id);
    match LessonPage::new(&app.layout, &id) {
        Some(page) => pages::page(StatusCode::OK, &page),
        None => pages::error(&app.layout, StatusCode::NOT_FOUND, "There is no such lesson"),
    }
}

async fn empty_page() -> Html<&'static str> {
    Html("")
}

async fn not_found(State(app): State<Arc<AppState>>) -> Response {
    pages::error(
        &app.layout,
        StatusCode::NOT_FOUND,
        "There is no page at this address",
    )
}

async fn method_not_allowed(State(app): State<Arc<AppState>>) -> Response {
    pages::error(
        &app.layout,
        StatusCode::METHOD_NOT_ALLOWED,
        "This address does not support that method",
    )
}

//! The tutorial's app, written with tower-sessions and its Redis store.

use std::env;
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::Router;
use serde::Deserialize;
use tower_sessions::session::Error;
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::*;

#[derive(Deserialize)]
struct Login {
    username: String,
}

struct Unavailable;

impl From<Error> for Unavailable {
    fn from(_: Error) -> Self {
        Self
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, "the session store is unavailable").into_response()
    }
}

async fn home(session: Session) -> Result<Response, Unavailable> {
    let Some(name) = session.get::<String>("username").await? else {
        return Ok(Html("You are not logged in").into_response());
    };
    let visits = session.get::<u64>("visits").await?.unwrap_or(0) + 1;
    session.insert("visits", visits).await?;
    let name = html_escape::encode_text(&name);
    let logout = r#"<form method="post" action="/logout"><button>Logout</button></form>"#;
    Ok(Html(format!("<p>Logged in as {name}<br>Visits: {visits}</p>{logout}")).into_response())
}

async fn form() -> Html<&'static str> {
    Html(r#"<form method="post"><input name="username"><button>Login</button></form>"#)
}

async fn login(session: Session, Form(login): Form<Login>) -> Result<Redirect, Unavailable> {
    session.clear().await;
    session.cycle_id().await?;
    session.insert("username", login.username).await?;
    session.insert("visits", 0_u64).await?;
    Ok(Redirect::to("/"))
}

async fn logout(session: Session) -> Result<Redirect, Unavailable> {
    session.flush().await?;
    Ok(Redirect::to("/"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let setting = |name| env::var(name).expect("the variable is set");
    let seconds = env::var("TTL").map_or(2, |ttl| ttl.parse().expect("TTL is a number"));
    let config = Config::from_url(&setting("REDIS_URL")).expect("REDIS_URL is a URL");
    let pool = Builder::from_config(config)
        .with_performance_config(|performance| performance.default_command_timeout = Duration::from_secs(1))
        .set_policy(ReconnectPolicy::new_constant(0, 100))
        .build_pool(2)
        .expect("the settings of the pool are valid");
    pool.init().await.expect("Redis answers");
    let ttl = Duration::from_secs(seconds);
    let sessions = SessionManagerLayer::new(RedisStore::new(pool))
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(ttl.try_into().expect("a short time")));
    let app = Router::new()
        .route("/", get(home))
        .route("/login", get(form).post(login))
        .route("/logout", post(logout))
        .layer(sessions);
    let address = (Ipv4Addr::LOCALHOST, setting("PORT").parse().expect("PORT is a number"));
    let listener = tokio::net::TcpListener::bind(address).await.expect("the port is free");
    axum::serve(listener, app).await.expect("the app runs");
}

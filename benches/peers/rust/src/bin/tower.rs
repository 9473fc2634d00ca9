//! The peer that uses axum with tower-sessions and its Redis store.

use std::net::Ipv4Addr;
use std::time::Duration;

use axum::extract::State;
use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use axum::{Form, Router};
use peers::{Page, port, setting};
use serde::Deserialize;
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::*;

#[derive(Deserialize)]
struct Login {
    username: String,
}

async fn login(session: Session, Form(login): Form<Login>) -> Redirect {
    session.cycle_id().await.expect("Redis answers");
    session.insert("username", login.username).await.expect("Redis answers");
    session.insert("visits", 0_u64).await.expect("Redis answers");
    Redirect::to("/")
}

async fn home(State(page): State<Page>, session: Session) -> Html<String> {
    let name: Option<String> = session.get("username").await.expect("Redis answers");
    let Some(name) = name else {
        return Html(page.saying("<h1>You are not logged in</h1>"));
    };
    let visits: u64 = session.get("visits").await.expect("Redis answers").unwrap_or(0) + 1;
    session.insert("visits", visits).await.expect("Redis answers");
    Html(page.saying(&format!("<h1>Logged in as {name}</h1><p>Visits: {visits}</p>")))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let config = Config::from_url(&setting("REDIS_URL")).expect("REDIS_URL is a URL");
    let pool = Pool::new(config, None, None, None, 1).expect("a pool");
    pool.connect();
    pool.wait_for_connect().await.expect("Redis is there");
    let sessions = SessionManagerLayer::new(RedisStore::new(pool))
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(Duration::from_secs(600).try_into().expect("ten minutes")));
    let app = Router::new()
        .route("/", get(home))
        .route("/login", post(login))
        .layer(sessions)
        .with_state(Page::from_environment());
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port())).await.expect("the port is free");
    axum::serve(listener, app).await.expect("it serves");
}

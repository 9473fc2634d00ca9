//! Stage 2: Redis counts the visits; the cookie is the same as in stage 1.

use axum::Router;
use axum::extract::{FromRef, State};
use axum::response::{Html, Redirect};
use axum::routing::get;
use axum_extra::extract::SignedCookieJar;
use axum_extra::extract::cookie::Key;
use common::{
    FORM, Outcome, RedisUnavailable, UserName, connect, cookie, escape, page,
    serve, signing_key,
};
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, RedisResult};

#[derive(Clone, FromRef)]
struct Shared {
    key: Key,
    redis: ConnectionManager,
}

// region visits
async fn count_visit(
    redis: &mut ConnectionManager,
    name: &str,
) -> RedisResult<u64> {
    redis
        .hincr(format!("sessiontut:user:{name}"), "visits", 1)
        .await
}

async fn index(
    State(mut redis): State<ConnectionManager>,
    jar: SignedCookieJar,
) -> Result<Html<String>, RedisUnavailable> {
    let Some(session) = jar.get("session") else {
        return Ok(page("You are not logged in"));
    };
    let visits = count_visit(&mut redis, session.value()).await?;
    let name = escape(session.value());
    Ok(page(&format!("Logged in as {name}<br>Visits: {visits}")))
}
// endregion visits

async fn login(
    jar: SignedCookieJar,
    UserName(name): UserName,
) -> (SignedCookieJar, Redirect) {
    (jar.add(cookie(name)), Redirect::to("/"))
}

async fn logout(jar: SignedCookieJar) -> (SignedCookieJar, Redirect) {
    (jar.remove(cookie(String::new())), Redirect::to("/"))
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let shared = Shared {
        key: signing_key()?,
        redis: connect().await?,
    };
    let app = Router::new()
        .route("/", get(index))
        .route("/login", get(async || FORM).post(login))
        .route("/logout", get(logout))
        .with_state(shared);
    serve(app).await
}

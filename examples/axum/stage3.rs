//! Stage 3: after 10 seconds without a visit, the count starts from 1 again.

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
use redis::RedisResult;
use redis::aio::ConnectionManager;

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
    let key = format!("sessiontut:user:{name}");
    let (visits,) = redis::pipe()
        .atomic() // MULTI … EXEC
        .hincr(&key, "visits", 1)
        .expire(&key, 10)
        .ignore()
        .query_async(redis)
        .await?;
    Ok(visits)
}
// endregion visits

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

//! Stage 1: the whole session is a signed cookie. Redis is not used.

use axum::Router;
use axum::response::{Html, Redirect};
use axum::routing::get;
use axum_extra::extract::SignedCookieJar;
use common::{
    FORM, Outcome, UserName, cookie, escape, page, serve, signing_key,
};

// region session
async fn index(jar: SignedCookieJar) -> Html<String> {
    match jar.get("session") {
        None => page("You are not logged in"),
        Some(session) => {
            page(&format!("Logged in as {}", escape(session.value())))
        }
    }
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
// endregion session

#[tokio::main]
async fn main() -> Outcome<()> {
    let app = Router::new()
        .route("/", get(index))
        .route("/login", get(async || FORM).post(login))
        .route("/logout", get(logout))
        .with_state(signing_key()?);
    serve(app).await
}

//! Code that all stages share: settings, the page, and validation of the login form.

use std::env;
use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{Html, IntoResponse, Response};
use axum_extra::extract::cookie::{Cookie, Key, SameSite};
use redis::RedisError;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

pub const FORM: Html<&str> = Html(
    r#"<!doctype html>
<title>Login</title>
<form method="post">
  <label>User name <input name="username" maxlength="64" required autofocus></label>
  <button>Login</button>
</form>
"#,
);

const TIMEOUT: Duration = Duration::from_secs(1);

pub type Outcome<T> = Result<T, Box<dyn Error>>;

// region settings
/// Derives the cookie-signing key from SECRET_KEY, which can have any length.
pub fn signing_key() -> Outcome<Key> {
    let secret =
        env::var("SECRET_KEY").map_err(|_| "SECRET_KEY is not set")?;
    Ok(Key::derive_from(&Sha256::digest(secret)))
}
// endregion settings

// region connect
/// Opens a connection. If it breaks, the next command opens a new one.
/// No command is sent twice.
pub async fn connect() -> Outcome<ConnectionManager> {
    let url = env::var("REDIS_URL").map_err(|_| "REDIS_URL is not set")?;
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(TIMEOUT))
        .set_response_timeout(Some(TIMEOUT))
        // By default, a command fails only after six connection attempts.
        .set_number_of_retries(0);
    let client = redis::Client::open(url)?;
    Ok(client.get_connection_manager_with_config(config).await?)
}
// endregion connect

// region unavailable
/// Redis did not reply, so the command may or may not have been executed.
pub struct RedisUnavailable;

impl From<RedisError> for RedisUnavailable {
    fn from(error: RedisError) -> Self {
        eprintln!("redis: {error}");
        Self
    }
}

impl IntoResponse for RedisUnavailable {
    fn into_response(self) -> Response {
        let body = page("Redis is unavailable. Please try again.");
        (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "2")], body)
            .into_response()
    }
}
// endregion unavailable

// region helpers
pub fn page(body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html>\n<title>Sessions</title>\n<p>{body}</p>\n"
    ))
}

pub fn escape(text: &str) -> impl std::fmt::Display + '_ {
    html_escape::encode_safe(text)
}

/// Returns the session cookie. If the app uses HTTPS, add `secure(true)`.
pub fn cookie(value: String) -> Cookie<'static> {
    Cookie::build(("session", value))
        .http_only(true)
        .same_site(SameSite::Lax)
        .path("/")
        .build()
}
// endregion helpers

/// The user name from a form that was sent by this site.
pub struct UserName(pub String);

#[derive(Deserialize)]
struct Fields {
    username: String,
}

impl<S: Send + Sync> FromRequest<S> for UserName {
    type Rejection = Response;

    async fn from_request(
        request: Request,
        state: &S,
    ) -> Result<Self, Response> {
        let site = request.headers().get("sec-fetch-site");
        if !matches!(
            site.map(|site| site.as_bytes()),
            None | Some(b"same-origin" | b"none")
        ) {
            return Err(StatusCode::FORBIDDEN.into_response());
        }
        let refused =
            || (StatusCode::UNPROCESSABLE_ENTITY, FORM).into_response();
        let form = Form::<Fields>::from_request(request, state).await;
        let Form(fields) = form.map_err(|_| refused())?;
        let name = fields.username.trim();
        if !(1..=64).contains(&name.chars().count())
            || name.chars().any(char::is_control)
        {
            return Err(refused());
        }
        Ok(Self(name.to_owned()))
    }
}

pub async fn serve(app: Router) -> Outcome<()> {
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port = env::var("PORT").unwrap_or_else(|_| "5000".to_owned());
    let listener = TcpListener::bind(format!("{host}:{port}")).await?;
    println!("http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

//! The one cookie: found in a request, set and deleted in a response.

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HeaderValue};

/// Its name.
const NAME: &str = "session";

/// The value of the first cookie of that name. Other cookies of the host may hold any bytes.
pub(super) fn session(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b';'))
        .filter_map(|pair| {
            std::str::from_utf8(pair)
                .ok()?
                .trim()
                .strip_prefix(NAME)?
                .strip_prefix('=')
        })
        .next()
        .filter(|value| !value.is_empty())
}

/// Whether the browser may send the cookie over plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attributes {
    /// Any connection: `HttpOnly; SameSite=Lax; Path=/`.
    Plain,
    /// HTTPS only: `Secure` as well.
    Secure,
}

impl Attributes {
    fn text(self) -> &'static str {
        match self {
            Self::Plain => "HttpOnly; SameSite=Lax; Path=/",
            Self::Secure => "HttpOnly; SameSite=Lax; Path=/; Secure",
        }
    }

    /// Sets the cookie, until the browser is closed.
    ///
    /// `None` for a value that no header can hold; neither a token nor a signed name is one.
    pub(super) fn set(self, value: &str) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("{NAME}={value}; {}", self.text())).ok()
    }

    /// Deletes it.
    pub(super) fn delete(self) -> HeaderValue {
        match self {
            Self::Plain => HeaderValue::from_static("session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"),
            Self::Secure => {
                HeaderValue::from_static("session=; HttpOnly; SameSite=Lax; Path=/; Secure; Max-Age=0")
            }
        }
    }
}

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::header::EXPECT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::StreamExt;
use percent_encoding::percent_decode;

use super::pages;
use super::router::AppState;
use crate::deadline::Deadline;
use crate::session::{self, NameError};

const FIELD: &str = "username";
/// The maximum size of a login form in bytes.
const LONGEST_FORM: usize = 16 * 1024;
/// How many more bytes of an oversized form are read and discarded. If the connection were closed immediately
/// instead, the client would not see the response.
const DISCARDED: usize = 1024 * 1024;
/// Time limit for the arrival of the whole login form.
const FORM_TIMEOUT: Duration = Duration::from_secs(5);

/// The user name from the login form. It is valid, and has no white space around it.
pub(super) struct LoginForm(pub(super) String);

impl FromRequest<Arc<AppState>> for LoginForm {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<AppState>) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let form = read_form(&parts.headers, body).await;
        let name = form.and_then(|form| name_in(&form));
        name.map(Self)
            .map_err(|error| pages::refused_form(&app.layout, &error))
    }
}

/// The reason why a login form is rejected, as shown on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormError {
    #[error("The form is larger than 16 KiB")]
    TooLarge,
    /// The form was sent in chunks. This is rejected, because a length that can be stated in two ways could
    /// allow request smuggling (RFC 9112, section 11.2).
    #[error("Send the form with the header Content-Length, not in chunks")]
    Chunked,
    #[error("The form did not arrive within 5 seconds")]
    TimedOut,
    #[error("The form was cut off")]
    Incomplete,
    #[error("The form has no field “username”, or its type is not application/x-www-form-urlencoded")]
    Missing,
    #[error("The field “username” occurs more than once")]
    Duplicate,
    #[error("The form is not UTF-8")]
    NotUtf8,
    #[error("{}", pages::sentence(&.0.to_string()))]
    Name(#[from] NameError),
}

impl FormError {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Chunked => StatusCode::LENGTH_REQUIRED,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Incomplete => StatusCode::BAD_REQUEST,
            Self::Missing | Self::Duplicate | Self::NotUtf8 | Self::Name(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        }
    }
}

async fn read_form(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, FormError> {
    // The size is known only if the request has a Content-Length.
    let size = body.size_hint();
    let is_too_large = size.lower() > LONGEST_FORM as u64;
    // A client that waits for `100 Continue` has not sent the body yet, so it can be refused immediately.
    if is_too_large && headers.contains_key(EXPECT) {
        return Err(FormError::TooLarge);
    }
    let collected = Deadline::after(FORM_TIMEOUT).bound(collect(body.into_data_stream()));
    let form = collected.await.map_err(|_| match is_too_large {
        true => FormError::TooLarge,
        false => FormError::TimedOut,
    })??;
    size.exact().map(|_| form).ok_or(FormError::Chunked)
}

async fn collect(mut body: BodyDataStream) -> Result<Vec<u8>, FormError> {
    let mut form = Vec::new();
    let mut received = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| FormError::Incomplete)?;
        received += chunk.len();
        if received <= LONGEST_FORM {
            form.extend_from_slice(&chunk);
        } else if received > LONGEST_FORM + DISCARDED {
            break;
        }
    }
    match received <= LONGEST_FORM {
        true => Ok(form),
        false => Err(FormError::TooLarge),
    }
}

pub(super) fn name_in(form: &[u8]) -> Result<String, FormError> {
    // The encoding is checked first, because `form_urlencoded` would replace bytes that are not UTF-8.
    percent_decode(form)
        .decode_utf8()
        .map_err(|_| FormError::NotUtf8)?;
    let mut names = url::form_urlencoded::parse(form).filter(|(name, _)| name == FIELD);
    let (_, name) = names.next().ok_or(FormError::Missing)?;
    if names.next().is_some() {
        return Err(FormError::Duplicate);
    }
    Ok(session::user_name(&name)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::LONGEST_NAME;

    #[test]
    fn a_name_is_trimmed_and_decoded() {
        for (body, name) in [
            ("username=ada", "ada"),
            ("username=+Ada+Lovelace+", "Ada Lovelace"),
            ("x=1&username=%C3%A9va&y", "éva"),
            ("%75sername=ada", "ada"),
            ("username=a%3Db=c%26d", "a=b=c&d"),
            ("username=%3Cscript%3E", "<script>"),
            ("username=100%", "100%"),
        ] {
            assert_eq!(name_in(body.as_bytes()).as_deref(), Ok(name), "{body}");
        }
        let longest = "é".repeat(LONGEST_NAME);
        assert_eq!(
            name_in(format!("username={longest}").as_bytes()),
            Ok(longest.clone())
        );
    }

    #[test]
    fn an_invalid_form_is_refused_with_its_reason() {
        for (body, error) in [
            (&b""[..], FormError::Missing),
            (b"user=ada", FormError::Missing),
            (b"{\"username\":\"ada\"}", FormError::Missing),
            (b"username=ada&username=eve", FormError::Duplicate),
            (b"username=ada&user%6eame=ada", FormError::Duplicate),
            (b"username=%ff", FormError::NotUtf8),
            (b"username=\xff", FormError::NotUtf8),
            (b"username=", FormError::Name(NameError::Empty)),
            (b"username", FormError::Name(NameError::Empty)),
            (b"username=%20+", FormError::Name(NameError::Empty)),
            (b"username=a%00b", FormError::Name(NameError::Control)),
            (
                b"username=a%0d%0aSet-Cookie:x",
                FormError::Name(NameError::Control),
            ),
            (b"username=%c2%85x%c2%9b", FormError::Name(NameError::Control)),
        ] {
            assert_eq!(name_in(body), Err(error), "{}", String::from_utf8_lossy(body));
        }
        let too_long = format!("username={}", "a".repeat(LONGEST_NAME + 1));
        assert_eq!(
            name_in(too_long.as_bytes()),
            Err(FormError::Name(NameError::TooLong))
        );
    }
}

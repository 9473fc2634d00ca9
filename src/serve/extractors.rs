//! Reads the session cookie, the login form, and the circumstances of a request.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{COOKIE, EXPECT, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum_extra::extract::cookie::Cookie;
use futures_util::StreamExt;
use percent_encoding::percent_decode;

use super::host::is_loopback;
use super::pages;
use super::router::AppState;
use crate::deadline::Deadline;
use crate::session::{self, NameError};

/// The maximum number of cookies with the name of the session cookie that are tried, because each may need a query to
/// Redis.
const MOST_COOKIES: usize = 4;
/// The name of the form field.
const FIELD: &str = "username";
/// The maximum size of a form in bytes.
const LONGEST_FORM: usize = 16 * 1024;
/// The maximum number of bytes after that to read and discard, because a client that is cut off while it sends never
/// sees the response.
const DISCARDED: usize = 1024 * 1024;
/// Time limit for the whole form to arrive.
const FORM_TIMEOUT: Duration = Duration::from_secs(5);

/// The values of the cookies with the name of the session cookie that are not empty.
///
/// Another application on this host, or on another host of the domain, can set a cookie with the same name. Browsers
/// send the most specific one first (RFC 6265, section 5.4), which is not always ours.
pub(super) struct SessionCookies(pub(super) Vec<String>);

impl SessionCookies {
    fn find(headers: &HeaderMap, name: &str) -> Self {
        let values = headers
            .get_all(COOKIE)
            .iter()
            // Other cookies of the host may contain any bytes.
            .flat_map(|header| Cookie::split_parse(String::from_utf8_lossy(header.as_bytes())))
            .filter_map(Result::ok)
            .filter(|cookie| cookie.name() == name && !cookie.value().is_empty())
            .map(|cookie| cookie.value().to_owned());
        Self(values.take(MOST_COOKIES).collect())
    }
}

impl FromRequestParts<Arc<AppState>> for SessionCookies {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, Infallible> {
        Ok(Self::find(&parts.headers, &app.layout.cookie_name))
    }
}

static FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
static FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
static FETCH_DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");
/// Headers in which browsers announce a prefetch.
static PREFETCH: [HeaderName; 4] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
];

/// What a browser says about the cause of a request (<https://www.w3.org/TR/fetch-metadata/>).
///
/// Browsers send these headers only over HTTPS and to loopback addresses, and curl sends none. So a request without
/// them is taken for a visitor's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// Whether the response will be a page that the visitor sees: not a prefetch, a frame, an image or a script's
    /// request.
    pub(super) is_navigation: bool,
    /// Whether this site's own page or the visitor caused it, rather than another site.
    pub(super) is_own: bool,
}

impl Cause {
    fn of(headers: &HeaderMap) -> Self {
        // If a header occurs twice, every value counts.
        let all = |name: &HeaderName, expected: &[&str]| {
            let mut values = headers.get_all(name).iter();
            values.all(|value| expected.iter().any(|expected| value == expected))
        };
        let is_prefetch = PREFETCH.iter().any(|name| {
            let mut values = headers.get_all(name).iter();
            values.any(|value| {
                let value = value.as_bytes().to_ascii_lowercase();
                [&b"prefetch"[..], b"prerender", b"preview"]
                    .iter()
                    .any(|word| value.windows(word.len()).any(|part| part == *word))
            })
        });
        Self {
            is_navigation: !is_prefetch
                && all(&FETCH_MODE, &["navigate"])
                && all(&FETCH_DESTINATION, &["document"]),
            is_own: all(&FETCH_SITE, &["same-origin", "none"]),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Cause {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// Whether the browser sent the form over HTTP from another host, so that it will not keep a cookie with `Secure`.
pub(super) fn is_insecure_origin(headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let host = origin.and_then(|origin| origin.strip_prefix("http://"));
    host.is_some_and(|host| !is_loopback(host))
}

/// The user name from the login form, valid and without surrounding white space.
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

/// The reason why a login form is refused. The texts are shown on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormError {
    #[error("The form is larger than 16 KiB")]
    TooLarge,
    /// Accepting two ways to state a length would allow request smuggling (RFC 9112, section 11.2).
    #[error("Send the form with a Content-Length, not in chunks")]
    Chunked,
    #[error("The form did not arrive within 5 seconds")]
    TimedOut,
    #[error("The form was cut off")]
    Incomplete,
    #[error("The field “username” is missing from the form, which must be application/x-www-form-urlencoded")]
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
    // The size is exact only if the request has a Content-Length.
    let size = body.size_hint();
    let is_too_large = size.lower() > LONGEST_FORM as u64;
    // A client that waits for `100 Continue` can be refused at once.
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

/// Reads any bytes as a form and as the header `Cookie`: for [`crate::untrusted`].
pub(crate) fn read_form_and_cookies(bytes: &[u8]) {
    let _ = name_in(bytes);
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        let _ = SessionCookies::find(&HeaderMap::from_iter([(COOKIE, value)]), "session");
    }
}

fn name_in(form: &[u8]) -> Result<String, FormError> {
    // Checked here, because `form_urlencoded` would replace bytes that are not UTF-8.
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
    fn all_session_cookies_with_a_value_are_found_in_order() {
        for (lines, found) in [
            (&[&b"session=abc"[..]][..], &["abc"][..]),
            (&[b"a=b;session=abc; c=d"], &["abc"]),
            (&[b"x=\xff\xfe; \tsession=abc\t"], &["abc"]),
            (&[b"session; sessions=x; __Host-session=y; session=abc"], &["abc"]),
            (&[b"session=abc", b"session=def"], &["abc", "def"]),
            (&[b"session=abc; session=def"], &["abc", "def"]),
            (&[b"session=; session=abc"], &["abc"]),
            (&[b"session=\"abc\""], &["\"abc\""]),
            (&[b"session=a=b"], &["a=b"]),
            // A cookie that is not UTF-8 can be neither a token nor a signed name.
            (&[b"session=\xff; session=abc"], &["\u{fffd}", "abc"]),
            (
                &[b"session=1; session=2; session=3; session=4; session=5"],
                &["1", "2", "3", "4"],
            ),
            (&[b"session="], &[]),
            (&[b"Session=abc"], &[]),
            (&[b"a=b, session=abc"], &[]),
            (&[], &[]),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
            }
            let shown: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
            assert_eq!(SessionCookies::find(&headers, "session").0, found, "{shown:?}");
        }
    }

    #[test]
    fn browsers_say_what_caused_a_request() {
        for (lines, is_navigation, is_own) in [
            (&[][..], true, true),
            (
                &[
                    ("sec-fetch-site", "same-origin"),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "document"),
                ],
                true,
                true,
            ),
            (&[("sec-fetch-site", "none")], true, true),
            (&[("sec-fetch-site", "cross-site")], true, false),
            (&[("sec-fetch-site", "same-site")], true, false),
            (
                &[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
                true,
                false,
            ),
            (&[("sec-fetch-dest", "image")], false, true),
            (&[("sec-fetch-dest", "iframe")], false, true),
            (&[("sec-fetch-mode", "cors")], false, true),
            (&[("sec-purpose", "prefetch")], false, true),
            (&[("sec-purpose", "prefetch;prerender")], false, true),
            (&[("purpose", "Prefetch")], false, true),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, HeaderValue::from_static(value));
            }
            let expected = Cause {
                is_navigation,
                is_own,
            };
            assert_eq!(Cause::of(&headers), expected, "{lines:?}");
        }
    }

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

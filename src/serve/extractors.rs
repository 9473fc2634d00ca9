//! Reads the session cookies from a request, and determines what caused the request.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{COOKIE, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum_extra::extract::cookie::Cookie;

use super::host::is_loopback;
use super::login_form;
use super::router::AppState;

/// The maximum number of session cookies to try per request. The limit is needed because each cookie can
/// cause a query to Redis.
const MOST_COOKIES: usize = 4;

/// The non-empty values of the cookies with the session cookie's name, in the order in which the browser sent
/// them. There are at most [`MOST_COOKIES`] values.
///
/// Another application on this host, or on another host of the domain, can set a cookie with the same name.
/// Browsers send the most specific cookie first (RFC 6265, section 5.4), but that cookie might belong to the
/// other application.
pub(super) struct SessionCookies(pub(super) Vec<String>);

impl SessionCookies {
    fn find(headers: &HeaderMap, name: &str) -> Self {
        let values = headers
            .get_all(COOKIE)
            .iter()
            // Cookies of other applications can contain any bytes.
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
/// The headers with which browsers announce a prefetch.
static PREFETCH: [HeaderName; 4] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
];

/// What caused a request, according to the browser (<https://www.w3.org/TR/fetch-metadata/>).
///
/// Browsers send the `Sec-Fetch-` headers only over HTTPS and to loopback addresses, and curl never sends
/// them. A request without these headers is therefore treated as if the visitor had caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// Whether the visitor will see the response as a page. False for a prefetch, a frame, an image or a
    /// script's request.
    pub(super) is_navigation: bool,
    /// Whether the visitor or a page of this site caused the request. False if another site caused the
    /// request.
    pub(super) is_own: bool,
}

impl Cause {
    fn of(headers: &HeaderMap) -> Self {
        // If a header occurs more than once, all its values must be expected ones.
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

/// Whether a form with these headers is from an HTTP page on a host that is not loopback. The browser then
/// ignores cookies with the attribute `Secure`.
pub(super) fn is_insecure_origin(headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let host = origin.and_then(|origin| origin.strip_prefix("http://"));
    host.is_some_and(|host| !is_loopback(host))
}

/// Reads arbitrary bytes as a form and as the header `Cookie`. [`crate::untrusted`] uses this function.
pub(crate) fn read_form_and_cookies(bytes: &[u8]) {
    let _ = login_form::name_in(bytes);
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        let _ = SessionCookies::find(&HeaderMap::from_iter([(COOKIE, value)]), "session");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            // A cookie that is not UTF-8 is neither a token nor a signed name.
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
}

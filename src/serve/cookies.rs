//! The one cookie: found in a request, set and deleted in a response.

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HeaderValue};

/// Its name.
const NAME: &str = "session";

/// Stands for a value that is no text: it was sent, and can be neither a token nor a signed name.
const NO_TEXT: &str = "\u{fffd}";

/// The value of the first cookie of that name. Other cookies of the host may hold any bytes.
pub(super) fn session(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b';'))
        .find_map(|pair| {
            pair.trim_ascii()
                .strip_prefix(NAME.as_bytes())?
                .strip_prefix(b"=")
        })
        .filter(|value| !value.is_empty())
        .map(|value| std::str::from_utf8(value).unwrap_or(NO_TEXT))
}

/// Whether the browser may send the cookie over plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attributes {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cookie_of_the_name_counts_whatever_stands_around_it() {
        for (lines, found) in [
            (&[&b"session=abc"[..]][..], Some("abc")),
            (&[b"a=b;session=abc; c=d"], Some("abc")),
            (&[b"x=\xff\xfe; \tsession=abc\t"], Some("abc")),
            (
                &[b"session; sessions=x; __Host-session=y; session=abc"],
                Some("abc"),
            ),
            (&[b"session=abc", b"session=def"], Some("abc")),
            (&[b"session=abc; session=def"], Some("abc")),
            (&[b"session=\"abc\""], Some("\"abc\"")),
            (&[b"session=a=b"], Some("a=b")),
            // The one that counts is not passed over because it is no text.
            (&[b"session=\xff; session=abc"], Some(NO_TEXT)),
            (&[b"session=; session=abc"], None),
            (&[b"Session=abc"], None),
            (&[b"session =abc"], None),
            (&[b"a=b, session=abc"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
            }
            let shown: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
            assert_eq!(session(&headers), found, "{shown:?}");
        }
    }
}

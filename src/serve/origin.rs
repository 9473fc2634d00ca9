//! Whether a POST comes from our own page: what stands between a visitor and another site's form.
//!
//! Browsers say where a request comes from in `Sec-Fetch-Site` (<https://www.w3.org/TR/fetch-metadata/>), older ones in
//! `Origin` (RFC 6454) alone. A client that sends neither is no browser, and carries nobody's cookies.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who sent a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// Our own page, a person's address bar, or no browser at all.
    Ours,
    /// A page of another site.
    Foreign,
}

/// Tells by the headers who sent a form.
pub(super) fn sender(headers: &HeaderMap) -> Sender {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter().peekable();
    let is_ours = if sites.peek().is_some() {
        sites.all(|site| matches!(site.as_bytes(), b"same-origin" | b"none"))
    } else {
        headers
            .get_all(ORIGIN)
            .iter()
            .all(|origin| is_host_of(origin.as_bytes(), headers))
    };
    if is_ours { Sender::Ours } else { Sender::Foreign }
}

/// Compares host and port; the scheme cannot be known behind a proxy that ends TLS.
fn is_host_of(origin: &[u8], headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let Ok(origin) = std::str::from_utf8(origin) else {
        return false;
    };
    let (authority, default_port) = match origin.split_once("://") {
        Some((scheme, authority)) if scheme.eq_ignore_ascii_case("http") => (authority, ":80"),
        Some((scheme, authority)) if scheme.eq_ignore_ascii_case("https") => (authority, ":443"),
        _ => return false,
    };
    // A browser leaves its scheme's own port out of Origin and of Host alike; others may write it.
    let plain = |name: &str| {
        name.strip_suffix(default_port)
            .unwrap_or(name)
            .to_ascii_lowercase()
    };
    !authority.is_empty() && plain(authority) == plain(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn sender_of(headers: &[(&'static str, &'static str)]) -> Sender {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        sender(&map)
    }

    #[test]
    fn sec_fetch_site_decides_where_it_is_sent() {
        let host = ("host", "127.0.0.1:5000");
        for (site, expected) in [
            ("same-origin", Sender::Ours),
            ("none", Sender::Ours),
            ("same-site", Sender::Foreign),
            ("cross-site", Sender::Foreign),
            ("", Sender::Foreign),
        ] {
            assert_eq!(sender_of(&[host, ("sec-fetch-site", site)]), expected, "{site}");
        }
        let both = [
            host,
            ("sec-fetch-site", "same-origin"),
            ("origin", "http://evil.example"),
        ];
        assert_eq!(sender_of(&both), Sender::Ours);
        let twice = [
            host,
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "cross-site"),
        ];
        assert_eq!(sender_of(&twice), Sender::Foreign);
    }

    #[test]
    fn without_it_the_origin_must_be_the_host() {
        for (host, origin, expected) in [
            ("127.0.0.1:5000", "http://127.0.0.1:5000", Sender::Ours),
            ("tut.example", "https://tut.example", Sender::Ours),
            ("tut.example:443", "https://tut.example", Sender::Ours),
            ("Tut.Example", "http://tut.example", Sender::Ours),
            ("[::1]:5000", "http://[::1]:5000", Sender::Ours),
            ("127.0.0.1:5000", "http://127.0.0.1:5001", Sender::Foreign),
            ("127.0.0.1:5000", "http://localhost:5000", Sender::Foreign),
            ("127.0.0.1:5000", "null", Sender::Foreign),
            ("127.0.0.1:5000", "", Sender::Foreign),
            ("tut.example:8080", "http://tut.example", Sender::Foreign),
            ("tut.example", "http://tut.example.evil.example", Sender::Foreign),
            ("tut.example", "file://", Sender::Foreign),
        ] {
            assert_eq!(
                sender_of(&[("host", host), ("origin", origin)]),
                expected,
                "{host} {origin}"
            );
        }
        assert_eq!(sender_of(&[("origin", "http://a.example")]), Sender::Foreign);
    }

    #[test]
    fn a_client_that_is_no_browser_is_let_in() {
        assert_eq!(sender_of(&[("host", "127.0.0.1:5000")]), Sender::Ours);
    }
}

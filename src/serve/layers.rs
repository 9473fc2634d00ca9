//! Layers around all routes: the access log, security headers, and the responses to panics and invalid hosts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{self, Method, StatusCode, Version};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tower::util::MapResponseLayer;
use tower_http::catch_panic::CatchPanicLayer;

use super::pages::{self, Layout};

/// Allows only this server's own style sheet, script, event stream and form, and no framing.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                   form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// The most characters of a path in the access log.
const LONGEST_PATH: usize = 200;

/// Adds the layers that every request passes through.
pub(super) fn add(router: Router, layout: Layout, log: Option<AccessLog>) -> Router {
    let router = router.layer((
        MapResponseLayer::new(add_headers),
        CatchPanicLayer::custom(move |_| pages::internal_error(layout)),
        from_fn_with_state(layout, refuse_invalid_host),
    ));
    match log {
        Some(log) => router.layer(from_fn_with_state(log, log_request)),
        None => router,
    }
}

fn add_headers<B>(mut response: http::Response<B>) -> http::Response<B> {
    let header = |name, value| (name, HeaderValue::from_static(value));
    let headers = response.headers_mut();
    headers.extend([
        header(CONTENT_SECURITY_POLICY, CSP),
        header(X_FRAME_OPTIONS, "DENY"),
        header(X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `no-referrer`, browsers would send `Origin: null` with this server's own form.
        header(REFERRER_POLICY, "same-origin"),
        header(OPENER_POLICY, "same-origin"),
        header(RESOURCE_POLICY, "same-origin"),
    ]);
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Returns 400 for requests that hyper accepts although they are invalid (RFC 9112, section 3.2).
async fn refuse_invalid_host(State(layout): State<Layout>, request: Request, next: Next) -> Response {
    match host_error(&request) {
        Some(text) => pages::close_connection(pages::error(layout, StatusCode::BAD_REQUEST, text)),
        None => next.run(request).await,
    }
}

fn host_error(request: &Request) -> Option<&'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Some("The request has two Host headers");
    }
    let Some(host) = host.map(HeaderValue::as_bytes) else {
        return (request.version() == Version::HTTP_11).then_some("The request has no Host header");
    };
    match request.uri().authority() {
        Some(authority) if !authority.as_str().as_bytes().eq_ignore_ascii_case(host) => {
            Some("The request's URL and its Host header differ")
        }
        None if !host.iter().all(is_host_byte) => Some("The Host header is invalid"),
        _ => None,
    }
}

/// Whether a host may contain the byte (RFC 3986, section 3.2.2), or it is the colon before a port.
fn is_host_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte)
}

/// Receives a complete entry. It must not block.
pub(crate) type AccessLog = Arc<dyn Fn(LogEntry) + Send + Sync>;

/// One request and its response, without cookies, query and body.
#[derive(Clone, Debug)]
pub(crate) struct LogEntry {
    /// When the head of the request arrived.
    pub at: SystemTime,
    /// The client's address.
    pub peer: SocketAddr,
    pub method: Method,
    /// The path without the query, shortened.
    pub path: String,
    pub status: u16,
    /// The size of the response's body in bytes; `None` for an event stream.
    pub bytes: Option<u64>,
    /// The time from the head of the request to the head of the response.
    pub took: Duration,
}

async fn log_request(
    State(log): State<AccessLog>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let (at, started) = (SystemTime::now(), Instant::now());
    let method = request.method().clone();
    let path = request.uri().path().chars().take(LONGEST_PATH).collect();
    let response = next.run(request).await;
    log(LogEntry {
        at,
        peer,
        method,
        path,
        status: response.status().as_u16(),
        bytes: response.body().size_hint().exact(),
        took: started.elapsed(),
    });
    response
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use axum::routing::get;
    use tower::Service;

    use super::super::AppStep;
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_500_with_the_security_headers() {
        #[allow(clippy::panic)]
        async fn panics() -> Result<(), Infallible> {
            panic!("in a handler")
        }
        let layout = Layout {
            step: AppStep::Store,
            ttl: Duration::from_secs(10),
        };
        let mut router = add(Router::new().route("/", get(panics)), layout, None);
        for _ in 0..2 {
            let request = Request::get("/").header(HOST, "x").body(Body::empty()).unwrap();
            let response = router.call(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert!(response.headers().contains_key(CONTENT_SECURITY_POLICY));
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        }
    }
}

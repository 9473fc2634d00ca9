//! Adds the layers around all routes: the access log, the security headers, the check of the Host header, and
//! the response after a panic.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{self, HeaderMap};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use percent_encoding::{CONTROLS, utf8_percent_encode};
use tower::util::MapResponseLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::validate_request::ValidateRequestHeaderLayer;

use super::host::{self, OwnHosts};
use super::pages::{self, Layout};
use super::server::Ends;

/// The headers of every response. A handler can override them.
static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    HeaderMap::from_iter([
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // This policy allows only this server's own style sheet, script, event stream and form. It does not
        // allow framing.
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            ),
        ),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // With `no-referrer`, browsers would send `Origin: null` with this server's own form.
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ])
});
/// The maximum number of characters of a path in the access log.
const LONGEST_PATH: usize = 200;
/// The maximum number of characters of a method in the access log.
const LONGEST_METHOD: usize = 32;

#[allow(clippy::result_large_err)] // The layer that checks the host expects the response itself.
pub(super) fn add(router: Router, layout: Layout, hosts: OwnHosts, log: Option<AccessLog>) -> Router {
    let router = router.layer((
        MapResponseLayer::new(add_headers),
        CatchPanicLayer::custom(move |_| pages::internal_error(&layout)),
        ValidateRequestHeaderLayer::custom(move |request: &mut Request| host::check(&hosts, request)),
    ));
    match log {
        Some(log) => router.layer(from_fn_with_state(log, log_request)),
        None => router,
    }
}

fn add_headers<B>(mut response: http::Response<B>) -> http::Response<B> {
    let own = std::mem::replace(response.headers_mut(), HEADERS.clone());
    response.headers_mut().extend(own);
    response
}

/// A function that receives each entry of the access log. It must not block.
pub(crate) type AccessLog = Arc<dyn Fn(LogEntry) + Send + Sync>;

/// A record of a request and its response. It does not contain cookies, the query or the body.
#[derive(Clone, Debug)]
pub(crate) struct LogEntry {
    /// When the head of the request arrived.
    pub at: SystemTime,
    pub peer: SocketAddr,
    /// The method, shortened if it is long.
    pub method: String,
    /// The path without the query, shortened if it is long. All bytes except printable ASCII are
    /// percent-encoded.
    pub path: String,
    pub status: u16,
    /// The size of the response's body in bytes, or `None` for an event stream.
    pub bytes: Option<u64>,
    /// The time between the arrival of the request's head and the completion of the response's head.
    pub took: Duration,
}

async fn log_request(
    State(log): State<AccessLog>,
    ConnectInfo(ends): ConnectInfo<Ends>,
    request: Request,
    next: Next,
) -> Response {
    let (at, started) = (SystemTime::now(), Instant::now());
    let method = request.method().as_str().chars().take(LONGEST_METHOD).collect();
    // hyper accepts paths with bytes that a browser would have percent-encoded.
    let path = utf8_percent_encode(request.uri().path(), CONTROLS).to_string();
    let path = path.chars().take(LONGEST_PATH).collect();
    let response = next.run(request).await;
    log(LogEntry {
        at,
        peer: ends.peer,
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
    use axum::http::StatusCode;
    use axum::http::header::HOST;
    use axum::routing::get;
    use tower::Service;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_500_with_the_security_headers() {
        #[allow(clippy::panic)]
        async fn panics() -> Result<(), Infallible> {
            panic!("in a handler")
        }
        let layout = Layout::of_any_app();
        let local: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let hosts = OwnHosts::new(local, Vec::new(), layout.clone());
        let mut router = add(Router::new().route("/", get(panics)), layout, hosts, None);
        for _ in 0..2 {
            let request = Request::get("/").header(HOST, "localhost");
            let request = request.extension(ConnectInfo(Ends { peer: local, local }));
            let request = request.body(Body::empty()).unwrap();
            let response = router.call(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert!(response.headers().contains_key(CONTENT_SECURITY_POLICY));
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        }
    }
}

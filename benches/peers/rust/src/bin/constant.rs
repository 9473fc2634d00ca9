//! The HTTP stack of `sessiontut serve` with a constant body. No session store on this stack can be faster.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::Response;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use peers::{Page, port};

const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                   form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The headers that `sessiontut serve` sends.
const HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", CSP),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let body = Bytes::from(Page::from_environment().saying("<h1>Logged in as ada</h1><p>Visits: 1</p>"));
    let home = move || {
        let body = body.clone();
        async move {
            let mut response = Response::new(Body::from(body));
            let headers = response.headers_mut();
            headers.reserve(10);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            for (name, value) in HEADERS {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            response
        }
    };
    let router = Router::new()
        .route("/", get(home))
        .route("/login", get(|| async { "" }).post(|| async { "" }));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port())).await.expect("the port is free");
    let service = TowerToHyperService::new(router);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
                let answer = service.call(request);
                async move { Ok::<_, Infallible>(answer.await.unwrap_or_default()) }
            });
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .max_buf_size(16 * 1024)
                .max_headers(64)
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

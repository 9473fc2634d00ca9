//! Sends one request with a browser's headers and cookies, and reads the response.

use std::sync::Arc;

use axum::BoxError;
use axum::body::{Body, to_bytes};
use hyper::body::Incoming;
use hyper::header::{COOKIE, HeaderValue, SET_COOKIE};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use url::form_urlencoded::Serializer;
use url::{Position, Url};

use super::Visitor;
use crate::check::form::Form;
use crate::check::page::Page;
use crate::check::proxy::Proxy;
use crate::deadline::Deadline;
use crate::redis_client::Stream;

/// The maximum number of bytes that are read from a page.
const LARGEST_PAGE: usize = 1024 * 1024;
/// The address of the other site for [`Cause::OtherSite`].
const OTHER_SITE: &str = "https://example.com";
const FORM: &str = "application/x-www-form-urlencoded";

/// The origin of a request, which determines the headers that a browser adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A link or form on the app's own pages.
    OwnPage,
    /// A link or form on another site.
    OtherSite,
    /// A browser's request to load a page in advance.
    Prefetch,
}

/// A request that a visitor sends.
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<String>,
    pub(super) cause: Cause,
}

impl Outgoing {
    pub(super) fn get(url: Url, cause: Cause) -> Self {
        Self {
            method: Method::GET,
            url,
            body: None,
            cause,
        }
    }

    /// Returns the request that submits a form.
    pub(super) fn form(form: &Form, cause: Cause) -> Self {
        let mut url = form.action.clone();
        let fields = Serializer::new(String::new()).extend_pairs(&form.fields).finish();
        if !form.is_post {
            url.set_query(Some(&fields));
            return Self::get(url, cause);
        }
        Self {
            method: Method::POST,
            url,
            body: Some(fields),
            cause,
        }
    }
}

impl Visitor {
    pub(super) async fn request(&mut self, request: &Outgoing, deadline: Deadline) -> Result<Page, String> {
        let patience = deadline.left();
        let site = Arc::clone(&self.site);
        let what = format!(
            "waiting for the response to {} {}; giving up",
            request.method,
            &request.url[Position::BeforePath..]
        );
        let answer = deadline.bound(self.answer(request));
        let answer = site.progress.during(&what, || deadline.left(), answer).await;
        let answer = match answer {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no response within {:.0} s", patience.as_secs_f64())),
        };
        // While Redis does not reply, the app may be unable to respond, so do not count a missing response.
        if answer.is_ok() || site.proxy.as_ref().is_none_or(Proxy::is_forwarding) {
            site.answered.count(answer.is_ok());
        }
        answer
    }

    async fn answer(&mut self, outgoing: &Outgoing) -> Result<Page, BoxError> {
        let stream = self.connect(&outgoing.url).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // This task ends when `sender` is dropped.
        tokio::spawn(connection);
        let response = sender.send_request(self.with_headers(outgoing)?).await?;
        self.read(response, &outgoing.url).await
    }

    async fn connect(&self, url: &Url) -> Result<Stream, BoxError> {
        let stream = TcpStream::connect(self.site.address).await?;
        let Some(tls) = &self.site.tls else {
            return Ok(Stream::Tcp(stream));
        };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned())?;
        let encrypted = tls.connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(encrypted)))
    }

    fn with_headers(&self, outgoing: &Outgoing) -> Result<Request<Body>, BoxError> {
        let Outgoing {
            method,
            url,
            body,
            cause,
        } = outgoing;
        let own_origin = url.origin().ascii_serialization();
        let (sec_fetch_site, origin) = match cause {
            Cause::OtherSite => ("cross-site", OTHER_SITE),
            Cause::OwnPage | Cause::Prefetch => ("same-origin", own_origin.as_str()),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(&url[Position::BeforePath..Position::AfterQuery])
            .header("host", own_origin.split_once("://").map_or("", |(_, host)| host))
            .header("user-agent", "Mozilla/5.0 (sessiontut check)")
            .header(
                "accept",
                "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8",
            )
            .header("connection", "close")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header("sec-fetch-site", sec_fetch_site);
        request = match cause {
            Cause::OwnPage => request
                .header("sec-fetch-user", "?1")
                .header("referer", url.as_str()),
            Cause::OtherSite => request.header("referer", format!("{OTHER_SITE}/")),
            Cause::Prefetch => request
                .header("sec-purpose", "prefetch")
                .header("purpose", "prefetch"),
        };
        let cookies = self.cookies_for(url);
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies);
        }
        let request = match body {
            Some(body) => request
                .header("content-type", FORM)
                .header("origin", origin)
                .body(Body::from(body.clone())),
            None => request.body(Body::empty()),
        };
        Ok(request?)
    }

    /// Stores the cookies of a response, and reads its body.
    async fn read(&mut self, response: Response<Incoming>, url: &Url) -> Result<Page, BoxError> {
        let (head, body) = response.into_parts();
        let text_of = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        for value in head.headers.get_all(SET_COOKIE) {
            // Like a browser, ignore an invalid cookie.
            let _ = self.jar.parse(&text_of(value), url);
        }
        let body = to_bytes(Body::new(body), LARGEST_PAGE)
            .await
            .map_err(|error| format!("cannot read a page of up to 1 MB: {error}"))?;
        let headers = head.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_string(), text_of(value)));
        Ok(Page::new(
            head.status.as_u16(),
            url.clone(),
            headers.collect(),
            String::from_utf8_lossy(&body).into_owned(),
        ))
    }
}

//! A visitor to the app. Like a browser, it keeps cookies until they expire, follows redirects, and sends a
//! form's hidden fields.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use cookie_store::CookieStore;
use hyper::header::{COOKIE, LOCATION, SET_COOKIE};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;
use url::form_urlencoded::Serializer;

use super::exchange::{Exchange, Hop};
use super::page::{Form, Page};
use super::progress::Progress;
use super::proxy::Proxy;
use super::settings::Settings;
use crate::deadline::Deadline;
use crate::redis_client::Stream;

/// How long a visitor waits for one response.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);
/// The maximum number of redirects that are followed.
const MOST_REDIRECTS: usize = 10;
/// The maximum number of bytes of a page that are read.
const LARGEST_PAGE: usize = 4 * 1024 * 1024;
/// The address of the other site for [`Cause::OtherSite`].
const OTHER_SITE: &str = "https://example.com";
const FORM: &str = "application/x-www-form-urlencoded";

/// The app and its settings, shared by all visitors.
pub(crate) struct Site {
    pub(crate) settings: Settings,
    pub(crate) address: SocketAddr,
    pub(crate) proxy: Option<Proxy>,
    /// Set if the app uses https.
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) answered: Arc<Answered>,
}

/// How many requests the app has answered, not counting those sent while Redis did not reply.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    answered: AtomicUsize,
    /// The number of requests without a response since the last [`Self::take_unanswered`].
    unanswered: AtomicUsize,
}

impl Answered {
    /// Whether the app has answered at least one request.
    pub(crate) fn has_any(&self) -> bool {
        self.answered.load(Ordering::Relaxed) > 0
    }

    /// Returns the number of requests without a response since the last call.
    pub(crate) fn take_unanswered(&self) -> usize {
        self.unanswered.swap(0, Ordering::Relaxed)
    }
}

/// A visitor with a cookie jar. A clone has copies of the cookies.
#[derive(Clone)]
pub(crate) struct Visitor {
    site: Arc<Site>,
    jar: CookieStore,
}

/// What caused a request. This determines the headers that a browser adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A link or form on the app's own pages.
    OwnPage,
    /// A link or form on another site.
    OtherSite,
    /// The browser loads the page in advance.
    Prefetch,
}

impl Visitor {
    /// Creates a visitor without cookies.
    pub(crate) fn new(site: &Arc<Site>) -> Self {
        Self {
            site: Arc::clone(site),
            jar: CookieStore::default(),
        }
    }

    /// Returns a visitor to another instance of the app, with the same cookies. The proxy does not record the
    /// Redis commands that its requests cause.
    pub(crate) fn moved_to(&self, address: SocketAddr) -> Self {
        let mut settings = self.site.settings.clone();
        // This fails only for URLs that cannot have a port.
        let _ = settings.base.set_port(Some(address.port()));
        Self {
            site: Arc::new(Site {
                settings,
                address,
                proxy: None,
                tls: self.site.tls.clone(),
                progress: Arc::clone(&self.site.progress),
                answered: Arc::clone(&self.site.answered),
            }),
            jar: self.jar.clone(),
        }
    }

    /// Returns the address of a path of the app.
    pub(crate) fn url(&self, path: &str) -> Url {
        self.site.settings.url(path)
    }

    /// Visits the home page.
    pub(crate) async fn home(&mut self) -> Exchange {
        self.get(&self.site.settings.pages.home.clone(), Cause::OwnPage)
            .await
    }

    /// Opens a path of the app.
    pub(crate) async fn get(&mut self, path: &str, cause: Cause) -> Exchange {
        let site = Arc::clone(&self.site);
        Exchange::record(site.proxy.as_ref(), async |hops| {
            self.follow(hops, Method::GET, site.settings.url(path), None, cause)
                .await;
        })
        .await
    }

    /// Opens the login page, fills in the form, and sends it.
    pub(crate) async fn log_in(&mut self, name: &str) -> Exchange {
        let site = Arc::clone(&self.site);
        Exchange::record(site.proxy.as_ref(), async |hops| {
            let form = self.fill_in(hops, name).await;
            self.send(hops, &form).await;
        })
        .await
    }

    /// Opens the login page, and fills in the form.
    pub(crate) async fn login_form(&mut self, name: &str) -> Form {
        self.fill_in(&mut Vec::new(), name).await
    }

    /// Sends a form.
    pub(crate) async fn submit(&mut self, form: &Form) -> Exchange {
        let site = Arc::clone(&self.site);
        Exchange::record(site.proxy.as_ref(), async |hops| self.send(hops, form).await).await
    }

    /// Sends a form, but does not follow the redirect.
    pub(crate) async fn submit_only(&mut self, form: &Form, cause: Cause) -> Exchange {
        let site = Arc::clone(&self.site);
        Exchange::record(site.proxy.as_ref(), async |hops| {
            let started = Instant::now();
            let body = Serializer::new(String::new()).extend_pairs(&form.fields).finish();
            let answer = self
                .request(&Method::POST, &form.action, Some(&body), cause)
                .await;
            let (method, url) = (Method::POST.to_string(), form.action.clone());
            hops.push(Hop {
                method,
                url,
                answer,
                took: started.elapsed(),
            });
        })
        .await
    }

    async fn fill_in(&mut self, hops: &mut Vec<Hop>, name: &str) -> Form {
        let site = Arc::clone(&self.site);
        let pages = &site.settings.pages;
        let login = site.settings.url(&pages.login);
        self.follow(hops, Method::GET, login.clone(), None, Cause::OwnPage)
            .await;
        let form = last_page(hops).and_then(|page| page.form_with(&pages.field));
        // An app with a JSON interface has no form.
        let mut form = form.unwrap_or_else(|| Form {
            action: login,
            is_post: true,
            fields: vec![(pages.field.clone(), String::new())],
        });
        for (field, value) in &mut form.fields {
            if *field == pages.field {
                name.clone_into(value);
            }
        }
        form
    }

    /// Logs out with the home page's logout form or, if there is no such form, with the link.
    pub(crate) async fn log_out(&mut self, home: &Page) -> Exchange {
        let path = self.site.settings.pages.logout.clone();
        if let Some(form) = home.form_posting_to(self.site.settings.url(&path).path()) {
            return self.submit(&form).await;
        }
        let followed = self.get(&path, Cause::OwnPage).await;
        let first = followed.hops.first().and_then(|hop| hop.answer.as_ref().ok());
        if !first.is_some_and(Page::may_be_for_post_only) {
            return followed;
        }
        self.post_logout().await
    }

    /// Sends a POST request to the logout path, as a script on the page may do.
    pub(crate) async fn post_logout(&mut self) -> Exchange {
        let form = Form {
            action: self.site.settings.url(&self.site.settings.pages.logout),
            is_post: true,
            fields: Vec::new(),
        };
        self.submit(&form).await
    }

    async fn send(&mut self, hops: &mut Vec<Hop>, form: &Form) {
        let mut fields = Serializer::new(String::new());
        fields.extend_pairs(&form.fields);
        let body = fields.finish();
        if form.is_post {
            self.follow(
                hops,
                Method::POST,
                form.action.clone(),
                Some(body),
                Cause::OwnPage,
            )
            .await;
        } else {
            let mut url = form.action.clone();
            url.set_query(Some(&body));
            self.follow(hops, Method::GET, url, None, Cause::OwnPage).await;
        }
    }

    /// Sends a request, and follows redirects within the app.
    async fn follow(
        &mut self,
        hops: &mut Vec<Hop>,
        mut method: Method,
        mut url: Url,
        mut body: Option<String>,
        cause: Cause,
    ) {
        for _ in 0..MOST_REDIRECTS {
            let started = Instant::now();
            let answer = self.request(&method, &url, body.as_deref(), cause).await;
            let status = answer.as_ref().map_or(0, |page| page.status);
            let location = answer
                .as_ref()
                .ok()
                .and_then(|page| page.headers_named(LOCATION.as_str()).next());
            let next = location.and_then(|location| url.join(location).ok());
            hops.push(Hop {
                method: method.to_string(),
                url: url.clone(),
                answer,
                took: started.elapsed(),
            });
            let Some(next) = next.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308)) else {
                return;
            };
            if next.origin() != self.site.settings.base.origin() {
                return;
            }
            if !matches!(status, 307 | 308) {
                (method, body) = (Method::GET, None);
            }
            url = next;
        }
    }

    async fn request(
        &mut self,
        method: &Method,
        url: &Url,
        body: Option<&str>,
        cause: Cause,
    ) -> Result<Page, String> {
        let deadline = Deadline::after(PATIENCE);
        let site = Arc::clone(&self.site);
        let what = format!(
            "waiting for the response to {method} {}; giving up",
            &url[url::Position::BeforePath..]
        );
        let answer = deadline.bound(self.answer(method, url, body, cause));
        let answer = site.progress.during(&what, || deadline.left(), answer).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no response within {} s", PATIENCE.as_secs())));
        let is_redis_there = site.proxy.as_ref().is_none_or(Proxy::is_forwarding);
        let counter = match &answer {
            Ok(_) => Some(&site.answered.answered),
            Err(_) => is_redis_there.then_some(&site.answered.unanswered),
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    async fn answer(
        &mut self,
        method: &Method,
        url: &Url,
        body: Option<&str>,
        cause: Cause,
    ) -> Result<Page, String> {
        let text = |error: hyper::Error| error.to_string();
        let stream = TcpStream::connect(self.site.address)
            .await
            .map_err(|error| error.to_string())?;
        let stream = match &self.site.tls {
            None => Stream::Tcp(stream),
            Some(tls) => {
                let host = url
                    .host_str()
                    .unwrap_or_default()
                    .trim_matches(['[', ']'])
                    .to_owned();
                let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
                let encrypted = tls.connect(name, stream).await;
                Stream::Tls(Box::new(encrypted.map_err(|error| error.to_string())?))
            }
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(text)?;
        // Ends when `sender` is dropped.
        tokio::spawn(connection);
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let origin = url.origin().ascii_serialization();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", origin.split_once("://").map_or("", |(_, host)| host))
            .header("user-agent", "Mozilla/5.0 (sessiontut check)")
            .header(
                "accept",
                "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8",
            )
            .header("connection", "close")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header(
                "sec-fetch-site",
                if cause == Cause::OtherSite {
                    "cross-site"
                } else {
                    "same-origin"
                },
            );
        match cause {
            Cause::OwnPage => {
                request = request
                    .header("sec-fetch-user", "?1")
                    .header("referer", url.as_str());
            }
            Cause::OtherSite => request = request.header("referer", format!("{OTHER_SITE}/")),
            Cause::Prefetch => {
                request = request
                    .header("sec-purpose", "prefetch")
                    .header("purpose", "prefetch");
            }
        }
        let cookies: Vec<String> = self
            .jar
            .get_request_values(url)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        let request = match body {
            Some(body) => request
                .header("content-type", FORM)
                .header(
                    "origin",
                    if cause == Cause::OtherSite {
                        OTHER_SITE
                    } else {
                        &origin
                    },
                )
                .body(Body::from(body.to_owned())),
            None => request.body(Body::empty()),
        };
        let response = sender
            .send_request(request.map_err(|error| error.to_string())?)
            .await
            .map_err(text)?;
        let (head, body) = response.into_parts();
        let headers: Vec<(String, String)> = head
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        for (name, value) in &headers {
            if name == SET_COOKIE.as_str() {
                // A browser ignores an invalid cookie.
                let _ = self.jar.parse(value, url);
            }
        }
        let body = to_bytes(Body::new(body), LARGEST_PAGE)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Page {
            status: head.status.as_u16(),
            url: url.clone(),
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// Returns the names and values of the cookies that are sent to the home page.
    pub(crate) fn cookies(&self) -> Vec<(String, String)> {
        let url = self.site.settings.url(&self.site.settings.pages.home);
        let values = self.jar.get_request_values(&url);
        values
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Returns the value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies()
            .into_iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value)
    }

    /// Returns a visitor with only this cookie.
    pub(crate) fn with_only_cookie(&self, name: &str, value: &str) -> Self {
        let mut other = Self::new(&self.site);
        // A browser ignores an invalid cookie.
        let _ = other
            .jar
            .parse(&format!("{name}={value}; Path=/"), &self.url("/"));
        other
    }

    /// Returns a copy of this visitor in which one cookie has another value, or is missing.
    pub(crate) fn with_cookie(&self, name: &str, value: Option<&str>) -> Self {
        let mut other = Self::new(&self.site);
        let url = self.site.settings.url(&self.site.settings.pages.home);
        for cookie in self.jar.matches(&url) {
            let value = match cookie.name() == name {
                true => value,
                false => Some(cookie.value()),
            };
            // If the path differed, the browser would have two cookies with this name.
            let (name, path) = (cookie.name(), String::from(&cookie.path));
            if let Some(value) = value {
                let _ = other.jar.parse(&format!("{name}={value}; Path={path}"), &url);
            }
        }
        other
    }
}

fn last_page(hops: &[Hop]) -> Option<&Page> {
    hops.last().and_then(|hop| hop.answer.as_ref().ok())
}

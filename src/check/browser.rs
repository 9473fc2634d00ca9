//! A visitor to the app. Like a browser, a visitor stores cookies, follows redirects, and submits hidden form
//! fields.

mod cookies;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cookie_store::CookieStore;
use hyper::Method;
use hyper::header::LOCATION;
use url::Url;
use url::form_urlencoded::Serializer;

use super::exchange::{Exchange, Hop};
use super::form::Form;
use super::page::Page;
use super::site::Site;
use crate::deadline::Deadline;
pub(crate) use request::Cause;

/// How long a visitor waits for a single response.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);
/// How long a visitor waits for a page, including redirects.
const PATIENCE_WITH_REDIRECTS: Duration = Duration::from_secs(12);
const MOST_REDIRECTS: usize = 10;
/// A visitor with a cookie jar. A clone has its own copies of the cookies.
#[derive(Clone)]
pub(crate) struct Visitor {
    site: Arc<Site>,
    jar: CookieStore,
}

impl Visitor {
    pub(crate) fn new(site: &Arc<Site>) -> Self {
        Self {
            site: Arc::clone(site),
            jar: CookieStore::default(),
        }
    }

    /// Returns a copy of this visitor, with the same cookies, that visits the app's instance at `address`.
    /// The copy does not use the proxy, so its exchanges contain no Redis commands.
    pub(crate) fn moved_to(&self, address: SocketAddr) -> Self {
        let mut settings = self.site.settings.clone();
        // Setting the port fails only for URLs without a host.
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

    pub(crate) fn url(&self, path: &str) -> Url {
        self.site.settings.url(path)
    }

    pub(crate) async fn home(&mut self) -> Exchange {
        self.get(&self.site.settings.pages.home.clone(), Cause::OwnPage)
            .await
    }

    pub(crate) async fn get(&mut self, path: &str, cause: Cause) -> Exchange {
        let site = Arc::clone(&self.site);
        Exchange::record(site.proxy.as_ref(), async |hops| {
            self.follow(hops, Method::GET, site.settings.url(path), None, cause)
                .await;
        })
        .await
    }

    /// Opens the login page, and submits the form with this user name.
    pub(crate) async fn log_in(&mut self, name: &str) -> Exchange {
        let site = Arc::clone(&self.site);
        Exchange::record(site.proxy.as_ref(), async |hops| {
            let form = self.fill_in(hops, name).await;
            self.send(hops, &form).await;
        })
        .await
    }

    /// Opens the login page, and returns its form with this user name filled in.
    pub(crate) async fn login_form(&mut self, name: &str) -> Form {
        self.fill_in(&mut Vec::new(), name).await
    }

    pub(crate) async fn submit(&mut self, form: &Form) -> Exchange {
        let site = Arc::clone(&self.site);
        Exchange::record(site.proxy.as_ref(), async |hops| self.send(hops, form).await).await
    }

    /// Sends a form. Does not follow a redirect in the response.
    pub(crate) async fn submit_only(&mut self, form: &Form, cause: Cause) -> Exchange {
        let site = Arc::clone(&self.site);
        Exchange::record(site.proxy.as_ref(), async |hops| {
            let started = Instant::now();
            let body = encoded(form);
            let answer = self
                .request(
                    &Method::POST,
                    &form.action,
                    Some(&body),
                    cause,
                    Deadline::after(PATIENCE),
                )
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
        // An app with a JSON API has no form.
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

    /// Logs out with the logout form on the home page. If there is no form, opens the logout page, and sends
    /// a POST request if that page rejects GET.
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

    /// Sends a POST request without fields to the logout path, as a script on the page might.
    pub(crate) async fn post_logout(&mut self) -> Exchange {
        let form = Form {
            action: self.site.settings.url(&self.site.settings.pages.logout),
            is_post: true,
            fields: Vec::new(),
        };
        self.submit(&form).await
    }

    async fn send(&mut self, hops: &mut Vec<Hop>, form: &Form) {
        let body = encoded(form);
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

    /// Sends a request, and follows redirects that stay within the app.
    async fn follow(
        &mut self,
        hops: &mut Vec<Hop>,
        mut method: Method,
        mut url: Url,
        mut body: Option<String>,
        cause: Cause,
    ) {
        let whole = Deadline::after(PATIENCE_WITH_REDIRECTS);
        for _ in 0..MOST_REDIRECTS {
            let started = Instant::now();
            let deadline = whole.within(PATIENCE);
            let answer = self
                .request(&method, &url, body.as_deref(), cause, deadline)
                .await;
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
}

fn last_page(hops: &[Hop]) -> Option<&Page> {
    hops.last().and_then(|hop| hop.answer.as_ref().ok())
}

fn encoded(form: &Form) -> String {
    Serializer::new(String::new()).extend_pairs(&form.fields).finish()
}

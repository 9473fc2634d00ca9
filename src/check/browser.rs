//! A visitor to the app. Like a browser, a visitor stores cookies, follows redirects, and submits hidden form
//! fields.

mod cookies;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cookie_store::CookieStore;
use hyper::header::LOCATION;
use url::Url;

use super::exchange::{Exchange, Hop};
use super::form::Form;
use super::page::Page;
use super::site::Site;
use crate::deadline::Deadline;
pub(crate) use request::Cause;
use request::Outgoing;

/// How long a visitor waits for a single response.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);
/// How long a visitor waits for a page, including redirects.
const PATIENCE_WITH_REDIRECTS: Duration = Duration::from_secs(12);
/// The maximum number of requests for a page, including redirects.
const MOST_HOPS: usize = 10;

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
        self.exchange(Outgoing::get(self.url(path), cause), MOST_HOPS)
            .await
    }

    /// Opens the login page, and submits the form with this user name.
    pub(crate) async fn log_in(&mut self, name: &str) -> Exchange {
        let site = Arc::clone(&self.site);
        Exchange::record(site.proxy.as_ref(), async |hops| {
            let form = self.fill_in(hops, name).await;
            let request = Outgoing::form(&form, Cause::OwnPage);
            self.follow(hops, request, MOST_HOPS).await;
        })
        .await
    }

    /// Opens the login page, and returns its form with this user name filled in.
    pub(crate) async fn login_form(&mut self, name: &str) -> Form {
        self.fill_in(&mut Vec::new(), name).await
    }

    pub(crate) async fn submit(&mut self, form: &Form) -> Exchange {
        self.exchange(Outgoing::form(form, Cause::OwnPage), MOST_HOPS)
            .await
    }

    /// Sends a form. Does not follow a redirect in the response.
    pub(crate) async fn submit_only(&mut self, form: &Form, cause: Cause) -> Exchange {
        self.exchange(Outgoing::form(form, cause), 1).await
    }

    async fn exchange(&mut self, request: Outgoing, most_hops: usize) -> Exchange {
        let site = Arc::clone(&self.site);
        let visit = async |hops: &mut Vec<Hop>| self.follow(hops, request, most_hops).await;
        Exchange::record(site.proxy.as_ref(), visit).await
    }

    async fn fill_in(&mut self, hops: &mut Vec<Hop>, name: &str) -> Form {
        let site = Arc::clone(&self.site);
        let pages = &site.settings.pages;
        let login = site.settings.url(&pages.login);
        let request = Outgoing::get(login.clone(), Cause::OwnPage);
        self.follow(hops, request, MOST_HOPS).await;
        let page = hops.last().and_then(|hop| hop.answer.as_ref().ok());
        let form = page.and_then(|page| page.form_with(&pages.field));
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
    pub(crate) async fn log_out(&mut self, home: &Exchange) -> Exchange {
        let path = self.site.settings.pages.logout.clone();
        let logout = self.url(&path);
        if let Some(form) = home.page().and_then(|page| page.form_posting_to(logout.path())) {
            return self.submit(&form).await;
        }
        let followed = self.get(&path, Cause::OwnPage).await;
        if !followed.first_page().is_some_and(Page::may_be_for_post_only) {
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

    /// Sends a request, and follows redirects that stay within the app.
    async fn follow(&mut self, hops: &mut Vec<Hop>, mut request: Outgoing, most_hops: usize) {
        let whole = Deadline::after(PATIENCE_WITH_REDIRECTS);
        for _ in 0..most_hops {
            let started = Instant::now();
            let answer = self.request(&request, whole.within(PATIENCE)).await;
            let redirect = answer.as_ref().ok().and_then(redirect);
            hops.push(Hop {
                method: request.method.to_string(),
                url: request.url.clone(),
                answer,
                took: started.elapsed(),
            });
            let Some((status, url)) = redirect else {
                return;
            };
            if url.origin() != self.site.settings.base.origin() {
                return;
            }
            request = match status {
                307 | 308 => Outgoing { url, ..request },
                _ => Outgoing::get(url, request.cause),
            };
        }
    }
}

/// Returns the status of a redirect and the address that it leads to.
fn redirect(page: &Page) -> Option<(u16, Url)> {
    let location = page.headers_named(LOCATION.as_str()).next()?;
    let url = page.url.join(location).ok()?;
    matches!(page.status, 301 | 302 | 303 | 307 | 308).then_some((page.status, url))
}

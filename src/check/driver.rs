//! A visitor to the tutorial's app with blocking methods, for `learn --yes` and the tests of `examples/`. Each
//! method returns the first response to a request, before any redirect.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use url::Url;

use super::browser::{Cause, Visitor};
use super::exchange::Exchange;
use super::form::Form;
use super::page::Page;
use super::progress::Progress;
use super::settings::{AppPages, Settings};
use super::site::Site;
use crate::signals;

/// The name of the session cookie in the tutorial's app.
const COOKIE: &str = "session";

/// A visitor to a tutorial app on this host. A clone has its own copies of the cookies.
#[derive(Clone)]
pub struct AppVisitor {
    visitor: Visitor,
    runtime: Arc<Runtime>,
}

/// The first response to a request, before any redirect.
#[derive(Clone, Debug)]
pub struct AppAnswer {
    pub status: u16,
    /// The headers in the order received. Names are in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The visible text of the response.
    pub text: String,
    /// The visit count in the text, or `None` if the text contains no count.
    pub visits: Option<i64>,
}

impl AppVisitor {
    /// Creates a visitor to the app on this port, without cookies.
    ///
    /// # Errors
    /// Returns the system's error if no runtime can be created.
    pub fn at(port: u16) -> std::io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let base = Url::parse(&format!("http://{address}/")).map_err(std::io::Error::other)?;
        let settings = Settings {
            stage: 4,
            only_stage: false,
            base,
            ttl: Duration::from_secs(10),
            max_age: None,
            pages: AppPages::default(),
        };
        let site = Site {
            settings,
            address,
            proxy: None,
            tls: None,
            progress: Arc::new(Progress::new(Box::new(|_, _| Box::new(|_| {})))),
            answered: Arc::default(),
        };
        Ok(Self {
            visitor: Visitor::new(&Arc::new(site)),
            runtime: Arc::new(signals::runtime()?),
        })
    }

    /// Sends a GET request for `path`, and returns the first response.
    ///
    /// # Errors
    /// Returns the reason if there is no response.
    pub fn get(&mut self, path: &str) -> Result<AppAnswer, String> {
        let exchange = self.runtime.block_on(self.visitor.get(path, Cause::OwnPage));
        AppAnswer::first_of(exchange)
    }

    /// Sends the login form with these fields. If `is_from_here` is false, the request looks as if another
    /// site had sent the form.
    ///
    /// # Errors
    /// Returns the reason if there is no response.
    pub fn post_login(&mut self, fields: &[(&str, &str)], is_from_here: bool) -> Result<AppAnswer, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let cause = match is_from_here {
            true => Cause::OwnPage,
            false => Cause::OtherSite,
        };
        let form = Form {
            action: self.visitor.url("/login"),
            is_post: true,
            fields: fields.iter().map(owned).collect(),
        };
        let exchange = self.runtime.block_on(self.visitor.submit_only(&form, cause));
        AppAnswer::first_of(exchange)
    }

    /// Returns the value of the session cookie, or `None` if the visitor has no session cookie.
    #[must_use]
    pub fn cookie(&self) -> Option<String> {
        self.visitor.cookie(COOKIE)
    }

    /// Returns a visitor to the same app whose only cookie is a session cookie with this value.
    #[must_use]
    pub fn with_cookie(&self, value: &str) -> Self {
        Self {
            visitor: self.visitor.with_only_cookie(COOKIE, value),
            runtime: Arc::clone(&self.runtime),
        }
    }
}

impl AppAnswer {
    fn first_of(exchange: Exchange) -> Result<Self, String> {
        let first = exchange.hops.into_iter().next();
        first.map_or_else(|| Err("no request".to_owned()), |hop| hop.answer.map(Self::of))
    }

    fn of(page: Page) -> Self {
        Self {
            status: page.status,
            text: page.text().to_owned(),
            visits: page.visits(&AppPages::default()),
            headers: page.headers,
            body: page.body,
        }
    }

    /// Returns the value of the first header with this name, which must be in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the values of all headers with this name, which must be in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let matching = self.headers.iter().filter(move |(found, _)| found == name);
        matching.map(|(_, value)| value.as_str())
    }
}

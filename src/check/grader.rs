//! The state that all checks share, including the app, the proxy, and the user names.

mod loss;
mod session;
mod shared_results;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::app::App;
use super::browser::Visitor;
use super::exchange::Exchange;
use super::form::Form;
use super::judged::{NotHeld, not_judged};
use super::progress::Countdown;
use super::proxy::Proxy;
use super::redis_command::Key;
use super::settings::{AppPages, Settings};
use super::site::Site;
use crate::random;
pub(crate) use loss::{Loss, RECOVER_WITHIN, RETRY};
pub(crate) use shared_results::{ActiveVisit, Silence, Waits};

/// The state of one run of `check`.
pub(crate) struct Grader {
    pub(crate) site: Arc<Site>,
    /// The app, or `None` if this program did not start the app.
    pub(crate) app: Option<App>,
    /// A random identifier that is part of every user name, so that names differ from those of earlier runs.
    run: String,
    names: usize,
    session_cookies: Option<Vec<String>>,
    shared_keys: Option<HashSet<Key>>,
    pub(crate) waits: Option<Waits>,
    pub(crate) silence: Option<Silence>,
    /// The tokens of all sessions of this run. A later check searches the app's output for these tokens.
    pub(crate) tokens: Vec<String>,
    /// The app's first crash or lasting failure after Redis was disturbed, for the check
    /// `recovers-without-a-restart`.
    pub(crate) outage: Option<Loss>,
    /// The number of checks in which the app did not respond in time.
    hung: usize,
    /// The reason why the remaining checks cannot run, or `None` if they can.
    pub(crate) gone: Option<String>,
}

/// A visitor who has logged in.
pub(crate) struct LoggedIn {
    pub(crate) visitor: Visitor,
    pub(crate) name: String,
    pub(crate) login: Exchange,
}

/// First names that `check` uses in user names. The initials differ, so the common prefix of all users' keys
/// ends before the name.
const FIRST_NAMES: [&str; 8] = ["ada", "grace", "edsger", "kay", "linus", "mary", "tim", "joan"];
/// The maximum number of visits if the app responds with errors.
const MOST_VISITS: usize = 3;
/// How long to wait for commands that the app sends after its response.
const SETTLE: Duration = Duration::from_millis(150);
impl Grader {
    pub(crate) fn new(site: Arc<Site>, app: Option<App>) -> Self {
        Self {
            site,
            app,
            run: random::hexadecimal::<3>(),
            names: 0,
            session_cookies: None,
            shared_keys: None,
            waits: None,
            silence: None,
            tokens: Vec::new(),
            outage: None,
            hung: 0,
            gone: None,
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.site.settings
    }

    pub(crate) fn pages(&self) -> &AppPages {
        &self.site.settings.pages
    }

    /// Returns the proxy, or [`NotHeld::NotJudged`] with `--black-box`, which uses no proxy.
    pub(crate) fn proxy(&self) -> Result<&Proxy, NotHeld> {
        let why = "with --black-box, `check` does not see the Redis commands that this check needs";
        self.site.proxy.as_ref().ok_or_else(|| not_judged(why))
    }

    /// Returns a new user name.
    pub(crate) fn name(&mut self) -> String {
        let first = FIRST_NAMES[self.names % FIRST_NAMES.len()];
        self.names += 1;
        // With two digits, no name is a prefix of another.
        format!("{first}-{}-{:02}", self.run, self.names)
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::new(&self.site)
    }

    /// Returns a new visitor, and the login form that the visitor has filled in with a new name.
    pub(crate) async fn visitor_at_login(&mut self) -> (Visitor, Form) {
        let name = self.name();
        let mut visitor = self.visitor();
        let form = visitor.login_form(&name).await;
        (visitor, form)
    }

    /// Logs in a new visitor with a new name. Returns [`NotHeld::NotJudged`] if the login fails, because the
    /// checks of stage 1 report failed logins.
    pub(crate) async fn logged_in(&mut self) -> Result<LoggedIn, NotHeld> {
        let name = self.name();
        self.logged_in_as(name).await
    }

    /// Logs in a new visitor with this name.
    pub(crate) async fn logged_in_as(&mut self, name: String) -> Result<LoggedIn, NotHeld> {
        let mut visitor = self.visitor();
        let login = visitor.log_in(&name).await;
        if let Some(Err(why)) = login.hops.last().map(|hop| &hop.answer) {
            return Err(not_judged(format!("the app did not respond to the login: {why}")));
        }
        if !login.is_accepted() || visitor.cookies().is_empty() {
            return Err(not_judged("the login failed: see login-leads-home"));
        }
        self.tokens
            .extend(visitor.cookies().into_iter().map(|(_, value)| value));
        Ok(LoggedIn { visitor, name, login })
    }

    /// Visits the home page. If the app responds with an error, repeats the visit with the same cookies, because on
    /// a busy computer, the app's timeout for Redis may expire. Only a repeated error is the app's fault.
    pub(crate) async fn home(&self, visitor: &mut Visitor) -> Exchange {
        let before = visitor.clone();
        let mut home = visitor.home().await;
        for _ in 1..MOST_VISITS {
            if home.page().is_none_or(|page| page.status < 500) {
                break;
            }
            tokio::time::sleep(RETRY).await;
            *visitor = before.clone();
            home = visitor.home().await;
        }
        home
    }

    /// Visits the home page. Fails if the page does not show that the user is logged in.
    pub(crate) async fn visit(&self, visit: &mut LoggedIn) -> Result<Exchange, NotHeld> {
        let exchange = visit.visitor.home().await;
        match self.shows_login(&exchange) {
            true => Ok(exchange),
            false => Err(not_judged(
                "the home page does not show that the user is logged in: see name-is-shown-escaped",
            )),
        }
    }

    /// Visits the home page, and returns its visit count. Fails if the page does not show the count.
    pub(crate) async fn count(&self, visit: &mut LoggedIn) -> Result<(i64, Exchange), NotHeld> {
        let exchange = self.visit(visit).await?;
        match self.visits(&exchange) {
            Some(visits) => Ok((visits, exchange)),
            None => Err(not_judged(
                "the home page does not show the number of visits: see visits-count-up",
            )),
        }
    }

    /// Returns the visit count on the page after the login, or `None` if the page shows no count.
    pub(crate) fn first_count(&self, user: &LoggedIn) -> Option<i64> {
        let shows_login = self.shows_login(&user.login);
        self.visits(&user.login).filter(|_| shows_login)
    }

    /// Whether the last page of this exchange shows a logged-in user.
    pub(crate) fn shows_login(&self, exchange: &Exchange) -> bool {
        exchange
            .page()
            .is_some_and(|page| page.is_logged_in(self.pages()))
    }

    /// Whether the last page of this exchange shows that the user `name` is logged in.
    pub(crate) fn shows_user(&self, exchange: &Exchange, name: &str) -> bool {
        exchange
            .page()
            .is_some_and(|page| page.shows_user(name, self.pages()))
    }

    /// Returns the visit count on the last page of this exchange, or `None` if the page shows no count.
    pub(crate) fn visits(&self, exchange: &Exchange) -> Option<i64> {
        exchange.page()?.visits(self.pages())
    }

    /// Waits for commands that the app sends after its response, and adds these commands to the exchange.
    pub(crate) async fn settle(&self, exchange: &mut Exchange) {
        tokio::time::sleep(SETTLE).await;
        if let Some(proxy) = &self.site.proxy {
            exchange.commands = proxy.since(exchange.mark);
        }
    }

    /// Starts a countdown of length `span`. `what` describes the purpose of the wait.
    pub(crate) fn countdown(&self, what: &str, span: Duration) -> Countdown {
        self.site.progress.countdown(what, span)
    }
}

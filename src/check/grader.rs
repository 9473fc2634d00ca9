//! The state that all checks share: the app, the proxy, new visitors and names, and results that several
//! checks need.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::app::App;
use super::browser::{Site, Visitor};
use super::checks::{Silence, Waits};
use super::exchange::Exchange;
use super::proxy::Proxy;
use super::redis_command::Key;
use super::settings::{AppPages, Settings};
use crate::deadline::Deadline;
use crate::random;

/// The state of a run of `check`.
pub(crate) struct Grader {
    pub(crate) site: Arc<Site>,
    /// The app, if this program has started it.
    pub(crate) app: Option<App>,
    /// An identifier of this run. Names contain it, so no name has been used before.
    run: String,
    names: usize,
    session_cookie: Option<String>,
    shared_keys: Option<HashSet<Key>>,
    pub(crate) waits: Option<Waits>,
    pub(crate) silence: Option<Silence>,
    /// The tokens of all sessions of this run. A check searches the app's output for them.
    pub(crate) tokens: Vec<String>,
    on_wait: OnWait,
}

/// A function that is called when a wait begins, with what the wait is for and its length. It returns a
/// function that shows the time left.
type OnWait = Box<dyn Fn(&'static str, Duration) -> Box<dyn FnMut(Duration)>>;

/// The result of a check: `Ok` if it passes, otherwise the reason.
pub(crate) type Judged = Result<(), NotHeld>;

/// Why a check does not pass.
#[derive(Debug)]
pub(crate) enum NotHeld {
    Fails(Box<Failure>),
    /// The check could not be judged, for this reason.
    NotJudged(String),
}

/// The evidence that a check fails.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) did: String,
    pub(crate) expected: String,
    pub(crate) got: String,
    /// The requests and their responses, one per line.
    pub(crate) http: Vec<String>,
    /// The Redis commands and their replies, one per line.
    pub(crate) redis: Vec<String>,
}

/// Returns the result of a check that fails.
pub(crate) fn fails(
    did: impl Into<String>,
    expected: impl Into<String>,
    got: impl Into<String>,
    exchanges: &[&Exchange],
) -> Judged {
    Err(NotHeld::Fails(Box::new(Failure {
        did: did.into(),
        expected: expected.into(),
        got: got.into(),
        http: exchanges
            .iter()
            .flat_map(|exchange| exchange.http_lines())
            .collect(),
        redis: exchanges
            .iter()
            .flat_map(|exchange| exchange.redis_lines())
            .collect(),
    })))
}

/// Returns the result of a check that cannot be judged.
pub(crate) fn not_judged(why: impl Into<String>) -> NotHeld {
    NotHeld::NotJudged(why.into())
}

/// A visitor who has just logged in.
pub(crate) struct LoggedIn {
    pub(crate) visitor: Visitor,
    pub(crate) name: String,
    pub(crate) login: Exchange,
}

/// The names begin with different letters. So if several keys begin with the same characters, these are not
/// part of a name.
const FIRST_NAMES: [&str; 8] = ["ada", "grace", "edsger", "kay", "linus", "mary", "tim", "joan"];
/// How often the displayed countdown is updated.
const SHOW_EVERY: Duration = Duration::from_millis(100);
/// How long to wait for commands that the app sends after its response.
const SETTLE: Duration = Duration::from_millis(150);

impl Grader {
    pub(crate) fn new(site: Arc<Site>, app: Option<App>, on_wait: OnWait) -> Self {
        Self {
            site,
            app,
            run: random::hexadecimal::<3>(),
            names: 0,
            session_cookie: None,
            shared_keys: None,
            waits: None,
            silence: None,
            tokens: Vec::new(),
            on_wait,
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.site.settings
    }

    pub(crate) fn pages(&self) -> &AppPages {
        &self.site.settings.pages
    }

    /// Returns the proxy.
    ///
    /// # Errors
    ///
    /// [`NotHeld::NotJudged`] with `--black-box`, because there is no proxy.
    pub(crate) fn proxy(&self) -> Result<&Proxy, NotHeld> {
        let why = "--black-box: this check needs the Redis commands of the app";
        self.site.proxy.as_ref().ok_or_else(|| not_judged(why))
    }

    /// Returns a user name that has not been used before.
    pub(crate) fn name(&mut self) -> String {
        let first = FIRST_NAMES[self.names % FIRST_NAMES.len()];
        self.names += 1;
        // The number has two digits, so that no name is the beginning of another one.
        format!("{first}-{}-{:02}", self.run, self.names)
    }

    /// Returns a visitor without cookies.
    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::new(&self.site)
    }

    /// Logs in a new visitor with a new name.
    ///
    /// # Errors
    ///
    /// [`NotHeld::NotJudged`] if the login fails, because the checks of stage 1 report the reason.
    pub(crate) async fn logged_in(&mut self) -> Result<LoggedIn, NotHeld> {
        let name = self.name();
        self.logged_in_as(name).await
    }

    /// Logs in a new visitor with this name.
    pub(crate) async fn logged_in_as(&mut self, name: String) -> Result<LoggedIn, NotHeld> {
        let mut visitor = self.visitor();
        let login = visitor.log_in(&name).await;
        if let Some(Err(why)) = login.hops.last().map(|hop| &hop.answer) {
            return Err(not_judged(format!("the app did not answer the login: {why}")));
        }
        let is_accepted = login.answer_to_form().is_some_and(|page| page.status < 400);
        if !is_accepted || visitor.cookies().is_empty() {
            return Err(not_judged("the login failed: see the check login-leads-home"));
        }
        self.tokens
            .extend(visitor.cookies().into_iter().map(|(_, value)| value));
        Ok(LoggedIn { visitor, name, login })
    }

    /// Visits the home page. Fails if the page does not show the user.
    pub(crate) async fn visit(&self, visit: &mut LoggedIn) -> Result<Exchange, NotHeld> {
        let exchange = visit.visitor.home().await;
        match exchange.page() {
            Some(page) if page.is_logged_in(self.pages()) => Ok(exchange),
            _ => Err(not_judged(
                "the home page does not show that the user is logged in: see the check name-is-shown-escaped",
            )),
        }
    }

    /// Visits the home page, and returns the number of visits that it shows.
    pub(crate) async fn count(&self, visit: &mut LoggedIn) -> Result<(i64, Exchange), NotHeld> {
        let exchange = self.visit(visit).await?;
        match exchange.page().and_then(|page| page.visits(self.pages())) {
            Some(visits) => Ok((visits, exchange)),
            None => Err(not_judged(
                "the home page does not show the number of visits: see the check visits-count-up",
            )),
        }
    }

    /// Returns the number of visits on the page after the login, if the page shows one.
    pub(crate) fn first_count(&self, user: &LoggedIn) -> Option<i64> {
        let page = user.login.page().filter(|page| page.is_logged_in(self.pages()));
        page?.visits(self.pages())
    }

    /// Returns the name of the session cookie: without it, a visitor is logged out.
    pub(crate) async fn session_cookie(&mut self) -> Result<String, NotHeld> {
        if let Some(name) = &self.session_cookie {
            return Ok(name.clone());
        }
        let user = self.logged_in().await?;
        for (name, _) in user.visitor.cookies() {
            let mut without = user.visitor.with_cookie(&name, None);
            let exchange = without.home().await;
            if !self.shows_login(&exchange) {
                self.session_cookie = Some(name.clone());
                return Ok(name);
            }
        }
        Err(not_judged("no cookie that the login depends on was found"))
    }

    /// Whether the last page shows that a user is logged in.
    pub(crate) fn shows_login(&self, exchange: &Exchange) -> bool {
        exchange
            .page()
            .is_some_and(|page| page.is_logged_in(self.pages()))
    }

    /// Waits for commands that the app sends after its response, and adds them to the exchange.
    pub(crate) async fn settle(&self, exchange: &mut Exchange) {
        tokio::time::sleep(SETTLE).await;
        if let Some(proxy) = &self.site.proxy {
            exchange.commands = proxy.since(exchange.mark);
        }
    }

    /// Returns the keys that the visits of all users have in common, such as a counter for the whole site or
    /// a rate limit for an address. They are not part of a session, so they may have a longer TTL, or none.
    pub(crate) async fn shared_keys(&mut self) -> Result<&HashSet<Key>, NotHeld> {
        if self.shared_keys.is_none() {
            let mut users = Vec::new();
            for _ in 0..2 {
                let mut user = self.logged_in().await?;
                let visit = self.visit(&mut user).await?;
                users.push(HashSet::from_iter([user.login.keys(), visit.keys()].concat()));
            }
            self.shared_keys = users.into_iter().reduce(|a: HashSet<Key>, b| &a & &b);
        }
        Ok(self.shared_keys.get_or_insert_default())
    }

    /// Returns the given keys without those that all users share.
    pub(crate) async fn own_keys(&mut self, keys: Vec<Key>) -> Result<Vec<Key>, NotHeld> {
        let shared = self.shared_keys().await?;
        Ok(keys.into_iter().filter(|key| !shared.contains(key)).collect())
    }

    /// Returns those of the given keys that exist.
    pub(crate) async fn living(&self, keys: &[Key]) -> Result<Vec<Key>, NotHeld> {
        let ttls = self.proxy()?.ttls(keys).await;
        Ok(keys
            .iter()
            .zip(ttls)
            .filter(|(_, ttl)| *ttl != -2)
            .map(|(key, _)| key.clone())
            .collect())
    }

    /// Starts a countdown, which shows what the wait is for.
    pub(crate) fn countdown(&self, what: &'static str, span: Duration) -> Countdown {
        Countdown {
            show: (self.on_wait)(what, span),
            end: Deadline::after(span),
        }
    }
}

/// A countdown over several waits, such as the pauses between visits.
pub(crate) struct Countdown {
    show: Box<dyn FnMut(Duration)>,
    end: Deadline,
}

impl Countdown {
    /// Waits for this time, and shows the time until the whole countdown ends.
    pub(crate) async fn wait(&mut self, span: Duration) {
        let deadline = Deadline::after(span);
        while !deadline.is_over() {
            (self.show)(self.end.left());
            deadline.sleep(SHOW_EVERY).await;
        }
    }
}

/// Returns the keys as text, for a report.
pub(crate) fn shown_keys(keys: &[Key]) -> String {
    let keys: Vec<String> = keys
        .iter()
        .map(|key| String::from_utf8_lossy(key).into_owned())
        .collect();
    keys.join(", ")
}

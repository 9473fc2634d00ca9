//! The state that all checks share: the app, the proxy, new visitors and names, and results that several
//! checks need.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::app::{App, answers};
use super::browser::{PATIENCE, Site, Visitor};
use super::checks::{Silence, Waits};
use super::exchange::Exchange;
use super::progress::Countdown;
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
    session_cookies: Option<Vec<String>>,
    shared_keys: Option<HashSet<Key>>,
    pub(crate) waits: Option<Waits>,
    pub(crate) silence: Option<Silence>,
    /// The tokens of all sessions of this run. A check searches the app's output for them.
    pub(crate) tokens: Vec<String>,
    /// The first time that the app crashed or stayed unusable after Redis was disturbed. The check
    /// `recovers-without-a-restart` reports it.
    pub(crate) outage: Option<Loss>,
    /// The number of checks during which the app did not answer a request in time.
    hung: usize,
    /// Why no further check can be judged.
    pub(crate) gone: Option<String>,
}

/// The app has crashed, or does not answer any more.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    /// What happened, without a full stop.
    pub(crate) what: String,
    /// The last lines of the app's output, if this program has started it.
    pub(crate) output: Vec<String>,
}

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
    /// The reason, if a more specific one than that of the check is known.
    pub(crate) why: Option<&'static str>,
    /// The requests and their responses, one per line.
    pub(crate) http: Vec<String>,
    /// The Redis commands and their replies, one per line.
    pub(crate) redis: Vec<String>,
    /// The last lines of the app's output, if it has crashed.
    pub(crate) output: Vec<String>,
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
        why: None,
        http: exchanges
            .iter()
            .flat_map(|exchange| exchange.http_lines())
            .collect(),
        redis: exchanges
            .iter()
            .flat_map(|exchange| exchange.redis_lines())
            .collect(),
        output: Vec::new(),
    })))
}

impl Loss {
    /// Returns the result of a check during which the app was lost.
    pub(crate) fn blamed(&self, judged: Judged) -> Judged {
        let failed = match judged {
            Err(NotHeld::Fails(_)) => judged,
            _ => fails("the requests of this check", "the app keeps running", "", &[]),
        };
        failed.map_err(|not_held| match not_held {
            NotHeld::Fails(mut failure) => {
                failure.got.clone_from(&self.what);
                failure.output.clone_from(&self.output);
                NotHeld::Fails(failure)
            }
            other => other,
        })
    }
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
/// How long to wait for commands that the app sends after its response.
const SETTLE: Duration = Duration::from_millis(150);
/// How long a process may take to end after a crash.
const CRASH_WITHIN: Duration = Duration::from_millis(500);
/// How long an app may take to listen again, for example because a tool starts it again.
const BACK_WITHIN: Duration = Duration::from_secs(3);
/// After this many checks without a response, the app is not visited any more.
const MOST_HUNG: usize = 3;
/// How long the app may take to recover when Redis is back.
pub(crate) const RECOVER_WITHIN: Duration = Duration::from_secs(10);
/// How often a login is tried while the app does not work yet.
pub(crate) const RETRY: Duration = Duration::from_millis(250);
/// How often the process or its port is polled.
const LOOK: Duration = Duration::from_millis(25);

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

    /// Returns the name of the cookie without which a visitor is logged out. If there are several, such as a
    /// token and its
    /// signature, returns the first.
    pub(crate) async fn session_cookie(&mut self) -> Result<String, NotHeld> {
        Ok(self.session_cookies().await?.swap_remove(0))
    }

    /// Returns the names of all such cookies: at least one.
    pub(crate) async fn session_cookies(&mut self) -> Result<Vec<String>, NotHeld> {
        if let Some(names) = &self.session_cookies {
            return Ok(names.clone());
        }
        let user = self.logged_in().await?;
        let mut names = Vec::new();
        for (name, _) in user.visitor.cookies() {
            let mut without = user.visitor.with_cookie(&name, None);
            let exchange = without.home().await;
            if !self.shows_login(&exchange) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Err(not_judged("no cookie that the login depends on was found"));
        }
        names.sort();
        self.session_cookies = Some(names.clone());
        Ok(names)
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
    pub(crate) fn countdown(&self, what: &str, span: Duration) -> Countdown {
        self.site.progress.countdown(what, span)
    }

    /// Starts the app again, as its owner would after a crash.
    ///
    /// # Errors
    /// Returns a message if it does not start, or if this program has not started it.
    pub(crate) async fn restart(&mut self) -> Result<(), String> {
        match &mut self.app {
            None => Err("the app was not started by this program".to_owned()),
            Some(app) => app
                .restart_after_kill(&self.site.progress)
                .await
                .map_err(|error| error.to_string()),
        }
    }

    /// Finds out whether the app has crashed or stopped answering. Starts it again if possible; otherwise,
    /// `gone` is set.
    pub(crate) async fn loss(&mut self) -> Option<Loss> {
        if self.gone.is_some() {
            return None;
        }
        let is_unanswered = self.site.answered.take_unanswered() > 0;
        let mut ended = self.app.as_mut().and_then(App::ended);
        let deadline = Deadline::after(CRASH_WITHIN);
        while is_unanswered && ended.is_none() && self.app.is_some() && !deadline.is_over() {
            tokio::time::sleep(LOOK).await;
            ended = self.app.as_mut().and_then(App::ended);
        }
        let address = self.site.address;
        let loss = match ended {
            Some(ended) => Loss {
                what: ended.to_string(),
                output: ended.tail,
            },
            None if !is_unanswered => return None,
            None => {
                let deadline = Deadline::after(BACK_WITHIN);
                let back = async {
                    while !answers(address) && !deadline.is_over() {
                        tokio::time::sleep(LOOK).await;
                    }
                };
                let what = "waiting until the app listens again; giving up";
                self.site.progress.during(what, || deadline.left(), back).await;
                if answers(address) {
                    self.note_hung();
                    return None;
                }
                Loss {
                    what: format!(
                        "the app does not listen on port {} any more: it has probably crashed",
                        address.port()
                    ),
                    output: self.app.as_ref().map(App::output_tail).unwrap_or_default(),
                }
            }
        };
        if let Err(why) = self.restart().await {
            self.gone = Some(match self.app {
                Some(_) => format!("{}, and did not start again: {why}", loss.what),
                None => loss.what.clone(),
            });
        }
        Some(loss)
    }

    /// Notes a crash of the app while Redis was disturbed. Returns whether there was one.
    pub(crate) async fn note_crash(&mut self) -> bool {
        let loss = self.loss().await;
        let has_crashed = loss.is_some();
        self.outage = self.outage.take().or(loss);
        has_crashed
    }

    /// Waits until the app works again after the connection to Redis was cut. Notes it if the app does not,
    /// for the check
    /// `recovers-without-a-restart`, and starts the app again.
    ///
    /// # Errors
    /// If that check is not run, the current one fails.
    pub(crate) async fn works_again(&mut self) -> Judged {
        if let Some(why) = &self.gone {
            return Err(not_judged(why.as_str()));
        }
        let wait = match self.outage {
            Some(_) => Duration::ZERO,
            None => RECOVER_WITHIN,
        };
        let is_lost = self.note_crash().await || !self.recovers_within(wait).await;
        if !is_lost {
            return Ok(());
        }
        let seconds = RECOVER_WITHIN.as_secs();
        let loss = self.outage.get_or_insert_with(|| Loss {
            what: format!("logins still fail {seconds} s after the connection to Redis was cut"),
            output: Vec::new(),
        });
        match self.site.settings.stage {
            4 => Ok(()),
            _ => loss.blamed(fails(
                "the connection to Redis was cut",
                "the app keeps running, and connects again",
                "",
                &[],
            )),
        }
    }

    /// Logs in until a login works. Starts the app again if none does.
    async fn recovers_within(&mut self, wait: Duration) -> bool {
        let deadline = Deadline::after(wait);
        let progress = Arc::clone(&self.site.progress);
        let recovery = async {
            loop {
                let is_back = self.logged_in().await.is_ok();
                if is_back || deadline.is_over() {
                    return is_back;
                }
                deadline.sleep(RETRY).await;
            }
        };
        let what = "waiting until the app works again; giving up";
        let is_back = progress.during(what, || deadline.left(), recovery).await;
        if !is_back && let Err(why) = self.restart().await {
            self.gone = Some(format!(
                "the app does not work after the connection to Redis was cut, and {why}"
            ));
        }
        is_back
    }

    /// The app listens, but has not answered a request.
    fn note_hung(&mut self) {
        self.hung += 1;
        let seconds = PATIENCE.as_secs();
        if !self.site.answered.has_any() {
            self.gone = Some(format!(
                "the app accepts connections, but does not respond within {seconds} s"
            ));
        } else if self.hung >= MOST_HUNG {
            self.gone = Some(format!(
                "during {MOST_HUNG} checks, the app did not respond within {seconds} s, so it is not visited any more"
            ));
        }
    }
}

/// Returns the keys as text, each once, for a report.
pub(crate) fn shown_keys(keys: &[Key]) -> String {
    let mut known = HashSet::new();
    let keys = keys.iter().filter(|key| known.insert(*key));
    let keys: Vec<String> = keys
        .map(|key| String::from_utf8_lossy(key).into_owned())
        .collect();
    keys.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_lists_each_key_once() {
        let keys = ["b", "a", "b"].map(|key| key.as_bytes().to_vec());
        assert_eq!(shown_keys(&keys), "b, a");
    }
}

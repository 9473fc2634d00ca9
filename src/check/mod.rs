//! Grades the learner's own app, in any language, by its HTTP responses and by the commands that it sends to
//! Redis.
//!
//! ```text
//! app ─▶ visits through a proxy ─▶ exchanges ─▶ checks ─▶ report
//! ```

pub(crate) mod app;
pub(crate) mod browser;
mod checks;
#[doc(hidden)]
pub mod driver;
mod exchange;
mod forgery;
mod form;
pub(crate) mod grader;
mod html;
mod judged;
mod page;
pub(crate) mod progress;
pub(crate) mod proxy;
mod redis_command;
pub(crate) mod report;
pub(crate) mod settings;
pub(crate) mod site;

use checks::CHECKS;
pub(crate) use checks::Kind;
use grader::Grader;
use judged::{NotHeld, not_judged, shown_keys};
use proxy::Proxy;
use redis_command::Key;
use report::{CheckResult, Outcome};

use crate::session::KEY_PREFIX;

/// Runs the checks of the chosen stages in order, and calls `tell` with each result.
pub(crate) async fn grade(grader: &mut Grader, tell: &mut dyn FnMut(CheckResult)) {
    for check in CHECKS {
        if !grader.settings().includes(check.stage) {
            continue;
        }
        let judged = match &grader.gone {
            Some(why) => Err(not_judged(String::clone(why))),
            None => {
                let judged = (check.run)(grader).await;
                let loss = grader.loss().await;
                // If the app cannot be started again, no later check can report the outage, so report the
                // outage with this check.
                let outage = grader.outage.clone().filter(|_| grader.gone.is_some());
                match loss.or(outage) {
                    Some(loss) => loss.blamed(judged),
                    None => judged,
                }
            }
        };
        let outcome = match judged {
            Ok(()) => Outcome::Passes,
            Err(NotHeld::Fails(failure)) => Outcome::Fails(failure),
            Err(NotHeld::NotJudged(why)) => Outcome::NotJudged(why),
        };
        tell(CheckResult { check, outcome });
    }
}

/// Stops the app, and removes its keys with [`remove_keys`]. Returns the keys that remain.
pub(crate) async fn clean_up(grader: &mut Grader, removes_all: bool) -> Vec<String> {
    if let Some(app) = &mut grader.app {
        app.stop(&grader.site.progress).await;
    }
    match &grader.site.proxy {
        Some(proxy) => remove_keys(proxy, removes_all).await,
        None => Vec::new(),
    }
}

/// Removes the keys that the app created. Unless `removes_all` is set, removes only keys that start with
/// `sessiontut:`. Returns the keys that remain.
pub(crate) async fn remove_keys(proxy: &Proxy, removes_all: bool) -> Vec<String> {
    let living = proxy.living_keys().await;
    let (removed, left): (Vec<Key>, Vec<Key>) = living
        .into_keys()
        .partition(|key| removes_all || key.starts_with(KEY_PREFIX.as_bytes()));
    proxy.delete(&removed).await;
    let mut left: Vec<String> = left
        .iter()
        .map(|key| shown_keys(std::slice::from_ref(key)))
        .collect();
    left.sort();
    left
}

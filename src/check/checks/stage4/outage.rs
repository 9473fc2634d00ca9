//! Checks how the app behaves while Redis does not reply, while Redis is down, and after a connection breaks.

use std::sync::Arc;
use std::time::Duration;

use crate::check::browser::Cause;
use crate::check::exchange::Exchange;
use crate::check::grader::{Grader, RECOVER_WITHIN, RETRY, Silence};
use crate::check::judged::{Judged, NotHeld, fails, require, shown_keys};
use crate::check::redis_command::Key;
use crate::deadline::Deadline;

/// How long the app may take to respond while Redis does not reply.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The maximum number of times that a check cuts the app's connection to Redis. The Nth cut follows the Nth
/// command of a visit or login.
const MOST_CUTS: usize = 8;
/// How many times a visit is repeated after the app's connection to Redis was cut.
const MOST_ATTEMPTS: usize = 6;
/// The pause before a visit is repeated, so that the app can reconnect to Redis.
const RECONNECT: Duration = Duration::from_millis(200);

/// Returns how the app responds to a visit and a login while Redis does not reply. Later calls return the
/// same result.
async fn silence(grader: &mut Grader) -> Result<Silence, NotHeld> {
    if let Some(silence) = &grader.silence {
        return Ok(silence.clone());
    }
    grader.proxy()?;
    let cookie = grader.session_cookie().await?;
    let mut user = grader.logged_in().await?;
    grader.visit(&mut user).await?;
    let (mut other, form) = grader.visitor_at_login().await;
    let before = other.cookie(&cookie);
    let proxy = grader.proxy()?;
    proxy.be_silent();
    let visit = user.visitor.home().await;
    let login = other.submit(&form).await;
    proxy.come_back();
    let has_new_cookie = other.cookie(&cookie).is_some() && other.cookie(&cookie) != before;
    let deadline = Deadline::after(RECOVER_WITHIN);
    let progress = Arc::clone(&grader.site.progress);
    let what = "waiting until the app works again; giving up";
    let recovery = recovers(grader, deadline);
    let (has_recovered, last) = progress.during(what, || deadline.left(), recovery).await;
    if !has_recovered && grader.outage.is_none() {
        // The other checks need an app that works.
        let _ = grader.restart().await;
    }
    let silence = Silence {
        visit,
        login,
        has_new_cookie,
        has_recovered,
        last,
    };
    grader.silence = Some(silence.clone());
    Ok(silence)
}

/// Tries to log in until an attempt succeeds, the app crashes, or the deadline passes. Returns whether an
/// attempt succeeded, and the last exchange.
async fn recovers(grader: &mut Grader, deadline: Deadline) -> (bool, Exchange) {
    loop {
        let mut visitor = grader.visitor();
        let name = grader.name();
        let login = visitor.log_in(&name).await;
        let home = visitor.home().await;
        let has_crashed = grader.note_crash().await;
        if grader.shows_login(&home) && !has_crashed {
            return (true, home);
        }
        if deadline.is_over() || has_crashed {
            return (false, login);
        }
        deadline.sleep(RETRY).await;
    }
}

pub(crate) async fn login_waits_for_redis(grader: &mut Grader) -> Judged {
    let silence = silence(grader).await?;
    require(
        !silence.login.is_accepted() || !silence.has_new_cookie,
        "a login while Redis does not answer",
        "an error page",
        "a new session cookie",
        [&silence.login],
    )
}

pub(crate) async fn answers_while_redis_is_silent(grader: &mut Grader) -> Judged {
    let silence = silence(grader).await?;
    for (what, exchange) in [("a visit", &silence.visit), ("a login", &silence.login)] {
        let did = format!("{what} while Redis does not answer");
        let expected = "a response within 5 s";
        if exchange.longest() > ANSWER_WITHIN {
            let got = exchange.http_lines().join("; ");
            let after = exchange.longest().as_secs_f64();
            let got = format!("{got} (after {after:.3} s, which is more than 5 s)");
            return fails(did, expected, got, [exchange]);
        }
        if let Some(Err(why)) = exchange.hops.last().map(|hop| &hop.answer) {
            let failed = fails(did, expected, why.as_str(), [exchange]);
            return match &grader.outage {
                Some(outage) => outage.blamed(failed),
                None => failed,
            };
        }
    }
    Ok(())
}

pub(crate) async fn recovers_without_a_restart(grader: &mut Grader) -> Judged {
    let silence = silence(grader).await?;
    if silence.has_recovered && grader.outage.is_none() {
        let mut user = grader.logged_in().await?;
        let proxy = grader.proxy()?;
        proxy.cut_after(1);
        user.visitor.home().await;
        proxy.was_cut();
        grader.works_again().await?;
    }
    if let Some(outage) = &grader.outage {
        let did = "Redis did not reply for a while, or closed a connection";
        let expected = "the app keeps running, and works again";
        return outage.blamed(fails(did, expected, "", [&silence.last]));
    }
    require(
        silence.has_recovered,
        "Redis did not reply for a while, but now replies again",
        format!("logins work within {} s", RECOVER_WITHIN.as_secs()),
        silence.last.http_lines().join("; "),
        [&silence.last],
    )
}

/// Checks that a visit is not counted twice if the reply to any one of its Redis commands is lost.
pub(crate) async fn lost_reply_is_not_repeated(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let mut user = grader.logged_in().await?;
    let (_, whole) = grader.count(&mut user).await?;
    let commands = whole.cuts();
    for cut in 1..=commands.min(MOST_CUTS) {
        let (before, _) = grader.count(&mut user).await?;
        grader.proxy()?.cut_after(cut);
        let lost = user.visitor.home().await;
        if !grader.proxy()?.was_cut() {
            continue;
        }
        // Each visit may count once, even a visit that fails because the app is still reconnecting.
        let mut most = before + 1;
        let mut attempt = 0;
        let (after, last) = loop {
            most += 1;
            attempt += 1;
            match grader.count(&mut user).await {
                Ok(counted) => break counted,
                Err(failure) if attempt == MOST_ATTEMPTS => return Err(failure),
                Err(_) => tokio::time::sleep(RECONNECT).await,
            }
        };
        if after > most {
            return fails(
                format!(
                    "a visit, and then another visit; `check` cut the connection to Redis before the reply to \
                     command {cut} of {commands} of the first visit"
                ),
                format!("Visits: at most {most}"),
                format!("Visits: {after}"),
                [&lost, &last],
            );
        }
    }
    Ok(())
}

pub(crate) async fn unavailable_is_503(grader: &mut Grader) -> Judged {
    let silence = silence(grader).await?;
    for (what, exchange) in [("a visit", &silence.visit), ("a login", &silence.login)] {
        let status = exchange.answer_to_form().map(|page| page.status);
        if status != Some(503) {
            let did = format!("{what} while Redis does not answer");
            return fails(did, "status 503", exchange.http_lines().join("; "), [exchange]);
        }
    }
    Ok(())
}

pub(crate) async fn cut_login_leaves_nothing(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let cookie = grader.session_cookie().await?;
    let (mut visitor, form) = grader.visitor_at_login().await;
    // The redirect is not followed, because the visit after it is not part of the login.
    let whole = visitor.submit_only(&form, Cause::OwnPage).await;
    let commands = whole.cuts();
    for cut in 1..=commands.min(MOST_CUTS) {
        let (mut visitor, form) = grader.visitor_at_login().await;
        let proxy = grader.proxy()?;
        let before = proxy.living_keys().await;
        proxy.cut_after(cut);
        let mut login = visitor.submit_only(&form, Cause::OwnPage).await;
        let was_cut = proxy.was_cut();
        grader.settle(&mut login).await;
        if !was_cut {
            continue;
        }
        let did = format!("a login; `check` cut the connection to Redis after command {cut} of {commands}");
        let after = grader.proxy()?.living_keys().await;
        let left: Vec<Key> = grader
            .own_keys(login.keys())
            .await?
            .into_iter()
            .filter(|key| !before.contains_key(key) && after.get(key) == Some(&-1))
            .collect();
        if !left.is_empty() {
            let got = format!("no TTL: {}", shown_keys(&left));
            return fails(did, "no key without a TTL", got, [&login]);
        }
        works_after(grader, &did, &login).await?;
        if login.is_accepted() && visitor.cookie(&cookie).is_some() {
            let home = grader.home(&mut visitor).await;
            if !grader.shows_login(&home) {
                let got = home.error();
                return fails(
                    did,
                    "an error page, or a session that works",
                    got.unwrap_or_else(|| "a cookie without a session".to_owned()),
                    [&login, &home],
                );
            }
        }
    }
    Ok(())
}

pub(crate) async fn visit_without_cookie_needs_no_redis(grader: &mut Grader) -> Judged {
    let proxy = grader.proxy()?;
    proxy.go_down();
    let home = grader.visitor().home().await;
    proxy.come_back();
    let did = "a visit without a cookie, while Redis is down";
    // Wait for the app, because a client library may pause before reconnecting.
    works_after(grader, did, &home).await?;
    let is_right = home.page().is_some_and(|page| page.status < 500);
    require(is_right, did, "a page", home.http_lines().join("; "), [&home])
}

/// Waits until the app works again after its connection to Redis was disturbed. Fails if the app does not
/// recover, and this is the first outage of this run.
async fn works_after(grader: &mut Grader, did: &str, exchange: &Exchange) -> Judged {
    let was_known = grader.outage.is_some();
    grader.works_again().await?;
    match &grader.outage {
        Some(outage) if !was_known => outage.blamed(fails(did, "the app works again", "", [exchange])),
        _ => Ok(()),
    }
}

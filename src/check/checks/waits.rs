//! The checks that wait until the TTL has passed. They share one wait with an idle visitor and an active
//! visitor.

use std::time::{Duration, Instant};

use crate::check::exchange::Exchange;
use crate::check::grader::{ActiveVisit, Grader, Waits};
use crate::check::judged::{Judged, NotHeld, fails, not_judged, require};

/// The tolerated difference between the app's TTL and `--ttl`.
const TOLERANCE: Duration = Duration::from_millis(1500);
/// The tolerance for times in whole seconds. The cookie attribute Expires and the command EXPIREAT are
/// rounded, so a session may end almost one second early or late.
const ROUNDING: Duration = Duration::from_millis(1100);

/// Returns how long an active visitor pauses between visits. The pause is shorter than `ttl`, even if the app
/// rounds the TTL down.
fn step(ttl: Duration) -> Duration {
    let most = ttl.saturating_sub(ROUNDING).max(ttl.mul_f64(0.3));
    ttl.mul_f64(0.6).min(most)
}

/// Waits until the TTL has passed, and stores the visits of an idle visitor and an active visitor. Later
/// calls do nothing.
async fn wait(grader: &mut Grader) -> Result<(), NotHeld> {
    if grader.waits.is_some() {
        return Ok(());
    }
    let ttl = grader.settings().ttl;
    let mut idle = grader.logged_in().await?;
    let mut active = grader.logged_in().await?;
    let idle_name = idle.name.clone();
    let mut before = None;
    let mut last = grader.visit(&mut active).await?;
    for _ in 0..2 {
        last = grader.visit(&mut idle).await?;
        before = grader.visits(&last);
    }
    let other_ttl = other_ttl(grader, &last).await;
    let mut visits = Vec::new();
    let mut idle_visit = last;
    if other_ttl.is_none() {
        let started = Instant::now();
        let mut last = started;
        let mut countdown = grader.countdown("waiting until the TTL has expired; continuing", ttl + ROUNDING);
        while started.elapsed() < ttl + ROUNDING {
            countdown.wait(step(ttl)).await;
            let pause = last.elapsed();
            last = Instant::now();
            visits.push(ActiveVisit {
                pause,
                at: started.elapsed(),
                exchange: grader.home(&mut active.visitor).await,
            });
        }
        idle_visit = grader.home(&mut idle.visitor).await;
    }
    grader.waits = Some(Waits {
        idle: idle_visit,
        idle_name,
        before,
        active: visits,
        other_ttl,
    });
    Ok(())
}

/// Returns the app's TTL, or `None` if it is equal to `--ttl` or unknown. Ignores keys without a TTL.
async fn other_ttl(grader: &mut Grader, visit: &Exchange) -> Option<Duration> {
    let expected = grader.settings().ttl;
    let keys = grader.own_keys(visit.keys()).await.ok()?;
    let ttls = grader.proxy().ok()?.ttls(&keys).await;
    let ttls = ttls.into_iter().filter_map(|left| u64::try_from(left).ok());
    let ttls: Vec<Duration> = ttls.map(Duration::from_millis).collect();
    // A TTL in milliseconds has already decreased a little since the visit.
    let is_expected = |seen: &Duration| *seen <= expected + TOLERANCE / 3 && *seen + TOLERANCE >= expected;
    match ttls.iter().any(is_expected) {
        true => None,
        false => ttls.into_iter().max(),
    }
}

/// Returns what an idle visitor and an active visitor saw before and after the TTL passed. Fails if the app's
/// TTL differs from `--ttl`.
async fn seen(grader: &mut Grader) -> Result<&Waits, NotHeld> {
    wait(grader).await?;
    let waits = grader
        .waits
        .as_ref()
        .ok_or_else(|| not_judged("the wait failed"))?;
    match waits.other_ttl {
        Some(ttl) => {
            let (seconds, wanted) = (ttl.as_secs_f64().ceil(), grader.settings().ttl.as_secs());
            Err(not_judged(format!(
                "the TTL of the app is {seconds} s instead of {wanted} s; set it to {wanted} s while `check` grades the \
                 app, or add --ttl {seconds} (`check` then waits until this TTL has ended)"
            )))
        }
        None => Ok(waits),
    }
}

pub(super) async fn count_restarts_after_the_ttl(grader: &mut Grader) -> Judged {
    let (ttl, stage) = (grader.settings().ttl, grader.settings().stage);
    let waits = seen(grader).await?;
    let (idle, name, before) = (waits.idle.clone(), waits.idle_name.clone(), waits.before);
    let mut found = grader.visits(&idle);
    let mut exchanges = vec![idle];
    if stage == 4 && !grader.shows_login(&exchanges[0]) {
        let mut user = grader.logged_in_as(name).await?;
        found = grader.first_count(&user);
        exchanges.push(user.login.clone());
        if found.is_none() {
            let (count, home) = grader.count(&mut user).await?;
            found = Some(count);
            exchanges.push(home);
        }
    }
    let visits = before.map_or_else(
        || "a visit".to_owned(),
        |count| format!("visits until the page showed {count}"),
    );
    let did = format!("{visits}, then no visit for more than {} s", ttl.as_secs());
    let got = found.map_or_else(|| "no number".to_owned(), |found| format!("Visits: {found}"));
    require(found == Some(1), did, "Visits: 1", got, &exchanges)
}

pub(super) async fn active_visitor_stays_logged_in(grader: &mut Grader) -> Judged {
    let ttl = grader.settings().ttl;
    for visit in seen(grader).await?.active.clone() {
        if grader.shows_login(&visit.exchange) {
            continue;
        }
        if visit.pause + ROUNDING > ttl && visit.pause > step(ttl).mul_f64(1.2) {
            return Err(not_judged("this computer was too slow to visit in time"));
        }
        let did = format!(
            "a login, then visits every {:.1} s with a TTL of {} s",
            step(ttl).as_secs_f64(),
            ttl.as_secs()
        );
        let got = visit.exchange.error().unwrap_or_else(|| "logged out".to_owned());
        let got = format!("after {:.1} s: {got}", visit.at.as_secs_f64());
        return fails(did, "logged in", got, [&visit.exchange]);
    }
    Ok(())
}

pub(super) async fn session_ends_after_the_ttl(grader: &mut Grader) -> Judged {
    let idle = seen(grader).await?.idle.clone();
    require(
        !grader.shows_login(&idle) && idle.page().is_some_and(|page| page.status < 500),
        format!("no visit for more than {} s", grader.settings().ttl.as_secs()),
        "a page that shows no user",
        idle.http_lines().join("; "),
        [&idle],
    )
}

pub(super) async fn session_has_a_maximum_lifetime(grader: &mut Grader) -> Judged {
    let Some(max_age) = grader.settings().max_age else {
        return Err(not_judged(
            "to test this, start the app with a short maximum lifetime, for example 20 s, and add --max-age 20s",
        ));
    };
    let mut user = grader.logged_in().await?;
    let started = Instant::now();
    let pause = step(grader.settings().ttl).min(Duration::from_secs(2));
    let mut last = grader.visit(&mut user).await?;
    let whole = max_age + Duration::from_secs(1);
    let mut countdown = grader.countdown("waiting until the maximum lifetime is over; continuing", whole);
    while started.elapsed() < whole {
        countdown.wait(pause).await;
        last = grader.home(&mut user.visitor).await;
        if let Some(error) = last.error() {
            return Err(not_judged(format!("a visit failed: {error}")));
        }
        if !grader.shows_login(&last) {
            let age = started.elapsed();
            if age + Duration::from_secs(1) >= max_age {
                return Ok(());
            }
            let expected = format!("logged in for {} s", max_age.as_secs());
            let got = format!("after {:.1} s: logged out", age.as_secs_f64());
            return fails("a visit every few seconds", expected, got, [&last]);
        }
    }
    let expected = format!("logged out after {} s", max_age.as_secs());
    fails("a visit every few seconds", expected, "still logged in", [&last])
}

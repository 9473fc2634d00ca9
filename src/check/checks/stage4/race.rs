//! A check that delays a visit's Redis commands while the user logs out.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::super::stage1::log_out;
use crate::check::browser::Visitor;
use crate::check::exchange::Exchange;
use crate::check::grader::Grader;
use crate::check::judged::{Judged, NotHeld, fails, not_judged, shown_keys};
use crate::check::proxy::{HoldPoint, Proxy};
use crate::check::redis_command::{Effect, Key};

/// How long to delay a request's commands. This delay is shorter than the usual timeouts of client libraries.
const HOLD_FOR: Duration = Duration::from_millis(400);
/// How long to wait until a request reaches the [`HoldPoint`] where the proxy delays it.
const HELD_WITHIN: Duration = Duration::from_secs(2);
/// The maximum number of round trips of a visit at which the check tries to delay the visit.
const MOST_HOLDS: usize = 3;

pub(crate) async fn held_request_revives_nothing(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let mut user = grader.logged_in().await?;
    let visit = grader.visit(&mut user).await?;
    let trips = visit
        .data_commands()
        .map(|command| (command.connection, command.round_trip));
    let mut trips: Vec<_> = trips.collect();
    trips.dedup();
    if trips.is_empty() {
        return Err(not_judged("a visit sends no command"));
    }
    let mut copy = user.visitor.clone();
    log_out(grader, &mut user).await?;
    let after = copy.home().await;
    if grader.shows_login(&after) {
        return Err(not_judged(
            "the logout does not end the session at all; see logout-ends-the-session",
        ));
    }
    let points = (0..trips.len().min(MOST_HOLDS))
        .flat_map(|number| [HoldPoint::Before(number), HoldPoint::Replies(number)]);
    let mut has_overlapped = false;
    for point in points.clone() {
        has_overlapped |= hold_across_logout(grader, point, None).await?;
    }
    if has_overlapped {
        return Ok(());
    }
    // A single connection or thread might be unable to serve two requests at the same time, but two instances
    // of the app can.
    if let Some(app) = &grader.app
        && let Ok(mut other) = app.start_another(&grader.site.progress).await
    {
        for point in points {
            has_overlapped |= hold_across_logout(grader, point, Some(other.address())).await?;
        }
        other.stop(&grader.site.progress).await;
    }
    match has_overlapped {
        true => Ok(()),
        false => Err(not_judged(
            "`check` could not delay a visit until after the logout: the logout sends no commands, or waits until \
             the visit is complete",
        )),
    }
}

/// A visit and a logout that overlapped at Redis.
struct Overlap {
    visit: Exchange,
    logout: Exchange,
    /// The position in the proxy's record before the visit.
    start: usize,
    /// The keys of all commands that the app sent until the delayed visit continued.
    touched: Vec<Key>,
    /// The keys that existed when the delayed visit continued, with their TTLs.
    between: HashMap<Key, i64>,
}

/// Delays a visit at `point`, logs out the same user during the delay, and checks that the session has ended.
/// If `other` is given, logs out through that instance of the app. Returns whether the logout reached Redis
/// during the delay.
async fn hold_across_logout(
    grader: &mut Grader,
    point: HoldPoint,
    other: Option<SocketAddr>,
) -> Result<bool, NotHeld> {
    let mut user = grader.logged_in().await?;
    let mut home = grader.visit(&mut user).await?;
    let slow = user.visitor.clone();
    let mut copy = user.visitor.clone();
    if let Some(other) = other {
        user.visitor = user.visitor.moved_to(other);
        home = user.visitor.home().await;
    }
    let overlap = overlap(grader.proxy()?, point, slow, &mut user.visitor, &home).await;
    let Some(mut overlap) = overlap else {
        return Ok(false);
    };
    grader.settle(&mut overlap.visit).await;
    let shown = Exchange {
        commands: grader.proxy()?.since(overlap.start),
        hops: [overlap.visit.hops.clone(), overlap.logout.hops].concat(),
        mark: overlap.start,
    };
    let mut touched = [overlap.touched, user.login.keys()].concat();
    touched.sort();
    touched.dedup();
    let used = [overlap.visit.keys(), touched].concat();
    let used = grader.own_keys(used).await?;
    let now = grader.living(&used).await?;
    let revived: Vec<Key> = now
        .into_iter()
        .filter(|key| !overlap.between.contains_key(key))
        .collect();
    let did = "a visit whose commands reached Redis only after the logout";
    let expected = "the session remains deleted";
    let after = copy.home().await;
    if grader.shows_login(&after) {
        let got = "a copy of the cookie works again";
        return fails(did, expected, got, [&shown, &after]).map(|()| true);
    }
    if !revived.is_empty() {
        let got = format!("the visit created {} again", shown_keys(&revived));
        return fails(did, expected, got, [&shown]).map(|()| true);
    }
    Ok(true)
}

/// Delays a visit of `slow` at `point`, and logs `user` out during the delay. Returns `None` if the logout
/// did not reach Redis in time.
async fn overlap(
    proxy: &Proxy,
    point: HoldPoint,
    mut slow: Visitor,
    user: &mut Visitor,
    home: &Exchange,
) -> Option<Overlap> {
    let start = proxy.mark();
    proxy.hold(point);
    let mut visit = std::pin::pin!(slow.home());
    let is_held = tokio::select! {
        held = timeout(HELD_WITHIN, proxy.held()) => held.is_ok(),
        _ = &mut visit => false,
    };
    if !is_held {
        proxy.release();
        return None;
    }
    let after_hold = proxy.mark();
    let mut logout = std::pin::pin!(user.log_out(home));
    // Poll both requests, because the visit may end before the logout.
    let (mut early, mut quick) = (None, None);
    let wait = tokio::time::sleep(HOLD_FOR);
    tokio::pin!(wait);
    while quick.is_none() {
        tokio::select! {
            () = &mut wait => break,
            exchange = &mut logout => quick = Some(exchange),
            exchange = &mut visit, if early.is_none() => early = Some(exchange),
        }
    }
    let was_blocked = matches!(point, HoldPoint::Before(_)) && proxy.others_wait_behind_the_hold(after_hold);
    let reached = proxy
        .since(after_hold)
        .iter()
        .any(|command| command.effect == Effect::Write && command.reply.is_some());
    let commands = proxy.since(start).into_iter();
    let touched = commands.flat_map(|command| command.keys).collect();
    // Include keys that neither request used, because the app may write to them at any time.
    let between = proxy.living_keys().await;
    proxy.release();
    let (visit, logout) = match (early, quick) {
        (Some(visit), Some(logout)) => (visit, logout),
        (Some(visit), None) => (visit, logout.await),
        (None, Some(logout)) => (visit.await, logout),
        (None, None) => tokio::join!(visit, logout),
    };
    (reached && !was_blocked).then_some(Overlap {
        visit,
        logout,
        start,
        touched,
        between,
    })
}

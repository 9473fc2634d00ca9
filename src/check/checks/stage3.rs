//! Stage 3: the count expires.

use std::time::Duration;

use crate::check::browser::Cause;
use crate::check::exchange::Exchange;
use crate::check::grader::{Grader, LoggedIn};
use crate::check::judged::{Judged, NotHeld, fails, not_judged, require, shown_keys};
use crate::check::redis_command::{Key, SeenCommand};

/// The maximum number of attempts to cut the app's connection to Redis. Attempt number N cuts the connection
/// after the Nth command of a request.
const MOST_CUTS: usize = 8;
/// The pause between two visits. A TTL in seconds decreases measurably during this pause.
const PAUSE: Duration = Duration::from_millis(1100);

pub(super) async fn visits_refresh_the_ttl(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    refreshes(grader, &mut user).await
}

/// Checks that at least one of two visits increases the TTL of each key. A single visit might not increase a
/// TTL, because some apps round TTLs to seconds.
pub(super) async fn refreshes(grader: &mut Grader, user: &mut LoggedIn) -> Judged {
    grader.proxy()?;
    let first = grader.visit(user).await?;
    let keys = grader.own_keys(first.keys()).await?;
    let keys = grader.living(&keys).await?;
    if keys.is_empty() {
        return Err(not_judged("a visit uses no key that belongs to only this user"));
    }
    let pause = PAUSE.min(grader.settings().ttl.mul_f64(0.3));
    let mut exchanges = vec![first];
    // The keys whose TTL has not increased yet, with the TTLs before and after the last visit.
    let mut old: Vec<(Key, i64, i64)> = keys.iter().map(|key| (key.clone(), 0, 0)).collect();
    let mut countdown = grader.countdown("waiting between visits; continuing", pause * 2);
    for _ in 0..2 {
        countdown.wait(pause).await;
        let left: Vec<Key> = old.into_iter().map(|(key, ..)| key).collect();
        let before = grader.proxy()?.ttls(&left).await;
        let cookies = user.visitor.cookies();
        let visit = grader.visit(user).await?;
        let after = grader.proxy()?.ttls(&left).await;
        let now = grader.own_keys(visit.keys()).await?;
        let now = grader.living(&now).await?;
        exchanges.push(visit);
        let has_other_keys = now.iter().any(|key| !keys.contains(key));
        if user.visitor.cookies() != cookies && has_other_keys {
            // The app has moved the session to new keys. It may keep the old keys, because requests in
            // progress may need them.
            return Ok(());
        }
        old = left
            .into_iter()
            .zip(before)
            .zip(after)
            .map(|((key, before), after)| (key, before, after))
            .filter(|(_, before, after)| *after == -1 || (*after != -2 && after <= before))
            .collect();
        if old.is_empty() {
            return Ok(());
        }
    }
    let are_all_old = old.len() == keys.len();
    for (key, before, after) in old {
        if !is_part_of_session(grader, user, &key).await? {
            continue;
        }
        let key = shown_keys(&[key]);
        let got = match after {
            -1 => format!("{key} has no TTL"),
            _ => format!("the TTL of {key} was {before} ms before the visit, and {after} ms after it"),
        };
        let did = format!("visits with {} ms between them", pause.as_millis());
        return fails(did, "each visit resets the TTL", got, &exchanges);
    }
    match are_all_old {
        true => Err(not_judged("no key that the session depends on was found")),
        false => Ok(()),
    }
}

/// Deletes a key of the user, and visits the home page. Returns true if the user is then logged out or the
/// visit count is wrong.
async fn is_part_of_session(grader: &Grader, user: &mut LoggedIn, key: &Key) -> Result<bool, NotHeld> {
    let before = grader.visit(user).await?;
    grader.proxy()?.delete(std::slice::from_ref(key)).await;
    let after = user.visitor.home().await;
    let expected = grader.visits(&before).map(|number| number + 1);
    Ok(!grader.shows_login(&after) || grader.visits(&after) != expected)
}

pub(super) async fn keys_have_a_ttl(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    let mut has_own_key = false;
    for request in [
        "the login and its redirect",
        "the login",
        "a visit",
        "another visit",
    ] {
        let mut last = match request {
            "the login and its redirect" => user.login.clone(),
            "the login" => {
                // Do not follow the redirect, because the redirect could count as the first visit.
                let (mut visitor, form) = grader.visitor_at_login().await;
                visitor.submit_only(&form, Cause::OwnPage).await
            }
            _ => grader.visit(&mut user).await?,
        };
        grader.settle(&mut last).await;
        let (endless, own) = endless(grader, &last).await?;
        has_own_key |= own > 0;
        if !endless.is_empty() {
            let expected = "every key that the app has created has a TTL";
            let got = format!("no TTL: {}", shown_keys(&endless));
            return fails(request, expected, got, [&last]);
        }
    }
    match has_own_key {
        true => Ok(()),
        false => Err(not_judged("a visit uses no key that belongs to only this user")),
    }
}

/// Returns the keys in this exchange that have no TTL, and the total number of keys in the exchange. Excludes
/// keys that users share and keys that existed before this run.
async fn endless(grader: &mut Grader, exchange: &Exchange) -> Result<(Vec<Key>, usize), NotHeld> {
    let own = grader.own_keys(exchange.keys()).await?;
    let count = own.len();
    let living = grader.proxy()?.living_keys().await;
    let endless = own.into_iter().filter(|key| living.get(key) == Some(&-1));
    Ok((endless.collect(), count))
}

pub(super) async fn no_moment_without_a_ttl(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    let first = grader.visit(&mut user).await?;
    let second = grader.visit(&mut user).await?;
    grader.proxy()?;
    let shared = grader.shared_keys().await?;
    for exchange in [&user.login, &first, &second] {
        let is_bad = |command: &&SeenCommand| command.without_ttl.iter().any(|key| !shared.contains(key));
        let Some(bad) = exchange.commands.iter().find(is_bad) else {
            continue;
        };
        let got = format!("no TTL after {}: {}", bad.name(), shown_keys(&bad.without_ttl));
        let expected = "after each command, every key has a TTL";
        return fails("a login and two visits", expected, got, [exchange]);
    }
    Ok(())
}

pub(super) async fn cut_visit_leaves_a_ttl(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let mut user = grader.logged_in().await?;
    let visit = grader.visit(&mut user).await?;
    let commands = visit.cuts();
    for cut in 1..=commands.min(MOST_CUTS) {
        // A user who has not visited the app yet has no key.
        let (mut visitor, form) = grader.visitor_at_login().await;
        visitor.submit_only(&form, Cause::OwnPage).await;
        let proxy = grader.proxy()?;
        proxy.cut_after(cut);
        let mut visit = visitor.home().await;
        let was_cut = proxy.was_cut();
        grader.settle(&mut visit).await;
        let works_again = grader.works_again().await;
        let (endless, _) = endless(grader, &visit).await?;
        if was_cut && !endless.is_empty() {
            let did = format!(
                "the first visit; `check` cut the connection to Redis after command {cut} of {commands}"
            );
            let got = format!("no TTL: {}", shown_keys(&endless));
            return fails(did, "no key without a TTL", got, [&visit]);
        }
        works_again?;
    }
    Ok(())
}

pub(super) async fn ttl_in_the_same_round_trip(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let mut user = grader.logged_in().await?;
    grader.visit(&mut user).await?;
    let home = grader.visit(&mut user).await?;
    if home.data_commands().next().is_none() {
        return Err(not_judged("a visit sends no command to Redis"));
    }
    let trips = |names: &[&str]| {
        let commands = home
            .commands
            .iter()
            .filter(|command| names.contains(&command.name().as_str()));
        commands
            .map(|command| (command.connection, command.round_trip))
            .collect::<Vec<_>>()
    };
    let expires = trips(&["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"]);
    let counts = trips(&["HINCRBY", "INCR", "INCRBY", "HSET", "SET"]);
    require(
        expires.iter().all(|trip| counts.contains(trip)),
        "a visit",
        "the count and EXPIRE in one round trip",
        "two round trips",
        [&home],
    )
}

//! Stage 3: the count expires.

use std::time::Duration;

use crate::check::exchange::Exchange;
use crate::check::grader::{Grader, Judged, LoggedIn, NotHeld, fails, not_judged, shown_keys};
use crate::check::redis_command::Key;

/// The most commands of one request after which the connection is cut.
const MOST_CUTS: usize = 8;
/// The time between two visits, after which the TTL has visibly decreased.
const PAUSE: Duration = Duration::from_millis(1100);

pub(super) async fn visits_refresh_the_ttl(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    refreshes(grader, &mut user).await
}

/// Checks that a visit raises the TTL of its keys.
pub(super) async fn refreshes(grader: &Grader, user: &mut LoggedIn) -> Judged {
    let proxy = grader.proxy()?;
    let first = grader.visit(user).await?;
    let keys = grader.living(&first.keys()).await?;
    if keys.is_empty() {
        return Err(not_judged("a visit uses no key"));
    }
    let pause = PAUSE.min(grader.settings().ttl / 3);
    tokio::time::sleep(pause).await;
    let before = proxy.ttls(&keys).await;
    let second = grader.visit(user).await?;
    let after = proxy.ttls(&keys).await;
    for ((key, before), after) in keys.iter().zip(before).zip(after) {
        let got = match after {
            -1 => format!("{} has no TTL", shown_keys(std::slice::from_ref(key))),
            after if after <= before => {
                let key = shown_keys(std::slice::from_ref(key));
                format!("the TTL of {key} was {before} ms before the visit, and {after} ms after it")
            }
            _ => continue,
        };
        let did = format!("two visits with {} ms between them", pause.as_millis());
        return fails(
            did,
            "the second visit sets the TTL again",
            got,
            &[&first, &second],
        );
    }
    Ok(())
}

pub(super) async fn keys_have_a_ttl(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    let mut last = user.login.clone();
    for request in ["the login", "the first visit", "the second visit"] {
        if request != "the login" {
            last = grader.visit(&mut user).await?;
        }
        grader.settle(&mut last).await;
        let endless = endless(grader, &last).await?;
        if !endless.is_empty() {
            let expected = "every key that the app has created has a TTL";
            return fails(
                request,
                expected,
                format!("no TTL: {}", shown_keys(&endless)),
                &[&last],
            );
        }
    }
    Ok(())
}

/// Returns the keys of a request that exist without a TTL and were created in this run.
async fn endless(grader: &Grader, exchange: &Exchange) -> Result<Vec<Key>, NotHeld> {
    let living = grader.proxy()?.living_keys().await;
    let keys = exchange.keys().into_iter();
    Ok(keys.filter(|key| living.get(key) == Some(&-1)).collect())
}

pub(super) async fn no_moment_without_a_ttl(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    let first = grader.visit(&mut user).await?;
    let second = grader.visit(&mut user).await?;
    for exchange in [&user.login, &first, &second] {
        let Some(bad) = exchange
            .commands
            .iter()
            .find(|command| !command.without_ttl.is_empty())
        else {
            continue;
        };
        let got = format!(
            "after {}, there is no TTL on {}",
            bad.name(),
            shown_keys(&bad.without_ttl)
        );
        return fails(
            "a login and two visits",
            "each command leaves every key with a TTL",
            got,
            &[exchange],
        );
    }
    grader.proxy()?;
    Ok(())
}

pub(super) async fn cut_visit_leaves_a_ttl(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let mut user = grader.logged_in().await?;
    let visit = grader.visit(&mut user).await?;
    let commands = visit.data_commands().count();
    for cut in 1..=commands.min(MOST_CUTS) {
        // Before its first visit, the user has no key yet.
        let name = grader.name();
        let mut visitor = grader.visitor();
        let form = visitor.login_form(&name).await;
        visitor.submit_only(&form).await;
        let proxy = grader.proxy()?;
        proxy.cut_after(cut);
        let mut visit = visitor.home().await;
        let was_cut = proxy.was_cut();
        grader.settle(&mut visit).await;
        let endless = endless(grader, &visit).await?;
        if was_cut && !endless.is_empty() {
            let did = format!(
                "the first visit, with the connection to Redis cut after command {cut} of {commands}"
            );
            return fails(
                did,
                "no key without a TTL",
                format!("no TTL: {}", shown_keys(&endless)),
                &[&visit],
            );
        }
    }
    Ok(())
}

pub(super) async fn ttl_in_the_same_round_trip(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let mut user = grader.logged_in().await?;
    grader.visit(&mut user).await?;
    let home = grader.visit(&mut user).await?;
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
    match expires.iter().all(|trip| counts.contains(trip)) {
        true => Ok(()),
        false => fails(
            "a visit",
            "the count and EXPIRE in one round trip",
            "two round trips",
            &[&home],
        ),
    }
}

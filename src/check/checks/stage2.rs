//! Stage 2: visits are counted in Redis.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis::Value;

use super::stage1::log_out;
use crate::check::browser::PATIENCE;
use crate::check::exchange::Exchange;
use crate::check::grader::{Grader, LoggedIn};
use crate::check::judged::{Judged, NotHeld, fails, not_judged, require, shown_keys};
use crate::check::redis_command::Key;
use crate::deadline::{DEFAULT_TIMEOUT, Deadline};

const CROWD: usize = 50;
/// How long the proxy delays each reply, so that simultaneous requests overlap at Redis.
const OVERLAP: Duration = Duration::from_millis(30);
/// The TTL that `check` sets on the app's keys before a restart or before simultaneous visits.
const LONG_TTL: Duration = Duration::from_secs(180);

pub(super) async fn visits_count_up(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    let mut exchanges = vec![user.login.clone()];
    // The redirect after the login may count as the first visit.
    if grader.first_count(&user).is_none() {
        exchanges = vec![grader.visit(&mut user).await?];
    }
    let mut expected = 1;
    loop {
        let found = exchanges.last().and_then(|last| grader.visits(last));
        if found != Some(expected) {
            let got = match (found, grader.site.proxy.as_ref()) {
                (Some(found), _) => format!("Visits: {found}"),
                (None, Some(proxy)) if proxy.connections_opened() == 0 => {
                    format!(
                        "no number, and the app has not connected to the Redis server of `check` ({})",
                        proxy.url()
                    )
                }
                (None, _) => "no number (set the pattern with --visits)".to_owned(),
            };
            let did = format!("loaded the home page (visit {expected} after the login)");
            return fails(did, format!("Visits: {expected}"), got, &exchanges);
        }
        if expected == 3 {
            break;
        }
        expected += 1;
        exchanges.push(grader.visit(&mut user).await?);
    }
    // The count must be stored in the Redis server that the proxy observes.
    let is_in_redis = exchanges
        .iter()
        .any(|exchange| exchange.data_commands().next().is_some());
    require(
        grader.site.proxy.is_none() || is_in_redis,
        "three visits",
        "commands to the Redis server in REDIS_URL",
        "no commands, so the app does not count in this Redis server",
        &exchanges,
    )
}

/// Returns all integers in a reply, including integers in strings, such as the values of a hash.
fn integers(reply: &Value) -> Vec<i64> {
    match reply {
        Value::Int(number) => vec![*number],
        Value::BulkString(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .into_iter()
            .collect(),
        Value::Array(items) => items.iter().flat_map(integers).collect(),
        Value::Map(pairs) => pairs.iter().flat_map(|(_, value)| integers(value)).collect(),
        _ => Vec::new(),
    }
}

pub(super) async fn number_is_the_reply(grader: &mut Grader) -> Judged {
    /// Commands that increase a number and return the new number.
    const ADD: [&str; 5] = ["HINCRBY", "HINCRBYFLOAT", "INCR", "INCRBY", "INCRBYFLOAT"];
    const TOGETHER: [&str; 4] = ["EXEC", "EVAL", "EVALSHA", "FCALL"];
    grader.proxy()?;
    let mut user = grader.logged_in().await?;
    grader.count(&mut user).await?;
    let (number, home) = grader.count(&mut user).await?;
    let sent = |names: &[&str]| {
        let commands = home.commands.iter();
        commands
            .filter(|command| names.contains(&command.name().as_str()))
            .collect::<Vec<_>>()
    };
    let adds = sent(&ADD);
    let replies: Vec<i64> = [adds.clone(), sent(&TOGETHER)]
        .concat()
        .into_iter()
        .filter_map(|command| command.reply.as_ref())
        .flat_map(integers)
        .collect();
    let is_seen = replies.contains(&number);
    if !is_seen && !adds.is_empty() {
        let expected = format!("a reply to HINCRBY with the integer {number}");
        return fails(
            "the second visit",
            expected,
            format!("replies: {replies:?}"),
            [&home],
        );
    }
    // Delay the replies. If the app reads the count with a separate command, such as HGET, that count then
    // includes the visits of other requests.
    let proxy = grader.proxy()?;
    proxy.delay(OVERLAP);
    let visits = join_all((0..6).map(|_| {
        let mut visitor = user.visitor.clone();
        async move { visitor.home().await }
    }))
    .await;
    proxy.delay(Duration::ZERO);
    let numbers: Vec<i64> = visits.iter().filter_map(|visit| grader.visits(visit)).collect();
    let different: BTreeSet<i64> = numbers.iter().copied().collect();
    if different.len() < numbers.len() {
        return fails(
            "6 simultaneous visits",
            "6 different numbers",
            format!("{numbers:?}"),
            [&visits[0]],
        );
    }
    match is_seen {
        true => Ok(()),
        false => Err(not_judged(
            "the app does not count with HINCRBY, but 6 simultaneous visits showed 6 different numbers",
        )),
    }
}

pub(super) async fn simultaneous_visits_all_count(grader: &mut Grader) -> Judged {
    if let Some(proxy) = &grader.site.proxy {
        let deadline = Deadline::after(DEFAULT_TIMEOUT);
        let what = "waiting until Redis has accepted 50 connections; continuing";
        let prepared = deadline.bound(proxy.prepare(CROWD));
        let progress = &grader.site.progress;
        // Connections that fail now are opened when the app needs them.
        let _ = progress.during(what, || deadline.left(), prepared).await;
    }
    let mut user = grader.logged_in().await?;
    let (mut before, mut visits) = visits_of_a_crowd(grader, &mut user).await?;
    // On a busy computer, the app's timeout for Redis may expire once, so only a repeated failure is the
    // app's fault. The second attempt needs a new user, because Redis may still count visits of the first
    // attempt.
    if visits.iter().any(|visit| !grader.shows_login(visit)) {
        user = grader.logged_in().await?;
        (before, visits) = visits_of_a_crowd(grader, &mut user).await?;
    }
    let did = format!("{CROWD} simultaneous visits after visit {before}, then one more");
    if let Some(bad) = visits.iter().find(|visit| !grader.shows_login(visit)) {
        let got = bad.http_lines().join("; ");
        return fails(did, "a page that shows the user for each visit", got, [bad]);
    }
    let (after, last) = grader.count(&mut user).await?;
    let expected = before + CROWD as i64 + 1;
    require(
        after == expected,
        did,
        format!("Visits: {expected}"),
        after.to_string(),
        [&visits[0], &last],
    )
}

/// Sends simultaneous visits of one user. Returns the visit count before these visits, and the exchanges of
/// these visits.
async fn visits_of_a_crowd(
    grader: &mut Grader,
    user: &mut LoggedIn,
) -> Result<(i64, Vec<Exchange>), NotHeld> {
    let (before, first) = grader.count(user).await?;
    if let Some(proxy) = &grader.site.proxy {
        // On a slow computer, the visits may take longer than the app's TTL.
        proxy.prolong(&first.keys(), LONG_TTL).await;
        proxy.delay(OVERLAP);
    }
    let visits = join_all((0..CROWD).map(|_| {
        let mut visitor = user.visitor.clone();
        async move { visitor.home().await }
    }))
    .await;
    if let Some(proxy) = &grader.site.proxy {
        proxy.delay(Duration::ZERO);
    }
    if visits.iter().any(|visit| visit.longest() >= PATIENCE) {
        let why = format!(
            "the app did not answer {CROWD} simultaneous visits within {} s; a server that handles several requests \
             at the same time would answer faster",
            PATIENCE.as_secs()
        );
        return Err(not_judged(why));
    }
    Ok((before, visits))
}

pub(super) async fn two_names_two_counters(grader: &mut Grader) -> Judged {
    let mut first = grader.logged_in().await?;
    let mut second = grader.logged_in().await?;
    let start = [&first, &second].map(|user| grader.first_count(user).unwrap_or(0));
    let (one, a) = grader.count(&mut first).await?;
    let (two, b) = grader.count(&mut first).await?;
    let (other, c) = grader.count(&mut second).await?;
    let (three, d) = grader.count(&mut first).await?;
    let numbers = [one, two, other, three];
    let expected = [start[0] + 1, start[0] + 2, start[1] + 1, start[0] + 3];
    require(
        numbers == expected && start.iter().all(|start| *start <= 1),
        format!("visits of {0}, {0}, {1}, {0}", first.name, second.name),
        format!("the numbers {expected:?}"),
        format!("{numbers:?}"),
        [&a, &b, &c, &d],
    )
}

pub(super) async fn restarted_app_continues(grader: &mut Grader) -> Judged {
    if grader.app.is_none() {
        return Err(not_judged(
            "`check` did not start the app; to test this, add the command that starts the app after --",
        ));
    }
    let mut user = grader.logged_in().await?;
    grader.count(&mut user).await?;
    let (before, first) = grader.count(&mut user).await?;
    // The restart may take longer than the app's TTL.
    let started = Instant::now();
    if let Some(proxy) = &grader.site.proxy {
        proxy.prolong(&first.keys(), LONG_TTL).await;
    }
    if let Err(error) = grader.restart().await {
        return Err(not_judged(format!("the app did not start again: {error}")));
    }
    let after = user.visitor.home().await;
    let found = grader.visits(&after);
    if user.visitor.cookies().is_empty() {
        return Err(not_judged("the cookie expired before the app had started again"));
    }
    if found == Some(before + 1) {
        return Ok(());
    }
    if grader.site.proxy.is_none()
        && grader.settings().stage > 2
        && started.elapsed() >= grader.settings().ttl
    {
        return Err(not_judged("the restart took longer than the TTL"));
    }
    let got = found.map_or_else(
        || after.http_lines().join("; "),
        |found| format!("Visits: {found}"),
    );
    let did = "two visits, SIGKILL and a restart of the app, and another visit with the same cookie";
    fails(did, format!("Visits: {}", before + 1), got, [&first, &after])
}

pub(super) async fn visit_is_one_round_trip(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let mut user = grader.logged_in().await?;
    grader.visit(&mut user).await?;
    let mut home = grader.visit(&mut user).await?;
    grader.settle(&mut home).await;
    let trips = home.round_trips();
    if trips == 0 {
        return Err(not_judged("a visit sends no command to Redis"));
    }
    let got = format!("{trips} round trips");
    require(trips == 1, "a visit", "one round trip to Redis", got, [&home])
}

pub(super) async fn keys_have_a_prefix(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let mut first = grader.logged_in().await?;
    let mut second = grader.logged_in().await?;
    let (one, two) = (grader.visit(&mut first).await?, grader.visit(&mut second).await?);
    let (a, b) = (one.keys(), two.keys());
    // A key that both users use cannot contain a user name.
    let own = |keys: &[Key], others: &[Key]| keys.iter().find(|key| !others.contains(key)).cloned();
    let (Some(key), Some(other)) = (own(&a, &b), own(&b, &a)) else {
        return Err(not_judged("a visit uses no key that belongs to only this user"));
    };
    let common: Key = key
        .iter()
        .zip(&other)
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| *a)
        .collect();
    require(
        common.len() >= 3 || common.iter().any(|byte| b":/._-|".contains(byte)),
        "visits of two users",
        "keys with a common prefix, such as app:session:",
        shown_keys(&[key, other]),
        [&one, &two],
    )
}

pub(super) async fn unusual_name_works(grader: &mut Grader) -> Judged {
    let unique = grader.name();
    let mut name = format!("Zoë 日本 \"{{}}\" 100% ☕ : * [a] \\ {unique} ");
    while name.chars().count() < 64 {
        name.push('é');
    }
    let did = format!("logged in as {name}");
    let mut user = match grader.logged_in_as(name.clone()).await {
        Ok(user) => user,
        Err(_) => return fails(did, "a login", "the login failed", []),
    };
    let home = user.visitor.home().await;
    let is_right = grader.shows_user(&home, &name) && grader.visits(&home).is_some();
    let _ = log_out(grader, &mut user).await;
    let got = home.http_lines().join("; ");
    require(is_right, did, "the name and a number of visits", got, [&home])
}

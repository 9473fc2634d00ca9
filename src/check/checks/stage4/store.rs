//! Checks how the session store uses Redis.

use super::super::stage3::refreshes;
use crate::check::browser::Visitor;
use crate::check::exchange::Exchange;
use crate::check::grader::Grader;
use crate::check::judged::{Judged, fails, not_judged, require, shown_keys};
use crate::check::redis_command::{Effect, Key};
/// Checks that a visit to the home page creates no key.
pub(super) async fn creates_no_key(grader: &mut Grader, did: &str, visitor: &mut Visitor) -> Judged {
    let before = grader.proxy()?.living_keys().await;
    let mut home = visitor.home().await;
    grader.settle(&mut home).await;
    let after = grader.proxy()?.living_keys().await;
    let used = grader.own_keys(home.keys()).await?;
    let created: Vec<Key> = used
        .into_iter()
        .filter(|key| after.contains_key(key) && !before.contains_key(key))
        .collect();
    let got = format!("created {}", shown_keys(&created));
    require(created.is_empty(), did, "no new key", got, [&home])
}

pub(crate) async fn visit_without_cookie_creates_no_key(grader: &mut Grader) -> Judged {
    let mut visitor = grader.visitor();
    creates_no_key(grader, "a visit without a cookie", &mut visitor).await
}

pub(crate) async fn any_access_refreshes_the_ttl(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    refreshes(grader, &mut user).await
}

pub(crate) async fn visit_without_cookie_sends_nothing(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let mut home = grader.visitor().home().await;
    grader.settle(&mut home).await;
    let count = home.data_commands().count();
    require(
        count == 0,
        "a visit without a cookie",
        "no Redis commands",
        format!("{count} commands"),
        [&home],
    )
}

pub(crate) async fn connections_are_reused(grader: &mut Grader) -> Judged {
    /// The maximum number of new connections in a round of visits, because a connection pool or several
    /// processes may still open a few.
    const MOST_NEW: u64 = 3;
    const VISITS: u64 = 10;
    /// The maximum number of rounds of visits. After these rounds, even an app with many processes has opened
    /// all its connections.
    const ROUNDS: u64 = 4;
    let mut user = grader.logged_in().await?;
    let mut last = grader.visit(&mut user).await?;
    let mut new = 0;
    for _ in 0..ROUNDS {
        let before = grader.proxy()?.connections_opened();
        for _ in 0..VISITS {
            last = grader.visit(&mut user).await?;
        }
        let opened = grader.proxy()?.connections_opened();
        if opened == 0 {
            return Err(not_judged(
                "the app has not connected to the Redis server that `check` gave it",
            ));
        }
        new = opened - before;
        if new <= MOST_NEW {
            return Ok(());
        }
    }
    fails(
        format!("{VISITS} visits, {ROUNDS} times"),
        "connections are reused",
        format!("{new} new connections during the last {VISITS} visits"),
        [&last],
    )
}

pub(crate) async fn no_commands_over_all_keys(grader: &mut Grader) -> Judged {
    let names = ["KEYS", "SCAN", "FLUSHALL", "FLUSHDB", "RANDOMKEY"];
    let all = grader.proxy()?.since(0);
    let Some(bad) = all
        .into_iter()
        .find(|command| names.contains(&command.name().as_str()))
    else {
        return Ok(());
    };
    let got = bad.shown();
    let exchange = Exchange {
        hops: Vec::new(),
        commands: vec![bad],
        mark: 0,
    };
    fails(
        "all requests of this run",
        "no command that processes all keys",
        got,
        [&exchange],
    )
}

pub(crate) async fn value_is_not_a_pickle(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let mut user = grader.logged_in().await?;
    let home = grader.visit(&mut user).await?;
    // A pickle starts with the opcode PROTO and the protocol version, and ends with the opcode STOP.
    let is_pickle = |word: &Vec<u8>| matches!(word.as_slice(), [0x80, 2..=5, .., b'.']);
    for exchange in [&user.login, &home] {
        let mut writes = exchange
            .data_commands()
            .filter(|command| command.effect == Effect::Write);
        if let Some(bad) = writes.find(|command| command.words.iter().any(is_pickle)) {
            let expected = "a value in a format such as JSON";
            return fails("a login and a visit", expected, bad.shown(), [exchange]);
        }
    }
    Ok(())
}

//! Handles Sentinel URLs: asks the Sentinels for the primary, then checks the connection to the primary.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::{Value, cmd};

use super::ladder::climb_to;
use super::observation::{Followed, NamedPrimary, Observations, SentinelAnswer};
use super::response::{Response, ask};
use super::rungs::role::field;
use super::{Climb, ClimbEvent, ClimbOptions, WriteCheck};
use crate::deadline::Deadline;
use crate::redis_client::ProbeConnection;
use crate::redis_client::{items, text};
use crate::redis_url::{Sentinels, Target, Trust};

/// The share of the total time that is available for asking the Sentinels.
const SHARE: f64 = 0.6;
/// The maximum number of Sentinels that are asked, because each takes up to 10 ms of CPU time.
const MOST_SENTINELS: usize = 64;
/// The minimum remaining time for a second login at a Sentinel.
const SECOND_LOGIN: Duration = Duration::from_millis(50);

/// Asks all Sentinels at the same time, and checks the first primary that a Sentinel reports. If no Sentinel
/// reports a primary, returns the observations of the last Sentinel that replied.
pub(super) async fn climb(
    target: &Target,
    sentinels: &Sentinels,
    trust: &Trust,
    options: &ClimbOptions,
    deadline: Deadline,
    tell: &mut (dyn FnMut(ClimbEvent<'_>) + Send),
) -> Climb {
    let until = deadline.within(deadline.left().mul_f64(SHARE));
    let options_of_sentinel = ClimbOptions {
        write_check: WriteCheck::Skip,
        ..*options
    };
    let mut asked: FuturesUnordered<_> = (0..sentinels.hosts.len().min(MOST_SENTINELS))
        .map(|index| ask_one(target, sentinels, index, trust, &options_of_sentinel, until))
        .collect();
    let mut best: Option<Observations> = None;
    while let Some(seen) = asked.next().await {
        match seen.followed.as_ref().map(|followed| &followed.answer) {
            Some(SentinelAnswer::Primary(primary)) => {
                let primary_target = target.of_primary(&primary.host, primary.port);
                let mut climb = climb_to(&primary_target, trust, options, deadline, tell, false).await;
                climb.observations.followed = seen.followed.map(|followed| Followed {
                    target: primary_target,
                    ..followed
                });
                return climb;
            }
            // A reply of one Sentinel is more useful than a failed connection to a different Sentinel.
            Some(SentinelAnswer::None) if best.is_some() => {}
            _ => best = Some(seen),
        }
    }
    Climb {
        observations: best.unwrap_or_default(),
        connection: None,
    }
}

/// Connects to one Sentinel, and asks for the primary.
async fn ask_one(
    target: &Target,
    sentinels: &Sentinels,
    index: usize,
    trust: &Trust,
    options: &ClimbOptions,
    deadline: Deadline,
) -> Observations {
    let mut sentinel = target.of_sentinel(sentinels, index);
    let mut climb = climb_to(&sentinel, trust, options, deadline, &mut |_| {}, true).await;
    // If the URL has no password for the Sentinels, try the primary's password, because both are often the
    // same.
    if sentinel.password.is_none()
        && target.password.is_some()
        && climb.observations.requires_login()
        && deadline.left() > SECOND_LOGIN
    {
        sentinel.password.clone_from(&target.password);
        climb = climb_to(&sentinel, trust, options, deadline, &mut |_| {}, true).await;
    }
    let answer = match &mut climb.connection {
        Some(connection) => name_primary(connection, &sentinels.name, deadline).await,
        None => SentinelAnswer::None,
    };
    let mut seen = climb.observations;
    seen.followed = Some(Followed {
        sentinel: sentinel.place(),
        name: sentinels.name.clone(),
        target: sentinel,
        answer,
    });
    seen
}

async fn name_primary(connection: &mut ProbeConnection, name: &str, deadline: Deadline) -> SentinelAnswer {
    let question = cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name).clone();
    let response = ask(connection, &question, deadline).await;
    match &response {
        Response::Reply(Value::Nil) => {
            let masters = ask(connection, cmd("SENTINEL").arg("MASTERS"), deadline).await;
            let masters = match &masters {
                Response::Reply(masters) => items(Some(masters)),
                _ => &[],
            };
            SentinelAnswer::UnknownName(masters.iter().filter_map(|one| field(one, "name")).collect())
        }
        Response::Reply(reply @ Value::Array(_)) => {
            let words: Vec<String> = items(Some(reply)).iter().filter_map(text).collect();
            match &words[..] {
                [host, port] => match NamedPrimary::new(name, host, port) {
                    Some(primary) => SentinelAnswer::Primary(primary),
                    None => SentinelAnswer::NoAddress(format!("{host}:{port}")),
                },
                _ => SentinelAnswer::Other(response),
            }
        }
        _ => SentinelAnswer::Other(response),
    }
}

//! Checks the verdicts on connections that were left idle.

use std::time::Duration;

use super::{connected, reply, target};
use crate::ping::observation::{IdleEnd, IdleTest, IdleTrial, Observations};
use crate::ping::verdict::{Certainty, judge};

fn verdict(trials: &[(u64, bool, IdleEnd)], timeout: Option<&str>) -> Option<(&'static str, Certainty)> {
    let trials = trials.iter().map(|(milliseconds, keepalive, end)| IdleTrial {
        idle: Duration::from_millis(*milliseconds),
        keepalive: keepalive.then_some(Duration::from_secs(1)),
        end: *end,
    });
    let mut seen = connected().with(|seen| {
        seen.ping.response = Some(reply("+PONG"));
        seen.idle = Some(IdleTest {
            trials: trials.collect(),
            is_restarted: false,
        });
    });
    let timeout = timeout.map(|limit| ("timeout".to_owned(), limit.to_owned()));
    seen.server.settings = timeout.into_iter().collect();
    let finding = judge(&target("redis://10.0.3.17"), &seen).finding?;
    Some((finding.cause.code(), finding.certainty))
}

#[test]
fn a_limit_is_proved_only_if_nothing_else_can_have_ended_the_connection() {
    use Certainty::{Likely, Proved};
    use IdleEnd::{Closed, Silent, Survived};
    let idle = |certainty| Some(("path.idle", certainty));
    assert_eq!(
        verdict(&[(4000, false, Survived), (4000, true, Survived)], None),
        None
    );
    // The loss of a single connection proves nothing, unless the server has this idle limit.
    assert_eq!(verdict(&[(2100, false, Closed)], None), idle(Likely));
    assert_eq!(verdict(&[(2100, false, Closed)], Some("2")), idle(Proved));
    assert_eq!(verdict(&[(5000, false, Closed)], Some("2")), idle(Likely));
    // The trials with keepalive start later, so connections with equal idle times did not end at the same
    // moment.
    assert_eq!(
        verdict(&[(5000, false, Closed), (5010, true, Closed)], None),
        idle(Proved)
    );
    assert_eq!(
        verdict(&[(5000, false, Closed), (4600, true, Closed)], None),
        idle(Likely)
    );
    assert_eq!(
        verdict(&[(3000, false, Silent), (8000, true, Survived)], None),
        idle(Proved)
    );
    assert_eq!(
        verdict(&[(3000, false, Silent), (3000, true, Silent)], None),
        idle(Likely)
    );
}

#[test]
fn a_server_that_was_restarted_has_no_idle_limit() {
    let mut seen = connected().with(|seen| {
        seen.ping.response = Some(reply("+PONG"));
        seen.idle = Some(IdleTest {
            trials: vec![IdleTrial {
                idle: Duration::from_secs(2),
                keepalive: None,
                end: IdleEnd::Closed,
            }],
            is_restarted: true,
        });
    });
    let kinds = |seen: &Observations| {
        let finding = judge(&target("redis://10.0.3.17"), seen).finding.unwrap();
        let kinds = finding.fixes.iter().map(|fix| fix.kind).collect::<Vec<_>>();
        (finding.cause.code(), kinds)
    };
    let (code, fixes) = kinds(&seen);
    assert_eq!(code, "path.idle");
    assert!(!fixes.contains(&"keepalive"), "{fixes:?}");
    seen.idle.as_mut().unwrap().is_restarted = false;
    assert!(kinds(&seen).1.contains(&"keepalive"));
}

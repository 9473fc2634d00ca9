//! Determines the verdict on connections that were left idle.

use std::time::Duration;

use super::finding::{Certainty, Finding};
use crate::clock::seconds;
use crate::ping::causes::Cause;
use crate::ping::observation::{IdleEnd, IdleTest, IdleTrial, Observations, STAGGER};

pub(super) fn judge(seen: &Observations) -> Option<Finding> {
    let (test, lost) = lost(seen)?;
    let finding = if test.is_restarted {
        Finding::likely(Cause::PathIdle)
            .fact("the server's run ID changed during the test, so the server was restarted")
    } else if is_proved(test, lost, seen) {
        Finding::proved(Cause::PathIdle)
    } else {
        Finding::likely(Cause::PathIdle)
    };
    let limit = match (lost.end, test.longest_survived(None)) {
        (IdleEnd::Closed | IdleEnd::Reset, _) => seconds(lost.idle),
        (_, Some(survived)) => format!("{} to {}", seconds(survived), seconds(lost.idle)),
        (_, None) => format!("at most {}", seconds(lost.idle)),
    };
    let is_closed = matches!(lost.end, IdleEnd::Closed | IdleEnd::Reset);
    let is_likely = finding.certainty == Certainty::Likely && !test.is_restarted;
    let reason = if test.is_restarted {
        "the server was restarted, which ended the connection".to_owned()
    } else {
        let perhaps = if is_likely { "perhaps " } else { "" };
        format!("{perhaps}{}", enforcer(lost, &limit, seen))
    };
    Some(
        finding
            .summary(format!("{reason}; a new connection works"))
            .fact(what_happened(lost))
            .facts(test.longest_survived(None).map(|survived| {
                format!(
                    "the longest time that an idle connection survived was {}",
                    seconds(survived)
                )
            }))
            .facts(keepalive(test))
            .facts(seen.server.setting("timeout").map(|seconds| {
                match seconds {
                    "0" => {
                        "the server's `timeout` setting is 0, so the server does not close idle connections"
                            .into()
                    }
                    seconds => format!(
                        "the server's `timeout` setting is {} s",
                        crate::sanitize::excerpt(seconds.as_bytes(), 20)
                    ),
                }
            }))
            .facts((is_likely && is_closed).then_some(
                "a failover or CLIENT KILL may also have ended the connection; --idle shows whether connections \
                 always end after the same time",
            ))
            .fact("a new connection received all replies"),
    )
}

/// Returns the idle test and the lost connection with the shortest idle time. Prefers connections without TCP
/// keepalive. Returns `None` if no connection was lost.
fn lost(seen: &Observations) -> Option<(&IdleTest, &IdleTrial)> {
    let test = seen.idle.as_ref()?;
    let lost = test.shortest_lost(None).or_else(|| test.any_lost())?;
    Some((test, lost))
}

/// If an earlier connection was lost while it was idle, adds this fact to a finding about a new connection.
pub(super) fn with_lost_connection(finding: Finding, seen: &Observations) -> Finding {
    match lost(seen) {
        Some((_, lost)) if finding.cause != Cause::PathIdle => {
            let summary = format!("{}; an earlier connection had worked", finding.summary);
            finding
                .summary(summary)
                .fact(what_happened(lost))
                .fact("all other observations are about a new connection")
        }
        _ => finding,
    }
}

fn what_happened(lost: &IdleTrial) -> String {
    let end = match lost.end {
        IdleEnd::Closed => "it was closed (FIN)",
        IdleEnd::Reset => "it was reset (RST)",
        IdleEnd::ResetOnUse => "the next PING got RST in reply",
        _ => "the next PING got no reply",
    };
    format!(
        "a connection worked, but after {} without traffic {end}",
        seconds(lost.idle)
    )
}

/// Whether the observations prove that the idle time ended the connection, rather than a different event.
///
/// The proof can be the server's own limit, an effect of keepalive, or equal idle times of connections with
/// different start times.
fn is_proved(test: &IdleTest, lost: &IdleTrial, seen: &Observations) -> bool {
    let has_limit = seen
        .server
        .idle_limit()
        .is_some_and(|limit| is_server(lost.idle, limit));
    let period = test.trials.iter().find_map(|trial| trial.keepalive);
    let lost_with_keepalive = period.and_then(|period| test.shortest_lost(Some(period)));
    let is_equally_long = lost_with_keepalive.is_some_and(|other| {
        matches!(lost.end, IdleEnd::Closed | IdleEnd::Reset)
            && lost.keepalive.is_none()
            && other.idle.abs_diff(lost.idle) < STAGGER / 2
    });
    let keeps_alive = period.is_some_and(|period| {
        let survived = test.longest_survived(Some(period));
        lost_with_keepalive.is_none() && survived.is_some_and(|survived| survived > lost.idle)
    });
    has_limit && lost.end == IdleEnd::Closed || is_equally_long || keeps_alive
}

/// Describes whether TCP keepalive made a difference. Returns `None` if no connection used keepalive.
fn keepalive(test: &IdleTest) -> Option<String> {
    let period = test.trials.iter().find_map(|trial| trial.keepalive)?;
    let every = format!("TCP keepalive every {}", seconds(period));
    Some(
        match (
            test.shortest_lost(Some(period)),
            test.longest_survived(Some(period)),
        ) {
            (None, Some(survived)) => format!("with {every}, connections survived {}", seconds(survived)),
            (Some(lost), _) => format!(
                "with {every}, a connection also ended after {}, so keepalive made no difference",
                seconds(lost.idle)
            ),
            (None, None) => return None,
        },
    )
}

/// Describes what probably drops idle connections, and after which time.
fn enforcer(lost: &IdleTrial, limit: &str, seen: &Observations) -> String {
    let what = match (lost.end, seen.server.idle_limit()) {
        (IdleEnd::Closed, Some(setting)) if is_server(lost.idle, setting) => {
            return format!(
                "the server closes idle connections after {limit} (its `timeout` setting is {} s)",
                setting.as_secs()
            );
        }
        (IdleEnd::Closed, Some(_)) => "a proxy or load balancer closes",
        (IdleEnd::Closed, None) => "the server, a proxy or a load balancer closes",
        (IdleEnd::Reset, _) => "a proxy or a device on the path resets",
        (IdleEnd::ResetOnUse, _) => "a firewall, NAT gateway or load balancer on the path drops",
        _ => "a firewall or NAT gateway on the path silently drops",
    };
    format!("{what} idle connections after {limit}")
}

/// Whether the server's own limit explains this idle time. Redis looks for idle clients about once a second,
/// and counts whole seconds.
fn is_server(idle: Duration, limit: Duration) -> bool {
    let early = limit.saturating_sub(Duration::from_millis(500));
    !limit.is_zero() && (early..=limit + Duration::from_millis(2500)).contains(&idle)
}

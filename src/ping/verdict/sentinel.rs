//! Determines the verdict on Sentinels: those in a Sentinel URL, and a Sentinel at the address of a supposed
//! Redis server.

use super::finding::Finding;
use super::reply::unusable;
use super::tcp::describe;
use crate::ping::causes::Cause;
use crate::ping::observation::{Dial, Observations, SentinelAnswer};
use crate::redis_url::{Target, host_and_port};
use crate::sanitize;

/// Shortens a name or an address that comes from a Sentinel or the URL.
fn shown(text: &str) -> String {
    sanitize::excerpt(text.as_bytes(), 60)
}

/// Returns the finding about a Sentinel that did not report the primary.
pub(super) fn judge(seen: &Observations) -> Option<Finding> {
    let followed = seen.followed.as_ref()?;
    let (sentinel, name) = (&followed.sentinel, shown(&followed.name));
    match &followed.answer {
        SentinelAnswer::UnknownName(known) => {
            let known: Vec<_> = known.iter().map(|name| shown(name)).collect();
            Some(
                Finding::proved(Cause::RoleSentinel)
                    .summary(format!("the Sentinel does not watch a primary named {name}"))
                    .fact(format!("`ping` asked the Sentinel {sentinel} for the primary \"{name}\""))
                    .fact(if known.is_empty() {
                        "the Sentinel does not watch any primary".to_owned()
                    } else {
                        format!("the Sentinel watches only {}", known.join(", "))
                    }),
            )
        }
        SentinelAnswer::NoAddress(address) => Some(
            Finding::proved(Cause::RoleSentinel)
                .summary(
                    "the address that the Sentinel reports for the primary is neither a host name nor an IP address",
                )
                .fact(format!(
                    "the Sentinel {sentinel} returned this for {name}: {}",
                    shown(address)
                )),
        ),
        SentinelAnswer::Other(response) if response.is_not_from_a_sentinel() => {
            let error = response.error().unwrap_or_default();
            Some(
                Finding::proved(Cause::ServerRefused)
                    .summary(format!("the scheme of the URL is for Sentinels, but {sentinel} is not a Sentinel"))
                    .replied("SENTINEL", &error)
                    .fact(format!(
                        "`ping` asked for the primary \"{name}\" with the command SENTINEL, which every Sentinel supports"
                    )),
            )
        }
        SentinelAnswer::Other(response) => Some(unusable(response, "SENTINEL", seen).fact(format!(
            "the scheme of the URL means that {sentinel} is a Sentinel, so `ping` asked it for the primary; for a \
             Redis server, use redis://"
        ))),
        SentinelAnswer::Primary(_) | SentinelAnswer::None => None,
    }
}

/// If the URL contains Sentinels, describes which Sentinel reported the address that was checked.
pub(super) fn facts(given: &Target, seen: &Observations) -> Option<String> {
    let followed = seen.followed.as_ref()?;
    let all = given.sentinels.iter().flat_map(|sentinels| &sentinels.hosts);
    let all: Vec<_> = all.map(|(host, port)| host_and_port(host, *port)).collect();
    let (sentinel, name) = (&followed.sentinel, shown(&followed.name));
    match &followed.answer {
        SentinelAnswer::Primary(primary) => {
            let here = if seen.has_misleading_primary() {
                ", but that is the address of this host itself, not of the Sentinel's host"
            } else {
                ""
            };
            Some(format!(
                "according to the Sentinel {sentinel}, the primary \"{name}\" is at {primary}{here}"
            ))
        }
        SentinelAnswer::None if all.len() > 1 => Some(format!(
            "`ping` could not ask any of the Sentinels in the URL ({}) for the primary \"{name}\"; this report is about \
             {sentinel}",
            all.join(", ")
        )),
        SentinelAnswer::None => Some(format!(
            "`ping` could not ask the Sentinel in the URL ({sentinel}) for the primary \"{name}\""
        )),
        _ => None,
    }
}

/// Returns the finding about a Sentinel at the address of a supposed Redis server.
pub(super) fn judge_plain(seen: &Observations) -> Option<Finding> {
    if !seen.server.is_sentinel() {
        return None;
    }
    let dials = &seen.server.sentinel_primary_dials;
    let reached = seen.server.sentinel_primary.as_ref().map(|primary| {
        if dials.iter().any(Dial::is_connected) {
            format!("the primary at {primary} accepts connections from here")
        } else if dials.is_empty() {
            format!(
                "the primary at {primary} cannot be reached from here, because its host name cannot be resolved"
            )
        } else {
            let dials: Vec<_> = dials.iter().map(describe).collect();
            format!(
                "the primary at {primary} cannot be reached from here: {}",
                dials.join("; ")
            )
        }
    });
    Some(
        Finding::proved(Cause::RoleSentinel)
            .fact("the server reports that it is a Sentinel")
            .facts(
                seen.server
                    .watches_no_primary()
                    .then_some("the Sentinel does not watch any primary"),
            )
            .facts(seen.server.sentinel_primary.as_ref().map(|primary| {
                let name = shown(&primary.name);
                format!("the Sentinel watches the primary \"{name}\" at {primary}")
            }))
            .facts(reached),
    )
}

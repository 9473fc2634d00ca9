//! Warnings about a connection that works, and hints from the URL about one that fails.

use std::time::Duration;

use super::finding::{Warning, age, seconds};
use super::service;
use super::tcp::describe;
use super::{dns, tcp};
use crate::ping::causes::tcp::cluster_client_port;
use crate::ping::causes::{Cause, FixContext};
use crate::ping::observation::{Dial, DialResult, Endpoint, Observations, SLOTS, ServerInfo, WriteTest};
use crate::ping::response::Response;
use crate::redis_url::provider;
use crate::redis_url::{Target, UrlWarning};
use crate::sanitize;

/// Above this median, round trips are reported as slow.
const SLOW_MEDIAN: Duration = Duration::from_millis(20);
/// A round trip is an outlier if it took longer than this, and more than [`OUTLIER_FACTOR`] times the median.
const OUTLIER: Duration = Duration::from_millis(10);
const OUTLIER_FACTOR: u32 = 5;
/// If there are at least this many round trips, a single outlier is ignored.
const MANY_ROUND_TRIPS: usize = 6;
/// A certificate that has fewer seconds left than this (14 days) expires soon.
const EXPIRES_SOON: i64 = 14 * 86_400;
/// Above this percentage of maxmemory (whatever the eviction policy is) or of maxclients, there is a warning.
const NEARLY_FULL: u64 = 90;

pub(super) type Found = (Cause, String);

/// Returns all warnings that follow from the URL and the observations.
pub(super) fn all(target: &Target, seen: &Observations, context: &FixContext) -> Vec<Warning> {
    let url = target.warnings.iter().filter_map(url);
    let others = [
        dns::slow(target, seen),
        dns::completed(target, seen),
        dns_partial(seen),
        tcp::loss(seen),
        certificate(seen),
        plaintext(target, seen),
        replica(seen),
        lost_primary(seen),
        old(&seen.server),
        near_max_clients(&seen.server),
        idle_timeout(&seen.server),
        no_replicas(seen),
        eviction(seen),
        cluster_mode(seen),
        partial(&seen.server),
        unreachable_nodes(seen),
        service::limited(seen),
        slow(seen),
        uneven(seen),
    ];
    url.chain(others.into_iter().flatten())
        .map(|(cause, summary)| Warning {
            cause,
            summary,
            fixes: cause.fixes(context),
        })
        .collect()
}

fn url(warning: &UrlWarning) -> Option<Found> {
    match warning {
        UrlWarning::UserWithoutPassword => Some((
            Cause::UrlSuspect,
            "the part before the @ is a user name without a password".into(),
        )),
        UrlWarning::AtSignInPassword => Some((
            Cause::UrlEncoding,
            "the password contains an unencoded @, which clients interpret in different ways".into(),
        )),
        UrlWarning::IgnoredOptions(names) => {
            let names: Vec<_> = names
                .iter()
                .map(|name| sanitize::excerpt(name.as_bytes(), 40))
                .collect();
            let names = names.join(", ");
            Some((
                Cause::UrlSuspect,
                format!("many clients ignore these query parameters: {names}"),
            ))
        }
        UrlWarning::EncodedTwice => None,
    }
}

fn dns_partial(seen: &Observations) -> Option<Found> {
    let failed = describe_all(&seen.tcp.dials, |result| {
        !matches!(result, DialResult::Connected | DialResult::NoRoute)
    });
    (!failed.is_empty() && failed.len() < seen.tcp.dials.len()).then(|| {
        let failed = failed.join("; ");
        (
            Cause::DnsPartial,
            format!("not all addresses of the host name accept connections: {failed}"),
        )
    })
}

fn describe_all(dials: &[Dial], wanted: fn(&DialResult) -> bool) -> Vec<String> {
    dials
        .iter()
        .filter(|dial| wanted(&dial.result))
        .map(describe)
        .collect()
}

fn certificate(seen: &Observations) -> Option<Found> {
    let ends_in = seen.tls.handshake.as_ref()?.certificate()?.ends_in;
    (0..EXPIRES_SOON).contains(&ends_in).then(|| {
        (
            Cause::TlsExpiresSoon,
            format!("the certificate expires in {}", age(ends_in)),
        )
    })
}

fn plaintext(target: &Target, seen: &Observations) -> Option<Found> {
    // If there is no connection, nothing has been sent.
    let connected = seen.tcp.connected();
    let is_remote =
        connected.is_some_and(|dial| matches!(dial.to, Endpoint::Ip(address) if !address.ip().is_loopback()));
    (target.password.is_some() && !target.tls && is_remote)
        .then(|| (Cause::AuthPlaintext, Cause::AuthPlaintext.meaning().into()))
}

fn replica(seen: &Observations) -> Option<Found> {
    seen.server.is_replica().then(|| {
        let primary = seen.server.primary().map_or_else(String::new, |(host, port)| {
            format!(" of {}:{port}", sanitize::excerpt(host.as_bytes(), 60))
        });
        let is_written = seen.write_test.as_ref().is_some_and(WriteTest::has_passed);
        let summary = if is_written || seen.server.field("slave_read_only") == Some("0") {
            format!(
                "the server is a replica{primary} that accepts writes, but loses them at the next full \
                 resynchronisation"
            )
        } else {
            format!("the server is a read-only replica{primary}, so all writes to it fail")
        };
        (Cause::RoleReplica, summary)
    })
}

fn lost_primary(seen: &Observations) -> Option<Found> {
    let refuses = |response: &Response| response.error_code().as_deref() == Some("MASTERDOWN");
    let serves = !seen.ping.response.iter().chain(&seen.requests.read).any(refuses);
    (serves && seen.server.has_lost_its_primary()).then(|| {
        let summary = "the replica has lost its primary, but still serves stale data";
        (Cause::RoleMasterDown, summary.into())
    })
}

/// Returns a warning about a server that is older than Redis 6 or has no HELLO. A service that also rejects
/// INFO is not an old Redis.
fn old(server: &ServerInfo) -> Option<Found> {
    let is_old = server.is_before(6);
    let hello = server
        .hello
        .as_ref()
        .filter(|response| response.is_unknown_command());
    if !is_old && (hello.is_none() || server.fields.is_empty()) {
        return None;
    }
    let version = server.field("redis_version").unwrap_or_default();
    let summary = if is_old {
        format!(
            "the server is Redis {}, which has no ACL users; clients that begin with HELLO (RESP3) fail",
            sanitize::excerpt(version.as_bytes(), 20)
        )
    } else {
        "the server does not support HELLO, so clients that begin with HELLO (RESP3) fail".into()
    };
    Some((Cause::ServerOld, summary))
}

fn near_max_clients(server: &ServerInfo) -> Option<Found> {
    let most = server.number("maxclients").filter(|most| *most > 0)?;
    let connected = server.number("connected_clients")?;
    (connected.saturating_mul(100) > most.saturating_mul(NEARLY_FULL)).then(|| {
        let summary = format!("{connected} of {most} connections (maxclients) are in use");
        (Cause::ServerNearMaxClients, summary)
    })
}

fn idle_timeout(server: &ServerInfo) -> Option<Found> {
    let seconds: u64 = server.setting("timeout")?.parse().ok()?;
    (seconds > 0).then(|| {
        let summary = format!(
            "the server closes connections that have been idle for {seconds} seconds (this is its `timeout` \
                     setting)"
        );
        (Cause::ServerTimeout, summary)
    })
}

/// Returns a warning if every write will be rejected. INFO counts the replicas only if
/// `min-replicas-to-write` is set.
fn no_replicas(seen: &Observations) -> Option<Found> {
    if seen.write_test.as_ref().is_some_and(WriteTest::has_passed) {
        return None;
    }
    let server = &seen.server;
    let in_sync = server.number("min_slaves_good_slaves")?;
    let wanted = server
        .setting("min-replicas-to-write")
        .or_else(|| server.setting("min-slaves-to-write"))
        .and_then(|wanted| wanted.parse().ok());
    (in_sync < wanted.unwrap_or(1)).then(|| {
        let wanted = wanted.map_or_else(|| "higher".into(), |wanted: u64| wanted.to_string());
        let summary = format!(
            "Redis will refuse writes, because the number of replicas in sync is {in_sync}, but min-replicas-to-write is \
             {wanted}"
        );
        (Cause::ServerNoReplicas, summary)
    })
}

fn eviction(seen: &Observations) -> Option<Found> {
    let maxmemory = seen.server.number("maxmemory").filter(|bytes| *bytes > 0)?;
    let used = seen.server.number("used_memory")?.saturating_mul(100);
    let is_nearly_full = used > maxmemory.saturating_mul(NEARLY_FULL);
    let has_written = seen.write_test.as_ref().is_some_and(WriteTest::has_passed);
    let policy = sanitize::line(seen.server.field("maxmemory_policy").unwrap_or_default());
    let percent = used / maxmemory;
    if percent >= 100 && policy == "noeviction" {
        let summary = format!(
            "Redis refuses writes now: {percent} % of maxmemory is used, and maxmemory-policy is {policy}"
        );
        return (!has_written).then_some((Cause::ServerEviction, summary));
    }
    let effect = if policy.starts_with("allkeys-") {
        "when the memory is full, Redis removes keys, including sessions"
    } else if !is_nearly_full {
        return None;
    } else if policy == "noeviction" {
        "when the memory is full, Redis refuses writes"
    } else {
        "when the memory is full, Redis removes keys that have a TTL, such as sessions"
    };
    let summary = format!("{percent} % of maxmemory is used, and maxmemory-policy is {policy}: {effect}");
    Some((Cause::ServerEviction, summary))
}

/// Returns a warning if no node serves some of the slots, but the cluster continues to work without them.
fn partial(server: &ServerInfo) -> Option<Found> {
    let failing = server.failing_slots().filter(|slots| *slots > 0)?;
    (server.cluster_state() == Some("ok")).then(|| {
        let percent = (failing * 100).div_ceil(SLOTS.into());
        let summary = format!(
            "{failing} of {SLOTS} slots have no node, so about {percent} % of the keys cannot be used"
        );
        (Cause::ClusterPartial, summary)
    })
}

fn cluster_mode(seen: &Observations) -> Option<Found> {
    seen.server
        .is_cluster()
        .then(|| (Cause::ClusterMode, Cause::ClusterMode.meaning().into()))
}

fn unreachable_nodes(seen: &Observations) -> Option<Found> {
    let failed = describe_all(&seen.server.announced, |result| *result != DialResult::Connected);
    (seen.server.is_cluster() && !failed.is_empty()).then(|| {
        let summary = format!(
            "the cluster announces nodes that cannot be reached: {}",
            failed.join("; ")
        );
        (Cause::ClusterUnreachableNodes, summary)
    })
}

fn slow(seen: &Observations) -> Option<Found> {
    let median = median(&seen.ping.round_trips);
    (median > SLOW_MEDIAN).then(|| {
        let blame = match SlowPart::of(seen) {
            SlowPart::Network => "the delay is in the network",
            SlowPart::Server => "the delay is in the server, or behind it if it is a proxy",
            SlowPart::Loss | SlowPart::Unknown => {
                return (
                    Cause::LatencyHigh,
                    format!("the median round trip takes {}", seconds(median)),
                );
            }
        };
        let connecting = seconds(seen.tcp.connect_time().unwrap_or_default());
        let summary = format!(
            "the median round trip takes {}, and connecting took {connecting}: {blame}",
            seconds(median)
        );
        (Cause::LatencyHigh, summary)
    })
}

fn uneven(seen: &Observations) -> Option<Found> {
    let slowest = seen.ping.round_trips.iter().max()?;
    is_uneven(&seen.ping.round_trips).then(|| {
        let (slowest, median) = (seconds(*slowest), seconds(median(&seen.ping.round_trips)));
        let summary = format!("the slowest round trip took {slowest}, but the median is {median}");
        (Cause::LatencyJitter, summary)
    })
}

/// What makes round trips slow. A connection attempt is answered by the server's kernel, whatever Redis is
/// doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SlowPart {
    Network,
    Server,
    /// Packets that had to be retransmitted. They are reported by `path.loss`.
    Loss,
    #[default]
    Unknown,
}

impl SlowPart {
    pub(in crate::ping) fn of(seen: &Observations) -> Self {
        let slow = match median(&seen.ping.round_trips) {
            median if median > SLOW_MEDIAN => median,
            _ => seen.ping.round_trips.iter().max().copied().unwrap_or_default(),
        };
        match seen.tcp.connect_time() {
            _ if seen.retransmissions > 0 => Self::Loss,
            // Through a tunnel, this host itself accepts the connection.
            Some(_) if seen.tcp.leads_to_this_host() => Self::Unknown,
            Some(connecting) if connecting > slow / 2 => Self::Network,
            Some(_) => Self::Server,
            None => Self::Unknown,
        }
    }
}

/// Whether the round trips contain too many outliers.
#[must_use]
pub(crate) fn is_uneven(round_trips: &[Duration]) -> bool {
    let median = median(round_trips);
    let outliers = round_trips
        .iter()
        .filter(|took| **took > OUTLIER && **took > median * OUTLIER_FACTOR)
        .count();
    outliers > usize::from(round_trips.len() >= MANY_ROUND_TRIPS)
}

/// Returns the median, or zero if there are no round trips.
#[must_use]
pub(crate) fn median(round_trips: &[Duration]) -> Duration {
    let mut sorted = round_trips.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Returns what the URL suggests about a failure. This is only additional evidence, never a cause.
pub(super) fn hints(target: &Target, cause: Cause) -> Vec<String> {
    let mut hints = Vec::new();
    if let Some(endpoint) = target.host().and_then(provider::endpoint_hint) {
        // If the cause is tls.required, it is known that the server speaks TLS, and not only suggested by its
        // name.
        let is_tls = target.tls || cause == Cause::TlsRequired;
        hints.extend(endpoint.hints(is_tls, target.port()));
    }
    if cause != Cause::RoleSentinel {
        hints.extend(target.port().and_then(port_hint));
    }
    if cause == Cause::AuthFailed {
        hints.extend(super::credentials::facts(target));
    }
    if cause == Cause::AuthFailed && target.warnings.contains(&UrlWarning::EncodedTwice) {
        hints.push(
            "the decoded password still contains a percent escape, so it was probably encoded twice".into(),
        );
    }
    if cause == Cause::AuthRequired && target.warnings.contains(&UrlWarning::UserWithoutPassword) {
        hints.push(
            "in redis://secret@host, \"secret\" is a user name; if it is the password, put a colon before it: \
             redis://:secret@host".into(),
        );
    }
    hints
}

/// Describes a port that Redis uses for something other than client connections.
fn port_hint(port: u16) -> Option<String> {
    if port == 26379 {
        return Some("port 26379 usually belongs to a Sentinel, which stores no data".into());
    }
    let client_port = cluster_client_port(port)?;
    Some(format!(
        "port {port} is usually a cluster bus port; clients use port {client_port}"
    ))
}

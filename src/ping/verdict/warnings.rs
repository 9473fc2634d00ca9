//! "It works, but": what is worth knowing about a connection that answers; and hints that a URL itself gives.

use std::time::Duration;

use super::Warning;
use super::tcp::describe;
use super::words::{age, seconds};
use crate::ping::causes::{Cause, FixContext};
use crate::ping::observation::{DialResult, Endpoint, Observations};
use crate::redis_url::provider;
use crate::redis_url::{Address, Target, UrlWarning};

/// Median round trip over which it is called slow.
const SLOW: Duration = Duration::from_millis(20);
/// A single slow round trip below this is nobody's problem.
const UNEVEN: Duration = Duration::from_millis(10);
/// How many medians the slowest round trip may take.
const UNEVEN_FACTOR: u32 = 5;
/// One slow answer among many is chance.
const SLOW_ANSWERS: usize = 2;
/// Fewer samples than this cannot show two slow answers.
const FEW: usize = 6;
/// Seconds before its end from which on a certificate is warned of: 14 days.
const SOON: i64 = 14 * 86_400;
/// Percent of maxmemory from which on any policy is worth a warning.
const NEARLY_FULL: u64 = 90;

pub(super) fn all(target: &Target, seen: &Observations, context: &FixContext) -> Vec<Warning> {
    let found = [
        url(target),
        connection(target, seen),
        server(seen),
        cluster(seen),
        round_trips(&seen.round_trips),
    ];
    let warn = |(cause, summary): (Cause, String)| Warning {
        cause,
        summary,
        fixes: cause.fixes(context),
    };
    found.into_iter().flatten().map(warn).collect()
}

/// Whether round trips look uneven: the slowest over five times the median, and over 10 ms.
#[must_use]
pub(crate) fn is_uneven(round_trips: &[Duration]) -> bool {
    let median = median(round_trips);
    let slow = round_trips
        .iter()
        .filter(|took| **took > UNEVEN && **took > median * UNEVEN_FACTOR)
        .count();
    slow >= if round_trips.len() < FEW { 1 } else { SLOW_ANSWERS }
}

/// The middle one; zero where there is none.
#[must_use]
pub(crate) fn median(round_trips: &[Duration]) -> Duration {
    let mut sorted = round_trips.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

type Found = Vec<(Cause, String)>;

fn url(target: &Target) -> Found {
    let describe = |doubt: &UrlWarning| match doubt {
        UrlWarning::UserWithoutPassword => Some((
            Cause::UrlSuspect,
            "what stands before the @ is a user name without a password".to_owned(),
        )),
        UrlWarning::AtSignInPassword => Some((
            Cause::UrlEncoding,
            "the password holds an @ as it is: not every client reads that alike".to_owned(),
        )),
        UrlWarning::IgnoredOptions(names) => {
            let names: Vec<_> = names
                .iter()
                .map(|name| crate::sanitize::excerpt(name.as_bytes(), 40))
                .collect();
            Some((
                Cause::UrlSuspect,
                format!(
                    "many clients ignore what stands behind the ?: {}",
                    names.join(", ")
                ),
            ))
        }
        UrlWarning::EncodedTwice => None,
    };
    target.warnings.iter().filter_map(describe).collect()
}

fn connection(target: &Target, seen: &Observations) -> Found {
    let mut found = Vec::new();
    let dead: Vec<_> = seen
        .dials
        .iter()
        .filter(|dial| !matches!(dial.result, DialResult::Connected | DialResult::NoRoute))
        .map(describe)
        .collect();
    if !dead.is_empty() && dead.len() < seen.dials.len() {
        found.push((
            Cause::DnsPartial,
            format!("some of the name's addresses do not work: {}", dead.join("; ")),
        ));
    }
    let certificate = seen.tls.as_ref().and_then(|tls| tls.certificate.as_ref());
    if let Some(certificate) = certificate.filter(|found| (0..SOON).contains(&found.ends_in)) {
        found.push((
            Cause::TlsExpiresSoon,
            format!("the certificate expires in {}", age(certificate.ends_in)),
        ));
    }
    let crosses_a_network = matches!(&target.address, Address::Tcp { .. })
        && !seen.dials.iter().any(|dial| {
            matches!(dial.to, Endpoint::Ip(address) if address.ip().is_loopback() && dial.result == DialResult::Connected)
        });
    if target.password.is_some() && !target.tls && crosses_a_network {
        found.push((
            Cause::AuthPlaintext,
            "the password crosses the network unencrypted".to_owned(),
        ));
    }
    found
}

fn server(seen: &Observations) -> Found {
    let mut found = Vec::new();
    let server = &seen.server;
    if server.is_replica() {
        found.push((
            Cause::RoleReplica,
            "a read-only replica: the tutorial's writes fail there".to_owned(),
        ));
    }
    if server.has_lost_its_primary() {
        found.push((
            Cause::RoleMasterDown,
            "the replica has lost its primary, and answers with stale data".to_owned(),
        ));
    }
    let (Some(most), Some(used)) = (server.number("maxmemory"), server.number("used_memory")) else {
        return found;
    };
    let policy = server.field("maxmemory_policy").unwrap_or_default();
    let is_nearly_full = used.saturating_mul(100) > most.saturating_mul(NEARLY_FULL);
    if most > 0 && (policy.starts_with("allkeys-") || is_nearly_full) {
        let percent = used.saturating_mul(100) / most;
        let policy = crate::sanitize::line(policy);
        found.push((
            Cause::ServerEviction,
            format!("maxmemory-policy is {policy}, and {percent} % of maxmemory is used"),
        ));
    }
    found
}

fn cluster(seen: &Observations) -> Found {
    if !seen.server.is_cluster() {
        return Vec::new();
    }
    let mut found = vec![(
        Cause::ClusterMode,
        "cluster mode is on: clients must speak the cluster protocol".to_owned(),
    )];
    let dead: Vec<_> = seen
        .announced
        .iter()
        .filter(|dial| dial.result != DialResult::Connected)
        .map(describe)
        .collect();
    if !dead.is_empty() {
        let list = dead.join("; ");
        found.push((
            Cause::ClusterUnreachableNodes,
            format!("announced by the cluster, and not reachable: {list}"),
        ));
    }
    found
}

fn round_trips(round_trips: &[Duration]) -> Found {
    let mut found = Vec::new();
    let median = median(round_trips);
    if median > SLOW {
        found.push((
            Cause::LatencyHigh,
            format!("the median round trip takes {}", seconds(median)),
        ));
    }
    if is_uneven(round_trips) {
        let slowest = round_trips.iter().max().copied().unwrap_or_default();
        let words = format!(
            "the slowest round trip took {}, the median {}",
            seconds(slowest),
            seconds(median)
        );
        found.push((Cause::LatencyJitter, words));
    }
    found
}

/// What the URL itself suggests about a failure; worded as hints, never as causes.
pub(super) fn hints(target: &Target, cause: Cause) -> Vec<String> {
    let mut hints = Vec::new();
    if let Some(endpoint) = target.host().and_then(provider::endpoint_hint) {
        hints.extend(endpoint.hints(target.tls, target.port()));
    }
    hints.extend(
        target
            .port()
            .filter(|_| cause != Cause::RoleSentinel)
            .and_then(port),
    );
    if cause == Cause::AuthFailed && target.warnings.contains(&UrlWarning::EncodedTwice) {
        hints.push(
            "the password still holds a percent escape once decoded: it was probably encoded twice"
                .to_owned(),
        );
    }
    if cause == Cause::AuthRequired && target.warnings.contains(&UrlWarning::UserWithoutPassword) {
        hints.push(
            "redis://secret@host names a user; a password stands behind a colon: redis://:secret@host"
                .to_owned(),
        );
    }
    hints
}

/// Ports of Redis's own that are not for its clients.
fn port(port: u16) -> Option<String> {
    match port {
        26379 => Some("port 26379 is a Sentinel's as a rule, which holds no data".to_owned()),
        // A node's port and ten thousand (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
        16379 | 16380 | 17000..=17005 => Some(format!(
            "port {port} is as a rule the bus between a cluster's nodes; their clients' port is {}",
            port - 10_000
        )),
        _ => None,
    }
}

//! Finds warnings about a connection that works.

use super::error_reply::missing_slots;
use super::finding::{Found, Warning};
use super::tcp::describe;
use super::{dns, latency, service, tcp};
use crate::clock::age;
use crate::ping::causes::{Cause, FixContext};
use crate::ping::observation::{Dial, DialResult, Endpoint, Observations, ServerInfo, WriteTest};
use crate::ping::response::Response;
use crate::redis_client::SLOTS;
use crate::redis_url::{Target, UrlWarning};
use crate::sanitize;

/// A certificate that expires within this many seconds (14 days) causes a warning.
const EXPIRES_SOON: i64 = 14 * 86_400;

/// If more than this percentage of maxmemory or maxclients is in use, there is a warning. With an eviction
/// policy for all keys, there is a warning even below this percentage of maxmemory.
const NEARLY_FULL: u64 = 90;

/// Returns all warnings about the URL and the observations.
pub(super) fn all(target: &Target, seen: &Observations, context: &FixContext) -> Vec<Warning> {
    let url = target.warnings.iter().filter_map(|warning| url(warning, target));
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
        latency::slow(seen),
        latency::uneven(seen),
    ];
    url.chain(others.into_iter().flatten())
        .map(|(cause, summary)| Warning {
            cause,
            summary,
            fixes: cause.fixes(context),
        })
        .collect()
}

fn url(warning: &UrlWarning, target: &Target) -> Option<Found> {
    match warning {
        UrlWarning::UserWithoutPassword if target.variables.is_some() => Some((
            Cause::UrlSuspect,
            "the variables contain a user name, but no password".into(),
        )),
        UrlWarning::UserWithoutPassword => Some((
            Cause::UrlSuspect,
            "the URL contains a user name, but no password".into(),
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
                format!("many clients ignore these query parameters of the URL: {names}"),
            ))
        }
        UrlWarning::EncodedTwice => None,
    }
}

fn dns_partial(seen: &Observations) -> Option<Found> {
    let failed = describe_all(&seen.tcp.dials, |result| {
        !matches!(result, DialResult::Connected | DialResult::NoRoute)
    });
    (!failed.is_empty() && seen.tcp.connected().is_some()).then(|| {
        let failed = failed.join("; ");
        (
            Cause::DnsPartial,
            format!("some addresses of the host name do not accept connections ({failed})"),
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
    // Without a connection, nothing has been sent.
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
        let summary = match &seen.followed {
            Some(followed) if seen.primary().is_some() => format!(
                "{summary}. According to the Sentinel {}, this server is the primary",
                followed.sentinel
            ),
            _ => summary,
        };
        (Cause::RoleReplica, summary)
    })
}

fn lost_primary(seen: &Observations) -> Option<Found> {
    let refuses = |response: &Response| response.error_code().as_deref() == Some("MASTERDOWN");
    let serves = !seen.ping.response.iter().chain(&seen.requests.read).any(refuses);
    (serves && seen.server.has_lost_its_primary()).then(|| {
        let summary =
            "the replica is not connected to its primary, or is still synchronising, so its data may be old";
        (Cause::RoleMasterDown, summary.into())
    })
}

/// Returns a warning about a server without HELLO, which is usually Redis before version 6. Returns `None` if
/// the server does not support INFO either, because the server is then not Redis.
fn old(server: &ServerInfo) -> Option<Found> {
    // Kvrocks, for example, reports an old version of Redis, but supports HELLO.
    let is_old = server.is_before(6) && !server.hello.as_ref().is_some_and(Response::is_granted);
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
            "the server is Redis {}, which supports neither ACL users nor HELLO; clients that send HELLO (RESP3) fail",
            sanitize::excerpt(version.as_bytes(), 20)
        )
    } else {
        "the server does not support HELLO, so clients that send HELLO (RESP3) fail".into()
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
            "the server closes connections that have been idle for {seconds} seconds (its `timeout` setting)"
        );
        (Cause::ServerTimeout, summary)
    })
}

/// Returns a warning if Redis rejects all writes because it has too few replicas. INFO counts replicas only
/// if `min-replicas-to-write` is set.
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

/// Returns a warning about a cluster that works, although some slots are not served.
fn partial(server: &ServerInfo) -> Option<Found> {
    let failing = server.failing_slots().filter(|slots| *slots > 0)?;
    (server.cluster_state() == Some("ok")).then(|| {
        let share = match failing * 100 / u64::from(SLOTS) {
            0 => "less than 1 %".to_owned(),
            percent => format!("about {percent} %"),
        };
        let missing = missing_slots(server);
        (
            Cause::ClusterPartial,
            format!("{missing}, so {share} of the keys cannot be used"),
        )
    })
}

fn cluster_mode(seen: &Observations) -> Option<Found> {
    seen.server.is_cluster().then(|| {
        let forbidden = if seen.server.is_topology_forbidden {
            ", but this user is not allowed to run CLUSTER SLOTS, which clients need to find the nodes"
        } else {
            ""
        };
        let meaning = Cause::ClusterMode.meaning();
        (Cause::ClusterMode, format!("{meaning}{forbidden}"))
    })
}

fn unreachable_nodes(seen: &Observations) -> Option<Found> {
    let failed = describe_all(&seen.server.announced, |result| *result != DialResult::Connected);
    (seen.server.is_cluster() && !failed.is_empty()).then(|| {
        let summary = format!(
            "some nodes of the cluster cannot be reached at their announced addresses ({})",
            failed.join("; ")
        );
        (Cause::ClusterUnreachableNodes, summary)
    })
}

//! Finds hints in the URL about the reason why a connection fails.

use crate::ping::causes::Cause;
use crate::ping::causes::tcp::cluster_client_port;
use crate::ping::conclusions;
use crate::ping::observation::Observations;
use crate::redis_url::provider;
use crate::redis_url::{Target, UrlWarning};

/// Returns the hints in the URL that may explain a failure. Hints are only additional evidence, never a
/// cause.
pub(super) fn all(target: &Target, cause: Cause, seen: &Observations) -> Vec<String> {
    let mut hints = Vec::new();
    if let Some(endpoint) = target.host().and_then(provider::endpoint_hint) {
        // If the server has replied, the run has shown whether it speaks TLS, whatever its name suggests.
        let is_tls = match cause {
            Cause::TlsRequired => Some(true),
            _ if seen.has_reply() => None,
            _ => Some(target.tls),
        };
        hints.extend(endpoint.hints(is_tls, target.port()));
    }
    // The URL says that this is a Sentinel.
    if cause != Cause::RoleSentinel && !seen.is_at_sentinel() {
        hints.extend(target.port().and_then(port_hint));
    }
    if cause == Cause::AuthFailed {
        hints.extend(conclusions::facts(target));
    }
    if cause == Cause::AuthFailed && target.warnings.contains(&UrlWarning::EncodedTwice) {
        hints.push(
            "the decoded password still contains a percent escape, so the password was probably encoded twice".into(),
        );
    }
    if cause == Cause::AuthRequired
        && target.warnings.contains(&UrlWarning::UserWithoutPassword)
        && target.variables.is_none()
    {
        hints.push(
            "in redis://secret@host, \"secret\" is a user name; in redis://:secret@host, it is a password"
                .into(),
        );
    }
    hints
}

/// Describes a port that Redis uses for something other than client connections. Returns `None` for any other
/// port.
fn port_hint(port: u16) -> Option<String> {
    if port == 26379 {
        return Some("port 26379 usually belongs to a Sentinel, which stores no data".into());
    }
    if let Some(client_port) = cluster_client_port(port) {
        return Some(format!(
            "port {port} is usually a cluster bus port; clients use port {client_port}"
        ));
    }
    let (_, product) = OTHER_PORTS.iter().find(|(known, _)| *known == port)?;
    Some(format!(
        "port {port} is the usual port of {product}, not of Redis"
    ))
}

/// The usual ports of other services that applications use beside Redis
/// (<https://www.iana.org/assignments/service-names-port-numbers>, and the products' default configurations).
const OTHER_PORTS: [(u16, &str); 15] = [
    (22, "SSH"),
    (80, "HTTP"),
    (443, "HTTPS"),
    (1080, "a SOCKS proxy"),
    (2181, "ZooKeeper"),
    (3306, "MySQL"),
    (4222, "NATS"),
    (5432, "PostgreSQL"),
    (5672, "RabbitMQ"),
    (8001, "Redis Insight"),
    (9042, "Cassandra"),
    (9092, "Kafka"),
    (9121, "redis_exporter"),
    (9200, "Elasticsearch"),
    (27017, "MongoDB"),
];

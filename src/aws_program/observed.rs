//! Collects the facts about the connection that are known on this host.

use crate::aws::{self, Facts};
use crate::deadline::Deadline;
use crate::ping::instance;
use crate::ping::observation::Observations;
use crate::ping::this_host;
use crate::redis_url::Target;

/// The time limit for requests to the instance metadata service.
const WITHIN: std::time::Duration = std::time::Duration::from_secs(2);

/// Collects the facts about the connection. Sends requests only to the instance metadata service, which has a
/// link-local address.
pub(crate) async fn facts(target: &Target, seen: &Observations) -> Facts {
    let target = seen.target(target);
    // In a cluster, check the first node that does not reply. Otherwise, check the address in the URL.
    let missing = seen.server.announced.iter().find(|dial| !dial.is_connected());
    let mut dials = missing.into_iter().chain(&seen.tcp.dials);
    let dialled = dials.find_map(|dial| dial.to.ip());
    let address = dialled.map(|dialled| dialled.ip());
    let from = address.and_then(this_host::source_for);
    let endpoint = target
        .host()
        .filter(|host| host.parse::<std::net::IpAddr>().is_err())
        .map(str::to_owned);
    let (region, source) = instance::observe_interface(from, Deadline::after(WITHIN))
        .await
        .unzip();
    let named = endpoint.as_deref().and_then(aws::region_of);
    Facts {
        region: region.or(named),
        endpoint,
        address,
        port: dialled.map(|dialled| dialled.port()).or(target.port()),
        from,
        source,
        ephemeral: this_host::local_port_range().map(|(first, last)| vec![first, last]),
        asked_groups: None,
    }
}

/// Adds the missing facts from the documents. If this host has no EC2 network interface, returns only the facts
/// in the documents.
pub(crate) fn completed(own: Facts, others: Option<&Facts>) -> Facts {
    let Some(others) = others.cloned() else {
        return own;
    };
    if own.source.is_none() {
        return others;
    }
    Facts {
        address: own.address.or(others.address),
        asked_groups: others.asked_groups,
        ..own
    }
}

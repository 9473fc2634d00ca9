//! Looks up the host name as an application would. After a failed or slow lookup, also queries the name
//! servers to find the reason.

mod query;
mod system_config;

pub(crate) use query::read_any_response as read_response;

use std::collections::HashSet;
use std::future;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;

use crate::deadline::Deadline;
use crate::os;
use crate::ping::experiments::patience;
use crate::ping::observation::{CompletedName, HostsEntry, Lookup, NameAnswer, NameServer};
use crate::sanitize;
use system_config::SystemConfig;

/// A lookup that takes longer than this counts as slow.
pub(crate) const SLOW_LOOKUP: Duration = Duration::from_secs(1);
/// How long to wait for the system's lookup before the name servers are queried too, unless a quarter of the
/// timeout is shorter.
const PATIENCE: Duration = Duration::from_millis(500);

/// The minimum remaining time for queries to name servers. With less time, no reply would be likely to
/// arrive.
const SHORTEST_QUERY: Duration = Duration::from_millis(100);

/// The name of the resolver that this program uses, if most applications use a different one.
///
/// For musl, see <https://wiki.musl-libc.org/functional-differences-from-glibc.html>.
pub(crate) const OTHER_RESOLVER: Option<&str> = if cfg!(target_env = "musl") {
    Some("musl, which ignores /etc/nsswitch.conf and queries all name servers at once")
} else if cfg!(all(target_env = "gnu", target_feature = "crt-static")) {
    Some("static glibc, which may support only the sources files and dns of /etc/nsswitch.conf")
} else {
    None
};

/// Looks up `host` with the system's resolver.
///
/// After a failed or slow lookup, also queries each name server.
pub(crate) async fn observe(host: &str, deadline: Deadline) -> Lookup {
    let started = Instant::now();
    let mut system = system_lookup(host);
    let first = deadline
        .within(patience(deadline).min(PATIENCE))
        .bound(&mut system)
        .await;
    let mut lookup = Lookup {
        other_resolver: OTHER_RESOLVER,
        ..Lookup::default()
    };
    let still_running = match first {
        Ok(found) => {
            record(&mut lookup, host, found);
            None
        }
        Err(_) => Some(system),
    };
    if lookup.addresses.is_empty() {
        query_beside_system(host, &mut lookup, still_running, started, deadline).await;
    }
    if lookup.addresses.is_empty() {
        lookup.hosts_file = system_config::in_hosts_file(host, None);
        lookup.unreadable = system_config::unreadable_files();
        lookup.search = SystemConfig::read().search_domains;
        if !cfg!(target_env = "musl") {
            lookup.nsswitch = system_config::hosts_sources();
        }
    }
    lookup.took = started.elapsed();
    lookup
}

/// Returns the entry for `host` in `/etc/hosts`, if there is one. If there are several, returns the entry with
/// the address `preferred`, or the first.
pub(crate) fn hosts_entry(host: &str, preferred: Option<IpAddr>) -> Option<HostsEntry> {
    system_config::in_hosts_file(host, preferred)
}

/// Returns the entry for `host` in `/etc/hosts`, if there is one, and the answers of the name servers for
/// comparison.
pub(crate) async fn hosts_file(host: &str, deadline: Deadline) -> Option<(HostsEntry, Vec<NameServer>)> {
    let entry = hosts_entry(host, None)?;
    let mut lookup = Lookup::default();
    if !host.eq_ignore_ascii_case("localhost") && deadline.left() > SHORTEST_QUERY {
        query_beside_system(host, &mut lookup, None, Instant::now(), deadline).await;
    }
    Some((entry, lookup.servers))
}

/// Parses a host that is an IP address, and so needs no lookup. Returns `None` for a host name. The zone of
/// an IPv6 address is lost if this host has no interface with the name in the zone.
pub(crate) fn literal_address(host: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, port));
    }
    // IpAddr does not parse the zone in fe80::1%eth0.
    let (address, zone) = host.split_once('%')?;
    let interface = zone.parse().ok().or_else(|| os::interface_index(zone));
    let address = address.parse().ok()?;
    Some(SocketAddrV6::new(address, port, 0, interface.unwrap_or_default()).into())
}

/// Returns the addresses of a host, which may itself be an IP address. The list is empty if the lookup fails.
pub(crate) async fn addresses(host: &str, port: u16, deadline: Deadline) -> Vec<SocketAddr> {
    if let Some(address) = literal_address(host, port) {
        return vec![address];
    }
    let found = observe(host, deadline).await.addresses;
    found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}

/// The result of getaddrinfo, or its error message.
type SystemResult = Result<os::FoundHost, String>;

/// Queries all name servers at the same time, while the system's lookup continues.
///
/// The wait ends when the system's lookup returns addresses. If that lookup has failed, the wait ends when a
/// name server returns addresses. If a name server returns addresses first, the system's lookup may continue
/// until [`SLOW_LOOKUP`] has passed.
async fn query_beside_system(
    host: &str,
    lookup: &mut Lookup,
    mut system: Option<oneshot::Receiver<SystemResult>>,
    started: Instant,
    deadline: Deadline,
) {
    // Leave some time for connecting, in case an address is found.
    let mut until = deadline.within(deadline.left().mul_f64(0.9));
    let config = SystemConfig::read();
    lookup.is_unconfigured = config.is_unconfigured;
    lookup.ignored_servers = config.ignored_servers;
    let (names, plausible) = (config.candidates(host), config.plausible_candidates(host));
    let unanswered = |address: &SocketAddr| NameServer {
        address: *address,
        answer: NameAnswer::Timeout,
        silent_about: None,
        took: Duration::ZERO,
    };
    lookup.servers = config.servers.iter().map(unanswered).collect();
    let asked = Instant::now();
    let query = |(index, address): (usize, SocketAddr)| {
        let names = &names;
        async move { (index, query_candidates(address, names, plausible, until).await) }
    };
    let mut queries: FuturesUnordered<_> = config.servers.into_iter().enumerate().map(query).collect();
    let mut answered = vec![false; lookup.servers.len()];
    let mut addresses = Vec::new();
    while system.is_some() || !queries.is_empty() {
        tokio::select! {
            biased;
            found = receive(&mut system), if system.is_some() => {
                system = None;
                record(lookup, host, found);
                if !lookup.addresses.is_empty() || !addresses.is_empty() {
                    break;
                }
            }
            Some((index, (answer, silent_about))) = queries.next() => {
                if let (NameAnswer::Addresses(found), true) = (&answer, addresses.is_empty()) {
                    addresses.clone_from(found);
                    until = until.within(deadline.left() / 2);
                    until = until.within((SLOW_LOOKUP + PATIENCE / 10).saturating_sub(started.elapsed()));
                }
                let server = &mut lookup.servers[index];
                (server.answer, server.silent_about, server.took) = (answer, silent_about, asked.elapsed());
                answered[index] = true;
                // If all name servers have failed, stop waiting for the system's resolver, which only sends
                // the same queries.
                let have_all_failed = queries.is_empty() && addresses.is_empty();
                if have_all_failed || (system.is_none() && !addresses.is_empty()) {
                    break;
                }
            }
            _ = until.bound(future::pending::<()>()) => break,
        }
    }
    for (server, _) in lookup
        .servers
        .iter_mut()
        .zip(answered)
        .filter(|(_, answered)| !answered)
    {
        server.took = asked.elapsed();
    }
    lookup.system_timed_out = system.is_some();
    if lookup.system_timed_out {
        lookup.addresses = addresses;
    } else if lookup.fault.as_deref() == Some(NO_THREAD) {
        // An application may be able to start threads even if this process cannot, so continue without the
        // system's resolver.
        let entry = system_config::in_hosts_file(host, None);
        lookup.addresses = entry.map_or(addresses, |entry| vec![entry.address]);
    }
}

/// Waits for the result of the system's lookup. Waits forever if there is no such lookup.
async fn receive(
    system: &mut Option<oneshot::Receiver<SystemResult>>,
) -> Result<SystemResult, oneshot::error::RecvError> {
    match system {
        Some(running) => running.await,
        None => future::pending().await,
    }
}

/// Runs getaddrinfo in a detached thread, because getaddrinfo has no timeout.
fn system_lookup(host: &str) -> oneshot::Receiver<SystemResult> {
    let (report, found) = oneshot::channel();
    let host = host.to_owned();
    // If the thread cannot be started, the channel is closed.
    let _ = thread::Builder::new().name("getaddrinfo".into()).spawn(move || {
        // If the lookup took too long, the receiver no longer exists.
        let _ = report.send(os::look_up(&host));
    });
    found
}

/// The error message if the system's lookup could not be started.
const NO_THREAD: &str = "this process cannot start another thread: too little memory, or too many processes";

fn record(lookup: &mut Lookup, host: &str, found: Result<SystemResult, oneshot::error::RecvError>) {
    match found {
        Ok(Ok(found)) => {
            let mut seen = HashSet::new();
            lookup.addresses = found.addresses;
            lookup.addresses.retain(|address| seen.insert(*address));
            if lookup.addresses.is_empty() {
                lookup.fault = Some("no address".to_owned());
            }
            if let Some(name) = found.name.filter(|name| !is_same_name(name, host)) {
                record_other_name(lookup, host, &name);
            }
        }
        Ok(Err(error)) => lookup.fault = Some(error),
        Err(_) => lookup.fault = Some(NO_THREAD.to_owned()),
    }
}

/// Records the name that the resolver found through a search domain or an alias.
fn record_other_name(lookup: &mut Lookup, host: &str, name: &str) {
    if system_config::in_hosts_file(host, None).is_some() {
        return;
    }
    let config = SystemConfig::read();
    let is_completed = |candidate: &String| is_same_name(candidate, name);
    let name = sanitize::line(name.trim_end_matches('.')).into_owned();
    match config.search_domains.clone() {
        Some(search) if config.candidates(host).iter().any(is_completed) => {
            lookup.completed = Some(CompletedName { name, search });
        }
        _ => lookup.alias = Some(name),
    }
}

fn is_same_name(one: &str, other: &str) -> bool {
    one.trim_end_matches('.')
        .eq_ignore_ascii_case(other.trim_end_matches('.'))
}

/// Queries the names in order, and returns the answer for the first name that has an address. If no name has
/// an address, the answer for a name that exists takes precedence over a failure. Only failures for the first
/// `plausible` names count.
async fn query_candidates(
    server: SocketAddr,
    names: &[String],
    plausible: usize,
    deadline: Deadline,
) -> (NameAnswer, Option<&'static str>) {
    let mut result = NameAnswer::NotFound;
    for (index, name) in names.iter().enumerate() {
        let (answer, silent_about) = query::query(server, name, deadline).await;
        match answer {
            NameAnswer::NotFound => {}
            dangling @ NameAnswer::DanglingAlias(_) => result = dangling,
            found @ NameAnswer::Addresses(_) => return (found, silent_about),
            empty @ (NameAnswer::NoAddress | NameAnswer::EmptyAlias(_)) => result = empty,
            other => {
                // A server that refuses the name with a search domain may still know the full name.
                if index < plausible && matches!(result, NameAnswer::NotFound | NameAnswer::DanglingAlias(_))
                {
                    result = other;
                }
                if deadline.left() < Duration::from_millis(1) {
                    break;
                }
            }
        }
    }
    (result, None)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use hickory_proto::op::{Message, MessageType, ResponseCode};

    use super::*;

    /// Starts a name server with one empty zone, `lab`. The server refuses queries about other zones.
    fn name_server() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                let mut message = Message::from_vec(&buffer[..length]).unwrap();
                message.metadata.message_type = MessageType::Response;
                message.metadata.response_code = if message.queries[0].name().to_ascii().ends_with(".lab.") {
                    ResponseCode::NXDomain
                } else {
                    ResponseCode::Refused
                };
                socket.send_to(&message.to_vec().unwrap(), peer).unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn a_search_domain_that_is_refused_does_not_hide_that_a_name_does_not_exist() {
        let server = name_server();
        let refused = || NameAnswer::Refused("REFUSED".into());
        for (names, plausible, expected) in [
            // redis://cache.lab, and `search corp.example`
            (["cache.lab.", "cache.lab.corp.example."], 1, NameAnswer::NotFound),
            // redis://cache, and `search lab`
            (["cache.lab.", "cache."], 1, NameAnswer::NotFound),
            // redis://cache.example, and `search lab`
            (["cache.example.", "cache.example.lab."], 1, refused()),
            // redis://cache.example, `search lab` and `options ndots:5`
            (["cache.example.lab.", "cache.example."], 2, refused()),
        ] {
            let names = names.map(str::to_owned);
            let deadline = Deadline::after(Duration::from_secs(20));
            let (answer, _) = query_candidates(server, &names, plausible, deadline).await;
            assert_eq!(answer, expected, "{names:?}");
        }
    }
}

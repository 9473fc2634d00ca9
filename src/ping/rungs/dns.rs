//! The DNS rung: the lookup as an application sees it and, if it fails, our own queries to find out why.

mod query;
mod system_config;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;

use crate::deadline::Deadline;
use crate::ping::experiments::patience;
use crate::ping::observation::{Lookup, NameAnswer, NameServer};
use system_config::SystemConfig;

pub(crate) use system_config::in_hosts_file;

/// Looks the name up with the system's resolver.
///
/// If that fails, or takes more than a quarter of the time, each name server is queried too.
pub(crate) async fn observe(host: &str, deadline: Deadline) -> Lookup {
    let started = Instant::now();
    let mut system = system_lookup(host);
    let first = deadline.within(patience(deadline)).bound(&mut system).await;
    let mut lookup = match first {
        Ok(found) => system_result(found),
        Err(_) => Lookup {
            system_timed_out: true,
            ..Lookup::default()
        },
    };
    if lookup.addresses.is_empty() {
        // Leave some time for the connection, in case a query finds an address.
        let until = deadline.within(deadline.left().mul_f64(0.9));
        if lookup.system_timed_out {
            query_beside_system(host, &mut lookup, system, until).await;
        } else {
            let config = SystemConfig::read();
            lookup.is_unconfigured = config.is_unconfigured;
            lookup.servers = query_all(config, host, until).await;
        }
    }
    lookup.took = started.elapsed();
    lookup
}

/// Parses a host that is an IP address, which needs no lookup.
pub(crate) fn literal_address(host: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, port));
    }
    // IpAddr does not parse the zone in fe80::1%2, but SocketAddr does.
    host.contains('%')
        .then(|| format!("[{host}]:{port}").parse().ok())
        .flatten()
}

/// The addresses that getaddrinfo returned, or its error message.
type SystemResult = Result<Vec<IpAddr>, String>;

/// Queries the name servers while the system lookup continues. The first to find addresses ends the wait.
async fn query_beside_system(
    host: &str,
    lookup: &mut Lookup,
    system: oneshot::Receiver<SystemResult>,
    until: Deadline,
) {
    let config = SystemConfig::read();
    lookup.is_unconfigured = config.is_unconfigured;
    let queries = query_all(config, host, until);
    tokio::pin!(queries);
    let servers = tokio::select! {
        servers = &mut queries => servers,
        found = system => {
            let found = system_result(found);
            lookup.system_timed_out = false;
            if !found.addresses.is_empty() {
                lookup.addresses = found.addresses;
                return;
            }
            lookup.fault = found.fault;
            queries.await
        }
    };
    lookup.addresses = addresses_of(&servers);
    lookup.servers = servers;
}

fn addresses_of(servers: &[NameServer]) -> Vec<IpAddr> {
    servers
        .iter()
        .find_map(|server| match &server.answer {
            NameAnswer::Addresses(found) => Some(found.clone()),
            _ => None,
        })
        .unwrap_or_default()
}

/// Runs getaddrinfo in a detached thread, because it has no timeout.
fn system_lookup(host: &str) -> oneshot::Receiver<SystemResult> {
    let (report, found) = oneshot::channel();
    let host = host.to_owned();
    // If no thread can be started, the channel closes: the lookup counts as failed.
    let _ = thread::Builder::new().name("getaddrinfo".into()).spawn(move || {
        let answer = (host.as_str(), 0)
            .to_socket_addrs()
            .map_err(|error| error.to_string());
        let mut seen = HashSet::new();
        let unique = answer.map(|all| all.map(|one| one.ip()).filter(|one| seen.insert(*one)).collect());
        // The receiver is gone if the wait has ended.
        let _ = report.send(unique);
    });
    found
}

fn system_result(found: Result<SystemResult, oneshot::error::RecvError>) -> Lookup {
    let (addresses, fault) = match found {
        Ok(Ok(addresses)) if addresses.is_empty() => (addresses, Some("no address".to_owned())),
        Ok(Ok(addresses)) => (addresses, None),
        Ok(Err(error)) => {
            let text = error.trim_start_matches("failed to lookup address information: ");
            (Vec::new(), Some(text.to_owned()))
        }
        Err(_) => (Vec::new(), Some("the lookup could not be started".to_owned())),
    };
    Lookup {
        addresses,
        fault,
        ..Lookup::default()
    }
}

/// Queries all configured name servers at once. As soon as one returns addresses, the others are cancelled.
async fn query_all(config: SystemConfig, host: &str, deadline: Deadline) -> Vec<NameServer> {
    let names = config.candidates(host);
    let plausible = config.plausible_candidates(host);
    let unanswered = |address: &SocketAddr| NameServer {
        address: *address,
        answer: NameAnswer::Timeout,
    };
    let mut servers: Vec<NameServer> = config.servers.iter().map(unanswered).collect();
    let query = |(index, address): (usize, SocketAddr)| {
        let names = &names;
        async move { (index, query_candidates(address, names, plausible, deadline).await) }
    };
    let mut queries: FuturesUnordered<_> = config.servers.into_iter().enumerate().map(query).collect();
    while let Some((index, answer)) = queries.next().await {
        let has_addresses = matches!(answer, NameAnswer::Addresses(_));
        servers[index].answer = answer;
        if has_addresses {
            break;
        }
    }
    drop(queries);
    servers
}

/// Queries each name in turn, and returns the answer for the first name that exists. If none exists, returns the
/// first failure among the first `plausible` names.
async fn query_candidates(
    server: SocketAddr,
    names: &[String],
    plausible: usize,
    deadline: Deadline,
) -> NameAnswer {
    let mut result = NameAnswer::NotFound;
    for (index, name) in names.iter().enumerate() {
        match query::query(server, name, deadline).await {
            NameAnswer::NotFound => {}
            dangling @ NameAnswer::DanglingAlias(_) => result = dangling,
            found @ NameAnswer::Addresses(_) => return found,
            NameAnswer::NoAddress => result = NameAnswer::NoAddress,
            other => {
                // A refused search domain says nothing about the full name.
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
    result
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use hickory_proto::op::{Message, MessageType, ResponseCode};

    use super::*;

    /// Starts a name server with one empty zone, `lab`. It refuses queries for other zones.
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
            let answer = query_candidates(server, &names, plausible, deadline).await;
            assert_eq!(answer, expected, "{names:?}");
        }
    }
}

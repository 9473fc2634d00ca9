//! The DNS rung: the look-up as the application sees it, and our own questions for the reason where it fails.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::deadline::Deadline;
use crate::ping::observation::{Lookup, NameAnswer, NameServer};
use crate::ping::question::ask;
use crate::ping::resolver::Resolvers;

/// Part of the time after which a silent look-up is helped by questions of our own.
const PATIENCE: u32 = 4;

/// Looks the name up, by the system's resolver first; asks each name server itself where that fails or is silent.
pub(crate) async fn observe(host: &str, deadline: Deadline) -> Lookup {
    let started = Instant::now();
    let mut system = system_lookup(host);
    let first = deadline
        .within(deadline.span() / PATIENCE)
        .bound(&mut system)
        .await;
    let mut lookup = match first {
        Ok(found) => heard(found),
        Err(_) => Lookup {
            system_timed_out: true,
            ..Lookup::default()
        },
    };
    if lookup.addresses.is_empty() {
        // What is left afterwards must do for the connection, if an address is found at all.
        let questions = deadline.within(deadline.left().mul_f64(0.9));
        if lookup.system_timed_out {
            help_silent(host, &mut lookup, system, questions).await;
        } else {
            let resolvers = Resolvers::of_system();
            lookup.is_unconfigured = resolvers.is_unconfigured;
            lookup.servers = ask_all(resolvers, host, questions).await;
        }
    }
    lookup.took = started.elapsed();
    lookup
}

type Found = Result<Vec<IpAddr>, String>;

/// The system may still answer: whoever has addresses first wins.
async fn help_silent(host: &str, lookup: &mut Lookup, system: oneshot::Receiver<Found>, until: Deadline) {
    let resolvers = Resolvers::of_system();
    lookup.is_unconfigured = resolvers.is_unconfigured;
    let questions = ask_all(resolvers, host, until);
    tokio::pin!(questions);
    tokio::pin!(system);
    let mut system_is_open = true;
    loop {
        tokio::select! {
            found = &mut system, if system_is_open => {
                system_is_open = false;
                let found = heard(found);
                lookup.system_timed_out = false;
                if !found.addresses.is_empty() {
                    lookup.addresses = found.addresses;
                    return;
                }
                lookup.fault = found.fault;
            }
            servers = &mut questions => {
                lookup.addresses = addresses_of(&servers);
                lookup.servers = servers;
                return;
            }
        }
    }
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

/// getaddrinfo knows no deadline: it runs in a thread that nobody waits for.
fn system_lookup(host: &str) -> oneshot::Receiver<Found> {
    let (report, found) = oneshot::channel();
    let host = host.to_owned();
    let spawned = thread::Builder::new().name("getaddrinfo".into()).spawn(move || {
        let answer = (host.as_str(), 0)
            .to_socket_addrs()
            .map_err(|error| error.to_string());
        let mut seen = HashSet::new();
        let unique = answer.map(|all| all.map(|one| one.ip()).filter(|one| seen.insert(*one)).collect());
        // Nobody may be listening any more.
        let _ = report.send(unique);
    });
    // Without a thread the channel closes, which reads as a look-up that failed.
    drop(spawned);
    found
}

fn heard(found: Result<Found, oneshot::error::RecvError>) -> Lookup {
    match found {
        Ok(Ok(addresses)) if !addresses.is_empty() => Lookup {
            addresses,
            ..Lookup::default()
        },
        Ok(Ok(_)) => Lookup {
            fault: Some("no address".into()),
            ..Lookup::default()
        },
        Ok(Err(words)) => {
            let words = words
                .trim_start_matches("failed to lookup address information: ")
                .to_owned();
            Lookup {
                fault: Some(words),
                ..Lookup::default()
            }
        }
        Err(_) => Lookup {
            fault: Some("the look-up could not be started".into()),
            ..Lookup::default()
        },
    }
}

/// Every name server of the system is asked at once; a server that has addresses ends the wait for the others.
async fn ask_all(resolvers: Resolvers, host: &str, deadline: Deadline) -> Vec<NameServer> {
    let names = resolvers.candidates(host);
    let meant = resolvers.meant(host);
    let mut questions = JoinSet::new();
    for (index, server) in resolvers.servers.iter().copied().enumerate() {
        let names = names.clone();
        questions.spawn(async move { (index, ask_for_any(server, &names, meant, deadline).await) });
    }
    let mut answers: Vec<NameAnswer> = vec![NameAnswer::Timeout; resolvers.servers.len()];
    while let Some(joined) = questions.join_next().await {
        let Ok((index, answer)) = joined else { continue };
        let is_found = matches!(answer, NameAnswer::Addresses(_));
        answers[index] = answer;
        if is_found {
            break;
        }
    }
    let servers = resolvers.servers.into_iter().zip(answers);
    servers
        .map(|(address, answer)| NameServer { address, answer })
        .collect()
}

/// Asks for each name in turn; the first that exists decides, then the first that is refused among those `meant`.
async fn ask_for_any(server: SocketAddr, names: &[String], meant: usize, deadline: Deadline) -> NameAnswer {
    let mut verdict = NameAnswer::NotFound;
    for (index, name) in names.iter().enumerate() {
        match ask(server, name, deadline).await {
            NameAnswer::NotFound => {}
            dangling @ NameAnswer::DanglingAlias(_) => verdict = dangling,
            found @ NameAnswer::Addresses(_) => return found,
            NameAnswer::NoAddress => verdict = NameAnswer::NoAddress,
            other => {
                // That a search domain is refused does not make a full name exist.
                let is_meant = index < meant;
                if is_meant && matches!(verdict, NameAnswer::NotFound | NameAnswer::DanglingAlias(_)) {
                    verdict = other;
                }
                if deadline.left() < Duration::from_millis(1) {
                    break;
                }
            }
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use hickory_proto::op::{Message, MessageType, ResponseCode};

    use super::*;

    /// A name server with one zone, `lab`, without a name in it; it refuses to speak of others.
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
        for (names, meant, expected) in [
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
            let answer = ask_for_any(server, &names, meant, deadline).await;
            assert_eq!(answer, expected, "{names:?}");
        }
    }
}

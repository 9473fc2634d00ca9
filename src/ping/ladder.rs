//! Runs the checks of `ping` in order, one per layer, until one fails. In the code, a check is called a rung,
//! and one run of all checks is called a climb. Experiments distinguish causes that look alike.

mod requests;
mod second_look;

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::experiments::{self, Decisive, Reconnect, patience, with_experiment, with_side_task};
use super::observation::{
    CertificateProblem, Dial, Handshake, Handshakes, NamedPrimary, Observations, TlsResult,
};
use super::response::Response;
use super::rungs::tcp::SegmentSize;
use super::rungs::{dns, permissions, ping, role, tcp, tls};
use super::surroundings::Surroundings;
use super::verdict::judge;
use super::{Climb, ClimbEvent, ClimbOptions, Rung, WriteCheck, sentinel, this_host};
use crate::deadline::Deadline;
use crate::os;
use crate::redis_client::{ProbeConnection, Stream};
use crate::redis_url::provider;
use crate::redis_url::{Address, Target, Trust};

/// How long after the first SYN to read the counter of blocked retransmissions. The kernel first retransmits
/// a SYN after 1 s.
const BEFORE_RETRANSMISSION: Duration = Duration::from_millis(50);

/// The time limit for connecting to the primary that a Sentinel reports.
const LONGEST_DIAL: Duration = Duration::from_secs(1);

/// The time limit for name server queries that only explain a fault.
const LONGEST_LOOKUP: Duration = Duration::from_secs(1);

/// Checks one layer after the other, and stops at the first failure.
///
/// All checks and experiments end by the deadline.
pub async fn climb(
    target: &Target,
    trust: &Trust,
    options: &ClimbOptions,
    deadline: Deadline,
    tell: &mut (dyn FnMut(ClimbEvent<'_>) + Send),
) -> Climb {
    match &target.sentinels {
        Some(sentinels) => sentinel::climb(target, sentinels, trust, options, deadline, tell).await,
        None => climb_to(target, trust, options, deadline, tell, false).await,
    }
}

/// Checks the connection to the address in the target. If `is_for_sentinel` is true, the checks end with the
/// reply to PING.
pub(super) async fn climb_to(
    target: &Target,
    trust: &Trust,
    options: &ClimbOptions,
    deadline: Deadline,
    tell: &mut (dyn FnMut(ClimbEvent<'_>) + Send),
    is_for_sentinel: bool,
) -> Climb {
    let mut ladder = Ladder {
        target,
        trust,
        options,
        deadline,
        tell,
        is_for_sentinel,
        seen: Observations {
            tls: Handshakes {
                trust: trust.clone(),
                ..Handshakes::default()
            },
            ..Observations::default()
        },
        connected_to: None,
    };
    // The future is boxed, because it is large: it contains every experiment.
    let connection = Box::pin(ladder.climb()).await;
    if let Some(finding) = judge(target, &ladder.seen).finding {
        ladder.look_up_in_hosts_file().await;
        ladder.look_again(finding.cause).await;
    } else if let Some(failed) = ladder.seen.tcp.failed_beside_connection()
        && let Some(lookup) = &mut ladder.seen.dns
    {
        let address = failed.to.ip().map(|to| to.ip());
        let entry = dns::hosts_entry(target.host().unwrap_or_default(), address);
        lookup.hosts_file = entry.filter(|entry| Some(entry.address) == address);
    }
    // A tunnel explains why no connection works, or why the nodes of a cluster cannot be reached.
    let explains = connection.is_none() || ladder.seen.reaches_no_announced_node();
    if let (true, Some(address)) = (explains, ladder.connected_to) {
        ladder.seen.this_host = this_host::observe_listeners(address).unwrap_or_default();
    }
    Climb {
        observations: ladder.seen,
        connection,
    }
}

/// Tries to connect to the primary that a Sentinel reports, because fixes recommend only a primary that
/// accepts connections.
async fn dial(primary: &NamedPrimary, deadline: Deadline) -> Vec<Dial> {
    let until = deadline.within((deadline.left() / 2).min(LONGEST_DIAL));
    let addresses = dns::addresses(&primary.host, primary.port, until).await;
    tcp::observe(&addresses, until).await.1
}

struct Ladder<'a> {
    target: &'a Target,
    trust: &'a Trust,
    options: &'a ClimbOptions,
    deadline: Deadline,
    tell: &'a mut (dyn FnMut(ClimbEvent<'_>) + Send),
    /// Whether the target is a Sentinel that is asked only for the primary's address.
    is_for_sentinel: bool,
    seen: Observations,
    /// The address of the connection, which experiments use too. `None` for a unix socket, or without a
    /// connection.
    connected_to: Option<SocketAddr>,
}

/// Each method for a single check returns `None` if no other check should follow.
impl<'a> Ladder<'a> {
    async fn climb(&mut self) -> Option<ProbeConnection> {
        self.hint_at_url_mismatches();
        let stream = match &self.target.address {
            Address::Unix(path) => self.unix(path).await?,
            Address::Tcp { host, port } => {
                let addresses = self.dns(host, *port).await?;
                self.tcp(host, &addresses).await?
            }
        };
        let stream = self.tls(stream).await?;
        let mut connection = ProbeConnection::new(stream);
        self.auth(&mut connection).await?;
        let answered = self.ping(&mut connection).await;
        if answered.is_some() && !self.is_for_sentinel {
            self.role(&mut connection).await;
        } else if self.seen.requests.stopped_at.is_some() {
            self.seen.is_write_untested = self.options.write_check == WriteCheck::Run;
        } else if self.seen.reports_its_state() && !self.allows_one_command() {
            let requests = ping::Requests::about_the_server();
            let exchanges = requests.pipeline(&mut connection, self.deadline).await;
            self.seen.server = role::server_info(&exchanges);
        }
        if self.seen.is_refused_by_acl() {
            self.seen.permissions = permissions::observe(&mut connection, self.deadline).await;
        }
        self.seen.retransmissions = kernel_info(&connection, os::retransmissions).unwrap_or_default();
        answered.map(|()| connection)
    }

    fn hint_at_url_mismatches(&mut self) {
        if let Some(hint) = self.target.host().and_then(provider::endpoint_hint) {
            for mismatch in hint.mismatches(Some(self.target.tls), self.target.port()) {
                (self.tell)(ClimbEvent::Hint(&mismatch));
            }
        }
    }

    async fn dns(&mut self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let mut addresses = if let Some(address) = dns::literal_address(host, port) {
            vec![address]
        } else {
            self.start(Rung::Dns);
            let lookup = dns::observe(host, self.deadline).await;
            let found = lookup.addresses.iter();
            let found = found.map(|address| SocketAddr::new(*address, port)).collect();
            if lookup.addresses.is_empty() {
                if !os::has_spare_files(1) {
                    self.seen.open_file_limit = os::open_file_limit();
                }
                self.seen.this_host = this_host::observe(&[], self.deadline).await;
            }
            self.seen.dns = Some(lookup);
            self.finish(Rung::Dns);
            found
        };
        addresses.retain(|address| self.options.family.allows(address.ip()));
        (!addresses.is_empty()).then_some(addresses)
    }

    async fn tcp(&mut self, host: &str, addresses: &[SocketAddr]) -> Option<Stream> {
        self.start(Rung::Tcp);
        let started = Instant::now();
        // If the kernel cannot send its retransmissions, a firewall on this host blocks them.
        let blocked_before = OnceLock::new();
        // Inspect this host while the attempts wait for a reply. After a timeout, no time would be left.
        let patience = patience(self.deadline);
        let surroundings = async {
            self.deadline.sleep(BEFORE_RETRANSMISSION.min(patience)).await;
            blocked_before.get_or_init(this_host::blocked_retransmissions);
            self.deadline
                .sleep(patience.saturating_sub(started.elapsed()))
                .await;
            Surroundings::observe(host, addresses, self.deadline).await
        };
        let dialled = tcp::observe(addresses, self.deadline);
        let ((connected, dials), surroundings) = with_side_task(dialled, surroundings).await;
        self.seen.tcp.took = started.elapsed();
        self.seen.tcp.dials = dials;
        if connected.is_none() {
            let blocked = this_host::blocked_retransmissions().zip(blocked_before.into_inner().flatten());
            self.seen.tcp.blocked_retransmissions =
                blocked.map_or(0, |(after, before)| after.saturating_sub(before));
            let surroundings = match surroundings {
                Some(observed) => observed,
                None => Surroundings::observe(host, addresses, self.deadline).await,
            };
            surroundings.record(&mut self.seen);
        }
        self.finish(Rung::Tcp);
        let (stream, address) = connected?;
        self.connected_to = Some(address);
        Some(stream)
    }

    async fn unix(&mut self, path: &std::path::Path) -> Option<Stream> {
        self.start(Rung::Tcp);
        let (stream, dial) = tcp::observe_unix(path, self.deadline).await;
        self.seen.tcp.took = dial.took;
        self.seen.tcp.dials = vec![dial];
        self.finish(Rung::Tcp);
        stream
    }

    async fn tls(&mut self, stream: Stream) -> Option<Stream> {
        // TLS is not possible on a unix socket.
        let plain = match stream {
            Stream::Tcp(plain) if self.target.tls => plain,
            stream => return Some(stream),
        };
        self.start(Rung::Tls);
        let host = self.target.host().unwrap_or_default();
        let address = self.connected_to?;
        let until = self.before_the_deadline();
        let plain_ping = experiments::plain_ping(address, until);
        let reconnect = self.reconnect();
        let small_packets =
            reconnect.small_packets(os::path_mtu(&(&plain).into()), patience(self.deadline), until);
        let handshake = tls::observe(plain, host, self.trust, self.deadline);
        // A decisive reply to PING cancels the handshake. The handshake in small packets is cancelled when
        // the first handshake ends.
        let ((shaken, mut experiment), handshakes) = with_side_task(
            with_experiment(handshake, plain_ping, self.deadline),
            small_packets,
        )
        .await;
        if let Some(handshakes) = handshakes {
            self.seen.tls.second_handshake = handshakes.usual;
            self.seen.tls.small_packet_handshake = handshakes.small;
            self.seen.experiments.packet_sizes = handshakes.sizes;
        }
        let stream = match shaken {
            Some((stream, handshake)) => {
                if handshake.result == TlsResult::Closed {
                    self.seen.tls.second_handshake =
                        reconnect.handshake(SegmentSize::Default, self.deadline).await;
                }
                let is_closed_again = self.seen.tls.second_handshake == Some(TlsResult::Closed);
                if (is_closed_again || handshake.result == TlsResult::NotTls) && experiment.is_none() {
                    experiment = Some(experiments::plain_ping(address, self.deadline).await);
                }
                if is_closed_again && !experiment.as_ref().is_some_and(Decisive::is_decisive) {
                    self.seen.experiments.expects_proxy_header = reconnect
                        .speaks_tls_after_proxy_header(address, self.deadline)
                        .await;
                }
                self.explain(&handshake, address, host).await;
                self.seen.tls.handshake = Some(handshake);
                stream
            }
            None => None,
        };
        self.seen.experiments.other_protocol = experiment;
        self.finish(Rung::Tls);
        stream
    }

    /// Finds out whether the address of the host comes from `/etc/hosts`. If so, also queries the name
    /// servers for comparison.
    async fn look_up_in_hosts_file(&mut self) {
        let (Some(host), Some(lookup)) = (self.target.host(), &mut self.seen.dns) else {
            return;
        };
        if lookup.hosts_file.is_none() {
            let until = self.deadline.within(LONGEST_LOOKUP);
            if let Some((entry, servers)) = dns::hosts_file(host, until).await {
                lookup.hosts_file = Some(entry);
                lookup.servers = servers;
            }
        }
    }

    /// Opens additional connections to find out why the handshake failed.
    async fn explain(&mut self, handshake: &Handshake, address: SocketAddr, host: &str) {
        let name = tls::expected_name(host, self.trust);
        let is_about_offers = match &handshake.result {
            TlsResult::NothingInCommon => true,
            TlsResult::Alert(_) => handshake.chain.is_empty(),
            _ => false,
        };
        if is_about_offers {
            self.seen.tls.wider_offer = tls::wider_offer(address, name, handshake.clock, self.deadline).await;
        }
        let problem = handshake.certificate_problem.as_ref();
        if matches!(
            problem,
            Some(CertificateProblem::Expired | CertificateProblem::NotValidYet)
        ) {
            self.seen.tls.server_clock_ahead =
                experiments::server_clock_ahead(address, name, self.deadline).await;
        }
    }

    /// Returns the parameters of additional connections to the address of the first connection.
    fn reconnect(&self) -> Reconnect<'a> {
        Reconnect {
            target: self.target,
            trust: self.trust,
            address: self.connected_to,
            connecting: self.seen.tcp.round_trip(),
        }
    }

    /// Returns the deadline for experiments. It is slightly before the deadline of the checks, so that a
    /// timeout can still be recorded.
    fn before_the_deadline(&self) -> Deadline {
        self.deadline.within(self.deadline.left().mul_f64(0.95))
    }

    fn record_packets(&mut self, connection: &ProbeConnection, response: Option<&Response>) {
        if matches!(response, Some(Response::Timeout(_))) {
            self.seen.packets = kernel_info(connection, os::packet_counts);
        }
    }

    fn start(&mut self, rung: Rung) {
        (self.tell)(ClimbEvent::Started(rung, self.deadline));
    }

    fn finish(&mut self, rung: Rung) {
        (self.tell)(ClimbEvent::Finished(rung, &self.seen));
    }
}

/// Reads one of the kernel's statistics about a TCP connection. Returns `None` for a unix socket, or if the
/// kernel does not report the value.
fn kernel_info<T>(connection: &ProbeConnection, read: impl FnOnce(&SockRef<'_>) -> Option<T>) -> Option<T> {
    connection.stream().tcp().and_then(|tcp| read(&tcp.into()))
}

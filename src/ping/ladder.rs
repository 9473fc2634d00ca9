//! The climb runs one rung per layer until one fails. Experiments distinguish causes that look alike.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use redis::cmd;

use super::experiments::{self, patience, with_experiment, with_side_task};
use super::observation::{CertificateProblem, Experiment, Handshake, Observations, TlsResult};
use super::response::{Response, ask};
use super::rungs::{auth, cluster, dns, permissions, ping, role, tcp, tls};
use super::surroundings::Surroundings;
use super::{Climb, ClimbEvent, ClimbOptions, Rung, WriteCheck, this_host};
use crate::deadline::Deadline;
use crate::os;
use crate::redis_client::{ProbeConnection, Stream};
use crate::redis_url::provider;
use crate::redis_url::{Address, Target, Trust};
use crate::secret::Secret;

/// When to read the counter of blocked retransmissions for the first time: well before the first SYN is
/// retransmitted, after 1 s.
const BEFORE_RETRANSMISSION: Duration = Duration::from_millis(50);

/// Checks the connection one layer at a time, and stops at the first failure.
///
/// No rung, lookup or experiment outlives the deadline.
pub async fn climb(
    target: &Target,
    trust: &Trust,
    options: &ClimbOptions,
    deadline: Deadline,
    tell: &mut (dyn FnMut(ClimbEvent<'_>) + Send),
) -> Climb {
    let mut ladder = Ladder {
        target,
        trust,
        options,
        deadline,
        tell,
        seen: Observations::default(),
        connected_to: None,
    };
    // The future is large because it contains every experiment.
    let connection = Box::pin(ladder.climb()).await;
    Climb {
        observations: ladder.seen,
        connection,
    }
}

struct Ladder<'a> {
    target: &'a Target,
    trust: &'a Trust,
    options: &'a ClimbOptions,
    deadline: Deadline,
    tell: &'a mut (dyn FnMut(ClimbEvent<'_>) + Send),
    seen: Observations,
    /// The address that experiments connect to; `None` for a unix socket.
    connected_to: Option<SocketAddr>,
}

/// Each rung returns `None` if the climb ends there.
impl Ladder<'_> {
    async fn climb(&mut self) -> Option<ProbeConnection<Stream>> {
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
        if answered.is_some() {
            self.role(&mut connection).await;
        }
        if self.seen.is_refused_by_acl() {
            self.seen.permissions = permissions::observe(&mut connection, self.deadline).await;
        }
        self.seen.retransmissions = retransmissions(&connection);
        answered.map(|()| connection)
    }

    fn hint_at_url_mismatches(&mut self) {
        if let Some(hint) = self.target.host().and_then(provider::endpoint_hint) {
            for mismatch in hint.mismatches(self.target.tls, self.target.port()) {
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
                self.seen.this_host = Some(this_host::observe(&[], self.deadline).await);
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
        // If the kernel cannot send retransmissions, a firewall on this host blocks them.
        let blocked_before = OnceLock::new();
        // After a timeout there would be no time left to inspect this host, so inspect it while the attempts wait.
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
        self.seen.tcp_took = started.elapsed();
        self.seen.dials = dials;
        if connected.is_none() {
            let blocked = this_host::blocked_retransmissions().zip(blocked_before.into_inner().flatten());
            self.seen.blocked_retransmissions =
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
        self.seen.tcp_took = dial.took;
        self.seen.dials = vec![dial];
        self.finish(Rung::Tcp);
        stream
    }

    async fn tls(&mut self, stream: Stream) -> Option<Stream> {
        // The URL of a unix socket cannot request TLS.
        let plain = match stream {
            Stream::Tcp(plain) if self.target.tls => plain,
            stream => return Some(stream),
        };
        self.start(Rung::Tls);
        let host = self.target.host().unwrap_or_default();
        let address = self.connected_to?;
        let until = self.before_the_deadline();
        let handshake = tls::observe(plain, host, self.trust, self.deadline);
        let plain_ping = experiments::plain_ping(address, until);
        let small_packets =
            experiments::small_packet_handshake(address, host, patience(self.deadline), until);
        // A decisive PING cancels the handshake. When the handshake ends or is cancelled, the one in small packets is
        // cancelled too.
        let ((shaken, mut experiment), small_packets) = with_side_task(
            with_experiment(handshake, plain_ping, self.deadline),
            small_packets,
        )
        .await;
        self.seen.small_packet_handshake = small_packets.flatten();
        let stream = match shaken {
            Some((stream, handshake)) => {
                let is_inconclusive = matches!(handshake.result, TlsResult::NotTls | TlsResult::Closed);
                if is_inconclusive && experiment.is_none() {
                    experiment = Some(experiments::plain_ping(address, self.deadline).await);
                }
                self.explain(&handshake, address, host).await;
                self.seen.tls = Some(handshake);
                stream
            }
            None => None,
        };
        self.seen.experiment = experiment;
        self.finish(Rung::Tls);
        stream
    }

    /// Uses another connection to find out why the handshake failed.
    async fn explain(&mut self, handshake: &Handshake, address: SocketAddr, host: &str) {
        let name = tls::expected_name(host, self.trust);
        let is_about_offers = match &handshake.result {
            TlsResult::NothingInCommon => true,
            TlsResult::Alert(_) => handshake.chain.is_empty(),
            _ => false,
        };
        if is_about_offers {
            self.seen.wider_offer =
                experiments::wider_offer(address, name, handshake.clock, self.deadline).await;
        }
        let problem = handshake.certificate_problem.as_ref();
        if matches!(
            problem,
            Some(CertificateProblem::Expired | CertificateProblem::NotValidYet)
        ) {
            self.seen.server_clock_ahead =
                experiments::server_clock_ahead(address, name, self.deadline).await;
        }
    }

    async fn auth(&mut self, connection: &mut ProbeConnection<Stream>) -> Option<()> {
        let Some(password) = &self.target.password else {
            return Some(());
        };
        let tls = self.seen.tls.as_ref();
        let is_unverified = tls.is_some_and(|tls| tls.certificate_problem.is_some());
        if is_unverified && !self.trust.sends_password_insecurely {
            self.seen.is_password_withheld = true;
            return Some(());
        }
        self.start(Rung::Auth);
        let started = Instant::now();
        let user = self.target.user.as_deref();
        let login = auth::observe(connection, user, password, self.deadline);
        let response = self.first_response(login).await;
        self.seen.login_took = started.elapsed();
        self.record_packets(connection, response.as_ref());
        let is_logged_in = response.as_ref().is_some_and(Response::is_ok);
        self.seen.login = response;
        self.finish(Rung::Auth);
        is_logged_in.then_some(())
    }

    async fn ping(&mut self, connection: &mut ProbeConnection<Stream>) -> Option<()> {
        self.start(Rung::Ping);
        let started = Instant::now();
        let response = self
            .first_response(ping::observe(connection, self.deadline))
            .await;
        self.seen.ping_took = started.elapsed();
        self.record_packets(connection, response.as_ref());
        self.seen.ping = response;
        if self.login_is_required() {
            self.log_in_without_password(connection).await;
        }
        if self.login_is_required() {
            self.finish(Rung::Auth);
        }
        let answered = if self.seen.ping.as_ref().is_some_and(Response::is_pong) {
            self.seen.round_trips.push(self.seen.ping_took);
            Some(cmd("PING"))
        } else if self
            .ping_error()
            .is_some_and(|error| ping::is_unavailable(&error))
        {
            let (substitute, command, round_trip) = ping::try_substitutes(connection, self.deadline).await;
            let is_served = substitute.is_served();
            self.seen.ping_substitute = Some(substitute);
            is_served.then(|| {
                self.seen.round_trips.push(round_trip);
                command
            })
        } else {
            None
        };
        if let Some(command) = &answered {
            if self.target.db > 0 {
                let select = cmd("SELECT").arg(self.target.db).clone();
                self.seen.select = Some(ask(connection, &select, self.deadline).await);
            }
            ping::measure(connection, command, &mut self.seen.round_trips, self.deadline).await;
        }
        self.finish(Rung::Ping);
        answered.map(drop)
    }

    async fn role(&mut self, connection: &mut ProbeConnection<Stream>) {
        self.start(Rung::Role);
        self.seen.server = role::observe(connection, self.deadline).await;
        if self.seen.server.role.is_some() {
            role::observe_settings(connection, &mut self.seen.server, self.deadline).await;
        }
        if self.seen.server.role.is_none() {
            self.seen.packets = packets(connection);
        }
        if self.seen.server.is_cluster() {
            self.seen.announced = cluster::observe(connection, self.connected_to, self.deadline).await;
        }
        if self.options.write_check == WriteCheck::Run && !self.seen.server.is_sentinel() {
            self.seen.write_test = Some(role::write_test(connection, &self.seen.server, self.deadline).await);
        }
        self.finish(Rung::Role);
    }

    fn ping_error(&self) -> Option<String> {
        self.seen.ping.as_ref().and_then(Response::error)
    }

    fn login_is_required(&self) -> bool {
        self.ping_error().is_some_and(|error| error.starts_with("NOAUTH"))
    }

    /// For `redis://ada@host`, tries an empty password, as many clients do, because the user may be `nopass`.
    async fn log_in_without_password(&mut self, connection: &mut ProbeConnection<Stream>) {
        if let (Some(user), None) = (&self.target.user, &self.target.password) {
            let login =
                auth::observe(connection, Some(user), &Secret::new(String::new()), self.deadline).await;
            if login.is_ok() {
                self.seen.ping = Some(ping::observe(connection, self.deadline).await);
            }
        }
    }

    /// Waits for the first response on the connection. If it is bad or missing, experiments look for the reason.
    ///
    /// `None` if a decisive experiment ended the wait.
    async fn first_response(&mut self, response: impl Future<Output = Response>) -> Option<Response> {
        let Some(address) = self.connected_to else {
            return Some(response.await);
        };
        let host = self.target.host().unwrap_or_default();
        if self.target.tls {
            let response = response.await;
            if response.is_empty_close() {
                // A TLS proxy may drop an error that the server sends before it closes: listen before sending.
                let banner = experiments::ping_inside_tls(address, host, self.trust, self.deadline).await;
                self.seen.experiment = banner.or(self.seen.experiment.take());
            }
            return Some(response);
        }
        let client_hello = experiments::client_hello(address, host, self.before_the_deadline());
        let (response, mut experiment) = with_experiment(response, client_hello, self.deadline).await;
        if experiment.is_none() && response.as_ref().is_some_and(Response::may_be_tls) {
            experiment = Some(experiments::client_hello(address, host, self.deadline).await);
        }
        if response.as_ref().is_some_and(Response::is_empty_close)
            && !experiment.as_ref().is_some_and(Experiment::is_decisive)
        {
            // The RST may have discarded an error that the server sent: listen before sending.
            let banner = experiments::plain_ping(address, self.deadline).await;
            experiment = if banner.is_decisive() {
                Some(banner)
            } else {
                experiment.or(Some(banner))
            };
        }
        self.seen.experiment = self.seen.experiment.take().or(experiment);
        response
    }

    /// The deadline for experiments. It is slightly before the rung's deadline, because a timeout of an experiment is
    /// also a result to record.
    fn before_the_deadline(&self) -> Deadline {
        self.deadline.within(self.deadline.left().mul_f64(0.95))
    }

    fn record_packets(&mut self, connection: &ProbeConnection<Stream>, response: Option<&Response>) {
        if matches!(response, Some(Response::Timeout(_))) {
            self.seen.packets = packets(connection);
        }
    }

    fn start(&mut self, rung: Rung) {
        (self.tell)(ClimbEvent::Started(rung, self.deadline));
    }

    fn finish(&mut self, rung: Rung) {
        (self.tell)(ClimbEvent::Finished(rung, &self.seen));
    }
}

fn retransmissions(connection: &ProbeConnection<Stream>) -> u32 {
    let tcp = connection.stream().tcp();
    tcp.and_then(|tcp| os::retransmissions(&tcp.into()))
        .unwrap_or_default()
}

fn packets(connection: &ProbeConnection<Stream>) -> Option<os::PacketCounts> {
    connection
        .stream()
        .tcp()
        .and_then(|tcp| os::packet_counts(&tcp.into()))
}

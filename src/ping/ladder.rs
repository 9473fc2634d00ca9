//! The climb runs one rung per layer until one fails. Experiments distinguish causes that look alike.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use redis::cmd;
use socket2::SockRef;

use super::experiments::{self, Banner, Decisive, Reconnect, patience, with_experiment, with_side_task};
use super::observation::{
    CertificateProblem, Dial, Echo, Exchange, Handshake, Handshakes, NamedPrimary, Observations, TlsResult,
};
use super::response::{Response, ask};
use super::rungs::cluster::Topology;
use super::rungs::tcp::SegmentSize;
use super::rungs::{dns, permissions, ping, role, tcp, tls};
use super::surroundings::Surroundings;
use super::{Climb, ClimbEvent, ClimbOptions, Rung, WriteCheck, sentinel, this_host};
use crate::deadline::Deadline;
use crate::os;
use crate::redis_client::error_replies::ErrorReply;
use crate::redis_client::{ProbeConnection, Stream};
use crate::redis_url::provider;
use crate::redis_url::{Address, Target, Trust};
use crate::secret::Secret;

/// When to read the counter of blocked retransmissions for the first time: well before the first SYN is
/// retransmitted, after 1 s.
const BEFORE_RETRANSMISSION: Duration = Duration::from_millis(50);

/// The longest attempt to connect to the primary that a Sentinel names.
const LONGEST_DIAL: Duration = Duration::from_secs(1);

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
    match &target.sentinels {
        Some(sentinels) => sentinel::climb(target, sentinels, trust, options, deadline, tell).await,
        None => climb_to(target, trust, options, deadline, tell, false).await,
    }
}

/// Checks the connection to the address of the target itself. From a Sentinel, only PONG is expected.
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
    // The future is large because it contains every experiment.
    let connection = Box::pin(ladder.climb()).await;
    if let (None, Some(address)) = (&connection, ladder.connected_to) {
        ladder.seen.this_host = this_host::observe_listeners(address);
    }
    Climb {
        observations: ladder.seen,
        connection,
    }
}

/// Tries the primary that a Sentinel names, before it is recommended.
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
    /// Whether this is a Sentinel that is only asked for the primary.
    is_for_sentinel: bool,
    seen: Observations,
    /// The address that experiments connect to; `None` for a unix socket.
    connected_to: Option<SocketAddr>,
}

/// Each rung returns `None` if the climb ends there.
impl<'a> Ladder<'a> {
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
        if answered.is_some() && !self.is_for_sentinel {
            self.role(&mut connection).await;
        } else if self.seen.requests.stopped_at.is_some() {
            self.seen.is_write_untested = self.options.write_check == WriteCheck::Run;
        } else if self.seen.reports_its_state() {
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
        // The URL of a unix socket cannot request TLS.
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
        // A decisive PING cancels the handshake. When the handshake ends or is cancelled, the one in small packets is
        // cancelled too.
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

    /// Uses another connection to find out why the handshake failed.
    async fn explain(&mut self, handshake: &Handshake, address: SocketAddr, host: &str) {
        let name = tls::expected_name(host, self.trust);
        let is_about_offers = match &handshake.result {
            TlsResult::NothingInCommon => true,
            TlsResult::Alert(_) => handshake.chain.is_empty(),
            _ => false,
        };
        if is_about_offers {
            self.seen.tls.wider_offer =
                experiments::wider_offer(address, name, handshake.clock, self.deadline).await;
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

    async fn auth(&mut self, connection: &mut ProbeConnection<Stream>) -> Option<()> {
        let Some(password) = &self.target.password else {
            return Some(());
        };
        let tls = self.seen.tls.handshake.as_ref();
        let is_unverified = tls.is_some_and(|tls| tls.certificate_problem.is_some());
        if is_unverified && !self.trust.sends_password_insecurely {
            self.seen.auth.is_password_withheld = true;
            return Some(());
        }
        self.start(Rung::Auth);
        let started = Instant::now();
        let user = self.target.user.as_deref();
        let login = ping::log_in(connection, user, password, self.deadline);
        let response = self.first_response(login).await;
        self.seen.auth.took = started.elapsed();
        self.record_packets(connection, response.as_ref());
        let is_logged_in = response.as_ref().is_some_and(Response::is_ok);
        self.seen.auth.response = response;
        if !is_logged_in {
            self.listen_for_surplus(connection).await;
        }
        self.finish(Rung::Auth);
        is_logged_in.then_some(())
    }

    async fn ping(&mut self, connection: &mut ProbeConnection<Stream>) -> Option<()> {
        self.start(Rung::Ping);
        let started = Instant::now();
        let response = self
            .first_response(ping::observe(connection, self.deadline))
            .await;
        self.seen.ping.took = started.elapsed();
        self.record_packets(connection, response.as_ref());
        self.seen.ping.response = response;
        if self.seen.requires_login() {
            self.log_in_without_password(connection).await;
        }
        if self.seen.requires_login() {
            self.finish(Rung::Auth);
        }
        let is_pong = self.seen.has_pong();
        if is_pong {
            self.seen.ping.round_trips.push(self.seen.ping.took);
            if self.is_for_sentinel {
                self.finish(Rung::Ping);
                return Some(());
            }
        }
        let is_served = if is_pong
            || self
                .ping_error()
                .is_some_and(|error| ping::is_unavailable(&error))
        {
            let is_answered = self.requests(connection).await;
            is_answered && (is_pong || self.seen.serves_without_ping())
        } else {
            self.listen_for_surplus(connection).await;
            false
        };
        if is_served {
            let command = if is_pong { cmd("PING") } else { ping::read() };
            let (hint, round_trips) = (self.seen.requests.took, &mut self.seen.ping.round_trips);
            ping::measure(connection, &command, hint, round_trips, self.deadline).await;
        }
        self.finish(Rung::Ping);
        is_served.then_some(())
    }

    /// Sends the requests that a working connection must answer. If it does not, repeats them on a second connection.
    ///
    /// Returns whether there is a connection for the next rung: this one, or a new one if the server closed this one
    /// after an optional request.
    async fn requests(&mut self, connection: &mut ProbeConnection<Stream>) -> bool {
        let requests = ping::Requests::of(self.target);
        let reconnect = self.reconnect();
        let (patience, until) = (patience(self.deadline), self.before_the_deadline());
        let path_mtu = kernel_info(connection, os::path_mtu);
        let started = Instant::now();
        let side = async {
            self.deadline.sleep(patience).await;
            reconnect.repeat_requests(&requests, path_mtu, until).await
        };
        let (exchanges, mut repeated) =
            with_side_task(requests.pipeline(connection, self.deadline), side).await;
        self.seen.requests.took = started.elapsed();
        let password = self.target.password.as_ref();
        let mask = |exchange: Exchange| exchange.without(password);
        let exchanges: Vec<_> = exchanges.into_iter().map(mask).collect();
        self.record(&requests, &exchanges);
        let Some(stopped_at) = exchanges.last().filter(|exchange| !exchange.is_answered()) else {
            return true;
        };
        self.seen.requests.stopped_at = Some(stopped_at.clone());
        self.seen.packets = kernel_info(connection, os::packet_counts);
        if repeated.is_none() {
            repeated = Some(reconnect.repeat_requests(&requests, path_mtu, until).await);
        }
        if let Some((repeat, sizes)) = repeated {
            // The second connection may show what kind of server this is.
            if repeat.has_answered("INFO") {
                self.seen.server = role::server_info(&repeat.exchanges);
            }
            self.seen.experiments.repeat = Some(repeat);
            self.seen.experiments.packet_sizes = sizes;
        }
        self.replace(connection).await
    }

    fn record(&mut self, requests: &ping::Requests, exchanges: &[Exchange]) {
        let response = |command| {
            let exchange = exchanges.iter().find(|exchange| exchange.command == command)?;
            exchange.is_answered().then(|| exchange.response.clone())
        };
        self.seen.requests.select = response("SELECT");
        self.seen.requests.read = response("HGETALL");
        self.seen.requests.echo = requests.echo(exchanges).map(|echo| match echo {
            Echo::Other(response) => Echo::Other(response.without(self.target.password.as_ref())),
            echo => echo,
        });
        self.seen.server = role::server_info(exchanges);
    }

    /// Some proxies end a connection at a request that they do not support. The rest of the climb needs an open one.
    async fn replace(&mut self, connection: &mut ProbeConnection<Stream>) -> bool {
        let serves = self
            .seen
            .experiments
            .repeat
            .as_ref()
            .is_some_and(|repeat| repeat.has_answered("HGETALL") && repeat.stopped_at().is_some());
        if !serves || self.seen.experiments.packet_sizes.is_some() {
            return false;
        }
        let reconnect = self.reconnect();
        let Some(mut second) = reconnect.logged_in(SegmentSize::Default, self.deadline).await else {
            return false;
        };
        if self.target.db > 0 {
            let select = cmd("SELECT").arg(self.target.db).clone();
            self.seen.requests.select = Some(ask(&mut second, &select, self.deadline).await);
        }
        *connection = second;
        true
    }

    async fn role(&mut self, connection: &mut ProbeConnection<Stream>) {
        self.start(Rung::Role);
        if self.seen.requests.stopped_at.is_none() {
            let read = self.seen.requests.read.as_ref();
            role::observe(connection, &mut self.seen.server, read, self.deadline).await;
        }
        if let Some(primary) = self.seen.server.sentinel_primary.clone() {
            self.seen.server.sentinel_primary_dials = dial(&primary, self.deadline).await;
        }
        let mut key = None;
        if self.seen.server.is_cluster() {
            let topology = Topology::ask(connection, self.deadline).await;
            key = topology.key_of_this_node();
            if let Some(key) = &key {
                let read = ping::read_key(key);
                self.seen.server.cluster_read = Some(ask(connection, &read, self.deadline).await);
            }
            self.seen.server.announced = topology.dial(self.connected_to, self.deadline).await;
        }
        if self.options.write_check == WriteCheck::Run && !self.seen.server.is_sentinel() {
            let key = key.unwrap_or_else(role::random_key);
            let requests = ping::Requests::of(self.target);
            let reconnect = self.reconnect();
            let (patience, until) = (patience(self.deadline), self.before_the_deadline());
            let repeat = async {
                self.deadline.sleep(patience).await;
                reconnect.repeat_requests(&requests, None, until).await
            };
            let write_test = role::write_test(connection, &key, self.deadline);
            let (write_test, repeat) = with_side_task(write_test, repeat).await;
            self.seen.write_test = Some(write_test);
            self.seen.experiments.repeat =
                repeat
                    .map(|(repeat, _)| repeat)
                    .or(self.seen.experiments.repeat.take());
        }
        self.finish(Rung::Role);
    }

    fn ping_error(&self) -> Option<String> {
        self.seen.ping.response.as_ref().and_then(Response::error)
    }

    /// For `redis://ada@host`, tries an empty password as many clients do: the user may be `nopass`.
    async fn log_in_without_password(&mut self, connection: &mut ProbeConnection<Stream>) {
        if let (Some(user), None) = (&self.target.user, &self.target.password) {
            let login =
                ping::log_in(connection, Some(user), &Secret::new(String::new()), self.deadline).await;
            if login.is_ok() {
                self.seen.ping.response = Some(ping::observe(connection, self.deadline).await);
            }
        }
    }

    /// Waits for the first response on the connection, and runs the experiments that explain a bad one or none.
    ///
    /// Returns `None` if a decisive experiment ended the wait.
    async fn first_response(&mut self, response: impl Future<Output = Response>) -> Option<Response> {
        let reconnect = self.reconnect();
        let explain_silence = reconnect.explain(Banner::Skip, self.before_the_deadline());
        let (response, mut explanation) = with_experiment(response, explain_silence, self.deadline).await;
        if explanation.is_none() && response.as_ref().is_some_and(Response::may_be_tls) {
            explanation = Some(reconnect.explain(Banner::Listen, self.deadline).await);
        }
        if let Some(found) = explanation {
            self.seen.experiments.other_protocol =
                self.seen.experiments.other_protocol.take().or(found.experiment);
            self.seen.experiments.repeat = found.repeat;
            self.seen.experiments.expects_proxy_header = found.expects_proxy_header;
        }
        response
    }

    /// After a reply that does not belong to its request, the right one may follow.
    async fn listen_for_surplus(&mut self, connection: &mut ProbeConnection<Stream>) {
        let response = self
            .seen
            .ping
            .response
            .as_ref()
            .or(self.seen.auth.response.as_ref());
        let is_known = |error: String| ErrorReply::of(&error).is_some();
        let is_odd = matches!(response, Some(Response::Reply(_)))
            && !response.and_then(Response::error).is_some_and(is_known);
        if is_odd {
            let surplus = experiments::surplus_reply(connection, self.deadline).await;
            let password = self.target.password.as_ref();
            self.seen.ping.surplus_reply = surplus.map(|response| response.without(password));
        }
    }

    /// How to make further connections to the same address.
    fn reconnect(&self) -> Reconnect<'a> {
        Reconnect {
            target: self.target,
            trust: self.trust,
            address: self.connected_to,
            connecting: self.seen.tcp.round_trip(),
        }
    }

    /// The deadline for experiments. It is slightly before the rung's deadline, because a timeout of an experiment is
    /// also a result to record.
    fn before_the_deadline(&self) -> Deadline {
        self.deadline.within(self.deadline.left().mul_f64(0.95))
    }

    fn record_packets(&mut self, connection: &ProbeConnection<Stream>, response: Option<&Response>) {
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

/// What the kernel reports about the connection; nothing about a unix socket.
fn kernel_info<T>(
    connection: &ProbeConnection<Stream>,
    read: impl FnOnce(&SockRef<'_>) -> Option<T>,
) -> Option<T> {
    connection.stream().tcp().and_then(|tcp| read(&tcp.into()))
}

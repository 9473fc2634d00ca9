//! Runs the checks on the open connection: the login, PING and the following requests, and the role.

use std::future::Future;
use std::time::Instant;

use redis::cmd;

use super::{Ladder, dial, kernel_info};
use crate::os;
use crate::ping::causes::{ErrorReply, is_command_unavailable};
use crate::ping::experiments::{self, Banner, SMALLEST_PACKET, patience, with_experiment, with_side_task};
use crate::ping::observation::{Echo, Exchange, Repeat};
use crate::ping::response::{Response, ask};
use crate::ping::rungs::cluster::Topology;
use crate::ping::rungs::tcp::SegmentSize;
use crate::ping::rungs::{ping, role};
use crate::ping::{Rung, WriteCheck};
use crate::redis_client::{ProbeConnection, auth_command};
use crate::redis_url::provider;
use crate::secret::Secret;

impl Ladder<'_> {
    pub(super) async fn auth(&mut self, connection: &mut ProbeConnection) -> Option<()> {
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
        let is_large = auth_command(user, password).get_packed_command().len() > usize::from(SMALLEST_PACKET);
        let path_mtu = kernel_info(connection, os::path_mtu).filter(|_| is_large);
        let login = ping::log_in(connection, user, password, self.deadline);
        let response = self.first_response(login, path_mtu).await;
        self.seen.auth.took = started.elapsed();
        self.record_packets(connection, response.as_ref());
        let is_logged_in = response.as_ref().is_some_and(Response::is_ok);
        self.seen.auth.response = response;
        if !is_logged_in {
            self.listen_for_surplus(connection).await;
        }
        if self.seen.auth.needs_no_login() && !self.allows_one_command() {
            self.seen.auth.read_without_login =
                Some(ask(connection, &ping::read(), self.before_the_deadline()).await);
        }
        self.finish(Rung::Auth);
        is_logged_in.then_some(())
    }

    pub(super) async fn ping(&mut self, connection: &mut ProbeConnection) -> Option<()> {
        self.start(Rung::Ping);
        let started = Instant::now();
        let response = self
            .first_response(ping::observe(connection, self.deadline), None)
            .await;
        self.seen.ping.took = started.elapsed();
        self.record_packets(connection, response.as_ref());
        self.seen.ping.response = response;
        if self.seen.requires_login() && !self.allows_one_command() {
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
        let is_served = if self.allows_one_command() {
            false
        } else if is_pong
            || self
                .ping_error()
                .is_some_and(|error| is_command_unavailable(&error))
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

    /// Sends the requests to which a working connection must reply. If a reply is missing, repeats the
    /// requests on a second connection.
    ///
    /// Returns whether the next check has a connection. This is a new connection if the server closed the
    /// first connection after an optional request.
    async fn requests(&mut self, connection: &mut ProbeConnection) -> bool {
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

    /// Opens a new connection for the remaining checks, because some proxies close the connection after an
    /// unsupported request. Returns false if a new connection would not help, or cannot be opened.
    async fn replace(&mut self, connection: &mut ProbeConnection) -> bool {
        let repeat = self.seen.experiments.repeat.as_ref();
        let stopped_at = repeat
            .filter(|repeat| repeat.has_answered("HGETALL"))
            .and_then(Repeat::stopped_at);
        let ends_at_echo = stopped_at.is_some_and(|exchange| {
            exchange.command == "ECHO"
                && matches!(exchange.response, Response::Closed(_) | Response::Reset(_))
        });
        let is_cut_off = stopped_at.is_none_or(Exchange::is_cut_off);
        if is_cut_off || self.seen.experiments.packet_sizes.is_some() {
            return false;
        }
        let reconnect = self.reconnect();
        let Some(mut second) = reconnect.logged_in(SegmentSize::Default, self.deadline).await else {
            return false;
        };
        if ends_at_echo {
            // A short ECHO shows whether the command or its size ends the connection.
            let until = self.deadline.within(patience(self.deadline));
            let short = ask(&mut second, cmd("ECHO").arg("sessiontut"), until).await;
            if short.is_granted() {
                self.seen.experiments.is_only_short_echo_answered = true;
                return false;
            }
            match reconnect.logged_in(SegmentSize::Default, self.deadline).await {
                Some(third) => second = third,
                None => return false,
            }
        }
        if self.target.db > 0 {
            let select = cmd("SELECT").arg(self.target.db).clone();
            self.seen.requests.select = Some(ask(&mut second, &select, self.deadline).await);
        }
        *connection = second;
        true
    }

    pub(super) async fn role(&mut self, connection: &mut ProbeConnection) {
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
            let redirection = self.seen.server.cluster_read.as_ref();
            let topology = Topology::ask(connection, self.deadline)
                .await
                .with_redirection(redirection);
            self.seen.server.is_topology_forbidden = topology.is_forbidden;
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
            if let Some((repeat, _)) = repeat {
                self.seen.experiments.repeat = Some(repeat);
            }
        }
        self.finish(Rung::Role);
    }

    /// Whether the server closes a connection if a client without a login sends more than one command.
    pub(super) fn allows_one_command(&self) -> bool {
        let is_logged_in = self.seen.auth.response.as_ref().is_some_and(Response::is_ok);
        !is_logged_in && self.target.host().is_some_and(provider::is_public_serverless)
    }

    fn ping_error(&self) -> Option<String> {
        self.seen.ping.response.as_ref().and_then(Response::error)
    }

    /// For a URL such as `redis://ada@host`, logs in with an empty password, as many clients do, because the
    /// user may have no password (`nopass`).
    async fn log_in_without_password(&mut self, connection: &mut ProbeConnection) {
        if let (Some(user), None) = (&self.target.user, &self.target.password) {
            let login =
                ping::log_in(connection, Some(user), &Secret::new(String::new()), self.deadline).await;
            if login.is_ok() {
                self.seen.ping.response = Some(ping::observe(connection, self.deadline).await);
            }
        }
    }

    /// Waits for the first response. If the response is late, or may come from a TLS server, runs experiments
    /// to find the reason.
    ///
    /// Returns `None` if a decisive experiment has ended the wait. If the request is large, `path_mtu` is the
    /// size of its packets.
    async fn first_response(
        &mut self,
        response: impl Future<Output = Response>,
        path_mtu: Option<u16>,
    ) -> Option<Response> {
        let reconnect = self.reconnect();
        let explain_silence = reconnect.explain(Banner::Skip, path_mtu, self.before_the_deadline());
        let (response, mut explanation) = with_experiment(response, explain_silence, self.deadline).await;
        if explanation.is_none() && response.as_ref().is_some_and(Response::may_be_tls) {
            explanation = Some(reconnect.explain(Banner::Listen, None, self.deadline).await);
        }
        if let Some(found) = explanation {
            self.seen.experiments.other_protocol =
                self.seen.experiments.other_protocol.take().or(found.experiment);
            self.seen.experiments.repeat = found.repeat;
            self.seen.experiments.expects_proxy_header = found.expects_proxy_header;
            self.seen.experiments.packet_sizes = found.packet_sizes;
        }
        response
    }

    /// Waits for an additional reply after an unexpected reply to AUTH or PING. If the unexpected reply
    /// belongs to an earlier request, the right reply may still follow.
    async fn listen_for_surplus(&mut self, connection: &mut ProbeConnection) {
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
}

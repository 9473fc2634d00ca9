//! Defines the facts that the checks observe, without interpretation.

mod dns;
mod idle;
mod requests;
mod server;
mod tcp;
mod tls;

pub(crate) use dns::*;
pub(crate) use idle::*;
pub(crate) use requests::*;
pub(crate) use server::*;
pub(crate) use tcp::*;
pub(crate) use tls::*;

use std::net::IpAddr;

use rustls::AlertDescription;

use super::response::Response;
use super::this_host::{LocalListener, Nearness, Route, ThisHost};
use crate::aws::AwsAnswer;
use crate::os::{Icmp, PacketCounts};
use crate::redis_url::{Target, host_and_port, is_host};

/// The observations of one run of the checks. If a check did not run, its observations are empty.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// The reply of a Sentinel, if the URL contains Sentinels.
    pub followed: Option<Followed>,
    /// The lookup of the host name, or `None` for an IP address or a unix socket.
    pub dns: Option<Lookup>,
    /// The connection attempts.
    pub tcp: Connecting,
    /// The TLS handshakes, if the URL requires TLS.
    pub tls: Handshakes,
    /// The login, if the URL contains a password.
    pub auth: Login,
    /// The response to PING, and the round trip times.
    pub ping: Pings,
    /// The requests after PING to which a working connection must reply.
    pub requests: Requests,
    /// The results of experiments on additional connections.
    pub experiments: Experiments,
    /// What the server reports about itself.
    pub server: ServerInfo,
    /// The result of `--write-check`.
    pub write_test: Option<WriteTest>,
    /// Whether the connection ended before `--write-check` could test writing.
    pub is_write_untested: bool,
    /// The responses to the tutorial's commands, sent in a form that changes nothing. The commands are sent
    /// only if an ACL forbids one of `ping`'s commands.
    pub permissions: Vec<(&'static str, Response)>,
    /// The trials of `--idle` or `--hold`, or the pause after which a connection was lost with `--count`. If
    /// a connection was lost, the other observations are of a later connection.
    pub idle: Option<IdleTest>,
    /// The packet counts of a connection on which a reply timed out.
    pub packets: Option<PacketCounts>,
    /// The number of retransmitted packets on the connection, including SYNs.
    pub retransmissions: u32,
    /// Facts about this host and its networks, which are collected if a check failed.
    pub this_host: ThisHost,
    /// The limit of open files, if it is too low for the checks.
    pub open_file_limit: Option<u64>,
    /// The result of `--aws` or `--aws-documents`.
    pub(crate) aws: Option<Box<AwsAnswer>>,
}

/// The result of asking the Sentinels for the primary.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The Sentinel that was asked, as `HOST:PORT`.
    pub sentinel: String,
    /// The name of the primary in the URL.
    pub name: String,
    /// The target that was checked: the primary or, if the Sentinel did not report a primary, the Sentinel
    /// itself.
    pub target: Target,
    pub answer: SentinelAnswer,
}

/// A Sentinel's reply to the request for the primary.
#[derive(Clone, Debug)]
pub enum SentinelAnswer {
    /// The address of the primary.
    Primary(NamedPrimary),
    /// The Sentinel reported an invalid address for the primary. Contains the address as text.
    NoAddress(String),
    /// The Sentinel does not monitor a primary with the name in the URL. Contains the names of the primaries
    /// that it monitors.
    UnknownName(Vec<String>),
    /// A response to the request for the primary that no other variant describes.
    Other(Response),
    /// The Sentinel could not be asked, for a reason that the observations of the connection show.
    None,
}

/// A primary as a Sentinel reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPrimary {
    /// The name of the primary in the Sentinels' configuration.
    pub name: String,
    /// The host name or IP address of the primary, which has been validated. An IPv6 address has no brackets.
    pub host: String,
    pub port: u16,
}

impl NamedPrimary {
    /// Returns `None` if the host or port is invalid. Validation is needed because both come from the
    /// network, and become part of commands that users paste.
    pub(in crate::ping) fn new(name: &str, host: &str, port: &str) -> Option<Self> {
        let port = port.parse().ok().filter(|port| *port > 0)?;
        is_host(host).then(|| Self {
            name: name.to_owned(),
            host: host.to_owned(),
            port,
        })
    }
}

impl std::fmt::Display for NamedPrimary {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&host_and_port(&self.host, self.port))
    }
}

impl Observations {
    /// Whether a ClientHello got a TLS reply on a second connection. This is tested only if the URL does not
    /// require TLS.
    pub(in crate::ping) fn shows_tls(&self) -> bool {
        matches!(&self.experiments.other_protocol, Some(Experiment::ClientHello { result, .. }) if result.is_tls())
    }

    /// Whether the TLS handshake succeeded on the first connection.
    pub(in crate::ping) fn is_tls_established(&self) -> bool {
        let tls = self.tls.handshake.as_ref();
        tls.is_some_and(|tls| tls.result == TlsResult::Established)
    }

    /// Returns the listening socket that accepted the connection, if the socket is known and on this host.
    pub(in crate::ping) fn listener_of_the_connection(&self) -> Option<&LocalListener> {
        let to = self.tcp.connected_address()?.ip();
        let mut listeners = self.this_host.listeners.iter().flatten();
        listeners.find(|listener| listener.covers(to))
    }

    /// Whether this host itself sent this ICMP error.
    pub(in crate::ping) fn is_from_this_host(&self, icmp: Icmp) -> bool {
        icmp.from
            .is_some_and(|from| from.is_loopback() || Some(from) == self.this_host.source)
    }

    /// Whether the target is this host, and the loopback interface is down.
    pub fn is_loopback_down(&self) -> bool {
        self.this_host.nearness == Nearness::Loopback && self.this_host.is_loopback_down
    }

    /// Returns the kind of the address, if it belongs to several hosts.
    pub fn shared_address(&self) -> Option<&'static str> {
        let address = self.tcp.dials.first()?.to.ip()?.ip();
        self.this_host.shared_address(address)
    }

    /// Returns the route to the address, if no host at the other end of the route answers ARP or NDP.
    pub fn unanswered_route(&self) -> Option<&Route> {
        let is_unanswered = |dial: &Dial| match &dial.result {
            DialResult::Timeout { .. } => dial.never_left() && self.interface_without_carrier().is_none(),
            DialResult::NoNeighbour | DialResult::Unreachable(ErrorSource::ThisHost(_)) => true,
            DialResult::Unreachable(ErrorSource::Icmp(icmp)) => self.is_from_this_host(*icmp),
            _ => false,
        };
        let is_first = self.tcp.dials.first().is_some_and(is_unanswered);
        self.this_host.route.as_ref().filter(|_| is_first)
    }

    /// Returns the interface that leads to the address, if connections got no reply and the interface has no
    /// carrier.
    pub fn interface_without_carrier(&self) -> Option<&str> {
        let is_timeout = |dial: &Dial| matches!(dial.result, DialResult::Timeout { .. });
        let route = self.this_host.route.as_ref()?;
        (route.has_no_carrier && self.tcp.dials.iter().any(is_timeout)).then_some(route.interface.as_str())
    }

    /// Returns the TLS alert that ended the handshake or, with TLS 1.3, the session after it.
    pub fn client_alert(&self) -> Option<AlertDescription> {
        if let Some(TlsResult::Alert(alert)) = self.tls.handshake.as_ref().map(|tls| &tls.result) {
            return Some(*alert);
        }
        let mut later = self.auth.response.iter().chain(&self.ping.response);
        later.find_map(|response| match response {
            Response::Alert(alert) => Some(*alert),
            _ => None,
        })
    }

    /// Returns the primary, if a Sentinel in the URL has reported it.
    pub fn primary(&self) -> Option<&NamedPrimary> {
        match &self.followed.as_ref()?.answer {
            SentinelAnswer::Primary(primary) => Some(primary),
            _ => None,
        }
    }

    /// Whether these are observations of a Sentinel, because no Sentinel in the URL has reported the primary.
    pub fn is_at_sentinel(&self) -> bool {
        self.followed.is_some() && self.primary().is_none()
    }

    /// Whether a Sentinel on another host has reported a loopback address, which leads to this host instead of
    /// the primary.
    pub fn has_misleading_primary(&self) -> bool {
        let is_loopback = |host: &str| {
            let host = host.trim_matches(['[', ']']);
            host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        };
        let sentinel = self.followed.as_ref().map(|followed| followed.sentinel.as_str());
        let sentinel = sentinel.and_then(|sentinel| sentinel.rsplit_once(':'));
        self.primary().is_some_and(|primary| is_loopback(&primary.host))
            && sentinel.is_some_and(|(host, _)| !is_loopback(host))
    }

    /// Returns the target of the observations. If `given` contains Sentinels, this is the primary, or the
    /// Sentinel that was asked if no primary was reported. Otherwise, this is `given`.
    pub fn target<'a>(&'a self, given: &'a Target) -> &'a Target {
        self.followed.as_ref().map_or(given, |followed| &followed.target)
    }

    /// Whether the reply to AUTH was `OK`.
    pub fn is_logged_in(&self) -> bool {
        self.auth.response.as_ref().is_some_and(Response::is_ok)
    }

    /// Whether the server replied to AUTH or PING in Redis's protocol.
    pub fn has_reply(&self) -> bool {
        let first = [&self.auth.response, &self.ping.response];
        first
            .into_iter()
            .flatten()
            .any(|response| matches!(response, Response::Reply(_)))
    }

    /// Whether the reply to PING was `PONG`.
    pub fn has_pong(&self) -> bool {
        self.ping.response.as_ref().is_some_and(Response::is_pong)
    }

    /// Whether an ACL forbids a command that `ping` needs.
    pub fn is_refused_by_acl(&self) -> bool {
        let is_pinged = self.has_pong() || self.serves_without_ping();
        let queued = self.write_test.iter().flat_map(|test| &test.queued);
        let executed = self.write_test.iter().map(|test| &test.executed);
        let unserved = self.ping.response.iter().chain(&self.requests.read);
        queued
            .map(|(_, response)| response)
            .chain(executed)
            .chain(&self.requests.select)
            .chain(unserved.filter(|_| !is_pinged))
            .any(Response::is_forbidden)
    }

    /// Whether PING got an error reply that explains why Redis cannot serve requests now. In these states,
    /// Redis still replies to INFO.
    pub fn reports_its_state(&self) -> bool {
        let code = self.ping.response.as_ref().and_then(Response::error_code);
        matches!(code.as_deref(), Some("LOADING" | "MASTERDOWN" | "MISCONF"))
    }

    /// Whether the server rejects PING because it requires a login.
    pub fn requires_login(&self) -> bool {
        let code = self.ping.response.as_ref().and_then(Response::error_code);
        code.as_deref() == Some("NOAUTH")
    }

    /// Returns the error reply to the read request, if the server cannot read data. Returns `None` for a
    /// Sentinel, which stores no data.
    pub fn refused_read(&self) -> Option<String> {
        let refusal = self.requests.read.as_ref().and_then(Response::refusal);
        refusal.filter(|_| !self.server.is_sentinel())
    }

    /// Whether the server rejects PING, but can read data. If the user has no permission for the key in the
    /// read request, a reply to ECHO is enough.
    pub fn serves_without_ping(&self) -> bool {
        if self.ping.response.as_ref().and_then(Response::error).is_none() {
            return false;
        }
        let read = self.requests.read.as_ref();
        let code = read.and_then(Response::error_code);
        read.is_some_and(Response::is_granted)
            // The key has another type, or it belongs to another cluster node.
            || matches!(code.as_deref(), Some("WRONGTYPE" | "MOVED" | "ASK" | "TRYAGAIN"))
            || code.as_deref() == Some("NOPERM") && self.requests.echo == Some(Echo::Same)
    }

    /// Returns the packet counts of a connection on which a reply or the TLS handshake timed out, if there
    /// was one.
    pub fn packets_after_timeout(&self) -> Option<PacketCounts> {
        self.packets
            .or(self.tls.handshake.as_ref().and_then(|tls| tls.packets))
    }

    /// Returns the first command after PING that got no reply. Prefers the result on the second connection,
    /// where commands are sent one at a time.
    pub fn unanswered(&self) -> Option<&'static str> {
        let first = self.requests.stopped_at.as_ref()?;
        let second = self.experiments.stopped_again_at();
        let last = second.filter(|exchange| exchange.command != "PING");
        Some(last.unwrap_or(first).command)
    }

    /// Whether all requests got replies on a second connection.
    pub fn second_connection_works(&self) -> bool {
        let repeat = self.experiments.repeat.as_ref();
        repeat.is_some_and(|repeat| repeat.has_answered("PING") && repeat.stopped_at().is_none())
    }

    /// Whether the write test got no reply, although all requests got replies on a second connection.
    pub fn holds_back_writes(&self) -> bool {
        let is_silent = |test: &WriteTest| matches!(test.executed, Response::Timeout(_));
        self.write_test.as_ref().is_some_and(is_silent) && self.second_connection_works()
    }

    /// Whether only the first connection failed.
    pub fn fails_only_on_first_connection(&self) -> bool {
        let second_handshake = self.tls.second_handshake.as_ref();
        second_handshake.is_some_and(TlsResult::is_tls)
            || self.second_connection_works() && self.write_test.is_none()
    }

    /// Whether all connection attempts to announced cluster nodes failed. False if there was no attempt.
    pub fn reaches_no_announced_node(&self) -> bool {
        let announced = &self.server.announced;
        !announced.is_empty() && !announced.iter().any(Dial::is_connected)
    }
}

#[cfg(test)]
impl Observations {
    /// Returns the observations after `change` is applied to them.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

//! The facts that each rung observed, without interpretation.

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

use super::response::Response;
use super::this_host::ThisHost;
use crate::aws::AwsAnswer;
use crate::os::PacketCounts;
use crate::redis_url::{Target, host_and_port};

/// The observations of one run of the checks (a climb). The observations of checks that were not reached are empty.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// What a Sentinel replied, if the URL names Sentinels.
    pub followed: Option<Followed>,
    /// The lookup of the host name; `None` for an IP address or a unix socket.
    pub dns: Option<Lookup>,
    /// The connection attempts.
    pub tcp: Connecting,
    /// The TLS handshakes, if the URL asks for TLS.
    pub tls: Handshakes,
    /// The login, if the URL has a password.
    pub auth: Login,
    /// The response to PING, and round trip times.
    pub ping: Pings,
    /// The requests after PING that a working connection must answer.
    pub requests: Requests,
    /// What other connections show about a request that got no reply.
    pub experiments: Experiments,
    /// What the server reports about itself.
    pub server: ServerInfo,
    /// The result of `--write-check`.
    pub write_test: Option<WriteTest>,
    /// Whether `--write-check` was given, but the connection ended before the test.
    pub is_write_untested: bool,
    /// The responses to each of the tutorial's commands, with arguments that change nothing, if the user may not run one.
    pub permissions: Vec<(&'static str, Response)>,
    /// The trials of `--idle` and `--hold`. The other observations are then those of a new connection.
    pub idle: Option<IdleTest>,
    /// The packet counts of a connection on which a reply timed out.
    pub packets: Option<PacketCounts>,
    /// How many packets of the connection had to be sent again, SYNs included.
    pub retransmissions: u32,
    /// This host's networks, if the connection failed.
    pub this_host: Option<ThisHost>,
    /// The limit of open files, if it was too low for this program to run the checks.
    pub open_file_limit: Option<u64>,
    /// What AWS's own documents show about the connection, with `--aws` or `--aws-documents`.
    pub(crate) aws: Option<Box<AwsAnswer>>,
}

/// What a Sentinel replied to the question for the primary.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The Sentinel that was asked: `HOST:PORT`.
    pub sentinel: String,
    /// The name of the primary in the URL.
    pub name: String,
    /// What the other observations are about: the primary or, if the Sentinel did not name one, the Sentinel.
    pub target: Target,
    /// The reply.
    pub answer: SentinelAnswer,
}

/// The reply of a Sentinel to the question for the primary.
#[derive(Clone, Debug)]
pub enum SentinelAnswer {
    /// The primary.
    Primary(NamedPrimary),
    /// An address that cannot be used.
    NoAddress(String),
    /// The Sentinel does not watch a primary with this name; the names of those that it watches.
    UnknownName(Vec<String>),
    /// Another response.
    Other(Response),
    /// The Sentinel could not be asked. The other observations show why.
    None,
}

/// A primary as a Sentinel names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPrimary {
    /// The name by which Sentinels know it.
    pub name: String,
    /// A host name or an address (IPv6 without brackets); checked.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for NamedPrimary {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&host_and_port(&self.host, self.port))
    }
}

impl Observations {
    /// The primary that a Sentinel of the URL named.
    pub fn primary(&self) -> Option<&NamedPrimary> {
        match &self.followed.as_ref()?.answer {
            SentinelAnswer::Primary(primary) => Some(primary),
            _ => None,
        }
    }

    /// The target that the observations are about: the primary that Sentinels named, or else the one that was given.
    pub fn target<'a>(&'a self, given: &'a Target) -> &'a Target {
        self.followed.as_ref().map_or(given, |followed| &followed.target)
    }

    /// Whether AUTH got OK.
    pub fn is_logged_in(&self) -> bool {
        self.auth.response.as_ref().is_some_and(Response::is_ok)
    }

    /// Whether PING got PONG.
    pub fn has_pong(&self) -> bool {
        self.ping.response.as_ref().is_some_and(Response::is_pong)
    }

    /// Whether an ACL forbids a command that is needed here.
    pub fn is_refused_by_acl(&self) -> bool {
        let is_pinged = self.has_pong() || self.serves_without_ping();
        let write_test = self.write_test.iter().flat_map(|test| &test.queued);
        let executed = self.write_test.iter().map(|test| &test.executed);
        let needed = write_test
            .map(|(_, response)| response)
            .chain(executed)
            .chain(&self.requests.select);
        let unserved = self.ping.response.iter().chain(&self.requests.read);
        needed
            .chain(unserved.filter(|_| !is_pinged))
            .any(Response::is_forbidden)
    }

    /// Whether the reply to PING is an error that says why Redis cannot serve now. Redis still answers INFO then.
    pub fn reports_its_state(&self) -> bool {
        let code = self.ping.response.as_ref().and_then(Response::error_code);
        matches!(code.as_deref(), Some("LOADING" | "MASTERDOWN" | "MISCONF"))
    }

    /// Whether the server refuses PING because it requires a login.
    pub fn requires_login(&self) -> bool {
        let code = self.ping.response.as_ref().and_then(Response::error_code);
        code.as_deref() == Some("NOAUTH")
    }

    /// The error reply to the read, if it shows that the server cannot run reads. A Sentinel has no data to read.
    pub fn refused_read(&self) -> Option<String> {
        let refusal = self.requests.read.as_ref().and_then(Response::refusal);
        refusal.filter(|_| !self.server.is_sentinel())
    }

    /// Whether the server refuses PING but runs the read or, for a user who may not read that key, the ECHO.
    pub fn serves_without_ping(&self) -> bool {
        if self.ping.response.as_ref().and_then(Response::error).is_none() {
            return false;
        }
        let read = self.requests.read.as_ref();
        let code = read.and_then(Response::error_code);
        read.is_some_and(Response::is_granted)
            // A key of another type, and a key of another cluster node.
            || matches!(code.as_deref(), Some("WRONGTYPE" | "MOVED" | "ASK" | "TRYAGAIN"))
            || code.as_deref() == Some("NOPERM") && self.requests.echo == Some(Echo::Same)
    }

    /// The packet counts of a connection on which a reply or the TLS handshake timed out.
    pub fn packets_after_timeout(&self) -> Option<PacketCounts> {
        self.packets
            .or(self.tls.handshake.as_ref().and_then(|tls| tls.packets))
    }

    /// The command after PONG that got no reply. A proxy may discard the replies to those before it, if they are sent
    /// together, so the second connection decides.
    pub fn unanswered(&self) -> Option<&'static str> {
        let second = self.experiments.stopped_again_at();
        let last = second.filter(|exchange| exchange.command != "PING");
        self.requests
            .stopped_at
            .as_ref()
            .map(|first| last.map_or(first.command, |last| last.command))
    }

    /// Whether a second connection got every reply, although the first one did not.
    pub fn second_connection_works(&self) -> bool {
        let repeat = self.experiments.repeat.as_ref();
        repeat.is_some_and(|repeat| repeat.has_answered("PING") && repeat.stopped_at().is_none())
    }

    /// Whether a second connection gets the replies that the first one did not get.
    pub fn fails_only_on_first_connection(&self) -> bool {
        let second_handshake = self.tls.second_handshake.as_ref();
        second_handshake.is_some_and(TlsResult::is_tls)
            || self.second_connection_works() && self.write_test.is_none()
    }

    /// Whether all nodes that the cluster announces are unreachable.
    pub fn reaches_no_announced_node(&self) -> bool {
        let announced = &self.server.announced;
        !announced.is_empty() && !announced.iter().any(Dial::is_connected)
    }
}

#[cfg(test)]
impl Observations {
    /// Returns these observations with a change.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

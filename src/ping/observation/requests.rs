//! Defines the observations about requests on the connection, and about experiments that explain their
//! failures.

use std::net::SocketAddr;
use std::time::Duration;

use redis::Value;

use super::{DialResult, TlsResult};
use crate::ping::causes::{Cause, ErrorReply};
use crate::ping::response::Response;

/// The login, if the URL contains a password.
#[derive(Clone, Debug, Default)]
pub struct Login {
    pub response: Option<Response>,
    /// The time until the response to AUTH.
    pub took: Duration,
    /// The response to a read request after a reply to AUTH which means that no login is needed or possible.
    pub read_without_login: Option<Response>,
    /// Whether the password was not sent, because the certificate was accepted only through `--insecure`.
    pub is_password_withheld: bool,
}

impl Login {
    /// Whether the server replied to AUTH that it has no password, or that it does not know this command.
    pub(in crate::ping) fn needs_no_login(&self) -> bool {
        let error = self.response.as_ref().and_then(Response::error);
        error.is_some_and(|error| match ErrorReply::of(&error) {
            Some(reply) => reply.cause == Cause::AuthNotConfigured,
            None => error.to_lowercase().contains("unknown command"),
        })
    }

    /// Returns the error reply to the read request, if it means that a login is needed after all.
    pub(in crate::ping) fn required_after_all(&self) -> Option<String> {
        let error = self.read_without_login.as_ref()?.error()?;
        let reply = ErrorReply::of(&error)?;
        (reply.cause == Cause::AuthRequired).then_some(error)
    }
}

/// The first PING, and the PINGs that measure round trips.
#[derive(Clone, Debug, Default)]
pub struct Pings {
    /// The response to the first PING.
    pub response: Option<Response>,
    /// The time until the response to the first PING.
    pub took: Duration,
    /// A reply that belongs to no request. It is read only after an unexpected reply to AUTH or PING.
    pub surplus_reply: Option<Response>,
    /// The round trip times, in the order of measurement.
    pub round_trips: Vec<Duration>,
}

/// The requests after PING to which a working connection must reply.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    /// The response to SELECT, if the URL contains a database number other than 0.
    pub select: Option<Response>,
    /// The response to HGETALL of a key that only `ping` uses.
    pub read: Option<Response>,
    /// The response to an ECHO of 4 kB.
    pub echo: Option<Echo>,
    /// The request that got no reply, or at which the connection ended.
    pub stopped_at: Option<Exchange>,
    /// The time until the last response.
    pub took: Duration,
}

/// The results of experiments on additional connections.
#[derive(Clone, Debug, Default)]
pub struct Experiments {
    /// The result of an experiment with the other protocol: with TLS if the URL does not require TLS, or else
    /// with plain text.
    pub other_protocol: Option<Experiment>,
    /// The requests of the first connection, repeated on a second connection.
    pub repeat: Option<Repeat>,
    /// Whether the server replies only after a PROXY protocol header.
    pub expects_proxy_header: bool,
    /// The result of a repetition on a second connection, after an error reply or a rejected certificate.
    pub second_look: Option<SecondLook>,
    /// The packet size limit, if large packets are lost.
    pub packet_sizes: Option<PacketSizes>,
    /// Whether a short ECHO got a reply, although two connections ended at the large ECHO.
    pub is_only_short_echo_answered: bool,
}

/// The result of a repetition on a second connection, after the server replied with an error or this host
/// rejected the certificate.
#[derive(Clone, Debug)]
pub struct SecondLook {
    /// The address of the second connection. If the host name has several addresses, it may differ from the
    /// address of the first connection.
    pub address: SocketAddr,
    pub result: SecondResult,
}

/// The part of the run that was repeated, with the result.
#[derive(Clone, Debug)]
pub enum SecondResult {
    /// The result of the TLS handshake, or `None` if the connection could not be opened.
    Handshake(Option<TlsResult>),
    /// The results of the requests. If `needs_primary` is true, the server counts as working only if it is a
    /// primary.
    Requests { repeat: Repeat, needs_primary: bool },
}

impl SecondLook {
    pub fn works(&self) -> bool {
        match &self.result {
            SecondResult::Handshake(result) => *result == Some(TlsResult::Established),
            SecondResult::Requests {
                repeat,
                needs_primary,
            } => {
                let is_fine = |command| repeat.response(command).is_none_or(Response::is_granted);
                let is_pong = repeat.response("PING").is_some_and(Response::is_pong);
                let is_read = repeat.has_answered("HGETALL")
                    && repeat.response("HGETALL").and_then(Response::refusal).is_none();
                let is_primary = || {
                    let role = repeat.response("ROLE");
                    matches!(role, Some(Response::Reply(Value::Array(items)))
                        if matches!(items.first(), Some(Value::BulkString(name)) if name == b"master"))
                };
                is_pong && is_read && is_fine("SELECT") && (!needs_primary || is_primary())
            }
        }
    }
}

/// The response to an ECHO of a large, unique value.
#[derive(Clone, Debug, PartialEq)]
pub enum Echo {
    /// The reply contains the same value, so 4 kB get through in both directions.
    Same,
    /// An error reply, which does not show whether large packets get through.
    Refused(String),
    /// The same value arrived, but in reply to the command that this variant contains.
    InReplyTo(&'static str),
    Other(Response),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    pub command: &'static str,
    pub response: Response,
}

impl Exchange {
    /// Whether the response is a complete reply, possibly an error reply.
    pub fn is_answered(&self) -> bool {
        matches!(self.response, Response::Reply(_))
    }
}

impl Exchange {
    /// Whether the connection ended in the middle of the reply.
    pub fn is_cut_off(&self) -> bool {
        matches!(&self.response, Response::Closed(received) | Response::Reset(received) if !received.is_empty())
    }
}

/// The requests of a run, repeated one at a time on a second connection. The repetition stops at the first
/// request without a reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repeat {
    /// The repeated requests. Empty if the second connection could not be opened.
    pub exchanges: Vec<Exchange>,
}

impl Experiments {
    /// Returns the result on the second connection, if that connection works.
    pub fn other_server(&self) -> Option<&SecondLook> {
        self.second_look.as_ref().filter(|look| look.works())
    }

    /// Returns the last request on the second connection, if there is one.
    pub fn last_repeated(&self) -> Option<&Exchange> {
        self.repeat.as_ref()?.exchanges.last()
    }

    /// Returns the request that got no reply on the second connection, if there is one.
    pub fn stopped_again_at(&self) -> Option<&Exchange> {
        self.repeat.as_ref()?.stopped_at()
    }
}

impl Repeat {
    /// Returns the response to a command on the second connection, if the command was sent.
    pub fn response(&self, command: &str) -> Option<&Response> {
        let exchange = self.exchanges.iter().find(|exchange| exchange.command == command);
        exchange.map(|exchange| &exchange.response)
    }

    /// Returns the repeated request that got no reply, if there is one.
    pub fn stopped_at(&self) -> Option<&Exchange> {
        self.exchanges.last().filter(|exchange| !exchange.is_answered())
    }

    /// Whether this command got a reply on the second connection.
    pub fn has_answered(&self, command: &str) -> bool {
        matches!(self.response(command), Some(Response::Reply(_)))
    }
}

/// The limit for the size of IP packets, in bytes: between a size that got through and a size that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketSizes {
    /// The largest size that got through.
    pub passed: u16,
    /// The smallest size that was lost.
    pub lost: u16,
}

/// The result of an experiment on a second connection.
#[derive(Clone, Debug)]
pub enum Experiment {
    /// The response to an unencrypted PING, if the URL requires TLS.
    PlainPing(Response),
    /// A TLS handshake, if the URL does not require TLS.
    ClientHello {
        /// The result of the handshake. Any certificate is accepted.
        result: TlsResult,
        /// The response to PING over TLS, if the handshake succeeded.
        inside: Option<Response>,
    },
    /// The reason why the second connection could not be opened.
    NotConnected(DialResult),
}

/// The responses to the tutorial's commands in a MULTI transaction.
#[derive(Clone, Debug)]
pub struct WriteTest {
    /// Each command with its response, which is normally `QUEUED`.
    pub queued: Vec<(&'static str, Response)>,
    pub executed: Response,
}

impl WriteTest {
    /// Returns the command at which the connection was closed or reset, if that happened.
    pub fn closed_at(&self) -> Option<Exchange> {
        let is_closed = |response: &Response| matches!(response, Response::Closed(_) | Response::Reset(_));
        let responses = self.queued.iter().map(|(name, response)| (*name, response));
        let (command, response) = responses
            .chain([("EXEC", &self.executed)])
            .find(|(_, response)| is_closed(response))?;
        Some(Exchange {
            command,
            response: response.clone(),
        })
    }

    /// Whether all commands were executed.
    pub fn has_passed(&self) -> bool {
        let is_error = |reply: &Value| matches!(reply, Value::ServerError(_));
        self.queued.iter().all(|(_, response)| response.error().is_none())
            && matches!(&self.executed, Response::Reply(Value::Array(replies)) if !replies.iter().any(is_error))
    }
}

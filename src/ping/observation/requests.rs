//! Observations of the requests on the connection, and of the experiments that explain why they fail.

use std::net::SocketAddr;
use std::time::Duration;

use redis::Value;

use super::{DialResult, TlsResult};
use crate::ping::response::Response;

/// The login, if the URL contains a password.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// The response to AUTH.
    pub response: Option<Response>,
    /// The time until the response to AUTH.
    pub took: Duration,
    /// Whether the password was not sent, because the certificate was accepted only through `--insecure`.
    pub is_password_withheld: bool,
}

/// The first PING, and the PINGs that measure the round trips.
#[derive(Clone, Debug, Default)]
pub struct Pings {
    /// The response to the first PING.
    pub response: Option<Response>,
    /// The time until this response.
    pub took: Duration,
    /// A reply that arrived without a request, after an unexpected reply to AUTH or PING.
    pub surplus_reply: Option<Response>,
    /// The round trip times, in the order in which they were measured.
    pub round_trips: Vec<Duration>,
}

/// The requests after PING to which a working connection must reply.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    /// The response to SELECT, if the URL contains a database number other than 0.
    pub select: Option<Response>,
    /// The response to a harmless read request: HGETALL of a key that `ping` reserves for itself.
    pub read: Option<Response>,
    /// The response to an ECHO of 4 kB.
    pub echo: Option<Echo>,
    /// The request that got no reply, because the connection ended or for an unknown reason.
    pub stopped_at: Option<Exchange>,
    /// The time until the last response.
    pub took: Duration,
}

/// What other connections show about a request that got no reply.
#[derive(Clone, Debug, Default)]
pub struct Experiments {
    /// Whether the server speaks the other protocol: TLS instead of plain text, or plain text instead of TLS.
    pub other_protocol: Option<Experiment>,
    /// The results of the same requests on a second connection.
    pub repeat: Option<Repeat>,
    /// Whether the server replies if a PROXY protocol header is sent first.
    pub expects_proxy_header: bool,
    /// What another connection shows about an error reply or a rejected certificate.
    pub second_look: Option<SecondLook>,
    /// Which packet sizes get through, if large packets are lost.
    pub packet_sizes: Option<PacketSizes>,
}

/// What another connection showed after the server had replied with an error, or after this host had rejected
/// its certificate.
#[derive(Clone, Debug)]
pub struct SecondLook {
    /// The address of this connection. It may be another address of the name.
    pub address: SocketAddr,
    pub result: SecondResult,
}

/// The part of the run that was repeated on the other connection, with the result.
#[derive(Clone, Debug)]
pub enum SecondResult {
    /// The TLS handshake. `None` if no connection could be made.
    Handshake(Option<TlsResult>),
    /// The requests. After a failed write test, the connection works only if the server is a primary.
    Requests { repeat: Repeat, needs_primary: bool },
}

impl SecondLook {
    /// Whether the other connection works.
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
    /// The same value, which shows that 4 kB get through in both directions.
    Same,
    /// An error reply. It does not show whether large packets get through.
    Refused(String),
    /// The same value, but as the reply to this other command.
    InReplyTo(&'static str),
    /// Any other reply.
    Other(Response),
}

/// A request and its response.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    pub command: &'static str,
    pub response: Response,
}

impl Exchange {
    /// Whether the response is a complete reply, which may be an error reply.
    pub fn is_answered(&self) -> bool {
        matches!(self.response, Response::Reply(_))
    }
}

/// The requests of a run, repeated on a second connection one at a time, until one gets no reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repeat {
    /// The repeated requests. Empty if the second connection could not be opened.
    pub exchanges: Vec<Exchange>,
}

impl Experiments {
    /// Returns the second look if its connection works, although the first connection did not.
    pub fn other_server(&self) -> Option<&SecondLook> {
        self.second_look.as_ref().filter(|look| look.works())
    }

    /// Returns the last request on the second connection, if the connection could be opened.
    pub fn last_repeated(&self) -> Option<&Exchange> {
        self.repeat.as_ref()?.exchanges.last()
    }

    /// Returns the request that got no reply on the second connection.
    pub fn stopped_again_at(&self) -> Option<&Exchange> {
        self.repeat.as_ref()?.stopped_at()
    }
}

impl Repeat {
    /// Returns the response to a command, if the second connection got that far.
    pub fn response(&self, command: &str) -> Option<&Response> {
        let exchange = self.exchanges.iter().find(|exchange| exchange.command == command);
        exchange.map(|exchange| &exchange.response)
    }

    /// Returns the request that got no reply on the second connection.
    pub fn stopped_at(&self) -> Option<&Exchange> {
        self.exchanges.last().filter(|exchange| !exchange.is_answered())
    }

    /// Whether the second connection worked up to this command, and the command got a reply on it.
    pub fn has_answered(&self, command: &str) -> bool {
        matches!(self.response(command), Some(Response::Reply(_)))
    }
}

/// The limit between the sizes of IP packets that get through and those that do not, in bytes.
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
    /// The response to an unencrypted PING, which is sent if the URL requires TLS.
    PlainPing(Response),
    /// A TLS handshake, which is tried if the URL does not require TLS.
    ClientHello {
        /// The result of the handshake, in which any certificate is accepted.
        result: TlsResult,
        /// The response to a PING inside TLS.
        inside: Option<Response>,
    },
    /// The second connection could not be opened, for this reason.
    NotConnected(DialResult),
}

/// The responses to the tutorial's commands in a MULTI transaction.
#[derive(Clone, Debug)]
pub struct WriteTest {
    /// Each command with its response, which is normally QUEUED.
    pub queued: Vec<(&'static str, Response)>,
    /// The response to EXEC.
    pub executed: Response,
}

impl WriteTest {
    /// Returns the command at which the connection was closed or reset.
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

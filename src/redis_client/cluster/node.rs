//! Defines the address of a cluster node, and connects to nodes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, RedisError, RedisResult, cmd};

use crate::deadline::Deadline;
use crate::ping::observation::DialResult;
use crate::ping::rungs::{dns, tcp, tls};
use crate::redis_client::probe::{ProbeConnection, ReadError, auth_command};
use crate::redis_client::stream::Stream;
use crate::redis_url::{Target, Trust, host_and_port};

/// Time limit for connecting to a cluster node, and for reading the slot map.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_millis(1900);

/// The host and port of a cluster node.
pub(super) type Node = Arc<(String, u16)>;

/// Opens a connection to a cluster node or server. Logs in and selects the database as `target` requires.
pub(crate) async fn open_stream(target: &Target, trust: &Trust, node: &(String, u16)) -> RedisResult<Stream> {
    let deadline = Deadline::after(CONNECT_WITHIN);
    let (host, port) = (&node.0, node.1);
    let addresses = dns::addresses(host, port, deadline).await;
    let (connected, dials) = tcp::observe(&addresses, deadline).await;
    let Some((mut stream, _)) = connected else {
        let kind = match dials.first().map(|dial| &dial.result) {
            Some(DialResult::Refused) => io::ErrorKind::ConnectionRefused,
            Some(DialResult::Timeout { .. }) => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::HostUnreachable,
        };
        return Err(io::Error::new(kind, format!("cannot connect to the node {}", name(node))).into());
    };
    if target.tls
        && let Stream::Tcp(plain) = stream
    {
        let (encrypted, handshake) = tls::observe(plain, host, trust, deadline).await;
        stream = encrypted
            .filter(|_| handshake.certificate_problem.is_none())
            .ok_or_else(|| failed("the TLS handshake with a node failed"))?;
    }
    let mut commands = Vec::new();
    if let Some(password) = &target.password {
        commands.push(auth_command(target.user.as_deref(), password));
    }
    if target.db > 0 {
        commands.push(cmd("SELECT").arg(target.db).clone());
    }
    let mut connection = ProbeConnection::new(stream);
    let replies = connection.ask(&commands, deadline).await;
    for reply in replies.map_err(|error| unread(error, node))? {
        reply.extract_error()?;
    }
    Ok(connection.into_stream())
}

pub(super) fn name(node: &(String, u16)) -> String {
    host_and_port(&node.0, node.1)
}

pub(super) fn timed_out(node: &(String, u16)) -> RedisError {
    let text = format!("no reply from the node {}", name(node));
    io::Error::new(io::ErrorKind::TimedOut, text).into()
}

fn unread(error: ReadError, node: &(String, u16)) -> RedisError {
    match error {
        ReadError::TimedOut => timed_out(node),
        ReadError::Malformed(_) => (ErrorKind::Parse, "a node does not speak the Redis protocol").into(),
        ReadError::Closed => io::Error::from(io::ErrorKind::UnexpectedEof).into(),
        ReadError::Io(error) => error.into(),
    }
}

pub(super) fn failed(text: &'static str) -> RedisError {
    (ErrorKind::Client, text).into()
}

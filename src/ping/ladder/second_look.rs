//! Repeats a failed request or handshake on a second connection, after an error reply, unexpected data or a
//! rejected certificate. The result shows whether all servers behind the host name have the fault.

use std::ops::BitOr as _;
use std::time::Duration;

use super::Ladder;
use crate::ping::causes::Cause;
use crate::ping::experiments::{Banner, Reconnect};
use crate::ping::observation::{Dial, Handshake, Observations, SecondLook, SecondResult, TlsResult};
use crate::ping::response::Response;
use crate::ping::rungs::ping::Requests;
use crate::ping::rungs::tcp::SegmentSize;

/// The time limit for the second connection. It is short, because the report waits for the result.
const LONGEST: Duration = Duration::from_secs(1);

/// The part of the run that is repeated on a second connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeated {
    Handshake,
    Requests,
    /// The requests, after a failed write test on a replica. Their replies show whether a different server is
    /// a primary.
    Role,
}

impl Ladder<'_> {
    /// Repeats the failed handshake or the failed requests on a second connection. If the host name has
    /// several addresses, uses a different address.
    pub(super) async fn look_again(&mut self, cause: Cause) {
        let (Some(first), Some(repeated)) = (self.connected_to, repeated(cause, &self.seen)) else {
            return;
        };
        if self.is_for_sentinel || self.allows_one_command() {
            return;
        }
        let connected = self.seen.tcp.dials.iter().filter(|dial| Dial::is_connected(dial));
        let mut others = connected.filter_map(|dial| dial.to.ip());
        let address = others.find(|address| *address != first).unwrap_or(first);
        let reconnect = Reconnect {
            address: Some(address),
            ..self.reconnect()
        };
        let until = self.before_the_deadline().within(LONGEST);
        let result = if repeated == Repeated::Handshake {
            SecondResult::Handshake(reconnect.handshake(SegmentSize::Default, until).await)
        } else {
            let requests = Requests::of(self.target);
            SecondResult::Requests {
                repeat: reconnect.repeat(Some(&requests), Banner::Skip, until).await,
                needs_primary: repeated == Repeated::Role,
            }
        };
        self.seen.experiments.second_look = Some(SecondLook { address, result });
    }
}

/// Returns what to repeat on a second connection. Returns `None` if a repetition would be useless or harmful.
fn repeated(cause: Cause, seen: &Observations) -> Option<Repeated> {
    let is_rejected = |tls: &Handshake| tls.result == TlsResult::CertificateRejected;
    if seen.tls.handshake.as_ref().is_some_and(is_rejected) {
        return Some(Repeated::Handshake);
    }
    let is_reply = |response: &Response| matches!(response, Response::Reply(_) | Response::NotResp(_));
    let is_error = |response: &Response| is_reply(response) && !response.is_granted();
    let requests = [&seen.auth.response, &seen.ping.response, &seen.requests.select];
    // An error about this key only, such as MOVED, does not explain a failure.
    let is_refused_read = seen
        .requests
        .read
        .as_ref()
        .is_some_and(|read| read.refusal().is_some());
    match cause {
        // After several failed logins, a server or its directory may lock the user out. Replies that arrive
        // out of step have another explanation, and a Sentinel is not one of several servers.
        Cause::AuthFailed | Cause::ProtoUnexpected | Cause::ProxyHeader | Cause::RoleSentinel => None,
        Cause::RoleReplica => Some(Repeated::Role),
        // The requests succeeded before the write test, so they do not explain its failure.
        _ if seen.write_test.is_some() => None,
        _ if seen.experiments.repeat.is_some() || seen.requests.stopped_at.is_some() => None,
        _ => requests
            .into_iter()
            .flatten()
            .any(is_error)
            .bitor(is_refused_read)
            .then_some(Repeated::Requests),
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    #[test]
    fn only_a_read_that_was_refused_is_repeated() {
        let repeated_after = |text: &str| {
            let read: Value = redis::parse_redis_value(text.as_bytes()).unwrap();
            let seen = Observations::default().with(|seen| {
                seen.ping.response = Some(Response::Reply(Value::SimpleString("PONG".into())));
                seen.requests.read = Some(Response::Reply(read));
            });
            repeated(Cause::ClusterDown, &seen)
        };
        assert_eq!(
            repeated_after("-CLUSTERDOWN The cluster is down\r\n"),
            Some(Repeated::Requests)
        );
        // The state of the cluster is the reason, and a second connection does not show it.
        assert_eq!(repeated_after("-MOVED 9189 10.0.3.18:6379\r\n"), None);
    }
}

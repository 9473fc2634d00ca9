//! Determines the verdict on a connection that ends, or gets no reply, after a command.

use super::error_reply::error_reply;
use super::finding::{Finding, alert_name, packet_sizes};
use super::other_protocol::{QUOTED, not_redis, quote, unexpected_reply};
use crate::clock::seconds;
use crate::os::PacketCounts;
use crate::ping::causes::{Cause, is_command_unavailable};
use crate::ping::conclusions::{NoReply, describe_packets};
use crate::ping::observation::{Exchange, Experiment, Observations, PacketSizes, TlsResult};
use crate::ping::response::Response;
use crate::sanitize;

pub(super) fn closed(how: &str, received: &[u8], command: &str, seen: &Observations) -> Finding {
    let second = seen.experiments.last_repeated();
    // The RST on the first connection may have discarded data from the server, which the second connection
    // can show.
    if let Some(Exchange { command, response }) = second {
        let when = format!("{command} on a second connection");
        match response {
            Response::NotResp(banner) => return not_redis(banner, "on a second connection"),
            Response::Reply(_)
                if let Some(error) = response.error().filter(|error| !is_command_unavailable(error)) =>
            {
                return error_on_second_connection(command, &error, seen);
            }
            Response::Reply(_) if response.is_granted() && !response.is_pong() => {
                return unexpected_reply(response, &when);
            }
            _ => {}
        }
    }
    let tls_untested = match &seen.experiments.other_protocol {
        Some(Experiment::ClientHello { result, .. }) if *result == TlsResult::TimedOut => Some(
            "it is not known whether the server speaks TLS: a ClientHello on another connection got no reply before the timeout",
        ),
        Some(Experiment::NotConnected(_)) => {
            Some("TLS was not tested, because a second connection could not be made")
        }
        _ => None,
    };
    let is_likely = tls_untested.is_some() || seen.second_connection_works();
    Finding::proved_if(!is_likely, Cause::ProtoClosed)
        .summary(if seen.second_connection_works() {
            format!("the connection was {how}, but {ONLY_THIS_CONNECTION}")
        } else {
            let reply = if received.is_empty() {
                "any reply"
            } else {
                "a complete reply"
            };
            let without = if seen.ping.round_trips.is_empty() {
                format!("without {reply}")
            } else {
                "after PING had got PONG".to_owned()
            };
            format!("the server accepted the connection, but {how} it {without}")
        })
        .fact(format!(
            "TCP connected, but the connection was {how} after {command}"
        ))
        .facts(
            seen.is_tls_established()
                .then(|| "before that, the TLS handshake had succeeded".to_owned()),
        )
        .facts(if !received.is_empty() {
            Some(format!("before that, the server had sent {}", quote(received)))
        } else if !seen.ping.round_trips.is_empty() {
            Some("before that, PING had got PONG".to_owned())
        } else if seen.is_logged_in() && command != "AUTH" {
            Some("before that, AUTH had got OK; nothing else was received".to_owned())
        } else {
            None
        })
        .facts(on_the_second_connection(seen))
        .facts(match &seen.experiments.other_protocol {
            Some(Experiment::ClientHello {
                result: TlsResult::Closed | TlsResult::NotTls,
                ..
            }) => Some(
                "the port does not speak TLS either: a ClientHello on another connection got no TLS reply",
            ),
            _ => None,
        })
        .facts(tls_untested)
}

pub(super) fn timeout(received: &[u8], command: &str, seen: &Observations) -> Finding {
    if let Some(sizes) = seen.experiments.packet_sizes {
        return large_packets_lost(
            sizes,
            format!("{command}, which is a large request, got no reply"),
            seen,
        );
    }
    // An error reply on the second connection may come from another server, or from the same server in a
    // better state.
    let last = seen.experiments.last_repeated();
    if let Some(Exchange {
        command: repeated,
        response,
    }) = last
        && let Some(error) = response.error().filter(|error| !is_command_unavailable(error))
    {
        return error_on_second_connection(repeated, &error, seen)
            .fact(format!("the first connection got no reply to {command}"));
    }
    let waited = if seen.auth.response.is_some() && seen.ping.response.is_none() {
        seen.auth.took
    } else {
        seen.ping.took
    };
    let reason = NoReply::of(seen);
    let second = seen.experiments.stopped_again_at();
    let is_closed =
        |exchange: &Exchange| matches!(exchange.response, Response::Closed(_) | Response::Reset(_));
    let is_closed_again = second.is_some_and(is_closed);
    let is_answered_again = last.is_some_and(Exchange::is_answered);
    let is_proved = reason == NoReply::SilentServer && !is_answered_again && !is_closed_again;
    let summary = match reason.summary() {
        _ if seen.second_connection_works() => {
            format!("the connection got no reply, but {ONLY_THIS_CONNECTION}")
        }
        Some(summary) => summary.into(),
        None if seen.idle.is_some() => "the server accepts connections, but no longer replies".into(),
        None if second.is_some() && !is_closed_again => {
            "the server accepts connections but never replies; a second connection got no reply either".into()
        }
        None => Cause::ServerSilent.meaning().into(),
    };
    Finding::proved_if(is_proved, Cause::ServerSilent)
        .summary(summary)
        .fact(format!(
            "TCP connected; {command} got no {}reply within {}",
            if received.is_empty() { "" } else { "complete " },
            seconds(waited)
        ))
        .facts((!received.is_empty()).then(|| format!("only this was received: {}", quote(received))))
        .facts(on_the_second_connection(seen))
        .facts(match &seen.experiments.other_protocol {
            Some(Experiment::ClientHello { .. }) => {
                Some("a TLS handshake on another connection got no reply either")
            }
            Some(Experiment::NotConnected(_)) if seen.experiments.repeat.is_none() => {
                Some("a second connection could not be made")
            }
            _ => None,
        })
        .facts(reason.fact(seen))
}

/// Returns the finding about an error reply on a second connection.
fn error_on_second_connection(command: &str, error: &str, seen: &Observations) -> Finding {
    let when = format!("{command} on a second connection");
    let repeat = seen.experiments.repeat.as_ref();
    let login = repeat.and_then(|repeat| repeat.response("AUTH"));
    if error.starts_with("NOAUTH") && login.is_some_and(Response::is_ok) {
        return Finding::proved(Cause::ProxyNoBackend)
            .summary(BEHIND_PROXY)
            .fact("AUTH on a second connection got OK")
            .replied(&when, error);
    }
    error_reply(error, &when, seen)
}

/// Describes the result on a second connection, if one was tried.
pub(super) fn on_the_second_connection(seen: &Observations) -> Option<String> {
    let repeat = seen.experiments.repeat.as_ref()?;
    Some(match repeat.exchanges.last() {
        None => "a second connection could not be made".into(),
        Some(_) if seen.second_connection_works() => {
            "the same requests got replies on a second connection".into()
        }
        Some(exchange) => match (&exchange.response, exchange.command) {
            (Response::Closed(_), command) => format!("a second connection was closed after {command} too"),
            (Response::Reset(_), command) => format!("a second connection was reset after {command} too"),
            _ => format!("on a second connection, {}", ended(exchange)),
        },
    })
}

/// Describes the response to a request.
pub(super) fn ended(Exchange { command, response }: &Exchange) -> String {
    match response {
        Response::Timeout(_) => format!("{command} got no reply"),
        Response::Closed(_) => format!("the connection was closed after {command}"),
        Response::Reset(_) => format!("the connection was reset after {command}"),
        Response::NotResp(received) => format!("{command} got data that is not RESP: {}", quote(received)),
        Response::Alert(alert) => format!("{command} got the TLS alert {}", alert_name(*alert)),
        Response::Reply(_) => match response.error() {
            Some(error) => format!("{command} got {}", sanitize::excerpt(error.as_bytes(), QUOTED)),
            None => format!("{command} got a reply"),
        },
    }
}

/// The text for a fault that occurred only on the first connection.
pub(super) const ONLY_THIS_CONNECTION: &str =
    "a second connection works, so perhaps only one of several servers is faulty, or the fault was temporary";

/// The text for a server that accepts a login, but then replies that a login is required.
pub(super) const BEHIND_PROXY: &str =
    "a proxy accepts the password, but the Redis server behind the proxy requires a login";

/// Returns the finding about packets that are lost because of their size. `fact` is a text about the request
/// without a reply.
pub(super) fn large_packets_lost(sizes: PacketSizes, fact: String, seen: &Observations) -> Finding {
    let PacketSizes { passed, lost } = sizes;
    let is_request = |packets: PacketCounts| packets.unacknowledged > 0 || packets.unsent_bytes > 0;
    let requests = seen.packets.is_some_and(is_request);
    let what = if requests {
        "requests in packets"
    } else {
        "replies in packets"
    };
    Finding::proved(Cause::PathMtu)
        .summary(format!("{what} larger than {passed} bytes are lost on the way"))
        .fact(fact)
        .fact(packet_sizes(PacketSizes { passed, lost }))
        .facts(seen.packets.map(describe_packets))
}

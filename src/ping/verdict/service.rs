//! The verdict on a server that answers PING: whether it also answers other requests, in order, and with large
//! packets.

use super::finding::{Finding, describe_packets, replied};
use super::reply::{NoReply, error_reply, far_away};
use super::tls::alert_name;
use super::warnings::{Found, median};
use crate::ping::causes::Cause;
use crate::ping::observation::{Echo, Exchange, Observations, PacketSizes, Repeat};
use crate::ping::response::Response;
use crate::sanitize;

/// The requests after PONG that a working connection must answer; HELLO, ROLE and INFO only describe the server.
const REQUIRED: [&str; 2] = ["SELECT", "HGETALL"];

pub(super) fn judge(seen: &Observations) -> Option<Finding> {
    // A Sentinel has no data to read; its own verdict follows.
    if seen.server.is_sentinel() {
        return None;
    }
    let read = seen.read.as_ref();
    read.and_then(|response| refused_read(response, seen))
        .or_else(|| stopped(seen.stopped_at.as_ref()?, seen))
}

/// Judges problems with a PROXY protocol header: Redis receives one and rejects it, or the port requires one.
pub(super) fn proxy_header(seen: &Observations) -> Option<Finding> {
    if seen.with_proxy_header.as_ref().is_some_and(Response::is_pong) {
        return Some(
            Finding::proved(Cause::ProxyHeader)
                .summary("the port expects a PROXY protocol header before any data")
                .fact("without the header, PING got no PONG")
                .fact("with a PROXY header, on another connection, PING got PONG"),
        );
    }
    let first = [("AUTH", &seen.login), ("PING", &seen.ping)];
    let (command, error) = first
        .into_iter()
        .find_map(|(command, response)| Some((command, response.as_ref()?.error()?)))?;
    let lower = error.to_lowercase();
    let names_proxy = ["'proxy'", "`proxy`"].iter().any(|name| lower.contains(name));
    (lower.contains("unknown command") && names_proxy).then(|| {
        Finding::proved(Cause::ProxyHeader)
            .summary("a proxy sends a PROXY protocol header, which Redis rejects as a command")
            .fact(replied(command, &error))
            .fact("a proxy sent the PROXY header, so each later reply arrives one request late")
    })
}

/// Judges replies that belong to other requests.
pub(super) fn out_of_step(seen: &Observations) -> Option<Finding> {
    let fact = match (&seen.echo, &seen.surplus_reply) {
        (Some(Echo::InReplyTo(command)), _) => {
            format!("the value sent with ECHO came back in reply to {command}")
        }
        (Some(Echo::Other(response)), _) => format!("ECHO got back another value: {}", shown(response)),
        (None, Some(surplus)) => {
            format!(
                "a reply arrived although no request was waiting for one: {}",
                shown(surplus)
            )
        }
        _ => return None,
    };
    Some(
        Finding::proved(Cause::ProtoUnexpected)
            .fact(fact)
            .fact("a Redis server replies to the requests of a connection in order"),
    )
}

fn shown(response: &Response) -> String {
    match response {
        Response::Reply(value) => {
            let lines = crate::redis_client::reply_lines(value);
            sanitize::excerpt(lines.first().map_or(&[][..], |line| line.as_bytes()), 60)
        }
        _ => String::new(),
    }
}

/// Judges an error reply to the read, unless it shows that the server serves reads.
fn refused_read(response: &Response, seen: &Observations) -> Option<Finding> {
    let error = response.error()?;
    let code = error.split(' ').next().unwrap_or_default();
    // The user may read only other keys, the key has another type, or it is on another cluster node.
    if ["NOPERM", "WRONGTYPE", "MOVED", "ASK", "TRYAGAIN"].contains(&code) {
        return None;
    }
    if code == "NOAUTH" && seen.login.as_ref().is_some_and(Response::is_ok) {
        return Some(
            Finding::proved(Cause::ProxyNoBackend)
                .summary("a proxy accepts the password, but the Redis server behind it requires a login")
                .fact("AUTH got OK")
                .fact(replied("HGETALL", &error)),
        );
    }
    Some(error_reply(&error, "HGETALL", seen).fact("PING got PONG"))
}

/// Judges a connection that ended or got no more replies after PONG. Returns `None` if only a request for information
/// about the server failed.
fn stopped(first: &Exchange, seen: &Observations) -> Option<Finding> {
    let repeat = seen.repeat.as_ref();
    if let Some(sizes) = seen.packet_sizes {
        return Some(mtu(sizes, seen));
    }
    let Some(repeat) = repeat.filter(|repeat| repeat.has_answered("PING")) else {
        return Some(
            fell_silent(first, seen).facts(repeat.map(|repeat| match repeat.exchanges.last() {
                Some(exchange) => {
                    format!("on a second connection, {} got no reply either", exchange.command)
                }
                None => "a second connection could not be made".into(),
            })),
        );
    };
    let Some(second) = repeat.stopped_at() else {
        return Some(momentary(first, seen));
    };
    if REQUIRED.contains(&second.command) {
        return Some(
            Finding::likely(Cause::ProxyNoBackend)
                .summary(format!(
                    "PING gets PONG, but {} gets no reply: a proxy probably answers PING without its backend",
                    second.command
                ))
                .fact(ended(second))
                .fact("the same happened on a second connection"),
        );
    }
    None
}

/// Judges a failure that did not occur again on a second connection.
fn momentary(first: &Exchange, seen: &Observations) -> Finding {
    let finding = match &first.response {
        Response::Timeout(_) => Finding::likely(Cause::ServerSilent).summary(
            "the connection got no more replies, but a second one works: one of several \
                      backends may be failing, or Redis was blocked briefly",
        ),
        _ => Finding::likely(Cause::ProtoClosed).summary(
            "the connection was closed, but a second one works: one of several \
                      backends may be failing, or the problem was brief",
        ),
    };
    finding
        .fact(format!("PING got PONG; {}", ended(first)))
        .fact("the same requests got their replies on a second connection")
        .facts(seen.packets.map(describe_packets))
}

fn fell_silent(first: &Exchange, seen: &Observations) -> Finding {
    let round_trip = median(&seen.round_trips);
    let reason = NoReply::of(seen.stopped_after, round_trip, seen.packets);
    let finding = match &first.response {
        Response::Timeout(_) => Finding::likely(Cause::ServerSilent).summary(
            reason
                .summary()
                .unwrap_or("the server answers PING, but then stops replying"),
        ),
        _ => Finding::likely(Cause::ProtoClosed).summary(format!(
            "the server answers PING, but closes the connection at {}",
            first.command
        )),
    };
    finding
        .fact(format!("PING got PONG; {}", ended(first)))
        .facts((reason == NoReply::ShortTimeout).then(|| far_away(round_trip)))
        .facts(seen.packets.map(describe_packets))
}

fn ended(exchange: &Exchange) -> String {
    let command = exchange.command;
    match &exchange.response {
        Response::Timeout(_) => format!("{command} got no reply"),
        Response::Closed(_) => format!("the connection was closed at {command}"),
        Response::Reset(_) => format!("the connection was reset at {command}"),
        Response::NotResp(received) => format!(
            "after {command} came data that is not RESP: \"{}\"",
            sanitize::excerpt(received, 60)
        ),
        Response::Alert(alert) => format!("{command} got the TLS alert {}", alert_name(*alert)),
        Response::Reply(_) => format!("{command} got a reply"),
    }
}

fn mtu(sizes: PacketSizes, seen: &Observations) -> Finding {
    let PacketSizes { passed, lost } = sizes;
    let requests = seen.packets.is_some_and(|packets| packets.unacknowledged > 0);
    let what = if requests {
        "requests in packets"
    } else {
        "replies in packets"
    };
    Finding::proved(Cause::PathMtu)
        .summary(format!("{what} over {passed} bytes are lost on the way"))
        .fact("PING got PONG, but an ECHO of 4 kB got no reply")
        .fact(packet_sizes(PacketSizes { passed, lost }))
        .facts(seen.packets.map(describe_packets))
}

/// Reports which packet sizes get through.
pub(super) fn packet_sizes(sizes: PacketSizes) -> String {
    format!(
        "on other connections, packets of up to {} bytes got through, but packets of {} bytes did not",
        sizes.passed, sizes.lost
    )
}

/// Warns about a service that ends the connection at a command, or refuses one that Redis always has.
pub(super) fn limited(seen: &Observations) -> Option<Found> {
    let repeated = seen.repeat.as_ref().and_then(Repeat::stopped_at);
    let ending = repeated.filter(|exchange| !["AUTH", "PING"].contains(&exchange.command))?;
    if REQUIRED.contains(&ending.command) || seen.packet_sizes.is_some() {
        return None;
    }
    let summary = format!(
        "single commands work, but {}: MULTI, INFO and SELECT may not work either",
        ended(ending)
    );
    Some((Cause::ProxyLimited, summary))
}

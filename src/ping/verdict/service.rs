//! Determines the verdict on a server that replies to PING. A working server must also reply to all other
//! requests in the right order, and handle large packets.

use super::error_reply::error_reply;
use super::finding::{Finding, Found, either, replied};
use super::no_reply::{ONLY_THIS_CONNECTION, ended, large_packets_lost, on_the_second_connection};
use super::ping::no_login_behind_proxy;
use crate::ping::causes::Cause;
use crate::ping::conclusions::{NoReply, describe_packets};
use crate::ping::masking::error_without;
use crate::ping::observation::{Echo, Exchange, Observations, ServerInfo, WriteTest};
use crate::ping::response::{Response, rejects_proxy_header};
use crate::ping::rungs::ping::CONFIG;
use crate::redis_url::Target;
use crate::sanitize;

pub(super) fn judge(seen: &Observations) -> Option<Finding> {
    // A Sentinel has no data to read, and is reported separately.
    if seen.server.is_sentinel() {
        return None;
    }
    seen.refused_read()
        .map(|error| refused_read(&error, seen))
        .or_else(|| stopped(seen.requests.stopped_at.as_ref()?, seen))
}

/// Returns the finding about a PROXY protocol header that the port requires, or that Redis rejects.
pub(super) fn proxy_header(target: &Target, seen: &Observations) -> Option<Finding> {
    if seen.experiments.expects_proxy_header {
        return Some(
            Finding::proved(Cause::ProxyHeader)
                .summary("the port expects a PROXY protocol header before any data")
                .fact("the server does not reply to data without the header")
                .fact("on another connection, the server replied after a PROXY header"),
        );
    }
    let first = [("AUTH", &seen.auth.response), ("PING", &seen.ping.response)];
    let (command, error) = first
        .into_iter()
        .find_map(|(command, response)| Some((command, response.as_ref()?.error()?)))?;
    rejects_proxy_header(&error).then(|| {
        Finding::proved(Cause::ProxyHeader)
            .summary("a proxy sends a PROXY protocol header to Redis, which does not support it")
            .fact(replied(command, &masked(target, &error)))
            .fact("Redis replied to the PROXY header with an error, so each later reply arrives one request late")
    })
}

/// Returns the finding about replies that do not belong to the requests after which they arrived.
pub(super) fn out_of_step(target: &Target, seen: &Observations) -> Option<Finding> {
    // A POP3 server sends a greeting, and then replies to each line with an error.
    let first = seen.auth.response.as_ref().or(seen.ping.response.as_ref());
    let surplus = seen.ping.surplus_reply.as_ref();
    if first.is_some_and(Response::is_greeting) && !surplus.is_some_and(Response::is_pong) {
        return None;
    }
    let fact = match (&seen.requests.echo, &seen.ping.surplus_reply) {
        _ if let Some(fact) = reply_about_earlier_command(target, seen) => fact,
        (Some(Echo::InReplyTo(command)), _) => {
            format!("the value sent with ECHO came back in reply to {command}")
        }
        (Some(Echo::Other(response)), _) => format!("ECHO returned another value: {}", shown(response)),
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

/// Describes an error reply about a command that was sent earlier on the same connection.
fn reply_about_earlier_command(target: &Target, seen: &Observations) -> Option<String> {
    let first = [
        ("AUTH", &seen.auth.response),
        ("PING", &seen.ping.response),
        ("SELECT", &seen.requests.select),
        ("HGETALL", &seen.requests.read),
    ];
    let first: Vec<_> = first
        .into_iter()
        .filter_map(|(command, response)| Some((command, response.as_ref()?)))
        .collect();
    let second = seen
        .experiments
        .repeat
        .iter()
        .flat_map(|repeat| &repeat.exchanges);
    let second: Vec<_> = second
        .map(|exchange| (exchange.command, &exchange.response))
        .collect();
    for (exchanges, place) in [(first, ""), (second, " on a second connection")] {
        for (at, (command, response)) in exchanges.iter().enumerate() {
            let Some(error) = response.error().filter(|error| !names(error, command)) else {
                continue;
            };
            if let Some((earlier, _)) = exchanges[..at].iter().find(|(name, _)| names(&error, name)) {
                let reply = replied(&format!("{command}{place}"), &masked(target, &error));
                return Some(format!("{reply}: this is a reply to {earlier}"));
            }
        }
    }
    None
}

/// Masks the password in an error reply. The error may be a late reply to AUTH, which can contain the
/// password.
fn masked(target: &Target, error: &str) -> String {
    match &target.password {
        Some(password) => error_without(error, password),
        None => error.to_owned(),
    }
}

/// Whether an error reply names the command, as in `wrong number of arguments for 'auth' command`.
fn names(error: &str, command: &str) -> bool {
    let (error, command) = (error.to_lowercase(), command.to_lowercase());
    [format!("'{command}'"), format!("`{command}`")]
        .iter()
        .any(|name| error.contains(name))
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

/// Returns the finding about an error reply to the read request.
fn refused_read(error: &str, seen: &Observations) -> Finding {
    if error.starts_with("NOAUTH") && seen.is_logged_in() {
        return no_login_behind_proxy("HGETALL", error, seen);
    }
    // A Redis that requires a login would also reject PING.
    if error.starts_with("NOAUTH") && seen.has_pong() {
        return Finding::likely(Cause::ProxyNoBackend)
            .summary("a proxy answers PING itself, but the Redis server behind the proxy requires a login")
            .replied("HGETALL", error)
            .fact("PING got PONG, although a Redis server that requires a login refuses PING");
    }
    error_reply(error, "HGETALL", seen).fact(reply_to_ping(seen))
}

/// Returns the finding about a connection that ended, or got no more replies, after `PONG`. Returns `None` if
/// only a request about the server itself failed.
fn stopped(first: &Exchange, seen: &Observations) -> Option<Finding> {
    let repeat = seen.experiments.repeat.as_ref();
    if let Some(sizes) = seen.experiments.packet_sizes {
        let fact = format!("{}, but an ECHO of 4 kB got no reply", reply_to_ping(seen));
        return Some(large_packets_lost(sizes, fact, seen));
    }
    let Some(repeat) = repeat.filter(|repeat| repeat.has_answered("PING")) else {
        return Some(fell_silent(first, seen));
    };
    // A proxy that closes the connection at a request may discard the replies to earlier requests.
    if let Some(error) = repeat.response("HGETALL").and_then(Response::refusal) {
        return Some(refused_read(&error, seen));
    }
    let Some(second) = repeat.stopped_at() else {
        return Some(momentary(first, seen));
    };
    if second.is_cut_off() {
        return Some(fell_silent(second, seen).summary(format!(
            "the server closes the connection in the middle of its reply to {}",
            second.command
        )));
    }
    match second.command {
        "SELECT" => Some(fell_silent(second, seen).fact("many proxies support only database 0")),
        "HGETALL" if !seen.has_pong() => Some(fell_silent(second, seen)),
        "HGETALL" => Some(
            Finding::likely(Cause::ProxyNoBackend)
                .summary(format!(
                    "PING gets PONG, but a read gets {}; perhaps a proxy answers PING without its backend",
                    if is_other_data(second) {
                        "data that is not RESP"
                    } else {
                        "no reply"
                    }
                ))
                .fact(ended(first))
                .fact(format!(
                    "on a second connection, PING got PONG again, but {}",
                    ended(second)
                )),
        ),
        "ECHO" if matches!(second.response, Response::Timeout(_)) => Some(
            fell_silent(second, seen).summary("small requests get replies, but an ECHO of 4 kB gets none"),
        ),
        "ECHO" if seen.experiments.is_only_short_echo_answered => Some(
            fell_silent(second, seen)
                .summary("small requests get replies, but an ECHO of 4 kB ends the connection")
                .fact("on another connection, a short ECHO got a reply"),
        ),
        _ => None,
    }
}

fn is_other_data(exchange: &Exchange) -> bool {
    matches!(exchange.response, Response::NotResp(_))
}

pub(super) fn reply_to_ping(seen: &Observations) -> &'static str {
    if seen.has_pong() {
        "PING got PONG"
    } else {
        "PING got an error reply"
    }
}

/// Returns the finding about a failure that did not happen again on a second connection.
fn momentary(first: &Exchange, seen: &Observations) -> Finding {
    let (cause, what) = match &first.response {
        Response::Timeout(_) => (Cause::ServerSilent, "got no more replies"),
        Response::NotResp(_) => (Cause::ProtoUnexpected, "got data that is not RESP"),
        _ => (Cause::ProtoClosed, "was closed"),
    };
    Finding::likely(cause)
        .summary(format!("the connection {what}, but {ONLY_THIS_CONNECTION}"))
        .fact(format!("{}; {}", reply_to_ping(seen), ended(first)))
        .facts(on_the_second_connection(seen))
        .facts(seen.packets.map(describe_packets))
}

/// Returns the finding about the first request that failed on a connection on which PING succeeded.
pub(super) fn fell_silent(first: &Exchange, seen: &Observations) -> Finding {
    let reason = NoReply::of(seen);
    let finding = match &first.response {
        Response::Timeout(_) => Finding::likely(Cause::ServerSilent).summary(
            reason
                .summary()
                .unwrap_or("the server replies to PING, but then stops replying"),
        ),
        Response::NotResp(_) => Finding::likely(Cause::ProtoUnexpected).summary(format!(
            "the server replies to PING, but sends data that is not RESP in reply to {}",
            first.command
        )),
        _ => Finding::likely(Cause::ProtoClosed).summary(format!(
            "the server replies to PING, but closes the connection after {}",
            first.command
        )),
    };
    finding
        .fact(format!("{}; {}", reply_to_ping(seen), ended(first)))
        .facts(on_the_second_connection(seen))
        .facts(reason.fact(seen))
}

/// Returns a warning about a service that supports only some Redis commands. Such a service rejects several
/// basic commands, or closes the connection when it receives one.
pub(super) fn limited(seen: &Observations) -> Option<Found> {
    // If the server refuses the read request on either connection, even single commands do not work, so this
    // is not a limited service.
    let repeat = seen.experiments.repeat.as_ref();
    let again = repeat.and_then(|repeat| repeat.response("HGETALL"));
    if seen.refused_read().is_some() || again.and_then(Response::refusal).is_some() {
        return None;
    }
    let again = seen.experiments.stopped_again_at();
    if again.is_some_and(Exchange::is_cut_off) {
        return None;
    }
    let ended = again.map(|exchange| (exchange.command, ended(exchange)));
    let summary = match ended {
        Some(("ECHO" | "HELLO" | "ROLE" | "INFO" | CONFIG, what))
            if seen.experiments.packet_sizes.is_none() && !seen.experiments.is_only_short_echo_answered =>
        {
            let untested = if seen.write_test.as_ref().is_some_and(WriteTest::has_passed) {
                ""
            } else {
                "; MULTI and SELECT were not tested"
            };
            format!("simple commands work, but {what}{untested}")
        }
        Some(_) => return None,
        None => format!(
            "simple commands work, but the server does not support {}",
            not_supported(&seen.server)?
        ),
    };
    Some((Cause::ProxyLimited, summary))
}

/// Describes the commands that the server does not support. Returns `None` unless MULTI, or both INFO and
/// HELLO, are missing, because commands can be renamed, and old versions of Redis have no HELLO.
fn not_supported(server: &ServerInfo) -> Option<String> {
    let missing = server.unsupported();
    let lacks = |name| missing.contains(&name);
    let is_limited = lacks("MULTI") || lacks("INFO") && lacks("HELLO");
    (is_limited && !server.is_sentinel()).then(|| either(&missing))
}

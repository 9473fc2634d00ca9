//! The verdict on unexpected responses to any command.

use std::time::Duration;

use redis::Value;

use super::finding::{Finding, age, describe_packets, replied, seconds};
use super::tls::{alert_name, client_certificate};
use crate::os::PacketCounts;
use crate::ping::causes::Cause;
use crate::ping::observation::{Exchange, Experiment, Observations, SLOTS, ServerInfo, TlsResult};
use crate::ping::permissions::{Access, Missing};
use crate::ping::response::Response;
use crate::ping::rungs::ping::is_unavailable;
use crate::redis_client::error_replies::ErrorReply;
use crate::sanitize;

const ALL_SLOTS: u64 = SLOTS as u64;

/// The maximum number of bytes of an unknown protocol that are quoted.
const QUOTED: usize = 60;

/// A wait proves something only if it is longer than this number of round trips.
const FEW_ROUND_TRIPS: u32 = 3;

/// Returns the finding about an unexpected response.
pub(super) fn unusable(response: &Response, command: &str, seen: &Observations) -> Finding {
    match response {
        Response::Reply(_) => match response.error() {
            Some(error) => error_reply(&error, command, seen),
            None => unexpected_reply(response, command),
        },
        Response::NotResp(received) => not_redis(received, &format!("in reply to {command}")),
        Response::Alert(alert) => {
            client_certificate(*alert, seen.tls.handshake.as_ref()).unwrap_or_else(|| {
                Finding::likely(Cause::ProtoClosed)
                    .summary("the server ends the TLS session with an alert")
                    .fact(format!("the server sent the TLS alert {}", alert_name(*alert)))
            })
        }
        Response::Closed(received) => closed("closed", received, command, seen),
        Response::Reset(received) => closed("reset", received, command, seen),
        Response::Timeout(received) => timeout(received, command, seen),
    }
}

/// Returns the finding about an error reply.
pub(super) fn error_reply(error: &str, command: &str, seen: &Observations) -> Finding {
    match ErrorReply::of(error) {
        Some(reply) if reply.cause == Cause::AuthNoPermission => no_permission(command, error, seen),
        Some(reply) => Finding::proved(reply.cause)
            .summary(reply.summary())
            .replied(command, error)
            .facts(state_facts(reply.cause, &seen.server)),
        None => Finding::proved(Cause::ServerRefused)
            .summary(format!(
                "the server refuses {command}: \"{}\"",
                sanitize::excerpt(error.as_bytes(), 120)
            ))
            .replied(command, error),
    }
}

/// Returns the facts in INFO that are related to the cause.
pub(super) fn state_facts(cause: Cause, server: &ServerInfo) -> Vec<String> {
    let shown = |name: &str| Some(sanitize::excerpt(server.field(name)?.as_bytes(), QUOTED));
    let percent = |part: u64, whole: u64| (whole > 0).then(|| part.saturating_mul(100) / whole);
    let fact = match cause {
        Cause::ServerLoading => shown("loading_loaded_perc").map(|percent| {
            // At the beginning of loading, the estimate is wrong by orders of magnitude.
            let is_early = percent.parse().is_ok_and(|percent: f64| percent < 5.0);
            let left = server.number("loading_eta_seconds").filter(|_| !is_early);
            let left = left.map_or_else(String::new, |left| format!(", and that loading the rest takes about {left} \
                                                                     s"));
            format!("INFO reports that {percent} % of the data is loaded{left}")
        }),
        Cause::RoleMasterDown | Cause::RoleReplica => server.primary().map(|(host, port)| {
            let host = sanitize::excerpt(host.as_bytes(), QUOTED);
            let since = server.number("master_link_down_since_seconds");
            let since = match since.and_then(|since| i64::try_from(since).ok()) {
                None => String::new(),
                Some(..5) => ", which it lost just now".into(),
                Some(since) => format!(", which it lost {} ago", age(since)),
            };
            format!("its primary is {host}:{port}{since}")
        }),
        Cause::ServerMisconf => {
            let failed = |name: &str| server.field(name).is_some_and(|status| status != "ok");
            let names = ["rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status"];
            let names: Vec<&str> = names.into_iter().filter(|name| failed(name)).collect();
            (!names.is_empty()).then(|| format!("INFO reports that saving failed ({})", names.join(", ")))
        }
        Cause::ServerOutOfMemory => server
            .number("used_memory")
            .zip(server.number("maxmemory"))
            .and_then(|(used, most)| {
                let policy = shown("maxmemory_policy").unwrap_or_default();
                let percent = percent(used, most)?;
                Some(format!("INFO reports that {percent} % of maxmemory is used, and that maxmemory-policy is {policy}"))
            }),
        Cause::ServerNoReplicas => shown("min_slaves_good_slaves").map(|count| format!("according to INFO, the \
                                                                                        number of replicas in sync \
                                                                                        is {count}")),
        Cause::ClusterDown => server
            .failing_slots()
            .filter(|slots| *slots > 0)
            .map(|slots| match slots {
                ALL_SLOTS => "CLUSTER INFO reports that no slot is assigned to any node".into(),
                slots => format!("CLUSTER INFO reports that {slots} of {SLOTS} slots have no node"),
            }),
        _ => None,
    };
    fact.into_iter().collect()
}

/// Returns the finding about a command that the user is not allowed to run.
pub(super) fn no_permission(command: &str, error: &str, seen: &Observations) -> Finding {
    let missing = Missing::of(seen);
    let finding = Finding::proved(Cause::AuthNoPermission).replied(command, error);
    let who = if seen.is_logged_in() {
        "the login works, but this user"
    } else {
        "the user"
    };
    if missing.keys == Access::Forbidden && missing.commands.is_empty() {
        finding
            .summary(format!(
                "{who} is not allowed to use the tutorial's keys, which start with `sessiontut:`"
            ))
            .fact("the user's permissions for other keys were not checked")
    } else if missing.commands.is_empty() {
        finding.summary(format!("{who} is not allowed to run {command}"))
    } else {
        let commands = missing.commands.join(", ");
        finding
            .summary(format!("{who} is not allowed to run {commands}"))
            .facts((missing.keys == Access::Forbidden).then(|| {
                "the user is not allowed to use the tutorial's keys either (they start with `sessiontut:`)".into()
            }))
    }
}

/// Returns the finding about a RESP reply that Redis never sends to this command.
pub(super) fn unexpected_reply(response: &Response, command: &str) -> Finding {
    if response.is_ok() {
        return Finding::likely(Cause::ProtoUnexpected).fact(format!("reply to {command}: OK"));
    }
    let shown = match response {
        Response::Reply(Value::SimpleString(text)) => sanitize::excerpt(text.as_bytes(), QUOTED),
        Response::Reply(value) => crate::redis_client::reply_lines(value)
            .first()
            .cloned()
            .unwrap_or_default(),
        _ => String::new(),
    };
    let shown = sanitize::excerpt(shown.as_bytes(), QUOTED);
    another_server(format!("+{shown}").as_bytes()).fact(format!("reply to {command}: {shown}"))
}

/// Returns the finding about bytes that are not RESP.
pub(super) fn not_redis(received: &[u8], when: &str) -> Finding {
    another_server(received).fact(format!("received {when}: {}", quote(received)))
}

fn another_server(received: &[u8]) -> Finding {
    let finding = Finding::proved(Cause::ProtoNotRedis);
    match protocol(received) {
        Some(name) => finding.summary(format!("the server is {name}, not Redis")),
        None => finding,
    }
}

/// Returns the protocol that the first bytes from the server belong to.
fn protocol(received: &[u8]) -> Option<&'static str> {
    let starts = |prefix: &[u8]| received.starts_with(prefix);
    let text = String::from_utf8_lossy(&received[..received.len().min(512)]).to_lowercase();
    Some(match () {
        () if starts(b"HTTP/") || text.starts_with("<!doctype") || text.starts_with("<html") => {
            "an HTTP server"
        }
        () if starts(b"SSH-") => "an SSH server",
        () if starts(b"220") && text.contains("ftp") => "an FTP server",
        () if starts(b"220") || starts(b"554 ") || starts(b"421 ") => "an SMTP server",
        () if starts(b"* OK") || starts(b"* BYE") => "an IMAP server",
        () if starts(b"+OK") => "a POP3 server",
        () if starts(b"ERROR\r\n") || starts(b"CLIENT_ERROR") || starts(b"SERVER_ERROR") => {
            "a memcached server"
        }
        () if starts(b"AMQP") => "an AMQP broker, such as RabbitMQ",
        () if text.contains("mysql") || text.contains("mariadb") || received.get(3..5) == Some(b"\0\x0a") => {
            "a MySQL or MariaDB server"
        }
        () if starts(b"INFO {") => "a NATS server",
        () if starts(b"RFB ") => "a VNC server",
        () if text.contains("postgres") || starts(b"E\0\0\0") => "a PostgreSQL server",
        _ => return None,
    })
}

fn quote(received: &[u8]) -> String {
    format!("\"{}\"", sanitize::excerpt(received, QUOTED).replace('"', "\\\""))
}

fn closed(how: &str, received: &[u8], command: &str, seen: &Observations) -> Finding {
    let second = seen.experiments.last_repeated();
    // The RST on the first connection discarded what the server had sent. The second connection shows it.
    if let Some(Exchange { command, response }) = second {
        let when = format!("{command} on a second connection");
        match response {
            Response::NotResp(banner) => return not_redis(banner, "on a second connection"),
            Response::Reply(_)
                if let Some(error) = response.error().filter(|error| !is_unavailable(error)) =>
            {
                return error_on_second_connection(command, &error, seen);
            }
            Response::Reply(_) if response.is_granted() && !response.is_pong() => {
                return unexpected_reply(response, &when);
            }
            _ => {}
        }
    }
    let is_tls_untested = match &seen.experiments.other_protocol {
        Some(Experiment::ClientHello { result, .. }) => *result == TlsResult::TimedOut,
        Some(Experiment::NotConnected) => true,
        _ => false,
    };
    let is_likely = is_tls_untested || seen.second_connection_works();
    Finding::proved_if(!is_likely, Cause::ProtoClosed)
        .summary(if seen.second_connection_works() {
            format!("the connection was {how}, but {ONLY_THIS_CONNECTION}")
        } else {
            let reply = if received.is_empty() {
                "any reply"
            } else {
                "a complete reply"
            };
            format!("the server accepted the connection, but {how} it without {reply}")
        })
        .fact(format!(
            "TCP connected, but the connection was {how} after {command}"
        ))
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
                "the port does not speak TLS either: a ClientHello on another connection got no TLS reply"
                    .into(),
            ),
            _ => None,
        })
        .facts(is_tls_untested.then(|| {
            "there was no time to test whether the server speaks TLS; try a longer --timeout".into()
        }))
}

/// Says that the fault affects only the first connection, because a second one works.
pub(super) const ONLY_THIS_CONNECTION: &str =
    "a second connection works; perhaps one of several servers is faulty, or the fault was brief";

/// Describes how a second connection ended.
pub(super) fn on_the_second_connection(seen: &Observations) -> Option<String> {
    let repeat = seen.experiments.repeat.as_ref()?;
    Some(match repeat.exchanges.last() {
        None => "a second connection could not be made".into(),
        Some(_) if seen.second_connection_works() => {
            "the same requests got replies on a second connection".into()
        }
        Some(Exchange {
            command,
            response: Response::Closed(_),
        }) => {
            format!("a second connection was closed after {command} too")
        }
        Some(Exchange {
            command,
            response: Response::Reset(_),
        }) => {
            format!("a second connection was reset after {command} too")
        }
        Some(exchange) => format!("on a second connection, {}", ended(exchange)),
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

/// Returns the finding about an error reply that ended a second connection.
fn error_on_second_connection(command: &str, error: &str, seen: &Observations) -> Finding {
    let when = format!("{command} on a second connection");
    let login = seen
        .experiments
        .repeat
        .as_ref()
        .and_then(|repeat| repeat.response("AUTH"));
    if error.starts_with("NOAUTH") && login.is_some_and(Response::is_ok) {
        return Finding::proved(Cause::ProxyNoBackend)
            .summary(BEHIND_PROXY)
            .fact("AUTH on a second connection got OK")
            .fact(replied(&when, error));
    }
    error_reply(error, &when, seen)
}

/// Says what is wrong if a server accepts a login and then requires one.
pub(super) const BEHIND_PROXY: &str =
    "a proxy accepts the password, but the Redis server behind it requires a login";

fn timeout(received: &[u8], command: &str, seen: &Observations) -> Finding {
    // Another server behind the same address may have replied with an error, or this one may have replied
    // later.
    let second = seen.experiments.last_repeated();
    if let Some(second) = second
        && let Some(error) = second.response.error().filter(|error| !is_unavailable(error))
    {
        return error_on_second_connection(second.command, &error, seen)
            .fact(format!("the first connection got no reply to {command}"));
    }
    let waited = if seen.auth.response.is_some() && seen.ping.response.is_none() {
        seen.auth.took
    } else {
        seen.ping.took
    };
    let reason = NoReply::of(waited, seen.tcp.round_trip(), seen.packets);
    let is_proved = reason == NoReply::SilentServer && !seen.second_connection_works();
    let second = seen.experiments.stopped_again_at();
    let summary = match reason.summary() {
        _ if seen.second_connection_works() => {
            format!("the connection got no reply, but {ONLY_THIS_CONNECTION}")
        }
        Some(summary) => summary.into(),
        None if second.is_some() => {
            "the server accepts connections but never replies; a second connection got no reply either".into()
        }
        None => Cause::ServerSilent.meaning().into(),
    };
    Finding::proved_if(is_proved, Cause::ServerSilent)
        .summary(summary)
        .facts((reason == NoReply::ShortTimeout).then(|| far_away(seen.tcp.round_trip())))
        .fact(format!(
            "TCP connected; {command} got no {}reply within {}",
            if received.is_empty() { "" } else { "complete " },
            seconds(waited)
        ))
        .facts((!received.is_empty()).then(|| format!("only this was received: {}", quote(received))))
        .facts(on_the_second_connection(seen))
        .facts(match &seen.experiments.other_protocol {
            Some(Experiment::ClientHello { .. }) => {
                Some("a TLS handshake on another connection got no reply either".into())
            }
            Some(Experiment::NotConnected) if seen.experiments.repeat.is_none() => {
                Some("a second connection could not be made".into())
            }
            _ => None,
        })
        .facts(seen.packets.map(describe_packets))
}

/// Why no reply arrived on an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoReply {
    /// The timeout is too short: a round trip may take as long.
    ShortTimeout,
    /// The request does not reach the server.
    LostPackets,
    /// The request reaches the server, but the server does not reply.
    SilentServer,
}

impl NoReply {
    /// Determines the reason. `connecting` is how long the TCP handshake took, which is one round trip.
    pub(super) fn of(waited: Duration, connecting: Duration, packets: Option<PacketCounts>) -> Self {
        if waited < connecting.saturating_mul(FEW_ROUND_TRIPS) {
            Self::ShortTimeout
        } else if packets.is_some_and(|packets| packets.unacknowledged > 0) {
            Self::LostPackets
        } else {
            Self::SilentServer
        }
    }

    /// Returns what is wrong, or `None` if the server is at fault.
    pub(super) fn summary(self) -> Option<&'static str> {
        match self {
            Self::ShortTimeout => Some("no reply before the timeout"),
            Self::LostPackets => Some("the server accepts the connection, but later packets to it are lost"),
            Self::SilentServer => None,
        }
    }
}

/// Describes a long round trip.
pub(super) fn far_away(connecting: Duration) -> String {
    format!(
        "connecting alone took {}, so the server may just be far away; try a longer --timeout",
        seconds(connecting)
    )
}

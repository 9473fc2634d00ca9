//! The verdict on what is said in answer to AUTH, PING and SELECT, or in their place.

use std::time::Duration;

use super::foreign::{not_redis, not_redis_reply, quote, quoted};
use super::tls::client_certificate;
use super::words::{packets, seconds};
use super::{Blame, auth};
use crate::os::PacketCounts;
use crate::ping::causes::Cause;
use crate::ping::observation::{Experiment, Observations, PingSubstitute, TlsResult};
use crate::ping::response::Response;
use crate::ping::rungs::tls::requires_client_certificate;
use crate::redis_client::error_replies::ErrorReply;
use crate::redis_url::Target;

/// A wait that is no longer than this many journeys there and back proves little.
const FEW_ROUND_TRIPS: u32 = 3;

/// AUTH, PING and SELECT.
pub(super) fn judge(target: &Target, seen: &Observations) -> Option<Blame> {
    if let Some(Experiment::ClientHello { result, inside }) = &seen.experiment {
        // Nothing but TLS is understood there; what runs inside it decides whether that is a Redis.
        let has_answered = [&seen.login, &seen.ping]
            .into_iter()
            .flatten()
            .any(|heard| matches!(heard, Response::Reply(_)));
        if result.is_tls() && !has_answered {
            return Some(match inside {
                Some(Response::NotResp(received)) => {
                    not_redis(received, "inside TLS, on a second connection")
                }
                _ => tls_required(seen),
            });
        }
    }
    if let Some(heard) = &seen.login
        && !heard.is_ok()
    {
        return Some(auth::judge(target, heard, seen));
    }
    let heard = seen.ping.as_ref()?;
    let ping_substitute = seen.ping_substitute.as_ref();
    if heard.is_pong() || ping_substitute.is_some_and(PingSubstitute::is_served) {
        return seen
            .select
            .as_ref()
            .and_then(|heard| refused_select(target, heard, seen));
    }
    // A PING that was renamed or forbidden hides what keeps every other command from being served.
    if let Some(PingSubstitute {
        name,
        response: heard,
    }) = ping_substitute
        && heard
            .error()
            .is_some_and(|error| !error.starts_with("NOPERM") && !error.starts_with("ERR"))
    {
        return Some(unusable(heard, name, seen));
    }
    // What was said of AUTH may come as late as this.
    Some(unusable(&heard.without(target.password.as_ref()), "PING", seen))
}

fn tls_required(seen: &Observations) -> Blame {
    let plain = match seen.login.as_ref().or(seen.ping.as_ref()) {
        Some(Response::Closed(_) | Response::Reset(_)) => "the plain connection was closed without a reply",
        Some(Response::NotResp(_)) => "the plain PING was answered with a TLS alert",
        _ => "the plain connection was met with silence",
    };
    Blame::proved(
        Cause::TlsRequired,
        "the URL is plain, and the server speaks TLS there",
    )
    .because(plain)
    .because("a TLS hello on a second connection was answered in TLS")
}

fn refused_select(target: &Target, heard: &Response, seen: &Observations) -> Option<Blame> {
    // A Sentinel knows no SELECT: that it is one is the greater truth.
    if heard.is_granted() || seen.server.is_sentinel() {
        return None;
    }
    let Some(error) = heard.error() else {
        return Some(unusable(heard, "SELECT", seen));
    };
    let db = target.db;
    if error.starts_with("NOPERM") {
        return Some(no_permission(&["SELECT"], &error));
    }
    Some(
        Blame::proved(Cause::DbIndex, format!("the server has no database {db}"))
            .because(quoted("SELECT", &error)),
    )
}

/// What an answer other than the hoped-for one means.
pub(super) fn unusable(heard: &Response, command: &str, seen: &Observations) -> Blame {
    match heard {
        Response::Reply(_) => match heard.error() {
            Some(error) => refused(&error, command),
            None => not_redis_reply(heard, command),
        },
        Response::NotResp(received) => not_redis(received, &format!("to {command}")),
        Response::Alert(alert) if requires_client_certificate(alert) => client_certificate(alert),
        Response::Alert(alert) => Blame::likely(
            Cause::ProtoClosed,
            "the server ends the TLS session with an alert",
        )
        .because(format!("the server sent the TLS alert {alert}")),
        Response::Closed(received) | Response::Reset(received) => cut_short(heard, received, command, seen),
        Response::Timeout(received) => silent(received, command, seen),
    }
}

fn cut_short(heard: &Response, received: &[u8], command: &str, seen: &Observations) -> Blame {
    // What a second connection was told before it asked is what the first one's reset has eaten.
    if let Some(Experiment::PlainPing(second)) = &seen.experiment {
        if let Some(error) = second.error() {
            return refused(&error, "a second connection");
        }
        match second {
            Response::NotResp(banner) => return not_redis(banner, "on a second connection"),
            Response::Reply(_) if !second.is_pong() => return not_redis_reply(second, "a second connection"),
            _ => {}
        }
    }
    // What had no time to be told apart is not told apart.
    let is_untried = match &seen.experiment {
        Some(Experiment::ClientHello { result, .. }) => *result == TlsResult::TimedOut,
        Some(Experiment::NotConnected) => true,
        _ => false,
    };
    let how = if matches!(heard, Response::Reset(_)) {
        "reset"
    } else {
        "closed"
    };
    let got = if received.is_empty() {
        "nothing was received before".to_owned()
    } else {
        format!("received before: {}", quote(received))
    };
    let summary = format!("the connection was accepted, and {how} without a complete reply");
    let blame = if is_untried {
        Blame::likely(Cause::ProtoClosed, summary)
    } else {
        Blame::proved(Cause::ProtoClosed, summary)
    };
    blame
        .because(format!("TCP connected; after {command} the connection was {how}"))
        .because(got)
        .because_all(
            is_untried.then(|| {
                "there was no time to see whether TLS is spoken there: try a longer --timeout".into()
            }),
        )
}

/// What waiting without an answer proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Nothing: the journeys there and back take as long.
    TooShort,
    /// That what is sent does not arrive.
    LostPackets,
    /// That the other side has nothing to say.
    InVain,
}

impl Wait {
    pub(super) fn of(waited: Duration, connecting: Duration, flow: Option<PacketCounts>) -> Self {
        if waited < connecting.saturating_mul(FEW_ROUND_TRIPS) {
            Self::TooShort
        } else if flow.is_some_and(|flow| flow.unacknowledged > 0) {
            Self::LostPackets
        } else {
            Self::InVain
        }
    }

    pub(super) fn came_to(self, in_vain: &'static str) -> &'static str {
        match self {
            Self::TooShort => "no answer came in the time that there was",
            Self::LostPackets => "connections are accepted, and what is sent on them is lost on the way",
            Self::InVain => in_vain,
        }
    }
}

pub(super) fn far_away(connecting: Duration) -> String {
    format!(
        "connecting alone took {}: it may only be far away, try a longer --timeout",
        seconds(connecting)
    )
}

fn silent(received: &[u8], command: &str, seen: &Observations) -> Blame {
    let waited = if seen.login.is_some() && seen.ping.is_none() {
        seen.login_took
    } else {
        seen.ping_took
    };
    let wait = Wait::of(waited, seen.tcp_took, seen.packets);
    let summary = wait.came_to("the server accepts connections and never answers");
    let mut blame = match wait {
        Wait::TooShort => Blame::likely(Cause::ServerSilent, summary).because(far_away(seen.tcp_took)),
        Wait::LostPackets => Blame::likely(Cause::ServerSilent, summary),
        Wait::InVain => Blame::proved(Cause::ServerSilent, summary),
    }
    .because(format!(
        "TCP connected; {command} stayed without a complete reply for {}",
        seconds(waited)
    ));
    if !received.is_empty() {
        blame = blame.because(format!("only this arrived: {}", quote(received)));
    }
    blame = match &seen.experiment {
        Some(Experiment::ClientHello { .. }) => {
            blame.because("a TLS hello on a second connection got no answer either")
        }
        Some(Experiment::NotConnected) => blame.because("a second connection could not be made"),
        _ => blame,
    };
    blame.because_all(seen.packets.map(packets))
}

/// Judges an error reply that any command may get.
pub(super) fn refused(error: &str, command: &str) -> Blame {
    match ErrorReply::of(error) {
        Some(reply) if reply.cause == Cause::AuthNoPermission => no_permission(&[command], error),
        Some(reply) => Blame::proved(reply.cause, reply.summary()).because(quoted(command, error)),
        None => Blame::proved(
            Cause::ProtoNotRedis,
            "the server speaks RESP but does not support Redis commands",
        )
        .because(quoted(command, error)),
    }
}

pub(super) fn no_permission(commands: &[&str], error: &str) -> Blame {
    let list = commands.join(", ");
    Blame::proved(
        Cause::AuthNoPermission,
        format!("logged in, and not allowed to run {list}"),
    )
    .because(quoted(commands.first().unwrap_or(&"a command"), error))
}

/// Nothing is well that was not heard to be: a climb that ended early without a cause is a silence.
pub(super) fn unheard(seen: &Observations) -> Option<Blame> {
    seen.ping.is_none().then(|| {
        Blame::likely(
            Cause::ServerSilent,
            "the server accepts connections, and no complete reply came",
        )
        .because("the climb ended before PING")
    })
}

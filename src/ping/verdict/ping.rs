//! Determines the verdict on the responses to AUTH, PING and SELECT.

use super::error_reply::error_reply;
use super::finding::{Finding, replied};
use super::no_reply::BEHIND_PROXY;
use super::other_protocol::not_redis;
use super::reply::unusable;
use crate::ping::causes::{Cause, ErrorReply, knows_no_users};
use crate::ping::observation::{DialResult, Experiment, Observations};
use crate::ping::response::{Response, looks_like_tls};
use crate::redis_client::refusal::Refusal;
use crate::redis_url::Target;
use crate::sanitize;

pub(super) fn judge(target: &Target, seen: &Observations) -> Option<Finding> {
    if let Some(finding) = tls_required(seen) {
        return Some(finding);
    }
    if let Some(response) = &seen.auth.response
        && !response.is_ok()
    {
        return Some(judge_login(target, response, seen));
    }
    let response = seen.ping.response.as_ref()?;
    if response.is_pong() || seen.serves_without_ping() {
        return seen
            .requests
            .select
            .as_ref()
            .and_then(|response| judge_select(target, response, seen));
    }
    if let Some(finding) = login_error_after_ok("PING", response, target, seen) {
        return Some(finding);
    }
    // On a Sentinel, the user's permissions do not matter, because the data is on another server.
    if (response.is_forbidden() || response.is_unknown_command()) && seen.server.is_sentinel() {
        return None;
    }
    // If PING is renamed or forbidden, the read request shows why the server cannot be used.
    if let Some(read) = &seen.requests.read
        && read.error().is_some()
        && !(read.is_unknown_command() && response.is_unknown_command())
    {
        // SELECT is sent before the read request, so its error is the cause.
        let select = seen.requests.select.as_ref();
        if let Some(finding) = select.and_then(|select| judge_select(target, select, seen)) {
            let error = read.without(target.password.as_ref()).error();
            return Some(finding.facts(error.map(|error| replied("HGETALL", &error))));
        }
        let behind_proxy = login_error_after_ok("HGETALL", read, target, seen);
        return Some(
            behind_proxy
                .unwrap_or_else(|| unusable(&read.without(target.password.as_ref()), "HGETALL", seen)),
        );
    }
    // PING is forbidden or renamed, but the later requests got no reply, so the connection is at fault.
    if seen.requests.read.is_none() && seen.requests.stopped_at.is_some() {
        return None;
    }
    // The reply to PING may be a late reply to AUTH, which may contain the password.
    Some(unusable(
        &response.without(target.password.as_ref()),
        "PING",
        seen,
    ))
}

/// Returns the finding about a login error in reply to a later command, although the reply to AUTH was `OK`.
fn login_error_after_ok(
    command: &str,
    response: &Response,
    target: &Target,
    seen: &Observations,
) -> Option<Finding> {
    let is_logged_in = seen.is_logged_in();
    let cause = ErrorReply::of(&response.error().filter(|_| is_logged_in)?)?.cause;
    // The reply may contain the password.
    let error = response.without(target.password.as_ref()).error()?;
    match cause {
        Cause::AuthRequired => Some(no_login_behind_proxy(command, &error, seen)),
        Cause::AuthFailed | Cause::AuthNotConfigured => Some(
            Finding::proved(Cause::ProtoUnexpected)
                .fact("AUTH got OK")
                .fact(replied(command, &error))
                .fact("this is the reply to AUTH, so each reply arrives one request late"),
        ),
        _ => None,
    }
}

/// Returns the finding about a proxy that accepts the password, but does not log in to Redis.
///
/// The finding is proved if PING got a correct reply, or if `command` is PING. Otherwise, the `OK` to AUTH
/// may be a late reply to an earlier request.
pub(super) fn no_login_behind_proxy(command: &str, error: &str, seen: &Observations) -> Finding {
    Finding::proved_if(seen.has_pong() || command == "PING", Cause::ProxyNoBackend)
        .summary(BEHIND_PROXY)
        .fact("AUTH got OK")
        .replied(command, error)
}

/// Returns the finding about a run that ended before PING, if no other cause was found.
pub(super) fn judge_missing(seen: &Observations) -> Option<Finding> {
    seen.ping.response.is_none().then(|| {
        Finding::likely(Cause::ServerSilent)
            .fact("the run ended before PING was sent, so it is not known whether the server replies")
    })
}

/// Returns the finding about a server that replied to a ClientHello on a second connection, but never to
/// plain text.
fn tls_required(seen: &Observations) -> Option<Finding> {
    let (result, inside) = match &seen.experiments.other_protocol {
        Some(Experiment::ClientHello { result, inside }) => (result, inside),
        Some(Experiment::NotConnected(DialResult::Timeout { .. })) => return tls_untested(seen),
        _ => return None,
    };
    let has_replied = [&seen.auth.response, &seen.ping.response]
        .into_iter()
        .flatten()
        .any(|response| matches!(response, Response::Reply(_)));
    if !result.is_tls() || has_replied {
        return None;
    }
    if let Some(Response::NotResp(received)) = inside {
        return Some(not_redis(received, "inside TLS, on a second connection"));
    }
    let plain = match seen.auth.response.as_ref().or(seen.ping.response.as_ref()) {
        Some(Response::Closed(_) | Response::Reset(_)) => {
            "the plain-text connection was closed without a reply"
        }
        Some(Response::NotResp(_)) => "the plain-text PING got a TLS alert in reply",
        _ => "the plain-text connection got no reply",
    };
    Some(
        Finding::proved(Cause::TlsRequired)
            .fact(plain)
            .fact("on a second connection, a TLS ClientHello got a TLS reply"),
    )
}

/// Returns the finding about a server that immediately closes a plain-text connection, as Redis does on a TLS
/// port. The cause is only likely, because no second connection could be opened.
fn tls_untested(seen: &Observations) -> Option<Finding> {
    let first = seen.auth.response.as_ref().or(seen.ping.response.as_ref())?;
    let is_rejected = match first {
        Response::Closed(received) | Response::Reset(received) => received.is_empty(),
        Response::NotResp(received) => looks_like_tls(received),
        _ => false,
    };
    let repeat = seen.experiments.repeat.as_ref();
    let is_alone = repeat.is_none_or(|repeat| repeat.exchanges.is_empty());
    (is_rejected && is_alone && !seen.is_logged_in()).then(|| {
        Finding::likely(Cause::TlsRequired)
            .summary("the server probably speaks TLS: it rejected the plain-text connection without a reply")
            .fact("if a port expects TLS, Redis closes plain-text connections without a reply")
            .fact("TLS was not tested, because the attempt to open a second connection got no reply")
    })
}

/// Returns the finding about a response to AUTH other than `OK`.
fn judge_login(target: &Target, response: &Response, seen: &Observations) -> Finding {
    let masked = response.without(target.password.as_ref());
    // The cause depends on the original text. Masking would change the text if the password is a word in it.
    let (Some(error), Some(shown)) = (response.error(), masked.error()) else {
        return unusable(&masked, "AUTH", seen);
    };
    let lower = error.to_lowercase();
    if let Some(read) = seen.auth.required_after_all() {
        const WITHOUT_LOGIN: &str = "HGETALL without a login";
        if lower.contains("unknown command") {
            return Finding::proved(Cause::ServerRefused)
                .summary("the server requires a login, but its AUTH command is renamed or disabled")
                .replied("AUTH", &shown)
                .fact(replied(WITHOUT_LOGIN, &read));
        }
        return Finding::likely(Cause::ProxyNoBackend)
            .summary("a proxy has no password, but the Redis server behind the proxy requires a login")
            .fact(replied("AUTH", &shown))
            .replied(WITHOUT_LOGIN, &read);
    }
    let finding = match ErrorReply::of(&error).map(|reply| reply.cause) {
        Some(Cause::AuthNotConfigured) => Finding::proved(Cause::AuthNotConfigured),
        Some(Cause::AuthFailed) => return wrong_password(target, &shown, seen),
        _ if lower.contains("unknown command") => Finding::proved(Cause::AuthNotConfigured)
            .summary("the URL has a password, but the server does not support AUTH"),
        _ if target.user.is_some() && lower.contains("wrong number of arguments") => {
            return Finding::proved(Cause::AuthFailed)
                .summary("the server accepts only a password, but the URL also contains a user name")
                .replied("AUTH", &shown)
                .fact("servers older than Redis 6 do not support user names");
        }
        // Services that imitate Redis have their own error messages.
        None if Refusal::of(&error) == Refusal::Other
            && ["auth", "password", "credential", "login"]
                .iter()
                .any(|word| lower.contains(word)) =>
        {
            Finding::likely(Cause::AuthFailed).summary("the server refuses the login")
        }
        _ => return unusable(&masked, "AUTH", seen),
    };
    finding.replied("AUTH", &shown)
}

fn wrong_password(target: &Target, error: &str, seen: &Observations) -> Finding {
    let whose = if seen.is_at_sentinel() {
        "the Sentinel"
    } else {
        "the server"
    };
    let user = target.user.as_deref().map_or_else(
        || "the default user".into(),
        |user| format!("the user {}", sanitize::line(user)),
    );
    let finding = Finding::proved(Cause::AuthFailed)
        .summary(format!("{whose} does not accept the password for {user}"))
        .replied("AUTH", error);
    if knows_no_users(error) {
        return finding
            .fact("Redis 6 and later versions send another reply, so this is an older version, a proxy or another product");
    }
    finding.fact("the reply is the same for a wrong user, a wrong password and a disabled user")
}

/// Whether an error reply to SELECT is about something other than the database or the command.
fn is_about_something_else(error: &str) -> bool {
    let lower = error.to_lowercase();
    !["db", "database", "select", "command", "index"]
        .iter()
        .any(|word| lower.contains(word))
}

/// Returns the finding about a response to SELECT. A Sentinel does not support SELECT, so [`super::role`]
/// handles Sentinels.
fn judge_select(target: &Target, response: &Response, seen: &Observations) -> Option<Finding> {
    if response.is_granted() || seen.server.is_sentinel() {
        return None;
    }
    let Some(error) = response.error() else {
        return Some(unusable(response, "SELECT", seen));
    };
    let known = ErrorReply::of(&error).map(|reply| reply.cause);
    if known == Some(Cause::AuthRequired) && seen.is_logged_in() {
        return Some(no_login_behind_proxy("SELECT", &error, seen));
    }
    // If SELECT is renamed or disabled, the database may exist.
    let is_unknown = error.to_lowercase().contains("unknown command");
    if known.is_some() || is_unknown || is_about_something_else(&error) {
        return Some(error_reply(&error, "SELECT", seen));
    }
    Some(
        Finding::proved(Cause::DbIndex)
            .summary(format!("the server has no database {}", target.db))
            .replied("SELECT", &error),
    )
}

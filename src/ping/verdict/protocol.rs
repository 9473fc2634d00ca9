//! The verdict on what the server says, once there is a connection to say it on.

use std::time::Duration;

use redis::Value;

use super::Blame;
use super::network::{client_certificate, packets, seconds};
use crate::ping::catalogue::Code;
use crate::ping::observation::{Experiment, Heard, Observations, Rehearsal, StandIn, TlsResult};
use crate::ping::rungs::tls::wants_client_certificate;
use crate::sanitize;
use crate::target::Target;

/// A wait that is no longer than this many journeys there and back proves little.
const FEW_ROUND_TRIPS: u32 = 3;
/// Round trips of which several may not fit into the time.
const SLOW: Duration = Duration::from_millis(100);
/// How much of a foreign answer is quoted.
const QUOTED: usize = 60;

/// AUTH, PING and SELECT.
pub(super) fn conversation(target: &Target, seen: &Observations) -> Option<Blame> {
    if let Some(Experiment::TlsHello { result, inside }) = &seen.experiment {
        // Nothing but TLS is understood there; what runs inside it decides whether that is a Redis.
        let has_answered = [&seen.login, &seen.ping]
            .into_iter()
            .flatten()
            .any(|heard| matches!(heard, Heard::Reply(_)));
        if result.is_tls() && !has_answered {
            return Some(match inside {
                Some(Heard::Other(received)) => not_redis(received, "inside TLS, on a second connection"),
                _ => tls_required(seen),
            });
        }
    }
    if let Some(heard) = &seen.login
        && !heard.is_ok()
    {
        return Some(refused_login(target, heard, seen));
    }
    let heard = seen.ping.as_ref()?;
    let stand_in = seen.stand_in.as_ref();
    if heard.is_pong() || stand_in.is_some_and(StandIn::is_served) {
        return seen
            .select
            .as_ref()
            .and_then(|heard| refused_select(target, heard, seen));
    }
    // A PING that was renamed or forbidden hides what keeps every other command from being served.
    if let Some(StandIn { name, heard }) = stand_in
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
        Some(Heard::Closed(_) | Heard::Reset(_)) => "the plain connection was closed without a reply",
        Some(Heard::Other(_)) => "the plain PING was answered with a TLS alert",
        _ => "the plain connection was met with silence",
    };
    Blame::proved(
        Code::TlsRequired,
        "the URL is plain, and the server speaks TLS there",
    )
    .because(plain)
    .because("a TLS hello on a second connection was answered in TLS")
}

fn refused_login(target: &Target, heard: &Heard, seen: &Observations) -> Blame {
    let shown = heard.without(target.password.as_ref());
    // Judged as it was said: "no password is set" is no less true where the password is "password".
    let (Some(error), Some(said)) = (heard.error(), shown.error()) else {
        return unusable(&shown, "AUTH", seen);
    };
    let lower = error.to_lowercase();
    // Protected mode says "no password is set" as well, and is the greater truth.
    let is_denied = error.starts_with("DENIED");
    if !is_denied
        && (lower.contains("without any password configured") || lower.contains("no password is set"))
    {
        return Blame::proved(
            Code::AuthNotConfigured,
            "the URL has a password, and the server has none set",
        )
        .because(quoted("AUTH", &said));
    }
    if lower.contains("unknown command") {
        return Blame::proved(
            Code::AuthNotConfigured,
            "the URL has a password, and the server knows no log-in",
        )
        .because(quoted("AUTH", &said));
    }
    if target.user.is_some() && lower.contains("wrong number of arguments") {
        return Blame::proved(
            Code::AuthFailed,
            "the server takes a password alone, and the URL names a user too",
        )
        .because(quoted("AUTH", &said))
        .because("servers before Redis 6 know no users: leave the name out, as in redis://:PASSWORD@HOST");
    }
    if error.starts_with("WRONGPASS")
        || lower.contains("invalid password")
        || lower.contains("invalid username")
    {
        let user = target.user.as_deref().map_or_else(
            || "the default user".into(),
            |user| format!("the user {}", sanitize::line(user)),
        );
        let mut blame = Blame::proved(
            Code::AuthFailed,
            format!("the server does not accept the password for {user}"),
        )
        .because(quoted("AUTH", &said))
        .because("a wrong user name, a wrong password and a user that is switched off are answered alike");
        if target
            .password
            .as_ref()
            .is_some_and(|password| password.reveal().contains("/?Action=connect"))
        {
            blame = blame.because("the password is an IAM token: it lives for 15 minutes");
        }
        return blame;
    }
    unusable(&shown, "AUTH", seen)
}

fn refused_select(target: &Target, heard: &Heard, seen: &Observations) -> Option<Blame> {
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
        Blame::proved(Code::DbIndex, format!("the server has no database {db}"))
            .because(quoted("SELECT", &error)),
    )
}

/// What an answer other than the hoped-for one means.
fn unusable(heard: &Heard, command: &str, seen: &Observations) -> Blame {
    match heard {
        Heard::Reply(_) => match heard.error() {
            Some(error) => refused(&error, command),
            None => not_redis_reply(heard, command),
        },
        Heard::Other(received) => not_redis(received, &format!("to {command}")),
        Heard::Alert(alert) if wants_client_certificate(alert) => client_certificate(alert),
        Heard::Alert(alert) => {
            Blame::likely(Code::ProtoClosed, "the server ends the TLS session with an alert")
                .because(format!("the server sent the TLS alert {alert}"))
        }
        Heard::Closed(received) | Heard::Reset(received) => cut_short(heard, received, command, seen),
        Heard::Silence(received) => silent(received, command, seen),
    }
}

fn cut_short(heard: &Heard, received: &[u8], command: &str, seen: &Observations) -> Blame {
    // What a second connection was told before it asked is what the first one's reset has eaten.
    if let Some(Experiment::PlainPing(second)) = &seen.experiment {
        if let Some(error) = second.error() {
            return refused(&error, "a second connection");
        }
        match second {
            Heard::Other(banner) => return not_redis(banner, "on a second connection"),
            Heard::Reply(_) if !second.is_pong() => return not_redis_reply(second, "a second connection"),
            _ => {}
        }
    }
    // What had no time to be told apart is not told apart.
    let is_untried = match &seen.experiment {
        Some(Experiment::TlsHello { result, .. }) => *result == TlsResult::TimedOut,
        Some(Experiment::NotConnected) => true,
        _ => false,
    };
    let how = if matches!(heard, Heard::Reset(_)) {
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
        Blame::likely(Code::ProtoClosed, summary)
    } else {
        Blame::proved(Code::ProtoClosed, summary)
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

fn silent(received: &[u8], command: &str, seen: &Observations) -> Blame {
    let waited = if seen.login.is_some() && seen.ping.is_none() {
        seen.login_took
    } else {
        seen.ping_took
    };
    let is_slow = waited < seen.tcp_took.saturating_mul(FEW_ROUND_TRIPS);
    let is_lost = seen.flow.is_some_and(|flow| flow.unacknowledged > 0);
    let mut blame = if is_slow {
        Blame::likely(Code::ServerSilent, "no answer came in the time that there was").because(format!(
            "connecting alone took {}: it may only be far away, try a longer --timeout",
            seconds(seen.tcp_took)
        ))
    } else if is_lost {
        Blame::likely(
            Code::ServerSilent,
            "connections are accepted, and what is sent on them is lost on the way",
        )
    } else {
        Blame::proved(
            Code::ServerSilent,
            "the server accepts connections and never answers",
        )
    }
    .because(format!(
        "TCP connected; {command} stayed without a complete reply for {}",
        seconds(waited)
    ));
    if !received.is_empty() {
        blame = blame.because(format!("only this arrived: {}", quote(received)));
    }
    blame = match &seen.experiment {
        Some(Experiment::TlsHello { .. }) => {
            blame.because("a TLS hello on a second connection got no answer either")
        }
        Some(Experiment::NotConnected) => blame.because("a second connection could not be made"),
        _ => blame,
    };
    blame.because_all(seen.flow.map(packets))
}

/// PING was answered, and what followed it was not.
fn fell_silent(seen: &Observations) -> Blame {
    Blame::likely(
        Code::ServerSilent,
        "the server answers PING, and falls silent afterwards",
    )
    .because("the rehearsal of the tutorial's commands stayed without an answer")
    .because_all(super::median(&seen.round_trips).gt(&SLOW).then(|| {
        format!(
            "a round trip takes {}: try a longer --timeout",
            seconds(super::median(&seen.round_trips))
        )
    }))
    .because_all(seen.flow.map(packets))
}

/// An error reply that any command may be given.
fn refused(error: &str, command: &str) -> Blame {
    let lower = error.to_lowercase();
    let code = error.split(' ').next().unwrap_or_default();
    let (cause, summary) = match code {
        "NOAUTH" => (
            Code::AuthRequired,
            "the server wants a password, and the URL has none",
        ),
        "NOPERM" => return no_permission(&[command], error),
        "DENIED" => (
            Code::ServerProtectedMode,
            "Redis is in protected mode: it takes clients of its own host only",
        ),
        "LOADING" => (
            Code::ServerLoading,
            "Redis is loading its data set, and answers once it is done",
        ),
        "BUSY" => (
            Code::ServerBusy,
            "a script keeps Redis busy; nobody else is served meanwhile",
        ),
        "OOM" => (
            Code::ServerOutOfMemory,
            "Redis is out of memory, and refuses to write",
        ),
        "MISCONF" => (
            Code::ServerMisconf,
            "Redis has stopped writes, because it cannot save its data to disk",
        ),
        "NOREPLICAS" => (
            Code::ServerNoReplicas,
            "too few replicas are in step, so Redis refuses to write",
        ),
        "READONLY" => (
            Code::RoleReplica,
            "this is a read-only replica: it refuses to write",
        ),
        "MASTERDOWN" => (
            Code::RoleMasterDown,
            "a replica that has lost its primary, and may not serve stale data",
        ),
        "CLUSTERDOWN" => (
            Code::ClusterDown,
            "the cluster is down: it does not serve this key's slot",
        ),
        // Before Redis 2.8 the refusal had no word of its own.
        _ if error == "ERR operation not permitted" => (
            Code::AuthRequired,
            "the server wants a password, and the URL has none",
        ),
        _ if lower.contains("max number of clients") => (
            Code::ServerMaxClients,
            "Redis has as many clients as it takes, and turns new ones away",
        ),
        _ if lower.contains("without any password configured") || lower.contains("no password is set") => (
            Code::AuthNotConfigured,
            "the URL has a password, and the server has none set",
        ),
        _ => (
            Code::ProtoNotRedis,
            "what answers speaks Redis's protocol, and does not serve Redis's commands",
        ),
    };
    Blame::proved(cause, summary).because(quoted(command, error))
}

fn no_permission(commands: &[&str], error: &str) -> Blame {
    let list = commands.join(", ");
    Blame::proved(
        Code::AuthNoPermission,
        format!("logged in, and not allowed to run {list}"),
    )
    .because(quoted(commands.first().unwrap_or(&"a command"), error))
}

/// A reply in Redis's protocol that no Redis gives to that command.
pub(super) fn not_redis_reply(heard: &Heard, command: &str) -> Blame {
    let shown = match heard {
        Heard::Reply(Value::SimpleString(text)) => sanitize::excerpt(text.as_bytes(), QUOTED),
        Heard::Reply(value) => crate::wire::reply_lines(value)
            .first()
            .cloned()
            .unwrap_or_default(),
        _ => String::new(),
    };
    let named = name_of(format!("+{shown}").as_bytes()).map_or_else(String::new, |name| format!(": {name}"));
    Blame::proved(
        Code::ProtoNotRedis,
        format!("something that is not Redis answers{named}"),
    )
    .because(format!(
        "{command} was answered: {}",
        sanitize::excerpt(shown.as_bytes(), QUOTED)
    ))
}

/// Something else answers; it is named where its first bytes tell.
pub(super) fn not_redis(received: &[u8], when: &str) -> Blame {
    let named = name_of(received).map_or_else(|| "something that is not Redis".into(), str::to_owned);
    Blame::proved(Code::ProtoNotRedis, format!("{named} answers there, not Redis"))
        .because(format!("received {when}: {}", quote(received)))
}

/// What well-known servers say first, or to a stranger.
fn name_of(received: &[u8]) -> Option<&'static str> {
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
        () if starts(b"ERROR\r\n") || starts(b"CLIENT_ERROR") || starts(b"SERVER_ERROR") => "a memcached",
        () if starts(b"AMQP") => "an AMQP broker (RabbitMQ)",
        () if text.contains("mysql") || text.contains("mariadb") || received.get(3..5) == Some(b"\0\x0a") => {
            "a MySQL or MariaDB"
        }
        () if starts(b"INFO {") => "a NATS server",
        () if starts(b"RFB ") => "a VNC server",
        () if text.contains("postgres") || starts(b"E\0\0\0") => "a PostgreSQL",
        _ => return None,
    })
}

fn quote(received: &[u8]) -> String {
    format!("\"{}\"", sanitize::excerpt(received, QUOTED))
}

fn quoted(command: &str, error: &str) -> String {
    format!(
        "{command} was answered: {}",
        sanitize::excerpt(error.as_bytes(), 160)
    )
}

/// Nothing is well that was not heard to be: a climb that ended early without a cause is a silence.
pub(super) fn unheard(seen: &Observations) -> Option<Blame> {
    seen.ping.is_none().then(|| {
        Blame::likely(
            Code::ServerSilent,
            "the server accepts connections, and no complete reply came",
        )
        .because("the climb ended before PING")
    })
}

/// What the server is, and what the rehearsal showed.
pub(super) fn role(_target: &Target, seen: &Observations) -> Option<Blame> {
    let server = &seen.server;
    if let Some(blame) = not_a_role(server.role.as_ref()) {
        return Some(blame);
    }
    if server.is_sentinel() {
        let primary = server
            .sentinel_primary
            .as_ref()
            .map(|primary| format!("it watches the primary at {primary}"));
        return Some(
            Blame::proved(
                Code::RoleSentinel,
                "a Sentinel answers there, which holds no data",
            )
            .because("ROLE and INFO say that it is a Sentinel")
            .because_all(primary),
        );
    }
    cluster(seen).or_else(|| rehearsal(seen.rehearsal.as_ref()?, seen))
}

/// ROLE is answered with a list or an error: whoever says something else only knows how to say PONG.
fn not_a_role(role: Option<&Value>) -> Option<Blame> {
    match role? {
        Value::Array(_) | Value::ServerError(_) | Value::Nil => None,
        other => {
            let blame = not_redis_reply(&Heard::Reply(other.clone()), "ROLE");
            Some(blame.because("PING was answered with PONG, whatever that is worth there"))
        }
    }
}

fn cluster(seen: &Observations) -> Option<Blame> {
    let server = &seen.server;
    let state = server.cluster_state.as_deref().filter(|state| *state != "ok");
    let read = server
        .cluster_read
        .as_ref()
        .and_then(Heard::error)
        .filter(|error| error.starts_with("CLUSTERDOWN"));
    if state.is_none() && read.is_none() {
        return None;
    }
    let facts = [
        state.map(|state| format!("CLUSTER INFO says cluster_state:{}", sanitize::line(state))),
        read.map(|error| quoted("GET", &error)),
    ];
    Some(
        Blame::proved(
            Code::ClusterDown,
            "the node answers, and the cluster that it belongs to is down",
        )
        .because("PING was answered with PONG")
        .because_all(facts.into_iter().flatten()),
    )
}

/// The first refusal names the truth: EXEC's own error only repeats that there was one.
fn rehearsal(rehearsal: &Rehearsal, seen: &Observations) -> Option<Blame> {
    let is_replica = seen.server.is_replica();
    let denied: Vec<&str> = rehearsal
        .queued
        .iter()
        .filter(|(_, heard)| heard.error().is_some_and(|error| error.starts_with("NOPERM")))
        .map(|(name, _)| *name)
        .collect();
    let first = rehearsal
        .queued
        .iter()
        .find_map(|(name, heard)| Some((*name, heard.error()?)));
    if let Some((name, error)) = first {
        return if denied.is_empty() {
            refused_write(name, &error, is_replica)
        } else {
            Some(no_permission(&denied, &error))
        };
    }
    if let Some(error) = rehearsal.executed.error() {
        return refused_write("EXEC", &error, is_replica);
    }
    match &rehearsal.executed {
        Heard::Reply(Value::Array(replies)) => replies.iter().find_map(|reply| match reply {
            Value::ServerError(error) => refused_write("EXEC", &crate::wire::error_text(error), is_replica),
            _ => None,
        }),
        Heard::Reply(_) => None,
        Heard::Silence(_) => Some(fell_silent(seen)),
        other => Some(unusable(other, "the rehearsal", &Observations::default())),
    }
}

fn refused_write(command: &str, error: &str, is_replica: bool) -> Option<Blame> {
    let error = error
        .strip_prefix("EXECABORT Transaction discarded because of: ")
        .unwrap_or(error);
    if error.starts_with("MOVED") || error.starts_with("ASK") {
        // A primary that sends elsewhere serves another slot, or none: clients of the cluster protocol follow it.
        return is_replica.then(|| {
            Blame::proved(
                Code::RoleReplica,
                "this node of the cluster is a replica: it sends writes to its primary",
            )
            .because(quoted(command, error))
        });
    }
    Some(refused(error, command))
}

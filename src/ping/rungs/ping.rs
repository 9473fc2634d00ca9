//! Checks the login and PING. Sends AUTH, PING, and the requests to which a working connection must reply,
//! and measures round trips. AUTH is sent without a client library, because libraries hide the server's
//! reply.

use std::time::{Duration, Instant};

use redis::{Cmd, Value, cmd};

use crate::deadline::Deadline;
use crate::ping::conclusions::is_uneven;
use crate::ping::observation::{Echo, Exchange};
use crate::ping::response::{Response, ask, receive};
use crate::random;
use crate::redis_client::{ProbeConnection, auth_command};
use crate::redis_url::Target;
use crate::secret::Secret;
use crate::session::KEY_PREFIX;

/// The number of round trips that `ping` normally measures.
const ROUND_TRIPS: usize = 5;
/// The number of additional round trips that `ping` measures if the first round trips are uneven, because a
/// single slow round trip may be due to chance.
const MORE_ROUND_TRIPS: usize = 10;
/// The number of round trips for which time is reserved. The check of the role needs them to read the cluster
/// state and to test writing.
const RESERVED_ROUND_TRIPS: u32 = 8;
/// The share of the remaining time in which the server must reply to requests about itself.
const DESCRIPTION_SHARE: f64 = 0.75;
/// The size of the value in the large ECHO request, in bytes. The request fills several packets, but fits
/// into a server's buffers.
const LARGE: usize = 4096;

/// Sends AUTH. If there is no user, the password is the only argument.
pub(crate) async fn log_in(
    connection: &mut ProbeConnection,
    user: Option<&str>,
    password: &Secret,
    deadline: Deadline,
) -> Response {
    ask(connection, &auth_command(user, password), deadline).await
}

/// Logs in with the user and password in the URL. Returns `None` if the URL contains no password.
pub(crate) async fn log_in_to(
    target: &Target,
    connection: &mut ProbeConnection,
    deadline: Deadline,
) -> Option<Response> {
    let password = target.password.as_ref()?;
    Some(log_in(connection, target.user.as_deref(), password, deadline).await)
}

pub(crate) async fn observe(connection: &mut ProbeConnection, deadline: Deadline) -> Response {
    ask(connection, &cmd("PING"), deadline).await
}

/// The requests after PING. The replies cannot be confused, because each reply has a different form, and the
/// value of ECHO is unique.
pub(crate) struct Requests {
    commands: Vec<(&'static str, Cmd)>,
    value: String,
}

impl Requests {
    pub(crate) fn of(target: &Target) -> Self {
        let mut value = random::hexadecimal::<16>();
        value.extend(std::iter::repeat_n('.', LARGE - value.len()));
        let select = (target.db > 0).then(|| ("SELECT", cmd("SELECT").arg(target.db).clone()));
        let others = [
            ("HGETALL", read()),
            ("ECHO", cmd("ECHO").arg(&value).clone()),
            ("HELLO", cmd("HELLO")),
            ("ROLE", cmd("ROLE")),
            ("INFO", cmd("INFO")),
            // An ACL or a provider may forbid CONFIG. Before Redis 5, the second setting was called
            // min-slaves-to-write.
            (CONFIG, config("timeout")),
            (CONFIG, config("min-*-to-write")),
        ];
        let commands = select.into_iter().chain(others).collect();
        Self { commands, value }
    }

    /// Returns only the requests for information about the server.
    pub(crate) fn about_the_server() -> Self {
        Self {
            commands: vec![("ROLE", cmd("ROLE")), ("INFO", cmd("INFO"))],
            value: String::new(),
        }
    }

    /// Sends all requests, then reads the replies until one is missing.
    ///
    /// The large request is sent in a separate write, so that earlier requests get through even if its
    /// packets are lost. Later requests only ask about the server, and have a shorter time limit. This leaves
    /// time for a second connection and the write test.
    pub(crate) async fn pipeline(
        &self,
        connection: &mut ProbeConnection,
        deadline: Deadline,
    ) -> Vec<Exchange> {
        let is_large = |(name, _): &(&str, Cmd)| *name == "ECHO";
        for part in self
            .commands
            .chunk_by(|one, next| is_large(one) == is_large(next))
        {
            let part: Vec<_> = part.iter().map(|(_, command)| command.clone()).collect();
            // A server may reject a request and close the connection. The data that it sent before can still
            // be read.
            if connection.send(&part, deadline).await.is_err() {
                break;
            }
        }
        let mut exchanges = Vec::new();
        let mut until = deadline;
        for (command, _) in &self.commands {
            let response = receive(connection, until).await;
            exchanges.push(Exchange { command, response });
            if !exchanges.last().is_some_and(Exchange::is_answered) {
                break;
            }
            if *command == "ECHO" {
                until = deadline.within(deadline.left().mul_f64(DESCRIPTION_SHARE));
            }
        }
        exchanges
    }

    /// Sends one request at a time. Stops at the first request without a reply within `patience`.
    pub(crate) async fn one_at_a_time(
        &self,
        connection: &mut ProbeConnection,
        patience: Duration,
        deadline: Deadline,
    ) -> Vec<Exchange> {
        let mut exchanges = Vec::new();
        for (command, request) in &self.commands {
            let response = ask(connection, request, deadline.within(patience)).await;
            exchanges.push(Exchange { command, response });
            if !exchanges.last().is_some_and(Exchange::is_answered) {
                break;
            }
        }
        exchanges
    }

    /// Returns the response to ECHO. Returns `None` if no complete reply to ECHO arrived.
    pub(crate) fn echo(&self, exchanges: &[Exchange]) -> Option<Echo> {
        let is_value = |response: &Response| matches!(response, Response::Reply(Value::BulkString(bytes)) if bytes == self.value.as_bytes());
        if let Some(exchange) = exchanges.iter().find(|exchange| is_value(&exchange.response)) {
            return Some(match exchange.command {
                "ECHO" => Echo::Same,
                other => Echo::InReplyTo(other),
            });
        }
        let echo = exchanges.iter().find(|exchange| exchange.command == "ECHO")?;
        match &echo.response {
            response @ Response::Reply(_) => Some(match response.error() {
                Some(error) => Echo::Refused(error),
                None => Echo::Other(response.clone()),
            }),
            _ => None,
        }
    }

    /// Sends only the large ECHO request. Returns whether any reply arrives, which may be an error reply.
    pub(crate) async fn is_echoed(&self, connection: &mut ProbeConnection, deadline: Deadline) -> bool {
        let response = ask(connection, cmd("ECHO").arg(&self.value), deadline).await;
        matches!(response, Response::Reply(_))
    }
}

/// The name of the request for settings that can explain later failures.
pub(crate) const CONFIG: &str = "CONFIG GET";

fn config(pattern: &str) -> Cmd {
    cmd("CONFIG").arg("GET").arg(pattern).clone()
}

/// Returns a read request, which changes nothing. The command is HGETALL, which every user of the tutorial
/// has permission to run.
pub(crate) fn read() -> Cmd {
    read_key(&format!("{KEY_PREFIX}ping"))
}

/// Like [`read`], but for `key`.
pub(crate) fn read_key(key: &str) -> Cmd {
    cmd("HGETALL").arg(key).clone()
}

/// Measures round trips of `command`, and appends them to `round_trips`.
///
/// `hint` is a round trip that was measured in a different way. If the results are uneven, or differ much
/// from `hint`, measures additional round trips.
pub(crate) async fn measure(
    connection: &mut ProbeConnection,
    command: &Cmd,
    hint: Duration,
    round_trips: &mut Vec<Duration>,
    deadline: Deadline,
) {
    let mut wanted = ROUND_TRIPS;
    loop {
        if round_trips.len() >= wanted {
            let with_hint: Vec<_> = round_trips.iter().copied().skip(1).chain([hint]).collect();
            let is_uneven = is_uneven(round_trips) || is_uneven(&with_hint);
            if wanted > ROUND_TRIPS || !is_uneven {
                return;
            }
            wanted += MORE_ROUND_TRIPS;
        }
        // On a slow connection, leave the remaining time to the role check.
        let last = round_trips.last().copied().unwrap_or_default().min(hint);
        if deadline.left() <= last.saturating_mul(RESERVED_ROUND_TRIPS) {
            return;
        }
        let sent = Instant::now();
        if !matches!(ask(connection, command, deadline).await, Response::Reply(_)) {
            return;
        }
        round_trips.push(sent.elapsed());
    }
}

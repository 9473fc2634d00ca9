//! Determines the verdict on data that Redis does not send.

use redis::Value;

use super::finding::Finding;
use crate::ping::causes::Cause;
use crate::ping::response::Response;
use crate::sanitize;

/// The maximum number of bytes that are quoted from an unknown protocol.
pub(super) const QUOTED: usize = 60;

/// Returns the finding about a RESP reply that Redis never sends in response to `command` on a new
/// connection. Only the greeting of a POP3 server, or the request itself, shows that the server is not Redis.
pub(super) fn unexpected_reply(response: &Response, command: &str) -> Finding {
    let text = match response {
        Response::Reply(Value::SimpleString(text)) => text.clone(),
        Response::Reply(value) => {
            let lines = crate::redis_client::reply_lines(value);
            lines.first().cloned().unwrap_or_default()
        }
        _ => String::new(),
    };
    let shown = sanitize::excerpt(text.as_bytes(), QUOTED);
    let fact = format!("reply to {command}: {shown}");
    if response.is_greeting() {
        return another_server(format!("+{shown}").as_bytes()).fact(fact);
    }
    if returns_request(response, command) {
        return Finding::proved(Cause::ProtoNotRedis)
            .summary("the server sends back what it receives, so it is not Redis")
            .fact(fact);
    }
    let summary = match response {
        Response::Reply(Value::SimpleString(text)) if text == "QUEUED" => {
            "a new connection is already in a transaction (MULTI); perhaps a proxy shares connections"
                .to_owned()
        }
        // The reply to PING after SUBSCRIBE.
        Response::Reply(Value::Array(items)) if items.first() == Some(&Value::BulkString(b"pong".into())) => {
            "a new connection is already in subscribe mode; perhaps a proxy shares connections".to_owned()
        }
        _ => format!("the server sends an unexpected reply to {command}: {shown}"),
    };
    Finding::likely(Cause::ProtoUnexpected)
        .summary(summary)
        .fact(fact)
}

/// Whether the reply is the request itself, as an echo service sends it. `command` may be a phrase that contains
/// the command.
fn returns_request(response: &Response, command: &str) -> bool {
    let Response::Reply(Value::Array(items)) = response else {
        return false;
    };
    matches!(items.first(), Some(Value::BulkString(first))
        if command.split(' ').any(|word| word.as_bytes() == first.as_slice()))
}

/// Returns the finding about bytes that are not RESP. `when` says when or where they arrived, such as `in
/// reply to PING`.
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

/// Identifies the server's protocol by the first bytes. Returns `None` for an unknown protocol.
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

pub(super) fn quote(received: &[u8]) -> String {
    format!("\"{}\"", sanitize::excerpt(received, QUOTED).replace('"', "\\\""))
}

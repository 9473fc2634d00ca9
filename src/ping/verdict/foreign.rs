//! What answers and is no Redis, named where its first bytes tell.

use redis::Value;

use super::Blame;
use crate::ping::causes::Cause;
use crate::ping::response::Response;
use crate::sanitize;

/// How much of a foreign answer is quoted.
const QUOTED: usize = 60;

/// A reply in Redis's protocol that no Redis gives to that command.
pub(super) fn not_redis_reply(heard: &Response, command: &str) -> Blame {
    let shown = match heard {
        Response::Reply(Value::SimpleString(text)) => sanitize::excerpt(text.as_bytes(), QUOTED),
        Response::Reply(value) => crate::redis_client::reply_lines(value)
            .first()
            .cloned()
            .unwrap_or_default(),
        _ => String::new(),
    };
    let named = name_of(format!("+{shown}").as_bytes()).map_or_else(String::new, |name| format!(": {name}"));
    Blame::proved(
        Cause::ProtoNotRedis,
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
    Blame::proved(Cause::ProtoNotRedis, format!("{named} answers there, not Redis"))
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

pub(super) fn quote(received: &[u8]) -> String {
    format!("\"{}\"", sanitize::excerpt(received, QUOTED))
}

pub(super) fn quoted(command: &str, error: &str) -> String {
    format!(
        "{command} was answered: {}",
        sanitize::excerpt(error.as_bytes(), 160)
    )
}

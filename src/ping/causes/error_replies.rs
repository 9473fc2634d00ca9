//! Defines the table of Redis's error replies and their causes. `ping`, `serve`, `learn` and the step
//! commands use the table.
//!
//! Most error replies begin with a code in capital letters. A few older replies can be recognised only by
//! their text: <https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>.

use super::Cause;

/// A row of the table of error replies. The table has rows for errors about the server's state or the login,
/// but not for errors about a command's arguments.
#[derive(Debug)]
pub(crate) struct ErrorReply {
    /// The text that identifies the error reply: its first word, the whole reply, or a part of the reply in
    /// lower case.
    marker: &'static str,
    /// The cause that `ping` reports for this error reply.
    pub cause: Cause,
    pub scope: Scope,
    /// Whether a new connection may help, because the host name may now resolve to a server that accepts the
    /// request.
    pub reconnect: bool,
}

/// The requests that fail for the same reason as the rejected request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Only the same command from the same user or on the same key.
    Command,
    /// All commands on connections with the same login.
    Login,
    /// All commands or all writes, on every connection.
    Server,
}

const ERROR_REPLIES: &[ErrorReply] = &[
    row("NOAUTH", Cause::AuthRequired, Scope::Login).reconnect(),
    row("WRONGPASS", Cause::AuthFailed, Scope::Login).reconnect(),
    row("NOPERM", Cause::AuthNoPermission, Scope::Command).reconnect(),
    // DENIED alone does not identify protected mode, because providers use this code for other errors.
    row(
        "running in protected mode",
        Cause::ServerProtectedMode,
        Scope::Server,
    )
    .reconnect(),
    row("LOADING", Cause::ServerLoading, Scope::Server),
    row("BUSY", Cause::ServerBusy, Scope::Server),
    row("OOM", Cause::ServerOutOfMemory, Scope::Server),
    row("MISCONF", Cause::ServerMisconf, Scope::Server),
    row("NOREPLICAS", Cause::ServerNoReplicas, Scope::Server),
    row("READONLY", Cause::RoleReplica, Scope::Server).reconnect(),
    row("MASTERDOWN", Cause::RoleMasterDown, Scope::Server).reconnect(),
    row("CLUSTERDOWN", Cause::ClusterDown, Scope::Server),
    row("MOVED", Cause::ClusterDown, Scope::Command),
    row("ASK", Cause::ClusterDown, Scope::Command),
    row("TRYAGAIN", Cause::ClusterDown, Scope::Command),
    // Errors of proxies that cannot reach their backend: Envoy ("upstream failure", "no upstream host"),
    // twemproxy (the text for an errno), predixy and Codis.
    row("upstream", Cause::ProxyNoBackend, Scope::Server),
    row("backend", Cause::ProxyNoBackend, Scope::Server),
    row("connection refused", Cause::ProxyNoBackend, Scope::Server),
    row("connection timed out", Cause::ProxyNoBackend, Scope::Server),
    row("connection reset", Cause::ProxyNoBackend, Scope::Server),
    row("host is down", Cause::ProxyNoBackend, Scope::Server),
    row("no route to host", Cause::ProxyNoBackend, Scope::Server),
    row("no server connection", Cause::ProxyNoBackend, Scope::Server),
    row("server connection closed", Cause::ProxyNoBackend, Scope::Server),
    // The text for EINVAL. The whole reply must match, because Redis has longer errors that begin with this
    // text.
    row("ERR Invalid argument", Cause::ProxyNoBackend, Scope::Server),
    row("max number of clients", Cause::ServerMaxClients, Scope::Server).reconnect(),
    row(
        "without any password configured",
        Cause::AuthNotConfigured,
        Scope::Login,
    ),
    // Redis versions before 6, proxies and Garnet send a text that begins like this. The rest differs.
    row("client sent auth, but", Cause::AuthNotConfigured, Scope::Login),
    row("invalid password", Cause::AuthFailed, Scope::Login).reconnect(),
    row("invalid username", Cause::AuthFailed, Scope::Login).reconnect(),
    row("authentication required", Cause::AuthRequired, Scope::Login).reconnect(),
    // Redis versions before 2.8 send this text.
    row("err operation not permitted", Cause::AuthRequired, Scope::Login).reconnect(),
];

const fn row(marker: &'static str, cause: Cause, scope: Scope) -> ErrorReply {
    ErrorReply {
        marker,
        cause,
        scope,
        reconnect: false,
    }
}

impl ErrorReply {
    const fn reconnect(mut self) -> Self {
        self.reconnect = true;
        self
    }

    /// Whether the word is an error code in the table of error replies, such as `WRONGPASS`.
    pub(crate) fn is_code(word: &str) -> bool {
        ERROR_REPLIES.iter().any(|reply| reply.marker == word)
    }

    /// Returns the row for an error reply, if there is one. `text` does not include the `-` at the start of
    /// the reply.
    pub(crate) fn of(text: &str) -> Option<&'static Self> {
        let code = text.split(' ').next().unwrap_or_default();
        let lower = text.to_lowercase();
        let find = |matches: &dyn Fn(&str) -> bool| ERROR_REPLIES.iter().find(|reply| matches(reply.marker));
        find(&|marker| code == marker || text == marker).or_else(|| find(&|marker| lower.contains(marker)))
    }

    /// Describes the reported problem in one sentence without a full stop.
    pub(crate) fn summary(&self) -> &'static str {
        match self.marker {
            "MOVED" | "ASK" | "TRYAGAIN" => "the cluster is moving this key to another node",
            _ => self.cause.meaning(),
        }
    }
}

/// Whether the error reply means that the command is forbidden or unsupported.
///
/// Any other error is a valid reply to the command.
pub(crate) fn is_command_unavailable(error: &str) -> bool {
    // The word "command" is in "unknown command" and "unsupported command".
    error.starts_with("NOPERM")
        || (ErrorReply::of(error).is_none() && error.to_lowercase().contains("command"))
}

/// Whether this reply to AUTH with a wrong password comes from a server without ACL users. Redis 6 and later
/// versions send WRONGPASS.
pub(crate) fn knows_no_users(error: &str) -> bool {
    ErrorReply::of(error).is_some_and(|reply| reply.marker == "invalid password")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_recognised_by_its_code_or_by_its_text() {
        let found = |text| ErrorReply::of(text).map(|reply| (reply.cause, reply.scope));
        for (text, expected) in [
            (
                "READONLY You can't write against a read only replica.",
                Some((Cause::RoleReplica, Scope::Server)),
            ),
            (
                "ERR max number of clients reached",
                Some((Cause::ServerMaxClients, Scope::Server)),
            ),
            // In protected mode, Redis's error reply mentions that no password is set.
            (
                "DENIED Redis is running in protected mode because protected mode is enabled and no password is set",
                Some((Cause::ServerProtectedMode, Scope::Server)),
            ),
            (
                "ERR Client sent AUTH, but no password is set",
                Some((Cause::AuthNotConfigured, Scope::Login)),
            ),
            (
                "ERR Client sent AUTH, but configured authenticator does not accept passwords",
                Some((Cause::AuthNotConfigured, Scope::Login)),
            ),
            (
                "ERR Invalid argument",
                Some((Cause::ProxyNoBackend, Scope::Server)),
            ),
            ("ERR Invalid argument 'x' for CONFIG SET 'save'", None),
            ("ERR unknown command 'READONLY'", None),
            ("BUSYGROUP Consumer Group name already exists", None),
            ("WRONGTYPE Operation against a key", None),
            ("", None),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }
}

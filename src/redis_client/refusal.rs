//! Determines why a server or service rejects a request, from error replies that Redis itself does not send.

use std::net::IpAddr;

/// The reason why a server rejects a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The client's address is not on an allowlist. Contains the address, if known.
    Address(Option<IpAddr>),
    /// A quota or a limit of the provider's plan has been reached.
    Quota,
    /// The request uses a wrong endpoint, for example a wrong host or a connection without TLS.
    Endpoint,
    /// The command is disabled or does not exist.
    Command,
    Other,
}

impl Refusal {
    /// Determines the reason from words in the reply, because each provider uses different texts.
    pub(crate) fn of(reply: &str) -> Self {
        let lower = reply.to_lowercase();
        let mentions = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if mentions(&[
            "allowlist",
            "allow list",
            "allow-list",
            "allowed list",
            "whitelist",
            "white list",
            "ip address",
            "illegal address",
            "ip is not",
            "client address",
            "source address",
            "trusted source",
            "firewall",
        ]) {
            let words = reply.split(|letter: char| !(letter.is_ascii_hexdigit() || ".:".contains(letter)));
            Self::Address(words.filter_map(address).next())
        } else if mentions(&[
            "quota", "exceed", "limit", "too many", "throttl", "billing", "payment", "suspend", "upgrade",
            "capacity", " plan",
        ]) {
            Self::Quota
        } else if mentions(&[
            "endpoint",
            "tls",
            "ssl",
            "rediss://",
            "server name",
            "unknown database",
            "no such database",
            "database not found",
            "tenant",
            "wrong host",
            "unknown host",
            "hostname",
            "region",
            "wrong port",
            "read-only token",
        ]) {
            Self::Endpoint
        } else if mentions(&[
            "command",
            "disabled",
            "not supported",
            "unsupported",
            "not allowed",
            "not available",
        ]) {
            Self::Command
        } else {
            Self::Other
        }
    }
}

/// Parses an IP address, with or without a port. Returns `None` if `word` is not an IP address.
fn address(word: &str) -> Option<IpAddr> {
    let word = word.trim_matches([':', '.']);
    let with_port = word
        .parse()
        .ok()
        .map(|address: std::net::SocketAddr| address.ip());
    word.parse().ok().or(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_shows_the_kind_of_refusal() {
        let address = |text: &str| Refusal::Address(Some(text.parse().unwrap()));
        for (reply, kind) in [
            (
                "ERR max daily request limit exceeded. Limit: 10000, Usage: 10000.",
                Refusal::Quota,
            ),
            ("ERR DB capacity quota exceeded", Refusal::Quota),
            (
                "DENIED client address 203.0.113.9 is not on the allow list",
                address("203.0.113.9"),
            ),
            (
                "ERR AUTH failed: Client IP address is not in the allowlist.",
                Refusal::Address(None),
            ),
            (
                "ERR source address 2001:db8::9: not in the whitelist",
                address("2001:db8::9"),
            ),
            (
                "ERR client address 203.0.113.9:50312 not in allowlist",
                address("203.0.113.9"),
            ),
            ("ERR illegal address: 203.0.113.9:50312", address("203.0.113.9")),
            ("ERR unknown database: check the endpoint", Refusal::Endpoint),
            ("ERR TLS is required", Refusal::Endpoint),
            (
                "ERR command 'HGETALL' is disabled for this database",
                Refusal::Command,
            ),
            ("ERR unknown command 'FOO'", Refusal::Command),
            ("ERR something else", Refusal::Other),
        ] {
            assert_eq!(Refusal::of(reply), kind, "{reply}");
        }
    }
}

//! Builds the URL that the user probably meant from the information in a pasted text.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::hosting::Hosting;
use super::parse::{is_host, strict};
use super::pasted::not_filled_in;
use super::provider::endpoint_hint;
use super::{DEFAULT_PORT, SENTINEL_PORT, host_and_port};
use crate::secret::{MASK, Secret};

/// The parts of a Redis URL that a text contains. Parts that the text does not contain are empty.
#[derive(Clone, Debug, Default)]
pub(super) struct IntendedUrl {
    pub tls: bool,
    pub user: Option<String>,
    /// The password as it is in the text. It is never shown.
    pub password: Option<Secret>,
    /// The hosts (IPv6 without brackets) and their ports. There is more than one host only if they are
    /// Sentinels.
    pub hosts: Vec<(String, Option<u16>)>,
    /// The name of the primary, if the hosts are Sentinels.
    pub primary: Option<String>,
    /// The path of a unix socket. If the path is set, there is no host.
    pub socket: Option<String>,
    pub db: Option<u64>,
}

impl IntendedUrl {
    /// Returns the URL with the password masked. Returns `None` if the URL would be unusable or might show a
    /// part of the password.
    pub(super) fn shown(&self) -> Option<String> {
        // A user name or path with characters other than these might contain a part of a password.
        let is_plain = |text: &String| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.@+/~".contains(&byte))
        };
        let is_certain = [&self.user, &self.socket].into_iter().flatten().all(is_plain)
            && self.hosts.iter().all(|(host, _)| is_host(host));
        let shown = self.to_string();
        let filled_in = shown.replace(MASK, "x");
        let is_usable = is_certain && strict(&filled_in).is_ok() && not_filled_in(&filled_in).is_none();
        let is_known = |secret: &Secret| secret.is_shown_in(&shown.replace(MASK, ""));
        (is_usable && !self.password.as_ref().is_some_and(is_known)).then_some(shown)
    }

    /// Fills in the missing parts from `other`.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            tls: self.tls || other.tls,
            user: self.user.or(other.user),
            password: self.password.or(other.password),
            hosts: if self.hosts.is_empty() {
                other.hosts
            } else {
                self.hosts
            },
            primary: self.primary.or(other.primary),
            socket: self.socket.or(other.socket),
            db: self.db.or(other.db),
        }
    }

    /// Enables TLS if the host and port are known to use TLS. This is needed for texts without a scheme.
    pub(super) fn with_tls_if_needed(mut self) -> Self {
        if let Some((host, port)) = self.hosts.first() {
            let tls_port = Hosting::of(host).and_then(|hosting| hosting.tls_port);
            let is_tls_port = tls_port == Some(port.unwrap_or(DEFAULT_PORT));
            let is_upstash = host.to_ascii_lowercase().ends_with(".upstash.io");
            self.tls |= is_tls_port || is_upstash || endpoint_hint(host).is_some_and(|hint| hint.tls);
        }
        self
    }

    fn scheme(&self) -> &'static str {
        match (&self.socket, &self.primary, self.tls) {
            (Some(_), ..) => "unix",
            (_, Some(_), true) => "rediss+sentinel",
            (_, Some(_), false) => "redis+sentinel",
            (_, None, true) => "rediss",
            (_, None, false) => "redis",
        }
    }

    fn default_port(&self) -> u16 {
        self.primary.as_ref().map_or(DEFAULT_PORT, |_| SENTINEL_PORT)
    }
}

impl fmt::Display for IntendedUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://", self.scheme())?;
        let user = self.user.as_deref().unwrap_or_default();
        let user = utf8_percent_encode(user, NON_ALPHANUMERIC).to_string();
        // These characters are frequent, and do not need to be encoded.
        let user = user.replace("%2D", "-").replace("%5F", "_").replace("%2E", ".");
        match &self.password {
            Some(mask) => write!(out, "{user}:{mask}@")?,
            None if !user.is_empty() => write!(out, "{user}@")?,
            None => {}
        }
        let db = self.db.unwrap_or(0);
        if let Some(path) = &self.socket {
            out.write_str(path)?;
            return if db == 0 { Ok(()) } else { write!(out, "?db={db}") };
        }
        for (index, (host, port)) in self.hosts.iter().enumerate() {
            if index > 0 {
                out.write_str(",")?;
            }
            let port = port.unwrap_or_else(|| self.default_port());
            out.write_str(&host_and_port(host, port))?;
        }
        if let Some(name) = &self.primary {
            write!(out, "/{}", utf8_percent_encode(name, NON_ALPHANUMERIC))?;
        }
        write!(out, "/{db}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_could_not_be_used_or_shows_the_password_is_not_shown() {
        let with_host = |host: &str| IntendedUrl {
            password: Some(Secret::new("Plover-4417")),
            hosts: vec![(host.to_owned(), None)],
            ..IntendedUrl::default()
        };
        assert_eq!(with_host("h").shown().as_deref(), Some("redis://:***@h:6379/0"));
        for host in [
            "Plover-4417",
            "h h",
            "",
            "h;id",
            "h?x",
            "h/x",
            "h#x",
            "x@h",
            "HOST",
        ] {
            assert_eq!(with_host(host).shown(), None, "{host}");
        }
    }
}

//! What advice depends on, and the lines to paste that are made of it.

use std::net::IpAddr;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::ping::observation::{DialResult, Endpoint, ErrorSource, NameAnswer, Observations, TlsResult};
use crate::ping::this_host::ThisHost;
use crate::redis_url::provider;
use crate::redis_url::{Address, Target, UrlWarning};
use crate::sanitize;

/// What advice depends on.
#[derive(Clone, Debug, Default)]
pub struct FixContext {
    /// Host of the target.
    pub host: String,
    /// Port of the target.
    pub port: u16,
    /// Whether the URL asks for TLS.
    pub tls: bool,
    /// The URL that was probably meant, its password masked.
    pub suggestion: Option<String>,
    /// Where we stand.
    pub this_host: ThisHost,
    /// The region that the name or the instance tells.
    pub region: Option<String>,
    /// The primary that a Sentinel knows.
    pub primary: Option<String>,
    /// Whether what was sent on an open connection was never acknowledged.
    pub loses_packets: bool,
    /// Whether the certificate would not do, whoever had signed it.
    pub has_unfit_certificate: bool,
    /// The name that the host's name is a dangling alias of.
    pub alias: Option<String>,
    /// Whether there are addresses, all of the family that -4 or -6 excludes.
    pub has_other_family: bool,
    /// Whether this host itself said no.
    pub is_own_word: bool,
    /// The path, where the target is a unix socket.
    pub socket: Option<String>,
    /// The first address that was dialled, for tools that know no names.
    pub address: Option<IpAddr>,
    /// The ACL user that logs in.
    pub user: Option<String>,
    /// Whether there is a password, which no command may hold.
    pub has_password: bool,
    /// The database.
    pub db: u64,
    /// Whether a user without a password stands in the URL.
    pub has_lone_user: bool,
    /// Whether the URL has options behind a `?`.
    pub has_options: bool,
}

impl FixContext {
    /// Gathers them from the target and what was seen.
    #[must_use]
    pub fn of(target: &Target, seen: &Observations) -> Self {
        let this_host = seen.this_host.clone().unwrap_or_default();
        let named = target
            .host()
            .and_then(provider::endpoint_hint)
            .and_then(|hint| hint.region);
        let is_own_word = seen.blocked_retransmissions > 0
            || seen
                .dials
                .iter()
                .any(|dial| matches!(dial.result, DialResult::Prohibited(ErrorSource::ThisHost(_))));
        let socket = match &target.address {
            Address::Unix(path) => Some(sanitize::line(&path.display().to_string()).into_owned()),
            Address::Tcp { .. } => None,
        };
        let flow = seen.packets.or(seen.tls.as_ref().and_then(|tls| tls.packets));
        let lookup = seen.dns.as_ref();
        let alias = lookup.and_then(|lookup| {
            lookup.servers.iter().find_map(|server| match &server.answer {
                NameAnswer::DanglingAlias(end) => Some(end.clone()),
                _ => None,
            })
        });
        let shaken = seen.tls.as_ref().map(|tls| &tls.result);
        Self {
            alias,
            has_unfit_certificate: matches!(shaken, Some(TlsResult::InvalidCertificate(_))),
            has_other_family: seen.dials.is_empty() && lookup.is_none_or(|found| !found.addresses.is_empty()),
            loses_packets: flow.is_some_and(|flow| flow.unacknowledged > 0),
            host: target.host().unwrap_or_default().to_owned(),
            port: target.port().unwrap_or_default(),
            tls: target.tls,
            suggestion: None,
            region: this_host
                .instance
                .as_ref()
                .map(|instance| instance.region.clone())
                .or(named),
            this_host,
            primary: seen.server.sentinel_primary.clone(),
            is_own_word,
            socket,
            address: seen.dials.iter().find_map(|dial| match &dial.to {
                Endpoint::Ip(address) => Some(address.ip()),
                Endpoint::Named(_) => None,
            }),
            user: target.user.clone().filter(|_| target.password.is_some()),
            has_password: target.password.is_some(),
            db: target.db,
            has_lone_user: target.warnings.contains(&UrlWarning::UserWithoutPassword),
            has_options: target
                .warnings
                .iter()
                .any(|doubt| matches!(doubt, UrlWarning::IgnoredOptions(_))),
        }
    }

    /// A ping of the same Redis by another scheme or port; the password is asked for, never shown.
    pub(super) fn ping(&self, scheme: &str, port: u16) -> String {
        let ask = if self.has_password {
            "read -rs REDISCLI_AUTH; export REDISCLI_AUTH; "
        } else {
            ""
        };
        let user = self.user.as_ref().map_or_else(String::new, |user| {
            format!("{}@", utf8_percent_encode(user, NON_ALPHANUMERIC))
        });
        let (host, db) = (bracketed(&self.host), self.db);
        format!("{ask}sessiontut ping {scheme}://{user}{host}:{port}/{db}")
    }

    /// The scheme of the target.
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls { "rediss" } else { "redis" }
    }

    /// A line for redis-cli that reaches this very server; it asks for the password itself.
    pub(super) fn redis_cli(&self, words: &str) -> String {
        format!("redis-cli{}{} {words}", self.where_to(), self.login())
    }

    /// Where redis-cli is to connect to; nothing where that is its own default.
    pub(super) fn where_to(&self) -> String {
        match &self.socket {
            Some(path) => format!(" -s {}", quoted(path)),
            None if self.host.is_empty() => String::new(),
            None => {
                let tls = if self.tls { " --tls" } else { "" };
                format!(" -h {} -p {}{tls}", self.host, self.port)
            }
        }
    }

    /// How redis-cli is to log in.
    pub(super) fn login(&self) -> String {
        let user = self.user.as_ref().map_or_else(String::new, |user| {
            format!(" --user {}", quoted(&sanitize::line(user)))
        });
        if self.has_password {
            format!("{user} --askpass")
        } else {
            String::new()
        }
    }

    /// `HOST:PORT`.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }

    /// The line that shows which way packets take; it knows no names.
    pub(super) fn route(&self) -> String {
        let address = self
            .address
            .map_or_else(|| self.host.clone(), |address| address.to_string());
        format!("ip route get {address}")
    }

    /// Digits swapped or next to each other on the keyboard, and Memcached's port.
    pub(super) fn is_slip_of_a_port(&self) -> bool {
        matches!(
            self.port,
            6378 | 6739 | 6397 | 6381 | 6389 | 6369 | 3679 | 7369 | 637 | 11211
        )
    }
}

/// A host as it stands in a URL.
fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// One word for a shell.
pub(super) fn quoted(word: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_bare) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

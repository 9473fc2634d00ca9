//! Parses and displays Redis URLs, suggests corrections, and recognises providers from host names.
//!
//! The form of a URL is `redis[s]://[user][:password@]host[:port][/db]` or `unix://PATH`
//! (<https://www.iana.org/assignments/uri-schemes/prov/redis>).

mod error;
pub(crate) mod hosting;
mod intended;
mod parse;
mod pasted;
pub(crate) mod provider;
mod variables;

use std::fmt;
use std::path::PathBuf;

use crate::sanitize;
use crate::secret::{MASK, Secret};

pub(crate) use error::invisible;
pub use error::{UrlError, UrlErrorKind};
use intended::IntendedUrl;
pub(crate) use parse::is_host;
pub(crate) use pasted::is_missing_value;
pub(crate) use variables::{FromVariables, from_variables};

/// Returns `HOST:PORT`, with an IPv6 address in brackets (RFC 3986, 3.2.2).
pub(crate) fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The default port of a Redis server.
pub const DEFAULT_PORT: u16 = 6379;

/// The default port of a Sentinel.
pub const SENTINEL_PORT: u16 = 26379;

/// The schemes of URLs that contain the addresses of Sentinels. If the scheme starts with `rediss`, both the
/// Sentinels and the servers use TLS.
pub const SENTINEL_SCHEMES: [&str; 4] = [
    "redis+sentinel",
    "redis-sentinel",
    "rediss+sentinel",
    "rediss-sentinel",
];

/// The schemes of URLs that contain the address of the server itself.
pub const SCHEMES: [&str; 6] = ["redis", "rediss", "valkey", "valkeys", "redis+unix", "unix"];

/// A parsed URL: the address of a Redis server, and the login.
#[derive(Clone, Debug)]
pub struct Target {
    /// The address to connect to. If the URL contains Sentinels, the address of the first Sentinel.
    pub address: Address,
    /// Whether the scheme of the URL requires TLS, as `rediss` and `valkeys` do.
    pub tls: bool,
    /// The ACL user, if the URL has one.
    pub user: Option<String>,
    /// The password from the URL or from an environment variable, if any.
    pub password: Option<Secret>,
    /// The environment variable that contains the password. `None` if the password is in the URL, or if there
    /// is no password.
    pub password_variable: Option<&'static str>,
    /// The environment variables that describe the server, such as `REDIS_HOST and REDIS_PORT`. `None` if a URL
    /// was given.
    pub variables: Option<String>,
    /// The database number to select.
    pub db: u64,
    /// The Sentinels to ask for the primary's address, if the URL contains any.
    pub sentinels: Option<Sentinels>,
    /// The origin of this target: the user's URL or the built-in practice Redis.
    pub origin: Origin,
    /// Parts of the URL that are valid but probably not intended.
    pub warnings: Vec<UrlWarning>,
}

/// A TCP endpoint or a unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host name or an IP address (IPv6 without brackets), and a port.
    Tcp {
        /// The host name or address.
        host: String,
        /// The TCP port.
        port: u16,
    },
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// Sentinels, and the primary that they monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentinels {
    /// The hosts and ports of the Sentinels. There is at least one.
    pub hosts: Vec<(String, u16)>,
    /// The name under which the Sentinels monitor the primary.
    pub name: String,
    /// The password of the Sentinels, if they have one.
    pub password: Option<Secret>,
}

/// The origin of a target: the user's URL or the built-in practice Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The user gave a URL.
    Given,
    /// No URL was given, so the built-in practice Redis is used.
    Practice,
}

/// A part of a valid URL that is often misunderstood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlWarning {
    /// `redis://secret@host`: the text before the @ is a user name, not a password.
    UserWithoutPassword,
    /// The password contains an unencoded `@`. This program assumes that the password ends at the last `@`,
    /// but some clients do not.
    AtSignInPassword,
    /// The decoded password still contains percent-encoding, so it was probably encoded twice.
    EncodedTwice,
    /// The names of options after the `?`, which many clients silently ignore.
    IgnoredOptions(Vec<String>),
}

/// The TLS options of the command line.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// `--ca`: a PEM file with CAs to trust in addition to the system's.
    pub ca: Option<PathBuf>,
    /// `--cert`: a PEM file with the client's certificate chain.
    pub cert: Option<PathBuf>,
    /// `--key`: a PEM file with the client's private key.
    pub key: Option<PathBuf>,
    /// `--tls-name`: the name to expect in the server's certificate instead of the URL's host.
    pub tls_name: Option<String>,
    /// `--insecure`: use the connection even if the certificate cannot be verified.
    pub is_insecure: bool,
    /// `--insecure-auth`: send the password even if the certificate cannot be verified.
    pub sends_password_insecurely: bool,
}

impl Target {
    /// Parses a URL. From then on, this program masks the URL's passwords in everything that it writes.
    ///
    /// ```
    /// use sessiontut::redis_url::Target;
    ///
    /// let target = Target::parse("rediss://ada:Plover-4417@cache.example/3").unwrap();
    /// assert_eq!(target.to_string(), "rediss://ada:***@cache.example:6379/3");
    /// ```
    ///
    /// # Errors
    /// Returns [`UrlError`], which names the invalid part and suggests the URL that the user probably meant.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let target = pasted::parse_or_suggest(text)?;
        let of_sentinels = target.sentinels.iter().flat_map(|sentinels| &sentinels.password);
        let secrets = target.password.iter().chain(of_sentinels);
        secrets.for_each(Secret::mask_everywhere);
        Ok(target)
    }

    /// Creates a target without TLS and without a login.
    pub(crate) fn new(address: Address) -> Self {
        Self {
            address,
            tls: false,
            user: None,
            password: None,
            password_variable: None,
            variables: None,
            db: 0,
            sentinels: None,
            origin: Origin::Given,
            warnings: Vec::new(),
        }
    }

    pub(crate) fn of_primary(&self, host: &str, port: u16) -> Self {
        Self {
            address: Address::Tcp {
                host: host.to_owned(),
                port,
            },
            sentinels: None,
            ..self.clone()
        }
    }

    /// Returns the target for the Sentinel at `index`, with the Sentinels' password.
    pub(crate) fn of_sentinel(&self, sentinels: &Sentinels, index: usize) -> Self {
        let (host, port) = sentinels.hosts.get(index).cloned().unwrap_or_default();
        Self {
            user: None,
            password: sentinels.password.clone(),
            db: 0,
            warnings: Vec::new(),
            ..self.of_primary(&host, port)
        }
    }

    /// Returns the URL without the password, for use in a command line that other users could see.
    pub(crate) fn without_password(&self) -> String {
        let mut url = IntendedUrl::from(self);
        url.password = None;
        url.user.clone_from(&self.user);
        url.to_string()
    }

    /// If the URL contains no password, uses `password`, which must be the value of `REDISCLI_AUTH`.
    #[must_use]
    pub fn with_password(mut self, password: Option<Secret>) -> Self {
        password.iter().for_each(Secret::mask_everywhere);
        if self.password.is_none() && password.is_some() {
            self.password_variable = Some("REDISCLI_AUTH");
        }
        self.password = self.password.or(password);
        if self.password.is_some() {
            self.warnings
                .retain(|warning| *warning != UrlWarning::UserWithoutPassword);
        }
        self
    }

    /// Returns `HOST:PORT`, or the path of the unix socket.
    pub(crate) fn place(&self) -> String {
        match &self.address {
            Address::Tcp { host, port } => host_and_port(host, *port),
            Address::Unix(path) => sanitize::line(&path.to_string_lossy()).into_owned(),
        }
    }

    /// Returns the host of a TCP target, or `None` for a unix socket.
    pub fn host(&self) -> Option<&str> {
        match &self.address {
            Address::Tcp { host, .. } => Some(host),
            Address::Unix(_) => None,
        }
    }

    /// Returns the zone of a link-local IPv6 address, which names an interface, as in `fe80::1%eth0`.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        Some(self.host()?.split_once('%')?.1)
    }

    /// Returns the port of a TCP target, or `None` for a unix socket.
    pub fn port(&self) -> Option<u16> {
        match &self.address {
            Address::Tcp { port, .. } => Some(*port),
            Address::Unix(_) => None,
        }
    }
}

impl fmt::Display for Target {
    /// Writes the URL with the password masked.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        // A user name without a password is often a misplaced password, so it is masked as well.
        let login = match (&self.user, &self.password) {
            (None, None) => String::new(),
            (Some(_), None) => format!("{MASK}@"),
            (user, Some(mask)) => format!("{}:{mask}@", sanitize::line(user.as_deref().unwrap_or_default())),
        };
        match (&self.address, &self.sentinels) {
            (Address::Unix(path), _) => {
                write!(out, "unix://{login}{}", sanitize::line(&path.to_string_lossy()))
            }
            (_, Some(sentinels)) => {
                let hosts = sentinels
                    .hosts
                    .iter()
                    .map(|(host, port)| host_and_port(host, *port));
                let hosts = hosts.collect::<Vec<_>>().join(",");
                let name = sanitize::line(&sentinels.name);
                write!(out, "{scheme}+sentinel://{login}{hosts}/{name}/{}", self.db)
            }
            (Address::Tcp { host, port }, None) => {
                let place = host_and_port(host, *port);
                write!(out, "{scheme}://{login}{place}/{}", self.db)
            }
        }
    }
}

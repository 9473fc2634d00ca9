//! A Redis URL, taken apart; it can be shown without its password.
//!
//! Form: `redis[s]://[user][:password@]host[:port][/db]`, `unix://PATH`
//! (<https://www.iana.org/assignments/uri-schemes/prov/redis>).

mod faults;
mod parse;
mod parts;
pub(crate) mod provider;
mod slips;

use std::fmt;
use std::path::PathBuf;

use crate::sanitize;
use crate::secret::{MASK, Secret};

/// The port where a URL names none.
pub const DEFAULT_PORT: u16 = 6379;

/// The schemes that are understood.
pub const SCHEMES: [&str; 6] = ["redis", "rediss", "valkey", "valkeys", "redis+unix", "unix"];

/// Everything that a URL says about where Redis is and how to log in.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where to connect.
    pub address: Address,
    /// Whether the URL asks for TLS (`rediss`, `valkeys`).
    pub tls: bool,
    /// The ACL user, where the URL names one.
    pub user: Option<String>,
    /// The password, where the URL or `REDISCLI_AUTH` has one.
    pub password: Option<Secret>,
    /// The number of the database to select.
    pub db: u64,
    /// Whether the URL was given, or leads to the built-in practice Redis.
    pub origin: Origin,
    /// What is usable and yet probably not what was meant.
    pub warnings: Vec<UrlWarning>,
}

/// A TCP endpoint or a unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host name or an IP address (IPv6 without brackets), and a port.
    Tcp {
        /// Host name or address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// Whose Redis it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Named by the user.
    Given,
    /// Built in: no URL was given.
    Practice,
}

/// Something in a usable URL that many people or clients read in another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlWarning {
    /// `redis://secret@host`: what stands there is a user name.
    UserWithoutPassword,
    /// An `@` in the password as it is: the last one ends the password, but not in every client.
    AtSignInPassword,
    /// The password holds `%25`: it was probably encoded twice.
    EncodedTwice,
    /// Options behind the `?`, which many clients ignore without a word; their names.
    IgnoredOptions(Vec<String>),
}

/// Why a text is no URL that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UrlError {
    /// Which kind of fault.
    pub kind: UrlErrorKind,
    /// What is wrong, and where; without any piece of the password.
    pub message: String,
    /// The URL that was probably meant, its password masked.
    pub suggestion: Option<String>,
}

/// The three `url.*` causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlErrorKind {
    /// No usable host, port or database.
    Invalid,
    /// A scheme that is not one of [`SCHEMES`].
    Scheme,
    /// The user or password holds a character that must be percent-encoded.
    Encoding,
}

/// How to trust, and be trusted by, a TLS server; from the command line.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// `--ca`: a PEM file of authorities to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// `--cert`: a PEM file with the client's certificate chain.
    pub cert: Option<PathBuf>,
    /// `--key`: a PEM file with the client's private key.
    pub key: Option<PathBuf>,
    /// `--tls-name`: the name to expect in the server's certificate, instead of the URL's host.
    pub tls_name: Option<String>,
}

impl Target {
    /// Reads a URL.
    ///
    /// ```
    /// use sessiontut::redis_url::Target;
    ///
    /// let target = Target::parse("rediss://ada:Plover-4417@cache.example/3").unwrap();
    /// assert_eq!(target.to_string(), "rediss://ada:***@cache.example:6379/3");
    /// ```
    ///
    /// # Errors
    /// [`UrlError`] says which part cannot be used, and shows the URL that was probably meant.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        parse::parse(text)
    }

    /// The same target with a password from elsewhere (`REDISCLI_AUTH`), where its URL has none.
    #[must_use]
    pub fn with_password(mut self, password: Option<Secret>) -> Self {
        self.password = self.password.or(password);
        if self.password.is_some() {
            self.warnings
                .retain(|warning| *warning != UrlWarning::UserWithoutPassword);
        }
        self
    }

    /// The host of a TCP target.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match &self.address {
            Address::Tcp { host, .. } => Some(host),
            Address::Unix(_) => None,
        }
    }

    /// The port of a TCP target.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match &self.address {
            Address::Tcp { port, .. } => Some(*port),
            Address::Unix(_) => None,
        }
    }
}

impl fmt::Display for Target {
    /// The URL with its password masked.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        // A user without a password is, more often than not, a password in the wrong place.
        let login = match (&self.user, &self.password) {
            (None, None) => String::new(),
            (Some(_), None) => format!("{MASK}@"),
            (user, Some(mask)) => format!("{}:{mask}@", sanitize::line(user.as_deref().unwrap_or_default())),
        };
        match &self.address {
            Address::Unix(path) => {
                write!(out, "unix://{login}{}", sanitize::line(&path.to_string_lossy()))
            }
            Address::Tcp { host, port } if host.contains(':') => {
                write!(out, "{scheme}://{login}[{host}]:{port}/{}", self.db)
            }
            Address::Tcp { host, port } => write!(out, "{scheme}://{login}{host}:{port}/{}", self.db),
        }
    }
}

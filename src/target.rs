//! A Redis URL, taken apart; it can be shown without its password.
//!
//! Form: `redis[s]://[user][:password@]host[:port][/db]`, `unix://PATH`
//! (<https://www.iana.org/assignments/uri-schemes/prov/redis>).

use std::fmt;
use std::path::PathBuf;

use crate::secret::Secret;

/// The port where a URL names none.
pub const DEFAULT_PORT: u16 = 6379;

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

impl fmt::Display for Target {
    /// The URL with its password masked.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let login = match (&self.user, &self.password) {
            (None, None) => String::new(),
            (Some(user), None) => format!("{user}@"),
            (user, Some(mask)) => format!("{}:{mask}@", user.as_deref().unwrap_or_default()),
        };
        match &self.address {
            Address::Unix(path) => write!(out, "unix://{login}{}", path.display()),
            Address::Tcp { host, port } if host.contains(':') => {
                write!(out, "{scheme}://{login}[{host}]:{port}/{}", self.db)
            }
            Address::Tcp { host, port } => write!(out, "{scheme}://{login}{host}:{port}/{}", self.db),
        }
    }
}

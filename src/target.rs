//! A Redis URL, taken apart; it can be shown without its password.
//!
//! Form: `redis[s]://[user][:password@]host[:port][/db]`, `unix://PATH`
//! (<https://www.iana.org/assignments/uri-schemes/prov/redis>).

use std::fmt;
use std::path::PathBuf;

use crate::secret::{MASK, Secret};

mod url;

pub use url::{UrlFault, UrlFaultKind};

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
    /// What the URL says that is legal and probably not meant.
    pub slips: Vec<Slip>,
}

/// Something in a URL that works, and not as its writer thinks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slip {
    /// An unencoded `@` in the password: the last one ends it here, and the first one in some clients.
    AtInPassword,
    /// `redis://secret@host`: what stands alone before the `@` is a user name.
    OnlyUser,
    /// A query parameter (its name) that many clients ignore, such as `db`.
    Parameter(String),
    /// `%25` in the password: it was probably encoded twice.
    EncodedTwice,
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

impl Target {
    /// A plain Redis at `host:port`, database 0, without credentials.
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        Self::at(Address::Tcp {
            host: host.into(),
            port,
        })
    }

    /// A plain Redis at `address`, database 0, without credentials.
    #[must_use]
    pub fn at(address: Address) -> Self {
        Self {
            address,
            tls: false,
            user: None,
            password: None,
            db: 0,
            origin: Origin::Given,
            slips: Vec::new(),
        }
    }

    /// Reads a URL; what cannot be read is answered with the URL that was probably meant.
    ///
    /// # Errors
    /// [`UrlFault`], whose words never hold a part of a password.
    ///
    /// ```
    /// use sessiontut::target::Target;
    ///
    /// let target = Target::parse("rediss://:secret@cache.example/2").expect("a good URL");
    /// assert_eq!(target.to_string(), "rediss://:***@cache.example:6379/2");
    /// ```
    pub fn parse(url: &str) -> Result<Self, UrlFault> {
        url::parse(url)
    }

    /// Takes the password from elsewhere (`REDISCLI_AUTH`) where the URL has none.
    #[must_use]
    pub fn or_password(mut self, password: Option<Secret>) -> Self {
        if self.password.is_none() {
            self.password = password.filter(|secret| !secret.reveal().is_empty());
            if self.password.is_some() {
                self.slips.retain(|slip| *slip != Slip::OnlyUser);
            }
        }
        self
    }

    /// The host name or address, or the socket's path.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.address {
            Address::Tcp { host, .. } => host.clone(),
            Address::Unix(path) => path.display().to_string(),
        }
    }

    /// The TCP port; a unix socket has none.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self.address {
            Address::Tcp { port, .. } => Some(port),
            Address::Unix(_) => None,
        }
    }
}

impl fmt::Display for Target {
    /// The URL with its password masked, and a user name that stands alone: it may well be the password.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let login = match (&self.user, &self.password) {
            (None, None) => String::new(),
            (Some(_), None) => format!("{MASK}@"),
            (user, Some(mask)) => format!("{}:{mask}@", user.as_deref().unwrap_or_default()),
        };
        match &self.address {
            Address::Unix(path) => {
                write!(out, "unix://{login}{}", path.display())?;
                if self.db == 0 {
                    Ok(())
                } else {
                    write!(out, "?db={}", self.db)
                }
            }
            Address::Tcp { host, port } if host.contains(':') => {
                write!(out, "{scheme}://{login}[{host}]:{port}/{}", self.db)
            }
            Address::Tcp { host, port } => write!(out, "{scheme}://{login}{host}:{port}/{}", self.db),
        }
    }
}

//! `ping`: URL → rungs → observations → verdict → report.
//!
//! A check (rung) only records observations. [`judge`] is a pure function from observations to one cause.
//!
//! ```no_run
//! use std::time::Duration;
//! use sessiontut::deadline::Deadline;
//! use sessiontut::ping::{self, ClimbOptions};
//! use sessiontut::redis_url::{Target, Trust};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let target = Target::parse("redis://127.0.0.1:6379")?;
//! let (trust, options) = (Trust::default(), ClimbOptions::default());
//! let deadline = Deadline::after(Duration::from_secs(5));
//! let climb = ping::climb(&target, &trust, &options, deadline, &mut |_event| {}).await;
//! let verdict = ping::judge(&target, &climb.observations);
//! if let Some(finding) = verdict.finding {
//!     eprintln!("{}: {}", finding.cause.code(), finding.summary);
//! }
//! # Ok(())
//! # }
//! ```

pub(crate) mod causes;
mod conclusions;
mod experiments;
pub(crate) mod history;
mod idle;
pub(crate) mod instance;
mod ladder;
mod masking;
pub(crate) mod modes;
pub(crate) mod observation;
pub(crate) mod permissions;
pub(crate) mod report;
pub(crate) mod response;
mod sentinel;
/// The checks, one module per layer. Each module has a function `observe`, which records facts without
/// interpreting them.
pub(crate) mod rungs {
    pub(crate) mod cluster;
    pub(crate) mod dns;
    pub(crate) mod permissions;
    pub(crate) mod ping;
    pub(crate) mod role;
    pub(crate) mod tcp;
    pub(crate) mod tls;
}
mod surroundings;
pub(crate) mod this_host;
pub(crate) mod verdict;
pub(crate) mod watch;
#[cfg(test)]
mod worlds;

use std::net::IpAddr;

use crate::deadline::Deadline;
use crate::redis_client::ProbeConnection;

pub use ladder::climb;
pub use observation::Observations;
pub use verdict::{Verdict, judge, judge_cluster, judge_url};

/// The maximum number of files that the checks open at the same time: for the runtime, sockets, the name
/// lookup and certificates.
pub(crate) const FILES_NEEDED: usize = 10;

/// The layers of a connection, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// The URL.
    Url,
    /// The lookup of the host name.
    Dns,
    /// The TCP connection, or the connection to a unix socket.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// The login.
    Auth,
    /// PING and its round trip times.
    Ping,
    /// The role of the server, such as primary or replica.
    Role,
}

impl Rung {
    /// All layers, in the order of the checks.
    pub const ALL: [Self; 7] = [
        Self::Url,
        Self::Dns,
        Self::Tcp,
        Self::Tls,
        Self::Auth,
        Self::Ping,
        Self::Role,
    ];

    /// Returns the name of the check in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Ping => "ping",
            Self::Role => "role",
        }
    }
}

/// An event while the checks are running.
#[derive(Debug)]
pub enum ClimbEvent<'a> {
    /// The host name suggests a different URL. Reported before any packet is sent.
    Hint(&'a str),
    /// A check has started, and ends by the deadline at the latest.
    Started(Rung, Deadline),
    /// A check has ended. Contains the observations so far.
    Finished(Rung, &'a Observations),
}

/// Options for one run of the checks.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClimbOptions {
    /// The address families to use.
    pub family: Family,
    /// Whether to run the tutorial's commands on a temporary key.
    pub write_check: WriteCheck,
}

/// The address families to use (`-4`, `-6`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// IPv4 and IPv6.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Family {
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// Whether to test writing (`--write-check`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteCheck {
    /// Write nothing.
    #[default]
    Skip,
    /// Run the tutorial's commands on a temporary key.
    Run,
}

/// The result of one run of the checks: the observations and, if Redis replied, the connection.
#[derive(Debug)]
pub struct Climb {
    /// The observations of all checks.
    pub observations: Observations,
    /// The open connection, after the login and SELECT. `None` if Redis did not reply as expected.
    pub connection: Option<ProbeConnection>,
}

//! `ping`: url → target → ladder → observations → verdict → report.
//!
//! A rung only observes; [`judge`] is a pure function from observations to one cause; [`report`] renders.

mod beside;
pub(crate) mod causes;
pub(crate) mod experiment;
pub(crate) mod history;
pub(crate) mod instance;
mod ladder;
mod network;
mod nodes;
pub(crate) mod observation;
mod question;
pub(crate) mod report;
mod resolver;
pub(crate) mod response;
pub(crate) mod rungs;
pub(crate) mod this_host;
pub(crate) mod verdict;
pub(crate) mod watch;

use std::net::IpAddr;

use crate::deadline::Deadline;
use crate::redis_client::{Connection, Stream};
use crate::redis_url::{Target, Trust};

pub use observation::Observations;
pub use verdict::{Verdict, judge, judge_cluster, judge_url};

/// The layers, from the bottom up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// Reading the URL.
    Url,
    /// Looking the name up.
    Dns,
    /// Connecting.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// Logging in.
    Auth,
    /// PING, and its round trips.
    Ping,
    /// What the server is.
    Role,
}

impl Rung {
    /// All of them, from the bottom up.
    pub const ALL: [Self; 7] = [
        Self::Url,
        Self::Dns,
        Self::Tcp,
        Self::Tls,
        Self::Auth,
        Self::Ping,
        Self::Role,
    ];

    /// The name in reports.
    #[must_use]
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

/// What a climb tells while it is under way.
#[derive(Debug)]
pub enum ClimbEvent<'a> {
    /// The name in the URL suggests another URL; told before a packet is sent.
    Hint(&'a str),
    /// A rung begins; it may take until the deadline.
    Started(Rung, Deadline),
    /// A rung has been observed.
    Finished(Rung, &'a Observations),
}

/// What a climb does beyond reaching Redis.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClimbOptions {
    /// Which addresses to dial.
    pub family: Family,
    /// Whether to rehearse the tutorial's commands.
    pub write_check: WriteCheck,
}

/// `-4` and `-6`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Both.
    #[default]
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
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

/// `--write-check`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteCheck {
    /// Nothing is written.
    #[default]
    Skip,
    /// The tutorial's commands are rehearsed on one key of our own.
    Run,
}

/// What a climb leaves: what was seen and, where Redis answered, the connection it answered on.
#[derive(Debug)]
pub struct Climb {
    /// Everything that was seen.
    pub observations: Observations,
    /// Logged in, with the database selected.
    pub connection: Option<Connection<Stream>>,
}

/// Climbs the connection one layer at a time, up to the first that fails.
///
/// No rung, look-up or experiment outlives the deadline.
pub async fn climb(
    target: &Target,
    trust: &Trust,
    options: &ClimbOptions,
    deadline: Deadline,
    tell: &mut (dyn FnMut(ClimbEvent<'_>) + Send),
) -> Climb {
    // All the experiments that it may take are in it, which nobody wants to carry along.
    let (observations, connection) = Box::pin(ladder::climb(target, trust, options, deadline, tell)).await;
    Climb {
        observations,
        connection,
    }
}

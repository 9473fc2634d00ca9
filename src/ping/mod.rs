//! Is Redis reachable, and if not, why: url ─▶ ladder ─▶ observations ─▶ verdict ─▶ report.

pub mod catalogue;
pub mod observation;
pub mod verdict;

mod ladder;

pub use catalogue::{Cause, Fix, Warning};
pub use observation::{Observations, Outcome, Rung, Step};
pub use verdict::{Certainty, Notice, Verdict, judge};

use std::time::Duration;

use crate::deadline::Deadline;
use crate::target::{Target, Trust};
use crate::wire;

/// What a climb is to do besides climbing.
#[derive(Clone, Debug)]
pub struct ClimbOptions {
    /// Which addresses of a name may be dialled.
    pub family: Family,
    /// Whether to rehearse the tutorial's commands on a key of its own.
    pub write_check: WriteCheck,
    /// Round trips to time.
    pub samples: u32,
}

impl Default for ClimbOptions {
    fn default() -> Self {
        Self {
            family: Family::Any,
            write_check: WriteCheck::Skip,
            samples: ROUND_TRIPS,
        }
    }
}

/// Round trips that a ping times unless told otherwise.
pub const ROUND_TRIPS: u32 = 5;

/// Which kinds of address may be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Both.
    Any,
    /// IPv4 alone (`-4`).
    V4,
    /// IPv6 alone (`-6`).
    V6,
}

/// Whether to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteCheck {
    /// Nothing is written.
    Skip,
    /// The five commands in one MULTI.
    Rehearse,
}

/// What happens during a climb, as it happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// A rung is being tried: what is waited for.
    Waiting {
        /// Which.
        rung: Rung,
        /// For what, in a few words, such as "waiting for 10.0.3.17:6379 to answer".
        what: String,
        /// How long that may last from now.
        left: Duration,
    },
    /// A rung ended.
    Ended(Step),
}

/// What a climb comes to: all that it saw, and the connection that it made.
#[derive(Debug)]
pub struct Climb {
    /// All that was seen.
    pub observations: Observations,
    /// Logged in, the database selected; `None` where the climb ended before.
    pub connection: Option<wire::Connection<wire::Stream>>,
}

/// Climbs from the name to the role, and stops at the first rung that fails.
///
/// Never returns later than the deadline, but for the time that it takes to say so.
pub async fn climb(
    target: &Target,
    trust: &Trust,
    options: &ClimbOptions,
    deadline: Deadline,
    tell: &mut dyn FnMut(Event),
) -> Climb {
    ladder::climb(target, trust, options, deadline, tell).await
}

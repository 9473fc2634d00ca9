//! Endpoints on loopback that are broken on purpose: who names the fault from the outside has learned it.
//!
//! [`FAULTS`] is the one table: what is broken, which cause `ping` must name, and what tells it from its look-alikes.

mod endpoint;
mod faults;
mod lane;
mod score;
mod tls;

pub use endpoint::{Drill, start};
pub use faults::{FAULTS, Fault, Setting, find};
pub use score::{Keeping, Outcome, Score};

//! Deliberately broken endpoints on loopback, for practising diagnosis.
//!
//! [`FAULTS`] is the table of all faults: which cause `ping` reports, the evidence that distinguishes it from similar
//! faults, and the function of `endpoint.rs` that starts the broken endpoint.

mod broken_server;
mod endpoint;
mod faults;
mod score;

pub use endpoint::{Drill, start};
pub use faults::{DrillFault, FAULTS, find};
pub(crate) use score::Score;

//! Deliberately broken endpoints on loopback, for practising diagnosis.
//!
//! [`FAULTS`] is the table of faults. An entry contains the cause that `ping` reports, the evidence for the
//! fault, and a function in `endpoint.rs` that starts the endpoint.

mod broken_server;
mod endpoint;
mod faults;
mod score;

pub use endpoint::{Drill, start};
pub use faults::{DrillFault, FAULTS, find};
pub(crate) use score::Score;

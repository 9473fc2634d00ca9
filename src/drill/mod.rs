//! Deliberately broken endpoints on loopback, for practising diagnosis.
//!
//! [`FAULTS`] is the table of all faults. Each entry contains the cause that `ping` reports, the evidence
//! that distinguishes the fault from similar ones, and the function in `endpoint.rs` that starts the broken
//! endpoint.

mod broken_server;
mod endpoint;
mod faults;
mod score;

pub use endpoint::{Drill, start};
pub use faults::{DrillFault, FAULTS, find};
pub(crate) use score::Score;

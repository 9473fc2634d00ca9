//! Deliberately broken endpoints on loopback, for practising diagnosis.
//!
//! [`FAULTS`] is the table of all faults: what is broken, which cause `ping` reports, and the evidence that
//! distinguishes it from similar faults. `endpoint.rs` starts an endpoint for each.

mod broken_server;
mod endpoint;
mod faults;
mod score;

pub use endpoint::{Drill, start};
pub use faults::{DrillFault, FAULTS, Setting, find};
pub use score::{Guess, SavedScore, Score};
